"""Fuzzing of every parser of outside data, one target each: short in CI, long in soak."""
