"""The services as processes on this machine, over https, each with its own SQLite database.

`Stack` is what `make up`, `make demo` and the end-to-end tests share: it writes the settings a person would
write, runs the commands a person would run, waits for readiness and stops what it started. It knows nothing
that the README does not say.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import random
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from deploy.dev import tls
from passport_shared.service import probe

BIN = Path(sys.executable).parent
PORTS = {"registry": 9000, "issuer": 9001, "verifier": 9002}
SIMULATORS = "simulators"
SIMULATORS_PORT = 9003
CLOCK_FILE_NAME = "clock.json"
ROOT = Path(__file__).resolve().parents[2]
OWN_SETTINGS = {
    "registry": {"PUBLIC_REPORTS": "true"},
    "issuer": {"CLIENT_ID": "issuer-service", "NOTICE_ADAPTER": "development"},
    "verifier": {"CLIENT_ID": "verifier-service"},
}
"""What only one of them has: they tell the registry of activity, and notices are shown on a page."""
LASTING_PORTS = (15_000, 32_000)
STOP_WITHIN_S = 15
READY_WITHIN_S = 60
INTERRUPTED = 130
"""What a program ends with after Ctrl-C."""


class StackError(RuntimeError):
    """A service did not start or a command failed; the text says which and shows its last lines."""


@dataclass
class Service:
    """One service: its address, environment, log and, while it runs, its process."""

    name: str
    port: int
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    program: tuple[str, ...] = ()
    """What runs it, where that is not its own `passport-<name>`."""

    @property
    def url(self) -> str:
        """The service's base URL."""
        return f"https://localhost:{self.port}"

    @property
    def address(self) -> str:
        """The `host:port` of the URL."""
        return f"localhost:{self.port}"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / f"{self.name}.log"

    @property
    def _program(self) -> tuple[str, ...]:
        return self.program or (str(BIN / f"passport-{self.name}"),)

    def command(self, *arguments: str, feed: bytes | None = None) -> str:
        """Run one of the service's own commands and return what it printed."""
        done = subprocess.run(
            [*self._program, *arguments],
            env=self.environment,
            input=feed,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).decode(errors="replace")[-2000:]
            raise StackError(
                f"{Path(self._program[-1]).name} {' '.join(arguments)} ended with {done.returncode}: {said}"
            )
        return done.stdout.decode()

    def metrics(self) -> list[str]:
        """What its one replica measures."""
        status, body = probe.ask("/metrics", self.port)
        if status != http.HTTPStatus.OK:
            raise StackError(f"the metrics of {self.name} answered {status}")
        return [body.decode()]

    def start(self) -> None:
        """Start serving in the background."""
        with self.log.open("ab") as log, _whole():
            self.process = subprocess.Popen(
                [*self._program, "serve"],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self, *, kill: bool = False) -> None:
        """Stop it, gently unless `kill`."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def tail(self) -> str:
        """The last lines of its log, for a message to a person."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:]) if self.log.exists() else ""


@dataclass
class Stack:
    """Registry, issuer and verifier below one folder, and beside them the simulated workforce systems."""

    folder: Path
    tls: tls.TlsFiles
    simulators: Service
    services: dict[str, Service] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls, folder: Path, *, tls_folder: Path | None = None, ports: dict[str, int] | None = None
    ) -> Stack:
        """Write keys and settings below `folder` (kept if they are there) and describe the services.

        Args:
            folder: made if it is not there.
            tls_folder: where the development TLS authority lies, if not in `folder`.
            ports: by service, `simulators` among them; the usual ones if not given.
        """
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)  # noqa: TID251  a program's own start
        files = tls.ensure(tls_folder or folder, now=now)
        ports = dict(ports or PORTS)
        simulators_port = ports.pop(SIMULATORS, SIMULATORS_PORT)
        allow = ",".join(f"localhost:{port}" for port in (*ports.values(), simulators_port))
        stack = cls(folder, files, _simulators(folder, files, simulators_port, allow))
        for name, port in ports.items():
            stack.services[name] = Service(name, port, folder, stack._environment(name, port, ports, allow))
        return stack

    def _environment(self, name: str, port: int, ports: dict[str, int], allow: str) -> dict[str, str]:
        settings = {
            "PUBLIC_URL": f"https://localhost:{port}",
            "DATABASE_URL": f"sqlite:///{self.folder / name}.db",
            "KEK_FILE": str(key_encryption_key(self.folder / f"{name}.kek")),
            "TRUST_FILE": str(self.folder / "trust.json"),
            "BIND": f"127.0.0.1:{port}",
            "REGISTRY_URL": f"https://localhost:{ports['registry']}",
            "ENVIRONMENT": "development",
            "TLS_CERT_FILE": str(self.tls.certificate),
            "TLS_KEY_FILE": str(self.tls.key),
            "TLS_CA_FILE": str(self.tls.ca),
            "OUTBOUND_ALLOW": allow,
            # a sandbox shows at once what a network shows within half a minute
            "REGISTRY_POLL": "2",
            "CLOCK_FILE": str(self.clock_file.resolve()),
        } | OWN_SETTINGS.get(name, {})
        own = {f"PASSPORT_{name.upper()}_{key}": value for key, value in settings.items()}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PASSPORT_")}
        return {**inherited, **own}

    @property
    def clock_file(self) -> Path:
        """Where the simulators write how far the sandbox's clock was moved."""
        return self.folder / CLOCK_FILE_NAME

    def database(self, name: str) -> Path:
        """The file of a service's database."""
        return self.folder / f"{name}.db"

    def wait_ready(self, name: str) -> None:
        """Wait until the service, or `simulators`, says it is ready, or say why it is not."""
        service = self.simulators if name == SIMULATORS else self.services[name]
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        deadline = time.monotonic() + READY_WITHIN_S
        last = "no answer"
        while time.monotonic() < deadline:
            if service.process is not None and service.process.poll() is not None:
                raise StackError(f"{name} ended with {service.process.returncode}:\n{service.tail()}")
            try:
                connection = http.client.HTTPSConnection(
                    "localhost", service.port, timeout=5, context=context
                )
                connection.request("GET", "/health/ready")
                answer = connection.getresponse()
                last = f"{answer.status} {answer.read(500).decode(errors='replace')}"
                connection.close()
                if answer.status == http.HTTPStatus.OK:
                    return
            except OSError as error:
                last = str(error)
            time.sleep(0.05)
        raise StackError(f"{name} is not ready ({last}):\n{service.tail()}")

    def stop(self) -> None:
        """Stop all services, the registry last."""
        self.simulators.stop()
        for service in reversed(self.services.values()):
            service.stop()


def _simulators(folder: Path, files: tls.TlsFiles, port: int, allow: str) -> Service:
    """The simulated workforce systems as a process: no database, a few files in a folder of their own."""
    own = folder.resolve() / SIMULATORS
    settings = {
        "PUBLIC_URL": f"https://localhost:{port}",
        "BIND": f"127.0.0.1:{port}",
        "FOLDER": str(own),
        "TRUST_FILE": str(folder.resolve() / "trust.json"),
        "TLS_CERT_FILE": str(files.certificate.resolve()),
        "TLS_KEY_FILE": str(files.key.resolve()),
        "TLS_CA_FILE": str(files.ca.resolve()),
        "OUTBOUND_ALLOW": allow,
        "TOUR": str(ROOT / "out" / "tour" / "index.html"),
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PASSPORT_")}
    environment |= {f"PASSPORT_SIMULATORS_{key}": value for key, value in settings.items()}
    environment |= {
        "PASSPORT_CLOCK_FILE": str(folder.resolve() / CLOCK_FILE_NAME),
        # deploy is no installed package
        "PYTHONPATH": str(ROOT),
    }
    program = (sys.executable, "-m", "deploy.simulators")
    return Service(SIMULATORS, port, folder, environment, program=program)


@contextlib.contextmanager
def _whole() -> Iterator[None]:
    """Hold Ctrl-C back for a moment: a process that is started but not remembered could not be stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if held and before is not signal.SIG_IGN:
        raise KeyboardInterrupt


def key_encryption_key(path: Path) -> Path:
    """A fresh 32-byte key-encryption key at `path`, readable by its owner only, unless one is there."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=") + b"\n")
    return path


def free_ports() -> dict[str, int]:
    """Free ports for the services and the simulators of a stack that runs beside others.

    They lie below those that the machine gives to outgoing connections: a service that is stopped and started
    again must find its own still free.
    """
    with contextlib.ExitStack() as held:
        found: dict[str, int] = {}
        candidates = iter(random.SystemRandom().sample(range(*LASTING_PORTS), k=200))
        for name in (*PORTS, SIMULATORS):
            for port in candidates:
                taken = held.enter_context(socket.socket())
                with contextlib.suppress(OSError):
                    taken.bind(("127.0.0.1", port))
                    found[name] = port
                    break
            else:
                raise StackError("no free ports")
        return found
