"""Alembic migrations of this service's own database."""
