"""Hand-kept OpenAPI of the plain routes: federation, publications and the public register."""

from __future__ import annotations

from typing import Any

from passport_shared.formats.federation import (
    ENTITY_STATEMENT_MEDIA_TYPE,
    TRUST_MARK_MEDIA_TYPE,
    TRUST_MARK_STATUS_MEDIA_TYPE,
)
from passport_shared.formats.snapshot_manifest import MANIFEST_MEDIA_TYPE
from passport_shared.formats.status_list import MEDIA_TYPE as STATUS_LIST_MEDIA_TYPE
from passport_shared.wire.clients import DIRECTORY_MEDIA_TYPE

_TEXT = {"type": "string"}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}}


def _query(name: str, description: str, *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": _TEXT}


def _path(name: str, pattern: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}


def _read(
    operation_id: str,
    summary: str,
    media_type: str,
    parameters: list[dict[str, Any]] | None = None,
    *,
    schema: Any = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "summary": summary,
        "tags": ["published"],
        "security": [],
        "responses": {
            "200": {"description": summary, "content": {media_type: {"schema": schema or _TEXT}}},
            "304": {"description": "Not modified"},
            "404": {"description": "Not found", "content": _ERROR},
        },
    }
    if parameters:
        operation["parameters"] = parameters
    return {"get": operation}


_LIST = {"type": "array", "items": _TEXT}
_OBJECT = {"type": "object"}

PATHS: dict[str, Any] = {
    "/.well-known/openid-federation": _read(
        "anchor_configuration", "Entity configuration of the anchor", ENTITY_STATEMENT_MEDIA_TYPE
    ),
    "/federation/fetch": _read(
        "fetch_subordinate_statement",
        "Subordinate statement",
        ENTITY_STATEMENT_MEDIA_TYPE,
        [_query("sub", "Entity Identifier")],
    ),
    "/federation/list": _read(
        "list_subordinates",
        "Immediate subordinates",
        "application/json",
        [_query("entity_type", "Only entities of this type; may be repeated.", required=False)],
        schema=_LIST,
    ),
    "/federation/trust_mark": _read(
        "get_trust_mark",
        "Current trust mark of an entity",
        TRUST_MARK_MEDIA_TYPE,
        [_query("trust_mark_type", "Type of the mark"), _query("sub", "Entity Identifier")],
    ),
    "/federation/trust_mark_status": {
        "post": {
            "operationId": "get_trust_mark_status",
            "summary": "Standing of a trust mark: active, expired, revoked, suspended or invalid",
            "tags": ["published"],
            "security": [],
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-www-form-urlencoded": {
                        "schema": {
                            "type": "object",
                            "required": ["trust_mark"],
                            "properties": {"trust_mark": _TEXT},
                        }
                    }
                },
            },
            "responses": {
                "200": {
                    "description": "Signed standing",
                    "content": {TRUST_MARK_STATUS_MEDIA_TYPE: {"schema": _TEXT}},
                },
                "404": {"description": "Not a mark of this anchor", "content": _ERROR},
            },
        }
    },
    "/federation/snapshot": _read("get_snapshot", "Newest snapshot manifest", MANIFEST_MEDIA_TYPE),
    "/federation/parts/{sha256}": _read(
        "get_snapshot_part",
        "Immutable part of a snapshot",
        "application/json",
        [_path("sha256", "^[0-9a-f]{64}$")],
        schema=_OBJECT,
    ),
    "/statuslists": _read(
        "list_status_lists", "Status lists of the registry", "application/json", schema=_OBJECT
    ),
    "/statuslists/{list_id}": _read(
        "get_status_list",
        "Status list token",
        STATUS_LIST_MEDIA_TYPE,
        [_path("list_id", "^[A-Za-z0-9_-]{22}$")],
    ),
    "/vct/{name}/{major}": _read(
        "get_type_metadata",
        "Type metadata of a credential type",
        "application/json",
        [_path("name", "^[A-Za-z]{1,60}$"), _path("major", "^[0-9]{1,4}$")],
        schema=_OBJECT,
    ),
    "/client-directory": _read(
        "get_client_directory", "Signed directory of API clients", DIRECTORY_MEDIA_TYPE
    ),
    "/register": _read("get_register", "Public register of trusts", "application/json", schema=_OBJECT),
}
