"""Cached documents (skeleton): snapshots, status tokens and directories as rows with a memory copy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response

from passport_shared.formats.clock import Clock
from passport_shared.service.db import Database, UtcDateTime


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
    """A document with the same or a higher version and other bytes is already kept."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """Stored bytes and what is needed to serve them."""

    name: str
    version: int
    body: bytes
    media_type: str
    etag: str
    source_etag: str | None
    max_age: timedelta
    fetched_at: datetime
    checked_at: datetime
    gzipped: bytes | None


class CachedDocuments:
    """Documents by name: rows for durability, a copy in memory for speed."""

    def __init__(
        self,
        db: Database,
        tables: DocumentTables,
        clock: Clock,
        *,
        recheck: timedelta = timedelta(seconds=2),
    ) -> None:
        raise NotImplementedError

    async def get(self, name: str) -> Document | None:
        """The kept document; another replica's newer one is seen within `recheck`."""
        raise NotImplementedError

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
    ) -> Document:
        """Keep a document. `version` None: one more than the kept one.

        A lower version, or the same version with other bytes, raises StaleVersion.
        """
        raise NotImplementedError

    async def touch(self, name: str) -> None:
        """Record that the source was asked and had nothing newer (304)."""
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        """Forget a document."""
        raise NotImplementedError


def document_response(request: Request, doc: Document) -> Response:
    """Serve stored bytes: ETag, Cache-Control, gzip, 304, HEAD."""
    raise NotImplementedError


Refresh = Callable[[Document | None], Awaitable[None]]
