"""A PostgreSQL database as an SQLite file, table for table: for the tour, which shows what is stored."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

TABLES = (
    "SELECT json_agg(json_build_array(table_name, column_name, data_type)"
    " ORDER BY table_name, ordinal_position) FROM information_schema.columns WHERE table_schema = 'public'"
)


def copy(query: Callable[[str], str], target: Path) -> None:
    """Copy every table of a database.

    Args:
        query: runs one statement and gives back the text of its one value.
        target: written anew.
    """
    target.unlink(missing_ok=True)
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in json.loads(query(TABLES)):
        tables.setdefault(table, {})[column] = kind
    with sqlite3.connect(target) as copied:
        for table, columns in tables.items():
            names = ", ".join(f'"{column}"' for column in columns)
            copied.execute(f'CREATE TABLE "{table}" ({names})')
            # The names come from the database's own catalogue.
            rows = json.loads(query(f"SELECT coalesce(json_agg(t), '[]') FROM \"{table}\" t"))  # noqa: S608
            marks = ", ".join("?" for _ in columns)
            values = [[_value(row[column], kind) for column, kind in columns.items()] for row in rows]
            copied.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', values)  # noqa: S608
    copied.close()


def _value(value: object, kind: str) -> object:
    """As SQLite would have it: bytes as bytes, documents as text."""
    if value is None:
        return None
    if kind == "bytea":
        return bytes.fromhex(str(value).removeprefix("\\x"))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
