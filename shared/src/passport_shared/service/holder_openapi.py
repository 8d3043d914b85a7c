"""OpenAPI of holder sessions: what issuer and verifier have in common, and the words both describe with.

The routes are plain ones, so their documentation is kept by hand here; the same paths stand in the service's
own document and in the staff-app document for app makers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TAG = "Holder sessions"
SCHEME = "holderSession"

STRING: dict[str, Any] = {"type": "string"}
DAY: dict[str, Any] = {"type": "string", "format": "date"}
INSTANT: dict[str, Any] = {"type": "string", "format": "date-time"}
WORDS: dict[str, Any] = {
    "type": "object",
    "description": "The same sentence by language.",
    "required": ["cy", "en-GB"],
    "properties": {"en-GB": STRING, "cy": STRING},
}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}}
_PROOF = {
    "name": "DPoP",
    "in": "header",
    "required": False,
    "schema": STRING,
    "description": "Needed: a fresh proof (RFC 9449) for this method and address, with `ath` beside a token.",
}


def record(**members: Mapping[str, Any]) -> dict[str, Any]:
    """An object all of whose members are always there."""
    return {"type": "object", "required": sorted(members), "properties": dict(members)}


def array(items: Mapping[str, Any]) -> dict[str, Any]:
    """A list."""
    return {"type": "array", "items": dict(items)}


def choice(values: Iterable[str]) -> dict[str, Any]:
    """One of these words."""
    return {"type": "string", "enum": [str(value) for value in values]}


def nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """This, or null."""
    return {"anyOf": [dict(schema), {"type": "null"}]}


def ods_parameter(example: str = "RBV") -> dict[str, Any]:
    """The organisation in the path."""
    return {
        "name": "ods",
        "in": "path",
        "required": True,
        "schema": STRING,
        "example": example,
        "description": "ODS code of the trust, upper case.",
    }


def error(description: str) -> dict[str, Any]:
    """A refusal as OAuth JSON."""
    return {"description": description, "content": _ERROR}


def answer(schema: Mapping[str, Any], description: str = "As it is now") -> dict[str, Any]:
    """A JSON answer."""
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}


def operation(
    summary: str,
    operation_id: str,
    schema: Mapping[str, Any],
    *,
    parameters: Iterable[str] = (),
    body: Mapping[str, Any] | None = None,
    status: str = "200",
    conflict: str | None = None,
) -> dict[str, Any]:
    """An operation in a session: `parameters` are its path parameters beside the organisation."""
    named = [{"name": name, "in": "path", "required": True, "schema": STRING} for name in parameters]
    responses = {
        status: answer(schema),
        "401": error("invalid_token, invalid_dpop_proof; `WWW-Authenticate: DPoP`"),
        "404": error("not_found: nothing of yours is here"),
        "429": error("temporarily_unavailable; `Retry-After`"),
    }
    if conflict is not None:
        responses["409"] = error(conflict)
    if body is not None:
        responses["400"] = error("invalid_request")
    made: dict[str, Any] = {
        "tags": [TAG],
        "summary": summary,
        "operationId": operation_id,
        "parameters": [ods_parameter(), *named, _PROOF],
        "responses": responses,
        "security": [],
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": dict(body)}}}
    return made


def entity_paths(example: str) -> dict[str, Any]:
    """Challenge and session, the same at every entity."""
    challenge = {
        "tags": [TAG],
        "summary": "A fresh challenge: the nonce of the key binding",
        "operationId": "holder_challenge",
        "parameters": [ods_parameter(example)],
        "responses": {
            "200": answer(record(challenge=STRING, expires_in={"type": "integer"}), "The challenge"),
            "404": error("There is no such trust here"),
            "429": error("temporarily_unavailable; `Retry-After`"),
        },
        "security": [],
    }
    session = {
        "tags": [TAG],
        "summary": "A token of 15 minutes for a presentation over the challenge",
        "description": (
            "`presentation` is any credential of yours with a key binding JWT whose `aud` is this entity's "
            "identifier and whose `nonce` is the challenge. The DPoP key is the credential's own key."
        ),
        "operationId": "holder_session",
        "parameters": [ods_parameter(example), _PROOF],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {**record(presentation=STRING), "example": {"presentation": "eyJ...~eyJ..."}}
                }
            },
        },
        "responses": {
            "200": answer(
                record(access_token=STRING, token_type=choice(["DPoP"]), expires_in={"type": "integer"}),
                "The token",
            ),
            "400": error("invalid_request, invalid_dpop_proof, invalid_grant"),
            "404": error("There is no such trust here"),
            "429": error("temporarily_unavailable; `Retry-After`"),
        },
        "security": [],
    }
    return {"/{ods}/holder/challenge": {"post": challenge}, "/{ods}/holder/sessions": {"post": session}}
