"""A trust's HR users: who issues, verifies and approves for it, and until when they are trained (gate G-B).

Every service learns them through the signed client directory, as hashes; from the first one on, the trust's
word alone is no longer enough for an actor nobody has named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_registry.errors import NotFound, PreconditionFailed, fields
from passport_registry.rules.hr_users import trained_until
from passport_registry.rules.onboarding import london_day
from passport_registry.store import hr_users as store
from passport_registry.store import organisations, publications
from passport_registry.store.hr_users import HrUserRow
from passport_registry.store.rows import VersionChanged
from passport_shared.service.auth import Actor
from passport_shared.wire.hr_users import HrRole, HrUser, subject_hash


@dataclass(frozen=True, kw_only=True)
class HrUserDetails:
    """What is recorded of an HR user."""

    roles: Sequence[HrRole]
    training_passed_on: date | None


async def get(ctx: Context, ods_code: str, subject: str) -> HrUserRow:
    """Return one HR user.

    Raises:
        NotFound: the trust has named nobody of this id.
    """
    row = await find(ctx, ods_code, subject)
    if row is None:
        raise NotFound
    return row


async def find(ctx: Context, ods_code: str, subject: str) -> HrUserRow | None:
    """Return one HR user, or None."""
    async with ctx.db.read() as conn:
        await _member(conn, ods_code)
        return await store.get(conn, ods_code, subject)


async def page(ctx: Context, ods_code: str, *, after: str | None, limit: int) -> list[HrUserRow]:
    """Return a trust's HR users by id.

    Raises:
        NotFound: it is no member.
    """
    async with ctx.db.read() as conn:
        await _member(conn, ods_code)
        return await store.page(conn, ods_code, after=after, limit=limit)


async def record(
    ctx: Context,
    ods_code: str,
    subject: str,
    details: HrUserDetails,
    actor: Actor,
    *,
    expected_version: int,
) -> HrUserRow:
    """Record an HR user as they stand now.

    Raises:
        NotFound: the trust is no member.
        Invalid: the training lies in the future.
        PreconditionFailed: somebody has recorded this person meanwhile.
    """
    now = ctx.clock.now()
    if details.training_passed_on is not None and details.training_passed_on > london_day(now):
        raise fields([("training_passed_on", "lies in the future; it may be today or earlier")])
    row = HrUserRow(
        ods_code=ods_code,
        subject=subject,
        roles=sorted({role.value for role in details.roles}),
        training_passed_on=details.training_passed_on,
        recorded_at=now,
        recorded_by=actor.as_dict(),
        version=expected_version + 1,
    )
    async with ctx.db.write() as conn:
        await _member(conn, ods_code)
        try:
            await store.record(conn, row, expected_version=expected_version)
        except VersionChanged:
            raise PreconditionFailed from None
        await ctx.audit.record(
            conn,
            kind="hr_user.recorded",
            subject_ref=f"{ods_code}/{subject}",
            organisation=ods_code,
            actor=actor.as_dict(),
            details={"roles": row.roles, "trained": row.training_passed_on is not None},
        )
        await publications.changed(conn)
    return row


async def remove(ctx: Context, ods_code: str, subject: str, actor: Actor, *, expected_version: int) -> None:
    """Forget an HR user who does this work no longer.

    Raises:
        PreconditionFailed: somebody has changed or removed this person meanwhile.
    """
    async with ctx.db.write() as conn:
        try:
            await store.remove(conn, ods_code, subject, expected_version)
        except VersionChanged:
            raise PreconditionFailed from None
        await ctx.audit.record(
            conn,
            kind="hr_user.removed",
            subject_ref=f"{ods_code}/{subject}",
            organisation=ods_code,
            actor=actor.as_dict(),
        )
        await publications.changed(conn)


async def for_directory(ctx: Context) -> tuple[list[HrUser], list[str]]:
    """Return all HR users as the directory tells them, and the trusts that keep them here."""
    async with ctx.db.read() as conn:
        rows, keepers = await store.every(conn), await store.keepers(conn)
    users = [
        HrUser(
            organisation=row.ods_code,
            subject_hash=subject_hash(row.ods_code, row.subject),
            roles=frozenset(HrRole(role) for role in row.roles),
            trained_until=trained_until(row.training_passed_on),
        )
        for row in rows
    ]
    return users, keepers


async def _member(conn: AsyncConnection, ods_code: str) -> None:
    if await organisations.get(conn, ods_code) is None:
        raise NotFound
