"""Between trusts: a host's release request comes in, the signed Release goes out (ADR-0017).

Two open addresses of a tenant. The request proves itself by its signature; the answer is read at an address
nobody can guess. Refusals are problems (RFC 9457), because the other side is one of our own services.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from passport_issuer.context import Context
from passport_issuer.http.access import context_of
from passport_issuer.operations import release_requests
from passport_issuer.operations.tenants import enrolled_tenant
from passport_shared.formats import strict
from passport_shared.service.middleware import MANAGEMENT, default_surface
from passport_shared.service.peer_address import peer_of
from passport_shared.service.problems import BadRequest, TooLarge, UnsupportedMediaType
from passport_shared.service.routes import media_type
from passport_shared.service.tenancy import Tenant
from passport_shared.wire.release import (
    MAX_MESSAGE_BYTES,
    RELEASE_MEDIA_TYPE,
    RELEASE_REQUEST_MEDIA_TYPE,
)

_OURS = re.compile(r"/.*/(?:release-requests|releases/.*)", re.DOTALL)
NO_STORE = {"Cache-Control": "no-store"}


def surface(path: str) -> str:
    """Errors on these two addresses are problems, whoever refuses."""
    ours = "/holder/" not in path and _OURS.fullmatch(path)
    return MANAGEMENT if ours else default_surface(path)


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        _route("/{ods:ods}/release-requests", ask, "POST"),
        _route("/{ods:ods}/releases/{release_id}", release, "GET"),
    ]


def _route(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str) -> Route:
    return Route(path, endpoint, methods=[method], include_in_schema=False)


async def ask(request: Request) -> Response:
    """``POST <EID>/release-requests``: take a release request; the same one again is answered alike."""
    ctx = context_of(request)
    await ctx.limiter.spend(release_requests.PER_ADDRESS, peer_of(request))
    if media_type(request) != RELEASE_REQUEST_MEDIA_TYPE:
        raise UnsupportedMediaType(f"Send {RELEASE_REQUEST_MEDIA_TYPE}.")
    body = await request.body()
    if len(body) > MAX_MESSAGE_BYTES:
        raise TooLarge(MAX_MESSAGE_BYTES)
    try:
        token = body.decode("ascii")
    except UnicodeDecodeError:
        raise BadRequest("A compact JWS is ASCII.") from None
    tenant = await _tenant(ctx, request)
    received = await release_requests.receive(ctx, tenant, token)
    case = received.case
    answer = {
        "release_request": case.request_jti,
        "release_uri": received.release_uri,
        "state": case.shown_state(ctx.clock.now()).value,
    }
    headers = {**NO_STORE, "Location": received.release_uri}
    return Response(
        strict.dumps(answer),
        status_code=201 if received.created else 200,
        media_type="application/json",
        headers=headers,
    )


async def release(request: Request) -> Response:
    """``GET <release_uri>``: 202 while nobody has answered, then the newest signed Release."""
    ctx = context_of(request)
    tenant = await _tenant(ctx, request)
    served = await release_requests.serve(ctx, tenant, request.path_params["release_id"])
    if served.token is None:
        body = strict.dumps({"state": served.state.value})
        return Response(body, status_code=202, media_type="application/json", headers=NO_STORE)
    etag = f'"{served.serial}-{hashlib.sha256(served.token.encode()).hexdigest()[:16]}"'
    headers = {"Cache-Control": "private, no-cache", "ETag": etag}
    if etag in (given.strip() for given in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return Response(served.token, media_type=RELEASE_MEDIA_TYPE, headers=headers)


async def _tenant(ctx: Context, request: Request) -> Tenant:
    return await enrolled_tenant(ctx, request.path_params["ods"])
