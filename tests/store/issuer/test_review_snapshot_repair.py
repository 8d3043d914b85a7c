"""A replica that cannot load the newest stored snapshot asks for all of it, not whether it has changed."""

from __future__ import annotations

from datetime import timedelta

from passport_shared.formats.snapshot import Snapshot
from passport_shared.outbound import Outbound
from passport_shared.service import documents as cached
from passport_shared.service.db import new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.snapshot_keeper import SnapshotKeeper, part_document
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registry_wire import RegistryWire


@both_databases
async def test_a_part_that_another_replica_forgot_is_fetched_again(databases: FreshDatabases) -> None:
    metadata = new_metadata()
    tables, clock = cached.tables(metadata), FrozenClock()
    db = await databases.open(metadata=metadata)
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    wire = RegistryWire(registry)

    def replica() -> SnapshotKeeper:
        kept = CachedDocuments(db, tables, clock)
        return SnapshotKeeper(db, Outbound(transport=wire), registry.trust_file, clock, kept)

    ours, theirs = replica(), replica()
    await ours.refresh()
    first = await theirs.latest()
    assert isinstance(first, Snapshot)
    clock.advance(timedelta(minutes=5))
    registry.agree("RBV", "R0A")
    wire.publish()
    await ours.refresh()
    newest = ours.current()
    assert newest is not None
    known = {part.sha256 for part in first.manifest.parts}
    (changed, *_) = [part.sha256 for part in newest.manifest.parts if part.sha256 not in known]
    await CachedDocuments(db, tables, clock).delete(part_document(changed))
    clock.advance(timedelta(seconds=5))
    await theirs.refresh()
    held = theirs.current()
    assert held is not None
    assert held.sequence == newest.sequence
    restarted = await replica().latest()
    assert restarted is not None, "what was missing is stored again"
