"""Errors of the surface that speaks the NHS DSP API: FHIR OperationOutcome, as its document says.

The document names two codes, `invalid` and `invalid-credentials`; for what else a server meets, the codes are
those of FHIR's issue types. Texts never repeat what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.responses import Response

from passport_shared.wire.dsp_api import operation_outcome

OPERATION_OUTCOME = "operation_outcome"
"""Name of the surface."""

_CODES = {
    401: "invalid-credentials",
    403: "forbidden",
    404: "not-found",
    405: "not-supported",
    408: "timeout",
    413: "too-long",
    429: "throttled",
    500: "exception",
    503: "transient",
}


def outcome_response(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error in the form of the surface."""
    body = operation_outcome(_CODES.get(status, "invalid"), text)
    return Response(
        json.dumps(body, ensure_ascii=False).encode(),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
