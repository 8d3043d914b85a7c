"""Where a service looks up API clients (skeleton)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound
from passport_shared.service.documents import CachedDocuments
from passport_shared.wire.clients import ApiClient


class ClientDirectory(Protocol):
    """Looks up API clients; the registry has its own over its tables."""

    async def client(self, client_id: str) -> ApiClient | None:
        """The client, in any state; None if unknown. DirectoryUnavailable when it cannot say."""
        ...


class DirectoryUnavailable(Exception):
    """No current directory is held: nobody can be authenticated."""


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
    """Issuer's and verifier's: the signed directory, polled and kept."""

    def __init__(
        self,
        documents: CachedDocuments,
        outbound: Outbound,
        source: Callable[[], Awaitable[DirectorySource | None]],
        clock: Clock,
    ) -> None:
        raise NotImplementedError

    async def refresh(self) -> bool:
        """Fetch if changed, verify, keep; whether a newer one is held now."""
        raise NotImplementedError

    async def client(self, client_id: str) -> ApiClient | None:
        """The client according to the kept directory."""
        raise NotImplementedError


__all__ = [
    "ClientDirectory",
    "DirectorySource",
    "DirectoryUnavailable",
    "LocalClients",
    "RegistryClients",
    "Sequence",
]
