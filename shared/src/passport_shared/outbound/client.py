"""The outbound HTTP client: one factory for every call that leaves a service or a wallet.

What it guarantees (security.md B2 "SSRF", R9, R10): https to names that lead to public addresses, or to
`host:port` the operator listed; no redirects, no proxies, no cookies; an answer within a total time, a size
and the expected media type, or an `OutboundError` with a closed reason. Bodies come back as bytes: parsing is
the caller's, with the strict codecs.

What it does not do: decide whom to call. URLs come from signed registry data or settings, never from
unverified input. Statuses other than redirects are answers, the caller judges them.
"""

from __future__ import annotations

import asyncio
import re
import time
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import httpx

from passport_shared.formats.strict import dumps
from passport_shared.outbound.addresses import Resolver, system_resolver
from passport_shared.outbound.breaker import HostGates
from passport_shared.outbound.carried import CARRIED
from passport_shared.outbound.errors import OutboundError, OutboundReason
from passport_shared.outbound.spans import SpanKind, placed, span
from passport_shared.outbound.transport import CheckedBackend, CheckedTransport, tls_context
from passport_shared.outbound.urls import Target, check_url

ANY_MEDIA_TYPE = "*/*"
NOT_MODIFIED = 304
MAX_ETAG_CHARACTERS = 256
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?\Z")
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one call may cost: `total` from name look-up to last byte, `per_host` calls at once."""

    total: timedelta = timedelta(seconds=5)
    connect: timedelta = timedelta(seconds=3)
    max_bytes: int = 262_144
    per_host: int = 8


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer that was read whole; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def etag(self) -> str | None:
        """The entity tag to send back in a conditional request; None too for one nobody could send back."""
        found = self.headers.get("etag", "")
        return found if len(found) <= MAX_ETAG_CHARACTERS and _HEADER_VALUE.match(found) else None

    @property
    def not_modified(self) -> bool:
        """Whether the copy named by `etag` is still current."""
        return self.status == NOT_MODIFIED

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The media type without parameters, lower case; empty if there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True)
class _Call:
    method: str
    target: Target
    accept: frozenset[str]
    headers: Mapping[str, str]
    content: bytes | None
    conditional: bool
    max_bytes: int
    total_s: float


class Outbound:
    """HTTP client with the SSRF guard.

    Args:
        ca_file: certificates trusted in addition to the system's store.
        allow: exception list of `host:port` that may have another port, a private name or a literal address.
        allow_private: whether the exception list also lifts the rule on addresses; False in production.
        limits: what one call may cost unless the call says less or more.
        resolver: name look-up; tests give their own.
        monotonic: clock of the circuit breaker in seconds.
        transport: stands in for the network, so that a test can put an application there; URL rules still
            hold.
    """

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
        self._allow = frozenset(entry.lower() for entry in allow)
        self._limits = limits or Limits()
        self._gates = HostGates(self._limits.per_host, monotonic or time.monotonic)
        self._flights: dict[tuple[object, ...], asyncio.Task[Response]] = {}
        if transport is None:
            backend = CheckedBackend(resolver or system_resolver, self._allow, allow_private=allow_private)
            transport = CheckedTransport(tls_context(ca_file), backend)
        self._client = httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False)
        self._observe: Callable[[str, str], None] | None = None
        self._kind_of: Callable[[str], str] = lambda _: "other"
        # Only what a call names is sent: httpx would add its name and version and a list of encodings.
        self._client.headers.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def observe(self, kind_of: Callable[[str], str], observer: Callable[[str, str], None]) -> None:
        """Tell the kind of host and the outcome of every call.

        Args:
            kind_of: the kind of a ``host:port``, of a closed set.
            observer: gets the kind, and ``ok``, ``refused``, ``failed``, or why no answer came.
        """
        self._kind_of = kind_of
        self._observe = observer

    async def close(self) -> None:
        """Close all connections; calls still under way fail."""
        for flight in list(self._flights.values()):
            flight.cancel()
        await self._client.aclose()

    async def get(
        self,
        url: str,
        *,
        accept: str | Collection[str],
        max_bytes: int | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a limit of the call, with the others
        etag: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """GET `url`; a 2xx answer has one of the media types `accept`, or none and no body.

        With `etag` the request is conditional and the answer may be `not_modified`. Identical calls under way
        at the same time share one request.

        Raises:
            OutboundError: every reason.
        """
        extra = dict(headers or {})
        if etag is not None:
            extra["If-None-Match"] = etag
        call = self._call("GET", url, accept, extra, None, max_bytes, timeout)
        flight_key = (
            call.target.url,
            call.accept,
            tuple(sorted(extra.items())),
            call.max_bytes,
            call.total_s,
        )
        flight = self._flights.get(flight_key)
        if flight is None:
            flight = asyncio.create_task(self._perform(call))
            self._flights[flight_key] = flight
            flight.add_done_callback(lambda done: self._landed(flight_key, done))
        try:
            # Shielded: one caller that gives up does not take the answer from the others.
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            if flight.cancelled():
                raise OutboundError(
                    OutboundReason.CONNECTION_BROKEN, "closed", host=call.target.name
                ) from None
            raise

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
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a limit of the call, with the others
    ) -> Response:
        """POST exactly one of `json`, `form` and `content` (with its type); never repeated by itself.

        Raises:
            OutboundError: every reason.
            ValueError: no body or several.
        """
        body, media_type = _body(json, form, content, content_type)
        extra = {**dict(headers or {}), "Content-Type": media_type}
        return await self._perform(self._call("POST", url, accept, extra, body, max_bytes, timeout))

    async def put(
        self,
        url: str,
        *,
        json: Any,
        accept: str | Collection[str] = "application/json",
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - a limit of the call, with the others
    ) -> Response:
        """PUT a JSON document; never repeated by itself.

        Raises:
            OutboundError: every reason.
        """
        extra = {**dict(headers or {}), "Content-Type": "application/json"}
        return await self._perform(self._call("PUT", url, accept, extra, dumps(json), max_bytes, timeout))

    def _call(
        self,
        method: str,
        url: str,
        accept: str | Collection[str],
        headers: Mapping[str, str],
        content: bytes | None,
        max_bytes: int | None,
        total: timedelta | None,
    ) -> _Call:
        target = check_url(url, self._allow)
        parsed = httpx.URL(url)
        if (parsed.host.strip("[]").lower(), parsed.port or 443) != (
            target.host,
            target.port,
        ) or parsed.userinfo:
            raise OutboundError(OutboundReason.URL_MALFORMED, "two parsers read this URL differently")
        for name, value in headers.items():
            if name.lower() in _OWN_HEADERS or not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
                raise OutboundError(OutboundReason.HEADER_MALFORMED, name[:40], host=target.name)
        return _Call(
            method=method,
            target=target,
            accept=frozenset([accept] if isinstance(accept, str) else accept),
            headers=headers,
            content=content,
            conditional="If-None-Match" in headers,
            max_bytes=max_bytes or self._limits.max_bytes,
            total_s=(total or self._limits.total).total_seconds(),
        )

    def _landed(self, key: tuple[object, ...], flight: asyncio.Task[Response]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # seen, even when every caller gave up

    async def _perform(self, call: _Call) -> Response:
        outcome, kind = "cancelled", self._kind_of(call.target.name)
        try:
            response = await self._traced(call, kind)
            outcome = "ok" if response.status < 400 else "refused" if response.status < 500 else "failed"
        except OutboundError as error:
            outcome = error.reason.value
            raise
        finally:
            if self._observe is not None:
                self._observe(kind, outcome)
        return response

    async def _traced(self, call: _Call, kind: str) -> Response:
        with span(f"{call.method} {kind}", SpanKind.CLIENT) as current:
            if current is None:
                return await self._gated(call)
            current.note(method=call.method, peer=kind)
            response = await self._gated(call)
            current.note(status=response.status)
            return response

    async def _gated(self, call: _Call) -> Response:
        async with self._gates.through(call.target.name) as gate:
            try:
                async with asyncio.timeout(call.total_s):
                    response = await self._exchange(call)
            except TimeoutError:
                raise OutboundError(
                    OutboundReason.TIMED_OUT, "no whole answer in time", host=call.target.name
                ) from None
            if response.status >= 500:
                gate.failed()
            else:
                gate.succeeded()
        _check_answer(call, response)
        return response

    async def _exchange(self, call: _Call) -> Response:
        request = self._client.build_request(
            call.method,
            call.target.url,
            headers={
                "Accept": ", ".join(sorted(call.accept)),
                "Accept-Encoding": "identity",
                "User-Agent": "staff-passport",
                **CARRIED.get(),
                **placed(),
                **call.headers,
            },
            content=call.content,
            timeout=httpx.Timeout(
                call.total_s, connect=min(call.total_s, self._limits.connect.total_seconds())
            ),
        )
        answer = await self._client.send(request, stream=True)
        try:
            body = await _read(answer, call)
        finally:
            await answer.aclose()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status_code, headers=headers, body=body, url=call.target.url)


def _body(
    json: Any, form: Mapping[str, str] | None, content: bytes | None, content_type: str | None
) -> tuple[bytes, str]:
    if [json, form, content].count(None) != 2 or (content is None) != (content_type is None):
        raise ValueError("give exactly one of json, form, or content with its content_type")
    if content is not None:
        return content, content_type or ""
    if form is not None:
        return urlencode(form).encode("ascii"), "application/x-www-form-urlencoded"
    return dumps(json), "application/json"


async def _read(answer: httpx.Response, call: _Call) -> bytes:
    too_large = OutboundError(
        OutboundReason.TOO_LARGE, f"more than {call.max_bytes} bytes", host=call.target.name
    )
    announced = answer.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > call.max_bytes:
        raise too_large
    body = bytearray()
    async for part in answer.aiter_raw():
        body += part
        if len(body) > call.max_bytes:
            raise too_large
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "identity" or not body:
        return bytes(body)
    if encoding not in ("gzip", "x-gzip"):
        raise OutboundError(OutboundReason.CONTENT_ENCODING, "identity was asked for", host=call.target.name)
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(bytes(body), call.max_bytes + 1)
    except zlib.error:
        raise OutboundError(OutboundReason.CONTENT_ENCODING, "not gzip", host=call.target.name) from None
    if len(plain) > call.max_bytes:
        raise too_large
    if not inflater.eof:
        raise OutboundError(OutboundReason.CONTENT_ENCODING, "gzip is cut short", host=call.target.name)
    return plain


def _check_answer(call: _Call, response: Response) -> None:
    if 300 <= response.status < 400 and not (response.not_modified and call.conditional):
        raise OutboundError(OutboundReason.REDIRECT, "redirects are not followed", host=call.target.name)
    if not response.ok or ANY_MEDIA_TYPE in call.accept or (not response.body and not response.media_type):
        return
    if response.media_type not in call.accept:
        raise OutboundError(
            OutboundReason.WRONG_CONTENT_TYPE, "another media type was asked for", host=call.target.name
        )
