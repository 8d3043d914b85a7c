"""What the demonstration keeps for the tour page while it runs; no page and no service is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

SIMULATED, MEASURED = "simulated", "measured"


@dataclass(frozen=True)
class Cell:
    """One step of one trust: its state, the day it was done, and whose turn it is when it is not."""

    state: str
    day: str | None = None
    owner: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class TrustRow:
    """A trust's line in the readiness grid."""

    name: str
    ods: str
    state: str
    cells: Sequence[Cell]
    gaps: Sequence[tuple[str, str]]
    """What is missing and who can put it right."""


@dataclass(frozen=True)
class Readiness:
    """Which trust has come how far."""

    steps: Sequence[str]
    rows: Sequence[TrustRow]


@dataclass(frozen=True)
class Asked:
    """One record that was asked for: its name, the details, and whether it was shown."""

    record: str
    details: Sequence[str]
    needed: str
    shown: bool


@dataclass(frozen=True)
class Rule:
    """One finding in plain words."""

    name: str
    result: str
    text: str
    who_can_fix: str | None = None


@dataclass(frozen=True)
class Span:
    """A part of the time a movement took; `kind` is SIMULATED (people's) or MEASURED (the system's)."""

    label: str
    seconds: float
    kind: str


@dataclass(frozen=True)
class Answer:
    """One decision as host HR read it."""

    outcome: str
    text: str
    rules: Sequence[Rule]
    conditions: Sequence[str] = ()


@dataclass
class PersonTale:
    """One person's move."""

    name: str
    answers: list[Answer] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)


@dataclass
class MovementTale:
    """One of the movements of table F2, with everybody who made it."""

    anchor: str
    title: str
    employing: str
    host: str
    dates: str
    duties: str
    purpose: str
    would_have_needed: str
    asked: list[Asked] = field(default_factory=list)
    people: list[PersonTale] = field(default_factory=list)


@dataclass(frozen=True)
class Problem:
    """Something that must not go well, and what was answered."""

    title: str
    happened: str
    answered: Sequence[str]
    next_step: str


@dataclass(frozen=True)
class Table:
    """A printed table beside ours; `differs` are the cells of ours that are not as printed."""

    title: str
    header: Sequence[str]
    printed: Sequence[Sequence[str]]
    ours: Sequence[Sequence[str]]
    note: str

    @property
    def same(self) -> bool:
        """Whether ours says what was printed."""
        return [list(row) for row in self.printed] == [list(row) for row in self.ours]


@dataclass(frozen=True)
class StoredRow:
    """One row a service keeps that concerns the person: field and what stands there."""

    table: str
    fields: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Stored:
    """What one service keeps about one person."""

    service: str
    rows: Sequence[StoredRow]
    summary: str


@dataclass
class Tour:
    """Everything the page shows."""

    made_at: str
    expectations: int = 0
    readiness: Readiness | None = None
    gathered: list[tuple[str, Sequence[str]]] = field(default_factory=list)
    movements: list[MovementTale] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[tuple[str, str, str]] = field(default_factory=list)
    """Figure, what it means, how it was come by."""
    person: str = ""
    stored: list[Stored] = field(default_factory=list)
