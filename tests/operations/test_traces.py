"""Traces as an option: one trace through two services, nothing in it about anybody, and nothing when off."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fastapi import APIRouter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind as SdkKind
from opentelemetry.trace import format_span_id, format_trace_id

from passport_registry import app as registry_app
from passport_registry.rules.entities import Role
from passport_shared.outbound import Outbound
from passport_shared.service import job_queue
from passport_shared.service.app import create_app
from passport_shared.service.job_queue import JobQueue
from passport_shared.service.jobs import Periodic, Runner
from passport_shared.service.keys import KeyState
from passport_shared.service.tracing import Tracing
from passport_shared.service.tracing_sdk import FACTS, SdkSpan
from passport_testkit.apps import client_of
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases
from passport_testkit.registries import RBV, registry_settings
from passport_testkit.servers import TlsAuthority
from passport_testkit.trio import InProcess, registry_and_issuer

TRACE, PARENT = "1" * 32, "2" * 16
GIVEN = {"X-Request-ID": "from-the-proxy-42", "Traceparent": f"00-{TRACE}-{PARENT}-01"}
CANARY = "Quillonbeth-Zaffrewick"


class Kept:
    """The spans of one application, by way of the batches that a collector would get."""

    def __init__(self, service: str, *, share: float = 1.0) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(service, "9.9", lambda: self._exporter, share=share)

    def all(self) -> list[ReadableSpan]:
        """What was collected; whole once the application is closed."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str, trace_id: str | None = None) -> ReadableSpan:
        """The one span of this name."""
        named = [span for span in self.all() if span.name == name and trace_id in (None, _trace_id(span))]
        assert len(named) == 1, [(span.name, _trace_id(span)) for span in self.all()]
        return named[0]


def _trace_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return format_trace_id(span.context.trace_id)


def _span_id(span: ReadableSpan) -> str:
    assert span.context is not None
    return format_span_id(span.context.span_id)


def _parent(span: ReadableSpan) -> str | None:
    return None if span.parent is None else format_span_id(span.parent.span_id)


async def test_a_trace_leads_through_both_services(databases: FreshDatabases, tmp_path: Path):
    kept = {service: Kept(service) for service in ("registry", "issuer")}
    tracing = {service: one.tracing for service, one in kept.items()}
    async with registry_and_issuer(databases, tmp_path, tracing=tracing) as duo:
        ctx = duo.issuer.ctx
        code = await duo.registry.code(RBV, Role.ISSUER)
        tenant = await ctx.tenants.get(RBV)
        assert tenant is not None
        keys = {use: await ctx.keys.create(use, RBV, state=KeyState.NEXT) for use in ("credential", "status")}
        body = {"code": code, **await ctx.tenants._request(tenant, keys)}
        # The registry asks the issuer while it answers.
        answer = await duo.registry_http.post(
            "/api/v1/enrolments", json=body, params={"from": CANARY}, headers=GIVEN
        )
        assert answer.status_code == 201, answer.text
        asked = duo.wire.seen[-1]
        await duo.issuer.app.state.runner.run_once()
        await duo.issuer.http.get(f"/{CANARY}/{CANARY}", params={"name": CANARY})
        await duo.registry_http.post(
            "/api/v1/enrolments", json={"code": CANARY}, headers={"Traceparent": CANARY}
        )

    served = kept["registry"].named("POST /api/v1/enrolments", TRACE)
    assert (served.kind, _parent(served)) == (SdkKind.SERVER, PARENT)
    assert served.attributes == {
        "http.request.method": "POST",
        "http.route": "/api/v1/enrolments",
        "http.response.status_code": 201,
    }
    called = kept["registry"].named("GET trust", TRACE)
    assert (called.kind, _parent(called)) == (SdkKind.CLIENT, _span_id(served))
    assert called.attributes == {
        "http.request.method": "GET",
        "passport.peer": "trust",
        "http.response.status_code": 200,
    }
    assert asked.headers["traceparent"] == f"00-{TRACE}-{_span_id(called)}-01"
    assert asked.headers["x-request-id"] == GIVEN["X-Request-ID"]
    other = kept["issuer"].named("GET /{ods:ods}/.well-known/openid-federation", TRACE)
    assert (other.kind, _parent(other)) == (SdkKind.SERVER, _span_id(called))
    writes = [span for span in kept["registry"].all() if span.name == "database write"]
    ours = [span for span in writes if _trace_id(span) == TRACE]
    assert ours
    assert {_parent(span) for span in ours} == {_span_id(served)}
    assert {name for span in writes for name in span.attributes or {}} == {"db.system.name"}

    runs = [span for span in kept["issuer"].all() if span.name.startswith("periodic ")]
    assert {"periodic seal", "periodic status.publish"} <= {span.name for span in runs}
    assert all(span.parent is None and span.kind is SdkKind.INTERNAL for span in runs)
    resource = {json.dumps(dict(span.resource.attributes)) for span in kept["issuer"].all()}
    assert resource == {json.dumps({"service.name": "passport-issuer", "service.version": "9.9"})}

    everything = [span for one in kept.values() for span in one.all()]
    written = "\n".join(span.to_json() for span in everything)
    for never in (
        CANARY,
        RBV,
        "RBV/",
        "registry.example",
        "issuer.example",
        code,
        GIVEN["X-Request-ID"],
        "?",
    ):
        assert never not in written, never
    assert {name for span in everything for name in span.attributes or {}} <= {*FACTS.values(), "error.type"}
    assert not any(span.events or span.links for span in everything)
    assert "GET unmatched" in {span.name for span in everything}


async def test_a_failure_is_told_by_its_reason_and_never_by_its_text():
    kept, wire = Kept("kit"), InProcess()
    outbound = Outbound(transport=wire)
    router = APIRouter()

    @router.post("/api/v1/wards/{ward}")
    async def break_down(ward: str) -> None:
        raise RuntimeError(f"{CANARY} is on {ward}")

    @router.get("/api/v1/elsewhere")
    async def ask_elsewhere() -> None:
        await outbound.get("https://trust.example/away", accept="application/json")

    app = create_app(
        service="kit",
        version="9.9",
        public_url="https://service.example",
        routers=[router],
        tracing=kept.tracing,
    )
    async with outbound, client_of(app) as client:
        assert (await client.post(f"/api/v1/wards/{CANARY}", json={"name": CANARY})).status_code == 500
        assert (await client.get("/api/v1/elsewhere")).status_code == 500
        assert (await client.request("BREW", "/api/v1/elsewhere")).status_code == 405
        for malformed in (
            f"ff-{TRACE}-{PARENT}-01",
            f"00-{'0' * 32}-{PARENT}-01",
            f"00-{TRACE}-{'0' * 16}-01",
        ):
            await client.get("/health/live", headers={"Traceparent": malformed})
        await client.get("/health/ready", headers={"Traceparent": f"00-{TRACE}-{PARENT}-00"})
    broken = kept.named("POST /api/v1/wards/{ward}")
    assert (broken.attributes or {})["error.type"] == "500"
    assert not broken.status.is_ok
    away = kept.named("GET other")
    assert (away.attributes or {})["error.type"] == "connect_failed"
    assert any(span.name.startswith("OTHER ") for span in kept.all())
    assert CANARY not in "\n".join(span.to_json() for span in kept.all())
    # What is no traceparent begins a trace of its own; what the caller does not keep, nobody keeps.
    probes = [span for span in kept.all() if span.name == "GET /health/live"]
    assert len(probes) == 3
    assert all(span.parent is None and _trace_id(span) != TRACE for span in probes)
    assert "GET /health/ready" not in {span.name for span in kept.all()}


def test_a_span_can_tell_nothing_that_has_no_name(tmp_path: Path):
    tracing = Kept("kit").tracing
    tracing.open()
    span = tracing.served(None)
    assert isinstance(span, SdkSpan)
    with pytest.raises(KeyError):
        span.note(path="/RBV/staff")
    asyncio.run(tracing.close())
    assert tracing.served(None) is None


async def test_of_traces_that_begin_here_a_share_is_kept():
    kept = Kept("kit", share=0.0)
    app = create_app(service="kit", version="9.9", public_url="https://service.example", tracing=kept.tracing)
    async with client_of(app) as client:
        await client.get("/health/live")
        await client.get("/health/live", headers=GIVEN)
    assert [_trace_id(span) for span in kept.all()] == [TRACE]


async def test_jobs_and_periodic_runs_leave_a_span_each(databases: FreshDatabases):
    from passport_shared.service import jobs
    from passport_shared.service.db import new_metadata

    metadata = new_metadata()
    tables, clock, kept, seen = jobs.tables(metadata), FrozenClock(), Kept("kit"), []
    db = await databases.open(metadata=metadata)
    wire = InProcess()
    outbound = Outbound(transport=wire)

    async def call_out() -> None:
        seen.append("periodic")
        await outbound.get("https://trust.example/x", accept="application/json")

    async def handle(run: job_queue.JobRun) -> None:
        seen.append(run.job.kind)

    kept.tracing.open()
    runner = Runner(
        db,
        tables,
        clock,
        periodics=[Periodic(name="calls", every=timedelta(seconds=1), run=call_out)],
        handlers={"notice.send": handle},
        tracing=kept.tracing,
    )
    await JobQueue(db, tables, clock).enqueue("notice.send", {"to": CANARY})
    await runner.run_once()
    await kept.tracing.close()
    await outbound.close()
    assert seen == ["periodic", "notice.send"]
    periodic, job, call = (kept.named(name) for name in ("periodic calls", "job notice.send", "GET other"))
    assert periodic.parent is None
    assert job.parent is None
    assert _parent(call) == _span_id(periodic)
    assert (periodic.attributes or {})["error.type"] == "connect_failed"
    assert job.attributes == {}
    assert wire.seen[-1].headers["traceparent"] == f"00-{_trace_id(call)}-{_span_id(call)}-01"


@contextmanager
def collector(folder: Path) -> Iterator[tuple[str, Path, list[tuple[str, str, bytes]]]]:
    """An OTLP/HTTP collector over TLS: its URL, its authority's certificate, and what it was sent."""
    received: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    authority = TlsAuthority(folder / "collector-tls")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context: ssl.SSLContext = authority.server_context("localhost")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}/v1/traces", authority.ca_file, received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_service_sends_its_traces_to_the_configured_collector(
    databases: FreshDatabases, tmp_path: Path
):
    with collector(tmp_path) as (url, ca_file, received):
        settings = registry_settings(
            await databases.url("passport_registry"), tmp_path, traces_endpoint=url, tls_ca_file=ca_file
        )
        app = registry_app.build(settings, registry_app.Parts(clock=FrozenClock(), background=False))
        async with client_of(app) as client:
            assert (await client.get("/health/live", headers=GIVEN)).status_code == 200
    ((path, media_type, body),) = received
    assert (path, media_type) == ("/v1/traces", "application/x-protobuf")
    (group,) = ExportTraceServiceRequest.FromString(body).resource_spans
    told = {item.key: item.value.string_value for item in group.resource.attributes}
    assert told == {"service.name": "passport-registry", "service.version": registry_app.VERSION}
    spans = [span for scope in group.scope_spans for span in scope.spans if span.name == "GET /health/live"]
    assert [(span.trace_id.hex(), span.parent_span_id.hex()) for span in spans] == [(TRACE, PARENT)]


async def test_a_collector_that_is_away_costs_spans_and_nothing_else(
    databases: FreshDatabases, tmp_path: Path
):
    with collector(tmp_path) as (url, ca_file, _):
        pass
    settings = registry_settings(
        await databases.url("passport_registry"), tmp_path, traces_endpoint=url, tls_ca_file=ca_file
    )
    app = registry_app.build(settings, registry_app.Parts(clock=FrozenClock(), background=False))
    async with client_of(app) as client:
        assert (await client.get("/health/live")).status_code == 200


_OFF = """
import asyncio, sys
from pathlib import Path
import httpx
from passport_issuer import app as issuer_app
from passport_verifier import app as verifier_app
from passport_registry import app
from passport_testkit.registries import registry_settings

async def run():
    built = app.build(registry_settings(sys.argv[1], Path(sys.argv[2])), app.Parts(background=False))
    async with built.router.lifespan_context(built):
        transport = httpx.ASGITransport(app=built)
        async with httpx.AsyncClient(transport=transport, base_url="https://registry.example") as client:
            print((await client.get("/health/live")).status_code)

asyncio.run(run())
loaded = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf", "requests",
          "passport_shared.service.tracing_sdk")
print(sorted(name for name in sys.modules if name.startswith(loaded)))
"""
# The framework's own telemetry would send paths, queries and exceptions wherever these point.
_ENVIRONMENT = {
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9/",
}


async def test_off_means_that_nothing_is_loaded_whatever_the_environment_says(
    databases: FreshDatabases, tmp_path: Path
):
    url = await databases.url("passport_registry")
    root = Path(__file__).parents[2]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _OFF, url, str(tmp_path)],
        env={**_ENVIRONMENT, "PYTHONPATH": str(root / "tests" / "support")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["200", "[]"], done.stderr


_WITHOUT_THE_EXTRA = """
import sys
sys.modules["opentelemetry.sdk"] = None
from passport_registry.__main__ import main
main()
"""


@pytest.mark.parametrize("command", ["check-config", "serve"])
def test_a_missing_extra_is_said_in_plain_words(tmp_path: Path, command: str):
    settings = registry_settings(f"sqlite:///{tmp_path}/registry.db", tmp_path)
    prefix = "PASSPORT_REGISTRY_"
    environ = {
        f"{prefix}PUBLIC_URL": settings.public_url,
        f"{prefix}DATABASE_URL": settings.database_url,
        f"{prefix}KEK_FILE": str(settings.kek_file),
        f"{prefix}OPERATOR_ODS_CODE": settings.operator_ods_code,
        f"{prefix}TRACES_ENDPOINT": "https://collector.example:4318/v1/traces",
    }
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_THE_EXTRA, command],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "install passport-registry[traces], or unset PASSPORT_REGISTRY_TRACES_ENDPOINT" in said
    assert "Traceback" not in said
