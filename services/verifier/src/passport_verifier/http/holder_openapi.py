"""Documentation of holder sessions at a host; the verifier's part of the staff-app document too."""

from __future__ import annotations

from typing import Any

from passport_shared.service.holder_openapi import (
    DAY,
    INSTANT,
    STRING,
    TAG,
    WORDS,
    answer,
    array,
    choice,
    entity_paths,
    error,
    nullable,
    ods_parameter,
    operation,
    record,
)
from passport_shared.wire import catalogue
from passport_verifier.rules.movement_state import Answer, MovementState
from passport_verifier.rules.movement_types import ApprovalMethod
from passport_verifier.rules.outcome import Need

_TRUST = record(ods_code=STRING, name=STRING)
_TYPE = choice(catalogue.TYPES)
_NUMBER = {"type": "integer"}
_MOVE = record(
    id=STRING,
    host=_TRUST,
    employing_ods=STRING,
    movement_type=STRING,
    role_profile=STRING,
    start=DAY,
    end=DAY,
    last_day=DAY,
    sites=array(STRING),
    department=STRING,
    duties=STRING,
    state=choice(MovementState),
    terms_version=_NUMBER,
    my_answer=nullable(
        record(
            decision=choice(Answer),
            at=INSTANT,
            method=choice(ApprovalMethod),
            of_these_terms={"type": "boolean"},
        )
    ),
)
_SHARING = {
    "type": "object",
    "required": [
        "first_day",
        "id",
        "last_day",
        "move",
        "movement_type",
        "purpose",
        "records",
        "shared_at",
        "with",
    ],
    "properties": {
        "id": STRING,
        "shared_at": INSTANT,
        "with": _TRUST,
        "purpose": STRING,
        "move": nullable(STRING),
        "movement_type": nullable(STRING),
        "first_day": DAY,
        "last_day": DAY,
        "records": array(
            {
                "type": "object",
                "required": ["details_asked", "from", "type", "vct"],
                "properties": {
                    "type": nullable(_TYPE),
                    "vct": STRING,
                    "from": nullable(STRING),
                    "details_asked": array(array({})),
                },
            }
        ),
    },
}
_NEED = choice(Need)
_REQUIREMENTS = record(
    host=_TRUST,
    movement_type=STRING,
    roles=array(
        record(
            role_profile=STRING,
            labels=WORDS,
            purpose=WORDS,
            version=STRING,
            effective=DAY,
            records=array(
                record(
                    type=_TYPE,
                    label=WORDS,
                    need=_NEED,
                    details=array(STRING),
                    skills=array(
                        record(
                            subject=STRING,
                            levels=array(STRING),
                            need=_NEED,
                            completed_within_months=nullable(_NUMBER),
                        )
                    ),
                )
            ),
        )
    ),
)
_TERMS = {
    "type": "object",
    "properties": {
        "terms_version": nullable({"type": "integer", "minimum": 1, "maximum": 2**31 - 1}),
        "cover_opt_in": nullable({"type": "boolean"}),
    },
    "example": {"terms_version": 1},
}
_MOVE_ID = ("movement_id",)
_OVER = "conflict: the move is over, not agreed, or its terms are others by now"


def _say(summary: str, operation_id: str) -> dict[str, Any]:
    said = operation(summary, operation_id, _MOVE, parameters=_MOVE_ID, body=_TERMS, conflict=_OVER)
    said["requestBody"]["required"] = False
    return said


REQUIREMENTS: dict[str, Any] = {
    "/{ods}/requirements/{movement_type}": {
        "get": {
            "tags": [TAG],
            "summary": "What this host asks for a type of move; public and cacheable",
            "operationId": "requirements",
            "parameters": [
                ods_parameter("R0A"),
                {
                    "name": "movement_type",
                    "in": "path",
                    "required": True,
                    "schema": STRING,
                    "example": "SERVICE_NEED_URGENT",
                },
                {
                    "name": "role",
                    "in": "query",
                    "required": False,
                    "schema": STRING,
                    "description": "Role profile; every role of the type without it.",
                    "example": "UROLOGY_SURGEON",
                },
            ],
            "responses": {
                "200": answer(_REQUIREMENTS, "The requirements in force, with an ETag"),
                "304": {"description": "Unchanged since the ETag"},
                "404": error("There is no such trust, move or role"),
                "429": error("temporarily_unavailable; `Retry-After`"),
            },
            "security": [],
        }
    }
}

PATHS: dict[str, Any] = {
    **entity_paths("R0A"),
    "/{ods}/holder/moves": {
        "get": operation("My moves here, newest first", "holder_moves", record(items=array(_MOVE))),
    },
    "/{ods}/holder/moves/{movement_id}": {
        "get": operation("One of them", "holder_move", _MOVE, parameters=_MOVE_ID),
    },
    "/{ods}/holder/moves/{movement_id}/agree": {"post": _say("I agree", "holder_move_agree")},
    "/{ods}/holder/moves/{movement_id}/decline": {"post": _say("I do not agree", "holder_move_decline")},
    "/{ods}/holder/moves/{movement_id}/withdraw": {"post": _say("I no longer agree", "holder_move_withdraw")},
    "/{ods}/holder/sharing": {
        "get": operation(
            "What I shared here, when and for what", "holder_sharing", record(items=array(_SHARING))
        ),
    },
    **REQUIREMENTS,
}
# Which status lists this host holds decides whether a session can be opened now.
PATHS["/{ods}/holder/sessions"]["post"]["responses"]["503"] = error("temporarily_unavailable; `Retry-After`")
