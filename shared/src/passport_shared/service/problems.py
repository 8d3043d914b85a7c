"""Errors of the management interfaces and their one form, ``application/problem+json`` (RFC 9457).

``PassportError`` is the base of every service's ``errors.py``. An operation raises it with a detail fit for
strangers; only this module decides how it looks. Details never repeat what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from passport_shared.wire.problems import COMMON, FieldError, Problem, WhoCanFix

__all__ = [
    "BadRequest",
    "Conflict",
    "FieldError",
    "Forbidden",
    "Invalid",
    "NotFound",
    "PassportError",
    "PreconditionFailed",
    "PreconditionRequired",
    "Problem",
    "ProblemError",
    "TooLarge",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnsupportedMediaType",
    "WhoCanFix",
    "problem_response",
]

MEDIA_TYPE = "application/problem+json"


class PassportError(Exception):
    """A refusal with a stable code and an answer a person can act on.

    Args:
        code: a slug of the common catalogue, or a service's own ``Problem``.
        detail: one or two sentences for whoever reads the answer; no values that were sent, no internals.
        status, retryable, who_can_fix: where this case differs from its catalogue entry.
        field: JSON pointer of the one member at fault.
        errors: every fault, when there are several.
        retry_after: sent as the Retry-After header, rounded up to seconds.
        headers: further response headers.
    """

    def __init__(
        self,
        code: str | Problem,
        detail: str,
        *,
        status: int | None = None,
        retryable: bool | None = None,
        who_can_fix: WhoCanFix | None = None,
        field: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after: timedelta | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = COMMON[code] if isinstance(code, str) else code
        self.code = self.problem.slug
        self.detail = detail
        self.status = self.problem.status if status is None else status
        self.retryable = self.problem.retryable if retryable is None else retryable
        self.who_can_fix = self.problem.who_can_fix if who_can_fix is None else who_can_fix
        self.field = field
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(max(1, -(-int(retry_after.total_seconds() * 1000) // 1000)))


ProblemError = PassportError


class BadRequest(PassportError):
    """400: the request cannot be read."""

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__("bad_request", detail, **more)


class Unauthenticated(PassportError):
    """401: no valid access token; RFC 6750 §3 wants the scheme named."""

    def __init__(self, detail: str, *, error: str | None = None, **more: Any) -> None:
        challenge = "Bearer" if error is None else f'Bearer error="{error}"'
        super().__init__("unauthenticated", detail, headers={"WWW-Authenticate": challenge}, **more)


class Forbidden(PassportError):
    """403: the token is valid and does not allow this."""

    def __init__(self, detail: str, *, scope: str | None = None, **more: Any) -> None:
        challenge = 'Bearer error="insufficient_scope"' + (f', scope="{scope}"' if scope else "")
        super().__init__("forbidden", detail, headers={"WWW-Authenticate": challenge}, **more)


class NotFound(PassportError):
    """404: unknown here, or another organisation's; the two are never told apart."""

    def __init__(
        self, detail: str = "There is nothing under this path for this client.", **more: Any
    ) -> None:
        super().__init__("not_found", detail, **more)


class Conflict(PassportError):
    """409: the present state does not allow this."""

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__("conflict", detail, **more)


class PreconditionFailed(PassportError):
    """412: If-Match names another version."""

    def __init__(self, detail: str = "The resource has changed since it was read.", **more: Any) -> None:
        super().__init__("precondition_failed", detail, **more)


class PreconditionRequired(PassportError):
    """428: a change must say which version it changes."""

    def __init__(self, detail: str = "Send the ETag of the resource in If-Match.", **more: Any) -> None:
        super().__init__("precondition_required", detail, **more)


class TooLarge(PassportError):
    """413: the body is over its limit."""

    def __init__(self, max_bytes: int, **more: Any) -> None:
        super().__init__("too_large", f"The body may have at most {max_bytes} bytes.", **more)


class UnsupportedMediaType(PassportError):
    """415: another media type or encoding than the one accepted."""

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__("unsupported_media_type", detail, **more)


class Invalid(PassportError):
    """422: read, but not what the schema says; business refusals are 409, never this."""

    def __init__(self, detail: str, errors: Sequence[FieldError] = (), **more: Any) -> None:
        super().__init__("invalid_request", detail, errors=errors, **more)


class TooManyRequests(PassportError):
    """429: over a rate limit."""

    def __init__(
        self, retry_after: timedelta, detail: str = "Too many requests; wait before the next."
    ) -> None:
        super().__init__("too_many_requests", detail, retry_after=retry_after)


class Unavailable(PassportError):
    """503: a dependency is down; the rest keeps working."""

    def __init__(self, detail: str, *, retry_after: timedelta = timedelta(seconds=30), **more: Any) -> None:
        super().__init__("unavailable", detail, retry_after=retry_after, **more)


@dataclass(frozen=True)
class ProblemContext:
    """What a problem document takes from the request that failed."""

    public_url: str
    instance: str
    correlation_id: str

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> ProblemContext:
        """Read it from an ASGI scope prepared by the edge middleware."""
        state = scope.get("state") or {}
        return cls(
            public_url=str(state.get("public_url", "")),
            instance=str(scope.get("path", "")),
            correlation_id=str(state.get("request_id", "")),
        )


def problem_response(error: PassportError, request: Request | None = None, *, scope: Any = None) -> Response:
    """The answer for one error, from the request or the bare ASGI scope."""
    context = ProblemContext.of(scope if request is None else request.scope)
    body: dict[str, object] = {
        "type": f"{context.public_url}/problems/{error.code}",
        "title": error.problem.title,
        "status": error.status,
        "detail": error.detail,
        "instance": context.instance,
        "code": error.code,
        "retryable": error.retryable,
        "who_can_fix": error.who_can_fix.value,
        "correlation_id": context.correlation_id,
    }
    if error.field is not None:
        body["field"] = error.field
    if error.errors:
        body["errors"] = [item.model_dump() for item in error.errors]
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Cache-Control": "no-store", **error.headers}
    return Response(content, status_code=error.status, media_type=MEDIA_TYPE, headers=headers)
