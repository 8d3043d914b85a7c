"""A person's last day of employment ends what they are released for (worked case W8).

Judged from what is recorded, not from an event: whatever wrote the date, the running releases are brought
into line with it, at once where our own interface changed it and by the periodic task otherwise. A date that
moves back later gives the days back, as far as they were agreed. Each change is a new Release with a higher
serial.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.operations import release_documents, releases
from passport_issuer.rules import releases as rules
from passport_issuer.rules.releases import AGREED, CaseState
from passport_issuer.rules.validity import london_day
from passport_issuer.store import releases as store
from passport_issuer.store.releases import Case
from passport_issuer.store.staff import get_staff, set_leaving_date
from passport_shared.service.auth import Actor
from passport_shared.service.problems import NotFound
from passport_shared.service.tenancy import Tenant

log = structlog.get_logger(__name__)

SYSTEM = {"system": "release.leavers"}


async def apply(
    ctx: Context, conn: AsyncConnection, tenant: Tenant, staff_id: str, actor: Mapping[str, Any]
) -> list[Case]:
    """Bring a person's running releases into line with their leaving date, in the caller's transaction.

    Returns:
        The cases that changed; their Releases are reserved and are signed after the commit.
    """
    staff = await get_staff(conn, tenant.ods, staff_id)
    if staff is None:
        return []
    changed: list[Case] = []
    for case in await store.running_of(conn, tenant.ods, staff_id, london_day(ctx.clock.now())):
        moved = await _move_end(ctx, conn, tenant, case, staff.leaving_date)
        if moved is None:
            continue
        changed.append(moved)
        await ctx.audit.record(
            conn,
            kind="release.end_changed" if moved.state in AGREED else "release.withdrawn",
            subject_ref=case.id,
            actor=actor,
            organisation=tenant.ods,
            details={"serial": moved.serial, "because": "leaving_date"},
        )
    return changed


async def _move_end(
    ctx: Context, conn: AsyncConnection, tenant: Tenant, case: Case, leaving: date | None
) -> Case | None:
    """The case with the end its leaving date allows; None when it has it already, or another moved it."""
    assert case.agreed_end is not None  # noqa: S101 - an agreed case has one
    until = rules.released_until(case.agreed_end, leaving)
    if until == case.released_end:
        return None
    if until < case.start:
        return await releases.end_release(ctx, conn, tenant, case, leaving=leaving)
    limits = rules.limits_in_force(releases.limits_of(case), case.agreed_end, leaving)
    state = CaseState.AGREED_WITH_LIMITS if limits else CaseState.AGREED
    moved = await store.close(conn, case, to=state, come_from=AGREED, serial=case.serial, released_end=until)
    if moved is None:
        return None
    holder_ref = await releases.holder_ref_of(conn, moved)
    await release_documents.reserve(ctx, conn, tenant, moved, limits=limits, holder_ref=holder_ref)
    return moved


async def set_date(
    ctx: Context, tenant: Tenant, staff_id: str, leaving: date | None, actor: Actor
) -> list[str]:
    """Record or clear a last day of employment; ids of the releases that changed with it.

    Raises:
        NotFound.
    """
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        if not await set_leaving_date(conn, tenant.ods, staff_id, leaving, now):
            raise NotFound
        await ctx.audit.record(
            conn,
            kind="staff.leaving_date_set" if leaving else "staff.leaving_date_cleared",
            subject_ref=staff_id,
            actor=actor.as_dict(),
            organisation=tenant.ods,
        )
        changed = await apply(ctx, conn, tenant, staff_id, actor.as_dict())
    await sign_changed(ctx, changed)
    return [case.id for case in changed]


async def sign_changed(ctx: Context, changed: list[Case]) -> None:
    """Sign the Releases of cases that changed, after the commit."""
    for case in changed:
        await releases.sign_now(ctx, case)


async def tend(ctx: Context) -> int:
    """The periodic task: what another writer changed, and what was left unsigned; how many cases changed."""
    async with ctx.db.read() as conn:
        due = await store.cut_short(conn, london_day(ctx.clock.now()))
    changed = 0
    for ods, staff_id in due:
        tenant = await ctx.tenants.get(ods)
        if tenant is None:
            continue
        try:
            async with ctx.db.write() as conn:
                changed += len(await apply(ctx, conn, tenant, staff_id, SYSTEM))
        except Exception as fault:
            # One person's releases that cannot be brought into line hold up nobody else's.
            log.exception("release.end_not_changed", organisation=ods, reason=type(fault).__name__)
    await release_documents.sign_waiting(ctx)
    return changed
