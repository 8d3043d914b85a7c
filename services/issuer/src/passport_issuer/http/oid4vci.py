"""OpenID4VCI 1.0 endpoints of a tenant, exactly as standards.md §3.5 lists them.

Metadata, offer by reference, token, nonce, credential and notification. Plain routes on the protocol surface:
parse, call one operation, answer. Every answer that is not public metadata is never cached. Requests and
responses are not encrypted, and the metadata says so by its silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from passport_issuer.context import Context
from passport_issuer.http.access import context_of
from passport_issuer.operations import issuance, notifications, offers, redemption
from passport_issuer.operations.notifications import NotificationEvent
from passport_issuer.operations.tenants import protocol_tenant
from passport_issuer.rules import codes
from passport_issuer.rules.credential_request import RequestInvalid, read_credential_request
from passport_issuer.rules.metadata import (
    PRE_AUTHORIZED_CODE,
    authorization_server_metadata,
    credential_issuer_metadata,
)
from passport_shared.formats import strict
from passport_shared.formats.strict import StrictError
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.routes import json_body, media_type, protocol_route, stated_form
from passport_shared.service.tenancy import Tenant

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
PUBLIC = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
MAX_TOKEN_CHARS = 200
MAX_CREDENTIAL_REQUEST = 65_536
MAX_DETAILS = 20


def routes() -> list[BaseRoute]:
    """The routes, in the order in which they are matched."""
    return [
        protocol_route(
            "/.well-known/openid-credential-issuer/{ods:ods}", credential_issuer, methods=["GET", "HEAD"]
        ),
        protocol_route(
            "/.well-known/oauth-authorization-server/{ods:ods}", authorization_server, methods=["GET", "HEAD"]
        ),
        protocol_route("/{ods:ods}/offers/{offer_id}", credential_offer, methods=["GET"]),
        protocol_route("/{ods:ods}/token", token, methods=["POST"]),
        protocol_route("/{ods:ods}/nonce", nonce, methods=["POST"]),
        protocol_route("/{ods:ods}/credential", credential, methods=["POST"]),
        protocol_route("/{ods:ods}/notification", notification, methods=["POST"]),
    ]


def json_response(
    body: object, headers: Mapping[str, str], *, status: int = 200, content_type: str = "application/json"
) -> Response:
    """A compact JSON answer."""
    return Response(
        strict.dumps(body),
        status_code=status,
        media_type=content_type,
        headers=dict(headers),
    )


async def credential_issuer(request: Request) -> Response:
    """``GET /.well-known/openid-credential-issuer/{ods}`` (§12.2.2)."""
    ctx, tenant = await _tenant(request)
    return json_response(credential_issuer_metadata(tenant.entity_id, tenant.name, ctx.vct_base), PUBLIC)


async def authorization_server(request: Request) -> Response:
    """``GET /.well-known/oauth-authorization-server/{ods}`` (RFC 8414 §3)."""
    _, tenant = await _tenant(request)
    return json_response(authorization_server_metadata(tenant.entity_id), PUBLIC)


async def credential_offer(request: Request) -> Response:
    """``GET <EID>/offers/{id}``: the offer by reference (§4.1.3); 404 once it is over."""
    ctx, tenant = await _tenant(request)
    offer = await offers.find(ctx, tenant, request.path_params["offer_id"])
    if offer is None or not offer.open_at(ctx.clock.now()):
        raise ProtocolError("not_found", "there is no open offer under this address", status=404)
    return json_response(offers.offer_document(ctx, tenant, offer), NO_STORE)


async def token(request: Request) -> Response:
    """``POST <EID>/token`` (§6): a pre-authorized code and its PIN for an access token."""
    ctx, tenant = await _tenant(request)
    form = await stated_form(request)
    _check_client(request, form)
    if "grant_type" not in form:
        raise ProtocolError("invalid_request", "grant_type is missing")
    if form["grant_type"] != PRE_AUTHORIZED_CODE:
        raise ProtocolError("unsupported_grant_type", "only the pre-authorized code grant is offered")
    code = form.get("pre-authorized_code", "")
    if not code:
        raise ProtocolError("invalid_request", "pre-authorized_code is missing")
    pin = form.get("tx_code", "")
    if not codes.is_tx_code(pin):
        raise ProtocolError("invalid_request", "tx_code is needed: six ASCII digits")
    answer = await redemption.redeem(
        ctx,
        tenant,
        code=code,
        tx_code=pin,
        asked_configurations=_asked(form.get("authorization_details")),
    )
    body: dict[str, Any] = {
        "access_token": answer.access_token,
        "token_type": "Bearer",
        "expires_in": answer.expires_in,
    }
    if answer.authorization_details is not None:
        body["authorization_details"] = answer.authorization_details
    return json_response(body, NO_STORE)


def _check_client(request: Request, form: Mapping[str, str]) -> None:
    """Wallets are anonymous here; credentials of a client nobody registered are refused, never ignored."""
    if "authorization" in request.headers or "client_assertion" in form or "client_secret" in form:
        # RFC 6749 §5.2: a client that used the header is told a scheme.
        told = {"WWW-Authenticate": "Basic"} if "authorization" in request.headers else {}
        raise ProtocolError(
            "invalid_client", "no client is registered here: send none", status=401, headers=told
        )


def _asked(text: str | None) -> Sequence[str] | None:
    """The configurations named in authorization_details (RFC 9396; OpenID4VCI 1.0 §5.1.1)."""
    if text is None:
        return None
    error = ProtocolError("invalid_authorization_details", "an array of openid_credential objects is needed")
    try:
        details = strict.loads(text, max_bytes=8_192)
    except StrictError:
        raise error from None
    if not isinstance(details, list) or not 0 < len(details) <= MAX_DETAILS:
        raise error
    asked: list[str] = []
    for detail in details:
        if not isinstance(detail, dict) or detail.get("type") != "openid_credential":
            raise error
        configuration = detail.get("credential_configuration_id")
        if not isinstance(configuration, str):
            raise error
        asked.append(configuration)
    return asked


async def nonce(request: Request) -> Response:
    """``POST <EID>/nonce`` (§7): a fresh c_nonce; nothing is stored until it is used."""
    ctx, tenant = await _tenant(request)
    return json_response(
        {"c_nonce": codes.new_nonce(ctx.secrets.nonces, tenant.ods, ctx.clock.now())}, NO_STORE
    )


async def credential(request: Request) -> Response:
    """``POST <EID>/credential`` (§8)."""
    ctx, tenant = await _tenant(request)
    grant = await _grant(ctx, tenant, request)
    if media_type(request) == "application/jwt":
        raise ProtocolError("invalid_encryption_parameters", "requests are not encrypted at this issuer")
    try:
        body = await json_body(request, max_bytes=MAX_CREDENTIAL_REQUEST)
    except ProtocolError as error:
        # §8.3.1: a malformed Credential Request has a code of its own.
        raise ProtocolError("invalid_credential_request", error.description) from None
    try:
        wanted = read_credential_request(body)
    except RequestInvalid as error:
        raise ProtocolError(error.error, error.description) from None
    issued = await issuance.issue(ctx, tenant, grant, wanted)
    return json_response(
        {
            "credentials": [{"credential": item} for item in issued.credentials],
            "notification_id": issued.notification_id,
        },
        NO_STORE,
    )


async def notification(request: Request) -> Response:
    """``POST <EID>/notification`` (§11); a repetition is answered alike."""
    ctx, tenant = await _tenant(request)
    grant = await _grant(ctx, tenant, request)
    error = ProtocolError("invalid_notification_request", "notification_id and a known event are needed")
    try:
        body = await json_body(request)
    except ProtocolError:
        raise error from None
    notification_id, event = body.get("notification_id"), body.get("event")
    if not isinstance(notification_id, str) or not isinstance(event, str):
        raise error
    if event not in {known.value for known in NotificationEvent}:
        raise error
    await notifications.notify(ctx, tenant, grant, notification_id, NotificationEvent(event))
    return Response(status_code=204, headers=NO_STORE)


async def _tenant(request: Request) -> tuple[Context, Tenant]:
    ctx = context_of(request)
    return ctx, await protocol_tenant(ctx, request.path_params["ods"])


async def _grant(ctx: Context, tenant: Tenant, request: Request) -> redemption.Grant:
    """What the wallet's opaque access token allows (RFC 6750 §2.1; never from the query or a form)."""
    values = request.headers.getlist("authorization")
    if not values:
        raise ProtocolError(
            "invalid_token", "an access token is needed", status=401, headers={"WWW-Authenticate": "Bearer"}
        )
    scheme, _, value = values[0].partition(" ")
    found = None
    if len(values) == 1 and scheme.lower() == "bearer" and 0 < len(value) <= MAX_TOKEN_CHARS:
        found = await redemption.grant_of(ctx, tenant, value)
    if found is None:
        raise ProtocolError(
            "invalid_token",
            "the access token is unknown, over or revoked",
            status=401,
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    return found
