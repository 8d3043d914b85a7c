"""``POST /dsp-api/events`` (NHS Digital Staff Passport API, retired v1): thin events of workforce systems.

The published document word by word: an API key in the header ``apikey``, a CloudEvent without personal data,
200 with the event's id, errors as FHIR OperationOutcome with `invalid` or `invalid-credentials`. One address
serves every trust: whose event it is follows from the key.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from passport_issuer.http import releases
from passport_issuer.http.access import context_of
from passport_issuer.operations import connections_events as operations
from passport_shared.formats import strict
from passport_shared.service.operation_outcomes import OPERATION_OUTCOME
from passport_shared.service.problems import (
    BadRequest,
    PassportError,
    Unauthenticated,
    UnsupportedMediaType,
)
from passport_shared.service.routes import holds_nul, media_type
from passport_shared.wire.dsp_api import Event, EventType

PATH = "/dsp-api/events"
MEDIA_TYPE = "application/cloudevents+json"
MAX_BYTES = 16_384


_TEXT = {"type": "string"}
_OUTCOME: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["resourceType", "issue"],
            "properties": {
                "resourceType": {"type": "string", "enum": ["OperationOutcome"]},
                "issue": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["severity", "code"],
                        "properties": {
                            "severity": {
                                "type": "string",
                                "enum": ["fatal", "error", "warning", "information"],
                            },
                            "code": _TEXT,
                            "details": {"type": "object", "properties": {"text": _TEXT}},
                        },
                    },
                },
            },
        }
    }
}
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "time", "subject", "filtering", "dataref"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        "id": _TEXT,
        "source": {"type": "string", "format": "uri-reference"},
        "type": {"type": "string", "enum": [member.value for member in EventType]},
        "time": {"type": "string", "format": "date-time"},
        "subject": _TEXT,
        "filtering": {"type": "object", "required": ["organisation"], "properties": {"organisation": _TEXT}},
        "dataref": {"type": "string", "format": "uri"},
    },
}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": _OUTCOME}


PATHS: dict[str, Any] = {
    PATH: {
        "post": {
            "tags": ["Workforce systems"],
            "summary": "Publish an event (NHS Digital Staff Passport API, retired v1)",
            "description": "That something changed about a person of a workforce system; no personal data.",
            "operationId": "publish_event",
            "security": [],
            "parameters": [
                {
                    "name": "apikey",
                    "in": "header",
                    "required": True,
                    "description": "The connection's event key.",
                    "schema": _TEXT,
                }
            ],
            "requestBody": {"required": True, "content": {MEDIA_TYPE: {"schema": _EVENT}}},
            "responses": {
                "200": {
                    "description": "The event has been accepted",
                    "content": {
                        "application/json": {
                            "schema": {"type": "object", "required": ["id"], "properties": {"id": _TEXT}}
                        }
                    },
                },
                "400": _error("invalid"),
                "401": _error("invalid-credentials"),
                "413": _error("too-long"),
                "415": _error("invalid: another media type"),
                "429": _error("throttled"),
            },
        }
    }
}


def surface(path: str) -> str:
    """The error form of a path: OperationOutcome below ``/dsp-api``, else what the other routes say."""
    below = path == "/dsp-api" or path.startswith("/dsp-api/")
    return OPERATION_OUTCOME if below else releases.surface(path)


def routes() -> list[Route]:
    """The one route; the surface of its path gives its errors their form."""
    return [Route(PATH, publish_event, methods=["POST"])]


async def publish_event(request: Request) -> Response:
    """Accept one event; who is not linked is forgotten, and the answer is the same."""
    ctx = context_of(request)
    keys = request.headers.getlist("apikey")
    connection = await operations.sender(ctx, keys[0]) if len(keys) == 1 else None
    if connection is None:
        raise Unauthenticated("Missing or invalid API key.")
    event = _event(await request.body(), media_type(request))
    if event.filtering.organisation != connection.ods:
        raise _invalid("filtering.organisation is not the organisation of this API key.")
    await operations.accept(ctx, connection, event)
    return JSONResponse({"id": event.id}, headers={"Cache-Control": "no-store"})


def _event(body: bytes, sent_as: str) -> Event:
    if sent_as != MEDIA_TYPE:
        raise UnsupportedMediaType(f"Send {MEDIA_TYPE}.")
    try:
        value = strict.loads_object(body, max_bytes=MAX_BYTES)
    except strict.StrictError:
        raise _invalid("The body is not acceptable JSON.") from None
    if holds_nul(value):
        raise _invalid("The NUL character is not accepted.")
    try:
        event = Event.model_validate(value)
    except ValidationError as error:
        raise _invalid(f"Invalid data in the request body: {_where(error)}.") from None
    if not event.dataref_agrees():
        raise _invalid("dataref must name the records of the subject at filtering.organisation.")
    return event


def _where(error: ValidationError) -> str:
    """Which members are wrong and how; never what was sent."""
    faults: list[str] = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False)[:5]:
        member = ".".join(str(part) for part in fault["loc"] if str(part) in _MEMBERS) or "body"
        message: Any = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{member}: {message}")
    return "; ".join(faults)


_MEMBERS = {*Event.model_fields, "organisation"}


def _invalid(text: str) -> PassportError:
    return BadRequest(text)
