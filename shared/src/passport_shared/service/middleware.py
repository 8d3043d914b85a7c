"""The edge of every service: what happens to a request before a route sees it, and to its answer after.

One ASGI middleware, because each layer costs on the hot paths: request id, trace parent, body limits,
security headers, the metrics and the log line of the request, and the last answer for what nobody caught. It
knows two surfaces, management (problem+json) and protocol (OAuth JSON), told apart by path until a route says
otherwise.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from passport_shared.outbound.carried import CARRIED
from passport_shared.outbound.spans import CURRENT, Span
from passport_shared.service import log_keys
from passport_shared.service.database_faults import as_answer
from passport_shared.service.oauth_errors import ProtocolError, protocol_response
from passport_shared.service.observability import Metrics
from passport_shared.service.operation_outcomes import OPERATION_OUTCOME, outcome_response
from passport_shared.service.problems import (
    BadRequest,
    Forbidden,
    NotFound,
    PassportError,
    TooLarge,
    UnsupportedMediaType,
    problem_response,
)
from passport_shared.service.tracing import Tracing

MANAGEMENT, PROTOCOL = "management", "protocol"
UNMATCHED = "unmatched"
BODY_TIMEOUT_S = 30.0
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_OWN_PATHS = ("/api/", "/problems", "/health/", "/metrics", "/openapi.json")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "Content-Security-Policy": (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_RAW_SECURITY_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

# Fetch standard, CORS protocol. These endpoints read no cookie: there is nothing to lend to another origin.
_ANY_ORIGIN = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"WWW-Authenticate, Retry-After, ETag, X-Request-ID"),
)
_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, If-None-Match, X-Request-ID, Traceparent, DPoP, "
        "OAuth-Client-Attestation, OAuth-Client-Attestation-PoP"
    ),
    "Access-Control-Max-Age": "7200",
}

# The OAuth code that says the same as a status, where a route of ours meets a protocol path.
_PROTOCOL_CODES = {
    401: "invalid_client",
    403: "access_denied",
    404: "not_found",
    408: "temporarily_unavailable",
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}

log = structlog.get_logger(__name__)


def default_surface(path: str) -> str:
    """Which error form a path without a route gets."""
    return MANAGEMENT if path.startswith(_OWN_PATHS) or path in ("/api", "/") else PROTOCOL


def error_response(error: PassportError | ProtocolError, scope: Scope) -> Response:
    """The answer for an error on the surface the request is on."""
    if scope["state"].get("surface") == OPERATION_OUTCOME:
        text = error.description if isinstance(error, ProtocolError) else error.detail
        return outcome_response(error.status, text, error.headers)
    if isinstance(error, ProtocolError):
        return protocol_response(error)
    if scope["state"].get("surface") == PROTOCOL:
        code = _PROTOCOL_CODES.get(error.status, "invalid_request")
        return protocol_response(ProtocolError(code, error.detail, error.status, error.headers))
    return problem_response(error, scope=scope)


@dataclass(frozen=True, kw_only=True)
class EdgeOptions:
    """What the edge of one application needs."""

    public_url: str
    metrics: Metrics
    max_body_bytes: int = 262_144
    body_limits: Mapping[str, int] = field(default_factory=dict)
    surface: Callable[[str], str] = default_surface
    access_log_every: int = 1
    templates: Mapping[Any, str] = field(default_factory=dict)
    body_timeout_s: float = BODY_TIMEOUT_S
    any_origin: Sequence[Route] = ()
    tracing: Tracing | None = None


class _Refused(Exception):
    """A request refused before its route."""

    def __init__(self, error: PassportError) -> None:
        super().__init__(error.code)
        self.error = error


class Edge:
    """The middleware itself; options are shared by every request and never change."""

    def __init__(self, app: ASGIApp, options: EdgeOptions) -> None:
        self._app = app
        self._options = options
        self._origin = options.public_url
        self._answered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; lifespan and websocket scopes pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = _Exchange(scope, send)
        state = scope.setdefault("state", {})
        state["request_id"] = exchange.request_id
        state["public_url"] = self._origin
        state["surface"] = self._options.surface(scope["path"])
        CARRIED.set(exchange.carried)
        if self._options.tracing is not None:
            exchange.begin_span(self._options.tracing)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**{log_keys.REQUEST_ID: exchange.request_id, **exchange.trace})
        try:
            await self._serve(scope, receive, exchange)
        finally:
            self._account(scope, exchange, time.perf_counter() - started)

    async def _serve(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        try:
            self._refuse_early(scope, exchange.headers)
            methods = self._open_methods(scope) if b"origin" in exchange.headers else frozenset()
            exchange.any_origin = bool(methods)
            if methods and _is_preflight(scope, exchange.headers):
                allow = {"Access-Control-Allow-Methods": ", ".join(sorted(methods)), **_PREFLIGHT_HEADERS}
                await Response(status_code=204, headers=allow)(scope, receive, exchange.send)
                return
            bounded = await self._bounded(scope, receive, exchange.headers)
            await self._app(scope, bounded, exchange.send)
        except _Refused as refusal:
            await error_response(refusal.error, scope)(scope, receive, exchange.send)
        except Exception as error:  # noqa: BLE001 - the last place; the cause goes to the log, not to the caller
            await self._fail(error, scope, receive, exchange)

    async def _fail(self, error: Exception, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        answer = as_answer(error)
        if answer.status >= 500:
            log.error("http_request.failed", exc_info=error, **{log_keys.METHOD: scope["method"]})
        if exchange.status is None:
            await error_response(answer, scope)(scope, receive, exchange.send)

    def _refuse_early(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        raw_path = scope.get("raw_path") or b""
        if "\x00" in scope["path"] or b"\x00" in raw_path:
            raise _Refused(NotFound())
        if b"%00" in scope["query_string"] or b"\x00" in scope["query_string"]:
            raise _Refused(BadRequest("A query parameter holds the NUL character."))
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            raise _Refused(UnsupportedMediaType("Request bodies are accepted without Content-Encoding only."))
        origin = headers.get(b"origin")
        foreign = origin is not None and origin.decode("latin-1") != self._origin
        if foreign and scope["state"]["surface"] == MANAGEMENT and scope["method"] not in SAFE_METHODS:
            raise _Refused(Forbidden("Requests from pages of another origin may not change anything here."))

    def _open_methods(self, scope: Scope) -> frozenset[str]:
        """The methods that pages of any origin may use on this path."""
        found = [route for route in self._options.any_origin if route.matches(scope)[0] is not Match.NONE]
        return frozenset(method for route in found for method in route.methods or ())

    def _limit(self, path: str) -> int:
        for prefix, limit in self._options.body_limits.items():
            if path.startswith(prefix):
                return limit
        return self._options.max_body_bytes

    async def _bounded(self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes]) -> Receive:
        """Read the whole body within the limit, then replay it: no route sees half a body or too much."""
        if b"content-length" not in headers and b"transfer-encoding" not in headers:
            return receive
        limit = self._limit(scope["path"])
        declared = headers.get(b"content-length")
        if declared is not None and (not declared.isdigit() or len(declared) > 15):
            raise _Refused(BadRequest("Content-Length is not a number."))
        if declared is not None and int(declared) > limit:
            raise _Refused(TooLarge(limit, headers={"Connection": "close"}))
        try:
            async with asyncio.timeout(self._options.body_timeout_s):
                body, gone = await _read(receive, limit)
        except TimeoutError:
            late = PassportError(
                "request_timeout", "The body did not arrive in time.", headers={"Connection": "close"}
            )
            raise _Refused(late) from None
        return _replay(body, gone, receive)

    def _account(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        status = exchange.status or 499  # the client went away before an answer
        route = route_template(scope, self._options.templates)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._options.metrics.answered(method, route, status, seconds)
        if exchange.span is not None:
            exchange.end_span(method, route, status)
        self._answered += 1
        if status < 400 and (route in _PROBES or self._answered % self._options.access_log_every):
            return
        facts = {
            log_keys.METHOD: method,
            log_keys.ROUTE: route,
            log_keys.STATUS: status,
            log_keys.DURATION_MS: round(seconds * 1000, 2),
        }
        log.info("http_request.answered", **facts)


# Asked every few seconds by machines; only a failure is worth a line.
_PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Exchange:
    """One request and the head of its answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # A repeated header keeps its first value; the ones read here may not be repeated anyway.
            self.headers.setdefault(name, value)
        given = self.headers.get(b"x-request-id", b"").decode("latin-1")
        self.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        trace = self.headers.get(b"traceparent", b"").decode("latin-1")
        self.trace = {log_keys.TRACEPARENT: trace} if _TRACEPARENT.fullmatch(trace) else {}
        self.carried = {"X-Request-ID": self.request_id, **({"Traceparent": trace} if self.trace else {})}
        self.status: int | None = None
        self.any_origin = False
        self.span: Span | None = None
        self._outer: Span | None = None
        self._scope = scope
        self._send = send

    def begin_span(self, tracing: Tracing) -> None:
        """Where traces are on, this request's own span takes the place of the caller's from here on."""
        self.span, self._outer = tracing.served(self.trace.get(log_keys.TRACEPARENT)), CURRENT.get()
        CURRENT.set(self.span)
        if self.span is not None:
            self.trace = {log_keys.TRACEPARENT: self.span.traceparent}

    def end_span(self, method: str, route: str, status: int) -> None:
        """The template and the status are known only when the answer is; the path is told nowhere."""
        assert self.span is not None  # noqa: S101 - asked by the caller, who does without a call otherwise
        CURRENT.set(self._outer)
        self.span.rename(f"{method} {route}")
        self.span.note(method=method, route=route, status=status)
        self.span.end(str(status) if status >= 500 else None)

    async def send(self, message: Message) -> None:
        """Pass a message on, with our headers on the head of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers += [pair for pair in _RAW_SECURITY_HEADERS if pair[0] not in present]
            if self.any_origin:
                headers += [pair for pair in _ANY_ORIGIN if pair[0] not in present]
            headers.append((b"x-request-id", self.request_id.encode()))
            if self._scope["path"].startswith("/api/") and b"cache-control" not in present:
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
        await self._send(message)


def _is_preflight(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    return scope["method"] == "OPTIONS" and b"access-control-request-method" in headers


def route_template(scope: Mapping[str, Any], templates: Mapping[Any, str]) -> str:
    """The template of the route that served the request: metrics have as many series as there are routes.

    FastAPI leaves its route in the scope; a plain route leaves its endpoint, whose path ``templates`` knows.
    """
    effective = scope.get("fastapi", {}).get("effective_route_context")
    for candidate in (effective, scope.get("route")):
        path = getattr(candidate, "path", None)
        if isinstance(path, str) and path:
            return path
    return templates.get(scope.get("endpoint"), UNMATCHED)


async def _read(receive: Receive, limit: int) -> tuple[bytes, bool]:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts), True
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _Refused(TooLarge(limit, headers={"Connection": "close"}))
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts), False


def _replay(body: bytes, gone: bool, receive: Receive) -> Callable[[], Awaitable[Message]]:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return (
                {"type": "http.disconnect"}
                if gone
                else {"type": "http.request", "body": body, "more_body": False}
            )
        return {"type": "http.disconnect"} if gone else await receive()

    return replayed
