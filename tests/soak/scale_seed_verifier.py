"""Movements, decisions, watched placements and alerts of a scale run, of every trust as a host.

Data keys are real and every alert is sealed under its movement's; a decision's findings and facts are bytes
of the usual size. Each decision relies on five credentials, whose indices lie on the real status lists of the
trusts that enrolled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from passport_shared.service.clock import SystemClock
from passport_verifier.operations.sealing import DataKey
from passport_verifier.rules.policies import policies
from tests.soak.scale_seed_issuer import KINDS
from tests.soak.scale_sizes import Size
from tests.soak.scale_world import ISSUER, REGISTRY, VERIFIER, World

ALERT_EVERY = 10
CHUNK = 5_000
POLICY = next(one for one in policies().values() if one.movement_type == "SERVICE_NEED_URGENT")
BY = json.dumps({"ref": "hr-0815", "client_id": "scale", "kind": "machine", "asserted": True})
FINDINGS = json.dumps(
    [
        {"rule": f"R-{n:02d}", "result": "PASS", "subject": None, "telling": n, "class": "SAFETY"}
        for n in range(9)
    ]
)
OTHERS = ("REQUESTED", "AGREED", "RELEASED", "ENDED", "CANCELLED")


@dataclass(frozen=True, kw_only=True)
class _Row:
    number: int
    movement_id: str
    ods: str
    employing: str
    key: bytes
    at: datetime


def _ordered(number: int, block: str) -> str:
    text = f"{0x019700000000 + number:012x}"
    return f"{text[:8]}-{text[8:]}-7{block}-8000-{number:012x}"


async def seed(world: World, size: Size, lists: dict[str, str]) -> None:
    """Everything the verifier holds; ``lists`` are the status list URIs of the trusts that enrolled."""
    today = date.today()  # noqa: DTZ011 - invented days
    async with world.sql("verifier") as conn:
        await _tenants(conn, size)
        for rows in _chunks(_rows(world, size)):
            await _movements(conn, rows, today)
            await _decisions(conn, rows, today, sorted(lists.items()))
            await _placements(world, conn, rows, today)
        await conn.execute(
            "INSERT INTO watched_lists (uri, stale_seen) SELECT DISTINCT status_uri, false FROM reliances"
        )
        await conn.execute("INSERT INTO watched_issuers (issuer) SELECT DISTINCT issuer FROM reliances")
        await conn.execute("ANALYZE")


async def _tenants(conn: asyncpg.Connection, size: Size) -> None:
    now = SystemClock().now()
    await conn.copy_records_to_table(
        "tenants",
        records=[(ods, f"{VERIFIER}/{ods}", f"Trust {ods}", "ACTIVE", now, now) for ods in size.copies()],
        columns=["ods", "entity_id", "name", "state", "created_at", "enrolled_at"],
    )


def _rows(world: World, size: Size) -> Iterator[_Row]:
    kek = world.context("verifier").kek
    now, codes = SystemClock().now(), size.codes()
    largest = size.placements // 10
    for number in range(size.placements):
        # A tenth at one host, the others everywhere.
        ods = codes[0] if number < largest else codes[number % len(codes)]
        movement_id = _ordered(number, "100")
        yield _Row(
            number=number,
            movement_id=movement_id,
            ods=ods,
            employing=size.majors_codes()[number % size.majors],
            key=DataKey.create(kek, movement_id),
            at=now - timedelta(days=30),
        )


def _chunks(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    chunk: list[_Row] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


DETAILS = json.dumps(
    {
        "sites": ["Royal Infirmary"],
        "department": "Urology",
        "duties": "Perform an operating list",
        "supervisor": "Clinical director of surgery",
        "sessions": ["mornings"],
        "out_of_hours_contact": "Site manager, bleep 100",
        "use_case": "SERVICE_NEED",
        "workforce_group": "Clinicians",
        "pathway": None,
        "cover_reason": "NONE",
        "would_have_needed": "LETTER_OF_AUTHORITY",
    }
)


async def _movements(conn: asyncpg.Connection, rows: list[_Row], today: date) -> None:
    start, end = today - timedelta(days=20), today + timedelta(days=200)
    running = [
        (row.movement_id, row.ods, row.employing, "SERVICE_NEED_URGENT", "UROLOGY_SURGEON", start, end)
        + (DETAILS, f"ext-{row.number}", "ACTIVE", row.key, row.at, BY, row.at, 3, 1)
        for row in rows
    ]
    # One in five besides, without a placement: those that are on their way or over.
    other = [
        (
            _ordered(row.number, "101"),
            *item[1:8],
            f"other-{row.number}",
            OTHERS[row.number % len(OTHERS)],
            b"",
        )
        + item[11:]
        for row, item in zip(rows, running, strict=True)
        if row.number % 5 == 0
    ]
    await conn.copy_records_to_table(
        "movements",
        records=[*running, *other],
        columns=["id", "ods", "employing_ods", "type", "role_profile", "start", "end", "details"]
        + ["external_id", "state", "data_key", "created_at", "created_by", "updated_at", "version"]
        + ["terms_version"],
    )


async def _decisions(
    conn: asyncpg.Connection, rows: list[_Row], today: date, lists: list[tuple[str, str]]
) -> None:
    start, end = today - timedelta(days=20), today + timedelta(days=200)
    asked_for, jwk = json.dumps({"credentials": [{"id": "x" * 600}]}), json.dumps({"kty": "EC"})
    requests, decided, relied = [], [], []
    for row in rows:
        request, decision = _ordered(row.number, "102"), _ordered(row.number, "103")
        name = f"{row.number:022d}"
        requests.append(
            (
                request,
                row.ods,
                row.movement_id,
                row.movement_id,
                POLICY.id,
                POLICY.version_id,
                "purpose",
            )
            + ("cross_device", "SAME_ROOM", row.employing, start, end, f"l{name}", f"k{name}", f"s{name}")
            + ("n", "c", asked_for, jwk, "ANSWERED", 1, row.at, BY, "scale", row.at, row.at)
        )
        decided.append(
            (
                decision,
                row.ods,
                row.movement_id,
                request,
                row.movement_id,
                "PRESENTATION",
                row.at,
                row.at,
                start,
            )
            + (end, "READY", True, FINDINGS, os.urandom(1_200), POLICY.version_id, "d", 1, 10, "{}", False)
            + ("FACE_TO_FACE", BY, row.at)
        )
        ods, uri = lists[row.number % len(lists)]
        relied += [_reliance(row, decision, ods, uri, at, kind) for at, kind in enumerate(KINDS)]
    await conn.copy_records_to_table(
        "presentation_requests",
        records=requests,
        columns=["id", "ods", "case_id", "movement_id", "policy_id", "policy_version", "purpose", "flow"]
        + ["channel", "employing_ods", "first_day", "last_day", "link", "kid", "oauth_state", "nonce"]
        + ["client_id", "dcql_query", "encryption_jwk", "state", "attempts", "created_at", "created_by"]
        + ["client", "expires_at", "answered_at"],
    )
    await conn.copy_records_to_table(
        "decisions",
        records=decided,
        columns=["id", "ods", "case_id", "request_id", "movement_id", "cause", "received_at", "decided_at"]
        + ["first_day", "last_day", "outcome", "verified", "findings", "sealed", "policy_version"]
        + ["policy_digest", "registry_sequence", "registry_age_s", "status_times", "awaits_status"]
        + ["person_method", "person_by", "person_at"],
    )
    await conn.copy_records_to_table(
        "reliances",
        records=relied,
        columns=["decision_id", "credential", "vct", "issuer", "issuer_ods", "x5t_s256", "status_uri"]
        + ["status_idx", "iat", "exp", "issuer_jwt_sha256", "holder_thumbprint", "trust_finding"]
        + ["status_finding", "verdict"],
    )


def _reliance(row: _Row, decision: str, ods: str, uri: str, at: int, kind: str) -> tuple[Any, ...]:
    index = ((row.number * len(KINDS) + at) * 40_503) % 131_072
    return (
        (decision, kind, f"{REGISTRY}/vct/{kind}/1", f"{ISSUER}/{ods}", ods, f"x5t-{ods}", uri, index)
        + (row.at, row.at + timedelta(days=400), f"w{row.number}-{at}", f"j{row.number}")
        + ("AUTHORISED", "VALID", "{}")
    )


POST = json.dumps(
    {
        "position_title": "Consultant urologist",
        "position_number": "20391234",
        "work_pattern": "mornings",
        "site": "Royal Infirmary",
        "department": "Urology",
        "department_contact": "Ward 12",
        "approved_by": "Clinical director",
        "hr_contact": "hr@trust.invalid",
        "licence_to_attend": True,
        "conditions": [],
    }
)


async def _placements(world: World, conn: asyncpg.Connection, rows: list[_Row], today: date) -> None:
    kek = world.context("verifier").kek
    start, end = today - timedelta(days=20), today + timedelta(days=200)
    placements, watches, alerts = [], [], []
    for row in rows:
        decision = _ordered(row.number, "103")
        placements.append(
            (row.movement_id, row.ods, "ACTIVE", row.number % 50 == 0, start, end, decision, "j", POST)
            + (row.at, row.at, BY, 1, 1, 0, row.at)
        )
        next_date = row.at + timedelta(days=60 + row.number % 100)
        watches.append((row.movement_id, row.ods, "OPEN", decision, "READY", row.at, next_date, False))
        if row.number % ALERT_EVERY == 0:
            alert = _ordered(row.number, "104")
            key = DataKey.unwrap(kek, row.key, row.movement_id)
            said = {"words": {"key": "WORSE", "params": {"outcome": "REFER"}}, "findings": []}
            sealed = key.seal(said, decision_id=alert)
            seen = row.at if row.number % (ALERT_EVERY * 4) else None
            alerts.append(
                (alert, row.ods, row.movement_id, "WORSE", f"a{row.number}", decision, sealed, True, row.at)
                + (seen, BY if seen else None)
            )
    await conn.copy_records_to_table(
        "placements",
        records=placements,
        columns=["movement_id", "ods", "state", "on_hold", "start", "end", "decision_id", "holder_jkt"]
        + ["post", "begun_at", "created_at", "created_by", "revision", "told_revision", "attempts"]
        + ["next_try_at"],
    )
    await conn.copy_records_to_table(
        "watches",
        records=watches,
        columns=["movement_id", "ods", "state", "decision_id", "outcome", "opened_at", "next_date"]
        + ["judge_again"],
    )
    await conn.copy_records_to_table(
        "alerts",
        records=alerts,
        columns=["id", "ods", "movement_id", "kind", "about", "decision_id", "sealed", "urgent"]
        + ["raised_at", "acknowledged_at", "acknowledged_by"],
    )
