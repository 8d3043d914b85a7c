"""The employing trust's issuer as a host calls it: post a release request, read the Release (ADR-0017).

Answers become one of a few outcomes with a closed reason; nothing of a refusal's text is kept. Where to post
stands in the network register's statement, or is the documented path below the issuer's identifier. The host
is only ever sent to addresses below that identifier.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from passport_shared.formats import strict
from passport_shared.formats.snapshot import SnapshotEntity
from passport_shared.formats.strict import StrictError
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.wire.release import (
    MAX_MESSAGE_BYTES,
    RELEASE_ENDPOINT_MEMBER,
    RELEASE_MEDIA_TYPE,
    RELEASE_REQUEST_MEDIA_TYPE,
    RELEASE_REQUEST_PATH,
)

MAX_ANSWER_BYTES = 16_384
_RELEASE_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The issuer has the request; its answer will stand at ``release_uri``."""

    release_uri: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The issuer will not take this request, however often it is sent; ``reason`` is a code."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """Nothing usable came back; the same message may be sent again. ``reason`` is a code."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Pending:
    """There is no Release yet."""


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """The Release that was read before is the newest."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """A Release as it was served: nothing of it is verified."""

    message: str
    etag: str | None


def request_endpoint(issuer: SnapshotEntity) -> str:
    """Where an issuer takes release requests, below its own identifier."""
    stated = issuer.statement.metadata.get("federation_entity", {}).get(RELEASE_ENDPOINT_MEMBER)
    if isinstance(stated, str) and stated.startswith(f"{issuer.entity_id}/"):
        return stated
    return f"{issuer.entity_id}{RELEASE_REQUEST_PATH}"


async def post_request(
    outbound: Outbound, *, issuer: str, endpoint: str, jti: str, message: str
) -> Accepted | Refused | Unanswered:
    """Post a signed release request; posting the same again is harmless."""
    try:
        answer = await outbound.post(
            endpoint,
            content=message.encode("ascii"),
            content_type=RELEASE_REQUEST_MEDIA_TYPE,
            accept=("application/json", "application/problem+json"),
            max_bytes=MAX_ANSWER_BYTES,
        )
    except OutboundError as error:
        return Unanswered(reason=error.reason) if error.retryable else Refused(reason=error.reason)
    if answer.ok:
        release_uri = _release_uri(answer.body, issuer, jti)
        return (
            Unanswered(reason="answer_malformed")
            if release_uri is None
            else Accepted(release_uri=release_uri)
        )
    # Too many requests, a timeout and faults of the server pass; what else is refused stays refused.
    if answer.status in {408, 425, 429} or answer.status >= 500:
        return Unanswered(reason=f"http_{answer.status}")
    return Refused(reason=_problem_code(answer.body) or f"http_{answer.status}")


def _release_uri(body: bytes, issuer: str, jti: str) -> str | None:
    try:
        found = strict.loads_object(body, max_bytes=MAX_ANSWER_BYTES)
    except StrictError:
        return None
    uri, prefix = found.get("release_uri"), f"{issuer}/releases/"
    if found.get("release_request") != jti or not isinstance(uri, str) or not uri.startswith(prefix):
        return None
    return uri if _RELEASE_ID.fullmatch(uri.removeprefix(prefix)) else None


def _problem_code(body: bytes) -> str | None:
    """The code of a problem document: of its first field error, else its own."""
    try:
        found = strict.loads_object(body, max_bytes=MAX_ANSWER_BYTES)
    except StrictError:
        return None
    errors = found.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    for code in (first.get("code") if isinstance(first, dict) else None, found.get("code")):
        if isinstance(code, str) and _CODE.fullmatch(code):
            return code
    return None


async def read_release(
    outbound: Outbound, release_uri: str, *, etag: str | None
) -> Read | Pending | Unchanged | Unanswered:
    """Read the newest Release of a request."""
    try:
        answer = await outbound.get(
            release_uri,
            accept=(RELEASE_MEDIA_TYPE, "application/json", "application/problem+json"),
            max_bytes=MAX_MESSAGE_BYTES,
            etag=etag,
        )
    except OutboundError as error:
        return Unanswered(reason=error.reason)
    if answer.not_modified:
        return Unchanged()
    if answer.status == 202:
        return Pending()
    if answer.status != 200:
        return Unanswered(reason=f"http_{answer.status}")
    if answer.media_type != RELEASE_MEDIA_TYPE:
        return Unanswered(reason="wrong_content_type")
    try:
        return Read(message=answer.body.decode("ascii").strip(), etag=answer.etag)
    except UnicodeDecodeError:
        return Unanswered(reason="not_ascii")
