"""Exactly once: 50 at once, 1,000 rounds, 8 processes of every service on one PostgreSQL (R5), and R12.

Every round of `passport_testkit.race_rounds` again and again, each through all processes in turn. R12 is one
offer: 10,000 guesses of its PIN, 200 at a time, of which five are looked at and no other offer notices.
Options: `--rounds N` of each race (1,000), `--parallel N` (50), `--processes N` (8), `--minutes N` to stop
earlier, `--guesses N` (10,000), `--only NAME,NAME`. A failure is printed whole and the rest goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import tempfile
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import httpx

from passport_shared.service.db import migrate
from passport_shared.service.observability import configure_logging
from passport_testkit.contract_worlds import World, Worlds
from passport_testkit.postgres_cluster import Cluster, throwaway_cluster
from passport_testkit.race_field import worlds_on_replicas
from passport_testkit.race_rounds import ROUNDS, TRIES, Field, Offered, Round, at_once

GUESSES, GUESSES_AT_ONCE = 10_000, 200
BRUTE_FORCE = "brute_force"


@dataclass
class Told:
    """How one race went."""

    rounds: int = 0
    failed: int = 0
    seconds: float = 0.0


def main(arguments: list[str]) -> int:
    """Run the races; 1 if any round came to something else than exactly one."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak races")
    parser.add_argument("--rounds", type=int, default=1_000)
    parser.add_argument("--parallel", type=int, default=50)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--guesses", type=int, default=GUESSES)
    parser.add_argument("--only", default="")
    options = parser.parse_args(arguments)
    configure_logging("soak", "0", level="error", stream=io.StringIO())
    names = [*options.only.split(",")] if options.only else [*ROUNDS, BRUTE_FORCE]
    with (
        tempfile.TemporaryDirectory() as folder,
        throwaway_cluster() as cluster,
        asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner,
    ):
        worlds = Worlds(Path(folder), runner, AsyncExitStack())

        def url_of(package: str) -> str:
            return runner.run(_database(cluster, package))

        try:
            with worlds_on_replicas(worlds, url_of, processes=options.processes) as reached:
                told = _race(reached, names, options)
        finally:
            runner.run(worlds.stack.aclose())
    return _report(told, options)


async def _database(cluster: Cluster, package: str) -> str:
    name = f"{package}_{uuid.uuid4().hex[:8]}"
    admin = await asyncpg.connect(cluster.url())
    try:
        # The names are ours; identifiers cannot be parameters.
        await admin.execute(f'CREATE DATABASE "{name}"')
    finally:
        await admin.close()
    await migrate(cluster.url(name), package)
    return cluster.url(name)


def _race(reached: dict[str, World], names: list[str], options: argparse.Namespace) -> dict[str, Told]:
    told = {name: Told() for name in names}
    until = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    runner, field = reached["issuer"].runner, Field(reached)
    if BRUTE_FORCE in told:
        _timed(told[BRUTE_FORCE], lambda: runner.run(brute_force(field, options.guesses)))
    for number in range(options.rounds):
        for name in (name for name in names if name in ROUNDS):
            if time.monotonic() > until:
                return told
            _timed(told[name], partial(_one, runner, field, ROUNDS[name], options.parallel))
        if number % 50 == 0:
            runner.run(_forgive(reached))
            print(f"round {number + 1}", flush=True)
    return told


def _one(runner: asyncio.Runner, field: Field, act: Round, parallel: int) -> None:
    runner.run(act(field, parallel))


def _timed(told: Told, act: Callable[[], None]) -> None:
    began = time.monotonic()
    told.rounds += 1
    try:
        act()
    except Exception:
        told.failed += 1
        traceback.print_exc()
    told.seconds += time.monotonic() - began


async def _forgive(reached: dict[str, World]) -> None:
    """Give limits back: clocks stand still here, so nothing is earned back."""
    for world in reached.values():
        await world.forgive()


def _guess(one: Offered, pins: list[str], number: int) -> Awaitable[httpx.Response]:
    return one.wallet.request_token(one.offer, pins[number])


async def brute_force(field: Field, guesses: int) -> None:
    """10,000 guesses of one PIN, 200 at a time: five are looked at, no other offer notices (R12)."""
    one, another = await field.offered(), await field.offered()
    refused = 0
    for first in range(0, guesses, GUESSES_AT_ONCE):
        pins = [one.other_pin(first + number) for number in range(GUESSES_AT_ONCE)]
        answers = await at_once(len(pins), partial(_guess, one, pins))
        assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {
            (400, "invalid_grant")
        }
        refused += len(answers)
    assert refused >= guesses
    looked_at = (await field.audited("issuer", one.made["id"]))["credential_offer.tx_code_wrong"]
    assert looked_at == TRIES, f"{looked_at} guesses were looked at"
    assert (await one.wallet.request_token(one.offer, one.pin)).status_code == 400
    assert (await another.wallet.request_token(another.offer, another.pin)).status_code == 200


def _report(told: dict[str, Told], options: argparse.Namespace) -> int:
    print(f"\n{options.parallel} at once, {options.processes} processes of every service")
    print(f"{'race':24} {'rounds':>7} {'failed':>7} {'s/round':>8}")
    for name, one in told.items():
        print(f"{name:24} {one.rounds:7} {one.failed:7} {one.seconds / max(one.rounds, 1):8.2f}")
    failed = sum(one.failed for one in told.values())
    print("exactly one, always" if not failed else f"{failed} rounds came to something else")
    return 1 if failed else 0
