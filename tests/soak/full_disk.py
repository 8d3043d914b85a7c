"""Fills the disk of the databases under load, and frees it again: refused, nothing lost, well by itself.

The databases lie on a small tmpfs, which needs the right to mount one. SQLite's services must refuse with
503, say that they are not ready, and recover without a restart. PostgreSQL itself stops when its log cannot
grow; it is started again as its supervisor would, and the services recover without a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import httpx

from tests.soak.drill.api import Api, http_client
from tests.soak.drill.checker import Checker
from tests.soak.drill.ledger import Ledger
from tests.soak.drill.load import HOME, Load
from tests.soak.drill.network import SERVICES, Network, running
from tests.soak.drill.reaper import restart

SIZES_MB = {"sqlite": 48, "postgresql": 256}
WITHIN_S = 120
PASSED, FAILED, SKIPPED = 0, 1, 0


def main(arguments: list[str]) -> int:
    """Run on one database or on both; 0 where everything was refused cleanly and recovered."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak full_disk")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--callers", type=int, default=8)
    given = parser.parse_args(arguments)
    databases = ("sqlite", "postgresql") if given.database == "both" else (given.database,)
    return max(_drill(database, given.callers) for database in databases)


def _drill(database: str, callers: int) -> int:
    with tempfile.TemporaryDirectory(prefix="passport-full-") as made:
        folder, disk = Path(made), Path(made) / "disk"
        disk.mkdir()
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={SIZES_MB[database]}m,mode=755", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(mounting, check=False, capture_output=True).returncode:
            print(f"full disk on {database}: not run, a tmpfs cannot be mounted here")
            return SKIPPED
        try:
            with (
                _temporary_files_in(disk),
                running(folder, postgresql=database == "postgresql", files=disk) as net,
            ):
                return asyncio.run(_filled(net, disk, database, callers))
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=False)


@contextlib.contextmanager
def _temporary_files_in(disk: Path) -> Iterator[None]:
    """PostgreSQL's cluster is made where temporary files are."""
    before, tempfile.tempdir = tempfile.tempdir, str(disk)
    try:
        yield
    finally:
        tempfile.tempdir = before


async def _filled(network: Network, disk: Path, database: str, callers: int) -> int:
    ended, ledger = asyncio.Event(), Ledger(network.stack.folder / "ledger.jsonl")
    faults: list[str] = []
    processes = {name: network.stack.services[name].process for name in SERVICES}
    async with http_client(network) as http:
        api = Api(network, network.clients.machine, http, ended)
        load = Load(network, api, ledger, ended, random.Random(1))  # noqa: S311 - moments, no secrets
        calling = asyncio.create_task(load.run(callers))
        await _until(lambda: _some(ledger), "load")
        ballast = disk / "ballast"
        await asyncio.to_thread(_fill, ballast)
        began = time.monotonic()
        for name in SERVICES:
            if not await _until(partial(_ready, network, http, name, 503), f"{name} not ready", faults):
                continue
            print(f"{name:10} not ready after {time.monotonic() - began:.1f} s")
        refused = await _status_of_a_write(network, api, http)
        if refused != httpx.codes.SERVICE_UNAVAILABLE:
            faults.append(f"a write was answered with {refused}")
        ballast.unlink()
        if network.cluster is not None:
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                await asyncio.to_thread(network.cluster.kill)
            await asyncio.to_thread(restart, network.cluster)
        began = time.monotonic()
        for name in SERVICES:
            if await _until(partial(_ready, network, http, name, 200), f"{name} ready again", faults):
                print(f"{name:10} ready again after {time.monotonic() - began:.1f} s")
        seen = len(ledger.of("credential"))
        await _until(lambda: _more(ledger, seen), "issuing again", faults)
        ended.set()
        await calling
        checker = Checker(network, api, ledger)
        await checker.run()
    for name, process in processes.items():
        if process is None or process.poll() is not None:
            faults.append(f"{name} has ended")
    faults += checker.violations
    print(
        f"full disk on {database}: {dict(api.requests.most_common())}; {dict(ledger.counts().most_common(8))}"
    )
    for line in [*dict.fromkeys(api.surprises), *dict.fromkeys(load.faults)][:10]:
        print(f"  told: {line}")
    for line in faults:
        print(f"  VIOLATION {line}")
    print(f"violations        {len(faults)}", flush=True)
    return FAILED if faults or api.surprises else PASSED


def _fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65_536)
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 512)


async def _some(ledger: Ledger) -> bool:
    return len(ledger.of("credential")) > 3 and bool(ledger.of("answer"))


async def _more(ledger: Ledger, seen: int) -> bool:
    return len(ledger.of("credential")) > seen


async def _ready(network: Network, http: httpx.AsyncClient, name: str, wanted: int) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await http.get(f"{network.url(name)}/health/ready")).status_code == wanted
    return False


async def _status_of_a_write(network: Network, api: Api, http: httpx.AsyncClient) -> int:
    """One write by a caller whose token is from before; the last of some, as small ones may still fit."""
    headers = {"authorization": f"Bearer {await api.token('issuer')}"}
    body = {"legal_given": "Full", "legal_family": "x" * 100, "birthdate": "1980-01-01"}
    status = 0
    for _ in range(20):
        answer = await http.post(f"{network.url('issuer')}{HOME}/staff", json=body, headers=headers)
        status = answer.status_code
        if status != httpx.codes.CREATED:
            break
    return status


async def _until(holds: Callable[[], Awaitable[bool]], what: str, faults: list[str] | None = None) -> bool:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        if await holds():
            return True
        await asyncio.sleep(0.2)
    if faults is None:
        raise RuntimeError(f"{what} did not come within {WITHIN_S} s")
    faults.append(f"{what}: not within {WITHIN_S} s")
    return False
