"""What a trust records about a person: assignments, checks, training, identity sessions.

A check or a training entry is never changed: a newer one supersedes it. An identity session is opened when
the appointment is made and ended with its result; a failed one stops every offer until the person is seen
again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import WrongState
from passport_issuer.operations import appointments
from passport_issuer.operations import staff as staff_operations
from passport_issuer.operations.staff import by
from passport_issuer.rules.records import (
    Assignment,
    CheckRecord,
    IdentitySession,
    SessionResult,
    Source,
    TrainingEntry,
)
from passport_issuer.rules.validity import london_day
from passport_issuer.store import evidence as store
from passport_issuer.store.rows import Duplicate, VersionChanged
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor, Caller
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import Conflict, Invalid, NotFound, PreconditionFailed
from passport_shared.service.tenancy import Tenant

R = TypeVar("R", Assignment, CheckRecord, TrainingEntry, IdentitySession)


async def get(ctx: Context, tenant: Tenant, kind: type[R], staff_id: str, record_id: str) -> R:
    """One record.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        record: R | None = await store.get_record(conn, kind, tenant.ods, staff_id, record_id)
    if record is None:
        raise NotFound
    return record


async def list_of(
    ctx: Context, tenant: Tenant, kind: type[R], staff_id: str, page: PageQuery
) -> tuple[list[R], str | None]:
    """A page of a person's records of one kind.

    Raises:
        NotFound: no such person.
    """
    await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        return await store.list_records(conn, kind, tenant.ods, staff_id, page)


async def add_assignment(
    ctx: Context, tenant: Tenant, staff_id: str, values: Mapping[str, Any], caller: Caller, claim: Claim
) -> str:
    """Add a post; its id.

    Raises:
        NotFound, Conflict.
    """
    now = ctx.clock.now()
    post = Assignment(
        **await _new(ctx, tenant, staff_id, caller.client_id), **values, version=1, updated_at=now
    )
    return await _write(ctx, post, "assignment.added", by(caller), claim, {})


async def replace_assignment(
    ctx: Context, tenant: Tenant, read: Assignment, values: Mapping[str, Any], caller: Caller
) -> Assignment:
    """Replace a post's details if nobody changed them since they were read.

    Raises:
        PreconditionFailed.
    """
    changed = replace(read, **values, version=read.version + 1, updated_at=ctx.clock.now())
    try:
        async with ctx.db.write() as conn:
            await store.replace_record(conn, changed, expected_version=read.version)
            await ctx.audit.record(
                conn,
                kind="assignment.changed",
                subject_ref=read.staff_id,
                actor=by(caller),
                organisation=tenant.ods,
                details={"assignment": read.id},
            )
    except VersionChanged:
        raise PreconditionFailed from None
    return changed


async def add_check(
    ctx: Context, tenant: Tenant, staff_id: str, values: Mapping[str, Any], actor: Actor, claim: Claim
) -> str:
    """Record a check with its evidence; its id.

    Raises:
        NotFound, Invalid.
    """
    check = CheckRecord(**await _new(ctx, tenant, staff_id, actor.ref), **values)
    _check_possible(check, london_day(ctx.clock.now()))
    details = {"check_type": check.check_type.value, "outcome": check.outcome.value}
    return await _write(ctx, check, "check.recorded", actor.as_dict(), claim, details)


def _check_possible(check: CheckRecord, today: date) -> None:
    if check.source is Source.MANUAL and check.evidence_ref is None:
        raise Invalid("A check entered by hand needs its evidence.", field="/evidence_ref")
    if check.performed_on > today:
        raise Invalid("A check cannot have been performed in the future.", field="/performed_on")


async def add_training(
    ctx: Context, tenant: Tenant, staff_id: str, values: Mapping[str, Any], caller: Caller, claim: Claim
) -> str:
    """Record a completed subject; its id.

    Raises:
        NotFound.
    """
    entry = TrainingEntry(**await _new(ctx, tenant, staff_id, caller.client_id), **values)
    if entry.completed_on > london_day(ctx.clock.now()):
        raise Invalid("A subject cannot have been completed in the future.", field="/completed_on")
    return await _write(
        ctx, entry, "training.recorded", by(caller), claim, {"subject_code": entry.subject_code}
    )


async def open_session(
    ctx: Context, tenant: Tenant, staff_id: str, values: Mapping[str, Any], actor: Actor, claim: Claim
) -> str:
    """Open an identity session; its id.

    Raises:
        NotFound.
    """
    session = IdentitySession(
        **await _new(ctx, tenant, staff_id, actor.ref),
        **values,
        documents=(),
        face_matched=False,
        originals_seen_in_person_on=None,
        result=SessionResult.PENDING,
        started_at=None,
        ended_at=None,
        hr_user=None,
        version=1,
    )

    async def tell(conn: AsyncConnection) -> None:
        await appointments.announce(ctx, conn, session, actor.ref)

    return await _write(ctx, session, "identity_session.opened", actor.as_dict(), claim, {}, tell)


async def end_session(
    ctx: Context, tenant: Tenant, read: IdentitySession, values: Mapping[str, Any], actor: Actor
) -> IdentitySession:
    """End a session with its result; it cannot be ended twice.

    Raises:
        WrongState, PreconditionFailed.
    """
    if read.result is not SessionResult.PENDING:
        raise WrongState(f"The session has ended: {read.result.value}.")
    now = ctx.clock.now()
    ended = replace(
        read,
        **values,
        started_at=read.started_at or now,
        ended_at=now,
        hr_user=actor.ref,
        version=read.version + 1,
    )
    try:
        async with ctx.db.write() as conn:
            await store.replace_record(conn, ended, expected_version=read.version)
            await ctx.audit.record(
                conn,
                kind="identity_session.ended",
                subject_ref=read.staff_id,
                actor=actor.as_dict(),
                organisation=tenant.ods,
                details={"session": read.id, "result": ended.result.value},
            )
    except VersionChanged:
        raise PreconditionFailed from None
    return ended


async def _new(ctx: Context, tenant: Tenant, staff_id: str, created_by: str) -> dict[str, Any]:
    """What every new record of a person has."""
    await staff_operations.get(ctx, tenant, staff_id)
    return {
        "id": new_id(),
        "ods": tenant.ods,
        "staff_id": staff_id,
        "created_at": ctx.clock.now(),
        "created_by": created_by,
    }


async def _write(
    ctx: Context,
    record: Assignment | CheckRecord | TrainingEntry | IdentitySession,
    kind: str,
    actor: dict[str, Any],
    claim: Claim,
    details: dict[str, Any],
    tell: Callable[[AsyncConnection], Awaitable[None]] | None = None,
) -> str:
    try:
        async with ctx.db.write() as conn:
            await store.insert_record(conn, record)
            await ctx.audit.record(
                conn,
                kind=kind,
                subject_ref=record.staff_id,
                actor=actor,
                organisation=record.ods,
                details={"record": record.id, **details},
            )
            if tell is not None:
                await tell(conn)
            await claim.complete(conn, record.id)
    except Duplicate:
        raise Conflict("An assignment of this person has this reference.") from None
    return record.id
