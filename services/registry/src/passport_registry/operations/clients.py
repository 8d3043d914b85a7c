"""API clients: registered once, known to every service through the client directory (design.md §6).

The registry holds public keys only. A private key is made here in one case, the command line's first client,
and handed over once without being stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_registry.errors import AlreadyExists, Conflict, NotFound, PreconditionFailed, fields
from passport_registry.rules.identifiers import is_ods_code
from passport_registry.store import clients as store
from passport_registry.store import organisations, publications
from passport_registry.store.clients import ClientKey, ClientRow
from passport_registry.store.rows import Duplicate, VersionChanged
from passport_shared.formats.jose import JoseError, PublicKey
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.wire.clients import EVERY_ORGANISATION, ApiClient, ClientKind, ClientState
from passport_shared.wire.scopes import ALL_SCOPES

SLOTS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class RegisterClient:
    """A client to be registered; `jwks` are its public keys, one or two."""

    client_id: str
    name: str
    kind: ClientKind
    organisation: str
    scopes: Sequence[str]
    jwks: Sequence[Mapping[str, Any]]


async def register(ctx: Context, cmd: RegisterClient, actor: Actor, claim: Claim | None = None) -> ApiClient:
    """Register a client.

    Raises:
        Invalid: unknown scope or organisation, or a key that is not a public P-256 key.
        AlreadyExists: the id or one of the keys is taken.
    """
    keys = _public_keys(cmd.jwks)
    faults = [
        (f"scopes/{index}", "is not a scope of any service")
        for index, scope in enumerate(cmd.scopes)
        if scope not in ALL_SCOPES
    ]
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        faults += await _organisation_faults(conn, cmd.organisation)
        if faults:
            raise fields(faults)
        row = ClientRow(
            client_id=cmd.client_id,
            name=cmd.name,
            kind=cmd.kind.value,
            organisation=cmd.organisation,
            scopes=sorted(set(cmd.scopes)),
            state=ClientState.ACTIVE.value,
            created_at=now,
            created_by=actor.client_id,
            version=1,
        )
        try:
            await store.add(conn, row)
            for slot, key in zip(SLOTS, keys, strict=False):
                await store.add_key(conn, _key(cmd.client_id, slot, key, ctx))
        except Duplicate:
            raise AlreadyExists("The client id or one of the keys is taken.") from None
        details = {"scopes": row.scopes, "organisation": row.organisation, "kind": row.kind}
        await _record(ctx, conn, "api_client.registered", cmd.client_id, actor, details)
        if claim is not None:
            await claim.complete(conn, cmd.client_id)
    return await get(ctx, cmd.client_id)


def _key(client_id: str, slot: int, key: PublicKey, ctx: Context) -> ClientKey:
    return ClientKey(
        kid=key.thumbprint, client_id=client_id, slot=slot, jwk=key.as_jwk(), added_at=ctx.clock.now()
    )


def _public_keys(jwks: Sequence[Mapping[str, Any]]) -> list[PublicKey]:
    if not 1 <= len(jwks) <= len(SLOTS):
        raise fields([("jwks/keys", "holds one or two public keys")])
    keys, faults = [], []
    for index, jwk in enumerate(jwks):
        try:
            keys.append(PublicKey.from_jwk(jwk))
        except JoseError:
            faults.append((f"jwks/keys/{index}", "is not a public P-256 key for signatures"))
    if faults:
        raise fields(faults)
    if len({key.thumbprint for key in keys}) != len(keys):
        raise fields([("jwks/keys/1", "is the same key again")])
    return keys


async def _organisation_faults(conn: AsyncConnection, organisation: str) -> list[tuple[str, str]]:
    if organisation == EVERY_ORGANISATION:
        return []
    known = is_ods_code(organisation) and await organisations.get(conn, organisation) is not None
    return [] if known else [("organisation", "is no organisation of this network, and not *")]


async def _record(
    ctx: Context,
    conn: AsyncConnection,
    kind: str,
    client_id: str,
    actor: Actor,
    details: Mapping[str, Any] | None = None,
) -> None:
    await publications.changed(conn)
    await ctx.audit.record(
        conn, kind=kind, subject_ref=client_id, actor=actor.as_dict(), details=dict(details or {})
    )


def _client(row: ClientRow, keys: Sequence[ClientKey]) -> ApiClient:
    return ApiClient(
        client_id=row.client_id,
        kind=ClientKind(row.kind),
        organisation=row.organisation,
        scopes=frozenset(row.scopes),
        jwks=tuple(dict(key.jwk) for key in keys),
        state=ClientState(row.state),
        name=row.name,
    )


async def find(ctx: Context, client_id: str) -> ApiClient | None:
    """Return a client in any state; what the registry's own token endpoint asks."""
    async with ctx.db.read() as conn:
        row = await store.get(conn, client_id)
        if row is None:
            return None
        keys = await store.keys(conn, client_id)
    return _client(row, keys.get(client_id, []))


async def get(ctx: Context, client_id: str) -> ApiClient:
    """Return a client.

    Raises:
        NotFound: there is none.
    """
    client = await find(ctx, client_id)
    if client is None:
        raise NotFound
    return client


async def api_clients(ctx: Context) -> list[ApiClient]:
    """Return every client, by id: the content of the client directory."""
    async with ctx.db.read() as conn:
        rows = await store.page(conn, after=None, limit=None)
        keys = await store.keys(conn)
    return [_client(row, keys.get(row.client_id, [])) for row in rows]


async def page(ctx: Context, *, after: str | None, limit: int) -> list[ApiClient]:
    """Return clients by id, after a cursor."""
    async with ctx.db.read() as conn:
        rows = await store.page(conn, after=after, limit=limit)
        keys = await store.keys(conn)
    return [_client(row, keys.get(row.client_id, [])) for row in rows]


async def version(ctx: Context, client_id: str) -> int:
    """Return the version of a client's own record (its keys do not count).

    Raises:
        NotFound: there is none.
    """
    async with ctx.db.read() as conn:
        row = await store.get(conn, client_id)
    if row is None:
        raise NotFound
    return row.version


async def set_state(
    ctx: Context, client_id: str, state: ClientState, actor: Actor, *, reason: str
) -> ApiClient:
    """Suspend a client or let it in again; a client that is in this state already stays as it is.

    Raises:
        NotFound: there is none.
    """
    async with ctx.db.write() as conn:
        if await store.get(conn, client_id) is None:
            raise NotFound
        if await store.set_state(conn, client_id, state.value):
            kind = "api_client.suspended" if state is ClientState.SUSPENDED else "api_client.reactivated"
            await _record(ctx, conn, kind, client_id, actor, {"reason": reason})
    return await get(ctx, client_id)


async def set_scopes(
    ctx: Context, client_id: str, scopes: Sequence[str], expected_version: int, actor: Actor
) -> ApiClient:
    """Replace a client's scopes.

    Raises:
        NotFound, Invalid, PreconditionFailed: none, unknown scope, changed meanwhile.
    """
    unknown = [
        (f"scopes/{index}", "is not a scope of any service")
        for index, scope in enumerate(scopes)
        if scope not in ALL_SCOPES
    ]
    if unknown:
        raise fields(unknown)
    async with ctx.db.write() as conn:
        row = await store.get(conn, client_id)
        if row is None:
            raise NotFound
        try:
            await store.change(conn, client_id, expected_version, {"scopes": sorted(set(scopes))})
        except VersionChanged:
            raise PreconditionFailed from None
        details = {"before": list(row.scopes), "after": sorted(set(scopes))}
        await _record(ctx, conn, "api_client.scopes_changed", client_id, actor, details)
    return await get(ctx, client_id)


async def add_key(
    ctx: Context, client_id: str, jwk: Mapping[str, Any], actor: Actor, claim: Claim | None = None
) -> ApiClient:
    """Add a second key, so that the first can be removed without a gap.

    Raises:
        NotFound: there is no such client.
        Invalid: not a public P-256 key.
        Conflict: two keys are live.
        AlreadyExists: some client has or had this key.
    """
    key = _public_keys([jwk])[0]
    async with ctx.db.write() as conn:
        if await store.get(conn, client_id) is None:
            raise NotFound
        taken = {held.slot for held in (await store.keys(conn, client_id)).get(client_id, [])}
        free = [slot for slot in SLOTS if slot not in taken]
        if not free:
            raise Conflict("Two keys are live; remove one first.")
        try:
            await store.add_key(conn, _key(client_id, free[0], key, ctx))
        except Duplicate:
            raise AlreadyExists("This key belongs, or belonged, to a client.") from None
        await _record(ctx, conn, "api_client.key_added", client_id, actor, {"kid": key.thumbprint})
        if claim is not None:
            await claim.complete(conn, client_id)
    return await get(ctx, client_id)


async def remove_key(ctx: Context, client_id: str, kid: str, actor: Actor) -> None:
    """Remove a key; a client without keys gets no tokens.

    Raises:
        NotFound: no such client, or no such live key of it.
    """
    async with ctx.db.write() as conn:
        if not await store.remove_key(conn, client_id, kid, ctx.clock.now()):
            raise NotFound
        await _record(ctx, conn, "api_client.key_removed", client_id, actor, {"kid": kid})
