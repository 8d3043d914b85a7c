"""Builders shared by the tests: clock, keys, certificates, test vectors. Not part of the product."""
