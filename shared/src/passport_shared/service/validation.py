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


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """The faults of one request, at most fifty, in the order found."""
    found = [
        FieldError(
            pointer=pointer(error["loc"]),
            code=str(error["type"]),
            detail=str(error["msg"]).removeprefix("Value error, ")[:MAX_DETAIL],
        )
        for error in errors[:MAX_ERRORS]
    ]
    return list(dict.fromkeys(found))


def pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901) into the body, or the kind and name of a parameter."""
    if not location:
        return ""
    head, *rest = [str(part) for part in location]
    if head == "body":
        return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in rest)[:MAX_POINTER]
    return "/".join([head, *rest])[:MAX_POINTER]
