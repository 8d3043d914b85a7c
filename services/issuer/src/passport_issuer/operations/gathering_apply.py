"""Applying what was gathered: items become assignments, checks, training, details and screening records.

Everything happens in one transaction under the person's row. Each item is compared with what is held at that
moment, so that a repetition, an older gathering or a second source of the same fact changes nothing. What a
registration or a suspension means for the passport happens in the same transaction, so that no crash comes
between the fact and the hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import ITEM_NOT_USABLE
from passport_issuer.operations import leavers, passports
from passport_issuer.operations import staff as staff_operations
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.rules.records import EmploymentStatus, Source, StaffRecords
from passport_issuer.rules.workforce import (
    Cause,
    ItemKind,
    ItemState,
    OnRegistrationChange,
    Proposal,
    SystemType,
    source_of,
    worse_for_practice,
)
from passport_issuer.rules.workforce_preview import (
    Judged,
    Making,
    assignment_from,
    check_from,
    details_from,
    held_check,
    judge,
    training_from,
)
from passport_issuer.store import connection_gatherings as store
from passport_issuer.store import connection_links as links
from passport_issuer.store import evidence
from passport_issuer.store.connection_gatherings import Gathering, Item
from passport_issuer.store.connection_links import Screening
from passport_issuer.store.connections import Connection
from passport_issuer.store.passports import passport_of
from passport_issuer.store.releases import Case
from passport_issuer.store.staff import get_staff
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.problems import FieldError, NotFound, PassportError
from passport_shared.service.tenancy import Tenant

USABLE = (ItemState.NEW, ItemState.CHANGED, ItemState.SAME)
SYSTEM: Mapping[str, Any] = {"system": "workforce"}
BY_SYSTEM = "workforce"
_NOT_USABLE = "The gathering says why it cannot be used; record it by hand with evidence."
_NOT_THERE = "There is no such item in this gathering."


@dataclass
class _Work:
    """One transaction's state: what is held as items are applied, and what they mean for the passport."""

    ctx: Context
    conn: AsyncConnection
    tenant: Tenant
    gathering: Gathering
    records: StaffRecords
    screening: set[tuple[str, str, str]]
    by: str
    actor: Mapping[str, Any]
    may_hold: Callable[[Item], bool]
    details: dict[str, Any] = field(default_factory=dict)
    hold_for: ReasonCode | None = None
    written: list[str] = field(default_factory=list)


async def apply_items(
    ctx: Context,
    tenant: Tenant,
    staff_id: str,
    gathering_id: str,
    item_ids: Sequence[str],
    actor: Actor,
) -> list[Case]:
    """Apply chosen items of a gathering for HR; the releases that changed, to be signed.

    Raises:
        NotFound.
        PassportError: item_not_usable.
    """
    async with ctx.db.write() as conn:
        if not await links.hold_person(conn, tenant.ods, staff_id):
            raise NotFound
        gathering = await store.get_gathering(conn, tenant.ods, staff_id, gathering_id)
        if gathering is None:
            raise NotFound
        every = {item.id: item for item in await store.items_of(conn, gathering_id)}
        _refuse_unusable(every, item_ids)
        wanted = set(item_ids)
        chosen = [item for item in every.values() if item.id in wanted and item.applied_at is None]
        return await _apply(
            ctx, conn, tenant, gathering, chosen, actor.ref, actor.as_dict(), may_hold=lambda _: True
        )


def _refuse_unusable(every: Mapping[str, Item], item_ids: Sequence[str]) -> None:
    errors = []
    for number, item_id in enumerate(item_ids):
        item = every.get(item_id)
        if item is None or item.state not in USABLE:
            code = "not_found" if item is None else (item.reason or "not_usable").lower()
            detail = _NOT_THERE if item is None else _NOT_USABLE
            errors.append(FieldError(pointer=f"/items/{number}", code=code, detail=detail))
    if errors:
        raise PassportError(ITEM_NOT_USABLE, "Some of the items cannot be applied; none was.", errors=errors)


async def apply_at_once(
    ctx: Context,
    conn: AsyncConnection,
    tenant: Tenant,
    gathering: Gathering,
    items: Sequence[Item],
    trusted: Mapping[str, Connection],
) -> list[Case]:
    """Apply what does not wait for HR, in the caller's transaction; the releases that changed.

    From connections that are believed only: what a feed of changes says of employment and registrations; and,
    whatever the cause, a registration that ends or limits practice where the trust lets it act.
    """
    staff = await get_staff(conn, tenant.ods, gathering.staff_id)
    if staff is None:
        return []
    records = await evidence.load_records(conn, staff)

    def at_once(item: Item) -> bool:
        connection = trusted.get(item.connection_id)
        if connection is None or item.values is None:
            return False
        if item.kind is ItemKind.EMPLOYMENT_STATUS:
            return gathering.cause is Cause.CHANGES
        if not _is_registration(item):
            return False
        if _worsens(item.values, records):
            return connection.on_registration_change is OnRegistrationChange.HOLD
        return gathering.cause is Cause.CHANGES

    def may_hold(item: Item) -> bool:
        return trusted[item.connection_id].on_registration_change is OnRegistrationChange.HOLD

    chosen = [item for item in items if at_once(item)]
    if not chosen:
        return []
    return await _apply(ctx, conn, tenant, gathering, chosen, BY_SYSTEM, SYSTEM, may_hold=may_hold)


def _is_registration(item: Item) -> bool:
    return item.kind is ItemKind.CHECK and item.key.startswith("REGISTRATION/")


def _worsens(values: Mapping[str, Any], records: StaffRecords) -> bool:
    held = held_check(values, records)
    before = held.fields.get("status") if held else None
    return worse_for_practice(before, values["fields"]["status"])


async def _apply(
    ctx: Context,
    conn: AsyncConnection,
    tenant: Tenant,
    gathering: Gathering,
    items: Sequence[Item],
    by: str,
    actor: Mapping[str, Any],
    *,
    may_hold: Callable[[Item], bool],
) -> list[Case]:
    staff = await get_staff(conn, tenant.ods, gathering.staff_id)
    if staff is None:
        raise NotFound
    work = _Work(
        ctx=ctx,
        conn=conn,
        tenant=tenant,
        gathering=gathering,
        records=await evidence.load_records(conn, staff),
        screening=set(await links.screening_of(conn, staff.id)),
        by=by,
        actor=actor,
        may_hold=may_hold,
    )
    for item in items:
        await _apply_item(work, item)
    if work.details:
        await staff_operations.change_in(ctx, conn, staff, work.details, actor)
    await _hold(work)
    if work.written:
        await ctx.audit.record(
            conn,
            kind="staff.gathering_applied",
            subject_ref=staff.id,
            actor=actor,
            organisation=tenant.ods,
            details={"gathering": gathering.id, "kinds": sorted(set(work.written))},
        )
    return await leavers.apply(ctx, conn, tenant, staff.id, actor) if work.details else []


async def _apply_item(work: _Work, item: Item) -> None:
    now = work.ctx.clock.now()
    judged = _again(work, item)
    writes = judged is not None and judged.values is not None
    record_id = new_id() if writes else None
    if not await store.mark_applied(
        work.conn, item.id, at=now, by=work.by, record_id=record_id, changed_something=writes
    ):
        return
    if judged is None or judged.values is None or record_id is None:
        return
    making = Making(
        ods=work.tenant.ods,
        staff_id=work.gathering.staff_id,
        record_id=record_id,
        source=source_of_item(work.gathering, item),
        at=now,
        by=work.by,
    )
    work.written.append(item.kind.value)
    await _WRITERS[item.kind](work, item, judged.values, making)


def _again(work: _Work, item: Item) -> Judged | None:
    """The item beside what is held now; None when it never had values."""
    if item.values is None:
        return None
    proposal = Proposal(kind=item.kind, key=item.key, values=item.values)
    return judge(proposal, work.records, frozenset(work.screening))


async def _write_details(work: _Work, item: Item, values: Mapping[str, Any], _: Making) -> None:
    changes = details_from(values)
    if changes.get("employment_status") is EmploymentStatus.SUSPENDED and work.may_hold(item):
        work.hold_for = work.hold_for or ReasonCode.EMPLOYMENT_ON_HOLD
    work.details.update(changes)
    work.records = replace(work.records, staff=replace(work.records.staff, **changes))


async def _write_assignment(work: _Work, _: Item, values: Mapping[str, Any], making: Making) -> None:
    held = next((post for post in work.records.assignments if post.ref == values["ref"]), None)
    post = assignment_from(values, making, held)
    if held is None:
        await evidence.insert_record(work.conn, post)
    else:
        await evidence.replace_record(work.conn, post, expected_version=held.version)
    others = tuple(one for one in work.records.assignments if one is not held)
    work.records = replace(work.records, assignments=(*others, post))


async def _write_check(work: _Work, item: Item, values: Mapping[str, Any], making: Making) -> None:
    if _is_registration(item) and _worsens(values, work.records) and work.may_hold(item):
        work.hold_for = ReasonCode.REGISTRATION_CHANGED
    check = check_from(values, making)
    await evidence.insert_record(work.conn, check)
    work.records = replace(work.records, checks=(*work.records.checks, check))


async def _write_training(work: _Work, _: Item, values: Mapping[str, Any], making: Making) -> None:
    entry = training_from(values, making)
    await evidence.insert_record(work.conn, entry)
    work.records = replace(work.records, training=(*work.records.training, entry))


async def _write_screening(work: _Work, item: Item, values: Mapping[str, Any], making: Making) -> None:
    record = Screening(
        id=making.record_id,
        ods=making.ods,
        staff_id=making.staff_id,
        connection_id=item.connection_id,
        record_type=values["record_type"],
        code=values["code"],
        description=values["description"],
        date=values["date"],
        created_at=making.at,
        created_by=making.by,
    )
    await links.add_screening(work.conn, record)
    work.screening.add((record.record_type, record.code, record.date))


_WRITERS = {
    ItemKind.PERSON: _write_details,
    ItemKind.EMPLOYMENT_STATUS: _write_details,
    ItemKind.ASSIGNMENT: _write_assignment,
    ItemKind.CHECK: _write_check,
    ItemKind.TRAINING: _write_training,
    ItemKind.SCREENING: _write_screening,
}


async def _hold(work: _Work) -> None:
    if work.hold_for is None:
        return
    passport = await passport_of(work.conn, work.tenant.ods, work.gathering.staff_id)
    if passport is not None:
        await passports.hold_in(work.ctx, work.conn, passport, work.hold_for, work.by, work.actor)


def source_of_item(gathering: Gathering, item: Item) -> Source:
    """The source that stands on what an item becomes."""
    types = {source["connection_id"]: source["system_type"] for source in gathering.sources}
    return source_of(SystemType(types[item.connection_id]))
