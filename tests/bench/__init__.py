"""Benchmarks, as ratios measured in one run (`make bench`); never part of the test suite."""
