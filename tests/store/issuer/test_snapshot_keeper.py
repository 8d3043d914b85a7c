"""The snapshot is kept durably, read by every replica, and never goes back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from sqlalchemy import MetaData

from passport_shared.outbound import Outbound
from passport_shared.service import documents as cached
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.snapshot_keeper import (
    MANIFEST_DOCUMENT,
    SnapshotKeeper,
    SnapshotUnavailable,
    part_document,
)
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.network import CHRISTIE, TrustRegistrySimulator
from passport_testkit.registry_wire import RegistryWire


@dataclass
class Reader:
    """One replica that reads the registry."""

    registry: TrustRegistrySimulator
    wire: RegistryWire
    db: Database
    clock: FrozenClock
    tables: cached.DocumentTables

    def replica(self) -> SnapshotKeeper:
        """Another process on the same database."""
        documents = CachedDocuments(self.db, self.tables, self.clock)
        outbound = Outbound(transport=self.wire)
        return SnapshotKeeper(self.db, outbound, self.registry.trust_file, self.clock, documents)

    def documents(self) -> CachedDocuments:
        """The stored documents."""
        return CachedDocuments(self.db, self.tables, self.clock)


@pytest.fixture
async def reader(databases: FreshDatabases) -> Reader:
    metadata: MetaData = new_metadata()
    tables = cached.tables(metadata)
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    return Reader(registry, RegistryWire(registry), await databases.open(metadata=metadata), clock, tables)


@both_databases
async def test_a_snapshot_is_fetched_once_and_found_by_every_replica(reader: Reader) -> None:
    first, second = reader.replica(), reader.replica()
    assert first.current() is None
    assert await second.latest() is None
    assert await first.refresh() is True
    snapshot = await second.latest()
    assert snapshot is not None
    assert snapshot.mark_for(CHRISTIE) is not None
    fetched = len(reader.wire.requests)
    assert await first.refresh() is False
    assert len(reader.wire.requests) == fetched + 1
    # after a restart nothing is needed of the registry
    reader.wire.down = True
    restarted = reader.replica()
    assert (await restarted.latest()) is not None
    with pytest.raises(SnapshotUnavailable, match="connect_failed"):
        await restarted.refresh()
    assert restarted.current() is not None


async def test_only_parts_that_changed_are_fetched_and_old_ones_forgotten(reader: Reader) -> None:
    keeper = reader.replica()
    await keeper.refresh()
    old = {hashlib.sha256(content).hexdigest() for content in reader.wire.published.parts.values()}
    reader.wire.requests.clear()
    reader.clock.advance(timedelta(minutes=5))
    reader.registry.agree("RBV", "R0A")
    reader.wire.publish()
    new = {hashlib.sha256(content).hexdigest() for content in reader.wire.published.parts.values()}
    assert old & new
    assert await keeper.refresh() is True
    asked = {url.rsplit("/", 1)[-1] for url in reader.wire.requests if "/parts/" in url}
    assert asked == new - old
    stored = reader.documents()
    for digest in old - new:
        assert await stored.get(part_document(digest)) is None
    for digest in new:
        assert await stored.get(part_document(digest)) is not None


async def test_a_registry_that_goes_back_is_refused_also_after_a_restart(reader: Reader) -> None:
    earlier = reader.wire.published
    keeper = reader.replica()
    reader.clock.advance(timedelta(minutes=5))
    reader.wire.publish()
    await keeper.refresh()
    held = keeper.current()
    assert held is not None
    reader.wire.published = earlier
    for who in (keeper, reader.replica()):
        with pytest.raises(SnapshotUnavailable, match="rolled_back"):
            await who.refresh()
        current = await who.latest()
        assert current is not None
        assert current.sequence == held.sequence


async def test_the_same_sequence_with_other_bytes_is_refused(reader: Reader) -> None:
    keeper = reader.replica()
    await keeper.refresh()
    assert reader.registry.last_sequence is not None
    reader.wire.published = reader.registry.publish(sequence=reader.registry.last_sequence)
    with pytest.raises(SnapshotUnavailable, match="forked"):
        await keeper.refresh()


async def test_a_part_that_is_not_what_the_manifest_names_changes_nothing(reader: Reader) -> None:
    keeper = reader.replica()
    parts = dict(reader.wire.published.parts)
    spoiled = {name: content + b" " for name, content in parts.items()}

    async def serve_spoiled() -> None:
        reader.wire.published = replace(reader.wire.published, parts=spoiled)
        with pytest.raises(SnapshotUnavailable, match="part_http_404"):
            await keeper.refresh()

    await serve_spoiled()
    assert await keeper.latest() is None
    assert await reader.documents().get(MANIFEST_DOCUMENT) is None


async def test_an_expired_snapshot_is_not_loaded_but_still_keeps_the_sequence(reader: Reader) -> None:
    earlier = reader.wire.published
    reader.clock.advance(timedelta(minutes=5))
    reader.wire.publish()
    await reader.replica().refresh()
    reader.clock.advance(timedelta(hours=73))
    restarted = reader.replica()
    assert await restarted.latest() is None
    reader.wire.published = earlier
    with pytest.raises(SnapshotUnavailable):
        await restarted.refresh()
    reader.wire.publish()
    assert await restarted.refresh() is True


async def test_the_anchor_rolls_its_key_and_a_restart_still_knows_it(reader: Reader) -> None:
    keeper = reader.replica()
    await keeper.refresh()
    following = reader.registry.announce_next_key()
    reader.clock.advance(timedelta(minutes=5))
    reader.wire.publish()
    await keeper.refresh()
    reader.registry.switch_key(following)
    reader.clock.advance(timedelta(minutes=5))
    reader.wire.publish()
    assert await keeper.refresh() is True
    restarted = reader.replica()
    assert (await restarted.latest()) is not None


async def test_a_stranger_in_the_registry_s_place_is_refused(reader: Reader) -> None:
    keeper = reader.replica()
    stranger = TrustRegistrySimulator(reader.clock)
    stranger.enrol_issuer()
    reader.wire.published = stranger.publish()
    with pytest.raises(SnapshotUnavailable):
        await keeper.refresh()
    assert await keeper.latest() is None


async def test_the_client_directory_is_where_the_anchor_says(reader: Reader) -> None:
    keeper = reader.replica()
    assert await keeper.directory_source() is None
    await keeper.refresh()
    source = await keeper.directory_source()
    assert source is not None
    assert source.iss == reader.registry.anchor
    assert source.uri == f"{reader.registry.anchor}/client-directory"
    assert [jwk["kid"] for jwk in source.jwks] == [reader.registry.client_directory_key.kid]
