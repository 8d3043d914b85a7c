"""The wallet-facing endpoints: OpenID4VP 1.0 with HAIP (standards.md §3.6), as plain routes.

``GET`` and ``POST {EID}/oid4vp/requests/{id}`` give the signed request object, ``POST {EID}/oid4vp/response``
takes the answer. Errors are OAuth JSON. What is wrong with an answer is told to the host, not to the wallet:
every refusal looks the same from outside.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.formats import strict
from passport_shared.formats.strict import StrictError
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.routes import protocol_route, stated_form
from passport_shared.service.tenancy import Tenant
from passport_verifier.context import Context
from passport_verifier.errors import NotEnrolled, NotFound
from passport_verifier.operations import answers
from passport_verifier.operations.presentation_requests import (
    REQUEST_OBJECT_MEDIA_TYPE,
    open_by_link,
    request_object,
)

MAX_WALLET_METADATA_BYTES = 16_384
NO_STORE = {"Cache-Control": "no-store"}
RETRY_AFTER_S = 60
# OpenID4VP 1.0 §5.10: a string, base64url is RECOMMENDED; printable ASCII is what we echo.
_WALLET_NONCE = re.compile(r"[\x21-\x7e]{1,255}")


def routes() -> list[Route]:
    """The protocol routes of every tenant."""
    return [
        protocol_route("/{ods}/oid4vp/requests/{link}", get_request, methods=["GET"]),
        protocol_route("/{ods}/oid4vp/requests/{link}", post_request, methods=["POST"]),
        protocol_route("/{ods}/oid4vp/response", post_response, methods=["POST"]),
    ]


async def get_request(request: Request) -> Response:
    """The request object."""
    return await _request_object(request, None)


async def post_request(request: Request) -> Response:
    """The request object, echoing the wallet's nonce (OpenID4VP 1.0 §5.10)."""
    # Both parameters are optional, so there may be no body at all, and then no media type.
    form = await stated_form(request) if await request.body() else {}
    _check_wallet_metadata(form.get("wallet_metadata"))
    nonce = form.get("wallet_nonce")
    if nonce is not None and _WALLET_NONCE.fullmatch(nonce) is None:
        raise ProtocolError("invalid_request", "wallet_nonce must be 1 to 255 printable ASCII characters")
    return await _request_object(request, nonce)


def _check_wallet_metadata(text: str | None) -> None:
    """It must be readable; what it says does not change what this profile asks."""
    if text is None:
        return
    try:
        strict.loads_object(text, max_bytes=MAX_WALLET_METADATA_BYTES)
    except StrictError as error:
        raise ProtocolError("invalid_request", f"wallet_metadata is not acceptable ({error.code})") from None


async def _request_object(request: Request, wallet_nonce: str | None) -> Response:
    ctx, tenant = await _tenant(request)
    found = await open_by_link(ctx, tenant.ods, request.path_params["link"])
    if found is None:
        raise _no_such("there is no open request under this link")
    try:
        token = await request_object(ctx, tenant, found, wallet_nonce=wallet_nonce)
    except (NotFound, NotEnrolled):
        raise _no_such("this request can no longer be answered") from None
    return Response(token, media_type=REQUEST_OBJECT_MEDIA_TYPE, headers=NO_STORE)


async def post_response(request: Request) -> Response:
    """The answer: an encrypted response, or an error with the request's state."""
    ctx, tenant = await _tenant(request)
    form = await stated_form(request)
    if ("response" in form) == ("error" in form):
        raise ProtocolError("invalid_request", "send either response or error")
    try:
        if "error" in form:
            received = await answers.decline(
                ctx, tenant.ods, oauth_state=form.get("state", ""), error=form["error"]
            )
        else:
            received = await answers.receive(ctx, tenant.ods, form["response"])
    except answers.AnswerRefused:
        raise ProtocolError("invalid_request", "the response is not acceptable for this request") from None
    except answers.HeldForRetry:
        raise ProtocolError(
            "temporarily_unavailable",
            "the response cannot be checked now and is kept for ten minutes",
            status=503,
            headers={"Retry-After": str(RETRY_AFTER_S)},
        ) from None
    body: dict[str, Any] = {} if received.redirect_uri is None else {"redirect_uri": received.redirect_uri}
    return Response(strict.dumps(body), media_type="application/json", headers=NO_STORE)


async def _tenant(request: Request) -> tuple[Context, Tenant]:
    ctx: Context = request.app.state.context
    tenant = await ctx.tenants.get(request.path_params["ods"])
    if tenant is None:
        raise _no_such("there is no verifier under this identifier")
    return ctx, tenant


def _no_such(description: str) -> ProtocolError:
    return ProtocolError("not_found", description, status=404)
