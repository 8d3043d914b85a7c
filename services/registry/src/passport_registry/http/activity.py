"""`POST /api/v1/activity/events`: activity facts from the outboxes of issuers and verifiers, one at a time.

No bearer token: the message is signed (RFC 9421) with the key of an API client, so that what is stored is
what was said, and by whom. The media type is that of CloudEvents in structured mode.
"""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict

from passport_registry.http.management.common import Ctx
from passport_registry.operations import activity as operations
from passport_registry.operations.activity import Taken
from passport_shared.service.outbox import MEDIA_TYPE
from passport_shared.service.problems import UnsupportedMediaType
from passport_shared.service.routes import management_router, media_type
from passport_shared.wire.activity import EVENTS_PATH, ActivityEvent

router: APIRouter = management_router(EVENTS_PATH, tags=["activity"])
_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


class EventTaken(BaseModel):
    """What became of an event."""

    model_config = ConfigDict(extra="forbid")

    taken: Taken


def _documented() -> dict[str, object]:
    """The body by hand: it is read as bytes, because bytes are signed."""
    schema = ActivityEvent.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    return {
        "security": [],
        "requestBody": {
            "required": True,
            "content": {MEDIA_TYPE: {"schema": _inlined(schema, definitions)}},
        },
    }


def _inlined(schema: object, definitions: dict[str, object]) -> object:
    """A schema with the definitions it refers to in their places: they are nobody else's."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        named = _inlined(definitions[reference.rpartition("/")[2]], definitions)
        return {**named, **rest} if isinstance(named, dict) else named
    return {key: _inlined(value, definitions) for key, value in schema.items()}


@router.post(
    "",
    status_code=201,
    openapi_extra=_documented(),
    responses={
        200: {"description": "Known already", "model": EventTaken},
        401: {"description": "The signature of the message is not accepted", **_PROBLEM},
        403: {"description": "The client may not report this", **_PROBLEM},
    },
)
async def receive_event(request: Request, response: Response, ctx: Ctx) -> EventTaken:
    """Take one signed activity event; the same event again changes nothing."""
    if media_type(request) != MEDIA_TYPE:
        raise UnsupportedMediaType(f"Send {MEDIA_TYPE}.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    taken = await operations.receive(ctx, headers, await request.body())
    response.status_code = 201 if taken is Taken.NEW else 200
    return EventTaken(taken=taken)
