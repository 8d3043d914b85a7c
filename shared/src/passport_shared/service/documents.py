"""Cached documents: snapshots, status tokens and directories as rows, with a copy in memory (style.md §4.6).

A document has a version that only grows: what was seen can be replaced by something newer, never by something
older nor by other bytes of the same version (the rollback rules of TUF). One lease holder fetches or builds
it; every replica serves the stored bytes. Whether a document is still good is the reader's question:
`fetched_at` says when these bytes came, `checked_at` when their source last confirmed them.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    Table,
    Text,
    delete,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from passport_shared.formats.clock import Clock
from passport_shared.formats.strict import b64url_encode
from passport_shared.service.db import Database, UtcDateTime
from passport_shared.service.jobs import Leases
from passport_shared.service.once import insert_once

REFRESH_LEASE = timedelta(seconds=60)
GZIP_FROM_BYTES = 1_024
MAX_BYTES_IN_MEMORY = 64 * 1_024 * 1_024


@dataclass(frozen=True)
class DocumentTables:
    """Table of cached documents."""

    documents: Table


def tables(metadata: MetaData) -> DocumentTables:
    """Define the table of cached documents."""
    return DocumentTables(
        Table(
            "cached_documents",
            metadata,
            Column("name", Text, primary_key=True),
            Column("version", BigInteger, nullable=False),
            Column("body", LargeBinary, nullable=False),
            Column("media_type", Text, nullable=False),
            Column("etag", Text, nullable=False),
            Column("source_etag", Text),
            Column("max_age_s", Integer, nullable=False),
            Column("fetched_at", UtcDateTime, nullable=False),
            Column("checked_at", UtcDateTime, nullable=False),
        )
    )


class StaleVersion(Exception):
    """A document with a higher version, or the same version and other bytes, is kept already."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """Stored bytes and what is needed to serve them; `etag` without quotes."""

    name: str
    version: int
    body: bytes
    media_type: str
    etag: str
    source_etag: str | None
    max_age: timedelta
    fetched_at: datetime
    checked_at: datetime

    @cached_property
    def gzipped(self) -> bytes | None:
        """The bytes compressed, if it pays; made when somebody first asks: most are never served."""
        return _gzip(self.body)


def _etag(body: bytes, media_type: str) -> str:
    return b64url_encode(hashlib.sha256(media_type.encode() + b"\0" + body).digest()[:18])


def _gzip(body: bytes) -> bytes | None:
    if len(body) < GZIP_FROM_BYTES:
        return None
    squeezed = gzip.compress(body, compresslevel=6, mtime=0)
    # Signed and already compressed content hardly shrinks; then the client's work is not worth it.
    return squeezed if len(squeezed) < len(body) * 0.9 else None


class CachedDocuments:
    """Documents by name: rows for durability, copies in memory (at most 64 MiB) for speed.

    Args:
        recheck: how soon a newer version stored by another replica is noticed.
    """

    def __init__(
        self,
        db: Database,
        tables: DocumentTables,
        clock: Clock,
        *,
        recheck: timedelta = timedelta(seconds=2),
    ) -> None:
        self._db = db
        self._table = tables.documents
        self._clock = clock
        self._recheck = recheck
        self._memory: OrderedDict[str, tuple[Document, datetime]] = OrderedDict()
        self._bytes = 0

    async def get(self, name: str) -> Document | None:
        """The kept document, at most `recheck` behind what is stored; None if there is none."""
        kept = self._memory.get(name)
        now = self._clock.now()
        if kept is not None and timedelta(0) <= now - kept[1] < self._recheck:
            return kept[0]
        table = self._table
        async with self._db.read() as conn:
            if kept is not None:
                marks = select(table.c.version, table.c.etag, table.c.checked_at).where(table.c.name == name)
                mark = (await conn.execute(marks)).first()
                if mark is not None and (mark.version, mark.etag) == (kept[0].version, kept[0].etag):
                    return self._keep(replace(kept[0], checked_at=mark.checked_at))
            row = (await conn.execute(select(table).where(table.c.name == name))).mappings().first()
        if row is None:
            self._drop(name)
            return None
        return self._keep(_document(row))

    async def body(self, name: str) -> bytes | None:
        """The stored bytes of a document that is read once: no copy is kept in memory."""
        async with self._db.read() as conn:
            found = select(self._table.c.body).where(self._table.c.name == name)
            row = (await conn.execute(found)).first()
        return None if row is None else bytes(row.body)

    async def known(self, names: Collection[str]) -> set[str]:
        """Which of these documents are stored."""
        async with self._db.read() as conn:
            found = select(self._table.c.name).where(self._table.c.name.in_(sorted(names)))
            return set((await conn.execute(found)).scalars())

    async def put(
        self,
        name: str,
        body: bytes,
        *,
        media_type: str,
        version: int | None = None,
        max_age: timedelta = timedelta(0),
        source_etag: str | None = None,
        conn: AsyncConnection | None = None,
        in_memory: bool = True,
    ) -> Document:
        """Keep a document, in the caller's transaction if `conn` is given; as a row alone if not `in_memory`.

        `version` None stands for one more than the kept one. Putting the kept version with the same bytes
        again only moves `checked_at`.

        Raises:
            StaleVersion: a higher version, or this version with other bytes, is kept already.
        """
        now = self._clock.now()
        values: dict[str, Any] = {
            "body": body,
            "media_type": media_type,
            "etag": _etag(body, media_type),
            "source_etag": source_etag,
            "max_age_s": int(max_age.total_seconds()),
            "fetched_at": now,
            "checked_at": now,
        }
        async with self._writing(conn) as writer:
            row = await self._store(writer, name, version, values)
        if conn is None and in_memory:
            return self._keep(_document(row))
        # The caller's transaction may yet be rolled back: memory must not run ahead of it.
        self._drop(name)
        return _document(row)

    async def _store(
        self, conn: AsyncConnection, name: str, version: int | None, values: dict[str, Any]
    ) -> RowMapping:
        table = self._table
        if await insert_once(conn, table, {"name": name, "version": version or 1, **values}):
            return (await conn.execute(select(table).where(table.c.name == name))).mappings().one()
        newer = update(table).where(table.c.name == name)
        if version is None:
            newer = newer.values(version=table.c.version + 1, **values)
        else:
            newer = newer.where(table.c.version < version).values(version=version, **values)
        row = (await conn.execute(newer.returning(*table.c))).mappings().first()
        if row is None:
            same = update(table).where(
                table.c.name == name, table.c.version == version, table.c.etag == values["etag"]
            )
            confirmed = {"checked_at": values["checked_at"], "source_etag": values["source_etag"]}
            row = (await conn.execute(same.values(confirmed).returning(*table.c))).mappings().first()
        if row is None:
            raise StaleVersion(f"{name}: version {version} is older than the kept one, or differs from it")
        return row

    async def touch(self, name: str) -> None:
        """Record that the source was asked and had nothing newer (304)."""
        table, now = self._table, self._clock.now()
        async with self._db.write() as conn:
            await conn.execute(update(table).where(table.c.name == name).values(checked_at=now))
        kept = self._memory.get(name)
        if kept is not None:
            self._memory[name] = (replace(kept[0], checked_at=now), kept[1])

    async def delete(self, name: str, *, conn: AsyncConnection | None = None) -> None:
        """Forget a document, and with it the memory of its versions; in the caller's transaction if given."""
        async with self._writing(conn) as writer:
            await writer.execute(delete(self._table).where(self._table.c.name == name))
        self._drop(name)

    async def refresh(
        self, name: str, leases: Leases, refresh: Callable[[Document | None], Awaitable[object]]
    ) -> bool:
        """Call `refresh` with the kept document if no other replica is doing so; whether it was called."""
        async with leases.hold(f"document:{name}", REFRESH_LEASE) as lease:
            if lease is None:
                return False
            await refresh(await self.get(name))
            return True

    def _keep(self, document: Document) -> Document:
        self._drop(document.name)
        self._memory[document.name] = (document, self._clock.now())
        self._bytes += _size(document)
        while self._bytes > MAX_BYTES_IN_MEMORY and len(self._memory) > 1:
            self._drop(next(iter(self._memory)))
        return document

    def _drop(self, name: str) -> None:
        kept = self._memory.pop(name, None)
        if kept is not None:
            self._bytes -= _size(kept[0])

    def _writing(self, conn: AsyncConnection | None) -> Any:
        return self._db.write() if conn is None else nullcontext(conn)


def _size(document: Document) -> int:
    # What is served compressed is kept twice.
    return 2 * len(document.body)


def _document(row: RowMapping) -> Document:
    body = bytes(row["body"])
    return Document(
        name=row["name"],
        version=row["version"],
        body=body,
        media_type=row["media_type"],
        etag=row["etag"],
        source_etag=row["source_etag"],
        max_age=timedelta(seconds=row["max_age_s"]),
        fetched_at=row["fetched_at"],
        checked_at=row["checked_at"],
    )


def document_response(request: Request, doc: Document) -> Response:
    """Serve stored bytes: 200, or 304 when If-None-Match names them; gzip if the client takes it."""
    zipped = doc.gzipped is not None and _accepts_gzip(request.headers.get("accept-encoding", ""))
    # A compressed representation is another one and has its own entity tag (RFC 9110 §8.8.3.3).
    headers = {
        "ETag": f'"{doc.etag}-gzip"' if zipped else f'"{doc.etag}"',
        "Cache-Control": f"public, max-age={int(doc.max_age.total_seconds())}",
    }
    if doc.gzipped is not None:
        headers["Vary"] = "Accept-Encoding"
    if _none_match(request.headers.get("if-none-match", ""), doc.etag):
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    body = doc.gzipped if zipped and doc.gzipped is not None else doc.body
    headers["Content-Type"] = doc.media_type
    headers["Content-Length"] = str(len(body))
    return Response(b"" if request.method == "HEAD" else body, headers=headers)


def _accepts_gzip(header: str) -> bool:
    for offer in header[:512].lower().split(","):
        coding, _, weight = offer.partition(";")
        if coding.strip() in ("gzip", "x-gzip", "*"):
            value = weight.replace(" ", "").removeprefix("q=")
            return value.rstrip("0") not in ("0.", "") if weight and value != "" else True
    return False


def _none_match(header: str, etag: str) -> bool:
    if header.strip() == "*":
        return True
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header[:4_096].split(",")]
    return etag in tags or f"{etag}-gzip" in tags
