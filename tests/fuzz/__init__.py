"""Fuzzing of every parser of outside data: one target each, driven by hypothesis in CI and by atheris in soak."""
