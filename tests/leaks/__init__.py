"""Canary values planted in every claim and field of a journey, and looked for everywhere they must not be."""
