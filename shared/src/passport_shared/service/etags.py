"""Entity tags (RFC 9110 §13): a change names the version it changes, a reader may hear "not modified"."""

import hashlib
from typing import Annotated

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from passport_shared.service.problems import BadRequest, PreconditionFailed, PreconditionRequired

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match", max_length=512, description="ETag of the version that is being changed, or `*`."
    ),
]


def etag_of(version: int | str | bytes) -> str:
    """A strong tag: of bytes their hash, of a version number or text itself (text must be plain ASCII)."""
    if isinstance(version, bytes):
        return f'"{hashlib.sha256(version).hexdigest()[:32]}"'
    text = str(version)
    if not text.isascii() or '"' in text or any(not 0x21 <= ord(c) <= 0x7E for c in text):
        raise ValueError("an entity tag is visible ASCII without quotes")
    return f'"{text}"'


def require_match(if_match: str | None, current: str) -> None:
    """Refuse a change that was not made to the current version.

    Raises:
        PreconditionRequired: no If-Match was sent.
        PreconditionFailed: it names other versions, or a weak tag, which never matches a change.
        BadRequest: it is not a list of entity tags.
    """
    if if_match is None:
        raise PreconditionRequired
    if current not in _tags(if_match, "If-Match") and if_match.strip() != "*":
        raise PreconditionFailed


def not_modified(request: Request, current: str) -> Response | None:
    """The 304 answer when the reader has this version, else None."""
    header = request.headers.get("if-none-match")
    if header is None:
        return None
    wanted = {tag.removeprefix("W/") for tag in header.replace(" ", "").split(",")}
    if current in wanted or "*" in wanted:
        return Response(status_code=304, headers={"ETag": current})
    return None


def _tags(header: str, name: str) -> list[str]:
    tags = [tag.strip() for tag in header.split(",")]
    for tag in tags:
        bare = tag.removeprefix("W/")
        if tag != "*" and (len(bare) < 2 or bare[0] != '"' or bare[-1] != '"' or '"' in bare[1:-1]):
            raise BadRequest(f"{name} is not a list of entity tags.", field=f"header/{name}")
    return tags
