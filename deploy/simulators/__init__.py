"""Workforce systems that do not exist, with people who do not exist: for demonstrations, tests and the sandbox."""
