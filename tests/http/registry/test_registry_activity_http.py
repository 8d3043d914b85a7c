"""Activity over HTTP: signed events taken once, imports, and reports in their three forms."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from passport_registry.app import Parts, build
from passport_registry.operations import clients
from passport_registry.operations.clients import RegisterClient
from passport_registry.rules.reports import ReportName
from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import Outbound
from passport_shared.service import jobs, keys, outbox
from passport_shared.service.db import new_metadata
from passport_shared.service.http_signatures import sign_request
from passport_shared.service.jobs import Leases
from passport_shared.service.keys import Kek, KeyStore
from passport_shared.service.outbox import Outbox
from passport_shared.service.service_client import client_jwks
from passport_shared.wire.activity import EVENTS_PATH
from passport_shared.wire.clients import ClientKind, ClientState
from passport_testkit.apps import client_of, problem
from passport_testkit.clients import ApiClientKit, access_token, api_client
from passport_testkit.databases import FreshDatabases, at_once
from passport_testkit.keys import key
from passport_testkit.pilot_activity import F1_PRINTED, F2_PRINTED, imported, live
from passport_testkit.registries import (
    ANN,
    PUBLIC_URL,
    RBV,
    RegistryBench,
    join_pilot,
    registry_bench,
    registry_settings,
)

MEDIA_TYPE = "application/cloudevents+json"
IMPORTS = "/api/v1/activity/imports"
FACTS = "/api/v1/activity/facts"
REPORTS = "/api/v1/reports"
BASELINE = f"{REPORTS}/baselines/HONORARY_CONTRACT/*"

KITS = {
    "issuer": api_client("issuer", organisation="*", scopes=["activity:write"]),
    "christie": api_client("christie", organisation=RBV, scopes=["activity:write", "activity:read"]),
    "region": api_client(
        "region",
        organisation="*",
        scopes=["activity:read", "activity:write", "reports:read", "reports:write"],
    ),
    "nosy": api_client("nosy", organisation="*", scopes=["organisations:read"]),
}


@dataclass
class Office:
    """The registry over HTTP and those who call it."""

    http: httpx.AsyncClient
    bench: RegistryBench
    tokens: dict[str, dict[str, str]]

    def signed(
        self,
        event: Any,
        *,
        by: SigningKey | None = None,
        url: str = f"{PUBLIC_URL}{EVENTS_PATH}",
        age: timedelta = timedelta(0),
        media_type: str = MEDIA_TYPE,
    ) -> tuple[bytes, dict[str, str]]:
        """The body and headers an outbox would send."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        headers = sign_request(
            method="POST",
            url=url,
            content_type=media_type,
            body=body,
            key=by or KITS["issuer"].key,
            at=self.bench.clock.now() - age,
        )
        return body, {**headers, "Content-Type": media_type}

    async def post(self, event: Any, **how: Any) -> httpx.Response:
        """Post an event as an outbox would."""
        body, headers = self.signed(event, **how)
        return await self.http.post(EVENTS_PATH, content=body, headers=headers)

    async def call(self, method: str, path: str, body: Any = None, *, by: str = "region", **headers: str):
        """Call a management operation."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.request(method, path, json=body, headers={**self.tokens[by], **sent})


@asynccontextmanager
async def office(databases: FreshDatabases, folder: Path, **settings: Any) -> AsyncIterator[Office]:
    url = await databases.url("passport_registry")
    async with registry_bench(url, folder) as bench:
        await join_pilot(bench, with_steps=bool(settings.pop("steps", False)))
        for kit in KITS.values():
            await register(bench, kit)
    outbound = Outbound(transport=bench.hosts.transport())
    app = build(
        registry_settings(url, folder, **settings),
        Parts(clock=bench.clock, outbound=outbound, background=False),
    )
    async with client_of(app, base_url=PUBLIC_URL) as http:
        bench.ctx = app.state.context
        tokens: dict[str, dict[str, str]] = {"nobody": {}}
        for name, kit in KITS.items():
            token = await access_token(http, kit, PUBLIC_URL, bench.clock.now())
            tokens[name] = {"Authorization": f"Bearer {token}"}
        yield Office(http, bench, tokens)


async def register(bench: RegistryBench, kit: ApiClientKit) -> None:
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


def event_of(number: int = 0, **changes: Any) -> dict[str, Any]:
    """One of the nine passports as the issuer tells it."""
    made = [one for one in live() if one.id.startswith("live-issued")][number]
    event = {
        "specversion": "1.0",
        "id": made.id,
        "source": "https://issuer.example",
        "type": made.kind.value,
        "time": "2026-09-01T12:00:00.000Z",
        "datacontenttype": "application/json",
        "organisation": made.ods,
        "data": made.fact.model_dump(mode="json"),
    }
    return {**event, **changes}


def import_body(**changes: Any) -> dict[str, Any]:
    """F1 less what the demonstration makes."""
    facts = [
        {
            "id": one.id,
            "type": one.kind.value,
            "data": one.fact.model_dump(mode="json", exclude_defaults=True),
        }
        for one in imported()
    ]
    return {"source_note": "GM pilot report, table 4.2", "facts": facts, "actor": "op-1", **changes}


async def test_an_event_is_taken_once(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        first = await o.post(event_of())
        assert (first.status_code, first.json()) == (201, {"taken": "NEW"})
        again = await o.post(event_of())
        assert (again.status_code, again.json()) == (200, {"taken": "KNOWN"})
        other = event_of()
        other["data"]["day"] = "2026-08-30"
        problem(await o.post(other), 409, "event_id_reused")
        with_subject = event_of(1, subject="passport-17")
        assert (await o.post(with_subject)).status_code == 201
        listed = (await o.call("GET", FACTS)).json()["items"]
        assert [one["id"] for one in listed] == sorted([event_of()["id"], with_subject["id"]])
        assert "passport-17" not in json.dumps(listed)


async def test_a_signature_is_asked_for_and_checked(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        bare = await o.http.post(EVENTS_PATH, json=event_of(), headers={"Content-Type": MEDIA_TYPE})
        assert "missing" in problem(bare, 401, "signature_refused")["detail"]
        cases: list[tuple[dict[str, Any], str]] = [
            ({"by": key("a stranger")}, "unknown_key"),
            ({"url": "https://elsewhere.example/api/v1/activity/events"}, "signature"),
            ({"age": timedelta(minutes=6)}, "too_old"),
            ({"age": -timedelta(minutes=2)}, "in_future"),
        ]
        for how, reason in cases:
            refused = await o.post(event_of(), **how)
            assert reason in problem(refused, 401, "signature_refused")["detail"]
        body, headers = o.signed(event_of())
        altered = await o.http.post(EVENTS_PATH, content=body.replace(b"RBV", b"R0A"), headers=headers)
        assert "digest" in problem(altered, 401, "signature_refused")["detail"]
        unsigned = await o.http.post(
            EVENTS_PATH, content=body, headers={**headers, "Signature": "passport=:AAAA:"}
        )
        problem(unsigned, 401, "signature_refused")
        assert (await o.call("GET", FACTS)).json()["items"] == []


async def test_only_an_active_client_with_the_scope_reports_for_its_own(
    databases: FreshDatabases, tmp_path: Path
):
    async with office(databases, tmp_path) as o:
        problem(await o.post(event_of(), by=KITS["nosy"].key), 403, "forbidden")
        assert (await o.post(event_of(), by=KITS["christie"].key)).status_code == 201
        problem(await o.post(event_of(2), by=KITS["christie"].key), 403, "forbidden")
        await clients.set_state(o.bench.ctx, "issuer", ClientState.SUSPENDED, ANN, reason="on purpose")
        problem(await o.post(event_of(2)), 403, "forbidden")
        await clients.set_state(o.bench.ctx, "issuer", ClientState.ACTIVE, ANN, reason="on purpose")
        await clients.remove_key(o.bench.ctx, "issuer", KITS["issuer"].key.kid, ANN)
        problem(await o.post(event_of(2)), 401, "signature_refused")


async def test_what_is_no_event_is_refused_in_the_promised_form(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        refusals: list[tuple[Any, int, str]] = [
            (event_of(type="presentation_request.created"), 422, "invalid_request"),
            (event_of(organisation="R0A"), 422, "invalid_request"),
            (event_of(extra="x"), 422, "invalid_request"),
            (event_of(data={**event_of()["data"], "source": "imported"}), 422, "invalid_request"),
            (event_of(data={**event_of()["data"], "day": "2026-09-03"}), 422, "invalid_request"),
            (event_of(data={**event_of()["data"], "name": "Aisha"}), 422, "invalid_request"),
            (
                event_of(organisation="RX9", data={**event_of()["data"], "employing_ods": "RX9"}),
                422,
                "invalid_request",
            ),
            ([event_of()], 400, "bad_request"),
            (b"{", 400, "bad_request"),
            (b'{"a": 1, "a": 2}', 400, "bad_request"),
            (b"[" * 2_000, 400, "bad_request"),
            (b" " * 20_000, 413, "too_large"),
        ]
        for sent, status, code in refusals:
            answer = await o.post(sent)
            said = problem(answer, status, code)
            assert "Aisha" not in json.dumps(said)
        problem(await o.post(event_of(), media_type="application/json"), 415, "unsupported_media_type")
        unknown = problem(
            await o.post(event_of(organisation="RX9", data={**event_of()["data"], "employing_ods": "RX9"})),
            422,
            "invalid_request",
        )
        assert [error["pointer"] for error in unknown["errors"]] == ["/organisation"]


async def test_an_import_is_marked_and_counted_once(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        made = await o.call("POST", IMPORTS, import_body(), Idempotency_Key="one")
        assert made.status_code == 201, made.text
        assert (made.json()["imported"], made.json()["known"]) == (60, 0)
        assert (await o.call("POST", IMPORTS, import_body(), Idempotency_Key="one")).json() == made.json()
        again = (await o.call("POST", IMPORTS, import_body())).json()
        assert (again["imported"], again["known"]) == (0, 60)
        assert (await o.call("GET", made.headers["location"])).json() == made.json()
        f1 = (await o.call("GET", f"{REPORTS}/f1")).json()
        assert (f1["n"], f1["live"], f1["imported"]) == (60, 0, 60)
        facts = (await o.call("GET", f"{FACTS}?limit=200")).json()["items"]
        assert {fact["data"]["source"] for fact in facts} == {"imported"}
        assert {fact["import_id"] for fact in facts} == {made.json()["id"]}


async def test_imports_are_refused_whole(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        problem(await o.call("POST", IMPORTS, import_body(), by="nosy"), 403, "forbidden")
        problem(await o.call("POST", IMPORTS, import_body(), by="christie"), 403, "forbidden")
        problem(await o.call("POST", IMPORTS, import_body(facts=[])), 422, "invalid_request")
        problem(await o.call("POST", IMPORTS, import_body(source_note="x")), 422, "invalid_request")
        twice = import_body()
        twice["facts"].append(twice["facts"][0])
        said = problem(await o.call("POST", IMPORTS, twice), 422, "invalid_request")
        assert said["errors"][0]["pointer"] == "/facts/60/id"
        many = import_body()
        many["facts"] = [{**many["facts"][0], "id": f"fact-{number}"} for number in range(1_001)]
        problem(await o.call("POST", IMPORTS, many), 422, "invalid_request")
        many["facts"].pop()
        assert (await o.call("POST", IMPORTS, many)).json()["imported"] == 1_000
        live_one = import_body(facts=[{**import_body()["facts"][0], "data": event_of()["data"]}])
        problem(await o.call("POST", IMPORTS, live_one), 422, "invalid_request")
        reused = import_body(facts=[{**import_body()["facts"][5], "id": "fact-1"}])
        assert (
            problem(await o.call("POST", IMPORTS, reused), 409, "event_id_reused")["field"] == "/facts/0/id"
        )


async def test_a_trusts_client_reads_what_its_trust_reported(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        await o.call("POST", IMPORTS, import_body())
        own = (await o.call("GET", f"{FACTS}?limit=200", by="christie")).json()["items"]
        assert {fact["organisation"] for fact in own} == {RBV}
        assert (await o.call("GET", f"{FACTS}?organisation=R0A", by="christie")).json()["items"] == []
        pages: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (
                await o.call("GET", f"{FACTS}?limit=7&organisation=R0A{cursor and f'&cursor={cursor}'}")
            ).json()
            pages += page["items"]
            cursor = page["next"]
        assert len({fact["id"] for fact in pages}) == len(pages) == 12


async def pilot(o: Office) -> None:
    """Everything of the pilot: imported over HTTP, and the nine as the services tell it."""
    assert (await o.call("POST", IMPORTS, import_body())).status_code == 201
    for one in live():
        event = event_of(
            id=one.id, type=one.kind.value, organisation=one.ods, data=one.fact.model_dump(mode="json")
        )
        assert (await o.post(event)).status_code == 201


async def test_the_pilots_tables_come_out_of_the_interface(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path, steps=True) as o:
        await pilot(o)
        for name, printed in (("f1", F1_PRINTED), ("f2", F2_PRINTED)):
            table = await o.call("GET", f"{REPORTS}/{name}", Accept="text/csv")
            assert table.headers["content-type"] == "text/csv; charset=utf-8"
            assert table.text == printed.replace("\n", "\r\n")
        f1 = (await o.call("GET", f"{REPORTS}/f1")).json()
        figures = {figure["key"]: figure["value"] for figure in f1["figures"]}
        assert (figures["issued"], figures["verified"], figures["registration_days"]) == (38, 40, 219)
        assert f1["period"] == {
            "asked_from": None,
            "asked_to": None,
            "first_day": "2021-07-13",
            "last_day": "2026-09-01",
        }
        f2 = (await o.call("GET", f"{REPORTS}/f2?format=json")).json()
        shares = {figure["key"]: figure["value"] for figure in f2["figures"]}
        assert (shares["share_of_issued"], shares["honorary_contracts"]) == (23.7, 4)
        full = (await o.call("GET", f"{REPORTS}/f1?format=csv&layout=full")).text
        heading, *lines = csv.reader(io.StringIO(full))
        assert heading[5:8] == ["Passports issued", "Issued, live", "Issued, imported"]
        assert [line[0] for line in lines[-3:]] == [
            "Total: GM Integrated Care",
            "Total: Cheshire & Merseyside Integrated Care",
            "Total",
        ]
        assert lines[-1][5:] == ["38", "9", "29", "40", "9", "31"]


@pytest.mark.parametrize("name", [one.value for one in ReportName])
async def test_every_report_has_three_forms(databases: FreshDatabases, tmp_path: Path, name: str):
    async with office(databases, tmp_path) as o:
        for one in live()[:6]:
            event = event_of(
                id=one.id, type=one.kind.value, organisation=one.ods, data=one.fact.model_dump(mode="json")
            )
            assert (await o.post(event)).status_code == 201
        said = (await o.call("GET", f"{REPORTS}/{name}")).json()
        assert (said["name"], said["as_at"], said["n"]) == (
            name,
            "2026-09-01",
            said["live"] + said["imported"],
        )
        table = list(csv.reader(io.StringIO((await o.call("GET", f"{REPORTS}/{name}?format=csv")).text)))
        assert len({len(row) for row in table}) == 1
        for language in ("en", "cy"):
            page = await o.call("GET", f"{REPORTS}/{name}?format=html", Accept_Language=language)
            assert page.headers["content-type"].startswith("text/html")
            assert f'<html lang="{language}"' in page.text
            assert "<table" in page.text
            assert re.search(r'<svg role="img" aria-labelledby="chart-title chart-desc"', page.text)
            assert "<script" not in page.text
            assert not re.search(r"\{\w+\}", page.text), "a fact was not filled in"


async def test_reports_are_asked_for_properly(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        problem(await o.call("GET", f"{REPORTS}/f1", by="nobody"), 401, "unauthenticated")
        problem(await o.call("GET", f"{REPORTS}/f1", by="nosy"), 403, "forbidden")
        for path in ("f9", "F1", "r0"):
            problem(await o.call("GET", f"{REPORTS}/{path}"), 404, "not_found")
        for query in ("from=2026", "to=2026-13", "from=2026-02&to=2026-01", "format=pdf", "layout=wide"):
            problem(await o.call("GET", f"{REPORTS}/f1?{query}"), 422, "invalid_request")
        for accept, kind in (
            ("text/html,application/json", "text/html"),
            ("application/json, text/csv", "application/json"),
            ("text/csv", "text/csv"),
            ("*/*", "application/json"),
            ("image/png", "application/json"),
        ):
            answer = await o.call("GET", f"{REPORTS}/r3", Accept=accept)
            assert answer.headers["content-type"].startswith(kind)


async def test_a_baseline_is_entered_cited_and_shown(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        await pilot(o)
        body = {"minutes": 60, "citation": "Time study, invented", "actor": "op-1"}
        problem(await o.call("PUT", BASELINE, body), 428, "precondition_required")
        made = await o.call("PUT", BASELINE, body, If_Match='"0"')
        assert made.status_code == 200, made.text
        problem(
            await o.call("PUT", BASELINE, {**body, "minutes": 90}, If_Match='"0"'), 412, "precondition_failed"
        )
        problem(await o.call("PUT", BASELINE, {**body, "minutes": 0}, If_Match='"1"'), 422, "invalid_request")
        problem(await o.call("PUT", BASELINE, body, by="nosy", If_Match='"1"'), 403, "forbidden")
        problem(
            await o.call("PUT", f"{REPORTS}/baselines/HONORARY_CONTRACT/RX9", body, If_Match='"0"'),
            404,
            "not_found",
        )
        problem(
            await o.call("PUT", f"{REPORTS}/baselines/A_LETTER/*", body, If_Match='"0"'), 404, "not_found"
        )
        assert [one["minutes"] for one in (await o.call("GET", f"{REPORTS}/baselines")).json()["items"]] == [
            60
        ]
        r5 = (await o.call("GET", f"{REPORTS}/r5")).json()
        assert any("Time study, invented" in note for note in r5["notes"])
        saved = next(figure for figure in r5["figures"] if figure["key"] == "saved_minutes")
        assert (saved["value"], saved["label"]) == (228, "HR minutes saved (estimate)")


async def test_reports_are_public_only_where_the_operator_says_so(databases: FreshDatabases, tmp_path: Path):
    async with office(databases, tmp_path) as o:
        for path in ("/reports", "/reports/f1"):
            assert (await o.http.get(path)).status_code == 404
    (tmp_path / "open").mkdir()
    async with office(databases, tmp_path / "open", public_reports=True) as o:
        listed = await o.http.get("/reports")
        assert listed.status_code == 200
        assert "/reports/r5" in listed.text
        for name in ReportName:
            page = await o.http.get(f"/reports/{name.value}")
            assert page.status_code == 200
            assert "Content-Security-Policy" in page.headers
        assert (await o.http.get("/reports/f9")).status_code == 404
        assert "Pob adroddiad" in (await o.http.get("/reports/f1?lang=cy")).text


OUTBOX_METADATA = new_metadata()
OUTBOX_TABLES = outbox.tables(OUTBOX_METADATA)
OUTBOX_JOBS = jobs.tables(OUTBOX_METADATA)
OUTBOX_KEYS = keys.tables(OUTBOX_METADATA)


async def test_what_an_outbox_sends_is_what_the_registry_counts_once(
    databases: FreshDatabases, tmp_path: Path
):
    first = await databases.open(metadata=OUTBOX_METADATA)
    second = first
    if databases.dialect != "sqlite":
        second = databases.attach(
            first.url.set(drivername="postgresql").render_as_string(hide_password=False)
        )
    replicas = [first, second]
    kek = Kek(bytes(range(32)))
    async with office(databases, tmp_path) as o:
        clock = o.bench.clock
        store = KeyStore(replicas[0], kek, OUTBOX_KEYS, clock)
        [jwk] = (await client_jwks(store))["keys"]
        assert "d" not in jwk
        cmd = RegisterClient(
            client_id="a-service",
            name="An issuer",
            kind=ClientKind.MACHINE,
            organisation="*",
            scopes=["activity:write"],
            jwks=[jwk],
        )
        await clients.register(o.bench.ctx, cmd, ANN)
        app = o.http._transport
        outbound = Outbound(transport=app)
        boxes = [
            Outbox(
                db,
                OUTBOX_TABLES,
                Leases(db, OUTBOX_JOBS, clock),
                KeyStore(db, kek, OUTBOX_KEYS, clock),
                outbound,
                clock,
                source="https://issuer.example",
                sinks=outbox.activity_sinks(PUBLIC_URL, "a-service"),
            )
            for db in replicas
        ]
        async with replicas[0].write() as conn:
            for one in live():
                await boxes[0].emit(
                    conn,
                    type=one.kind.value,
                    subject=f"subject-of-{one.id}",
                    organisation=one.ods,
                    data=one.fact.model_dump(mode="json"),
                )
            await boxes[0].emit(conn, type="movement.changed", subject="m-1", organisation="RM3")
        await at_once(4, lambda place: boxes[place % 2].run())
        await boxes[1].run()
        f1 = (await o.call("GET", f"{REPORTS}/f1")).json()
        assert (f1["n"], f1["live"]) == (18, 18)
        # The cursor is lost and everything is sent again: nothing changes.
        async with replicas[0].write() as conn:
            await conn.execute(OUTBOX_TABLES.sinks.update().values(position=0))
        assert await boxes[0].deliver() == 18
        assert (await o.call("GET", f"{REPORTS}/f1")).json() == f1
        assert "subject-of" not in json.dumps((await o.call("GET", FACTS)).json())
