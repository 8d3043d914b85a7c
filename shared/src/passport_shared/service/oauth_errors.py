"""Errors of the protocol endpoints: ``{"error", "error_description"}``, never cached (style.md §4.3).

The codes are the specification's own (OpenID4VCI, OpenID4VP, RFC 6749, OpenID Federation); which one, with
which status, is decided where the error is raised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

# RFC 6749 §5.2: error_description has no characters outside %x20-21 / %x23-5B / %x5D-7E.
_DESCRIPTION = dict.fromkeys((34, 92))


class ProtocolError(Exception):
    """A refusal at a protocol endpoint.

    Args:
        error: the specification's code, such as ``invalid_grant``.
        description: one sentence for the developer of the other side; no values that were sent.
        status: 400 unless the specification says otherwise.
        headers: further response headers (WWW-Authenticate, Retry-After).
        extra: further members of the body, where a specification has some.
    """

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def protocol_response(error: ProtocolError) -> Response:
    """The answer for one protocol error."""
    description = "".join(c for c in error.description.translate(_DESCRIPTION) if 0x20 <= ord(c) <= 0x7E)
    body = {"error": error.error, "error_description": description, **error.extra}
    return Response(
        json.dumps(body, separators=(",", ":")).encode(),
        status_code=error.status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **error.headers},
    )
