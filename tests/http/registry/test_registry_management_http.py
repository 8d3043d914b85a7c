"""The management interface: the whole way of a trust, and every refusal in the promised form."""

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
from passport_registry.operations import anchor, clients, enrolment, publishing
from passport_registry.operations.clients import RegisterClient
from passport_registry.rules.entities import Role
from passport_shared.formats import trust
from passport_shared.formats.trust import Finding
from passport_shared.outbound import Outbound
from passport_shared.wire.clients import ClientKind, Directory, read_directory
from passport_shared.wire.hr_users import subject_hash
from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import client_of, problem, protocol_error
from passport_testkit.clients import ApiClientKit, access_token, api_client
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.keys import key
from passport_testkit.registries import (
    ANN,
    FACTS,
    NAMES,
    PUBLIC_URL,
    R0A,
    RBV,
    RegistryBench,
    registry_bench,
    registry_settings,
)

EVERYTHING = scopes_of("registry")
ORGANISATIONS = "/api/v1/organisations"
STEPS = (
    "REGISTRATION",
    "DPIA",
    "TERMS_OF_USE",
    "MOU",
    "HR_TRAINING",
    "ESR_LINK",
    "TEST_ISSUE",
    "TEST_VERIFY",
)


@dataclass
class Desk:
    """The registry over HTTP, with a client for everybody who calls."""

    http: httpx.AsyncClient
    app: Any
    bench: RegistryBench
    tokens: dict[str, dict[str, str]]

    async def call(
        self, method: str, path: str, body: Any = None, *, by: str = "ops", **headers: str
    ) -> httpx.Response:
        """Call as one of the clients; header names with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, path, json=body, headers={**self.tokens[by], **sent})

    async def ok(self, method: str, path: str, body: Any = None, *, by: str = "ops", **headers: str) -> Any:
        """Call and expect success."""
        answer = await self.call(method, path, body, by=by, **headers)
        assert answer.is_success, answer.text
        return answer.json()

    async def refresh(self, *kits: ApiClientKit) -> None:
        """Fetch access tokens: they live five minutes of the frozen clock."""
        for kit in kits:
            token = await access_token(self.http, kit, PUBLIC_URL, self.bench.clock.now())
            self.tokens[kit.client_id] = {"Authorization": f"Bearer {token}"}

    async def invite(self, ods: str, **changes: Any) -> Any:
        """Add an organisation."""
        body = {
            "ods_code": ods,
            "name": NAMES[ods],
            "contacts": {"hrd": "hrd@trust.invalid"},
            "actor": "op-1",
        }
        return await self.ok("POST", ORGANISATIONS, {**body, **changes})


KITS = {
    "ops": api_client("ops", organisation="*", scopes=EVERYTHING),
    "ann": api_client("ann", kind=ClientKind.PERSON, organisation="*", scopes=EVERYTHING),
    "bea": api_client("bea", kind=ClientKind.PERSON, organisation="*", scopes=EVERYTHING),
    "rbv": api_client("rbv", organisation=RBV, scopes=EVERYTHING),
    "reader": api_client("reader", organisation="*", scopes=["organisations:read"]),
}


@asynccontextmanager
async def desk(databases: FreshDatabases, folder: Path) -> AsyncIterator[Desk]:
    """A registry with its clients registered and their tokens fetched."""
    url = await databases.url("passport_registry")
    async with registry_bench(url, folder) as bench:
        await bench.join(RBV)
        for kit in KITS.values():
            record = kit.record
            cmd = RegisterClient(
                client_id=record.client_id,
                name=record.name,
                kind=record.kind,
                organisation=record.organisation,
                scopes=sorted(record.scopes),
                jwks=[kit.key.public.jwk],
            )
            await clients.register(bench.ctx, cmd, ANN)
    outbound = Outbound(transport=bench.hosts.transport())
    app = build(registry_settings(url, folder), Parts(clock=bench.clock, outbound=outbound, background=False))
    async with client_of(app, base_url=PUBLIC_URL) as http:
        made = Desk(http, app, bench, {"nobody": {}})
        made.bench.ctx = app.state.context
        await made.refresh(*KITS.values())
        yield made


@both_databases
async def test_a_trust_joins_by_the_interface_alone(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        made = await d.invite(R0A, aliases=["MFT"], locality="Greater Manchester")
        assert (made["state"], made["gates"]["G1"]["holds"]) == ("INVITED", False)
        path = f"{ORGANISATIONS}/{R0A}"
        for step in STEPS:
            body = {
                "state": "DONE",
                "done_on": "2021-07-13",
                "evidence": f"doc/{step}",
                "details": dict(FACTS.get(step, {})),  # type: ignore[call-overload]
                "actor": "op-1",
            }
            view = await d.ok("PUT", f"{path}/steps/{step}", body, If_Match='"0"')
            assert (view["version"], view["done_on"]) == (1, "2021-07-13")
        listed = await d.ok("GET", f"{path}/steps")
        assert [item["step"] for item in listed["items"]] == list(STEPS)
        entity = {"role": "VERIFIER", "entity_id": "https://verifier.example/R0A", "actor": "op-1"}
        assert (await d.ok("POST", f"{path}/entities", entity))["mark_carries"] == "ALL"
        code = await d.ok("POST", f"{path}/entities/VERIFIER/enrolment-codes", {"actor": "op-1"})
        hosted = d.bench.host(R0A, Role.VERIFIER)
        await enrolment.enrol(d.bench.ctx, d.bench.request(code["code"], hosted))
        grant = {
            "action": "ask",
            "vct": d.bench.vct("StaffIdentity"),
            "valid_from": "2026-08-01T00:00:00Z",
            "valid_until": "2027-08-01T00:00:00Z",
            "claims": [["family_name"], ["given_name"]],
            "purposes": ["URGENT_LIST"],
        }
        grants = f"{path}/entities/VERIFIER/authorisations"
        proposed = await d.ok("POST", grants, grant, by="ann")
        assert proposed["state"] == "PROPOSED"
        problem(
            await d.call("POST", f"{grants}/{proposed['id']}/approve", {}, by="ann"),
            409,
            "second_person_needed",
        )
        granted = await d.ok("POST", f"{grants}/{proposed['id']}/approve", {}, by="bea")
        assert (granted["state"], granted["four_eyes"]) == ("GRANTED", "PERSONS")
        await publishing.publish(d.bench.ctx)
        view = await d.ok("GET", path)
        assert (view["state"], view["live_to_verify"], view["live_to_issue"]) == (
            "LIVE_VERIFY_ONLY",
            True,
            False,
        )
        asked = trust.may_ask(
            await d.bench.snapshot(),
            "https://verifier.example/R0A",
            d.bench.vct("StaffIdentity"),
            [("family_name",)],
            "URGENT_LIST",
            d.bench.clock.now(),
        )
        assert asked.finding is Finding.AUTHORISED
        assert [item["id"] for item in (await d.ok("GET", grants))["items"]] == [proposed["id"]]


@both_databases
async def test_suspension_compromise_and_reinstatement(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        await d.bench.enrol(RBV, Role.ISSUER)
        await d.bench.pass_steps(RBV)
        await d.bench.grant(RBV, Role.ISSUER, d.bench.issue_grant())
        await publishing.publish(d.bench.ctx)
        path = f"{ORGANISATIONS}/{RBV}/entities/ISSUER"
        suspend = {"kind": "INTEGRITY", "reason": "failed audit", "review_on": "2026-10-01"}
        problem(await d.call("POST", f"{path}/suspend", suspend), 422, "invalid_request")
        view = await d.ok("POST", f"{path}/suspend", {**suspend, "actor": "op-1"})
        assert (view["suspension"], view["live"]) == ("INTEGRITY", False)
        lowered = {**suspend, "kind": "ADMINISTRATIVE"}
        problem(await d.call("POST", f"{path}/suspend", lowered, by="ann"), 409, "conflict")
        back = {"reason": "audit passed"}
        assert (await d.ok("POST", f"{path}/reinstate", back, by="bea"))["suspension"] is None
        problem(await d.call("POST", f"{path}/reinstate", back, by="bea"), 409, "conflict")
        held = (await d.ok("GET", f"{path}/certificates"))["items"]
        assert {item["use"]: item["state"] for item in held} == {"credential": "active", "status": "active"}
        credential = next(item for item in held if item["use"] == "credential")
        gone = await d.ok(
            "POST",
            f"{path}/certificates/{credential['x5t_s256']}/compromise",
            {"reason": "laptop lost"},
            by="ann",
        )
        assert gone["state"] == "compromised"
        problem(
            await d.call(
                "POST", f"{path}/certificates/{'A' * 43}/compromise", {"reason": "laptop lost"}, by="ann"
            ),
            404,
            "not_found",
        )
        view = await d.ok("GET", f"{ORGANISATIONS}/{RBV}")
        assert [item["code"] for item in view["gates"]["G3"]["missing"]] == ["ACTIVE_KEY"]


async def test_editing_needs_the_version_that_was_read(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        path = f"{ORGANISATIONS}/{RBV}"
        read = await d.call("GET", path)
        tag = read.headers["etag"]
        body = {"name": "The Christie", "contacts": {"hr_team": "hr@christie.invalid"}, "actor": "op-1"}
        problem(await d.call("PUT", path, body), 428, "precondition_required")
        changed = await d.call("PUT", path, body, If_Match=tag)
        assert (changed.status_code, changed.json()["name"]) == (200, "The Christie")
        problem(await d.call("PUT", path, body, If_Match=tag), 412, "precondition_failed")
        assert (await d.call("PUT", path, body, If_Match=changed.headers["etag"])).status_code == 200
        step = f"{path}/steps/DPIA"
        record = {"state": "IN_PROGRESS", "actor": "op-1"}
        problem(await d.call("PUT", step, record), 428, "precondition_required")
        assert (await d.call("PUT", step, record, If_Match='"0"')).headers["etag"] == '"1"'
        problem(await d.call("PUT", step, record, If_Match='"0"'), 412, "precondition_failed")
        assert (await d.call("GET", step)).headers["etag"] == '"1"'


async def test_posts_may_be_repeated_under_a_key(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        body = {"ods_code": R0A, "name": NAMES[R0A], "actor": "op-1"}
        first = await d.call("POST", ORGANISATIONS, body, Idempotency_Key="night-1")
        again = await d.call("POST", ORGANISATIONS, body, Idempotency_Key="night-1")
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json() == again.json()
        assert first.headers["location"] == f"{ORGANISATIONS}/{R0A}"
        other = await d.call("POST", ORGANISATIONS, {**body, "name": "Another"}, Idempotency_Key="night-1")
        problem(other, 422, "idempotency_key_reused")
        problem(await d.call("POST", ORGANISATIONS, body), 409, "already_exists")
        await d.ok(
            "POST",
            f"{ORGANISATIONS}/{R0A}/entities",
            {"role": "ISSUER", "entity_id": "https://issuer.example/R0A", "actor": "op-1"},
        )
        codes = f"{ORGANISATIONS}/{R0A}/entities/ISSUER/enrolment-codes"
        shown = await d.ok("POST", codes, {"actor": "op-1"}, Idempotency_Key="code-1")
        hidden = await d.ok("POST", codes, {"actor": "op-1"}, Idempotency_Key="code-1")
        assert (hidden["id"], hidden["code"]) == (shown["id"], None)


async def test_lists_are_paged(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        for number in range(5):
            await d.bench.join(f"RA{number}")
        seen, cursor = [], None
        while True:
            query = "?limit=2" + (f"&cursor={cursor}" if cursor else "")
            page = await d.ok("GET", f"{ORGANISATIONS}{query}")
            seen += [item["ods_code"] for item in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == ["RA0", "RA1", "RA2", "RA3", "RA4", RBV]
        problem(await d.call("GET", f"{ORGANISATIONS}?cursor=AAAA"), 400, "bad_request")
        problem(await d.call("GET", f"{ORGANISATIONS}?limit=0"), 422, "invalid_request")
        own = await d.ok("GET", ORGANISATIONS, by="rbv")
        assert [item["ods_code"] for item in own["items"]] == [RBV]
        page = await d.ok("GET", "/api/v1/clients?limit=2")
        assert [item["client_id"] for item in page["items"]] == ["ann", "bea"]


async def test_clients_are_registered_rotated_and_suspended(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        new = api_client("new-system", organisation=RBV, scopes=["organisations:read"])
        body = {
            "client_id": "new-system",
            "name": "A new HR system",
            "kind": "MACHINE",
            "organisation": RBV,
            "scopes": ["organisations:read"],
            "jwks": {"keys": [new.key.public.jwk]},
            "actor": "op-1",
        }
        made = await d.call("POST", "/api/v1/clients", body)
        assert made.status_code == 201, made.text
        await d.refresh(new)
        assert (await d.call("GET", f"{ORGANISATIONS}/{RBV}", by="new-system")).status_code == 200
        second = {"jwk": key("new-system second").public.jwk, "actor": "op-1"}
        assert len((await d.ok("POST", "/api/v1/clients/new-system/keys", second))["jwks"]["keys"]) == 2
        removed = await d.ok(
            "POST",
            f"/api/v1/clients/new-system/keys/{new.key.kid}/remove",
            {"reason": "key rolled", "actor": "op-1"},
        )
        assert len(removed["jwks"]["keys"]) == 1
        read = await d.call("GET", "/api/v1/clients/new-system")
        scopes = {"scopes": ["organisations:read", "entities:read"], "actor": "op-1"}
        wider = await d.call(
            "PUT", "/api/v1/clients/new-system/scopes", scopes, If_Match=read.headers["etag"]
        )
        assert wider.json()["scopes"] == ["entities:read", "organisations:read"]
        problem(
            await d.call("PUT", "/api/v1/clients/new-system/scopes", scopes, If_Match=read.headers["etag"]),
            412,
            "precondition_failed",
        )
        why = {"reason": "key found in a log", "actor": "op-1"}
        assert (await d.ok("POST", "/api/v1/clients/new-system/suspend", why))["state"] == "SUSPENDED"
        problem(await d.call("GET", f"{ORGANISATIONS}/{RBV}", by="new-system"), 401, "unauthenticated")
        other = {**body, "jwks": {"keys": [key("new-system third").public.jwk]}}
        problem(await d.call("POST", "/api/v1/clients", other), 409, "already_exists")
        assert (await d.ok("POST", "/api/v1/clients/new-system/reactivate", why))["state"] == "ACTIVE"
        private = {**body, "client_id": "leaky", "jwks": {"keys": [{**new.key.public.jwk, "d": "A" * 43}]}}
        problem(await d.call("POST", "/api/v1/clients", private), 422, "invalid_request")


async def test_agreements(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        await d.invite(R0A)
        body = {
            "type": "MOU",
            "version": "1.0",
            "parties": [RBV, R0A],
            "movement_types": ["URGENT_LIST"],
            "max_days": 180,
            "effective": "2026-04-01",
            "actor": "op-1",
        }
        made = await d.call("POST", "/api/v1/agreements", body)
        assert made.status_code == 201, made.text
        path = made.headers["location"]
        assert (await d.ok("GET", path, by="rbv"))["parties"] == [RBV, R0A]
        refused = await d.call("POST", "/api/v1/agreements", {**body, "parties": [RBV, "RXX"]})
        assert [e["pointer"] for e in problem(refused, 422, "invalid_request")["errors"]] == ["/parties/1"]
        ended = await d.call("POST", f"{path}/end", {"actor": "op-1"}, If_Match=made.headers["etag"])
        assert ended.json()["state"] == "ENDED"
        problem(
            await d.call("POST", f"{path}/end", {"actor": "op-1"}, If_Match=ended.headers["etag"]),
            409,
            "conflict",
        )
        assert len((await d.ok("GET", "/api/v1/agreements"))["items"]) == 1


SOME_ID = "0198c0de-0000-7000-8000-000000000000"
WRITES: list[tuple[str, str, Any]] = [
    ("POST", ORGANISATIONS, {"ods_code": R0A, "name": NAMES[R0A], "actor": "p-1"}),
    ("PUT", f"{ORGANISATIONS}/{RBV}/steps/DPIA", {"state": "IN_PROGRESS", "actor": "p-1"}),
    (
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities",
        {"role": "ISSUER", "entity_id": "https://i.example/RBV", "actor": "p"},
    ),
    ("POST", f"{ORGANISATIONS}/{RBV}/entities/ISSUER/enrolment-codes", {"actor": "p-1"}),
    (
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/suspend",
        {"kind": "INTEGRITY", "reason": "failed audit", "review_on": "2026-10-01", "actor": "p-1"},
    ),
    ("POST", f"{ORGANISATIONS}/{RBV}/entities/ISSUER/reinstate", {"reason": "audit passed", "actor": "p-1"}),
    (
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/certificates/{'A' * 43}/compromise",
        {"reason": "laptop lost", "actor": "p-1"},
    ),
    (
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations",
        {
            "action": "issue",
            "vct": "https://registry.example/vct/StaffIdentity/1",
            "valid_from": "2026-08-01T00:00:00Z",
            "valid_until": "2027-08-01T00:00:00Z",
            "max_validity_s": 60,
            "actor": "p-1",
        },
    ),
    ("POST", f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations/{SOME_ID}/approve", {"actor": "p-1"}),
    (
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations/{SOME_ID}/withdraw",
        {"reason": "not needed", "actor": "p-1"},
    ),
    (
        "POST",
        "/api/v1/agreements",
        {
            "type": "MOU",
            "version": "1",
            "parties": [RBV, R0A],
            "movement_types": [],
            "effective": "2026-04-01",
            "actor": "p-1",
        },
    ),
    ("POST", f"/api/v1/agreements/{SOME_ID}/end", {"actor": "p-1"}),
    (
        "POST",
        "/api/v1/clients",
        {
            "client_id": "abc",
            "name": "abc",
            "kind": "MACHINE",
            "organisation": "*",
            "scopes": ["organisations:read"],
            "jwks": {"keys": [key("abc").public.jwk]},
            "actor": "p-1",
        },
    ),
    ("PUT", "/api/v1/clients/ops/scopes", {"scopes": ["organisations:read"], "actor": "p-1"}),
    ("POST", "/api/v1/clients/ops/keys", {"jwk": key("abc").public.jwk, "actor": "p-1"}),
    ("POST", f"/api/v1/clients/ops/keys/{'A' * 43}/remove", {"reason": "key rolled", "actor": "p-1"}),
    ("POST", "/api/v1/clients/ops/suspend", {"reason": "no reason at all", "actor": "p-1"}),
    ("POST", "/api/v1/clients/ops/reactivate", {"reason": "no reason at all", "actor": "p-1"}),
]
READS = [
    ORGANISATIONS,
    f"{ORGANISATIONS}/{RBV}",
    f"{ORGANISATIONS}/{RBV}/steps",
    f"{ORGANISATIONS}/{RBV}/steps/DPIA",
    f"{ORGANISATIONS}/{RBV}/entities",
    f"{ORGANISATIONS}/{RBV}/entities/ISSUER",
    f"{ORGANISATIONS}/{RBV}/entities/ISSUER/certificates",
    f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations",
    f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations/{SOME_ID}",
    "/api/v1/agreements",
    f"/api/v1/agreements/{SOME_ID}",
    "/api/v1/clients",
    "/api/v1/clients/ops",
]


@both_databases
async def test_nobody_and_the_wrong_scope_get_nothing(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        for method, path, body in [*WRITES, *[("GET", path, None) for path in READS]]:
            problem(await d.call(method, path, body, by="nobody"), 401, "unauthenticated")
            if not (method == "GET" and path in {ORGANISATIONS, f"{ORGANISATIONS}/{RBV}"}):
                problem(await d.call(method, path, body, by="reader", If_Match="*"), 403, "forbidden")


async def test_a_trusts_own_client_reads_its_own_and_writes_nothing_of_the_network(
    databases: FreshDatabases, tmp_path: Path
):
    async with desk(databases, tmp_path) as d:
        await d.invite(R0A)
        for method, path, body in WRITES:
            problem(await d.call(method, path, body, by="rbv", If_Match="*"), 403, "forbidden")
        for path in READS:
            other = path.replace(f"/{RBV}", f"/{R0A}")
            if other != path:
                problem(await d.call("GET", other, by="rbv"), 404, "not_found")
        # Its own contacts a trust keeps itself.
        own = await d.call("GET", f"{ORGANISATIONS}/{RBV}", by="rbv")
        body = {"name": "The Christie", "contacts": {"hrd": "office of the HRD"}, "actor": "p-1"}
        changed = await d.call("PUT", f"{ORGANISATIONS}/{RBV}", body, by="rbv", If_Match=own.headers["etag"])
        assert changed.status_code == 200
        foreign = await d.call("PUT", f"{ORGANISATIONS}/{R0A}", body, by="rbv", If_Match="*")
        problem(foreign, 404, "not_found")


MALFORMED: list[tuple[str, str, str, Any, str]] = [
    ("no name", "POST", ORGANISATIONS, {"ods_code": R0A, "actor": "p"}, "/name"),
    (
        "lower-case code",
        "POST",
        ORGANISATIONS,
        {"ods_code": "r0a", "name": "Some Trust", "actor": "p"},
        "/ods_code",
    ),
    (
        "unknown member",
        "POST",
        ORGANISATIONS,
        {"ods_code": R0A, "name": "Some Trust", "state": "LIVE", "actor": "p"},
        "/state",
    ),
    (
        "unknown contact",
        "POST",
        ORGANISATIONS,
        {"ods_code": R0A, "name": "Some Trust", "contacts": {"pager": "1"}, "actor": "p"},
        "/contacts/pager",
    ),
    (
        "a person's name as actor",
        "POST",
        ORGANISATIONS,
        {"ods_code": R0A, "name": "Some Trust", "actor": "Ann Example"},
        "/actor",
    ),
    (
        "a step that contradicts itself",
        "PUT",
        f"{ORGANISATIONS}/{RBV}/steps/DPIA",
        {"state": "DONE", "actor": "p-1"},
        "/done_on",
    ),
    (
        "an identifier of another trust",
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities",
        {"role": "ISSUER", "entity_id": "https://i.example/R0A", "actor": "p-1"},
        "/entity_id",
    ),
    (
        "a role nobody has",
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities",
        {"role": "OWNER", "entity_id": "https://i.example/RBV", "actor": "p-1"},
        "/role",
    ),
    (
        "a suspension without a reason",
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/suspend",
        {"kind": "INTEGRITY", "reason": "no", "review_on": "2026-10-01", "actor": "p-1"},
        "/reason",
    ),
    (
        "an instant without a zone",
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations",
        {
            "action": "issue",
            "vct": "x",
            "valid_from": "2026-08-01T00:00:00",
            "valid_until": "2027-08-01T00:00:00Z",
            "actor": "p",
        },
        "/valid_from",
    ),
    (
        "an instant of another age",
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations",
        {
            "action": "issue",
            "vct": "x",
            "valid_from": "0001-01-01T00:00:00+14:00",
            "valid_until": "0001-01-02T00:00:00+14:00",
            "actor": "p-1",
        },
        "/valid_from",
    ),
    (
        "an unknown type",
        "POST",
        f"{ORGANISATIONS}/{RBV}/entities/ISSUER/authorisations",
        {
            "action": "issue",
            "vct": "https://registry.example/vct/Nothing/1",
            "valid_from": "2026-08-01T00:00:00Z",
            "valid_until": "2027-08-01T00:00:00Z",
            "max_validity_s": 60,
            "actor": "p-1",
        },
        "/vct",
    ),
    (
        "one party",
        "POST",
        "/api/v1/agreements",
        {
            "type": "MOU",
            "version": "1",
            "parties": [RBV],
            "movement_types": [],
            "effective": "2026-04-01",
            "actor": "p",
        },
        "/parties",
    ),
]


async def test_malformed_bodies_are_named_field_by_field(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        for name, method, path, body, pointer in MALFORMED:
            refused = problem(await d.call(method, path, body, If_Match='"0"'), 422, "invalid_request")
            pointers = [error["pointer"] for error in refused.get("errors", [])] or [refused["field"]]
            assert any(found == pointer or found.startswith(f"{pointer}/") for found in pointers), (
                name,
                refused,
            )


async def test_bodies_that_are_no_json_are_400(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        headers = {**d.tokens["ops"], "content-type": "application/json"}
        for body in (b"{", b'{"a":1,"a":2}', b"\xff", b'{"a":NaN}', b"[" * 100_000):
            answer = await d.http.post(ORGANISATIONS, content=body, headers=headers)
            problem(answer, 400, "bad_request")
        wrong = await d.http.post(
            ORGANISATIONS, content=b"{}", headers={**d.tokens["ops"], "content-type": "text/plain"}
        )
        problem(wrong, 415, "unsupported_media_type")
        large = await d.http.post(ORGANISATIONS, content=b" " * 300_000, headers=headers)
        problem(large, 413, "too_large")


@pytest.mark.parametrize(
    "path",
    [
        f"{ORGANISATIONS}/RXX",
        f"{ORGANISATIONS}/RXX/steps",
        f"{ORGANISATIONS}/RXX/entities",
        f"{ORGANISATIONS}/{RBV}/entities/VERIFIER",
        f"{ORGANISATIONS}/{RBV}/entities/VERIFIER/certificates",
        f"{ORGANISATIONS}/{RBV}/entities/VERIFIER/authorisations",
        f"/api/v1/agreements/{SOME_ID}",
        "/api/v1/clients/nobody",
    ],
)
async def test_what_is_not_there_is_404(databases: FreshDatabases, tmp_path: Path, path):
    async with desk(databases, tmp_path) as d:
        problem(await d.call("GET", path), 404, "not_found")


async def test_tokens_end_and_assertions_count_once(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        form = KITS["ops"].token_request(PUBLIC_URL, d.bench.clock.now())
        assert (await d.http.post("/oauth2/token", data=form)).status_code == 200
        protocol_error(await d.http.post("/oauth2/token", data=form), 401, "invalid_client")
        wrong = KITS["ops"].token_request("https://issuer.example", d.bench.clock.now())
        protocol_error(await d.http.post("/oauth2/token", data=wrong), 401, "invalid_client")
        d.bench.clock.advance(timedelta(minutes=6))
        problem(await d.call("GET", ORGANISATIONS), 401, "unauthenticated")


HR_USER = {"roles": ["HR_ISSUER"], "training_passed_on": "2026-01-15", "actor": "admin-1"}


async def directory_of(d: Desk) -> Directory:
    """What every other service of the network reads."""
    await publishing.publish(d.bench.ctx)
    answer = await d.http.get("/client-directory")
    assert answer.status_code == 200, answer.text
    jwks = [(await anchor.signing_key(d.bench.ctx, anchor.CLIENT_DIRECTORY)).public.as_jwk()]
    return read_directory(answer.content, jwks, iss=PUBLIC_URL, now=d.bench.clock.now())


@both_databases
async def test_a_trust_names_its_hr_users_and_every_service_learns_them(
    databases: FreshDatabases, tmp_path: Path
):
    async with desk(databases, tmp_path) as d:
        path = f"{ORGANISATIONS}/{RBV}/hr-users"
        assert RBV not in (await directory_of(d)).keep_hr_users
        made = await d.call("PUT", f"{path}/hr-7f31", HR_USER, by="rbv", If_Match='"0"')
        assert made.status_code == 200, made.text
        assert (made.json()["trained_until"], made.headers["etag"]) == ("2027-01-15", '"1"')
        assert [item["subject"] for item in (await d.ok("GET", path, by="rbv"))["items"]] == ["hr-7f31"]
        held = await directory_of(d)
        assert held.keep_hr_users == {RBV}
        user = held.hr_users[RBV, subject_hash(RBV, "hr-7f31")]
        assert (sorted(user.roles), str(user.trained_until)) == (["HR_ISSUER"], "2027-01-15")
        problem(
            await d.call("PUT", f"{path}/hr-7f31", HR_USER, by="rbv", If_Match='"0"'),
            412,
            "precondition_failed",
        )
        problem(await d.call("PUT", f"{path}/hr-7f31", HR_USER, by="rbv"), 428, "precondition_required")
        gone = await d.call("POST", f"{path}/hr-7f31/remove", {"actor": "admin-1"}, by="rbv", If_Match='"1"')
        assert (gone.status_code, gone.content) == (204, b"")
        problem(await d.call("GET", f"{path}/hr-7f31", by="rbv"), 404, "not_found")
        # Nobody is left, and nobody may act: removing the last one does not open the door.
        held = await directory_of(d)
        assert (sorted(held.keep_hr_users), len(held.hr_users)) == ([RBV], 0)
        assert (await d.ok("GET", f"{ORGANISATIONS}/{RBV}"))["keeps_hr_users"] is True


async def test_hr_users_are_their_own_trusts_business(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        await d.invite(R0A)
        path = f"{ORGANISATIONS}/{R0A}/hr-users/hr-1"
        problem(await d.call("PUT", path, HR_USER, by="rbv", If_Match='"0"'), 404, "not_found")
        problem(await d.call("GET", path, by="rbv"), 404, "not_found")
        problem(await d.call("GET", path, by="reader"), 403, "forbidden")
        nobody = f"{ORGANISATIONS}/RXX/hr-users/hr-1"
        problem(await d.call("PUT", nobody, HR_USER, If_Match='"0"'), 404, "not_found")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"roles": []}, "/roles"),
        ({"roles": ["KING"]}, "/roles/0"),
        ({"training_passed_on": "2999-01-01"}, "/training_passed_on"),
        ({"name": "Ann"}, "/name"),
    ],
)
async def test_a_wrong_hr_user_is_answered_by_field(
    databases: FreshDatabases, tmp_path: Path, change: dict[str, Any], pointer: str
):
    async with desk(databases, tmp_path) as d:
        path = f"{ORGANISATIONS}/{RBV}/hr-users/hr-1"
        answer = await d.call("PUT", path, {**HR_USER, **change}, by="rbv", If_Match='"0"')
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer], answer.text
        assert answer.status_code == 422


@both_databases
async def test_a_sandbox_says_so_in_its_marks_for_ever(databases: FreshDatabases, tmp_path: Path):
    async with desk(databases, tmp_path) as d:
        made = await d.invite(R0A, sandbox=True)
        assert made["sandbox"] is True
        await d.bench.enrol(R0A, Role.VERIFIER)
        await d.bench.pass_steps(R0A)
        await publishing.publish(d.bench.ctx)
        snapshot = await d.bench.snapshot()
        now = d.bench.clock.now()
        assert trust.of_sandbox(snapshot, "https://verifier.example/R0A", now=now)
        register = (await d.http.get("/register")).json()["items"]
        assert {item["ods_code"]: item["sandbox"] for item in register} == {R0A: True, RBV: False}
        body = {"name": "No sandbox any more", "sandbox": False, "actor": "op-1"}
        answer = await d.call("PUT", f"{ORGANISATIONS}/{R0A}", body, If_Match='"1"')
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/sandbox"]
