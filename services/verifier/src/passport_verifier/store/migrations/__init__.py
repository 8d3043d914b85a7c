"""The verifier's migrations, one history; run by ``passport-verifier migrate``."""
