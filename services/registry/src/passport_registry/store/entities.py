"""Entities, their one-time enrolment codes and the certificates of their keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import tables
from passport_registry.store.rows import Duplicate, many, one
from passport_shared.formats.trust_mark import PinState
from passport_shared.service.db import is_unique_violation
from passport_shared.service.once import insert_once

_E = tables.entities
_K = tables.enrolment_codes
_C = tables.certificates


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One role of an organisation; without `federation_jwks` it has not enrolled."""

    entity_id: str
    ods_code: str
    role: str
    federation_jwks: Mapping[str, Any] | None
    enrolled_at: datetime | None
    suspension: str | None
    suspension_reason: str | None
    suspended_at: datetime | None
    suspended_by: Mapping[str, Any] | None
    review_on: date | None
    live_since: datetime | None
    issuing_closed_at: datetime | None
    created_at: datetime
    created_by: str
    version: int


@dataclass(frozen=True, kw_only=True)
class EnrolmentCode:
    """A one-time code, known by its HMAC only."""

    id: str
    entity_id: str
    code_hmac: str
    created_at: datetime
    created_by: str
    expires_at: datetime
    used_at: datetime | None
    keys_digest: str | None
    federation_jwks: Mapping[str, Any] | None
    completed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One leaf, reserved (`der` is None) or signed; `subject` is what the authority puts into it."""

    serial: str
    entity_id: str
    enrolment_id: str
    use: str
    jkt: str
    public_jwk: Mapping[str, Any]
    subject: Mapping[str, Any]
    not_before: datetime
    not_after: datetime
    not_after_signing: datetime
    der: bytes | None
    x5t_s256: str | None
    state: str
    state_reason: str | None
    state_changed_at: datetime


async def add(conn: AsyncConnection, entity: Entity) -> None:
    """Insert an entity.

    Raises:
        Duplicate: the organisation has one in this role, or the EID is taken.
    """
    try:
        await conn.execute(insert(_E).values(**vars(entity)))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise


async def get(conn: AsyncConnection, entity_id: str) -> Entity | None:
    """Return the entity with this EID."""
    return await one(conn, select(_E).where(_E.c.entity_id == entity_id), Entity)


async def by_role(conn: AsyncConnection, ods_code: str, role: str) -> Entity | None:
    """Return the organisation's entity in this role."""
    return await one(conn, select(_E).where(_E.c.ods_code == ods_code, _E.c.role == role), Entity)


async def of_organisation(conn: AsyncConnection, ods_code: str) -> list[Entity]:
    """Return the organisation's entities."""
    return await many(conn, select(_E).where(_E.c.ods_code == ods_code).order_by(_E.c.role), Entity)


async def of_organisations(conn: AsyncConnection, codes: Collection[str]) -> list[Entity]:
    """Return the entities of these organisations by EID."""
    return await many(conn, select(_E).where(_E.c.ods_code.in_(codes)).order_by(_E.c.entity_id), Entity)


async def stated(conn: AsyncConnection, roles: Collection[str]) -> list[str]:
    """Return the EIDs of the entities with these roles about which the anchor states something."""
    said = tables.statements.c.sub == _E.c.entity_id
    query = select(_E.c.entity_id).where(_E.c.role.in_(roles), exists().where(said))
    return list((await conn.execute(query.order_by(_E.c.entity_id))).scalars())


async def change(conn: AsyncConnection, entity_id: str, values: Mapping[str, Any]) -> None:
    """Change an entity."""
    await conn.execute(
        update(_E).where(_E.c.entity_id == entity_id).values(**values, version=_E.c.version + 1)
    )


async def suspend(
    conn: AsyncConnection, entity_id: str, *, expected: str | None, values: Mapping[str, Any]
) -> bool:
    """Change the suspension of an entity that still has the expected one; False if it has another."""
    held = _E.c.suspension.is_(None) if expected is None else _E.c.suspension == expected
    result = await conn.execute(
        update(_E).where(_E.c.entity_id == entity_id, held).values(**values, version=_E.c.version + 1)
    )
    return result.rowcount == 1


async def hold(conn: AsyncConnection, entity_id: str) -> Entity | None:
    """Take the entity's row until the transaction ends, and return it as it is then.

    Whoever changes an entity's marks holds it, so that two publishers take turns on PostgreSQL too.
    """
    await conn.execute(update(_E).where(_E.c.entity_id == entity_id).values(entity_id=entity_id))
    return await get(conn, entity_id)


async def hold_many(conn: AsyncConnection, entity_ids: Collection[str]) -> None:
    """As `hold`, for the entities of a batch; whoever holds several does so here, one publisher at a time."""
    await conn.execute(
        update(_E).where(_E.c.entity_id.in_(sorted(entity_ids))).values(entity_id=_E.c.entity_id)
    )


async def suspended(conn: AsyncConnection, entity_ids: Collection[str], suspension: str) -> set[str]:
    """Return which of these entities are suspended in this way."""
    query = select(_E.c.entity_id).where(_E.c.entity_id.in_(entity_ids), _E.c.suspension == suspension)
    return set((await conn.execute(query)).scalars())


async def set_standing(
    conn: AsyncConnection, entity_id: str, *, live_since: datetime | None, issuing_closed_at: datetime | None
) -> None:
    """Keep what was derived; it is no edit, so the version stays."""
    await conn.execute(
        update(_E)
        .where(_E.c.entity_id == entity_id)
        .values(live_since=live_since, issuing_closed_at=issuing_closed_at)
    )


async def add_code(conn: AsyncConnection, code: EnrolmentCode) -> None:
    """Insert an enrolment code and end the life of the unused ones before it."""
    await conn.execute(
        update(_K)
        .where(_K.c.entity_id == code.entity_id, _K.c.used_at.is_(None), _K.c.expires_at > code.created_at)
        .values(expires_at=code.created_at)
    )
    await conn.execute(insert(_K).values(**vars(code)))


async def code_by_hmac(conn: AsyncConnection, code_hmac: str) -> EnrolmentCode | None:
    """Return the enrolment code with this HMAC."""
    return await one(conn, select(_K).where(_K.c.code_hmac == code_hmac), EnrolmentCode)


async def renewal(conn: AsyncConnection, row: EnrolmentCode) -> EnrolmentCode:
    """Insert the row of a renewal, or take the one there is: with a new life while it has not been used."""
    if await insert_once(conn, _K, vars(row)):
        return row
    waiting = update(_K).where(_K.c.code_hmac == row.code_hmac, _K.c.used_at.is_(None))
    await conn.execute(waiting.values(expires_at=row.expires_at))
    kept = await code_by_hmac(conn, row.code_hmac)
    return kept or row


async def use_code(
    conn: AsyncConnection,
    code_id: str,
    *,
    keys_digest: str,
    federation_jwks: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Consume a code that is unused and in time, by one conditional statement; False if it is not."""
    result = await conn.execute(
        update(_K)
        .where(_K.c.id == code_id, _K.c.used_at.is_(None), _K.c.expires_at > now)
        .values(used_at=now, keys_digest=keys_digest, federation_jwks=dict(federation_jwks))
    )
    return result.rowcount == 1


async def complete_code(conn: AsyncConnection, code_id: str, now: datetime) -> bool:
    """Mark an enrolment complete; True for the one caller that did it."""
    result = await conn.execute(
        update(_K).where(_K.c.id == code_id, _K.c.completed_at.is_(None)).values(completed_at=now)
    )
    return result.rowcount == 1


async def reserve_certificates(conn: AsyncConnection, certificates: Sequence[Certificate]) -> None:
    """Record leaves that are going to be signed.

    Raises:
        Duplicate: one of the keys has a certificate already.
    """
    try:
        await conn.execute(insert(_C), [dict(vars(certificate)) for certificate in certificates])
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise


async def sign_certificate(
    conn: AsyncConnection, serial: str, *, der: bytes, x5t_s256: str, now: datetime
) -> None:
    """Store a leaf that was reserved; the first one stored stays."""
    await conn.execute(
        update(_C)
        .where(_C.c.serial == serial, _C.c.der.is_(None))
        .values(der=der, x5t_s256=x5t_s256, state_changed_at=now)
    )


async def retire_certificates(
    conn: AsyncConnection, entity_id: str, *, except_enrolment: str, signing_ends: datetime, now: datetime
) -> None:
    """Retire the active leaves of earlier enrolments: they verify the past and sign nothing new."""
    await conn.execute(
        update(_C)
        .where(
            _C.c.entity_id == entity_id,
            _C.c.enrolment_id != except_enrolment,
            _C.c.state == PinState.ACTIVE.value,
            _C.c.not_after_signing > signing_ends,
        )
        .values(not_after_signing=signing_ends)
    )
    await conn.execute(
        update(_C)
        .where(
            _C.c.entity_id == entity_id,
            _C.c.enrolment_id != except_enrolment,
            _C.c.state == PinState.ACTIVE.value,
        )
        .values(state=PinState.RETIRED.value, state_reason="SUPERSEDED", state_changed_at=now)
    )


async def compromise_certificate(conn: AsyncConnection, serial: str, *, reason: str, now: datetime) -> bool:
    """Mark a leaf's key compromised; False if it already is."""
    result = await conn.execute(
        update(_C)
        .where(_C.c.serial == serial, _C.c.state != PinState.COMPROMISED.value)
        .values(state=PinState.COMPROMISED.value, state_reason=reason, state_changed_at=now)
    )
    return result.rowcount == 1


async def certificates(
    conn: AsyncConnection,
    *,
    entity_id: str | None = None,
    enrolment_id: str | None = None,
    entity_ids: Collection[str] | None = None,
) -> list[Certificate]:
    """Return leaves, reserved ones among them, oldest first."""
    query = select(_C).order_by(_C.c.not_before, _C.c.use, _C.c.serial)
    if entity_id is not None:
        query = query.where(_C.c.entity_id == entity_id)
    if entity_ids is not None:
        query = query.where(_C.c.entity_id.in_(entity_ids))
    if enrolment_id is not None:
        query = query.where(_C.c.enrolment_id == enrolment_id)
    return await many(conn, query, Certificate)


async def certificate_by_x5t(conn: AsyncConnection, entity_id: str, x5t_s256: str) -> Certificate | None:
    """Return the entity's leaf with this thumbprint."""
    return await one(
        conn, select(_C).where(_C.c.entity_id == entity_id, _C.c.x5t_s256 == x5t_s256), Certificate
    )
