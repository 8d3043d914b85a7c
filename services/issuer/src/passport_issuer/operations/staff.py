"""Members of staff: added, found, changed (always to a version that was read)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import EXTERNAL_ID_TAKEN
from passport_issuer.operations import leavers
from passport_issuer.rules.records import StaffMember
from passport_issuer.store import staff as store
from passport_issuer.store.rows import Duplicate, VersionChanged
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Caller
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import NotFound, PassportError, PreconditionFailed
from passport_shared.service.tenancy import Tenant

STAFF_FIELDS = (
    "legal_given",
    "legal_family",
    "preferred_name",
    "birthdate",
    "portrait",
    "work_email",
    "mobile",
    "external_ids",
    "employment_status",
    "leaving_date",
    "preferences",
)


def by(caller: Caller) -> dict[str, Any]:
    """The actor of an act that needs no person: the client."""
    return {"ref": caller.client_id, "client_id": caller.client_id, "kind": caller.kind, "asserted": False}


async def add(ctx: Context, tenant: Tenant, values: Mapping[str, Any], caller: Caller, claim: Claim) -> str:
    """Add a member of staff; their id.

    Raises:
        PassportError: external_id_taken.
    """
    now = ctx.clock.now()
    staff = StaffMember(
        id=new_id(),
        ods=tenant.ods,
        version=1,
        created_at=now,
        created_by=caller.client_id,
        updated_at=now,
        **{name: values[name] for name in STAFF_FIELDS},
    )
    try:
        async with ctx.db.write() as conn:
            await store.insert_staff(conn, staff)
            await _record(ctx, conn, "staff.added", staff, caller)
            await claim.complete(conn, staff.id)
    except Duplicate:
        raise _taken() from None
    return staff.id


async def get(ctx: Context, tenant: Tenant, staff_id: str) -> StaffMember:
    """One member of staff.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        staff = await store.get_staff(conn, tenant.ods, staff_id)
    if staff is None:
        raise NotFound
    return staff


async def find(
    ctx: Context, tenant: Tenant, page: PageQuery, external_id: tuple[str, str] | None
) -> tuple[list[StaffMember], str | None]:
    """A page of the trust's staff, or the one person with an external identifier."""
    async with ctx.db.read() as conn:
        return await store.list_staff(conn, tenant.ods, page, external_id=external_id)


async def replace_details(
    ctx: Context, read: StaffMember, values: Mapping[str, Any], caller: Caller
) -> StaffMember:
    """Replace a person's details with new ones, if nobody changed them since they were read.

    Raises:
        PreconditionFailed.
        PassportError: external_id_taken.
    """
    changed = replace(
        read,
        version=read.version + 1,
        updated_at=ctx.clock.now(),
        **{name: values[name] for name in STAFF_FIELDS},
    )
    tenant = await ctx.tenants.get(read.ods)
    assert tenant is not None  # noqa: S101 - the row names it
    try:
        async with ctx.db.write() as conn:
            await store.replace_staff(conn, changed, expected_version=read.version)
            await _record(ctx, conn, "staff.changed", changed, caller, fields=_differing(read, changed))
            released = await leavers.apply(ctx, conn, tenant, changed.id, by(caller))
    except VersionChanged:
        raise PreconditionFailed from None
    except Duplicate:
        raise _taken() from None
    await leavers.sign_changed(ctx, released)
    return changed


async def change_in(
    ctx: Context,
    conn: AsyncConnection,
    read: StaffMember,
    changes: Mapping[str, Any],
    actor: Mapping[str, Any],
) -> StaffMember:
    """Change single details inside the caller's transaction, for an actor that is no API client.

    What the change means for releases is the caller's to apply (``leavers``).

    Raises:
        VersionChanged: somebody changed the person since they were read.
    """
    changed = replace(read, **changes, version=read.version + 1, updated_at=ctx.clock.now())
    await store.replace_staff(conn, changed, expected_version=read.version)
    await ctx.audit.record(
        conn,
        kind="staff.changed",
        subject_ref=changed.id,
        actor=actor,
        organisation=changed.ods,
        details={"fields": _differing(read, changed)},
    )
    return changed


def _differing(before: StaffMember, after: StaffMember) -> list[str]:
    return [name for name in STAFF_FIELDS if getattr(before, name) != getattr(after, name)]


async def _record(
    ctx: Context, conn: Any, kind: str, staff: StaffMember, caller: Caller, fields: list[str] | None = None
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=staff.id,
        actor=by(caller),
        organisation=staff.ods,
        # Which details, never their values.
        details={"fields": fields} if fields is not None else None,
    )


def _taken() -> PassportError:
    return PassportError(
        EXTERNAL_ID_TAKEN, "Another member of staff of this trust has one of the identifiers."
    )
