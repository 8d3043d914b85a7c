"""A small tour of everything the page can show, invented, with text that would break a careless page."""

from __future__ import annotations

from deploy.demo import trusts
from deploy.demo.tour.record import (
    MEASURED,
    SIMULATED,
    Answer,
    Asked,
    Cell,
    MovementTale,
    PersonTale,
    Problem,
    Readiness,
    Rule,
    Span,
    Stored,
    StoredRow,
    Table,
    Tour,
    TrustRow,
)

HOSTILE = '<script>alert("Ó Dónaill & sons")</script>'


def small_tour() -> Tour:
    """One movement of two people, one problem, one table, one person's rows."""
    passed = Rule("Identity", "PASS", "Seen in person.")
    failed = Rule("DBS check", "FAIL", "A standard check is on record.", "the employing trust's HR")
    spans = [Span("Reads and agrees", 50, SIMULATED), Span("Checked and decided", 0.21, MEASURED)]
    first = PersonTale("Siân Llewelyn-Áine", [Answer("READY", "Ready to start", [passed])], ["Asked."], spans)
    second = PersonTale(
        HOSTILE,
        [
            Answer("NOT_READY", "Not ready yet", [passed, failed], ["Fire safety, due tomorrow."]),
            Answer("READY", "Ready to start", [passed, passed]),
        ],
    )
    movement = MovementTale(
        "visits", "Visits", "One trust", "Another", "from today", "Observes.", "To check", "none"
    )
    movement.asked = [Asked("Identity", ["Family name", "Date of birth"], "the start", True)]
    movement.people = [first, second]
    waiting = TrustRow(
        "Heron Vale NHS Trust",
        "RXZ",
        "GOVERNANCE",
        [Cell("IN_PROGRESS", owner="Trust IG lead", note="34 days")],
        [("The assessment is not adopted.", "trust IG lead")],
    )
    printed = trusts.printed_f1()
    tour = Tour(made_at="22 November 2026", expectations=3)
    tour.readiness = Readiness(["Data protection assessment"], [waiting])
    tour.gathered = [("Siân Llewelyn-Áine", ["18 records read"])]
    tour.movements = [movement]
    tour.problems = [Problem("A stranger asks", HOSTILE, ["Refused."], "Report it.")]
    tour.tables = [Table("F1", trusts.F1_HEADER.split(","), printed, printed, "Of 78 facts, 18 are live.")]
    tour.figures = [("4", "honorary contracts not needed", "counted")]
    tour.person = "Siân Llewelyn-Áine"
    tour.stored = [
        Stored("registry", [], "Nobody's data."),
        Stored("issuer", [StoredRow("staff", [("legal_given", "Siân"), ("x" * 80, "y" * 400)])], "Its own."),
    ]
    return tour
