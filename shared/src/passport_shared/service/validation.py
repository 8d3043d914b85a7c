"""Turning a validation failure into the faults a problem document lists: JSON pointers, no values.

Pydantic's messages are ours to pass on only where they describe the rule; what was sent is never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from passport_shared.wire.problems import FieldError

MAX_ERRORS = 50
MAX_POINTER = 200
MAX_DETAIL = 300
_BAD_NAME = "[key]"
"""How pydantic says that it is the name of a member, in an object with names of the sender's choice."""


def field_errors(errors: Sequence[Mapping[str, Any]], body: object = None) -> list[FieldError]:
    """The faults of one request, at most fifty, in the order found; `body` is what was sent, decoded."""
    misnamed = {tuple(error["loc"][:-1]) for error in errors if tuple(error["loc"][-1:]) == (_BAD_NAME,)}
    found = [
        FieldError(
            pointer=pointer(_as_sent(_named(error["loc"], misnamed), body)),
            code=str(error["type"]),
            detail=_said(error)[:MAX_DETAIL],
        )
        for error in errors[:MAX_ERRORS]
    ]
    return list(dict.fromkeys(found))


def _named(location: Sequence[str | int], misnamed: set[tuple[str | int, ...]]) -> Sequence[str | int]:
    """The location down to the last name that may be repeated; one that breaks its rule may be anybody's."""
    for end in range(1, len(location) + 1):
        if tuple(location[:end]) in misnamed:
            return location[: end - 1]
    return location


def _said(error: Mapping[str, Any]) -> str:
    """Pydantic's words, or ours for the one fault whose words repeat what was sent."""
    if error["type"] == "union_tag_invalid":
        told = error["ctx"]
        return f"{told['discriminator']} is none of {told['expected_tags']}"
    return str(error["msg"]).removeprefix("Value error, ")


def _as_sent(location: Sequence[str | int], body: object) -> Sequence[str | int]:
    """The location without the names of union members, which stand nowhere in what was sent."""
    if not location or location[0] != "body" or not isinstance(body, dict):
        return location
    kept: list[str | int] = ["body"]
    at: object = body
    last = len(location) - 1
    for number, part in enumerate(location[1:], start=1):
        there = part in at if isinstance(at, dict) else isinstance(at, list) and isinstance(part, int)
        if not there and number < last and isinstance(at, dict):
            continue
        kept.append(part)
        at = _inside(at, part)
    return kept


def _inside(value: object, part: str | int) -> object:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value):
        return value[part]
    return None


def pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901) into the body, or the kind and name of a parameter."""
    if not location:
        return ""
    head, *rest = [str(part) for part in location]
    if head == "body":
        return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in rest)[:MAX_POINTER]
    return "/".join([head, *rest])[:MAX_POINTER]
