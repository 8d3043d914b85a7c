"""The demonstration: the first movement of the pilot, done for real by three services and a wallet."""
