"""The application factory: what every service of the suite does alike (design §6).

A service gives its routers, its plain protocol routes and its readiness checks; this adds the edge, the error
forms, health, metrics, the problem catalogue and an OpenAPI document that says the truth. It opens nothing:
that is the lifespan's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from passport_shared.formats.clock import Clock
from passport_shared.service import openapi
from passport_shared.service.clock import SystemClock
from passport_shared.service.health import Check, health_routes
from passport_shared.service.middleware import PROTOCOL, Edge, EdgeOptions, default_surface, error_response
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.observability import Metrics
from passport_shared.service.pages import Pages, is_reader
from passport_shared.service.peer_address import Network
from passport_shared.service.problem_pages import problem_routes
from passport_shared.service.problems import Invalid, NotFound, PassportError
from passport_shared.service.routes import ManagementRoute, ProtocolRoute, PublicRoute, protocol_route
from passport_shared.service.settings import EVERYBODY, MetricsAccess
from passport_shared.service.tracing import Tracing, traced_lifespan
from passport_shared.service.validation import field_errors
from passport_shared.wire.problems import COMMON, Problem, catalogue

__all__ = ["Check", "ManagementRoute", "ProtocolRoute", "create_app", "protocol_route"]

log = structlog.get_logger(__name__)


# The framework's own telemetry notes paths, queries and the text of exceptions, and a variable of the
# environment alone would switch it on. Ours is service/tracing.py and Metrics.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def create_app(
    *,
    service: str,
    version: str,
    public_url: str,
    clock: Clock | None = None,
    lifespan: Callable[[FastAPI], Any] | None = None,
    routers: Sequence[APIRouter] = (),
    protocol_routes: Sequence[BaseRoute] = (),
    readiness: Sequence[Check] = (),
    problems: Iterable[Problem] = (),
    metrics: Metrics | None = None,
    max_body_bytes: int = 262_144,
    body_limits: Mapping[str, int] | None = None,
    surface: Callable[[str], str] = default_surface,
    access_log_every: int = 1,
    metrics_access: MetricsAccess = EVERYBODY,
    trusted_proxies: Collection[Network] = (),
    openapi_paths: Mapping[str, Any] | None = None,
    description: str = "",
    tracing: Tracing | None = None,
) -> FastAPI:
    """Build one service's application.

    Args:
        service: ``registry``, ``issuer`` or ``verifier``.
        version: the service's version, in the log, the metrics and the OpenAPI document.
        public_url: base URL of the service, for ``type`` URLs; never taken from a request.
        clock: kept at ``app.state.clock``.
        lifespan: opens and closes what the service holds.
        routers: FastAPI routers (``management_router``, ``protocol_router``).
        protocol_routes: plain Starlette routes; matched first.
        readiness: checks of ``/health/ready``.
        problems: the service's own entries of the problem catalogue.
        metrics: the service's metrics, made here if not given; kept at ``app.state.metrics``.
        max_body_bytes: largest request body.
        body_limits: other limits by path prefix.
        surface: which error form a path without a route gets.
        access_log_every: log one in so many successful requests.
        metrics_access: who may read ``/metrics``.
        trusted_proxies: whose word on a caller's address counts where attempts are limited; kept at
            ``app.state.trusted_proxies``.
        openapi_paths: hand-kept documentation of plain routes, merged into the OpenAPI document.
        description: text at the head of the OpenAPI document.
        tracing: traces, opened and closed around the lifespan; kept at ``app.state.tracing``.
    """
    metrics = metrics or Metrics(service, version)
    entries = catalogue([*COMMON.values(), *problems])
    app = FastAPI(
        title=f"Staff Passport {service}",
        version=version,
        description=description,
        lifespan=_told(lifespan if tracing is None else traced_lifespan(tracing, lifespan)),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        strict_content_type=True,
        separate_input_output_schemas=True,
        telemetry=_NO_TELEMETRY,
    )
    app.state.clock = clock or SystemClock()
    app.state.metrics = metrics
    app.state.tracing = tracing
    app.state.public_url = public_url
    app.state.trusted_proxies = frozenset(trusted_proxies)
    app.router.routes.extend(protocol_routes)
    app.router.routes.extend(health_routes(readiness, metrics, metrics_access))
    app.router.routes.extend(problem_routes(entries, public_url))
    app.router.routes.append(openapi.route(app))
    for router in routers:
        app.include_router(router)
    openapi.install(app, public_url=public_url, paths=openapi_paths or {})
    _handle_errors(app)
    options = EdgeOptions(
        public_url=public_url,
        metrics=metrics,
        max_body_bytes=max_body_bytes,
        body_limits=dict(body_limits or {}),
        surface=surface,
        access_log_every=access_log_every,
        templates={
            route.endpoint: route.path for route in reversed(app.router.routes) if isinstance(route, Route)
        },
        any_origin=tuple(route for route in protocol_routes if isinstance(route, PublicRoute)),
        tracing=tracing,
    )
    app.add_middleware(Edge, options=options)
    return app


def _told(lifespan: Callable[[FastAPI], Any] | None) -> Callable[[FastAPI], Any] | None:
    """The lifespan, whose failure is logged as an exception; the server would write a text, and cut it."""
    if lifespan is None:
        return None

    @asynccontextmanager
    async def told(app: FastAPI) -> AsyncIterator[Any]:
        started = False
        try:
            async with lifespan(app) as state:
                started = True
                yield state
        except Exception:
            log.exception("service.not_stopped" if started else "service.not_started")
            raise

    return told


def _handle_errors(app: FastAPI) -> None:
    async def passport_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, PassportError | ProtocolError)  # noqa: S101 - what it is registered for
        return error_response(error, request.scope)

    async def malformed(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
        if any(fault["loc"][:1] == ("path",) for fault in error.errors()):
            # a path that cannot name anything names nothing: a lower-case ODS code, an id of another form
            return error_response(NotFound(), request.scope)
        errors = field_errors(error.errors(), error.body)
        if request.scope["state"].get("surface") == PROTOCOL:
            where = errors[0].pointer.rpartition("/")[2] if errors else "request"
            return error_response(
                ProtocolError("invalid_request", f"{where}: {errors[0].detail}"), request.scope
            )
        field = errors[0].pointer if len(errors) == 1 and errors[0].pointer.startswith("/") else None
        return error_response(
            Invalid("The request does not match its schema.", errors, field=field), request.scope
        )

    async def by_status(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
        pages: Pages | None = getattr(request.app.state, "pages", None)
        if error.status_code == 404 and pages is not None and is_reader(request):
            return pages.not_found(request)
        return error_response(_from_status(error), request.scope)

    app.add_exception_handler(PassportError, passport_error)
    app.add_exception_handler(ProtocolError, passport_error)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, by_status)


_BY_STATUS = {problem.status: problem for problem in [*COMMON.values()][::-1]}


def _from_status(error: HTTPException) -> PassportError:
    """What the framework itself refuses: 404, 405 and bodies it cannot parse."""
    details = {
        404: "There is nothing under this path for this client.",
        405: "This resource does not offer the method.",
        400: "The body cannot be read.",
    }
    problem = _BY_STATUS.get(error.status_code, COMMON["internal_error"])
    headers = dict(error.headers or {})
    return PassportError(problem, details.get(error.status_code, problem.title), headers=headers)
