"""Where a service looks up API clients: the registry in its tables, the others in the signed directory.

The directory is polled by one replica, verified, and kept as a row, so that nothing stops when the registry
does (design §6): it serves until it expires, 72 hours after it was signed. A lower sequence than the kept
one, or the same with other bytes, is refused. After expiry nobody is authenticated any more, with a reason
that says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.service.documents import CachedDocuments, Document, StaleVersion
from passport_shared.wire.clients import (
    DIRECTORY_MEDIA_TYPE,
    MAX_DIRECTORY_BYTES,
    ApiClient,
    Directory,
    DirectoryError,
    read_directory,
)

DOCUMENT = "client-directory"

log = structlog.get_logger()


class DirectoryUnavailable(Exception):
    """No current directory is held: nobody can be authenticated."""


class ClientDirectory(Protocol):
    """Looks up API clients."""

    async def client(self, client_id: str) -> ApiClient | None:
        """The client, in any state; None if unknown. DirectoryUnavailable when it cannot say."""
        ...


@dataclass(frozen=True, kw_only=True)
class DirectorySource:
    """Where the directory is and whose signature it carries (from the trust anchor's metadata)."""

    iss: str
    uri: str
    jwks: tuple[Mapping[str, Any], ...]


class LocalClients:
    """The registry's own: reads its rows through `find`."""

    def __init__(self, find: Callable[[str], Awaitable[ApiClient | None]]) -> None:
        self._find = find

    async def client(self, client_id: str) -> ApiClient | None:
        """The client as the registry's tables have it."""
        return await self._find(client_id)


class RegistryClients:
    """Issuer's and verifier's: the signed directory, polled and kept.

    Args:
        source: the directory's place and keys according to the held snapshot; None before there is one.
    """

    def __init__(
        self,
        documents: CachedDocuments,
        outbound: Outbound,
        source: Callable[[], Awaitable[DirectorySource | None]],
        clock: Clock,
    ) -> None:
        self._documents = documents
        self._outbound = outbound
        self._source = source
        self._clock = clock
        self._read: tuple[str, DirectorySource, Directory] | None = None

    async def refresh(self) -> bool:
        """Fetch the directory if it changed, verify and keep it; whether a newer one is held now.

        One replica's periodic task calls this. A failure leaves what is held, and is logged with its reason.
        """
        source = await self._source()
        if source is None:
            log.warning("client_directory.fetch_failed", reason="no_snapshot")
            return False
        kept = await self._documents.get(DOCUMENT)
        try:
            answer = await self._outbound.get(
                source.uri,
                accept=DIRECTORY_MEDIA_TYPE,
                max_bytes=MAX_DIRECTORY_BYTES,
                etag=kept.source_etag if kept is not None else None,
            )
        except OutboundError as error:
            log.warning("client_directory.fetch_failed", reason=error.reason.value)
            return False
        if answer.not_modified:
            await self._documents.touch(DOCUMENT)
            return False
        if answer.status != 200:
            log.warning("client_directory.fetch_failed", reason=f"status_{answer.status}")
            return False
        return await self._accept(answer.body, answer.etag, source, kept)

    async def _accept(
        self, body: bytes, etag: str | None, source: DirectorySource, kept: Document | None
    ) -> bool:
        try:
            directory = await self._parse(body, source)
            document = await self._documents.put(
                DOCUMENT, body, media_type=DIRECTORY_MEDIA_TYPE, version=directory.sequence, source_etag=etag
            )
        except DirectoryError as error:
            log.warning("client_directory.refused", reason=error.reason.value)
            return False
        except StaleVersion:
            log.warning("client_directory.refused", reason="rollback")
            return False
        self._read = (document.etag, source, directory)
        return kept is None or kept.version < document.version

    async def client(self, client_id: str) -> ApiClient | None:
        """The client according to the held directory.

        Raises:
            DirectoryUnavailable: none is held, it has expired, or the anchor's keys no longer verify it.
        """
        return (await self.directory()).clients.get(client_id)

    async def directory(self) -> Directory:
        """The held directory, if it is current; DirectoryUnavailable otherwise."""
        kept, source = await self._documents.get(DOCUMENT), await self._source()
        if kept is None or source is None:
            raise DirectoryUnavailable("no client directory has been fetched yet")
        if self._read is None or self._read[0] != kept.etag or self._read[1] != source:
            try:
                self._read = (kept.etag, source, await self._parse(kept.body, source))
            except DirectoryError as error:
                raise DirectoryUnavailable(
                    f"the client directory is refused: {error.reason.value}"
                ) from error
        directory = self._read[2]
        if self._clock.now() >= directory.exp:
            raise DirectoryUnavailable("the client directory has expired and the registry gives no newer one")
        return directory

    async def _parse(self, body: bytes, source: DirectorySource) -> Directory:
        # Megabytes of JSON: off the event loop.
        now = self._clock.now()
        return await asyncio.to_thread(read_directory, body, source.jwks, iss=source.iss, now=now)
