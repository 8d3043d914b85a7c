"""The development stack: a TLS authority for localhost and the services as processes."""
