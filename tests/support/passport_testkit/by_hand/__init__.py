"""A first movement without workforce systems: everything entered by hand, for the end-to-end tests."""
