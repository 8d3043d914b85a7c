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
from fastapi import FastAPI

from passport_shared.service.observability import configure_logging
from passport_shared.service.redaction import describe_exception
from passport_shared.wire.activity import EventType
from passport_testkit.databases import SQLITE, FreshDatabases, Templates
from tests.leaks import journey
from tests.leaks.canaries import (
    ABOUT_A_MOVEMENT,
    ABOUT_A_PERSON,
    OF_WHOEVER_ACTS,
    WRITTEN_BY_HR,
    Canaries,
    encodings,
    unpacked,
)
from tests.leaks.receiving import running_registry

PERSONAL = {**ABOUT_A_PERSON, **ABOUT_A_MOVEMENT, **WRITTEN_BY_HR}
EVERYBODY = {**PERSONAL, **OF_WHOEVER_ACTS}


@dataclass(frozen=True)
class Left:
    """What a service left behind."""

    metrics: str
    refusals: list[str]
    requests: list[str]
    columns: dict[str, bytes]
    database: bytes


@dataclass(frozen=True)
class Journey:
    """What all of them left, what they said, and every secret that came up.

    `told` is what the registry shows, by where it does; `delivered` what it was sent.
    """

    left: dict[str, Left]
    logs: str
    secrets: dict[str, str | bytes]
    sealed: str
    published: bytes
    told: dict[str, bytes]
    delivered: list[bytes]
    answered: list[int]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, database_templates: Templates) -> Iterator[Journey]:
    """The services after the journey, with logs at debug through the real processors."""
    stream = io.StringIO()
    configure_logging("test", "0", level="debug", stream=stream)
    folder = tmp_path_factory.mktemp("leaks")
    try:
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            yield runner.run(_made(folder, FreshDatabases(SQLITE, folder, database_templates), stream))
    finally:
        configure_logging("test", "0", level="warning", stream=io.StringIO())


async def _made(folder: Path, urls: FreshDatabases, stream: io.StringIO) -> Journey:
    alive: dict[str, Alive] = {}
    secrets: dict[str, str | bytes] = {}
    async with running_registry(folder, await urls.url("passport_registry")) as registry:
        async with journey.issued(folder, await urls.url("passport_issuer"), registry) as issuing:
            alive["issuer"] = Alive.of(issuing.bench.app, issuing.refused, issuing.bench.wire.requests)
            uris = (await issuing.bench.http.get("/RBV/statuslists")).json()["status_lists"]
            published = [(await issuing.bench.http.get(uri)).text for uri in uris]
        async with journey.relied(folder, urls, registry) as relying:
            requests = relying.bench.wire.requests
            alive["verifier"] = Alive.of(relying.bench.app, relying.refused, requests)
            alive["host issuer"] = Alive.of(relying.host.issuer_app, [], requests)
        await journey.misreported(registry)
        told = await registry.told()
        alive["registry"] = Alive.of(registry.app, registry.refused, registry.bench.hosts.asked)
    for name, found in (("issuer", issuing.secrets), ("verifier", relying.secrets)):
        secrets |= {f"{what} of the {name}": one for what, one in found.items()}
    return Journey(
        left={name: one.left() for name, one in alive.items()},
        logs=stream.getvalue(),
        secrets=secrets,
        sealed=relying.sealed,
        published=b"".join(map(unpacked, published)),
        told=told,
        delivered=registry.delivered,
        answered=[status for way in registry.ways for status in way.answered],
    )


@dataclass(frozen=True)
class Alive:
    """What is asked of a service before it ends; the rest is read from its files after that."""

    file: Path
    metrics: str
    refusals: list[str]
    requests: list[str]

    @classmethod
    def of(cls, app: FastAPI, refused: list[httpx.Response], requests: list[str]) -> Alive:
        file = Path(app.state.context.db.url.database)
        return cls(file, app.state.metrics.render().decode(), [as_told(one) for one in refused], requests)

    def left(self) -> Left:
        files = _bytes(self.file)
        return Left(self.metrics, self.refusals, self.requests, _columns(self.file), files)


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
HOSTED = "the host's own record of whom it lets work, from the confirmed presentation"
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
        "releases.limits": "under which limits the line manager agrees",
        "notice_contacts.name": "whom notices name to ask",
        "notice_contacts.phone": "whom notices name to ask",
        "notice_contacts.email": "whom notices name to ask",
        "notice_outbox.to_address": "what a person would read; only where notices are tried out",
        "notice_outbox.body": "what a person would read; only where notices are tried out",
        "releases.movement": "where the person is asked to work, for the line manager who answers",
    },
    "verifier": {
        "movements.details": "the host's own description of the work; nobody's records",
        "movements.external_id": "the host's own number of the movement",
        "presentation_requests.duties": "what the person is told they will do there",
        "placements.post": "the host's own description of the post",
        "licences_to_attend.document": "the host's own description of the work, as it was handed over",
        "policy_versions.note": "why the host changed its own rules",
    },
    "host issuer": {
        "staff.legal_given": HOSTED,
        "staff.legal_family": HOSTED,
        "staff.birthdate": HOSTED,
        "placements.post": "the host's own description of the post",
        "offer_datasets.claims": "the placement's record, until it is collected or its offer has run out",
    },
    "registry": {},
}  # fmt: skip
# Who acted is part of the record of an act (domain.md §10e), and of nothing else.
BY_WHOM = {
    "actor",
    "created_by",
    "performed_by",
    "hr_user",
    "person_by",
    "updated_by",
    "linked_by",
    "line_manager_by",
}
SEALED = {"holder reference", "reason of an override"}
# Random values that open one request for five minutes; they lead to nothing about a person.
OPEN = {"presentation_requests.link", "presentation_requests.nonce"}

services = pytest.mark.parametrize("service", ["issuer", "verifier", "host issuer", "registry"])


@pytest.fixture(scope="module")
def everything(made: Journey) -> Canaries:
    return Canaries({**EVERYBODY, **{f"secret: {name}": one for name, one in made.secrets.items()}})


def test_a_canary_is_found_in_every_coding():
    for name, value in PERSONAL.items():
        looked_for = Canaries({name: value})
        for coded in encodings(value):
            assert looked_for.within(b'{"a":"' + coded + b'"}') == {name}, coded
    for lead in range(6):
        text = base64.urlsafe_b64encode(b"x" * lead + PERSONAL["e-mail"].encode() + b"tail")
        assert Canaries({"e-mail": PERSONAL["e-mail"]}).within(text) == {"e-mail"}, lead


def test_every_canary_was_planted(made: Journey):
    """In a column that is made for it, or sealed in one and read back."""
    allowed = [
        content
        for service, left in made.left.items()
        for column, content in left.columns.items()
        if column in HELD[service] or column.partition(".")[2] in BY_WHOM
    ]
    looked_for = Canaries(EVERYBODY)
    planted, sealed = looked_for.within_any(allowed), looked_for.within(made.sealed)
    assert set(EVERYBODY) == planted | (sealed & SEALED)
    assert len(set(EVERYBODY.values())) >= 40
    assert len(made.secrets) >= 15


def test_no_log_line_holds_one(made: Journey, everything: Canaries):
    assert made.logs.count("\n") > 80, "the logs were read"
    found = {line[:200] for line in made.logs.splitlines() if everything.within(line)}
    assert not found


@services
def test_no_metric_holds_one(made: Journey, everything: Canaries, service: str):
    assert "http" in made.left[service].metrics
    assert not everything.within(made.left[service].metrics)


@services
def test_no_refusal_repeats_one(made: Journey, everything: Canaries, service: str):
    refusals = made.left[service].refusals
    assert len(refusals) >= {"host issuer": 0, "registry": 5}.get(service, 10)
    assert not [refusal for refusal in refusals if everything.within(refusal)]


def test_no_address_that_is_called_holds_one(made: Journey, everything: Canaries):
    called = [request for left in made.left.values() for request in left.requests]
    assert called
    assert not everything.within_any(called)


@services
def test_only_the_columns_made_for_it_hold_one(made: Journey, service: str):
    personal, actors = Canaries(PERSONAL), Canaries(OF_WHOEVER_ACTS)
    secret = Canaries(made.secrets)
    leaks = []
    for column, content in made.left[service].columns.items():
        name = column.partition(".")[2]
        found = set() if column in HELD[service] else personal.within(content)
        found |= set() if name in BY_WHOM or column in HELD[service] else actors.within(content)
        found |= set() if column in OPEN else secret.within(content)
        leaks += [f"{column}: {one}" for one in sorted(found)]
    assert not leaks, "\n".join(leaks)


@services
def test_every_column_that_may_hold_one_does(made: Journey, service: str):
    """A name in the list that stands for nothing would hide a leak to come."""
    columns, looked_for = made.left[service].columns, Canaries(EVERYBODY)
    assert not [column for column in HELD[service] if not looked_for.within(columns.get(column, b""))]


def test_the_verifier_keeps_nothing_about_the_person_in_plain(made: Journey):
    """Nor do its files: what was deleted, and what waits in the log."""
    assert not Canaries(ABOUT_A_PERSON).within(made.left["verifier"].database)


def test_no_file_of_a_database_holds_a_secret(made: Journey):
    opened = ("request link", "nonce", "notice")
    kept = {name: one for name, one in made.secrets.items() if not name.startswith(opened)}
    for left in made.left.values():
        assert not Canaries(kept).within(left.database)


def test_the_registry_was_told_what_happened(made: Journey):
    """The proof below means something: facts of both services came, signed, and are counted."""
    assert len(made.answered) >= 5
    assert set(made.answered) == {201}
    listed = json.loads(made.told["facts"])["items"]
    assert {fact["type"] for fact in listed} >= {
        "passport.issued",
        "passport.verified",
        "presentation.refused",
    }
    assert {fact["organisation"] for fact in listed} == {"RBV", "R0A"}
    assert len(listed) == len(made.answered) + 1, "and one whose subject was a name"


def test_no_event_on_its_way_to_the_registry_holds_one(made: Journey, everything: Canaries):
    assert made.delivered
    assert not everything.within_any(made.delivered)
    assert not [one for one in made.delivered if b'"subject"' in one]


def test_the_registry_holds_none_of_them_anywhere(made: Journey, everything: Canaries):
    """No column, no free page, no log of its database."""
    left = made.left["registry"]
    assert len(left.columns) > 100
    assert b"passport.verified" in left.database
    assert not everything.within(left.database)
    assert not {name for name, content in left.columns.items() if everything.within(content)}


def test_the_registry_tells_none_of_them_to_anybody(made: Journey, everything: Canaries):
    assert {"/federation/snapshot", "/client-directory", "facts"} < set(made.told)
    assert len([name for name in made.told if name.startswith("/api/v1/reports/")]) == 21
    for name, content in made.told.items():
        assert not everything.within(content), name
        assert not everything.within(unpacked(content.decode("utf-8", "replace"))), name


def test_status_lists_hold_nothing_about_anybody(made: Journey, everything: Canaries):
    assert b'"bits"' in made.published
    assert not everything.within(made.published)


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
