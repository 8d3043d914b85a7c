"""Issued credentials: from the reservation of a status index to their end (security.md D1).

Nothing here signs. Every change of standing marks the status lists it touches in the same transaction, and
every move between states is one conditional statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    ScalarSelect,
    Text,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from passport_issuer.rules.passports import LIVE, CredentialState, ReasonCode
from passport_issuer.store import status_lists
from passport_issuer.store import tables as t
from passport_issuer.store.rows import as_row, as_value, many, one
from passport_shared.service.db import UtcDateTime
from passport_shared.service.once import insert_once
from passport_shared.service.paging import PageQuery, fetch_page

_ONE_PER_POST = "Employment"
_LIVE = [state.value for state in LIVE]
Operand = str | ColumnElement[str]
_UNCONFIRMED = [CredentialState.PREPARED.value, CredentialState.ISSUED.value]


@dataclass(frozen=True, kw_only=True)
class Credential:
    """One credential; it holds no claim, only the digest of what was signed."""

    id: str
    ods: str
    passport_id: str
    staff_id: str
    offer_id: str
    dataset_id: str
    type: str
    source_ref: str
    vct: str
    schema_version: int
    status_list_id: str
    status_idx: int
    state: CredentialState
    reason_code: str | None
    holder_jkt: str
    payload_digest: str
    issuer_jwt_sha256: str | None
    supersedes: str | None
    request_id: str
    notification_id: str
    prepared_at: datetime
    issued_at: datetime | None
    expires_at: datetime
    acknowledged_at: datetime | None
    ended_at: datetime | None


async def reserve(conn: AsyncConnection, credential: Credential) -> bool:
    """Write a PREPARED credential with its status index; False if the index is taken."""
    return await insert_once(conn, t.credentials, as_row(credential))


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A credential that one statement ended, and whose it was."""

    id: str
    ods: str
    passport_id: str


async def supersede_unconfirmed(conn: AsyncConnection, dataset_id: str, now: datetime) -> list[Ended]:
    """End every credential of a dataset that no wallet acknowledged."""
    ended = await conn.execute(_SUPERSEDE, {"of_dataset": dataset_id, "to_ended_at": now})
    return await _ended(conn, ended)


def confirmed() -> ScalarSelect[int]:
    """How many live credentials of the dataset ``of_dataset`` a wallet has acknowledged."""
    credentials = t.credentials
    query = select(func.count(credentials.c.id)).where(
        credentials.c.dataset_id == bindparam("of_dataset"),
        credentials.c.state == CredentialState.ACTIVE.value,
    )
    return query.scalar_subquery()


def predecessor() -> ScalarSelect[str]:
    """The newest live credential of an offer earlier than ``of_offer`` that one of this type replaces.

    By ``of_passport``, ``of_kind`` and ``of_source_ref`` besides.
    """
    credentials = t.credentials
    where = _of_other_offers(
        bindparam("of_passport", type_=Text),
        bindparam("of_kind", type_=Text),
        bindparam("of_source_ref", type_=Text),
        bindparam("of_offer", type_=Text),
    )
    query = select(credentials.c.id).where(*where, credentials.c.state.in_(_LIVE))
    return query.order_by(credentials.c.issued_at.desc()).limit(1).scalar_subquery()


async def mark_issued(conn: AsyncConnection, digests: Mapping[str, str], issued_at: datetime) -> bool:
    """Record that these credentials were signed.

    False if one was ended meanwhile (nothing may be handed out).
    """
    for credential_id, digest in digests.items():
        values = {"of_id": credential_id, "to_issued_at": issued_at, "to_digest": digest}
        changed = await conn.execute(_MARK_ISSUED, values)
        if changed.rowcount != 1:
            return False
    return True


async def of_notification(conn: AsyncConnection, offer_id: str, notification_id: str) -> list[Credential]:
    """The credentials a notification is about, within what the token may speak of."""
    credentials = t.credentials
    query = select(credentials).where(
        credentials.c.notification_id == notification_id, credentials.c.offer_id == offer_id
    )
    return await many(conn, query, Credential)


async def acknowledge(conn: AsyncConnection, notification_id: str, now: datetime) -> set[str]:
    """Record that a wallet keeps the credentials of one answer; the ids of those that became active."""
    credentials = t.credentials
    changed = await conn.execute(
        update(credentials)
        .where(
            credentials.c.notification_id == notification_id,
            credentials.c.state == CredentialState.ISSUED.value,
        )
        .values(state=CredentialState.ACTIVE.value, acknowledged_at=now)
        .returning(credentials.c.id)
    )
    return {row.id for row in changed}


async def supersede_earlier(conn: AsyncConnection, credential: Credential, now: datetime) -> list[Ended]:
    """End the credentials of other offers that were reserved before this one and that it replaces.

    One that is still being signed is ended too. Ids grow with time, and a passport's reservations follow each
    other (``passports.hold_row``).
    """
    credentials = t.credentials
    where = [
        *_of_other_offers(
            credential.passport_id, credential.type, credential.source_ref, credential.offer_id
        ),
        credentials.c.id < credential.id,
        credentials.c.state.in_([*_LIVE, CredentialState.PREPARED.value]),
    ]
    return await _end(conn, where, to=CredentialState.SUPERSEDED, reason=ReasonCode.DATA_CHANGED, now=now)


async def revoke(
    conn: AsyncConnection, credential_ids: Sequence[str], reason: ReasonCode | None, now: datetime
) -> int:
    """Revoke credentials that are not at an end yet; how many were. No reason: it was lost in a restore."""
    return len(await revoke_each(conn, credential_ids, reason, now))


async def revocable(
    conn: AsyncConnection, ods: str, *, until: datetime, after: str, limit: int
) -> list[tuple[str, str]]:
    """A page of (credential, passport) of what a trust issued until then and has not ended, by id."""
    credentials = t.credentials
    query = select(credentials.c.id, credentials.c.passport_id).where(
        credentials.c.ods == ods,
        credentials.c.id > after,
        credentials.c.prepared_at <= until,
        credentials.c.state.in_([*_LIVE, CredentialState.PREPARED.value]),
    )
    rows = await conn.execute(query.order_by(credentials.c.id).limit(limit))
    return [(row.id, row.passport_id) for row in rows]


async def revoke_each(
    conn: AsyncConnection, credential_ids: Sequence[str], reason: ReasonCode | None, now: datetime
) -> list[Ended]:
    """Revoke credentials that are not at an end yet; those that were."""
    credentials = t.credentials
    where = [
        credentials.c.id.in_(credential_ids),
        credentials.c.state.in_([*_LIVE, CredentialState.PREPARED.value]),
    ]
    return await _end(conn, where, to=CredentialState.REVOKED, reason=reason, now=now)


async def abandon_prepared(conn: AsyncConnection, *, before: datetime, now: datetime) -> list[Ended]:
    """End what was reserved and never recorded as issued: a signature may exist, so it is revoked."""
    credentials = t.credentials
    where = [credentials.c.state == CredentialState.PREPARED.value, credentials.c.prepared_at <= before]
    return await _end(conn, where, to=CredentialState.ABANDONED, reason=None, now=now)


async def touch_passport(conn: AsyncConnection, passport_id: str) -> None:
    """Mark the lists of all credentials of a passport as changed."""
    credentials = t.credentials
    query = select(credentials.c.status_list_id).where(credentials.c.passport_id == passport_id).distinct()
    await status_lists.touch(conn, {row.status_list_id for row in await conn.execute(query)})


async def get_credential(conn: AsyncConnection, ods: str, credential_id: str) -> Credential | None:
    """One credential of this trust."""
    credentials = t.credentials
    query = select(credentials).where(credentials.c.ods == ods, credentials.c.id == credential_id)
    return await one(conn, query, Credential)


async def of_passport(conn: AsyncConnection, passport_id: str) -> list[Credential]:
    """Every credential of a passport, oldest first."""
    credentials = t.credentials
    query = select(credentials).where(credentials.c.passport_id == passport_id).order_by(credentials.c.id)
    return await many(conn, query, Credential)


async def list_credentials(
    conn: AsyncConnection, ods: str, page: PageQuery, *, staff_id: str | None = None
) -> tuple[list[Credential], str | None]:
    """A page of a trust's credentials, oldest first."""
    credentials = t.credentials
    query = select(credentials).where(credentials.c.ods == ods)
    if staff_id is not None:
        query = query.where(credentials.c.staff_id == staff_id)
    rows, following = await fetch_page(
        conn, query, list_name=f"credentials/{ods}/{staff_id or ''}", order_by=[credentials.c.id], query=page
    )
    return [as_value(Credential, row._mapping) for row in rows], following


def _of_other_offers(
    passport_id: Operand, kind: Operand, source_ref: Operand, offer_id: Operand
) -> list[ColumnElement[bool]]:
    credentials = t.credentials
    return [
        credentials.c.passport_id == passport_id,
        credentials.c.type == kind,
        # A person holds one of each type, and one Employment per post.
        or_(credentials.c.type != _ONE_PER_POST, credentials.c.source_ref == source_ref),
        credentials.c.offer_id != offer_id,
    ]


async def _end(
    conn: AsyncConnection,
    where: Sequence[ColumnElement[Any]],
    *,
    to: CredentialState,
    reason: ReasonCode | None,
    now: datetime,
) -> list[Ended]:
    return await _ended(conn, await conn.execute(_ending(where, to, reason), {"to_ended_at": now}))


def _ending(
    where: Sequence[ColumnElement[Any]], to: CredentialState, reason: ReasonCode | None
) -> ReturningUpdate[Any]:
    credentials = t.credentials
    return (
        update(credentials)
        .where(*where)
        .values(
            state=to.value,
            reason_code=reason.value if reason else None,
            ended_at=bindparam("to_ended_at", type_=UtcDateTime),
        )
        .returning(
            credentials.c.id, credentials.c.ods, credentials.c.passport_id, credentials.c.status_list_id
        )
    )


async def _ended(conn: AsyncConnection, changed: CursorResult[Any]) -> list[Ended]:
    rows = changed.all()
    await status_lists.touch(conn, {row.status_list_id for row in rows})
    return [Ended(id=row.id, ods=row.ods, passport_id=row.passport_id) for row in rows]


# Made once, for the credential endpoint: making a statement costs as much as running it.
_SUPERSEDE = _ending(
    [
        t.credentials.c.dataset_id == bindparam("of_dataset"),
        t.credentials.c.state.in_(_UNCONFIRMED),
        t.credentials.c.acknowledged_at.is_(None),
    ],
    CredentialState.SUPERSEDED,
    None,
)
_MARK_ISSUED = (
    update(t.credentials)
    .where(
        t.credentials.c.id == bindparam("of_id"),
        t.credentials.c.state == CredentialState.PREPARED.value,
    )
    .values(
        state=CredentialState.ISSUED.value,
        issued_at=bindparam("to_issued_at", type_=UtcDateTime),
        issuer_jwt_sha256=bindparam("to_digest", type_=Text),
    )
)
