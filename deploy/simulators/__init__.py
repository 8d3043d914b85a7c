"""Workforce systems and people that do not exist: for demonstrations, tests and the sandbox."""
