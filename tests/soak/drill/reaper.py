"""Kills every process again and again, at random moments and at named steps, and measures the way back.

One thread per service and one for PostgreSQL. A kill is SIGKILL, by us or by the process itself at a
failpoint; the restart is what a supervisor does and nothing more. `ready` is the time from the start of the
new process (or of PostgreSQL) to the first 200 of `/health/ready`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field

import asyncpg

import passport_issuer.operations.failpoints as issuer_steps
import passport_registry.operations.failpoints as registry_steps
import passport_verifier.operations.failpoints as verifier_steps
from deploy.dev.stack import Service, StackError
from passport_shared.service import failpoints as kit
from passport_testkit.postgres_cluster import Cluster
from tests.soak.drill.network import SERVICES, Network

STEPS = {
    "issuer": (*issuer_steps.ALL, *kit.steps(kit.KIT)),
    "verifier": (*verifier_steps.ALL, *kit.steps(kit.KIT)),
    "registry": (*registry_steps.ALL, *kit.steps(kit.KIT)),
}
LIVES_S = (1.0, 6.0)
POSTGRESQL_LIVES_S = (6.0, 20.0)
WAITS_FOR_STEP_S = 8.0


@dataclass(frozen=True)
class Kill:
    """One death: of what, how (``random``, a step, ``backend``, ``postmaster``), and the way back."""

    target: str
    how: str
    ready_s: float


@dataclass
class Reaper:
    """Kills until told to end; then everything runs again."""

    network: Network
    chance: random.Random
    ended: threading.Event = field(default_factory=threading.Event)
    kills: list[Kill] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _ours: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Begin."""
        for name in SERVICES:
            self._threads.append(threading.Thread(target=self._of_service, args=(name,), daemon=True))
        if self.network.cluster is not None:
            self._threads.append(
                threading.Thread(target=self._of_postgresql, args=(self.network.cluster,), daemon=True)
            )
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, with everything running and nothing armed."""
        self.ended.set()
        for thread in self._threads:
            thread.join(180)
        for name in SERVICES:
            service = self.network.stack.services[name]
            if _armed(service) or service.process is None or service.process.poll() is not None:
                self._die(service)
                self._back(name, "last", step=None)

    def _of_service(self, name: str) -> None:
        service = self.network.stack.services[name]
        while not self.ended.is_set():
            try:
                how = self._wait_for_death(service)
                if self.ended.is_set():
                    return
                self._die(service)
                step = self.chance.choice(STEPS[name]) if self.chance.random() < 0.5 else None
                self._back(name, how, step=step)
            except Exception as fault:
                self.faults.append(f"{name}: {type(fault).__name__}: {str(fault)[-600:]}")

    def _wait_for_death(self, service: Service) -> str:
        """Wait for the step that is armed, or for a random moment; how it died or shall die."""
        step = _armed(service)
        life = WAITS_FOR_STEP_S if step else self.chance.uniform(*LIVES_S)
        until = time.monotonic() + life
        while time.monotonic() < until and not self.ended.is_set():
            if service.process is not None and service.process.poll() is not None:
                return step.partition("=")[0] if step else "by itself"
            self.ended.wait(0.1)
        return "random"

    def _die(self, service: Service) -> None:
        if service.process is not None:
            with contextlib.suppress(ProcessLookupError):
                service.process.send_signal(signal.SIGKILL)
            service.process.wait()
            service.process = None

    def _back(self, name: str, how: str, *, step: str | None) -> None:
        service = self.network.stack.services[name]
        variable = f"PASSPORT_{name.upper()}_FAILPOINT"
        service.environment.pop(variable, None)
        if step is not None:
            service.environment[variable] = f"{step}=kill@{self.chance.choice((1, 1, 2, 5, 20))}"
        for _ in range(8):
            began = time.monotonic()
            service.start()
            try:
                self.network.stack.wait_ready(name)
            except StackError as error:
                # At a step of its own start-up, or PostgreSQL is away: a supervisor starts it once more.
                if service.process is not None and service.process.poll() is None:
                    self.faults.append(f"{name} never ready: {str(error)[-300:]}")
                    self._die(service)
                armed = service.environment.pop(variable, None)
                ended = service.process.returncode if service.process is not None else None
                service.process = None
                if armed and ended == -signal.SIGKILL:
                    self.kills.append(Kill(name, armed.partition("=")[0], 0.0))
                continue
            self.kills.append(Kill(name, how, time.monotonic() - began))
            return
        self.faults.append(f"{name} did not start in eight tries: {service.tail()[-600:]}")

    def _of_postgresql(self, cluster: Cluster) -> None:
        while not self.ended.is_set():
            self.ended.wait(self.chance.uniform(*POSTGRESQL_LIVES_S))
            if self.ended.is_set():
                return
            how = self.chance.choice(("backend", "backend", "postmaster"))
            try:
                if how == "backend":
                    asyncio.run(_kill_backend(cluster, self.chance))
                else:
                    cluster.kill()
                    restart(cluster)
                began = time.monotonic()
                self.kills.append(Kill("postgresql", how, _answers(cluster) - began))
            except Exception as fault:
                self.faults.append(f"postgresql: {type(fault).__name__}: {fault}")
        _answers(cluster)


def _armed(service: Service) -> str | None:
    return service.environment.get(f"PASSPORT_{service.name.upper()}_FAILPOINT")


async def _kill_backend(cluster: Cluster, chance: random.Random) -> None:
    conn = await asyncpg.connect(cluster.url(), timeout=10)
    try:
        rows = await conn.fetch(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'passport-%' ORDER BY pid"
        )
    finally:
        with contextlib.suppress(Exception):
            await conn.close()
    if rows:
        os.kill(chance.choice(rows)["pid"], signal.SIGKILL)


def restart(cluster: Cluster) -> None:
    """Start again as soon as the last child of the dead postmaster has gone."""
    for _ in range(100):
        try:
            cluster.start()
        except subprocess.CalledProcessError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("PostgreSQL did not start again")


def _answers(cluster: Cluster) -> float:
    """Wait until a connection is taken; when."""

    async def ask() -> None:
        conn = await asyncpg.connect(cluster.url(), timeout=10)
        await conn.execute("SELECT 1")
        await conn.close()

    for _ in range(300):
        try:
            asyncio.run(ask())
        except (OSError, asyncpg.PostgresError, TimeoutError):
            time.sleep(0.1)
        else:
            return time.monotonic()
    raise RuntimeError("PostgreSQL does not answer")
