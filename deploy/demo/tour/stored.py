"""What each service's database holds about one person, read from the files themselves after the run.

A row concerns the person if one of its fields says one of the words that mean them: their names, numbers and
birthdate, or an id that stands in another row about them. Nothing is asked of the services: this is what a
thief of the database file would see.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deploy.demo.tour.record import Stored, StoredRow

SHORTEST_ID = 16
MOST_CHARACTERS = 160
ROUNDS = 3
# Tables whose rows are the service's own business, or everybody's.
SKIPPED = frozenset({"alembic_version", "tenants", "tenant_certificates", "leases"})
# Fields that identify the row's own person, and are followed to other rows.
FOLLOWED = (
    "staff_id",
    "passport_id",
    "offer_id",
    "movement_id",
    "request_id",
    "case_id",
    "decision_id",
    "holder_ref",
    "holder_jkt",
    "holder_thumbprint",
    "subject_ref",
    "release_id",
    "placement_id",
)


def about(service: str, database: Path, words: Sequence[str], summary: str) -> Stored:
    """Every row of a service that concerns the person, in the order of its tables."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        connection.row_factory = sqlite3.Row
        rows = _concerning(connection, set(words))
    return Stored(service, rows, summary)


def says(database: Path, words: Iterable[str]) -> list[str]:
    """Which of the words stand anywhere in a database file, its write-ahead log included."""
    content = b"".join(
        path.read_bytes() for path in (database, database.with_name(f"{database.name}-wal")) if path.exists()
    )
    return [word for word in words if word.encode() in content]


def _concerning(connection: sqlite3.Connection, words: set[str]) -> list[StoredRow]:
    found: dict[tuple[str, int], sqlite3.Row] = {}
    for _ in range(ROUNDS):
        before = len(found)
        for table in _tables(connection):
            for rowid, row in _rows(connection, table):
                if (table, rowid) not in found and _says(row, words):
                    found[table, rowid] = row
                    words |= set(_ids(row))
        if len(found) == before:
            break
    return [
        StoredRow(table, [(name, _shown(row[name])) for name in row.keys() if name != "rowid_"])  # noqa: SIM118
        for (table, _), row in sorted(found.items(), key=lambda item: item[0])
    ]


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [
        row["name"] for row in rows if row["name"] not in SKIPPED and not row["name"].startswith("sqlite_")
    ]


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[int, sqlite3.Row]]:
    # The name comes from the database's own catalogue.
    for row in connection.execute(f'SELECT rowid AS rowid_, * FROM "{table}"'):  # noqa: S608
        yield int(row["rowid_"]), row


def _says(row: sqlite3.Row, words: set[str]) -> bool:
    return any(
        isinstance(value, str) and (value in words or any(w in value for w in words)) for value in tuple(row)
    )


def _ids(row: sqlite3.Row) -> Iterator[str]:
    names = row.keys()
    for name in (*FOLLOWED, "id"):
        if name in names and isinstance(row[name], str) and len(row[name]) >= SHORTEST_ID:
            yield row[name]


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bytes):
        return f"encrypted or binary, {len(value)} bytes"
    text = str(value)
    if text.startswith(("[", "{")):
        with contextlib.suppress(ValueError):
            text = json.dumps(json.loads(text), ensure_ascii=False, separators=(", ", ": "))
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text)} characters)"
