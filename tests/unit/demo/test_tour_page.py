"""The tour's page: everything it is given stands on it, nothing on it runs, and it needs nothing else."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from deploy.demo.tour import stored
from deploy.demo.tour.record import Table
from deploy.demo.tour.render import duration, render, write
from deploy.demo.trusts import PILOT, printed_f1
from passport_testkit.tours import HOSTILE, small_tour


def test_what_was_said_is_shown_as_text_and_never_runs() -> None:
    page = render(small_tour())
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page.lower()


def test_it_is_one_file_that_reaches_for_nothing(tmp_path: Path) -> None:
    page = write(small_tour(), tmp_path / "tour").read_text("utf-8")
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page)
    assert "url(" not in page
    assert "@import" not in page


def test_whose_time_it_was_is_said_in_words() -> None:
    page = render(small_tour())
    assert "people&#39;s, simulated" in page
    assert "the system&#39;s, measured" in page


def test_every_rule_of_the_first_person_and_what_differs_of_the_others() -> None:
    page = render(small_tour())
    assert page.count("Seen in person.") == 1
    assert page.count("A standard check is on record.") == 1
    assert "1 rules passed, as in the table above, and:" in page
    assert "2 rules passed, as in the table above." in page


def test_a_table_that_is_not_as_printed_says_so() -> None:
    tour = small_tour()
    printed = printed_f1()
    other = [[*printed[0][:-1], "99"], *printed[1:]]
    tour.tables = [Table("F1", ["a"] * 7, printed, other, "")]
    assert "F1: not as printed" in render(tour)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.01 s"),
        (0.214, "0.21 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (7_500, "2 h 5 min"),
    ],
)
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_printed_table_is_the_reports() -> None:
    rows = printed_f1()
    assert (len(rows), sum(int(row[5]) for row in rows), sum(int(row[6]) for row in rows)) == (8, 38, 40)
    live = (
        sum(t.issued - t.imported_issued for t in PILOT),
        sum(t.verified - t.imported_verified for t in PILOT),
    )
    assert live == (9, 9)


def test_rows_about_a_person_are_found_by_name_and_by_what_refers_to_them(tmp_path: Path) -> None:
    database = tmp_path / "issuer.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(
            """
            CREATE TABLE staff (id TEXT, family TEXT, portrait BLOB);
            CREATE TABLE offers (id TEXT, staff_id TEXT, claims TEXT);
            CREATE TABLE others (id TEXT, family TEXT);
            INSERT INTO staff VALUES ('0190a1b2-0000-7000-8000-000000000001', 'Okonkwo-Price', x'00ff');
            INSERT INTO offers
              VALUES ('offer-0123456789abcdef', '0190a1b2-0000-7000-8000-000000000001', '{"a":1}');
            INSERT INTO others VALUES ('0190a1b2-0000-7000-8000-000000000009', 'Somebody');
            """
        )
    found = stored.about("issuer", database, ["Okonkwo-Price"], "")
    assert [row.table for row in found.rows] == ["offers", "staff"]
    assert dict(found.rows[0].fields)["claims"] == '{"a": 1}'
    assert dict(found.rows[1].fields)["portrait"] == "encrypted or binary, 2 bytes"
    assert stored.says(database, ["Okonkwo-Price", "Nobody"]) == ["Okonkwo-Price"]
