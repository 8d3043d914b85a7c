"""Serving what the anchor publishes: exact media types without a charset, ETag, cache rule, gzip, CORS."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from passport_registry.context import Context
from passport_shared.service.documents import Document, document_response
from passport_shared.service.oauth_errors import ProtocolError

EVERY_ORIGIN = {"Access-Control-Allow-Origin": "*"}


def context_of(request: Request) -> Context:
    """Return the registry this request is for."""
    ctx: Context = request.app.state.context
    return ctx


def made_document(name: str, body: bytes, *, media_type: str, max_age: timedelta, at: datetime) -> Document:
    """Return bytes that are no cached document in the form in which documents are served."""
    return Document(
        name=name,
        version=1,
        body=body,
        media_type=media_type,
        etag=hashlib.sha256(body).hexdigest()[:32],
        source_etag=None,
        max_age=max_age,
        fetched_at=at,
        checked_at=at,
    )


def public(request: Request, document: Document | None, missing: str) -> Response:
    """Serve a document to everybody.

    Raises:
        ProtocolError: `not_found` with this description if there is none.
    """
    if document is None:
        raise not_found(missing)
    response = document_response(request, document)
    response.headers.update(EVERY_ORIGIN)
    return response


def not_found(description: str) -> ProtocolError:
    """Return the federation error for something the registry does not have."""
    return ProtocolError("not_found", description, 404, EVERY_ORIGIN)


def invalid_request(description: str) -> ProtocolError:
    """Return the federation error for a request that breaks its own rules."""
    return ProtocolError("invalid_request", description, 400, EVERY_ORIGIN)


def one_parameter(request: Request, name: str, *, required: bool = True) -> str | None:
    """Return a query parameter that may occur once; others are ignored, as the specification asks.

    Raises:
        ProtocolError: `invalid_request` for a missing, repeated, empty or overlong one.
    """
    values = request.query_params.getlist(name)
    if not values and not required:
        return None
    if len(values) != 1:
        raise invalid_request(f"give {name} exactly once")
    if not 0 < len(values[0]) <= 2_048 or "\x00" in values[0]:
        raise invalid_request(f"{name} is empty or too long")
    return values[0]
