import json
import sqlite3
from pathlib import Path

from deploy.containers import copies, names


def test_a_copy_holds_every_row_as_sqlite_would(tmp_path: Path) -> None:
    tables = [["a", "id", "text"], ["a", "sealed", "bytea"], ["a", "facts", "jsonb"], ["b", "n", "bigint"]]
    answers = {
        copies.TABLES: json.dumps(tables),
        "a": json.dumps([{"id": "x", "sealed": "\\x00ff", "facts": {"k": "é"}}]),
        "b": json.dumps([{"n": None}, {"n": 7}]),
    }
    copies.copy(lambda sql: answers.get(sql) or answers[sql.split('"')[1]], tmp_path / "copy.db")
    with sqlite3.connect(tmp_path / "copy.db") as copied:
        assert copied.execute("SELECT * FROM a").fetchall() == [("x", b"\x00\xff", '{"k": "é"}')]
        assert copied.execute("SELECT * FROM b").fetchall() == [(None,), (7,)]


def test_names_lead_here_within_the_block_only() -> None:
    import socket

    asked = socket.getaddrinfo
    with names.resolved_here(["issuer.passport.test"]):
        found = socket.getaddrinfo("issuer.passport.test", 443, type=socket.SOCK_STREAM)
        assert {entry[4][0] for entry in found} == {"127.0.0.1"}
        assert socket.getaddrinfo(b"issuer.passport.test", 443, type=socket.SOCK_STREAM) == found
    assert socket.getaddrinfo is asked
