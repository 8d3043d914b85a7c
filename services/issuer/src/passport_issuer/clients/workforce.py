"""The port to workforce systems, and what every client of one shares.

`WorkforceSystem` is what the operations speak to; `dsp_api` and `esr_port` are its two forms. A call ends in
an answer of the promised shape or in a `WorkforceError` with a closed reason: nothing a system sends is
repeated in an error. Every connection has an outbound client of its own, so that its circuit breaker, its
budget of concurrent calls and its list of private hosts are nobody else's.

Private hosts: a connection may name `host:port` pairs inside private networks. In production the addresses
behind them must lie on the private networks the operator listed (ADR-0030); without a list none does.
Loopback, link-local and other special addresses stay out of reach, so that a connection cannot be pointed at
this service's own machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from passport_issuer.rules.workforce import Change, ForeignPerson, ForeignRecords
from passport_shared.formats.strict import JsonValue, StrictError, loads
from passport_shared.outbound import Limits, Outbound, OutboundError, OutboundReason, Response
from passport_shared.outbound.addresses import Resolver, is_global, system_resolver

MAX_ANSWER_BYTES = 262_144
MAX_RECORDS_BYTES = 1_048_576
MAX_CLIENTS = 256
PER_CONNECTION = 6
PrivateNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class WorkforceReason(StrEnum):
    """PERSISTED. Why a workforce system gave no answer that can be used."""

    UNREACHABLE = "UNREACHABLE"
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    TLS_FAILED = "TLS_FAILED"
    TIMED_OUT = "TIMED_OUT"
    TOO_MUCH = "TOO_MUCH"
    ENDLESS = "ENDLESS"
    LEFT_ALONE = "LEFT_ALONE"
    NOT_AUTHORISED = "NOT_AUTHORISED"
    NO_TOKEN = "NO_TOKEN"  # noqa: S105 - a reason
    NOT_FOUND = "NOT_FOUND"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    UNHEALTHY = "UNHEALTHY"
    GARBAGE = "GARBAGE"


WORDS: Mapping[WorkforceReason, str] = {
    WorkforceReason.UNREACHABLE: "The system cannot be reached; it may be down. Your trust's other "
    "connections are not affected.",
    WorkforceReason.ADDRESS_NOT_ALLOWED: "The address may not be called. A system on a private network "
    "has to be named in the connection's private hosts.",
    WorkforceReason.TLS_FAILED: "The system's TLS certificate is not trusted.",
    WorkforceReason.TIMED_OUT: "The system did not answer in the connection's time.",
    WorkforceReason.TOO_MUCH: "The system sent more than an answer may hold.",
    WorkforceReason.ENDLESS: "The system's pages do not end.",
    WorkforceReason.LEFT_ALONE: "The system failed repeatedly and is left alone for half a minute.",
    WorkforceReason.NOT_AUTHORISED: "The system does not accept our credentials for this organisation.",
    WorkforceReason.NO_TOKEN: "The system's token endpoint gave no access token. Register the "
    "connection's public keys with the supplier.",
    WorkforceReason.NOT_FOUND: "The system knows no such person, or not this organisation.",
    WorkforceReason.REFUSED: "The system refused the request.",
    WorkforceReason.FAILED: "The system reports a failure of its own.",
    WorkforceReason.UNHEALTHY: "The system says that it is not well.",
    WorkforceReason.GARBAGE: "The system's answer does not have the form its contract promises.",
}
"""What each reason means to HR."""

_OUTBOUND: Mapping[OutboundReason, WorkforceReason] = {
    OutboundReason.TLS_FAILED: WorkforceReason.TLS_FAILED,
    OutboundReason.TIMED_OUT: WorkforceReason.TIMED_OUT,
    OutboundReason.TOO_LARGE: WorkforceReason.TOO_MUCH,
    OutboundReason.BREAKER_OPEN: WorkforceReason.LEFT_ALONE,
    OutboundReason.REDIRECT: WorkforceReason.GARBAGE,
    OutboundReason.WRONG_CONTENT_TYPE: WorkforceReason.GARBAGE,
    OutboundReason.CONTENT_ENCODING: WorkforceReason.GARBAGE,
    OutboundReason.CONNECT_FAILED: WorkforceReason.UNREACHABLE,
    OutboundReason.CONNECTION_BROKEN: WorkforceReason.UNREACHABLE,
    OutboundReason.NAME_NOT_RESOLVED: WorkforceReason.UNREACHABLE,
}


class WorkforceError(Exception):
    """A workforce system gave no usable answer; never carries anything it sent."""

    def __init__(self, reason: WorkforceReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Whom to look for: details, or an identifier that is known already."""

    given_name: str | None = None
    family_name: str | None = None
    birthdate: str | None = None
    person_id: str | None = None
    assignment_number: str | None = None


class WorkforceSystem(Protocol):
    """One workforce system of one trust."""

    async def status(self) -> None:
        """Nothing, if the system says that it is up; WorkforceError otherwise."""

    async def search(self, wanted: Wanted) -> list[ForeignPerson]:
        """Everybody who could be the one, at most a page's worth; nobody is an empty list."""

    async def person(self, person_id: str) -> ForeignPerson:
        """One person."""

    async def records(self, person_id: str) -> ForeignRecords:
        """A person with all records this system answers for."""

    def changes(self, cursor: str | None) -> AsyncIterator[Sequence[Change]]:
        """Thin changes after a cursor, page by page; nothing where the contract has no feed."""


def decoded(answer: Response, max_bytes: int) -> JsonValue:
    """The JSON of an answer.

    Raises:
        WorkforceError: by status, or GARBAGE.
    """
    if answer.status in (401, 403):
        raise WorkforceError(WorkforceReason.NOT_AUTHORISED)
    if answer.status == 404:
        raise WorkforceError(WorkforceReason.NOT_FOUND)
    if answer.status >= 500:
        raise WorkforceError(WorkforceReason.FAILED)
    if answer.status != 200:
        raise WorkforceError(WorkforceReason.REFUSED)
    try:
        return loads(answer.body, max_bytes=max_bytes)
    except StrictError:
        raise WorkforceError(WorkforceReason.GARBAGE) from None


def segment(person_id: str) -> str:
    """An identifier as one segment of a path.

    Raises:
        WorkforceError: NOT_FOUND, for dots that would lead elsewhere in the system.
    """
    if person_id in (".", ".."):
        raise WorkforceError(WorkforceReason.NOT_FOUND)
    return quote(person_id, safe="")


def failed(error: OutboundError) -> WorkforceError:
    """An outbound failure as a workforce system's."""
    return WorkforceError(_OUTBOUND.get(error.reason, WorkforceReason.ADDRESS_NOT_ALLOWED))


class Credentials(Protocol):
    """How a connection proves who calls."""

    async def headers(self, outbound: Outbound) -> Mapping[str, str]:
        """Headers of a call; WorkforceError NO_TOKEN if there are none to be had."""

    def refused(self) -> bool:
        """Forget what was refused; whether asking again may help."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A connection as its client uses it: where, how long, how much, on whose account."""

    base_url: str
    ods: str
    timeout: timedelta
    max_pages: int
    outbound: Outbound
    credentials: Credentials

    async def get(
        self,
        url: str,
        *,
        accept: Collection[str] = ("application/json",),
        max_bytes: int = MAX_ANSWER_BYTES,
        public: bool = False,
    ) -> Any:
        """The JSON under a URL; once more with fresh credentials where the first were refused.

        Raises:
            WorkforceError: every reason.
        """
        for again in (True, False):
            headers = {} if public else await self.credentials.headers(self.outbound)
            try:
                answer = await self.outbound.get(
                    url, accept=accept, headers=headers, max_bytes=max_bytes, timeout=self.timeout
                )
            except OutboundError as error:
                raise failed(error) from None
            if answer.status == 401 and again and not public and self.credentials.refused():
                continue
            return decoded(answer, max_bytes)
        raise WorkforceError(WorkforceReason.NOT_AUTHORISED)


def private_use_only(
    resolve: Resolver, hosts: frozenset[str], networks: Collection[PrivateNetwork]
) -> Resolver:
    """A resolver that refuses addresses which are neither public nor of a listed host on a listed network."""

    async def checked(host: str, port: int) -> Sequence[str]:
        addresses = await resolve(host, port)
        listed = f"{host}:{port}" in hosts
        for address in addresses:
            if not is_global(address) and not (listed and _lies_in(address, networks)):
                raise OutboundError(OutboundReason.ADDRESS_NOT_GLOBAL, "the address is of a special kind")
        return addresses

    return checked


def _lies_in(address: str, networks: Collection[PrivateNetwork]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if getattr(parsed, "scope_id", None) is not None:
        return False
    return any(parsed.version == network.version and parsed in network for network in networks)


@dataclass
class _Kept:
    outbound: Outbound
    users: int = 0
    over: bool = False


class WorkforceClients:
    """Outbound clients by connection: one each, made when first used, the longest unused closed first.

    Args:
        ca_file: certificates trusted in addition to the system's store.
        allow: the operator's own exception list, for development.
        production: whether private hosts may only lead to the operator's private networks.
        networks: those networks; none of them, and no private host is reached in production.
        transport: stands in for the network.
        resolve: looks names up.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        allow: Collection[str] = (),
        production: bool = True,
        networks: Collection[PrivateNetwork] = (),
        transport: httpx.AsyncBaseTransport | None = None,
        resolve: Resolver = system_resolver,
    ) -> None:
        self._resolve = resolve
        self._ca_file = ca_file
        self._allow = frozenset(allow)
        self._production = production
        self._networks = frozenset(networks)
        self._transport = transport
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()

    @property
    def allowed(self) -> frozenset[str]:
        """The operator's exception list, which counts outside production only."""
        return frozenset() if self._production else self._allow

    @asynccontextmanager
    async def through(
        self, connection_id: str, version: int, private_hosts: Collection[str]
    ) -> AsyncIterator[Outbound]:
        """The outbound client of a connection in a version; a changed connection starts afresh."""
        key = (connection_id, version)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(self._make(frozenset(private_hosts)))
        self._kept.move_to_end(key)
        kept.users += 1
        try:
            yield kept.outbound
        finally:
            kept.users -= 1
            await self._tidy(connection_id, version)

    async def close(self) -> None:
        """Close all of them."""
        for kept in self._kept.values():
            await kept.outbound.close()
        self._kept.clear()

    def _make(self, private_hosts: frozenset[str]) -> Outbound:
        limits = Limits(per_host=PER_CONNECTION)
        if self._transport is not None:
            return Outbound(allow=private_hosts | self._allow, limits=limits, transport=self._transport)
        if not self._production:
            return Outbound(ca_file=self._ca_file, allow=private_hosts | self._allow, limits=limits)
        return Outbound(
            ca_file=self._ca_file,
            allow=private_hosts,
            limits=limits,
            resolver=private_use_only(self._resolve, private_hosts, self._networks),
        )

    async def _tidy(self, connection_id: str, version: int) -> None:
        idle = [key for key, kept in self._kept.items() if kept.users == 0]
        older = [key for key in idle if key[0] == connection_id and key[1] < version]
        surplus = max(0, len(self._kept) - MAX_CLIENTS)
        for key in {*older, *idle[:surplus]}:
            kept = self._kept.pop(key, None)
            if kept is not None:
                await kept.outbound.close()


@asynccontextmanager
async def within(limit: timedelta) -> AsyncIterator[None]:
    """One time limit for a whole conversation with a system, however many calls it takes."""
    try:
        async with asyncio.timeout(limit.total_seconds()):
            yield
    except TimeoutError:
        raise WorkforceError(WorkforceReason.TIMED_OUT) from None
