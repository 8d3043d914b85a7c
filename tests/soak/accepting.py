"""Present thousands of valid credentials of three producers: every one must be accepted (security.md R2)."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

from passport_testkit import node
from tests.fuzz import good_input
from tests.fuzz.good_input import Case


def main(arguments: list[str]) -> int:
    """Run all producers; 0 if nothing valid was refused and none of them was missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak accepting")
    parser.add_argument("--each", type=int, default=1_000, help="presentations of each producer")
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args(arguments)
    refused = 0
    for name, producer in (("own", good_input.own), ("PyPI sd-jwt", good_input.reference)):
        refused += _told(name, options.each, _refusals(producer, options.seed, options.each))
    why_not = node.why_not()
    if why_not is None:
        refused += _told("npm sd-jwt-js", options.each, asyncio.run(_javascript(options.seed, options.each)))
    else:
        print(f"npm sd-jwt-js       not run: {why_not}")
        refused += 1
    wrong = [
        level
        for token, at, status, level in good_input.status_tokens()
        if good_input.status_of(token, at) != status
    ]
    refused += _told("status lists", 36, [f"level {level}" for level in wrong])
    return 1 if refused else 0


def _refusals(producer: Callable[[Case], str], seed: int, count: int) -> list[str]:
    found = (good_input.is_accepted(producer(case), case) for case in good_input.cases(seed, count))
    return [why for why in found if why is not None]


async def _javascript(seed: int, count: int) -> list[str]:
    peer = await node.NodePeer.start()
    try:
        found = []
        for case in good_input.cases(seed, count):
            why = good_input.is_accepted(await good_input.javascript(case, peer), case)
            found += [] if why is None else [why]
        return found
    finally:
        await peer.stop()


def _told(name: str, count: int, refusals: list[str]) -> int:
    print(f"{name:20}{count:>6} presented, {len(refusals)} refused", flush=True)
    for why in refusals[:5]:
        print(f"  {why[:400]}")
    return len(refusals)
