"""Appointments as the person hears of them: told when one is made or moved (journey J2, step 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import WrongState
from passport_issuer.operations import notices
from passport_issuer.rules.notices import NoticeKind
from passport_issuer.rules.records import IdentitySession, SessionResult
from passport_issuer.store import evidence as store
from passport_issuer.store.notices import cancel_about
from passport_issuer.store.rows import VersionChanged
from passport_shared.service.auth import Actor
from passport_shared.service.problems import PreconditionFailed
from passport_shared.service.tenancy import Tenant


async def announce(ctx: Context, conn: AsyncConnection, session: IdentitySession, by: str) -> None:
    """Tell the person when and where, in the caller's transaction; nothing without a time to come."""
    if session.scheduled_for is None or session.scheduled_for <= ctx.clock.now():
        return
    await notices.queue(
        ctx,
        conn,
        kind=NoticeKind.APPOINTMENT,
        ods=session.ods,
        staff_id=session.staff_id,
        about=session.id,
        facts={"version": session.version},
        by=by,
    )


async def reschedule(
    ctx: Context, tenant: Tenant, read: IdentitySession, values: Mapping[str, Any], actor: Actor
) -> IdentitySession:
    """Move an appointment that has not been held, if nobody changed it since it was read.

    Args:
        ctx: the context.
        tenant: the trust.
        read: the appointment as it was read.
        values: ``channel``, ``scheduled_for``, ``join_url`` and ``place``.
        actor: who moves it.

    Raises:
        WrongState: it has ended.
        PreconditionFailed.
    """
    if read.result is not SessionResult.PENDING:
        raise WrongState(f"The session has ended: {read.result.value}.")
    moved = replace(read, **values, version=read.version + 1)
    try:
        async with ctx.db.write() as conn:
            await store.replace_record(conn, moved, expected_version=read.version)
            await cancel_about(conn, read.id, "appointment_changed", ctx.clock.now())
            await announce(ctx, conn, moved, actor.ref)
            await ctx.audit.record(
                conn,
                kind="identity_session.rescheduled",
                subject_ref=read.staff_id,
                actor=actor.as_dict(),
                organisation=tenant.ods,
                details={"session": read.id},
            )
    except VersionChanged:
        raise PreconditionFailed from None
    return moved
