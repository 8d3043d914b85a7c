"""Status lists as stored bytes, and the list of them (Token Status List §8, §9)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from passport_issuer.http.access import context_of
from passport_issuer.http.oid4vci import json_response
from passport_issuer.operations import status_lists
from passport_issuer.operations.tenants import protocol_tenant
from passport_shared.service.documents import document_response
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.routes import protocol_route


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        protocol_route("/{ods:ods}/statuslists", aggregation, methods=["GET", "HEAD"]),
        protocol_route("/{ods:ods}/statuslists/{list_id}", status_list, methods=["GET", "HEAD"]),
    ]


async def aggregation(request: Request) -> Response:
    """``GET <EID>/statuslists``: every list of the tenant, so that a verifier can fetch them beforehand."""
    ctx = context_of(request)
    tenant = await protocol_tenant(ctx, request.path_params["ods"])
    headers = {"Cache-Control": "public, max-age=60", "Access-Control-Allow-Origin": "*"}
    return json_response({"status_lists": await status_lists.list_uris(ctx, tenant)}, headers)


async def status_list(request: Request) -> Response:
    """``GET <EID>/statuslists/{id}``: the token in force; past versions are not kept for the public."""
    if "time" in request.query_params:
        raise ProtocolError("not_implemented", "past lists are not offered", status=501)
    ctx = context_of(request)
    document = await status_lists.published_list(
        ctx, request.path_params["ods"], request.path_params["list_id"]
    )
    if document is None:
        raise ProtocolError("not_found", "there is no status list under this identifier", status=404)
    answer = document_response(request, document)
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer
