"""The tenant's entity configuration (OpenID Federation 1.0 §9), served from enrolment on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.service.routes import protocol_route
from passport_verifier.context import Context


def routes() -> list[Route]:
    """The route."""
    return [protocol_route("/{ods}/.well-known/openid-federation", entity_configuration, methods=["GET"])]


async def entity_configuration(request: Request) -> Response:
    """``GET {EID}/.well-known/openid-federation``."""
    ctx: Context = request.app.state.context
    return await ctx.tenants.answer(request.path_params["ods"])
