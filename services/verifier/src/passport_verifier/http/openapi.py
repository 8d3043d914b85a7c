"""Hand-kept OpenAPI of the plain routes: the wallet's endpoints, pages and the entity configuration."""

from __future__ import annotations

from typing import Any

from passport_shared.formats.federation import ENTITY_STATEMENT_MEDIA_TYPE
from passport_verifier.http import holder_openapi
from passport_verifier.operations.presentation_requests import REQUEST_OBJECT_MEDIA_TYPE

_TEXT = {"type": "string"}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}}
_FORM = "application/x-www-form-urlencoded"
_PAGE = {"text/html": {"schema": _TEXT}}


def _path(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": _TEXT}


_ODS = _path("ods", "ODS code of the host trust, in upper case.")
_LINK = _path("link", "The random part of the request's links.")

_TOKEN = _path("token", "The random part of the link.")


def _answers(success: dict[str, Any], *, refused: tuple[str, ...] = ("404",)) -> dict[str, Any]:
    titles = {
        "400": "Not acceptable",
        "404": "Not found",
        "413": "Too large",
        "503": "Cannot be checked now",
    }
    return {
        "200": success,
        **{status: {"description": titles[status], "content": _ERROR} for status in refused},
    }


def _operation(
    operation_id: str, summary: str, tag: str, parameters: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "summary": summary,
        "tags": [tag],
        "security": [],
        "parameters": parameters,
        **more,
    }


_REQUEST_OBJECT = {
    "description": "The signed request object.",
    "content": {REQUEST_OBJECT_MEDIA_TYPE: {"schema": _TEXT}},
}
_WALLET_FORM = {
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "properties": {
                    "wallet_metadata": {"type": "string", "maxLength": 16_384},
                    "wallet_nonce": {"type": "string", "pattern": "^[!-~]{1,255}$"},
                },
            }
        }
    }
}
_RESPONSE_FORM = {
    "required": True,
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "properties": {
                    "response": {"type": "string", "description": "JWE of vp_token and state."},
                    "error": _TEXT,
                    "error_description": _TEXT,
                    "state": _TEXT,
                },
            }
        }
    },
}
_ANSWER_FORM = {
    "required": True,
    "content": {
        _FORM: {
            "schema": {
                "type": "object",
                "required": ["csrf", "answer"],
                "properties": {
                    "csrf": _TEXT,
                    "answer": {"type": "string", "enum": ["yes", "no"]},
                    "cover": {"type": "string", "enum": ["yes"]},
                },
            }
        }
    },
}
_PROCESSED = {
    "description": "Processed; where to send the browser, for a request on the same device.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"redirect_uri": {"type": "string", "format": "uri"}}}
        }
    },
}


def _page(
    operation_id: str, summary: str, parameters: list[dict[str, Any]], **statuses: str
) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": summary, "content": _PAGE}}
    for status, description in {"404": "No such page", **statuses}.items():
        responses[status.removeprefix("s")] = {"description": description, "content": _PAGE}
    return {"get": _operation(operation_id, summary, "pages", parameters, responses=responses)}


PATHS: dict[str, Any] = {
    **holder_openapi.PATHS,
    "/{ods}/oid4vp/requests/{link}": {
        "get": _operation(
            "get_request_object",
            "Request object",
            "OpenID4VP",
            [_ODS, _LINK],
            responses=_answers(_REQUEST_OBJECT),
        ),
        "post": _operation(
            "post_request_object",
            "Request object, with a nonce of the wallet",
            "OpenID4VP",
            [_ODS, _LINK],
            requestBody=_WALLET_FORM,
            responses=_answers(_REQUEST_OBJECT, refused=("400", "404", "413")),
        ),
    },
    "/{ods}/oid4vp/response": {
        "post": _operation(
            "send_answer",
            "Answer of a wallet",
            "OpenID4VP",
            [_ODS],
            requestBody=_RESPONSE_FORM,
            responses=_answers(_PROCESSED, refused=("400", "404", "413", "503")),
        )
    },
    "/{ods}/r/{link}": _page(
        "request_page",
        "What is asked, and how to answer",
        [_ODS, _LINK],
        s409="Opened elsewhere",
        s410="Closed",
    ),
    "/{ods}/r/{link}/return": _page(
        "return_page",
        "Return of a same-device answer",
        [
            _ODS,
            _LINK,
            {"name": "response_code", "in": "query", "required": False, "schema": _TEXT},
        ],
        s403="Not the browser the request was started in",
    ),
    "/{ods}/a/{token}": {
        **_page(
            "agreement_page",
            "A move, and whether the staff member agrees",
            [_ODS, _TOKEN],
            s410="The link has run out, or the move has changed",
        ),
        "post": _operation(
            "answer_agreement",
            "Answer to a move, once",
            "pages",
            [_ODS, _TOKEN],
            requestBody=_ANSWER_FORM,
            responses={
                "200": {"description": "Answered already", "content": _PAGE},
                "303": {"description": "Answered; see the page"},
                "400": {"description": "The form is not of this page", "content": _PAGE},
                "404": {"description": "No such page", "content": _PAGE},
                "410": {"description": "The link has run out, or the move has changed", "content": _PAGE},
                "422": {"description": "Neither yes nor no", "content": _PAGE},
            },
        ),
    },
    "/{ods}/privacy": _page("privacy_page", "How the host uses what is shared", [_ODS]),
    "/{ods}/logo.svg": {
        "get": _operation(
            "get_logo",
            "Mark of the host trust",
            "pages",
            [_ODS],
            responses={
                "200": {"description": "The image", "content": {"image/svg+xml": {"schema": _TEXT}}},
                "404": {"description": "No such page", "content": _PAGE},
            },
        )
    },
    "/{ods}/.well-known/openid-federation": {
        "get": _operation(
            "entity_configuration",
            "Entity configuration",
            "federation",
            [_ODS],
            responses=_answers(
                {
                    "description": "The entity configuration.",
                    "content": {ENTITY_STATEMENT_MEDIA_TYPE: {"schema": _TEXT}},
                }
            ),
        )
    },
}
