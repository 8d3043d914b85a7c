"""The stack of compose.yaml and compose.trial.yaml as the demonstration meets it: through the proxy.

`ContainerStack` writes what docs/running.md has a person write, gives the commands a person would give, and
is a `Deployment` like the processes of `deploy.dev.stack`. Every service has two replicas; commands run in
the first.
"""

from __future__ import annotations

import http
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.containers import copies, secrets_folder
from deploy.containers.engine import ROOT, Engine, said
from deploy.containers.names import LOOPBACK
from deploy.dev import clients
from deploy.dev.clients import Clients
from deploy.dev.stack import CLOCK_FILE_NAME, SIMULATORS, StackError
from deploy.dev.tls import TlsFiles

DOMAIN = "passport.test"
SERVICES = ("registry", "issuer", "verifier")
REPLICAS = ("1", "2")
COMPOSE = (ROOT / "deploy" / "compose.yaml", ROOT / "deploy" / "compose.trial.yaml")
PROJECT_LABEL = "io.podman.compose.project"
READY_WITHIN_S = 300
IMAGES = "localhost/staff-passport"
TAG = "0.1.0"
OFFICIAL = {
    "postgres": "docker.io/library/postgres:17.6-bookworm",
    "proxy": "docker.io/library/haproxy:3.0.21-alpine",
}
"""What compose.yaml takes where it can be pulled, by the service that runs it."""


@dataclass
class ContainerProgram:
    """A service with its replicas, or the simulators."""

    name: str
    port: int
    stack: ContainerStack = field(repr=False)
    containers: tuple[str, ...]
    """Names of its replicas in compose.yaml."""

    @property
    def host(self) -> str:
        """Its host name in the trial."""
        return f"{'systems' if self.name == SIMULATORS else self.name}.{DOMAIN}"

    @property
    def address(self) -> str:
        """The `host:port` of the URL."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The public base URL."""
        return f"https://{self.address}"

    def command(self, *arguments: str, feed: bytes | None = None) -> str:
        """Run one of its commands in its first replica."""
        return self.stack.execute(self.containers[0], "passport", *arguments, feed=feed)

    def metrics(self) -> list[str]:
        """What each replica that runs measures."""
        probe = ("python", "-m", "passport_shared.service.probe", "/metrics")
        return [self.stack.execute(name, *probe) for name in self.containers if self.stack.runs(name)]


@dataclass
class ContainerStack:
    """PostgreSQL, two replicas of each service, the simulators and the proxy, below one folder."""

    folder: Path
    engine: Engine
    project: str
    ports: dict[str, int]
    """`proxy` and `simulators`."""
    services: dict[str, ContainerProgram] = field(default_factory=dict)

    @classmethod
    def prepare(cls, folder: Path, engine: Engine, *, project: str, ports: dict[str, int]) -> ContainerStack:
        """Write secrets and settings below `folder` and describe the stack; nothing is started."""
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        stack = cls(folder, engine, project, ports)
        for name in SERVICES:
            replicas = tuple(f"{name}-{number}" for number in REPLICAS)
            stack.services[name] = ContainerProgram(name, ports["proxy"], stack, replicas)
            (folder / f"{name}.env").write_text("", encoding="utf-8")
        secrets_folder.make(folder, now=datetime.now(UTC), edge=stack.hosts)  # noqa: TID251  a program's own start
        lines = [f"{name}={value}" for name, value in stack.variables().items()]
        (folder / "compose.env").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return stack

    def variables(self) -> dict[str, str]:
        """The variables of compose.yaml and compose.trial.yaml."""
        named = {"PASSPORT_HOME": str(self.folder), "PASSPORT_PORT": str(self.ports["proxy"])}
        named |= {"PASSPORT_ADDRESS": LOOPBACK, "PASSPORT_IMAGES": IMAGES, "PASSPORT_TAG": TAG}
        # a range of its own, so that a trial and a check can run beside each other
        named["SERVICES_NETWORK"] = f"172.30.{self.ports['proxy'] % 256}.0/24"
        for name, service in self.services.items():
            named |= {f"{name.upper()}_HOST": service.host, f"{name.upper()}_URL": service.url}
        named |= {"SYSTEMS_HOST": self.simulators.host, "SYSTEMS_PORT": str(self.ports[SIMULATORS])}
        for name, image in OFFICIAL.items():
            if not self.engine.has_image(image):
                named[f"{name.upper()}_IMAGE"] = f"{IMAGES}/{name}-standin:{TAG}"
        return named

    @property
    def hosts(self) -> list[str]:
        """The host names of the trial."""
        return [service.host for service in (*self.services.values(), self.simulators)]

    @property
    def simulators(self) -> ContainerProgram:
        """The simulated workforce systems: one container, reached without the proxy."""
        return ContainerProgram(SIMULATORS, self.ports[SIMULATORS], self, (SIMULATORS,))

    @property
    def tls(self) -> TlsFiles:
        """The trial's TLS authority; its key is nowhere."""
        edge = self.folder / "secrets" / "edge"
        return TlsFiles(self.folder / "public" / "tls-ca.pem", edge / "tls-cert.pem", edge / "tls-key.pem")

    @property
    def clock_file(self) -> Path:
        """Where the simulators write how far the clock was moved."""
        return self.folder / "clock" / CLOCK_FILE_NAME

    def start(self) -> Clients:
        """The first start, in the order of docs/running.md."""
        self.compose("up", "-d", "postgres")
        self._wait("PostgreSQL", self._database_answers)
        for name in SERVICES:
            self.compose("run", "--rm", "--no-deps", f"{name}-migrate")
        self.compose("run", "--rm", "--no-deps", "registry-migrate", "init", "--out", "/network/trust.json")
        trust = (self.folder / "network" / "trust.json").read_bytes()
        (self.folder / "trust.json").write_bytes(trust)
        self.compose("up", "-d", "--no-deps", "registry-1", "registry-2", "proxy")
        self.wait_ready("registry")
        known = clients.create(self)
        others = [name for one in ("issuer", "verifier") for name in self.services[one].containers]
        self.compose("up", "-d", "--no-deps", *others, SIMULATORS)
        for name in ("issuer", "verifier"):
            self.wait_ready(name)
        clients.register_services(self, known.machine)
        self.wait_ready(SIMULATORS)
        return known

    def wait_ready(self, name: str) -> None:
        """Wait until every replica of a service says it is ready, and the proxy sends requests to it."""
        service = self.simulators if name == SIMULATORS else self.services[name]
        for container in service.containers:
            self.wait_healthy(container)
        self._wait(f"{name} at {service.url}", lambda: self._answers(service))

    def wait_healthy(self, container: str) -> None:
        """Wait until the image's own health check holds in a replica, or say that it does not."""
        self._wait(container, lambda: self.healthy(container))

    def healthy(self, container: str) -> bool:
        """Whether the image's own health check holds in a replica."""
        words = ("healthcheck", "run", self.id_of(container))
        return self.engine.run(*words, check=False).returncode == 0

    def _answers(self, service: ContainerProgram) -> bool:
        """Whether the published port answers with something of ours; 503 is the proxy without replicas."""
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        connection = http.client.HTTPSConnection(service.host, service.port, timeout=5, context=context)
        try:
            connection.request("GET", "/problems")
            return connection.getresponse().status != http.HTTPStatus.SERVICE_UNAVAILABLE
        finally:
            connection.close()

    def _database_answers(self) -> bool:
        probe = ("pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres")
        return self.engine.run("exec", self.id_of("postgres"), *probe, check=False).returncode == 0

    def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        last = ""
        while time.monotonic() < deadline:
            try:
                if holds():
                    return
            except (OSError, StackError, http.client.HTTPException) as error:
                last = str(error)
            time.sleep(0.3)
        raise StackError(f"{what} is not ready within {READY_WITHIN_S} seconds {last}\n{self.logs(40)}")

    def compose(self, *arguments: str) -> str:
        """Run `podman-compose` for this stack."""
        files = [word for path in COMPOSE for word in ("-f", str(path))]
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "podman-compose"),
                *("--podman-run-args=--pull=never", "--env-file", str(self.folder / "compose.env")),
                *("-p", self.project, *files, *arguments),
            ],
            env=self.engine.environment | {"PATH": _path_with_tools()},
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(
                f"podman-compose {' '.join(arguments)} ended with {done.returncode}: {said(done)}\n"
                f"{done.stdout.decode(errors='replace')[-2000:]}"
            )
        return done.stdout.decode()

    def execute(self, container: str, *words: str, feed: bytes | None = None) -> str:
        """Run a program in a replica and return what it printed."""
        interactive = ["--interactive"] if feed is not None else []
        done = self.engine.run("exec", *interactive, self.id_of(container), *words, check=False, feed=feed)
        if done.returncode != 0:
            raise StackError(f"{container}: {' '.join(words)} ended with {done.returncode}: {said(done)}")
        return done.stdout.decode()

    def id_of(self, container: str) -> str:
        """The engine's id of a container of compose.yaml.

        Raises:
            StackError: there is none.
        """
        found = self._ids(container)
        if not found:
            raise StackError(f"there is no container for {container}")
        return found[0]

    def runs(self, container: str) -> bool:
        """Whether it runs."""
        found = self._ids(container)
        return bool(found) and self.inspect(found[0])["State"]["Running"] is True

    def inspect(self, container_id: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        found: dict[str, Any] = json.loads(self.engine.output("inspect", container_id))[0]
        return found

    def _ids(self, container: str) -> list[str]:
        labels = {PROJECT_LABEL: self.project, "com.docker.compose.service": container}
        filters = [word for name, value in labels.items() for word in ("--filter", f"label={name}={value}")]
        return self.engine.output("ps", "--all", "--quiet", "--no-trunc", *filters).split()

    def logs(self, lines: int = 200) -> str:
        """The last lines of every container."""
        told = []
        for container in (
            "postgres",
            "proxy",
            SIMULATORS,
            *(c for s in self.services.values() for c in s.containers),
        ):
            for one in self._ids(container):
                done = self.engine.run("logs", "--tail", str(lines), one, check=False)
                told.append(f"--- {container}\n{(done.stdout + done.stderr).decode(errors='replace')}")
        return "\n".join(told)

    def database(self, name: str) -> Path:
        """A copy of a service's PostgreSQL database as an SQLite file."""
        target = self.folder / f"{name}.db"
        copies.copy(lambda sql: self._query(name, sql), target)
        return target

    def _query(self, name: str, sql: str) -> str:
        words = ("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--host=/var/run/postgresql")
        return self.execute("postgres", *words, "--username=postgres", f"--dbname={name}", f"--command={sql}")

    def stop(self) -> None:
        """Remove the containers, networks and volumes of this stack."""
        ours = ("--quiet", "--filter", f"label={PROJECT_LABEL}={self.project}")
        # One that ends while it is being stopped is an error to the engine, and gone at the next look.
        for last in (False, False, True):
            containers = self.engine.output("ps", "--all", *ours).split()
            if containers:
                self.engine.run("rm", "--force", "--time", "5", *containers, check=last)
        for kind in ("volume", "network"):
            for name in self.engine.output(kind, "ls", *ours).split():
                self.engine.run(kind, "rm", "--force", name)
        self.engine.run("pod", "rm", "--force", f"pod_{self.project}", check=False)


def _path_with_tools() -> str:
    """podman-compose runs `podman` by name."""
    return os.environ.get("PATH", os.defpath)
