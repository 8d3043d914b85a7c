"""The outbound HTTP client (skeleton)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one outbound call may cost."""

    total: timedelta = timedelta(seconds=5)
    connect: timedelta = timedelta(seconds=3)
    max_bytes: int = 262_144
    per_host: int = 8


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer that was read whole: header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def etag(self) -> str | None:
        """The entity tag to send back in a conditional request."""
        return self.headers.get("etag")


class Outbound:
    """HTTP client with the SSRF guard."""

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        allow: Collection[str] = frozenset(),
        allow_private: bool = True,
        limits: Limits | None = None,
        resolver: Resolver | None = None,
        monotonic: Callable[[], float] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        raise NotImplementedError

    async def get(
        self,
        url: str,
        *,
        accept: str | Collection[str],
        max_bytes: int | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """GET; identical calls at the same time share one request."""
        raise NotImplementedError

    async def post(
        self,
        url: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
        content_type: str | None = None,
        accept: str | Collection[str] = "application/json",
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109
    ) -> Response:
        """POST exactly one of json, form, content."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close all connections."""
        raise NotImplementedError
