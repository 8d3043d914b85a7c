"""What a registry taken over in part, or somebody between, may serve: the cases of TUF, none accepted.

`ATTACKS` maps each case of TUF's conformance suite that applies here (one signer per role; our manifest is
its timestamp and snapshot role, parts are its targets) to what is served and the reason it is refused for.
After each the reader serves what it had, has stored nothing else, and takes the next honest snapshot. Cases
of single claims and parts are in `tests/unit/formats/test_snapshot.py`; those of status lists in
`tests/unit/formats/test_status_list_token.py` and `tests/http/verifier/test_verifier_trust_and_status.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from passport_shared.formats import jose
from passport_shared.formats.freshness import SNAPSHOT_LIFETIME
from passport_shared.formats.snapshot import MANIFEST_TYP, MarkStanding, build_part
from passport_shared.outbound import Outbound
from passport_shared.service import documents
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.snapshot_keeper import SnapshotKeeper, SnapshotUnavailable
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases
from passport_testkit.keys import key
from passport_testkit.network import CHRISTIE, Published, TrustRegistrySimulator
from passport_testkit.registry_wire import RegistryWire

METADATA = new_metadata()
TABLES = documents.tables(METADATA)
HOUR = timedelta(hours=1)


@dataclass
class Reader:
    """A service that has read two honest snapshots; the older one is remembered by the attacker."""

    registry: TrustRegistrySimulator
    wire: RegistryWire
    clock: FrozenClock
    db: Database
    keeper: SnapshotKeeper
    older: Published

    async def stored(self) -> list[Any]:
        """Every document as it is stored."""
        table = TABLES.documents
        query = select(table.c.name, table.c.version, table.c.etag).order_by(table.c.name)
        async with self.db.read() as conn:
            return [tuple(row) for row in await conn.execute(query)]

    def restarted(self) -> SnapshotKeeper:
        """Another process on the same rows."""
        stored = CachedDocuments(self.db, TABLES, self.clock)
        outbound = Outbound(transport=self.wire)
        return SnapshotKeeper(self.db, outbound, self.registry.trust_file, self.clock, stored)

    @property
    def current(self) -> Published:
        """What is published honestly."""
        return self.wire.published

    def signed(self, *, by: Any = None, typ: str = MANIFEST_TYP, **claims: Any) -> Published:
        """The current manifest with other claims, one sequence on, under a right signature."""
        words = jose.parse(self.current.manifest).claims
        words = {**words, "sequence": words["sequence"] + 1, **claims}
        return replace(self.current, manifest=jose.sign(words, by or self.registry.key, typ=typ))

    def parts_of(self, published: Published) -> list[dict[str, Any]]:
        """The parts a manifest names."""
        found: list[dict[str, Any]] = jose.parse(published.manifest).claims["parts"]
        return found


Attack = Callable[[Reader], Published]


def _served_later(age: timedelta) -> Attack:
    def freeze(reader: Reader) -> Published:
        reader.clock.advance(age)
        return reader.current

    return freeze


def _other_anchor(reader: Reader) -> Published:
    stranger = TrustRegistrySimulator(reader.clock, authority=reader.registry.authority)
    stranger.enrol_issuer()
    return stranger.publish()


def _mix(reader: Reader) -> Published:
    """A newer manifest; under the address of each part lie the bytes that part had before."""
    before = reader.current
    reader.registry.agree("RBV", "RM3")
    reader.wire.published = reader.registry.publish()
    parts = [
        {**part, "uri": build_part(part["name"], before.parts[part["name"]], base_uri=BASE).uri}
        for part in reader.parts_of(reader.current)
    ]
    return replace(reader.signed(parts=parts), parts=before.parts)


BASE = "https://registry.example/federation/parts"


def _resized(by: int) -> Attack:
    def attack(reader: Reader) -> Published:
        parts = [
            {**part, "sha256": "ab" * 32, "bytes": part["bytes"] + by}
            for part in reader.parts_of(reader.current)
        ]
        return reader.signed(parts=parts)

    return attack


def _without(name: str) -> Attack:
    def attack(reader: Reader) -> Published:
        return reader.signed(parts=[p for p in reader.parts_of(reader.current) if p["name"] != name])

    return attack


ATTACKS: dict[str, tuple[Attack, str]] = {
    # rollback: timestamp, snapshot and targets
    "rollback to an older manifest": (lambda r: r.older, "rolled_back"),
    "rollback: old content, signed again one sequence lower": (
        lambda r: r.signed(sequence=jose.parse(r.current.manifest).claims["sequence"] - 1),
        "rolled_back",
    ),
    "equal sequence, other content": (
        lambda r: r.signed(sequence=jose.parse(r.current.manifest).claims["sequence"], prev="ab" * 32),
        "forked",
    ),
    # fast-forward
    "fast-forward to the last number": (lambda r: r.signed(sequence=2**53 - 1), "fast_forwarded"),
    "fast-forward by two hours": (
        lambda r: r.signed(sequence=int(r.clock.now().timestamp()) + 7_200),
        "fast_forwarded",
    ),
    # freeze
    "freeze until it expires": (_served_later(SNAPSHOT_LIFETIME + HOUR), "expired"),
    "a manifest that lives for a year": (
        lambda r: r.signed(exp=int((r.clock.now() + timedelta(days=365)).timestamp())),
        "lives_too_long",
    ),
    "a manifest from the future": (
        lambda r: r.signed(iat=int((r.clock.now() + 2 * HOUR).timestamp())),
        "issued_in_future",
    ),
    # keys
    "another anchor under the same name": (_other_anchor, "unknown_key"),
    "a key nobody announced": (lambda r: r.signed(by=key("nobody announced")), "unknown_key"),
    "another issuer": (lambda r: r.signed(iss="https://other.example"), "wrong_issuer"),
    "another typ": (lambda r: r.signed(typ="entity-statement+jwt"), "wrong_typ"),
    "a broken signature": (
        lambda r: replace(r.current, manifest=r.signed().manifest[:-8] + "AAAAAAAA"),
        "not_authentic",
    ),
    # mix and match, parts
    "parts of two snapshots": (_mix, "part_wrong_hash"),
    "a part smaller than it is": (_resized(-1), "too_large"),
    "a part larger than it is": (_resized(+1), "part_wrong_size"),
    "a part of another content": (_resized(0), "part_wrong_hash"),
    "without its entities": (_without("entities"), "anchor_invalid"),
    "a part twice": (lambda r: r.signed(parts=r.parts_of(r.current) * 2), "bad_claim"),
    "a part that is endless by its own word": (
        lambda r: r.signed(parts=[{**p, "bytes": 2**40} for p in r.parts_of(r.current)]),
        "bad_claim",
    ),
    "a part somewhere else": (
        lambda r: r.signed(
            parts=[{**p, "sha256": "cd" * 32, "uri": "https://cdn.example/x"} for p in r.parts_of(r.current)]
        ),
        "part_elsewhere",
    ),
    "a part that is not there": (
        lambda r: r.signed(
            parts=[{**p, "sha256": "ef" * 32, "uri": f"{BASE}/{'ef' * 32}"} for p in r.parts_of(r.current)]
        ),
        "part_http_404",
    ),
}


@pytest.fixture
async def reader(databases: FreshDatabases) -> Reader:
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    registry.enrol_verifier()
    db = await databases.open(metadata=METADATA)
    wire = RegistryWire(registry)
    older = wire.published
    stored = CachedDocuments(db, TABLES, clock)
    keeper = SnapshotKeeper(db, Outbound(transport=wire), registry.trust_file, clock, stored)
    await keeper.refresh()
    registry.suspend(CHRISTIE)
    registry.agree("RBV", "R0A")
    clock.advance(timedelta(minutes=5))
    wire.publish()
    await keeper.refresh()
    return Reader(registry, wire, clock, db, keeper, older)


@pytest.mark.parametrize("name", ATTACKS)
async def test_none_is_accepted(reader: Reader, name: str) -> None:
    attack, reason = ATTACKS[name]
    before, held, honest = await reader.stored(), reader.keeper.current(), reader.current
    reader.wire.published = attack(reader)
    for keeper in (reader.restarted(), reader.keeper):
        # The entity tag is the attacker's too: nothing says that it is unchanged.
        with pytest.raises(SnapshotUnavailable) as refused:
            if await keeper.refresh() is False and keeper is reader.keeper and reader.current is honest:
                raise SnapshotUnavailable("expired")
        assert refused.value.reason == reason
    assert await reader.stored() == before
    assert reader.keeper.current() is held
    reader.clock.advance(timedelta(seconds=30))
    reader.wire.published = honest
    reader.wire.publish()
    assert await reader.keeper.refresh() is True


async def test_a_fast_forward_within_the_hour_is_over_in_an_hour(reader: Reader) -> None:
    """A thief of the key can hold readers up for as long as the limit allows, and no longer."""
    honest = reader.current
    reader.wire.published = reader.signed(sequence=int(reader.clock.now().timestamp()) + 3_600)
    assert await reader.keeper.refresh() is True
    reader.wire.published = honest
    reader.registry.last_sequence = None
    reader.clock.advance(HOUR - timedelta(seconds=1))
    reader.wire.publish()
    with pytest.raises(SnapshotUnavailable, match="rolled_back"):
        await reader.keeper.refresh()
    reader.clock.advance(timedelta(seconds=2))
    reader.wire.publish()
    assert await reader.keeper.refresh() is True


async def test_a_key_that_was_dropped_publishes_no_more(reader: Reader) -> None:
    """After a roll: what the old key signs, new or replayed, and through a restart."""
    thief = reader.registry.key
    following = reader.registry.announce_next_key()
    for step in (lambda: None, lambda: reader.registry.switch_key(following), reader.registry.drop_old_keys):
        step()
        reader.clock.advance(timedelta(minutes=5))
        reader.wire.publish()
        assert await reader.keeper.refresh() is True
    reader.clock.advance(timedelta(minutes=5))
    for stolen in (reader.signed(by=thief), reader.older):
        reader.wire.published, honest = stolen, reader.current
        for keeper in (reader.keeper, reader.restarted()):
            with pytest.raises(SnapshotUnavailable) as refused:
                await keeper.refresh()
            assert refused.value.reason == "unknown_key"
        reader.wire.published = honest
    reader.wire.publish()
    assert await reader.restarted().refresh() is True


async def test_without_its_status_lists_nobody_is_in_good_standing(reader: Reader) -> None:
    """Only the registry itself can leave them out, and it gains nothing by it."""
    reader.wire.published = _without("status")(reader)
    assert await reader.keeper.refresh() is True
    snapshot = reader.keeper.current()
    assert snapshot is not None
    mark = snapshot.mark_for(CHRISTIE)
    assert mark is not None
    assert snapshot.mark_status(mark) is MarkStanding.UNAVAILABLE
