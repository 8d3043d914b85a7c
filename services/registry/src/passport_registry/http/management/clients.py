"""`/api/v1/clients`: API clients of the whole network; only public keys ever come here."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from passport_registry.http.management.common import (
    ActedWithReason,
    ActorRef,
    ApiModel,
    Ctx,
    acting,
    cursor_of,
    once,
    operator,
    page_of,
)
from passport_registry.operations import clients as operations
from passport_shared.service.auth import Caller, require
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router
from passport_shared.wire.clients import ApiClient, ClientKind, ClientState

LIST = "clients"
router: APIRouter = management_router("/api/v1/clients", tags=["clients"])

Reader = Annotated[Caller, Depends(require("clients:read"))]
Writer = Annotated[Caller, Depends(require("clients:write"))]
Approver = Annotated[Caller, Depends(require("clients:approve"))]
ClientId = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$")]
Kid = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$", description="RFC 7638 thumbprint of the key.")]
Scope = Annotated[str, Field(max_length=60, pattern=r"^[a-z-]+:[a-z]+$")]


class PublicJwk(ApiModel):
    """A public P-256 key; a private member is refused."""

    kty: Annotated[str, Field(pattern="^EC$")]
    crv: Annotated[str, Field(pattern="^P-256$")]
    x: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    y: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
    kid: Annotated[str, Field(max_length=100)] | None = None
    alg: Annotated[str, Field(pattern="^ES256$")] | None = None
    use: Annotated[str, Field(pattern="^sig$")] | None = None

    def as_jwk(self) -> dict[str, Any]:
        """Return the members that make the key."""
        return {"kty": self.kty, "crv": self.crv, "x": self.x, "y": self.y}


class PublicJwks(ApiModel):
    """One or two public keys."""

    keys: Annotated[list[PublicJwk], Field(min_length=1, max_length=2)]


class NewClient(ApiModel):
    """A client to be registered."""

    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$")]
    name: Annotated[str, Field(min_length=3, max_length=100, description="What it is for, not whose it is.")]
    kind: ClientKind
    organisation: Annotated[str, Field(pattern=r"^(\*|[A-Z0-9]{3,6})$")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=100)]
    jwks: PublicJwks
    actor: ActorRef


class ScopesBody(ApiModel):
    """The scopes a client shall have from now on."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=100)]
    actor: ActorRef


class KeyBody(ApiModel):
    """A second key."""

    jwk: PublicJwk
    actor: ActorRef


class ClientView(ApiModel):
    """A client with its live public keys."""

    client_id: str
    name: str
    kind: ClientKind
    organisation: str
    scopes: list[str]
    jwks: dict[str, list[dict[str, Any]]]
    state: ClientState


def _view(client: ApiClient) -> ClientView:
    return ClientView(
        client_id=client.client_id,
        name=client.name,
        kind=client.kind,
        organisation=client.organisation,
        scopes=sorted(client.scopes),
        jwks={"keys": [dict(jwk) for jwk in client.jwks]},
        state=client.state,
    )


@router.post("", status_code=201)
async def register(
    body: NewClient, request: Request, response: Response, ctx: Ctx, caller: Writer
) -> ClientView:
    """Register an API client; every service knows it with the next client directory."""
    operator(caller)
    actor = acting(caller, body.actor)
    cmd = operations.RegisterClient(
        client_id=body.client_id,
        name=body.name,
        kind=body.kind,
        organisation=body.organisation,
        scopes=body.scopes,
        jwks=[key.as_jwk() for key in body.jwks.keys],
    )

    async def work(claim: Any) -> str:
        return (await operations.register(ctx, cmd, actor, claim)).client_id

    made = await once(ctx, request, caller, work)
    response.headers["Location"] = f"/api/v1/clients/{made.resource_id}"
    response.headers["ETag"] = etag_of(await operations.version(ctx, made.resource_id))
    return _view(await operations.get(ctx, made.resource_id))


@router.get("")
async def page(ctx: Ctx, caller: Reader, query: Paging) -> Page[ClientView]:
    """List API clients by id."""
    operator(caller)
    found = await operations.page(ctx, after=cursor_of(query, LIST), limit=query.limit + 1)
    items, following = page_of(found, query, LIST, lambda client: client.client_id)
    return Page(items=[_view(client) for client in items], next=following)


@router.get("/{client_id}")
async def get(client_id: ClientId, response: Response, ctx: Ctx, caller: Reader) -> ClientView:
    """Read an API client."""
    operator(caller)
    client = await operations.get(ctx, client_id)
    response.headers["ETag"] = etag_of(await operations.version(ctx, client_id))
    return _view(client)


@router.put("/{client_id}/scopes")
async def set_scopes(
    client_id: ClientId,
    body: ScopesBody,
    response: Response,
    ctx: Ctx,
    caller: Writer,
    if_match: IfMatch = None,
) -> ClientView:
    """Replace a client's scopes; tokens given before keep theirs for at most five minutes."""
    operator(caller)
    version = await operations.version(ctx, client_id)
    require_match(if_match, etag_of(version))
    client = await operations.set_scopes(ctx, client_id, body.scopes, version, acting(caller, body.actor))
    response.headers["ETag"] = etag_of(version + 1)
    return _view(client)


@router.post("/{client_id}/keys", status_code=201)
async def add_key(
    client_id: ClientId, body: KeyBody, request: Request, ctx: Ctx, caller: Writer
) -> ClientView:
    """Add a second key, so that the first can be removed without a gap."""
    operator(caller)
    actor = acting(caller, body.actor)

    async def work(claim: Any) -> str:
        return (await operations.add_key(ctx, client_id, body.jwk.as_jwk(), actor, claim)).client_id

    made = await once(ctx, request, caller, work)
    return _view(await operations.get(ctx, made.resource_id))


@router.post("/{client_id}/keys/{kid}/remove")
async def remove_key(
    client_id: ClientId, kid: Kid, body: ActedWithReason, ctx: Ctx, caller: Writer
) -> ClientView:
    """Remove a key for good."""
    operator(caller)
    await operations.remove_key(ctx, client_id, kid, acting(caller, body.actor))
    return _view(await operations.get(ctx, client_id))


@router.post("/{client_id}/suspend")
async def suspend(client_id: ClientId, body: ActedWithReason, ctx: Ctx, caller: Writer) -> ClientView:
    """Suspend a client: it gets no tokens any more."""
    operator(caller)
    actor = acting(caller, body.actor)
    return _view(await operations.set_state(ctx, client_id, ClientState.SUSPENDED, actor, reason=body.reason))


@router.post("/{client_id}/reactivate")
async def reactivate(client_id: ClientId, body: ActedWithReason, ctx: Ctx, caller: Approver) -> ClientView:
    """Let a suspended client in again."""
    operator(caller)
    actor = acting(caller, body.actor)
    return _view(await operations.set_state(ctx, client_id, ClientState.ACTIVE, actor, reason=body.reason))
