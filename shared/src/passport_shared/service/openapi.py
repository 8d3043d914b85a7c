"""The OpenAPI document at ``/openapi.json``: every status that can occur, in the form it occurs in.

FastAPI documents its own 422 and nothing of what the edge and the handlers answer. Here every management
operation gets the problems it can give, by its shape: a body can be malformed, too large or of another type;
a path parameter can name nothing; a change can conflict. Protocol operations get the OAuth error form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.service.idempotency import HEADER
from passport_shared.wire.problems import COMMON, ProblemBody
from passport_shared.wire.scopes import RESOURCES, scopes_of

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PROTOCOL = {"application/json": {"schema": {"$ref": "#/components/schemas/ProtocolError"}}}
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}
}
_PROTOCOL_ERROR = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_BY_STATUS = {str(problem.status): problem.title for problem in [*COMMON.values()][::-1]}
_IDEMPOTENCY_KEY = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The same key with the same request within 24 hours gives the same resource.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]+$"},
}
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


def install(app: FastAPI, *, public_url: str, paths: Mapping[str, Any]) -> None:
    """Make ``app.openapi()`` produce the document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app, public_url=public_url, paths=paths)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def route(app: FastAPI) -> Route:
    """``/openapi.json``, encoded once."""
    encoded: list[bytes] = []

    async def serve(_: Request) -> Response:
        if not encoded:
            encoded.append(json.dumps(app.openapi(), ensure_ascii=False).encode())
        return Response(
            encoded[0], media_type="application/json", headers={"Cache-Control": "public, max-age=300"}
        )

    return Route("/openapi.json", serve, include_in_schema=False)


def build(app: FastAPI, *, public_url: str, paths: Mapping[str, Any]) -> dict[str, Any]:
    """The document of one application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        servers=[{"url": public_url}],
    )
    for path, operations in paths.items():
        document.setdefault("paths", {}).setdefault(path, {}).update(operations)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.update(_problem_schemas())
    components.setdefault("securitySchemes", {})["clientCredentials"] = _security_scheme(app, public_url)
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(path, method, operation)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    automatic = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if automatic.get("$ref", "").endswith("HTTPValidationError"):
        del responses["422"]
    if not path.startswith("/api/"):
        _complete_protocol(method, operation, responses)
        return
    if "security" not in operation:
        operation["security"] = [{"clientCredentials": []}]
    if method == "post":
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    for status in _statuses(path, method, operation):
        responses.setdefault(status, _problem(status))


def _statuses(path: str, method: str, operation: Mapping[str, Any]) -> list[str]:
    has_body = "requestBody" in operation
    changes = method not in ("get", "head", "options")
    names = [parameter.get("name", "").lower() for parameter in operation.get("parameters", [])]
    # The edge refuses any body that is too large, encoded or broken off, also where none is expected.
    statuses = ["400", "413", "415", "429", "503"]
    statuses += ["401", "403"] if operation["security"] else []
    statuses += ["404"] if "{" in path else []
    statuses += ["409"] if changes else []
    statuses += ["422"] if has_body or names or "{" in path else []
    statuses += ["412", "428"] if "if-match" in names else []
    return sorted(statuses)


def _problem(status: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": _BY_STATUS[status], "content": _PROBLEM}
    if status in ("429", "503"):
        answer["headers"] = _RETRY_AFTER
    return answer


def _complete_protocol(method: str, operation: Mapping[str, Any], responses: dict[str, Any]) -> None:
    statuses = {
        "400": "Malformed, or refused with a code of the specification",
        "503": "Temporarily unavailable",
    }
    if method not in ("get", "head", "options"):
        statuses |= {"413": "Body too large", "415": "Content-Encoding is not accepted"}
    if operation.get("parameters"):
        statuses |= {"404": "Unknown here"}
    for status, description in statuses.items():
        responses.setdefault(status, {"description": description, "content": _PROTOCOL})


def _problem_schemas() -> dict[str, Any]:
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    schema["title"] = "Problem"
    return {"Problem": schema, "ProtocolError": _PROTOCOL_ERROR, **definitions}


def _security_scheme(app: FastAPI, public_url: str) -> dict[str, Any]:
    service = app.title.rpartition(" ")[2]
    known = sorted(scopes_of(service)) if service in RESOURCES else []
    flow = {
        "tokenUrl": f"{public_url}/oauth2/token",
        "scopes": {scope: scope.replace(":", ": ") for scope in known},
    }
    return {
        "type": "oauth2",
        "description": "Client credentials with private_key_jwt (RFC 7523); access tokens live five minutes.",
        "flows": {"clientCredentials": flow},
    }
