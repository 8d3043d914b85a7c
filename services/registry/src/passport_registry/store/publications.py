"""What is published: statements, snapshot parts, numbered publications, and the count of changes.

Each kind of publication (snapshot, client directory) is one chain: a number is used once, and each number
follows exactly one other. The bytes served are cached documents; here is what numbering and renewal need.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.store import tables
from passport_registry.store.rows import Duplicate, many, one
from passport_shared.service.db import is_unique_violation
from passport_shared.service.once import insert_once
from passport_shared.service.schedule import is_due

_S = tables.statements
_P = tables.publications
_Q = tables.parts
_C = tables.changes
_E = tables.entities
_O = tables.organisations
_M = tables.trust_marks


class Kind(StrEnum):
    """What is numbered. PERSISTED."""

    SNAPSHOT = "SNAPSHOT"
    CLIENT_DIRECTORY = "CLIENT_DIRECTORY"


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A signed statement about `sub`: a subordinate statement, or the anchor's own entity configuration."""

    sub: str
    content_digest: str
    issued_at: datetime
    expires_at: datetime
    jwt: str


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One number of one chain; `sha256` is of the signed bytes."""

    kind: str
    sequence: int
    follows: int
    content_digest: str
    issued_at: datetime
    expires_at: datetime
    sha256: str | None
    state: str


@dataclass(frozen=True, kw_only=True)
class KeptPart:
    """One immutable part of a snapshot that is kept; its bytes are a cached document."""

    sha256: str
    name: str
    bytes: int
    last_used_at: datetime
    # Of what it was made from: the same content gives the same part, without making it again.
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How many changes were made and how many of them are published."""

    id: int
    made: int
    published: int
    published_at: datetime | None


async def statement(conn: AsyncConnection, sub: str) -> Statement | None:
    """Return the statement about this subject."""
    return await one(conn, select(_S).where(_S.c.sub == sub), Statement)


@dataclass(frozen=True, kw_only=True)
class StatedDigest:
    """What of a statement tells whether it is due."""

    sub: str
    content_digest: str
    issued_at: datetime


async def stated(conn: AsyncConnection, subs: Collection[str]) -> dict[str, StatedDigest]:
    """Return what the statements about these subjects were made from, by subject."""
    columns = [_S.c[field.name] for field in fields(StatedDigest)]
    found = await many(conn, select(*columns).where(_S.c.sub.in_(subs)), StatedDigest)
    return {item.sub: item for item in found}


@dataclass(frozen=True, kw_only=True)
class ListedEntity:
    """An entity that snapshots list, and what tells one state of it from another."""

    entity_id: str
    ods_code: str
    name: str
    jti: str
    stated_digest: str
    stated_at: datetime


_LISTED = (
    select(
        _E.c.entity_id,
        _E.c.ods_code,
        _O.c.name,
        _M.c.jti,
        _S.c.content_digest.label("stated_digest"),
        _S.c.issued_at.label("stated_at"),
    )
    .join(_O, _O.c.ods_code == _E.c.ods_code)
    .join(_M, and_(_M.c.entity_id == _E.c.entity_id, _M.c.state == "CURRENT", _M.c.jwt.is_not(None)))
    .join(_S, _S.c.sub == _E.c.entity_id)
    .order_by(_E.c.ods_code, _E.c.entity_id)
)


async def listed(conn: AsyncConnection) -> list[ListedEntity]:
    """Return every entity that has a statement and a mark, by organisation."""
    return await many(conn, _LISTED, ListedEntity)


async def signed(conn: AsyncConnection, entity_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return (statement, mark) of these entities, by entity."""
    query = (
        select(_S.c.sub, _S.c.jwt.label("statement"), _M.c.jwt.label("mark"))
        .join(_M, and_(_M.c.entity_id == _S.c.sub, _M.c.state == "CURRENT"))
        .where(_S.c.sub.in_(entity_ids))
    )
    return {row.sub: (row.statement, row.mark) for row in await conn.execute(query)}


async def store_statement(conn: AsyncConnection, item: Statement) -> None:
    """Keep a newly signed statement in place of an older one; a newer one stays.

    One from the future was signed by a clock that was ahead, and does not stay.
    """
    dialect = sqlite if conn.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(_S).values(**vars(item))
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=[_S.c.sub],
            set_={name: statement.excluded[name] for name in vars(item) if name != "sub"},
            where=is_due(_S.c.issued_at, item.issued_at, timedelta(0)),
        )
    )


async def last(conn: AsyncConnection, kind: Kind) -> Publication | None:
    """Return the newest publication of a kind."""
    query = (
        select(_P)
        .where(_P.c.kind == kind.value, _P.c.state == "PUBLISHED")
        .order_by(_P.c.sequence.desc())
        .limit(1)
    )
    return await one(conn, query, Publication)


async def highest_sequence(conn: AsyncConnection, kind: Kind) -> int | None:
    """Return the highest number ever reserved, published or not."""
    query = select(func.max(_P.c.sequence)).where(_P.c.kind == kind.value)
    highest: int | None = (await conn.execute(query)).scalar_one()
    return highest


async def reserve(conn: AsyncConnection, item: Publication) -> None:
    """Reserve a number before anything is signed with it.

    Raises:
        Duplicate: the number is taken.
    """
    try:
        await conn.execute(insert(_P).values(**vars(item)))
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise


async def publish(conn: AsyncConnection, kind: Kind, sequence: int, *, sha256: str) -> bool:
    """Turn a reserved number into a published one; False if it is gone or a higher one is published.

    Raises:
        Duplicate: another number follows the same one already.
    """
    later = select(_P.c.sequence).where(
        _P.c.kind == kind.value, _P.c.state == "PUBLISHED", _P.c.sequence > sequence
    )
    try:
        result = await conn.execute(
            update(_P)
            .where(_P.c.kind == kind.value, _P.c.sequence == sequence, _P.c.state == "PREPARED")
            .where(~later.exists())
            .values(state="PUBLISHED", sha256=sha256)
        )
    except IntegrityError as error:
        if is_unique_violation(error):
            raise Duplicate from error
        raise
    return result.rowcount == 1


async def abandon(conn: AsyncConnection, kind: Kind, sequence: int) -> None:
    """Give up a reserved number; it is never used again."""
    await conn.execute(
        update(_P)
        .where(_P.c.kind == kind.value, _P.c.sequence == sequence, _P.c.state == "PREPARED")
        .values(state="ABANDONED")
    )


async def forget_publications(conn: AsyncConnection, kind: Kind, *, expired_before: datetime) -> None:
    """Delete numbers whose publication has expired; the highest stays, because it carries the sequence on."""
    highest = await highest_sequence(conn, kind)
    newest = await last(conn, kind)
    kept = [number for number in (highest, newest.sequence if newest else None) if number is not None]
    await conn.execute(
        delete(_P).where(
            _P.c.kind == kind.value, _P.c.expires_at < expired_before, _P.c.sequence.not_in(kept)
        )
    )


async def use_part(conn: AsyncConnection, kept: KeptPart) -> bool:
    """Note that a part is in use; True if it was not kept before."""
    if await insert_once(conn, _Q, vars(kept)):
        return True
    noted = {"last_used_at": kept.last_used_at, "source": kept.source, "name": kept.name}
    await conn.execute(update(_Q).where(_Q.c.sha256 == kept.sha256).values(noted))
    return False


async def use_parts(conn: AsyncConnection, hashes: Collection[str], now: datetime) -> int:
    """Note that parts that are kept are in use; how many of them are kept."""
    used = await conn.execute(update(_Q).where(_Q.c.sha256.in_(sorted(hashes))).values(last_used_at=now))
    return int(used.rowcount)


async def parts_made_from(conn: AsyncConnection, sources: Collection[str]) -> dict[str, KeptPart]:
    """Return parts that are kept, by what they were made from."""
    found = await many(conn, select(_Q).where(_Q.c.source.in_(sources)), KeptPart)
    return {part.source: part for part in found if part.source is not None}


async def unused_parts(conn: AsyncConnection, *, since: datetime) -> list[KeptPart]:
    """Return parts that no manifest has named since then."""
    return await many(conn, select(_Q).where(_Q.c.last_used_at < since), KeptPart)


async def forget_part(conn: AsyncConnection, sha256: str, *, unused_since: datetime) -> bool:
    """Forget a part that no manifest has named since then; False if one has, or it is gone."""
    gone = await conn.execute(delete(_Q).where(_Q.c.sha256 == sha256, _Q.c.last_used_at < unused_since))
    return gone.rowcount == 1


async def changed(conn: AsyncConnection) -> None:
    """Count a change that must be published, in the transaction that makes it."""
    await conn.execute(update(_C).where(_C.c.id == 1).values(made=_C.c.made + 1))


async def changes(conn: AsyncConnection) -> Changes:
    """Return the count of changes."""
    found = await one(conn, select(_C).where(_C.c.id == 1), Changes)
    if found is None:
        raise LookupError("the row of changes is missing: run migrate")
    return found


async def note_published(conn: AsyncConnection, made: int, now: datetime) -> None:
    """Record that every change up to this count is published."""
    await conn.execute(
        update(_C).where(_C.c.id == 1, _C.c.published <= made).values(published=made, published_at=now)
    )
