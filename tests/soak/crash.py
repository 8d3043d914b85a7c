"""Kills every process and PostgreSQL under load, at random and at named steps; checks what was promised."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from tests.soak.drill.api import Api, http_client
from tests.soak.drill.checker import Checker
from tests.soak.drill.ledger import Ledger
from tests.soak.drill.load import Load
from tests.soak.drill.network import Network, running
from tests.soak.drill.reaper import Kill, Reaper

READY_WITHIN_S = 10.0


def main(arguments: list[str]) -> int:
    """Run on one database or on both; 0 where nothing acknowledged was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak crash")
    parser.add_argument("--minutes", type=float, default=10, help="of kills, per database")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--callers", type=int, default=12)
    parser.add_argument("--seed", type=int, default=None, help="of the moments and steps")
    parser.add_argument("--folder", type=Path, default=None, help="where logs and the ledger stay")
    given = parser.parse_args(arguments)
    databases = ("sqlite", "postgresql") if given.database == "both" else (given.database,)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(2**32)
    found = 0
    for database in databases:
        with tempfile.TemporaryDirectory(prefix="passport-crash-") as made:
            folder = (given.folder or Path(made)) / database
            found += _drill(folder, database, given.minutes * 60, given.callers, seed)
    return 1 if found else 0


def _drill(folder: Path, database: str, seconds: float, callers: int, seed: int) -> int:
    print(f"crash on {database}: {seconds:.0f} s of kills, seed {seed}", flush=True)
    with running(folder, postgresql=database == "postgresql") as network:
        return asyncio.run(_under_load(network, database, seconds, callers, random.Random(seed)))  # noqa: S311


async def _under_load(
    network: Network, database: str, seconds: float, callers: int, chance: random.Random
) -> int:
    ended, reaper = asyncio.Event(), Reaper(network, chance)
    ledger = Ledger(network.stack.folder / "ledger.jsonl")
    async with http_client(network) as http:
        api = Api(network, network.clients.machine, http, ended)
        load = Load(network, api, ledger, ended, chance)
        began = time.monotonic()
        calling = asyncio.create_task(load.run(callers))
        killing = threading.Thread(target=_kill, args=(reaper, ledger, seconds))
        killing.start()
        while killing.is_alive():
            await asyncio.sleep(0.5)
            if calling.done():
                reaper.ended.set()
        took = time.monotonic() - began
        ended.set()
        await calling
        checker = Checker(network, api, ledger)
        await checker.run()
    _report(database, took, load, reaper, checker)
    return len(checker.violations) + len(_slow(reaper.kills))


def _kill(reaper: Reaper, ledger: Ledger, seconds: float) -> None:
    # The surgeon's passport first: without it nobody presents anything.
    while not ledger.of("movement") and not reaper.ended.wait(0.5):
        pass
    reaper.start()
    reaper.ended.wait(seconds)
    reaper.stop()


def _slow(kills: list[Kill]) -> list[Kill]:
    return [kill for kill in kills if kill.ready_s > READY_WITHIN_S]


def _report(database: str, took: float, load: Load, reaper: Reaper, checker: Checker) -> None:
    answered = sum(count for status, count in load.api.requests.items() if status != "lost")
    by_target = Counter(kill.target for kill in reaper.kills)
    steps = Counter(kill.how for kill in reaper.kills if "." in kill.how)
    times = sorted(kill.ready_s for kill in reaper.kills if kill.ready_s) or [0.0]
    print(f"database          {database}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"requests          {answered} answered in {took:.0f} s ({answered / took:.0f}/s), by status")
    print(f"                  {dict(load.api.requests.most_common())}")
    print(f"kills             {len(reaper.kills)}: {dict(by_target)}; {sum(steps.values())} at named steps")
    print(f"steps             {dict(steps.most_common())}")
    print(f"acknowledged      {dict(load.ledger.counts().most_common())}")
    print(f"checked           {dict(checker.checked.most_common())}")
    print(
        f"ready again       median {statistics.median(times):.1f} s, 95th "
        f"{times[int(len(times) * 0.95) - 1]:.1f} s, longest {times[-1]:.1f} s; "
        f"{len(_slow(reaper.kills))} beyond {READY_WITHIN_S:.0f} s"
    )
    for name, found in (
        ("unexpected answers", load.api.surprises),
        ("load", load.faults),
        ("restarts", reaper.faults),
    ):
        for line, count in Counter(found).most_common(12):
            print(f"{name:18}{count} x {line}")
    for line in checker.violations[:40]:
        print(f"VIOLATION         {line}")
    print(f"violations        {len(checker.violations)}", flush=True)
