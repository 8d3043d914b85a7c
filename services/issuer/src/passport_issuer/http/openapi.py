"""Documentation of the plain protocol routes: hand-kept, because a plain route has no signature to read."""

from __future__ import annotations

from typing import Any

from passport_issuer.http import dsp_events, holder_openapi
from passport_issuer.rules.metadata import PRE_AUTHORIZED_CODE
from passport_shared.wire.release import RELEASE_MEDIA_TYPE, RELEASE_REQUEST_MEDIA_TYPE

_TAG = ["OpenID4VCI"]
_ODS = {
    "name": "ods",
    "in": "path",
    "required": True,
    "schema": {"type": "string"},
    "example": "RBV",
    "description": "ODS code of the trust, upper case.",
}
_JSON_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}}


def _parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _json(description: str, members: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": sorted(members), "properties": members}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": _JSON_ERROR}


_NOT_FOUND = {"404": _error("There is no such tenant or object")}
_UNAUTHORISED = _error("No valid wallet access token (RFC 6750)")


def _operation(
    summary: str, operation_id: str, responses: dict[str, Any], *parameters: dict[str, Any], **more: Any
) -> dict[str, Any]:
    return {
        "tags": _TAG,
        "summary": summary,
        "operationId": operation_id,
        "parameters": [_ODS, *parameters],
        "responses": {**responses, **_NOT_FOUND},
        "security": [],
        **more,
    }


_FORM = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["grant_type", "pre-authorized_code", "tx_code"],
                "properties": {
                    "grant_type": {"type": "string", "enum": [PRE_AUTHORIZED_CODE]},
                    "pre-authorized_code": {"type": "string"},
                    "tx_code": {"type": "string", "pattern": "^[0-9]{6}$"},
                    "authorization_details": {"type": "string", "description": "JSON (RFC 9396)."},
                },
            }
        }
    },
}
_CREDENTIAL_REQUEST = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["proofs"],
                "properties": {
                    "credential_configuration_id": {"type": "string"},
                    "credential_identifier": {"type": "string"},
                    "proofs": {
                        "type": "object",
                        "required": ["jwt"],
                        "properties": {"jwt": {"type": "array", "items": {"type": "string"}}},
                    },
                },
            }
        }
    },
}
_NOTIFICATION = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["notification_id", "event"],
                "properties": {
                    "notification_id": {"type": "string"},
                    "event": {
                        "type": "string",
                        "enum": ["credential_accepted", "credential_failure", "credential_deleted"],
                    },
                    "event_description": {"type": "string"},
                },
            }
        }
    },
}
_STRING = {"type": "string"}
_ASKED = {"release_request": _STRING, "release_uri": _STRING, "state": _STRING}
_PAGE = {"text/html": {"schema": _STRING}}
_PAGE_FORM = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["csrf", "act"],
                "properties": {
                    "csrf": _STRING,
                    "act": {"type": "string", "enum": ["pin", "right", "wrong"]},
                    "pin": _STRING,
                    "reason": _STRING,
                },
            }
        }
    },
}


def _page(summary: str, operation_id: str, answers: dict[str, str], **more: Any) -> dict[str, Any]:
    """A page for people: its refusals are pages too, except where no route makes one."""
    responses = {
        status: {"description": text, "content": {**_PAGE, **(_JSON_ERROR if status >= "400" else {})}}
        for status, text in {**answers, "404": "No such offer"}.items()
    }
    return {
        "tags": ["Offer page"],
        "summary": summary,
        "operationId": operation_id,
        "parameters": [_ODS, _parameter("offer_id")],
        "responses": responses,
        "security": [],
        **more,
    }


_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": _PROBLEM}


_INVITATION_FORM = {
    "required": True,
    "content": {
        "application/x-www-form-urlencoded": {
            "schema": {
                "type": "object",
                "required": ["csrf", "act"],
                "properties": {"csrf": _STRING, "act": {"type": "string", "enum": ["open"]}},
            }
        }
    },
}


def _invitation_page(summary: str, operation_id: str, answers: dict[str, str], **more: Any) -> dict[str, Any]:
    page = _page(summary, operation_id, answers, **more)
    page["responses"]["404"]["description"] = "No such invitation"
    return page | {"tags": ["Invitation page"], "parameters": [_ODS, _parameter("token")]}


RELEASE_PATHS: dict[str, Any] = {
    "/{ods}/release-requests": {
        "post": {
            "tags": ["Between trusts"],
            "summary": "A host asks for the release of a member of staff",
            "description": (
                "The body is a compact JWS of `typ` `staff-passport-release-request+jwt`, signed with the "
                "federation key of the host's verifier. The same request again is answered alike."
            ),
            "operationId": "ask_release",
            "parameters": [_ODS],
            "security": [],
            "requestBody": {"required": True, "content": {RELEASE_REQUEST_MEDIA_TYPE: {"schema": _STRING}}},
            "responses": {
                "201": _json("Taken", _ASKED),
                "200": _json("Taken before", _ASKED),
                "400": _problem("release_request_refused: `errors` names the rule"),
                "403": _problem("requester_not_authorised"),
                "404": _problem("There is no such tenant"),
                "409": _problem("release_request_reused"),
                "413": _problem("too_large"),
                "415": _problem("unsupported_media_type"),
                "429": _problem("too_many_requests"),
                "503": _problem("register_too_old"),
            },
        }
    },
    "/{ods}/releases/{release_id}": {
        "get": {
            "tags": ["Between trusts"],
            "summary": "The newest signed Release",
            "operationId": "read_release",
            "parameters": [_ODS, _parameter("release_id")],
            "security": [],
            "responses": {
                "200": {"description": "The Release", "content": {RELEASE_MEDIA_TYPE: {"schema": _STRING}}},
                "202": _json("Nobody has answered yet", {"state": _STRING}),
                "304": {"description": "Unchanged since the ETag"},
                "404": _problem("There is no such release"),
                "410": _problem("release_request_expired"),
            },
        }
    },
}

PATHS: dict[str, Any] = {
    **RELEASE_PATHS,
    **holder_openapi.PATHS,
    **dsp_events.PATHS,
    "/.well-known/openid-credential-issuer/{ods}": {
        "get": _operation(
            "Credential Issuer Metadata (OpenID4VCI 1.0 §12.2)",
            "credential_issuer_metadata",
            {"200": _json("The metadata", {"credential_issuer": _STRING, "credential_endpoint": _STRING})},
        )
    },
    "/.well-known/oauth-authorization-server/{ods}": {
        "get": _operation(
            "Authorization server metadata (RFC 8414)",
            "authorization_server_metadata",
            {"200": _json("The metadata", {"issuer": _STRING, "token_endpoint": _STRING})},
        )
    },
    "/{ods}/offers/{offer_id}": {
        "get": _operation(
            "A Credential Offer by reference (§4.1.3)",
            "credential_offer",
            {"200": _json("The offer", {"credential_issuer": _STRING})},
            _parameter("offer_id"),
        )
    },
    "/{ods}/o/{offer_id}": {
        "get": _page("The offer for its holder", "offer_page", {"200": "The page as it is now"}),
        "post": _page(
            "The holder gives the PIN, confirms the details or sends them back",
            "offer_page_act",
            {
                "303": "Done; the page shows what became of it",
                "400": "The form was not made by this page",
                "422": "The PIN or the reason is missing or wrong",
            },
            requestBody=_PAGE_FORM,
        ),
    },
    "/{ods}/i/{token}": {
        "get": _invitation_page(
            "An invitation, or what comes next for who opened it",
            "invitation_page",
            {
                "200": "The page as it is now for this browser; looking changes nothing",
                "303": "This browser opened it, and an offer can be collected there",
                "403": "It was opened in another browser",
                "410": "It ran out, was taken back, or a newer one was sent",
            },
        ),
        "post": _invitation_page(
            "Open the invitation, once, for this browser",
            "invitation_page_open",
            {"303": "The page shows what became of it", "400": "The form was not made by this page"},
            requestBody=_INVITATION_FORM,
        ),
    },
    "/notices": {
        "get": {
            "tags": ["Invitation page"],
            "summary": "What was sent, where nobody is written to (development only)",
            "operationId": "notice_outbox_page",
            "responses": {
                "200": {"description": "What was sent, newest first", "content": _PAGE},
                "404": {"description": "This service writes to people", "content": _PAGE},
            },
            "security": [],
        }
    },
    "/{ods}/token": {
        "post": _operation(
            "Redeem a pre-authorized code (§6)",
            "wallet_token",
            {
                "200": _json("An access token", {"access_token": _STRING, "token_type": _STRING}),
                "400": _error("invalid_request, invalid_grant, unsupported_grant_type"),
                "401": _error("invalid_client"),
            },
            requestBody=_FORM,
        )
    },
    "/{ods}/nonce": {
        "post": _operation("A fresh c_nonce (§7)", "nonce", {"200": _json("The nonce", {"c_nonce": _STRING})})
    },
    "/{ods}/credential": {
        "post": _operation(
            "Collect credentials (§8)",
            "credential",
            {
                "200": _json("Credentials", {"credentials": {"type": "array"}, "notification_id": _STRING}),
                "400": _error("The codes of §8.3.1.2"),
                "401": _UNAUTHORISED,
            },
            requestBody=_CREDENTIAL_REQUEST,
        )
    },
    "/{ods}/notification": {
        "post": _operation(
            "Tell what became of the credentials (§11)",
            "notification",
            {
                "204": {"description": "Noted; a repetition is answered alike"},
                "400": _error("invalid_notification_id, invalid_notification_request"),
                "401": _UNAUTHORISED,
            },
            requestBody=_NOTIFICATION,
        )
    },
    "/{ods}/statuslists": {
        "get": _operation(
            "The tenant's status lists",
            "status_list_aggregation",
            {"200": _json("The lists", {"status_lists": {"type": "array", "items": _STRING}})},
        )
    },
    "/{ods}/statuslists/{list_id}": {
        "get": _operation(
            "A Status List Token",
            "status_list",
            {
                "200": {
                    "description": "The token in force",
                    "content": {"application/statuslist+jwt": {"schema": _STRING}},
                },
                "501": _error("Past lists are not offered"),
            },
            _parameter("list_id"),
        )
    },
    "/{ods}/.well-known/openid-federation": {
        "get": _operation(
            "The tenant's entity configuration",
            "entity_configuration",
            {
                "200": {
                    "description": "The configuration",
                    "content": {"application/entity-statement+jwt": {"schema": _STRING}},
                }
            },
        )
    },
}
