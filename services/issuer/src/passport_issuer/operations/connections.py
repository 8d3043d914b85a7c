"""Connections of a trust to its workforce systems: added, changed, tested, believed or not.

Secrets go in and never come out: an API key is stored wrapped, an event key as its hash and shown once. How a
connection is doing is written after every use of it, so that HR and the periodic task see the same thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from passport_issuer.clients.dsp_api import DspApi
from passport_issuer.clients.esr_port import EsrPort
from passport_issuer.clients.workforce import (
    WORDS,
    Credentials,
    Line,
    Wanted,
    WorkforceError,
    WorkforceReason,
    WorkforceSystem,
    within,
)
from passport_issuer.clients.workforce_credentials import ApiKey, PrivateKeyJwt, TokenRequest
from passport_issuer.context import Context
from passport_issuer.errors import CONNECTION_IN_USE, CONNECTION_NAME_TAKEN
from passport_issuer.rules.workforce import Authentication, ConnectionKind, Refusal
from passport_issuer.store import connections as store
from passport_issuer.store.connections import Connection
from passport_issuer.store.rows import Duplicate, VersionChanged
from passport_shared.formats.ids import new_id, random_token
from passport_shared.outbound import OutboundError
from passport_shared.outbound.urls import check_url
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.keys import Kek
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import Invalid, NotFound, PassportError, PreconditionFailed
from passport_shared.service.tenancy import Tenant

KEY_PURPOSE = "workforce"
"""Purpose of a trust's key that signs client assertions; it signs nothing else."""
RETRY_AFTER = timedelta(seconds=30)
"""What people are told to wait after a system failed: as long as a circuit breaker stays open."""
WHOLE = 3
"""A conversation of several calls may take this many times as long as one."""
# Nobody is called so; a system that answers this search at all has authorised us.
NOBODY = Wanted(given_name="Zz", family_name="Zz-connection-test", birthdate="1900-01-01")


async def add(
    ctx: Context, tenant: Tenant, values: Mapping[str, Any], api_key: str | None, actor: Actor, claim: Claim
) -> str:
    """Add a connection; its id.

    Raises:
        Invalid: an address that can never be called, or credentials that do not fit.
        PassportError: connection_name_taken.
    """
    now, connection_id = ctx.clock.now(), new_id()
    _check(ctx, tenant, values, api_key)
    if values["authentication"] is Authentication.PRIVATE_KEY_JWT:
        await ctx.keys.ensure(KEY_PURPOSE, tenant.ods)
    connection = Connection(
        id=connection_id,
        ods=tenant.ods,
        **values,
        api_key_wrapped=await _wrapped(ctx, connection_id, api_key),
        event_key_hash=None,
        last_ok_at=None,
        last_error=None,
        last_error_at=None,
        failures=0,
        suspicious_at=None,
        suspicious_reason=None,
        cursor=None,
        refresh_due_at=now,
        version=1,
        created_at=now,
        created_by=actor.ref,
        updated_at=now,
    )
    try:
        async with ctx.db.write() as conn:
            await store.insert_connection(conn, connection)
            await _record(ctx, conn, "connection.added", connection, actor)
            await claim.complete(conn, connection.id)
    except Duplicate:
        raise _taken() from None
    return connection.id


async def change(
    ctx: Context,
    tenant: Tenant,
    read: Connection,
    values: Mapping[str, Any],
    api_key: str | None,
    actor: Actor,
) -> Connection:
    """Change a connection that was read; an API key that is not sent again stays, at the host it is for.

    Raises:
        Invalid, PreconditionFailed.
        PassportError: connection_name_taken; connection_in_use when another system type is named.
    """
    same = read.authentication is values["authentication"] and (
        _host(read.base_url) == _host(values["base_url"])
    )
    kept = read.api_key_wrapped if same else None
    _check(ctx, tenant, values, api_key, has_key=kept is not None)
    if values["system_type"] is not read.system_type:
        raise PassportError(CONNECTION_IN_USE, "The type of a connection stays; add another connection.")
    if values["authentication"] is Authentication.PRIVATE_KEY_JWT:
        await ctx.keys.ensure(KEY_PURPOSE, tenant.ods)
    changed = replace(
        read,
        **values,
        api_key_wrapped=kept if api_key is None else await _wrapped(ctx, read.id, api_key),
        version=read.version + 1,
        updated_at=ctx.clock.now(),
    )
    try:
        async with ctx.db.write() as conn:
            await store.replace_connection(conn, changed, expected_version=read.version)
            fields = [name for name in values if getattr(read, name) != values[name]]
            await _record(ctx, conn, "connection.changed", changed, actor, {"fields": fields})
    except VersionChanged:
        raise PreconditionFailed from None
    except Duplicate:
        raise _taken() from None
    return await get(ctx, tenant, read.id)


async def remove(ctx: Context, read: Connection, actor: Actor) -> None:
    """Remove a connection nobody is linked through.

    Raises:
        PassportError: connection_in_use.
    """
    async with ctx.db.write() as conn:
        if not await store.delete_connection(conn, read):
            raise PassportError(
                CONNECTION_IN_USE, "People are linked through it, or it has changed. Unlink them first."
            )
        await _record(ctx, conn, "connection.removed", read, actor)


async def get(ctx: Context, tenant: Tenant, connection_id: str) -> Connection:
    """One connection of the trust.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        connection = await store.get_connection(conn, tenant.ods, connection_id)
    if connection is None:
        raise NotFound
    return connection


async def find(ctx: Context, tenant: Tenant, page: PageQuery) -> tuple[list[Connection], str | None]:
    """A page of the trust's connections."""
    async with ctx.db.read() as conn:
        return await store.list_connections(conn, tenant.ods, page)


async def public_keys(ctx: Context, tenant: Tenant) -> list[dict[str, Any]]:
    """The public keys the supplier registers for client assertions."""
    return [key.public.as_jwk() for key in await ctx.keys.published(KEY_PURPOSE, tenant.ods)]


@dataclass(frozen=True, kw_only=True)
class Tested:
    """How a test went: each step's reason, None where it went well; no search after a failed status."""

    at: datetime
    status: WorkforceReason | None
    search: WorkforceReason | None

    @property
    def ok(self) -> bool:
        """Whether both went well."""
        return self.status is None and self.search is None


async def test(ctx: Context, connection: Connection, actor: Actor) -> Tested:
    """Ask the system whether it is up, then search for nobody; what came of it is recorded."""
    status = await _reason(ctx, connection, lambda system: system.status())
    search = status or await _reason(ctx, connection, lambda system: system.search(NOBODY))
    tested = Tested(at=ctx.clock.now(), status=status, search=search)
    outcome = status or search
    async with ctx.db.write() as conn:
        details = {"outcome": outcome.value if outcome else "OK"}
        await _record(ctx, conn, "connection.tested", connection, actor, details)
    return tested


async def _reason(ctx: Context, connection: Connection, call: Any) -> WorkforceReason | None:
    try:
        async with opened(ctx, connection) as system:
            await call(system)
    except WorkforceError as error:
        return error.reason
    return None


async def new_event_key(ctx: Context, connection: Connection, actor: Actor) -> str:
    """Make the key under which the system may send events; shown once, an older one ends."""
    key = random_token(32)
    async with ctx.db.write() as conn:
        await store.set_event_key(conn, connection, event_key_hash(key))
        await _record(ctx, conn, "connection.event_key_made", connection, actor)
    return key


def event_key_hash(key: str) -> str:
    """What is stored of an event key: 256 random bits need no slow hash."""
    return hashlib.sha256(key.encode()).hexdigest()


async def believe(
    ctx: Context, tenant: Tenant, connection: Connection, finding: str, actor: Actor
) -> Connection:
    """Take away the mark that a connection is not to be believed by itself; `finding` is a code.

    Raises:
        PassportError: conflict, when it is not marked.
    """
    async with ctx.db.write() as conn:
        if not await store.believe(conn, connection.id):
            raise PassportError("conflict", "The connection is not marked as suspicious.")
        await _record(ctx, conn, "connection.believed", connection, actor, {"finding": finding})
    return await get(ctx, tenant, connection.id)


@asynccontextmanager
async def opened(ctx: Context, connection: Connection) -> AsyncIterator[WorkforceSystem]:
    """The system behind a connection, for one conversation within the connection's time; health is noted.

    Raises:
        WorkforceError: from the block, after it was noted.
    """
    try:
        async with (
            ctx.workforce.clients.through(
                connection.id, connection.version, connection.private_hosts
            ) as outbound,
            within(timedelta(seconds=connection.timeout_s * WHOLE)),
        ):
            line = Line(
                base_url=connection.base_url,
                ods=connection.ods,
                timeout=timedelta(seconds=connection.timeout_s),
                max_pages=connection.max_pages,
                outbound=outbound,
                credentials=await _credentials(ctx, connection),
            )
            yield EsrPort(line) if connection.kind is ConnectionKind.ESR else DspApi(line)
    except WorkforceError as error:
        if error.reason is not WorkforceReason.NOT_FOUND:
            async with ctx.db.write() as conn:
                await store.went_wrong(conn, connection.id, error.reason.value, ctx.clock.now())
        raise
    async with ctx.db.write() as conn:
        await store.went_well(conn, connection.id, ctx.clock.now())


async def suspect(ctx: Context, connection: Connection, refusal: Refusal) -> None:
    """Mark a connection whose answer cannot be true; audited when the mark is new."""
    async with ctx.db.write() as conn:
        if await store.suspect(conn, connection.id, refusal.value, ctx.clock.now()):
            await ctx.audit.record(
                conn,
                kind="connection.suspected",
                subject_ref=connection.id,
                actor={"system": "workforce"},
                organisation=connection.ods,
                details={"reason": refusal.value},
            )


def explained(error: WorkforceError) -> tuple[str, str]:
    """The reason of a failure and its words."""
    return error.reason.value, WORDS[error.reason]


async def _credentials(ctx: Context, connection: Connection) -> Credentials:
    if connection.authentication is Authentication.API_KEY:
        kek = Kek(await ctx.keys.secret("connection-api-keys"))
        key = kek.unwrap(connection.api_key_wrapped or b"", context=f"api key of {connection.id}")
        return ApiKey(key.decode())
    request = TokenRequest(
        token_url=connection.token_url or "",
        client_id=connection.client_id or "",
        audience=connection.audience or connection.token_url or "",
        timeout=timedelta(seconds=connection.timeout_s),
    )
    signer = await ctx.keys.ensure(KEY_PURPOSE, connection.ods)
    key_of_token = (connection.id, connection.version)
    return PrivateKeyJwt(key_of_token, request, signer, ctx.workforce.tokens, ctx.clock)


async def _wrapped(ctx: Context, connection_id: str, api_key: str | None) -> bytes | None:
    if api_key is None:
        return None
    kek = Kek(await ctx.keys.secret("connection-api-keys"))
    return kek.wrap(api_key.encode(), context=f"api key of {connection_id}")


def _check(
    ctx: Context, tenant: Tenant, values: Mapping[str, Any], api_key: str | None, *, has_key: bool = False
) -> None:
    """Refuse what can never work: addresses by their text, credentials that do not fit, others' bases."""
    allow = frozenset(values["private_hosts"]) | ctx.workforce.clients.allowed
    for field in ("base_url", "token_url"):
        if values[field] is None:
            continue
        try:
            check_url(values[field], allow)
        except OutboundError as error:
            raise Invalid(
                f"This address may not be called ({error.reason.value}). Name its `host:port` in "
                "private_hosts if it is on a private network or has a port of its own.",
                field=f"/{field}",
            ) from None
    before, found, code = values["base_url"].rstrip("/").rpartition("/organisations/")
    if found and before and code != tenant.ods:
        raise Invalid("The base URL is another organisation's.", field="/base_url")
    if values["authentication"] is Authentication.API_KEY:
        if api_key is None and not has_key:
            raise Invalid("Send the API key.", field="/api_key")
    elif values["token_url"] is None or values["client_id"] is None:
        raise Invalid("Name the token URL and the client id the supplier gave.", field="/token_url")
    elif api_key is not None:
        raise Invalid("An API key is sent only with the authentication API_KEY.", field="/api_key")


def _host(base_url: str) -> str:
    """Host and port of a base URL: to another one a stored key is never sent."""
    return base_url.partition("://")[2].partition("/")[0].lower()


async def _record(
    ctx: Context,
    conn: Any,
    kind: str,
    connection: Connection,
    actor: Actor,
    details: Mapping[str, Any] | None = None,
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=connection.id,
        actor=actor.as_dict(),
        organisation=connection.ods,
        details={"system_type": connection.system_type.value, **(details or {})},
    )


def _taken() -> PassportError:
    return PassportError(CONNECTION_NAME_TAKEN, "Another connection of this trust has this name.")
