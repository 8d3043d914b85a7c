"""How the simulated systems say no: problem+json (ours), OperationOutcome (DSP standard), OAuth errors.

One exception, `Refusal`, is raised by every route; where it was raised decides its form. Texts never repeat
what was sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from passport_shared.formats import strict

JSON = "application/json"
PROBLEM = "application/problem+json"
NO_STORE = {"Cache-Control": "no-store"}
MAX_BODY_BYTES = 65_536

TITLES = {
    400: "The request cannot be read",
    401: "No valid credentials",
    403: "Not enabled for this organisation",
    404: "Nothing here",
    405: "This resource does not offer the method",
    409: "The present state does not allow this",
    413: "The request body is too large",
    415: "Send application/json",
    422: "The request is not what the contract says",
    429: "Too many of these",
    502: "The other side refused or did not answer as expected",
    503: "Out of order",
}
OUTCOME_CODES = {
    400: "invalid",
    401: "invalid-credentials",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    409: "conflict",
    413: "too-long",
    415: "invalid",
}


class Refusal(Exception):
    """A request that is not met: `code` for programs, the text for the person who writes them."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more


def json_response(body: Any, status: int = 200, *, media_type: str = JSON) -> Response:
    """A JSON body that no cache keeps."""
    return Response(strict.dumps(body), status, headers=NO_STORE, media_type=media_type)


def tagged(request: Request, body: Any) -> Response:
    """A JSON body with its ETag, or 304 where the caller has it already."""
    content = strict.dumps(body)
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=JSON)


def problem(refusal: Refusal, path: str) -> Response:
    """RFC 9457."""
    body = {
        "type": "about:blank",
        "title": TITLES.get(refusal.status, "Refused"),
        "status": refusal.status,
        "detail": refusal.detail,
        "instance": path,
        "code": refusal.code,
        **refusal.more,
    }
    headers = {**NO_STORE, **refusal.headers}
    return Response(strict.dumps(body), refusal.status, headers=headers, media_type=PROBLEM)


def operation_outcome(refusal: Refusal) -> Response:
    """A FHIR OperationOutcome, as the DSP API standard answers errors."""
    codes = {"duplicate": "duplicate"}
    code = codes.get(refusal.code, OUTCOME_CODES.get(refusal.status, "processing"))
    body = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "details": {"text": refusal.detail}}],
    }
    headers = {**NO_STORE, **refusal.headers}
    return Response(strict.dumps(body), refusal.status, headers=headers, media_type=JSON)


def oauth_error(refusal: Refusal) -> Response:
    """RFC 6749 §5.2."""
    body = {"error": refusal.code, "error_description": refusal.detail}
    headers = {**NO_STORE, **refusal.headers}
    return Response(strict.dumps(body), refusal.status, headers=headers, media_type=JSON)


async def read_body(request: Request, *, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """The body, refused with 413 as soon as it is larger than it may be."""
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > max_bytes:
            raise Refusal(413, "too_large", f"The body may have at most {max_bytes} bytes.")
    return bytes(read)


async def read_object(request: Request, *, max_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """A JSON object from the body.

    The media type has to be named: a page of another origin cannot send it without being asked first.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise Refusal(415, "unsupported_media_type", "Send a JSON object as application/json.")
    body = await read_body(request, max_bytes=max_bytes)
    try:
        return strict.loads_object(body, max_bytes=max_bytes)
    except strict.StrictError as error:
        raise Refusal(400, "bad_request", f"The body is not one JSON object ({error.code.value}).") from error
