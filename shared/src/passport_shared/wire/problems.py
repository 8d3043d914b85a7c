"""The error catalogue of the management interfaces (RFC 9457, design §6 "For integrators").

Every problem has a slug, which is its ``code`` and the last part of its ``type`` URL, and says whether the
same request can succeed later and who can put it right. A service adds its own problems beside its errors;
slugs are never renamed within v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field


class WhoCanFix(StrEnum):
    """Who has to do something before the request can succeed."""

    CALLER = "caller"  # the program that called: its request is wrong
    ORGANISATION = "organisation"  # the trust's own people: a record or an approval is missing
    REGISTRY_OPERATOR = "registry_operator"  # the network's operator: membership, authorisation, scopes
    SERVICE_OPERATOR = "service_operator"  # whoever runs this deployment


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One entry of the catalogue."""

    slug: str
    title: str
    status: int
    explanation: str
    retryable: bool = False
    who_can_fix: WhoCanFix = WhoCanFix.CALLER


class FieldError(BaseModel):
    """One fault of a request: where, as a JSON pointer (RFC 6901) or a parameter's name, and what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pointer: str = Field(
        description="JSON pointer into the body, or `query/<name>`, `path/<name>`, `header/<name>`."
    )
    code: str = Field(description="Stable name of the fault.")
    detail: str = Field(description="What is wrong, without the value that was sent.")


class ProblemBody(BaseModel):
    """An `application/problem+json` body (RFC 9457) with this suite's members."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="URL of the catalogue entry; it resolves.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request.")
    code: str = Field(description="Slug of the catalogue entry; compare this, not the texts.")
    retryable: bool = Field(description="Whether the same request can succeed later without a change.")
    who_can_fix: WhoCanFix
    correlation_id: str = Field(description="Same as the X-Request-ID header; quote it when asking for help.")
    field: str | None = Field(
        default=None, description="JSON pointer of the one member at fault, if there is one."
    )
    errors: list[FieldError] | None = Field(
        default=None, description="Every fault found, for a malformed request."
    )


def catalogue(problems: Iterable[Problem]) -> Mapping[str, Problem]:
    """Problems by slug.

    Raises:
        ValueError: two problems share a slug.
    """
    by_slug: dict[str, Problem] = {}
    for problem in problems:
        if by_slug.setdefault(problem.slug, problem) is not problem:
            message = f"two problems are called {problem.slug}"
            raise ValueError(message)
    return MappingProxyType(by_slug)


COMMON = catalogue(
    (
        Problem(
            slug="bad_request",
            title="The request cannot be read",
            status=400,
            explanation="The body is not well-formed JSON, repeats a member, is not UTF-8, is nested too "
            "deeply, or a "
            "header or parameter breaks its own syntax. Correct the request.",
        ),
        Problem(
            slug="unauthenticated",
            title="No valid access token",
            status=401,
            explanation="Send an access token of this service in the Authorization header. Tokens live "
            "five minutes; "
            "fetch a new one from /oauth2/token.",
        ),
        Problem(
            slug="forbidden",
            title="The access token does not allow this",
            status=403,
            who_can_fix=WhoCanFix.REGISTRY_OPERATOR,
            explanation="The token lacks the scope this request needs. The registry operator grants scopes "
            "to clients.",
        ),
        Problem(
            slug="not_found",
            title="No such resource",
            status=404,
            explanation="The path or the identifier is unknown, or belongs to another organisation. ODS "
            "codes are "
            "written in upper case.",
        ),
        Problem(
            slug="method_not_allowed",
            title="The resource does not offer this method",
            status=405,
            explanation="The Allow header lists the methods that exist here.",
        ),
        Problem(
            slug="request_timeout",
            title="The request body did not arrive in time",
            status=408,
            retryable=True,
            explanation="The body must arrive within 30 seconds.",
        ),
        Problem(
            slug="conflict",
            title="The request contradicts the present state",
            status=409,
            who_can_fix=WhoCanFix.ORGANISATION,
            explanation="Something else exists under the same identifier, or the resource is in a state "
            "that does not "
            "allow this. Read it again and decide.",
        ),
        Problem(
            slug="request_in_progress",
            title="A request with this Idempotency-Key is still running",
            status=409,
            retryable=True,
            explanation="Wait and repeat the same request; the answer of the first one will be given.",
        ),
        Problem(
            slug="precondition_failed",
            title="The resource has changed since it was read",
            status=412,
            explanation="If-Match names another version than the present one. Read the resource again, "
            "apply the "
            "change to it and send it with the new ETag.",
        ),
        Problem(
            slug="too_large",
            title="The request body is too large",
            status=413,
            explanation="The limit stands in the detail. Send less per request.",
        ),
        Problem(
            slug="unsupported_media_type",
            title="The request body has a media type or encoding that is not accepted",
            status=415,
            explanation="Send application/json without a Content-Encoding, unless the OpenAPI document "
            "says otherwise.",
        ),
        Problem(
            slug="invalid_request",
            title="The request does not match its schema",
            status=422,
            explanation="`errors` lists every fault with a JSON pointer. The OpenAPI document holds the "
            "schema.",
        ),
        Problem(
            slug="idempotency_key_reused",
            title="This Idempotency-Key was used for another request",
            status=422,
            explanation="A key belongs to one request, body included, for 24 hours. Use a new key for a "
            "new request.",
        ),
        Problem(
            slug="precondition_required",
            title="The change must say which version it changes",
            status=428,
            explanation="Send the ETag of the resource in If-Match.",
        ),
        Problem(
            slug="too_many_requests",
            title="Too many requests",
            status=429,
            retryable=True,
            explanation="Wait as long as Retry-After says. Limits are per client.",
        ),
        Problem(
            slug="internal_error",
            title="The service failed",
            status=500,
            retryable=True,
            who_can_fix=WhoCanFix.SERVICE_OPERATOR,
            explanation="A fault of ours. It is in the service's log under the correlation id.",
        ),
        Problem(
            slug="unavailable",
            title="Something this request depends on is not available",
            status=503,
            retryable=True,
            who_can_fix=WhoCanFix.SERVICE_OPERATOR,
            explanation="Repeat the request after the time in Retry-After. Everything else keeps working.",
        ),
    )
)
