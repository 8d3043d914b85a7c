"""How the OpenAPI document describes `POST /oauth2/token`: read by hand, so described by hand."""

from __future__ import annotations

from typing import Any

from passport_shared.wire.clients import ASSERTION_TYPE

_ASSERTION_DESCRIPTION = (
    "JWT signed by the client with ES256 (RFC 7523): iss = sub = client id, aud this service's base URL as "
    "one string, jti once, exp at most 60 seconds ahead."
)
TOKEN_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "client_assertion_type", "client_assertion"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials"]},
                        "client_assertion_type": {"type": "string", "enum": [ASSERTION_TYPE]},
                        "client_assertion": {
                            "type": "string",
                            "description": _ASSERTION_DESCRIPTION,
                        },
                        "client_id": {"type": "string"},
                        "scope": {
                            "type": "string",
                            "description": "Separated by single spaces; without it all the client has here.",
                        },
                    },
                }
            }
        },
    },
}
TOKEN_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An access token",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["access_token", "token_type", "expires_in", "scope"],
                    "properties": {
                        "access_token": {"type": "string"},
                        "token_type": {"type": "string", "enum": ["Bearer"]},
                        "expires_in": {"type": "integer"},
                        "scope": {"type": "string"},
                    },
                }
            }
        },
    },
    401: {
        "description": "The client did not authenticate",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}},
    },
    429: {
        "description": "Client authentication failed too often from this address or under this client id; a "
        "valid assertion is always taken",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}},
    },
}
