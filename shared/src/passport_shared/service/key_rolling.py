"""Rolling the service's own keys, and the key-encryption key: ``keys list``, ``rotate``, ``rewrap``.

A roll is one command: it publishes the next key, and the periodic task signs with it once whoever verifies
can know of it, and retires the old one after everything it signed has ended. What a purpose needs in between
stands in one table. Keys that others register by hand, and the certificate authority's, roll on a person's
word only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import STATEMENT_LIFETIME
from passport_shared.service.cli import Command, CommandFailed
from passport_shared.service.keys import RECHECK, KeyExists, KeyMissing, KeyState, KeyStore, StoredKey
from passport_shared.service.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Roll:
    """How a purpose's key is rolled.

    Args:
        publish_for: how long the next key is published before it signs.
        keep_for: how long the old one is published after it stopped.
        by_itself: whether time alone is enough; else `keys rotate PURPOSE --activate` is a person's word.
        why: what the person has to see to first.
    """

    publish_for: timedelta
    keep_for: timedelta
    by_itself: bool = True
    why: str = ""


REPLICAS = 2 * RECHECK
TENANT_ROLLS: Mapping[str, Roll] = {
    "access-token": Roll(publish_for=REPLICAS, keep_for=timedelta(hours=1)),
    "audit": Roll(publish_for=REPLICAS, keep_for=timedelta(days=30)),
    "client": Roll(
        publish_for=REPLICAS,
        keep_for=timedelta(days=1),
        by_itself=False,
        why="the registry's operator has to add the new key to this client: print it with 'client-key'",
    ),
}
"""Of a service with tenants; the tenants' own keys are renewed by `renewals`."""
REGISTRY_ROLLS: Mapping[str, Roll] = {
    "access-token": TENANT_ROLLS["access-token"],
    "audit": TENANT_ROLLS["audit"],
    # Standards §1.8: next published before use, the old one signs for twice the longest life meanwhile.
    "federation": Roll(publish_for=2 * STATEMENT_LIFETIME, keep_for=2 * STATEMENT_LIFETIME),
    "status": Roll(publish_for=REPLICAS, keep_for=STATEMENT_LIFETIME),
    "client-directory": Roll(publish_for=REPLICAS, keep_for=STATEMENT_LIFETIME),
}


class KeyRolling:
    """Rolls of one service.

    Args:
        keys: the service's own keys.
        clock: the time.
        rolls: how each purpose is rolled; others cannot be.
    """

    def __init__(self, keys: KeyStore, clock: Clock, rolls: Mapping[str, Roll]) -> None:
        self._keys = keys
        self._clock = clock
        self._rolls = rolls

    async def begin(self, purpose: str) -> datetime | None:
        """Publish the next key; when it will sign, or None if a person has to say so.

        Raises:
            KeyError: keys of this purpose are not rolled.
        """
        roll = self._rolls[purpose]
        await self._keys.ensure(purpose)
        try:
            await self._keys.create(purpose, state=KeyState.NEXT)
        except KeyExists:
            self._keys.look_again(purpose)
        following = await self._in(purpose, KeyState.NEXT)
        begun = self._clock.now() if following is None else following.changed_at
        return begun + roll.publish_for if roll.by_itself else None

    async def activate(self, purpose: str) -> bool:
        """Sign with the next key on a person's word; False while replicas may not know it yet."""
        following = await self._in(purpose, KeyState.NEXT)
        if following is None or self._clock.now() - following.changed_at < self._rolls[purpose].publish_for:
            return False
        try:
            await self._keys.activate_next(purpose, kid=following.kid)
        except KeyMissing:
            # Another replica has done it.
            return False
        return True

    async def run(self) -> list[str]:
        """The periodic task: take what was begun a step further; the purposes that now sign anew."""
        rolled = []
        for purpose, roll in self._rolls.items():
            if roll.by_itself and await self.activate(purpose):
                log.info("signing_key.rolled", purpose=purpose)
                rolled.append(purpose)
            for stored in await self._keys.published(purpose):
                old = stored.state is KeyState.RETIRING
                if old and self._clock.now() - stored.changed_at >= roll.keep_for:
                    await retire_once(self._keys, stored)
        return rolled

    async def _in(self, purpose: str, state: KeyState) -> StoredKey | None:
        return next((one for one in await self._keys.published(purpose) if one.state is state), None)


async def retire_once(keys: KeyStore, stored: StoredKey) -> None:
    """Retire a key unless another replica has done so."""
    try:
        await keys.retire(stored.kid)
    except KeyMissing:
        keys.look_again(stored.purpose, stored.owner)


@dataclass(frozen=True, kw_only=True)
class Rollable:
    """What the commands need of a service that is opened beside its running self.

    ``rewrap`` wraps everything under the first key-encryption key of the file; how many rows.
    """

    keys: KeyStore
    clock: Clock
    rewrap: Callable[[], Awaitable[int]]


Opened = Callable[[S], AbstractAsyncContextManager[Rollable]]


def key_commands(opened: Opened[S], rolls: Mapping[str, Roll]) -> tuple[Command[S], ...]:
    """The commands; ``opened`` gives the service's parts for the time of one command."""

    async def list_keys(arguments: argparse.Namespace, settings: S) -> int:  # noqa: ARG001
        async with opened(settings) as parts:
            for stored in await parts.keys.every():
                sys.stdout.write(_line(stored))
        return 0

    async def rotate(arguments: argparse.Namespace, settings: S) -> int:
        async with opened(settings) as parts:
            sys.stdout.write(await _rotate(KeyRolling(parts.keys, parts.clock, rolls), rolls, arguments))
        return 0

    async def rewrap(arguments: argparse.Namespace, settings: S) -> int:  # noqa: ARG001
        async with opened(settings) as parts:
            moved = await parts.rewrap()
        sys.stdout.write(f"{moved} row(s) are wrapped under the first key of {settings.kek_file} now\n")
        return 0

    return (
        Command(name="keys list", help="list the keys and their states, nothing secret", run=list_keys),
        Command(
            name="keys rotate",
            help="publish the next key of a purpose; the service signs with it by itself when it is known",
            run=rotate,
            configure=lambda parser: _rotate_arguments(parser, rolls),
        ),
        Command(
            name="keys rewrap",
            help="wrap every private key under the first key-encryption key of the file",
            run=rewrap,
        ),
    )


def _rotate_arguments(parser: argparse.ArgumentParser, rolls: Mapping[str, Roll]) -> None:
    parser.add_argument("purpose", choices=sorted(rolls))
    parser.add_argument(
        "--activate", action="store_true", help="sign with the next key now that whoever verifies knows it"
    )


async def _rotate(rolling: KeyRolling, rolls: Mapping[str, Roll], arguments: argparse.Namespace) -> str:
    purpose = arguments.purpose
    if arguments.activate:
        if not await rolling.activate(purpose):
            raise CommandFailed(f"there is no next {purpose} key that has been published for long enough")
        return f"{purpose}: the next key signs now\n"
    at = await rolling.begin(purpose)
    if at is None:
        then = f"then 'keys rotate {purpose} --activate'"
        return f"{purpose}: the next key is made; {rolls[purpose].why}, {then}\n"
    return f"{purpose}: the next key is published and signs from {at:%Y-%m-%d %H:%M} UTC on, by itself\n"


def _line(stored: StoredKey) -> str:
    cells: Sequence[str] = (
        stored.owner or "-",
        stored.purpose,
        stored.state.value,
        f"{stored.changed_at:%Y-%m-%dT%H:%MZ}",
        stored.kid,
    )
    return "\t".join(cells) + "\n"
