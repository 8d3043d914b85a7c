"""An issuer of one's own is killed under load, at a named step and at any moment, and goes on where it was.

Real processes over https on SQLite. How long it takes to be ready again is measured in `make soak`, on a
machine of its own.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.drill.api import Api, http_client
from tests.soak.drill.checker import Checker
from tests.soak.drill.ledger import Ledger
from tests.soak.drill.load import Load
from tests.soak.drill.network import Network, running

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

STEP = "credential.after_sign=kill@2"
VARIABLE = "PASSPORT_ISSUER_FAILPOINT"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("killed"), postgresql=False) as made:
        yield made


async def _until(holds: object, ended: asyncio.Task[None]) -> None:
    while not holds():  # type: ignore[operator]
        assert not ended.done(), ended
        await asyncio.wait({ended}, timeout=0.1)


async def _again(network: Network) -> None:
    issuer = network.stack.services["issuer"]
    if issuer.process is not None:
        issuer.process.send_signal(signal.SIGKILL)
        issuer.process.wait()
    issuer.start()
    await asyncio.to_thread(network.stack.wait_ready, "issuer")


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_acknowledged_is_lost(network: Network, tmp_path: Path) -> None:
    issuer = network.stack.services["issuer"]
    ended, ledger = asyncio.Event(), Ledger(tmp_path / "ledger.jsonl")
    async with http_client(network) as http:
        api = Api(network, network.clients.machine, http, ended)
        load = Load(network, api, ledger, ended, random.Random(3))  # noqa: S311 - moments, no secrets
        calling = asyncio.create_task(load.issue_until_ended(2))
        await _until(lambda: ledger.of("credential"), calling)
        issuer.environment[VARIABLE] = STEP
        await _again(network)
        assert issuer.process is not None
        dying = issuer.process
        await _until(lambda: dying.poll() is not None, calling)
        assert dying.returncode == -signal.SIGKILL, issuer.tail()
        del issuer.environment[VARIABLE]
        await _again(network)
        seen = len(ledger.of("credential"))
        await _until(lambda: len(ledger.of("credential")) > seen, calling)
        await _again(network)  # at whatever it was doing
        seen = len(ledger.of("credential"))
        await _until(lambda: len(ledger.of("credential")) > seen, calling)
        ended.set()
        await calling
        checker = Checker(network, api, ledger)
        await checker.run()
    assert not checker.violations
    assert not api.surprises
    assert checker.checked["acknowledged credential can be revoked"] >= 2
