"""The command line and the server as a process: what an operator sees, and what the network can do to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from passport_shared.service.bounded_protocol import BoundedHttpProtocol

SERVICE = """
import asyncio, sys
import pathlib
from fastapi import FastAPI
from pydantic_settings import SettingsConfigDict
from sqlalchemy import Column, Table, Text
from passport_shared.service.app import create_app
from passport_shared.service.cli import Command, CommandFailed, ServiceProgram, main
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.health import database_check
from passport_shared.service.routes import management_router
from passport_shared.service.server import CannotServe
from passport_shared.service.settings import ServiceSettings
import contextlib

METADATA = new_metadata()
Table("wards", METADATA, Column("id", Text, primary_key=True))

class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PASSPORT_KIT_")

def build(settings):
    db = Database(settings.database_url, name="kit", durable=settings.durable)
    router = management_router("/api/v1/wards")

    @router.get("/slow")
    async def slow() -> str:
        print("SLOW", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return "done"

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI):
        async with db:
            yield
        print("CLOSED", flush=True)

    return create_app(service="kit", version="9.9", public_url=settings.public_url, routers=[router],
                      lifespan=lifespan, readiness=[database_check(db)])

async def enrol(arguments, settings):
    if arguments.ods != arguments.ods.upper():
        raise CommandFailed("ODS codes are upper case")
    print("enrolled", arguments.ods, settings.public_url)

ENROL = Command(name="tenant enrol", help="enrol", run=enrol, configure=lambda p: p.add_argument("ods"))
PROGRAM = ServiceProgram(
    service="kit", package="kit_process", version="9.9", settings=Settings, metadata=METADATA, build=build,
    commands=[ENROL],
)
"""


@dataclass
class Workplace:
    """A made-up service on disk, with its configuration."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable,
            "-c",
            "import sys; from kit_process import *; sys.exit(main(PROGRAM))",
            *arguments,
        ]

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.environ | changes, capture_output=True, text=True, check=False
        )

    def start(self, listener: socket.socket) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command("serve"),
            env=self.environ | {"PASSPORT_KIT_BIND": f"fd://{listener.fileno()}"},
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    package = tmp_path / "packages" / "kit_process"
    versions = package / "store" / "migrations" / "versions"
    versions.mkdir(parents=True)
    for folder in (package / "store", package / "store" / "migrations"):
        (folder / "__init__.py").touch()
    (package / "__init__.py").write_text(textwrap.dedent(SERVICE))
    _certificate(tmp_path)
    kek = tmp_path / "kek"
    kek.write_text("invented")
    kek.chmod(0o600)
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(tmp_path / "packages"),
        "PASSPORT_KIT_PUBLIC_URL": "https://kit.example",
        "PASSPORT_KIT_DATABASE_URL": f"sqlite:///{tmp_path}/kit.db",
        "PASSPORT_KIT_KEK_FILE": str(kek),
        "PASSPORT_KIT_TLS_CERT_FILE": str(tmp_path / "cert.pem"),
        "PASSPORT_KIT_TLS_KEY_FILE": str(tmp_path / "key.pem"),
    }
    return Workplace(tmp_path, environ)


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)  # noqa: TID251 - real processes live in real time
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(pem)
    (folder / "key.pem").chmod(0o600)


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int
    folder: Path

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.folder / "cert.pem"))

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"https://localhost:{self.port}", verify=self.context, timeout=30)

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("localhost", self.port, ssl=self.context)


@pytest.fixture
def running(workplace: Workplace) -> Iterator[Running]:
    """The service, migrated and serving on a port chosen by the machine."""
    assert workplace.run("revision", "-m", "wards").returncode == 0
    assert workplace.run("migrate").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = workplace.start(listener)
    service = Running(process, port, workplace.folder)
    try:
        with service.client() as client:  # the socket listens already: this waits until somebody answers
            assert client.get("/health/live").status_code == 200
        yield service
    finally:
        process.kill()
        process.communicate()


def test_the_life_of_a_deployment(workplace: Workplace) -> None:
    assert workplace.run("check-config").stdout == "passport-kit: the configuration is usable\n"
    assert workplace.run("revision", "-m", "wards").returncode == 0
    refused = workplace.run("serve")
    assert (refused.returncode, refused.stderr) == (
        1,
        "passport-kit: the database lacks 1 migration(s) (0001): run 'passport-kit migrate' first\n",
    )
    assert workplace.run("migrate", "--check").stdout == "pending: 0001\n"
    assert workplace.run("migrate").stdout == "passport-kit: applied 1 migration(s)\n"
    assert workplace.run("migrate").stdout == "passport-kit: nothing to migrate\n"
    assert workplace.run("migrate", "--check").returncode == 0


def test_commands_of_the_service_itself(workplace: Workplace) -> None:
    assert workplace.run("tenant", "enrol", "RBV").stdout == "enrolled RBV https://kit.example\n"
    refused = workplace.run("tenant", "enrol", "rbv")
    assert (refused.returncode, refused.stderr) == (1, "passport-kit: ODS codes are upper case\n")
    assert workplace.run("tenant").returncode == 2
    assert workplace.run("nonsense").returncode == 2
    assert workplace.run("--version").stdout == "9.9\n"


def test_a_configuration_that_cannot_work_is_explained(workplace: Workplace) -> None:
    (workplace.folder / "kek").chmod(0o644)
    changes = {
        "PASSPORT_KIT_PUBLIC_ULR": "https://x.example",
        "PASSPORT_KIT_PUBLIC_URL": "http://kit.example/",
    }
    checked = workplace.run("check-config", **changes)
    assert checked.returncode == 1
    assert checked.stdout.splitlines() == [
        "PASSPORT_KIT_PUBLIC_ULR: no such setting; did you mean PASSPORT_KIT_PUBLIC_URL?",
        "PASSPORT_KIT_PUBLIC_URL: must be an https:// URL",
    ]
    refused = workplace.run("serve", **changes)
    assert refused.returncode == 1
    assert "PASSPORT_KIT_PUBLIC_ULR: no such setting" in refused.stderr
    readable = workplace.run("serve")
    assert "kek is readable for everybody: chmod o-rwx" in readable.stderr


def test_there_is_no_http_mode(workplace: Workplace) -> None:
    assert workplace.run("migrate").returncode == 0
    without = {k: v for k, v in workplace.environ.items() if "TLS" not in k}
    refused = Workplace(workplace.folder, without).run("serve")
    assert (
        refused.returncode,
        refused.stderr.count("there is no http mode: set PASSPORT_KIT_TLS_CERT_FILE"),
    ) == (1, 1)


def test_a_port_in_use_is_said_so(workplace: Workplace) -> None:
    assert workplace.run("migrate").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = workplace.run("serve", PASSPORT_KIT_BIND=bind)
    assert refused.returncode == 1
    assert f"passport-kit: cannot listen on {bind}: Address already in use" in refused.stderr


def test_the_openapi_document_needs_no_deployment(workplace: Workplace) -> None:
    bare = {k: v for k, v in workplace.environ.items() if not k.startswith("PASSPORT")}
    printed = Workplace(workplace.folder, bare).run("openapi")
    assert printed.returncode == 0, printed.stderr
    assert "/api/v1/wards/slow" in json.loads(printed.stdout)["paths"]


def test_the_settings_table_is_printed(workplace: Workplace) -> None:
    table = workplace.run("check-config", "--markdown").stdout
    assert "| `PASSPORT_KIT_PUBLIC_URL` | required |" in table
    assert "| `PASSPORT_KIT_SHUTDOWN_GRACE` | `20 s` |" in table


def test_it_serves_https_and_stops_gracefully(running: Running) -> None:
    with running.client() as client:
        answer = client.get("/health/ready")
        assert answer.json() == {"status": "ready", "checks": {"database": "ok"}}
        assert "server" not in answer.headers
    process = running.process
    assert process.stdin
    assert process.stdout
    with running.client() as client:
        import concurrent.futures

        with concurrent.futures.ThreadPoolExecutor() as pool:
            open_request = pool.submit(client.get, "/api/v1/wards/slow")
            assert process.stdout.readline() == "SLOW\n"
            process.send_signal(signal.SIGTERM)
            process.stdin.write("go on\n")
            process.stdin.flush()
            assert open_request.result().json() == "done"
    out, err = process.communicate()
    assert (process.returncode, out) == (0, "CLOSED\n"), err
    lines = [json.loads(line) for line in err.splitlines()]
    assert {line["service"] for line in lines} == {"kit"}
    events = [line["event"] for line in lines]
    assert events[0] == "service.started"
    assert events[-1] == "service.stopped"
    assert "http_request.answered" in events


def test_a_client_that_keeps_its_connection_does_not_hold_up_the_stop(running: Running) -> None:
    with running.client() as pooled:
        assert pooled.get("/health/live").status_code == 200
        running.process.send_signal(signal.SIGTERM)
        _, err = running.process.communicate()
    assert running.process.returncode == 0, err
    assert "timeout graceful shutdown exceeded" not in err


def test_a_second_process_on_the_same_file_is_refused(running: Running, workplace: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        second = workplace.start(listener)
        _, err = second.communicate()
    assert second.returncode == 1
    assert f"in use by process {running.process.pid}" in err
    migrate = workplace.run("migrate")
    assert (migrate.returncode, "in use by process" in migrate.stderr) == (1, True)


async def test_plain_http_is_not_spoken(running: Running) -> None:
    reader, writer = await asyncio.open_connection("localhost", running.port)
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(12)
    writer.close()


HEADS = [
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 200_000,
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000,
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x00\x01\x02\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
]


async def test_malformed_or_endless_heads_end_the_connection(running: Running) -> None:
    for head in HEADS:
        reader, writer = await running.raw()
        try:
            writer.write(head)
            await writer.drain()
            answer = await reader.read()
        except ConnectionError:
            answer = b""
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), head[:40]
        writer.close()
    with running.client() as client:
        assert client.get("/health/live").status_code == 200


class _Impatient(BoundedHttpProtocol):
    head_timeout_s = 0.05


async def test_a_head_that_does_not_come_ends_the_connection() -> None:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError("no request ever arrives")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=_Impatient, lifespan="off", log_config=None, ws="none")
        config.load()
        loop = asyncio.get_running_loop()
        state = uvicorn.server.ServerState()
        serving = await loop.create_server(
            lambda: _Impatient(config=config, server_state=state, app_state={}), sock=listener
        )
        for start in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(start)
            assert await reader.read() == b""
            writer.close()
        serving.close()


async def test_a_chunked_body_without_end_is_cut_off(running: Running) -> None:
    reader, writer = await running.raw()
    writer.write(b"POST /api/v1/wards/slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    try:
        for _ in range(64):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass
    answer = await reader.read(16)
    assert answer in (b"", b"HTTP/1.1 413 Con", b"HTTP/1.1 413 Req")
    writer.close()
