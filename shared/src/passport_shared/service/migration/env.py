"""The environment Alembic runs for every service; see the package's docstring. Not imported by our code."""

from __future__ import annotations

from alembic import context

_attributes = context.config.attributes
context.configure(
    connection=_attributes["connection"],
    target_metadata=_attributes["metadata"],
    # SQLite cannot alter a table in place.
    render_as_batch=_attributes["connection"].dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
