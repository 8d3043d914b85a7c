"""The verifier: asks, verifies and decides."""
