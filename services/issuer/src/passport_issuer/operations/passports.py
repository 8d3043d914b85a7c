"""A person's passport: what it holds, on hold and back, and its credentials one by one.

All credentials of a passport go on hold together, whatever the cause, so that the pattern tells nothing; a
reason code stays with the trust and the holder. Every change marks the status lists in its own transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import WrongState
from passport_issuer.operations import failpoints, notices
from passport_issuer.operations import staff as staff_operations
from passport_issuer.operations.offers import assess_records
from passport_issuer.rules.datasets import Assessment
from passport_issuer.rules.notices import NoticeKind
from passport_issuer.rules.passports import PassportState, ReasonCode
from passport_issuer.rules.records import StaffMember
from passport_issuer.store import credentials, evidence, passports
from passport_issuer.store.credentials import Credential
from passport_issuer.store.passports import Passport
from passport_shared.formats.ids import random_token
from passport_shared.service.auth import Actor
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import NotFound
from passport_shared.service.tenancy import Tenant


@dataclass(frozen=True, kw_only=True)
class PassportView:
    """One call for a person's passport.

    Its state, its credentials, what could be issued and what is missing.
    """

    staff: StaffMember
    passport: Passport | None
    credentials: tuple[Credential, ...]
    assessment: Assessment


async def view(ctx: Context, tenant: Tenant, staff_id: str) -> PassportView:
    """A person's passport as it is now.

    Raises:
        NotFound.
        PassportError: register_too_old.
    """
    staff = await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        passport = await passports.passport_of(conn, tenant.ods, staff_id)
        held = await credentials.of_passport(conn, passport.id) if passport else []
        records = await evidence.load_records(conn, staff)
    # Before there is a passport its reference is not known, and nothing that is shown depends on it.
    holder_ref = passport.holder_ref if passport else random_token(16)
    assessment = await assess_records(ctx, tenant, records, holder_ref, None)
    return PassportView(staff=staff, passport=passport, credentials=tuple(held), assessment=assessment)


async def hold(ctx: Context, tenant: Tenant, passport_id: str, reason: ReasonCode, actor: Actor) -> Passport:
    """Put a passport on hold.

    Raises:
        NotFound, WrongState.
    """
    passport = await get(ctx, tenant, passport_id)
    async with ctx.db.write() as conn:
        if not await hold_in(ctx, conn, passport, reason, actor.ref, actor.as_dict()):
            raise WrongState(f"The passport is {passport.state.value}.")
    failpoints.hit(failpoints.AFTER_HELD)
    return await get(ctx, tenant, passport_id)


async def hold_in(
    ctx: Context,
    conn: AsyncConnection,
    passport: Passport,
    reason: ReasonCode,
    by: str,
    actor: Mapping[str, Any],
) -> bool:
    """Put a passport on hold inside the caller's transaction; whether it was not before.

    ``by`` is who asked as the notice says it, ``actor`` the same as the audit says it.
    """
    live = (PassportState.INVITED, PassportState.IDENTITY_PENDING, PassportState.ACTIVE)
    if not await passports.change_state(
        conn, passport.id, come_from=live, to=PassportState.ON_HOLD, reason=reason
    ):
        return False
    await notices.queue(
        ctx,
        conn,
        kind=NoticeKind.ON_HOLD,
        ods=passport.ods,
        staff_id=passport.staff_id,
        about=passport.id,
        by=by,
    )
    await credentials.touch_passport(conn, passport.id)
    await ctx.audit.record(
        conn,
        kind="passport.held",
        subject_ref=passport.id,
        actor=actor,
        organisation=passport.ods,
        details={"reason_code": reason.value},
    )
    return True


async def reinstate(ctx: Context, tenant: Tenant, passport_id: str, actor: Actor) -> Passport:
    """Take a passport off hold.

    Raises:
        NotFound, WrongState.
    """

    async def change(conn: AsyncConnection) -> bool:
        return await passports.reinstate(conn, passport_id)

    return await _change(ctx, tenant, passport_id, change, "passport.reinstated", None, actor)


async def _change(
    ctx: Context,
    tenant: Tenant,
    passport_id: str,
    change: Callable[[AsyncConnection], Awaitable[bool]],
    kind: str,
    details: Mapping[str, Any] | None,
    actor: Actor,
) -> Passport:
    passport = await get(ctx, tenant, passport_id)
    async with ctx.db.write() as conn:
        if not await change(conn):
            raise WrongState(f"The passport is {passport.state.value}.")
        await credentials.touch_passport(conn, passport_id)
        await ctx.audit.record(
            conn,
            kind=kind,
            subject_ref=passport_id,
            actor=actor.as_dict(),
            organisation=tenant.ods,
            details=details,
        )
    return await get(ctx, tenant, passport_id)


async def get(ctx: Context, tenant: Tenant, passport_id: str) -> Passport:
    """A passport by its id.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        passport = await passports.get_passport(conn, tenant.ods, passport_id)
    if passport is None:
        raise NotFound
    return passport


async def of_staff(ctx: Context, tenant: Tenant, staff_id: str) -> Passport:
    """A person's passport.

    Raises:
        NotFound: no such person, or nothing was ever offered to them.
    """
    async with ctx.db.read() as conn:
        passport = await passports.passport_of(conn, tenant.ods, staff_id)
    if passport is None:
        raise NotFound
    return passport


async def get_credential(ctx: Context, tenant: Tenant, credential_id: str) -> tuple[Credential, Passport]:
    """A credential and the passport it belongs to.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        credential = await credentials.get_credential(conn, tenant.ods, credential_id)
        if credential is None:
            raise NotFound
        passport = await passports.get_passport(conn, tenant.ods, credential.passport_id)
    assert passport is not None  # noqa: S101 - a foreign key says so
    return credential, passport


async def list_credentials(
    ctx: Context, tenant: Tenant, page: PageQuery, staff_id: str | None
) -> tuple[list[tuple[Credential, Passport]], str | None]:
    """A page of the trust's credentials, each with its passport."""
    async with ctx.db.read() as conn:
        found, following = await credentials.list_credentials(conn, tenant.ods, page, staff_id=staff_id)
        owners = await passports.by_ids(conn, {credential.passport_id for credential in found})
    return [(credential, owners[credential.passport_id]) for credential in found], following


async def revoke(
    ctx: Context, tenant: Tenant, credential_id: str, reason: ReasonCode, actor: Actor
) -> tuple[Credential, Passport]:
    """Revoke one credential; it stays revoked.

    Raises:
        NotFound, WrongState.
    """
    credential, passport = await get_credential(ctx, tenant, credential_id)
    async with ctx.db.write() as conn:
        if not await credentials.revoke(conn, [credential_id], reason, ctx.clock.now()):
            raise WrongState(f"The credential is {credential.state.value}.")
        await ctx.audit.record(
            conn,
            kind="credential.revoked",
            subject_ref=passport.id,
            actor=actor.as_dict(),
            organisation=tenant.ods,
            details={"credential": credential_id, "reason_code": reason.value},
        )
    failpoints.hit(failpoints.AFTER_REVOKED)
    return await get_credential(ctx, tenant, credential_id)
