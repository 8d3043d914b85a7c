"""The reference holder: a wallet library and command line."""
