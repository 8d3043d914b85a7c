"""Entities of an organisation: created, given enrolment codes, suspended and reinstated, keys given up.

Acts that take authority away take effect on one word and at once: the mark's standing changes in the same
transaction, and the status endpoint reads that very row. What the mark says follows with the next
publication.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_registry.errors import AlreadyExists, Conflict, NotFound, fields
from passport_registry.rules.entities import Role, Suspension
from passport_registry.rules.identifiers import entity_id_fault
from passport_registry.store import entities as store
from passport_registry.store import marks, organisations, publications
from passport_registry.store.entities import Certificate, EnrolmentCode, Entity
from passport_registry.store.rows import Duplicate
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.status_list import SUSPENDED, VALID
from passport_shared.outbound import OutboundError, OutboundReason
from passport_shared.outbound.urls import check_url
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim

CODE_SECRET = "enrolment-codes"  # noqa: S105 - the name of a purpose
CODE_BYTES = 20


@dataclass(frozen=True, kw_only=True)
class NewCode:
    """A one-time enrolment code; the text is shown once and kept nowhere."""

    id: str
    entity_id: str
    code: str
    expires_at: datetime


def _is_an_address(entity_id: str, allow: Collection[str]) -> bool:
    """Whether the host is an IP address in any notation, and not one the operator listed."""
    try:
        check_url(entity_id, allow)
    except OutboundError as error:
        return error.reason is OutboundReason.IP_LITERAL
    return False


async def create(
    ctx: Context, ods_code: str, role: Role, entity_id: str, actor: Actor, claim: Claim | None = None
) -> Entity:
    """Create an organisation's entity in a role; it has no authority and no keys yet.

    Raises:
        NotFound: the organisation is no member.
        Invalid: the text cannot be an Entity Identifier of this organisation.
        AlreadyExists: it has an entity in this role, or the identifier is taken.
    """
    fault = entity_id_fault(entity_id, ods_code)
    if fault is None and entity_id.startswith(f"{ctx.anchor}/"):
        fault = "lies below the registry's own identifier"
    if fault is None and _is_an_address(entity_id, ctx.settings.outbound_allow):
        fault = "names a host by its address: nobody calls it there"
    if fault is not None:
        raise fields([("entity_id", fault)])
    entity = Entity(
        entity_id=entity_id,
        ods_code=ods_code,
        role=role.value,
        federation_jwks=None,
        enrolled_at=None,
        suspension=None,
        suspension_reason=None,
        suspended_at=None,
        suspended_by=None,
        review_on=None,
        live_since=None,
        issuing_closed_at=None,
        created_at=ctx.clock.now(),
        created_by=actor.client_id,
        version=1,
    )
    async with ctx.db.write() as conn:
        if await organisations.get(conn, ods_code) is None:
            raise NotFound
        try:
            await store.add(conn, entity)
        except Duplicate:
            raise AlreadyExists(
                "The organisation has an entity in this role, or the identifier is taken."
            ) from None
        await _record(ctx, conn, "entity.created", entity, actor, {"role": role.value})
        if claim is not None:
            await claim.complete(conn, role.value)
    return entity


async def _record(
    ctx: Context,
    conn: AsyncConnection,
    kind: str,
    entity: Entity,
    actor: Actor,
    details: Mapping[str, Any] | None = None,
) -> None:
    await publications.changed(conn)
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=entity.entity_id,
        organisation=entity.ods_code,
        actor=actor.as_dict(),
        details=dict(details or {}),
    )


async def by_role(conn: AsyncConnection, ods_code: str, role: Role) -> Entity:
    """Return the organisation's entity in a role.

    Raises:
        NotFound: it has none.
    """
    entity = await store.by_role(conn, ods_code, role.value)
    if entity is None:
        raise NotFound
    return entity


async def _held(conn: AsyncConnection, ods_code: str, role: Role) -> Entity:
    """The entity as it is while rivals wait: whoever comes second decides on what the first has done.

    Raises:
        NotFound: the organisation has no entity in this role.
    """
    await store.hold(conn, (await by_role(conn, ods_code, role)).entity_id)
    return await by_role(conn, ods_code, role)


async def certificates(ctx: Context, ods_code: str, role: Role) -> list[Certificate]:
    """Return the signed leaves of an entity, oldest first.

    Raises:
        NotFound: the organisation has no entity in this role.
    """
    async with ctx.db.read() as conn:
        entity = await by_role(conn, ods_code, role)
        held = await store.certificates(conn, entity_id=entity.entity_id)
    return [certificate for certificate in held if certificate.x5t_s256 is not None]


async def code_hmac(ctx: Context, code: str) -> str:
    """Return what is kept of an enrolment code."""
    secret = await ctx.keys.secret(CODE_SECRET)
    return hmac.new(secret, code.encode("utf-8"), hashlib.sha256).hexdigest()


def _typed_code() -> str:
    """A code an operator can give on a command line: one that begins with a hyphen reads as an option."""
    while (text := random_token(CODE_BYTES)).startswith("-"):
        pass
    return text


async def make_code(
    ctx: Context, ods_code: str, role: Role, actor: Actor, claim: Claim | None = None
) -> NewCode:
    """Make a one-time enrolment code for an entity; unused codes before it end.

    The code is bound to ODS code, role and EID through its entity. With an idempotency claim the text cannot
    be given again, because nobody keeps it: a repetition gets the code's id and no text.

    Raises:
        NotFound: the organisation has no entity in this role.
    """
    now = ctx.clock.now()
    text = _typed_code()
    kept = await code_hmac(ctx, text)
    async with ctx.db.write() as conn:
        entity = await by_role(conn, ods_code, role)
        # Two operators at once: the later code ends the earlier one, on either database.
        await store.hold(conn, entity.entity_id)
        code = EnrolmentCode(
            id=new_id(),
            entity_id=entity.entity_id,
            code_hmac=kept,
            created_at=now,
            created_by=actor.client_id,
            expires_at=now + ctx.settings.enrolment_code_life,
            used_at=None,
            keys_digest=None,
            federation_jwks=None,
            completed_at=None,
        )
        await store.add_code(conn, code)
        await _record(ctx, conn, "enrolment_code.made", entity, actor, {"id": code.id})
        if claim is not None:
            await claim.complete(conn, code.id)
    return NewCode(id=code.id, entity_id=entity.entity_id, code=text, expires_at=code.expires_at)


@dataclass(frozen=True, kw_only=True)
class Suspend:
    """A suspension: administrative closes new issuing and asking, integrity puts everything in doubt."""

    kind: Suspension
    reason: str
    review_on: date


async def suspend(ctx: Context, ods_code: str, role: Role, cmd: Suspend, actor: Actor) -> Entity:
    """Suspend an entity, on one person's word and at once.

    An administrative suspension may be raised to one of integrity; repeating the same changes nothing.

    Raises:
        NotFound: the organisation has no entity in this role.
        Conflict: it is suspended for integrity already and would be lowered.
    """
    now = ctx.clock.now()
    values = {
        "suspension": cmd.kind.value,
        "suspension_reason": cmd.reason,
        "suspended_at": now,
        "suspended_by": actor.as_dict(),
        "review_on": cmd.review_on,
    }
    async with ctx.db.write() as conn:
        entity = await _held(conn, ods_code, role)
        if entity.suspension == cmd.kind.value:
            return entity
        if entity.suspension == Suspension.INTEGRITY.value:
            raise Conflict("The entity is suspended for integrity; reinstate it first.")
        if not await store.suspend(conn, entity.entity_id, expected=entity.suspension, values=values):
            raise Conflict("The entity has changed meanwhile; read it again.")
        if cmd.kind is Suspension.INTEGRITY:
            await marks.set_current_status(conn, entity.entity_id, SUSPENDED)
        details = {"suspension": cmd.kind.value, "review_on": cmd.review_on.isoformat()}
        await _record(ctx, conn, "entity.suspended", entity, actor, details)
        return await by_role(conn, ods_code, role)


async def reinstate(ctx: Context, ods_code: str, role: Role, actor: Actor, *, reason: str) -> Entity:
    """End a suspension.

    Raises:
        NotFound: the organisation has no entity in this role.
        Conflict: it is not suspended.
    """
    values = {
        "suspension": None,
        "suspension_reason": None,
        "suspended_at": None,
        "suspended_by": None,
        "review_on": None,
    }
    async with ctx.db.write() as conn:
        entity = await _held(conn, ods_code, role)
        if entity.suspension is None:
            raise Conflict("The entity is not suspended.")
        if not await store.suspend(conn, entity.entity_id, expected=entity.suspension, values=values):
            raise Conflict("The entity has changed meanwhile; read it again.")
        await marks.set_current_status(conn, entity.entity_id, VALID)
        details = {"suspension": entity.suspension, "reason": reason}
        await _record(ctx, conn, "entity.reinstated", entity, actor, details)
        return await by_role(conn, ods_code, role)


async def compromise_key(
    ctx: Context, ods_code: str, role: Role, x5t_s256: str, actor: Actor, *, reason: str
) -> Certificate:
    """Declare a key compromised: every signature by it is refused from the next snapshot on.

    There is no way back; the entity enrols a new key. Repeating it changes nothing.

    Raises:
        NotFound: the entity has no leaf with this thumbprint.
    """
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        entity = await by_role(conn, ods_code, role)
        certificate = await store.certificate_by_x5t(conn, entity.entity_id, x5t_s256)
        if certificate is None:
            raise NotFound
        if await store.compromise_certificate(conn, certificate.serial, reason=reason, now=now):
            details = {"x5t_s256": x5t_s256, "use": certificate.use}
            await _record(ctx, conn, "entity_key.compromised", entity, actor, details)
        found = await store.certificate_by_x5t(conn, entity.entity_id, x5t_s256)
    if found is None:
        raise NotFound
    return found
