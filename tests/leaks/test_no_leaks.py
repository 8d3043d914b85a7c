"""What may be found where after a journey with canaries: nothing but in the columns made for it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from passport_shared.service.db import migrate
from passport_shared.service.observability import configure_logging
from passport_shared.service.redaction import describe_exception
from passport_shared.wire.activity import EventType
from tests.leaks import journey
from tests.leaks.canaries import (
    ABOUT_A_MOVEMENT,
    ABOUT_A_PERSON,
    OF_WHOEVER_ACTS,
    Canaries,
    encodings,
    unpacked,
)

PERSONAL = {**ABOUT_A_PERSON, **ABOUT_A_MOVEMENT}


@dataclass(frozen=True)
class Left:
    """What a service left behind."""

    logs: str
    metrics: str
    refusals: list[str]
    requests: list[str]
    columns: dict[str, bytes]
    database: bytes
    secrets: dict[str, str | bytes]
    published: bytes


@pytest.fixture(scope="module")
def left_by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Left]]:
    """Both services after their half of the journey, with logs at debug through the real processors."""
    stream = io.StringIO()
    configure_logging("test", "0", level="debug", stream=stream)
    try:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            yield {
                "issuer": runner.run(_issuer(tmp_path_factory.mktemp("issuer"), stream)),
                "verifier": runner.run(_verifier(tmp_path_factory.mktemp("verifier"), stream)),
            }
    finally:
        configure_logging("test", "0", level="warning", stream=io.StringIO())


async def _issuer(folder: Path, stream: io.StringIO) -> Left:
    file = folder / "issuer.db"
    await migrate(f"sqlite:///{file}", "passport_issuer")
    async with journey.issued(folder, f"sqlite:///{file}") as found:
        metrics = found.bench.app.state.metrics.render().decode()
        uris = (await found.bench.http.get("/RBV/statuslists")).json()["status_lists"]
        published = [(await found.bench.http.get(uri)).text for uri in uris]
        told = [as_told(answer) for answer in found.refused]
    return Left(
        stream.getvalue(),
        metrics,
        told,
        found.bench.wire.requests,
        _columns(file),
        _bytes(file),
        found.secrets,
        b"".join(map(unpacked, published)),
    )


async def _verifier(folder: Path, stream: io.StringIO) -> Left:
    file = folder / "verifier.db"
    await migrate(f"sqlite:///{file}", "passport_verifier")
    async with journey.relied(folder, f"sqlite:///{file}") as found:
        metrics = found.bench.app.state.metrics.render().decode()
        told = [as_told(answer) for answer in found.refused]
    return Left(
        stream.getvalue(),
        metrics,
        told,
        found.bench.wire.requests,
        _columns(file),
        _bytes(file),
        found.secrets,
        b"",
    )


def as_told(answer: httpx.Response) -> str:
    """What a refusal says, but for the path it was asked under, which is the caller's own."""
    assert 400 <= answer.status_code < 500, answer.text
    document = answer.json()
    document.pop("instance", None)
    return json.dumps([document, dict(answer.headers)], ensure_ascii=False)


def _columns(file: Path) -> dict[str, bytes]:
    """Everything that stands in a database, by table and column."""
    found: dict[str, bytes] = {}
    with contextlib.closing(sqlite3.connect(file)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            cursor = db.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name from the schema
            names = [column[0] for column in cursor.description]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    found[f"{table}.{name}"] = found.get(f"{table}.{name}", b"") + raw + b"\n"
    return found


def _bytes(file: Path) -> bytes:
    """The files of a database as they lie on the disk: free pages and the log too."""
    return b"".join(one.read_bytes() for one in sorted(file.parent.glob(f"{file.name}*")) if one.is_file())


# What the issuer holds about its own staff, and what the host holds about its own movements, is why they are
# there. Every column is named with its reason; a canary anywhere else is a leak.
STAFF = "the employing trust's own record of its staff"
HELD = {
    "issuer": {
        **dict.fromkeys(
            [
                "staff.legal_given", "staff.legal_family", "staff.preferred_name", "staff.birthdate",
                "staff.work_email", "staff.mobile", "staff_external_ids.value", "assignments.ref",
                "assignments.title", "assignments.department", "checks.evidence_ref", "checks.fields",
                "training.competency_name", "identity_sessions.documents", "identity_sessions.join_url",
                "identity_sessions.place",
            ],
            STAFF,
        ),
        "problem_reports.text": "what the person wrote to their own trust",
        "offer_datasets.claims": "what will be signed, from the offer until it is collected or has run out",
        "offer_datasets.source_ref": "which post of the person a dataset is about",
        "credentials.source_ref": "which post of the person a credential is about",
        "releases.subject": "whom another trust asks for, for the line manager who answers",
        "releases.movement": "where the person is asked to work, for the line manager who answers",
    },
    "verifier": {
        "movements.details": "the host's own description of the work; nobody's records",
        "movements.external_id": "the host's own number of the movement",
        "presentation_requests.duties": "what the person is told they will do there",
    },
}  # fmt: skip
# Who acted is part of the record of an act (domain.md §10e), and of nothing else.
BY_WHOM = {"actor", "created_by", "performed_by", "hr_user", "person_by"}
# Random values that open one request for five minutes; they lead to nothing about a person.
OF_AN_OPEN_REQUEST = {"presentation_requests.link", "presentation_requests.nonce"}

services = pytest.mark.parametrize("service", ["issuer", "verifier"])


def everything(left: Left) -> Canaries:
    return Canaries(
        {**PERSONAL, **OF_WHOEVER_ACTS, **{f"secret: {name}": one for name, one in left.secrets.items()}}
    )


def test_a_canary_is_found_in_every_coding():
    for name, value in PERSONAL.items():
        looked_for = Canaries({name: value})
        for coded in encodings(value):
            assert looked_for.within(b'{"a":"' + coded + b'"}') == {name}, coded
    for lead in range(6):
        text = base64.urlsafe_b64encode(b"x" * lead + PERSONAL["e-mail"].encode() + b"tail")
        assert Canaries({"e-mail": PERSONAL["e-mail"]}).within(text) == {"e-mail"}, lead


def test_every_canary_was_planted(left_by: dict[str, Left]):
    held = b"".join(b"".join(left.columns.values()) for left in left_by.values())
    planted = Canaries({**PERSONAL, **OF_WHOEVER_ACTS}).within(held)
    sealed = {"holder reference"}  # read by the verifier alone, which keeps it sealed
    assert set(PERSONAL) | set(OF_WHOEVER_ACTS) == planted | sealed
    assert len(PERSONAL) + len(OF_WHOEVER_ACTS) + sum(len(left.secrets) for left in left_by.values()) >= 40


@services
def test_no_log_line_holds_one(left_by: dict[str, Left], service: str):
    left = left_by[service]
    assert left.logs.count("\n") > 20, "the logs were read"
    found = {line[:200] for line in left.logs.splitlines() if everything(left).within(line)}
    assert not found


@services
def test_no_metric_holds_one(left_by: dict[str, Left], service: str):
    left = left_by[service]
    assert "http" in left.metrics
    assert not everything(left).within(left.metrics)


@services
def test_no_refusal_repeats_one(left_by: dict[str, Left], service: str):
    left = left_by[service]
    assert len(left.refusals) >= 10
    found = [refusal for refusal in left.refusals if everything(left).within(refusal)]
    assert not found


@services
def test_no_address_that_is_called_holds_one(left_by: dict[str, Left], service: str):
    left = left_by[service]
    assert left.requests
    assert not everything(left).within_any(left.requests)


@services
def test_only_the_columns_made_for_it_hold_one(left_by: dict[str, Left], service: str):
    left = left_by[service]
    personal, actors = Canaries(PERSONAL), Canaries(OF_WHOEVER_ACTS)
    secret = Canaries({f"secret: {name}": one for name, one in left.secrets.items()})
    leaks = []
    for column, content in left.columns.items():
        name = column.partition(".")[2]
        found = set() if column in HELD[service] else personal.within(content)
        found |= set() if name in BY_WHOM else actors.within(content)
        found |= set() if column in OF_AN_OPEN_REQUEST else secret.within(content)
        leaks += [f"{column}: {one}" for one in sorted(found)]
    assert not leaks


@services
def test_every_column_that_may_hold_one_does(left_by: dict[str, Left], service: str):
    """A name in the list that stands for nothing would hide a leak to come."""
    left = left_by[service]
    empty = [
        column for column in HELD[service] if not Canaries(PERSONAL).within(left.columns.get(column, b""))
    ]
    assert not empty


def test_the_verifier_keeps_nothing_about_the_person_in_plain(left_by: dict[str, Left]):
    """Nor do its files: what was deleted, and what waits in the log."""
    left = left_by["verifier"]
    assert not Canaries(ABOUT_A_PERSON).within(left.database)


def test_no_file_of_a_database_holds_a_secret(left_by: dict[str, Left]):
    for left in left_by.values():
        opened = {"request link", "nonce"}
        kept = {name: one for name, one in left.secrets.items() if name not in opened}
        assert not Canaries(kept).within(left.database)


def test_status_lists_hold_nothing_about_anybody(left_by: dict[str, Left]):
    left = left_by["issuer"]
    assert b'"bits"' in left.published
    assert not everything(left).within(left.published)


@pytest.mark.parametrize(
    "fault",
    [
        lambda name: int(name),
        lambda name: {}[name],
        lambda name: date.fromisoformat(name),
        lambda name: [].index(name),
        lambda name: getattr(object(), name),
        lambda name: json.loads(name),
        lambda name: Decimal(name),
        lambda name: EventType(name),
        lambda name: uuid.UUID(name),
        lambda name: ZoneInfo(name),
        lambda name: ip_address(name),
    ],
    ids=[
        "int", "key", "date", "index", "attribute", "json", "decimal", "enum", "uuid", "time zone", "address",
    ],
)  # fmt: skip
def test_an_unexpected_fault_is_described_without_the_value(fault: Callable[[str], object]):
    name = ABOUT_A_PERSON["family name"]
    with pytest.raises(Exception) as caught:
        fault(name)
    described = json.dumps(describe_exception(caught.value))
    assert not Canaries(ABOUT_A_PERSON).within(described)
