"""The simulators as one ASGI application: workforce systems, registers, virtual wallets, switches."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.simulators import control, dsp, esr, register, wallet_api
from deploy.simulators.access import TOKEN_PATH, Admission
from deploy.simulators.answers import Refusal, json_response, oauth_error, operation_outcome, problem
from deploy.simulators.clients import SystemClients
from deploy.simulators.clock import SandboxClock
from deploy.simulators.dsp_records import SYSTEMS
from deploy.simulators.settings import Settings
from deploy.simulators.state import World
from deploy.simulators.wallets import VirtualWallets
from passport_shared.outbound import Outbound

READY_PATH = "/health/ready"
_DSP_PREFIXES = tuple(f"{system.prefix}/" for system in SYSTEMS)
_STATUS_DETAILS = {404: "There is nothing under this path.", 405: "This resource does not offer the method."}


def create_app(settings: Settings, *, outbound: Outbound | None = None) -> Starlette:
    """Build the application.

    Args:
        settings: where things are.
        outbound: the way out of the virtual wallets; made from the settings if not given.
    """
    clock = SandboxClock(settings.clock_file)
    world = World(clock, settings.day_file)
    admission = Admission(settings.public_url, SystemClients(settings.clients_file), clock)
    way_out = outbound or Outbound(ca_file=settings.tls_ca_file, allow=settings.outbound_allow)
    all_wallets = VirtualWallets(settings.folder / "wallets", settings.trust_file, way_out, clock)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await all_wallets.close()

    async def ready(_request: Request) -> Response:
        return json_response({"status": "ready"})

    async def tour(_request: Request) -> Response:
        if settings.tour is None or not settings.tour.is_file():
            raise Refusal(404, "not_found", "There is no tour yet: run make demo.")
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return Response(settings.tour.read_bytes(), media_type="text/html", headers=headers)

    app = Starlette(
        routes=[
            Route(READY_PATH, ready, methods=["GET"]),
            Route("/tour", tour, methods=["GET"]),
            Route(TOKEN_PATH, admission.token, methods=["POST"]),
            *dsp.routes(world, admission),
            *esr.routes(world, admission),
            *register.routes(world),
            *wallet_api.routes(all_wallets),
            *control.routes(world),
        ],
        lifespan=lifespan,
        exception_handlers={Refusal: _refused, HTTPException: _by_status, Exception: _failed},
    )
    app.router.redirect_slashes = False
    app.state.world = world
    app.add_middleware(_PeopleLeave, world=world)
    return app


class _PeopleLeave:
    """Before each request: those whose last day has come have left."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._world.due()
        await self._app(scope, receive, send)


def _answer(refusal: Refusal, path: str) -> Response:
    """The form of an error follows from where it happened."""
    if path.startswith(_DSP_PREFIXES):
        return operation_outcome(refusal)
    if path == TOKEN_PATH:
        return oauth_error(refusal)
    return problem(refusal, path)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 - what it is registered for
    return _answer(error, request.url.path)


async def _by_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    detail = _STATUS_DETAILS.get(error.status_code, "The request was refused.")
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    refusal = Refusal(error.status_code, code, detail, headers=dict(error.headers or {}))
    return _answer(refusal, request.url.path)


async def _failed(request: Request, _error: Exception) -> Response:
    return _answer(
        Refusal(500, "internal_error", "The simulator failed; its log says why."), request.url.path
    )
