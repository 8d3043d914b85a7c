"""What the registry publishes for machines besides federation statements (standards.md §1.8).

Snapshot and parts, registry status lists, credential type metadata, and the client directory: stored bytes.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_registry.http.serving import context_of, made_document, not_found, public
from passport_registry.operations import directory, snapshot
from passport_shared.formats.clock import from_epoch_s
from passport_shared.service.documents import Document
from passport_shared.service.routes import protocol_route
from passport_shared.wire import catalogue

READ = ("GET", "HEAD")
TYPE_SERVED_FOR = timedelta(hours=24)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LIST_ID = re.compile(r"[A-Za-z0-9_-]{22}")


async def manifest(request: Request) -> Response:
    """Serve the newest snapshot manifest."""
    document = await context_of(request).documents.get(snapshot.SNAPSHOT_DOCUMENT)
    return public(request, document, "no snapshot has been published yet")


async def part(request: Request) -> Response:
    """Serve a part of a snapshot by the hash of its bytes."""
    sha256 = request.path_params["sha256"]
    if not _SHA256.fullmatch(sha256):
        raise not_found("parts are named by SHA-256 in lower-case hexadecimal")
    document = await context_of(request).documents.get(snapshot.part_document(sha256))
    response = public(request, document, "no current snapshot names this part")
    if response.status_code != 304:
        response.headers["Cache-Control"] += ", immutable"
    return response


async def status_list(request: Request) -> Response:
    """Serve the token of one of the registry's status lists."""
    list_id = request.path_params["list_id"]
    if not _LIST_ID.fullmatch(list_id):
        raise not_found("there is no such status list")
    document = await context_of(request).documents.get(snapshot.status_document(list_id))
    return public(request, document, "there is no such status list")


async def aggregation(request: Request) -> Response:
    """Serve the URIs of all status lists of the registry."""
    ctx = context_of(request)
    document = await ctx.documents.get(snapshot.AGGREGATION_DOCUMENT)
    return public(request, document, "no status list has been published yet")


async def type_metadata(request: Request) -> Response:
    """Serve the SD-JWT VC type metadata of a credential type."""
    ctx = context_of(request)
    name, major = request.path_params["name"], request.path_params["major"]
    document = _types(ctx.vct_base).get(f"{name}/{major}")
    return public(request, document, "this network has no such credential type")


@lru_cache(maxsize=8)
def _types(vct_base: str) -> dict[str, Document]:
    """Return the type metadata of a network by `<Type>/<major>`; it never changes while it runs."""
    return {
        f"{kind.name}/{kind.version}": made_document(
            kind.name,
            snapshot.type_document(kind, vct_base),
            media_type="application/json",
            max_age=TYPE_SERVED_FOR,
            at=from_epoch_s(0),
        )
        for kind in catalogue.TYPES.values()
    }


async def client_directory(request: Request) -> Response:
    """Serve the signed directory of API clients."""
    document = await context_of(request).documents.get(directory.DIRECTORY_DOCUMENT)
    return public(request, document, "no client directory has been published yet")


def routes() -> list[Route]:
    """Return the routes of everything published."""
    return [
        protocol_route("/federation/snapshot", manifest, methods=READ),
        protocol_route("/federation/parts/{sha256}", part, methods=READ),
        protocol_route("/statuslists/{list_id}", status_list, methods=READ),
        protocol_route("/statuslists", aggregation, methods=READ),
        protocol_route("/vct/{name}/{major}", type_metadata, methods=READ),
        protocol_route("/client-directory", client_directory, methods=READ),
    ]
