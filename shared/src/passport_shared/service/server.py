"""Serving an application: uvicorn with uvloop and httptools, TLS by itself, one process (platform.md §5).

There is no http mode. A socket may be given by number (``fd://N``), which is how a supervisor or a test binds
a port before the process exists. At a stop, open requests get the grace time; then the lifespan closes what
it opened.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from datetime import datetime, timedelta
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from passport_shared.service import failpoints
from passport_shared.service.bounded_protocol import BoundedHttpProtocol
from passport_shared.service.metric_names import TLS_DAYS
from passport_shared.service.settings import ServiceSettings
from passport_shared.service.tls_files import TlsFiles

YOUNG_OBJECTS = 5_000
"""How many new objects make the garbage collector look at them; a request makes some hundreds."""

log = structlog.get_logger(__name__)


class CannotServe(RuntimeError):
    """The service refuses to start; the message says what to do."""


def listen(bind: str) -> socket.socket:
    """Open or inherit the listening socket.

    Raises:
        CannotServe: the address is in use, or the number is no socket.
    """
    try:
        if bind.startswith("fd://"):
            return socket.socket(fileno=int(bind.removeprefix("fd://")))
        host, _, port = bind.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=512)
    except OSError as error:
        raise CannotServe(f"cannot listen on {bind}: {error.strerror or error}") from None


def serve(app: FastAPI, settings: ServiceSettings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        CannotServe: no TLS certificate is configured, the address cannot be bound, or a failpoint is unknown.
    """
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        raise CannotServe(
            f"there is no http mode: set {settings.prefix()}TLS_CERT_FILE and {settings.prefix()}TLS_KEY_FILE"
        )
    _arm(settings.failpoint)
    listener = listen(settings.bind)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        # Identifiers come from settings; nothing a proxy or a caller says about the address is believed.
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_grace.total_seconds())),
        ssl_certfile=str(settings.tls_cert_file),
        ssl_keyfile=str(settings.tls_key_file),
    )
    server = _Server(config, app, (settings.tls_cert_file, settings.tls_key_file))
    log.info("service.started", uri=settings.public_url)
    for stop in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal once more when it has stopped; a stop that was asked for is no failure.
        signal.signal(stop, lambda *_: None)
    settle_collector()
    try:
        server.run(sockets=[listener])
    except SystemExit:
        raise CannotServe("the service could not start; the log says why") from None
    log.info("service.stopped")


def settle_collector() -> None:
    """Keep the garbage collector from what was made at the start: it is most of the heap, and none goes.

    Looking through it stopped requests for milliseconds at a time and cost a tenth of the processor time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def _arm(setting: str | None) -> None:
    if setting is None:
        return
    try:
        failpoints.arm_setting(setting)
    except ValueError as error:
        raise CannotServe(str(error)) from None
    log.warning("failpoint.armed", step=setting)


class _Server(uvicorn.Server):
    """uvicorn, with the TLS files read again while it runs."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, files: tuple[Path, Path]) -> None:
        super().__init__(config)
        self._app = app
        self._files = files

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.config.ssl is None or self.should_exit:
            return
        state = self._app.state

        def left(until: datetime) -> float:
            remaining: timedelta = until - state.clock.now()
            return remaining.total_seconds() / 86_400

        def told(until: datetime) -> None:
            state.metrics.gauge(TLS_DAYS).set_function(lambda: left(until))

        self._watching = asyncio.create_task(TlsFiles(*self._files, self.config.ssl, told).watch())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        watching = getattr(self, "_watching", None)
        if watching is not None:
            watching.cancel()
        await super().shutdown(sockets=sockets)
