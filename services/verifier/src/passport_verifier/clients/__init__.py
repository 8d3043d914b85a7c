"""What this service calls over HTTP."""
