"""Gathering: every linked system is read at once, and what came is kept beside what the trust holds.

A direct call, not a job: each system has its connection's own time, they run side by side, and one that is
slow, down, wrong or endless fails alone (ADR-0022). What was read is stored as a preview, item by item: new,
changed, the same, or not usable and why; HR applies what it accepts. A system that answers about somebody
else is refused as a whole and marked; so is a connection whose records cannot be true.

A registration that ends or limits practice does not wait for anybody where the trust lets it act (the
connection's `on_registration_change`): it is applied in the transaction that stores the preview.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.clients.workforce import WorkforceError, WorkforceReason
from passport_issuer.context import Context
from passport_issuer.errors import NOTHING_LINKED
from passport_issuer.operations import connections, failpoints, gathering_apply, leavers
from passport_issuer.operations import staff as staff_operations
from passport_issuer.rules import workforce_dsp, workforce_esr
from passport_issuer.rules.datasets import Assessment
from passport_issuer.rules.records import StaffMember, StaffRecords
from passport_issuer.rules.validity import london_day
from passport_issuer.rules.workforce import (
    LIES,
    WORDS,
    Cause,
    ConnectionKind,
    ConnectionState,
    Finding,
    ForeignRecords,
    ItemState,
    Reading,
    Refusal,
    Unusable,
)
from passport_issuer.rules.workforce_names import still_the_same
from passport_issuer.rules.workforce_preview import Judged, gaps, judge
from passport_issuer.store import connection_gatherings as store
from passport_issuer.store import connection_links as links
from passport_issuer.store import connections as connection_store
from passport_issuer.store import evidence
from passport_issuer.store.connection_gatherings import Gathering, Item
from passport_issuer.store.connection_links import Link, Screening
from passport_issuer.store.connections import Connection
from passport_issuer.store.passports import passport_of
from passport_shared.formats.ids import new_id, random_token
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import NotFound, PassportError
from passport_shared.service.tenancy import Tenant
from passport_shared.wire import catalogue

BY_ITSELF = (Cause.EVENT, Cause.CHANGES)
UNLINKED = "UNLINKED"
_UNLINKED = "The link was changed while the system was read. Gather again."
KEPT = timedelta(days=14)
"""How long a preview waits for HR; it holds personal data, so not longer."""


@dataclass(frozen=True, kw_only=True)
class ReadSource:
    """How reading one connection went: its findings, or why there are none."""

    connection: Connection
    link: Link
    outcome: str
    reason: str | None = None
    detail: str | None = None
    error: WorkforceReason | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def answered(self) -> bool:
        """Whether the system said something about this link: what was due is done."""
        if self.reason == UNLINKED:
            return False
        return self.outcome in ("READ", "REFUSED") or self.error is WorkforceReason.NOT_FOUND

    def as_dict(self) -> dict[str, Any]:
        """As the gathering's row holds it."""
        return {
            "connection_id": self.connection.id,
            "name": self.connection.name,
            "system_type": self.connection.system_type.value,
            "outcome": self.outcome,
            "reason": self.reason,
            "detail": self.detail,
        }


@dataclass(frozen=True, kw_only=True)
class GatheringView:
    """A gathering with its items and what would still be missing."""

    gathering: Gathering
    items: tuple[Item, ...]
    assessment: Assessment


async def gather(ctx: Context, tenant: Tenant, staff_id: str, actor: Actor, claim: Claim) -> str:
    """Read everything a person is linked to, for HR; the gathering's id.

    Raises:
        NotFound.
        PassportError: nothing_linked.
    """
    staff = await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        every = await links.links_of_staff(conn, tenant.ods, staff_id)
        known = {one.id: one for one in await connection_store.connections_of(conn, tenant.ods)}
    if not every:
        raise PassportError(NOTHING_LINKED, "The person is linked to no workforce system.")
    pairs = [(link, known[link.connection_id]) for link in every if link.connection_id in known]
    sources = await asyncio.gather(
        *(read_source(ctx, staff, link, connection, every) for link, connection in pairs)
    )
    gathering = await keep(ctx, tenant, staff, sources, Cause.HR, actor.ref, actor.as_dict(), claim)
    return gathering.id


async def read_source(
    ctx: Context, staff: StaffMember, link: Link, connection: Connection, every: Sequence[Link]
) -> ReadSource:
    """Read one system about one person, within its connection's time; never raises for what it does."""
    if connection.state is not ConnectionState.ACTIVE:
        return ReadSource(
            connection=connection,
            link=link,
            outcome="PAUSED",
            reason="PAUSED",
            detail="The connection is paused.",
        )
    try:
        async with connections.opened(ctx, connection) as system:
            answered = await system.records(link.person_id)
    except WorkforceError as error:
        reason, words = connections.explained(error)
        return ReadSource(
            connection=connection,
            link=link,
            outcome="FAILED",
            reason=reason,
            detail=words,
            error=error.reason,
        )
    refusal = still_the_same(staff, staff.ods, link.chosen, answered.person, answered.answered_id)
    if refusal is not None:
        await _doubt(ctx, connection, [refusal])
        return ReadSource(
            connection=connection,
            link=link,
            outcome="REFUSED",
            reason=refusal.value,
            detail=WORDS[refusal],
        )
    found = _findings(answered, _reading(ctx, staff, link, connection, every), connection)
    await _doubt(ctx, connection, [one.reason for one in found if isinstance(one, Unusable)])
    return ReadSource(connection=connection, link=link, outcome="READ", findings=tuple(found))


async def _doubt(ctx: Context, connection: Connection, refusals: Sequence[Refusal]) -> None:
    lie = next((refusal for refusal in refusals if refusal in LIES), None)
    if lie is not None:
        await connections.suspect(ctx, connection, lie)


def _findings(answered: ForeignRecords, reading: Reading, connection: Connection) -> list[Finding]:
    if connection.kind is ConnectionKind.ESR:
        return workforce_esr.findings(answered, reading)
    return workforce_dsp.findings(answered.records[workforce_dsp.LIST], reading)


def _reading(
    ctx: Context, staff: StaffMember, link: Link, connection: Connection, every: Sequence[Link]
) -> Reading:
    """Whose records these are, under every name a person has accepted for them."""
    family = [staff.legal_family]
    given = [staff.legal_given]
    for one in every:
        family += [one.family_name, *one.previous_family_names]
        given.append(one.given_name)
    return Reading(
        ods=staff.ods,
        given_name=staff.legal_given,
        family_name=staff.legal_family,
        birthdate=link.birthdate or staff.birthdate,
        known_family_names=tuple(dict.fromkeys(family)),
        known_given_names=tuple(dict.fromkeys(given)),
        connection_id=connection.id,
        system_type=connection.system_type,
        today=london_day(ctx.clock.now()),
    )


async def keep(
    ctx: Context,
    tenant: Tenant,
    staff: StaffMember,
    sources: Sequence[ReadSource],
    cause: Cause,
    created_by: str,
    actor: Mapping[str, Any],
    claim: Claim | None = None,
) -> Gathering:
    """Store what was read beside what is held, and apply what does not wait for anybody.

    Raises:
        NotFound: the person is gone.
    """
    now = ctx.clock.now()
    gathering = Gathering(
        id=new_id(),
        ods=tenant.ods,
        staff_id=staff.id,
        cause=cause,
        sources=(),
        created_at=now,
        created_by=created_by,
        expires_at=now + KEPT,
    )
    async with ctx.db.write() as conn:
        if not await links.hold_person(conn, tenant.ods, staff.id):
            raise NotFound
        sources = await _still_linked(conn, staff, sources)
        gathering = replace(gathering, sources=tuple(source.as_dict() for source in sources))
        records, screening = await held_of(conn, staff)
        items = _items(gathering.id, sources, records, screening)
        for source in sources:
            if source.answered:
                await links.gathered(conn, source.link, now)
        if cause is not Cause.HR:
            await store.forget_waiting(conn, staff.id, BY_ITSELF, gathering_apply.BY_SYSTEM)
            if not _tells_something(sources, items):
                return gathering
        await store.insert_gathering(conn, gathering, items)
        await _audit(ctx, conn, gathering, sources, actor)
        # Read again inside the transaction: a doubt that came up meanwhile counts.
        trusted = await _trusted(conn, tenant, sources)
        changed = await gathering_apply.apply_at_once(ctx, conn, tenant, gathering, items, trusted)
        if claim is not None:
            await claim.complete(conn, gathering.id)
    failpoints.hit(failpoints.AFTER_GATHERED)
    await leavers.sign_changed(ctx, changed)
    return gathering


def _tells_something(sources: Sequence[ReadSource], items: Sequence[Item]) -> bool:
    """Whether HR has anything to look at; what nobody asked for and changes nothing is not kept."""
    usable = (ItemState.NEW, ItemState.CHANGED)
    return any(source.outcome == "REFUSED" for source in sources) or any(i.state in usable for i in items)


async def _audit(
    ctx: Context,
    conn: AsyncConnection,
    gathering: Gathering,
    sources: Sequence[ReadSource],
    actor: Mapping[str, Any],
) -> None:
    await ctx.audit.record(
        conn,
        kind="staff.gathered",
        subject_ref=gathering.staff_id,
        actor=actor,
        organisation=gathering.ods,
        details={
            "gathering": gathering.id,
            "cause": gathering.cause.value,
            "sources": {source.connection.id: source.outcome for source in sources},
        },
    )


async def _still_linked(
    conn: AsyncConnection, staff: StaffMember, sources: Sequence[ReadSource]
) -> list[ReadSource]:
    """What was read through a link that has been taken away or changed meanwhile is nobody's."""
    current = {(one.id, one.version) for one in await links.links_of_staff(conn, staff.ods, staff.id)}
    return [
        source
        if (source.link.id, source.link.version) in current
        else replace(source, outcome="REFUSED", reason=UNLINKED, detail=_UNLINKED, findings=())
        for source in sources
    ]


async def _trusted(
    conn: AsyncConnection, tenant: Tenant, sources: Sequence[ReadSource]
) -> dict[str, Connection]:
    found = {}
    for source in sources:
        connection = await connection_store.get_connection(conn, tenant.ods, source.connection.id)
        if connection is not None and connection.suspicious_at is None:
            found[connection.id] = connection
    return found


def _items(
    gathering_id: str,
    sources: Sequence[ReadSource],
    records: StaffRecords,
    screening: frozenset[tuple[str, str, str]],
) -> list[Item]:
    items: list[Item] = []
    for source in sources:
        for finding in source.findings:
            judged = judge(finding, records, screening)
            items.append(
                Item(
                    id=new_id(),
                    gathering_id=gathering_id,
                    connection_id=source.connection.id,
                    position=len(items),
                    kind=judged.kind,
                    key=judged.key,
                    state=judged.state,
                    reason=judged.reason.value if judged.reason else None,
                    values=judged.values,
                    differs=judged.differs,
                    applied_at=None,
                    applied_by=None,
                    record_id=None,
                    changed_something=None,
                )
            )
    return items


async def held_of(
    conn: AsyncConnection, staff: StaffMember
) -> tuple[StaffRecords, frozenset[tuple[str, str, str]]]:
    """What the trust holds about a person, screening apart."""
    return await evidence.load_records(conn, staff), await links.screening_of(conn, staff.id)


async def view(ctx: Context, tenant: Tenant, staff_id: str, gathering_id: str) -> GatheringView:
    """A gathering, its items, and what is not held even if all of them were accepted.

    Raises:
        NotFound.
    """
    staff = await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        gathering = await store.get_gathering(conn, tenant.ods, staff_id, gathering_id)
        if gathering is None:
            raise NotFound
        items = await store.items_of(conn, gathering_id)
        records = await evidence.load_records(conn, staff)
        passport = await passport_of(conn, tenant.ods, staff_id)
    now = ctx.clock.now()
    assessment = gaps(
        records,
        [(_judged(item), gathering_apply.source_of_item(gathering, item)) for item in items],
        passport.holder_ref if passport else random_token(16),
        catalogue.EMPLOYER_TYPES,
        london_day(now),
        now,
    )
    return GatheringView(gathering=gathering, items=tuple(items), assessment=assessment)


def _judged(item: Item) -> Judged:
    return Judged(
        kind=item.kind,
        key=item.key,
        state=item.state,
        values=item.values if item.state in (ItemState.NEW, ItemState.CHANGED) else None,
    )


async def find(
    ctx: Context, tenant: Tenant, staff_id: str, page: PageQuery
) -> tuple[list[Gathering], str | None]:
    """A page of a person's gatherings, newest first.

    Raises:
        NotFound.
    """
    await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        return await store.list_gatherings(conn, tenant.ods, staff_id, page)


async def apply(
    ctx: Context,
    tenant: Tenant,
    staff_id: str,
    gathering_id: str,
    item_ids: Sequence[str],
    actor: Actor,
) -> GatheringView:
    """Apply the items HR accepts; what was applied before, or is held by now, changes nothing.

    Raises:
        NotFound.
        PassportError: item_not_usable; nothing was applied then.
    """
    changed = await gathering_apply.apply_items(ctx, tenant, staff_id, gathering_id, item_ids, actor)
    await leavers.sign_changed(ctx, changed)
    return await view(ctx, tenant, staff_id, gathering_id)


async def forget_expired(ctx: Context) -> int:
    """Remove previews nobody wanted; how many."""
    async with ctx.db.write() as conn:
        return await store.forget_expired(conn, ctx.clock.now())


async def screening(ctx: Context, tenant: Tenant, staff_id: str) -> list[Screening]:
    """The screening records that are held about a person; nothing is ever issued from them.

    Raises:
        NotFound.
    """
    await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        return await links.list_screening(conn, tenant.ods, staff_id)
