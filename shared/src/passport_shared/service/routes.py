"""Route classes of the two surfaces.

``ManagementRoute`` accepts ``application/json`` only, reads it with the strict decoder and answers errors as
problems. ``ProtocolRoute`` answers errors as OAuth JSON. ``protocol_endpoint`` is the same for a plain
Starlette route, which is what the hot wallet-facing paths are. Errors are raised, and rendered in one place
by the application's handlers; a route only says which surface it is on.
"""

from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from fastapi import APIRouter
from fastapi.params import Form
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.formats import strict
from passport_shared.service.idempotency import key_of
from passport_shared.service.middleware import MANAGEMENT, PROTOCOL
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.problems import BadRequest, UnsupportedMediaType

MAX_FORM_FIELDS = 32
Handler = Callable[[Request], Awaitable[Response]]


class StrictJsonRequest(Request):
    """A request whose ``json()`` is the value the strict decoder made."""

    strict_value: Any = None

    async def json(self) -> Any:
        """The decoded body."""
        return self.strict_value


class ManagementRoute(APIRoute):
    """A route of the management interface."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Check the Idempotency-Key that every POST may carry, and decode the body before FastAPI does."""
        handler = super().get_route_handler()
        takes_json = self.body_field is not None and not isinstance(self.body_field.field_info, Form)

        async def handle(request: Request) -> Response:
            request.state.surface = MANAGEMENT
            if request.method == "POST":
                key_of(request)
            return await handler(await _with_strict_body(request) if takes_json else request)

        return handle


class ProtocolRoute(APIRoute):
    """A FastAPI route of a protocol: its errors, malformed input included, are OAuth JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Mark the surface; the application's handlers do the rest."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            request.state.surface = PROTOCOL
            return await handler(request)

        return handle


def management_router(prefix: str = "", *, tags: Sequence[str] = (), **options: Any) -> APIRouter:
    """A router of management routes; paths begin with ``/api/v1``."""
    return APIRouter(
        prefix=prefix, tags=list(tags), route_class=ManagementRoute, redirect_slashes=False, **options
    )


def protocol_router(prefix: str = "", *, tags: Sequence[str] = (), **options: Any) -> APIRouter:
    """A router of protocol routes."""
    return APIRouter(
        prefix=prefix, tags=list(tags), route_class=ProtocolRoute, redirect_slashes=False, **options
    )


class PublicRoute(Route):
    """A protocol route for anybody: it knows no cookie, so pages of every origin may call it (CORS)."""


def protocol_route(
    path: str, endpoint: Handler, *, methods: Collection[str], name: str | None = None
) -> PublicRoute:
    """A plain Starlette route on the protocol surface: half the cost of a FastAPI one, documented by hand.

    Wallets and directories that live in a browser may call it: the edge answers their preflight requests.
    """

    async def handle(request: Request) -> Response:
        request.state.surface = PROTOCOL
        return await endpoint(request)

    return PublicRoute(
        path, handle, methods=list(methods), name=name or endpoint.__name__, include_in_schema=False
    )


async def form_body(request: Request, *, max_fields: int = MAX_FORM_FIELDS) -> dict[str, str]:
    """The parameters of an ``application/x-www-form-urlencoded`` body.

    Raises:
        ProtocolError: ``invalid_request`` for another media type, a repeated parameter, broken encoding, NUL
            or too many parameters (RFC 6749 §3.2: parameters MUST NOT be included more than once).
    """
    if media_type(request) != "application/x-www-form-urlencoded":
        raise ProtocolError("invalid_request", "send application/x-www-form-urlencoded")
    body = await request.body()
    if body.count(b"&") >= max_fields:
        raise ProtocolError("invalid_request", "too many parameters")
    fields: dict[str, str] = {}
    for pair in filter(None, body.split(b"&")):
        name, _, value = pair.partition(b"=")
        key = _form_text(name)
        if key in fields:
            raise ProtocolError("invalid_request", "a parameter is repeated")
        fields[key] = _form_text(value)
    return fields


async def stated_form(request: Request) -> dict[str, str]:
    """As ``form_body``, without parameters that have no value: they count as not sent (RFC 6749 §3.2).

    For wallets, whose libraries may send every parameter they know.

    Raises:
        ProtocolError: as ``form_body``.
    """
    return {name: value for name, value in (await form_body(request)).items() if value}


async def json_body(request: Request, *, max_bytes: int = strict.MAX_BYTES) -> dict[str, Any]:
    """The object in an ``application/json`` body of a protocol endpoint.

    Raises:
        ProtocolError: ``invalid_request`` for another media type or anything the strict decoder refuses.
    """
    if media_type(request) != "application/json":
        raise ProtocolError("invalid_request", "send application/json")
    try:
        value = strict.loads_object(await request.body(), max_bytes=max_bytes)
    except strict.StrictError as error:
        raise ProtocolError(
            "invalid_request", f"the body is not acceptable JSON ({error.code.value})"
        ) from None
    if holds_nul(value):
        raise ProtocolError("invalid_request", "the NUL character is not accepted")
    return value


def media_type(request: Request) -> str:
    """The body's media type in lower case, without parameters; ``unknown`` in another charset than UTF-8."""
    essence, *parameters = request.headers.get("content-type", "").split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value.strip('"').lower() not in ("utf-8", "utf8"):
            return "unknown"
    return essence.strip().lower()


def holds_nul(value: Any) -> bool:
    """Whether any text in a decoded JSON value holds U+0000, which PostgreSQL cannot store."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(holds_nul(key) or holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(holds_nul(item) for item in value)


async def _with_strict_body(request: Request) -> Request:
    body = await request.body()
    if not body:
        return request
    if media_type(request) != "application/json":
        raise UnsupportedMediaType("Send application/json in UTF-8.")
    try:
        value = strict.loads(body, max_bytes=max(len(body), 1))
    except strict.StrictError as error:
        raise BadRequest(f"The body is not acceptable JSON: {error}.") from None
    if b"\\u0000" in body and holds_nul(value):
        raise BadRequest("The body holds the NUL character, which no field accepts.")
    strict_request = StrictJsonRequest(request.scope, request.receive)
    strict_request._body = body  # Starlette's own cache of a body that has been read
    strict_request.strict_value = value
    return strict_request


def _form_text(raw: bytes) -> str:
    try:
        text = unquote_plus(raw.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise ProtocolError("invalid_request", "a parameter is not UTF-8 in percent-encoding") from None
    if "\x00" in text:
        raise ProtocolError("invalid_request", "the NUL character is not accepted")
    return text
