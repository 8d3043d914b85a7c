"""OpenID Federation 1.0 endpoints of the trust anchor (standards.md §1.2, §1.8 "foundation").

Entity configuration, fetch, list, trust mark, trust mark status. Errors are federation JSON with the status
of each code; unknown request parameters are ignored, filters that are not offered are refused by name.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_registry.http.serving import (
    EVERY_ORIGIN,
    context_of,
    invalid_request,
    made_document,
    not_found,
    one_parameter,
    public,
)
from passport_registry.operations import federation as operations
from passport_registry.rules.entities import ENTITY_TYPE
from passport_shared.formats import strict
from passport_shared.formats.federation import (
    ENTITY_STATEMENT_MEDIA_TYPE,
    TRUST_MARK_MEDIA_TYPE,
    TRUST_MARK_STATUS_MEDIA_TYPE,
)
from passport_shared.formats.freshness import STATEMENT_HTTP_MAX_AGE
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.routes import form_body, protocol_route

READ = ("GET", "HEAD")
UNSUPPORTED_FILTERS = ("trust_marked", "trust_mark_type", "intermediate")


async def entity_configuration(request: Request) -> Response:
    """Serve the anchor's entity configuration."""
    ctx = context_of(request)
    return await _statement(request, ctx.anchor, "the anchor has not been published yet")


async def fetch(request: Request) -> Response:
    """Serve the subordinate statement about `sub`."""
    ctx = context_of(request)
    sub = one_parameter(request, "sub")
    if sub == ctx.anchor:
        raise invalid_request("an entity states nothing about itself here: read its entity configuration")
    return await _statement(request, str(sub), "this anchor states nothing about this entity")


async def _statement(request: Request, sub: str, missing: str) -> Response:
    ctx = context_of(request)
    statement = await operations.statement(ctx, sub)
    if statement is None:
        raise not_found(missing)
    document = made_document(
        sub,
        statement.jwt.encode("ascii"),
        media_type=ENTITY_STATEMENT_MEDIA_TYPE,
        max_age=STATEMENT_HTTP_MAX_AGE,
        at=statement.issued_at,
    )
    return public(request, document, missing)


async def list_subordinates(request: Request) -> Response:
    """Serve the EIDs of the immediate subordinates, of the asked entity types if any are."""
    ctx = context_of(request)
    for name in UNSUPPORTED_FILTERS:
        if name in request.query_params:
            raise ProtocolError(
                "unsupported_parameter", f"the filter {name} is not offered", 400, EVERY_ORIGIN
            )
    types = request.query_params.getlist("entity_type")
    known = set(ENTITY_TYPE.values())
    wanted = {role for role, entity_type in ENTITY_TYPE.items() if not types or entity_type in types}
    listed = await operations.subordinates(ctx, wanted if known & set(types) or not types else set())
    document = made_document(
        "list",
        strict.dumps(list(listed)),
        media_type="application/json",
        max_age=STATEMENT_HTTP_MAX_AGE,
        at=ctx.clock.now(),
    )
    return public(request, document, "")


async def trust_mark(request: Request) -> Response:
    """Serve the current mark of `sub` of type `trust_mark_type`."""
    ctx = context_of(request)
    kind = one_parameter(request, "trust_mark_type")
    sub = one_parameter(request, "sub")
    mark = await operations.current_mark(ctx, str(sub), str(kind))
    if mark is None or mark.jwt is None:
        raise not_found("there is no such trust mark")
    document = made_document(
        mark.jti,
        mark.jwt.encode("ascii"),
        media_type=TRUST_MARK_MEDIA_TYPE,
        max_age=STATEMENT_HTTP_MAX_AGE,
        at=mark.issued_at,
    )
    return public(request, document, "")


async def trust_mark_status(request: Request) -> Response:
    """Answer the standing of the mark that was posted, signed and as of now."""
    ctx = context_of(request)
    form = await form_body(request)
    token = form.get("trust_mark", "")
    if not token:
        raise invalid_request("give trust_mark exactly once")
    answer = await operations.mark_status(ctx, token)
    return Response(
        answer,
        media_type=TRUST_MARK_STATUS_MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **EVERY_ORIGIN},
    )


def routes() -> list[Route]:
    """Return the federation routes."""
    return [
        protocol_route("/.well-known/openid-federation", entity_configuration, methods=READ),
        protocol_route("/federation/fetch", fetch, methods=READ),
        protocol_route("/federation/list", list_subordinates, methods=READ),
        protocol_route("/federation/trust_mark", trust_mark, methods=READ),
        protocol_route("/federation/trust_mark_status", trust_mark_status, methods=("POST",)),
    ]
