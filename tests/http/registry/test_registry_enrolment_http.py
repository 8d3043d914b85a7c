"""`POST /api/v1/enrolments` with a real host behind real TLS (design.md §4.1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from passport_registry.app import Parts, build
from passport_registry.context import Context
from passport_registry.operations import entities, organisations
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.rules.entities import Role
from passport_shared.formats.federation import ENTITY_STATEMENT_MEDIA_TYPE
from passport_shared.outbound import Outbound
from passport_shared.wire.enrolment import EnrolmentAnswer
from passport_testkit.apps import client_of, problem
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.registries import (
    ANN,
    PUBLIC_URL,
    RBV,
    HostedEntity,
    RegistryBench,
    registry_bench,
    registry_settings,
    vouching,
)
from passport_testkit.servers import MisbehavingServer, TlsAuthority, answer, reset, tls_server, truncated

WELL_KNOWN = "/.well-known/openid-federation"
PATH = "/api/v1/enrolments"


@dataclass
class World:
    """A registry over HTTP, an entity's host over TLS, and the code that joins them."""

    http: httpx.AsyncClient
    ctx: Context
    host: MisbehavingServer
    entity: HostedEntity
    bench: RegistryBench
    code: str

    def serve(self, entity: HostedEntity | None = None, **changes: Any) -> None:
        """Let the host serve an entity's configuration."""
        shown = (entity or self.entity).configuration(self.bench.clock, **changes)
        self.host.routes[f"/RBV{WELL_KNOWN}"] = answer(
            shown.encode(), content_type=ENTITY_STATEMENT_MEDIA_TYPE
        )

    def body(self, entity: HostedEntity | None = None, **changes: Any) -> dict[str, Any]:
        """A good request, spoiled by keyword."""
        known = entity or self.entity
        requests = known.requests()
        return {
            "code": self.code,
            "entity_id": self.entity.entity_id,
            "entity_configuration": known.configuration(self.bench.clock, extra=vouching(requests)),
            "certificate_requests": requests,
            **changes,
        }

    async def post(self, entity: HostedEntity | None = None, **changes: Any) -> httpx.Response:
        """Post a request."""
        return await self.http.post(PATH, json=self.body(entity, **changes))


@asynccontextmanager
async def world(databases: FreshDatabases, folder: Path, **settings: Any) -> AsyncIterator[World]:
    """The registry trusts the host's TLS authority, and may reach this one address."""
    authority = TlsAuthority(folder / "tls")
    url = await databases.url("passport_registry")
    async with tls_server(authority.server_context("localhost"), {}) as host:
        entity = HostedEntity.make(f"https://localhost:{host.port}/RBV", Role.ISSUER)
        async with registry_bench(url, folder) as bench:
            details = OrganisationDetails(name="The Christie NHS Foundation Trust", contacts={})
            await organisations.invite(bench.ctx, RBV, details, ANN)
            await entities.create(bench.ctx, RBV, Role.ISSUER, entity.entity_id, ANN)
            code = (await entities.make_code(bench.ctx, RBV, Role.ISSUER, ANN)).code
        outbound = Outbound(ca_file=authority.ca_file, allow=frozenset({f"localhost:{host.port}"}))
        parts = Parts(clock=bench.clock, outbound=outbound, background=False)
        app = build(registry_settings(url, folder, **settings), parts)
        async with client_of(app, base_url=PUBLIC_URL) as http:
            made = World(http, app.state.context, host, entity, bench, code)
            made.serve()
            yield made


@both_databases
async def test_a_host_that_shows_the_keys_enrols(databases: FreshDatabases, tmp_path: Path):
    async with world(databases, tmp_path) as w:
        first = await w.post()
        assert first.status_code == 201, first.text
        assert first.headers["cache-control"] == "no-store"
        enrolled = EnrolmentAnswer.model_validate_json(first.content)
        assert (enrolled.entity_id, enrolled.ods_code) == (w.entity.entity_id, RBV)
        assert set(enrolled.certificates) == {"credential", "status"}
        for certificate in enrolled.certificates.values():
            assert certificate.not_after_signing < certificate.not_after
        assert [received.path for received in w.host.requests] == [f"/RBV{WELL_KNOWN}"]
        again = await w.post()
        assert (again.status_code, again.json()) == (201, first.json())
        replayed = await w.post(HostedEntity.make(w.entity.entity_id, Role.ISSUER, "replayer"))
        problem(replayed, 409, "enrolment_keys_conflict")


@both_databases
async def test_a_host_with_other_keys_does_not(databases: FreshDatabases, tmp_path: Path):
    async with world(databases, tmp_path) as w:
        thief = HostedEntity.make(w.entity.entity_id, Role.ISSUER, "thief")
        problem(await w.post(thief), 409, "host_keys_differ")
        w.serve(thief)
        problem(await w.post(), 409, "host_keys_differ")
        w.serve()
        assert (await w.post()).status_code == 201


FAULTS = {
    "connection torn": (reset(), 503, "host_not_reachable"),
    "answer cut short": (truncated(), 503, "host_not_reachable"),
    "wrong media type": (answer(b"{}"), 503, "host_not_reachable"),
    "redirect": (answer(b"", status=302, location="https://localhost/"), 503, "host_not_reachable"),
    "server error": (answer(b"{}", status=500), 503, "host_not_reachable"),
    "too large": (
        answer(b"x" * 70_000, content_type=ENTITY_STATEMENT_MEDIA_TYPE),
        503,
        "host_not_reachable",
    ),
    "nothing there": (answer(b"{}", status=404), 409, "host_keys_differ"),
    "garbage": (answer(b"\xff\xfe", content_type=ENTITY_STATEMENT_MEDIA_TYPE), 409, "host_keys_differ"),
}


async def test_a_host_that_fails_is_said_and_costs_no_code(databases: FreshDatabases, tmp_path: Path):
    async with world(databases, tmp_path) as w:
        for name, (behaviour, status, code) in FAULTS.items():
            # The circuit breaker would answer for the host after a few of these.
            w.ctx.outbound._gates._gates.clear()
            w.host.routes[f"/RBV{WELL_KNOWN}"] = behaviour
            refused = problem(await w.post(), status, code)
            assert refused["retryable"] is (status == 503), name
            if status == 503:
                assert int((await w.post()).headers["retry-after"]) >= 1
        w.ctx.outbound._gates._gates.clear()
        w.serve()
        assert (await w.post()).status_code == 201


async def test_a_host_that_is_gone_is_503(databases: FreshDatabases, tmp_path: Path):
    async with world(databases, tmp_path) as w:
        await entities.create(w.ctx, RBV, Role.VERIFIER, "https://gone.invalid/RBV", ANN)
        code = (await entities.make_code(w.ctx, RBV, Role.VERIFIER, ANN)).code
        gone = HostedEntity.make("https://gone.invalid/RBV", Role.VERIFIER)
        answered = await w.post(gone, code=code, entity_id=gone.entity_id)
        problem(answered, 503, "host_not_reachable")
        assert answered.headers["retry-after"] == "10"


REFUSED: list[tuple[str, dict[str, Any], int, str, str | None]] = [
    ("unknown code", {"code": "A" * 27}, 403, "enrolment_code_refused", "/code"),
    ("short code", {"code": "A"}, 422, "invalid_request", "/code"),
    ("another entity", {"entity_id": "https://issuer.example/R0A"}, 403, "enrolment_code_refused", "/code"),
    ("unknown member", {"also": "this"}, 422, "invalid_request", "/also"),
    ("no requests", {"certificate_requests": {}}, 422, "invalid_request", "/certificate_requests"),
    ("statement is a number", {"entity_configuration": 7}, 422, "invalid_request", "/entity_configuration"),
    ("no statement", {"entity_configuration": "x" * 20}, 422, "invalid_request", None),
    (
        "requests that are no PEM",
        {"certificate_requests": {"credential": "x", "status": "y"}},
        422,
        "invalid_request",
        None,
    ),
]


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_is_refused_is_named(
    databases: FreshDatabases, tmp_path: Path, changes, status, code, field
):
    async with world(databases, tmp_path) as w:
        refused = problem(await w.post(**changes), status, code)
        if field is not None:
            assert refused["field"] == field
        else:
            assert refused["errors"]
        assert w.host.requests == []


async def test_an_expired_code_and_too_many_attempts(databases: FreshDatabases, tmp_path: Path):
    async with world(databases, tmp_path, enrolments_per_minute=3) as w:
        w.bench.clock.advance(timedelta(hours=25))
        for _ in range(3):
            problem(await w.post(), 403, "enrolment_code_refused")
        limited = await w.post()
        problem(limited, 429, "too_many_requests")
        assert int(limited.headers["retry-after"]) >= 1
        w.bench.clock.advance(timedelta(minutes=1))
        problem(await w.post(), 403, "enrolment_code_refused")


async def test_a_registry_without_its_anchor_enrols_nobody(databases: FreshDatabases, tmp_path: Path):
    from sqlalchemy import delete

    from passport_registry.store import tables

    async with world(databases, tmp_path) as w:
        async with w.ctx.db.write() as conn:
            await conn.execute(delete(tables.authority_certificates))
        problem(await w.post(), 503, "not_initialised")
