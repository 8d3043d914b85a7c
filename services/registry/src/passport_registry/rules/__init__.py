"""Calculation of the registry: gates, marks, certificates, grants. Pure; knows no database and no HTTP."""
