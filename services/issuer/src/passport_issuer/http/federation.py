"""The tenant's entity configuration (OpenID Federation 1.0 §9), served from enrolment on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from passport_issuer.http.access import context_of
from passport_shared.service.routes import protocol_route


def routes() -> list[BaseRoute]:
    """The route."""
    return [protocol_route("/{ods:ods}/.well-known/openid-federation", entity_configuration, methods=["GET"])]


async def entity_configuration(request: Request) -> Response:
    """``GET <EID>/.well-known/openid-federation``."""
    return await context_of(request).tenants.answer(request.path_params["ods"])
