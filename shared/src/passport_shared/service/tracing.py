"""Traces, where an operator switches them on with ``TRACES_ENDPOINT`` (ADR-0032); else no SDK is loaded.

One span for each request, call to another host, periodic run, job and unit of work on the database, made by
ourselves in those five places. A span tells of a request the method, the route's template and the status; of
a call the kind of host, never which; of a failure its reason or type. There is nothing in it to redact.

`Tracing` belongs to one application and opens and closes with it: two applications in one process do not
meet.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import FastAPI

from passport_shared.outbound.spans import CURRENT, Span, SpanKind, failure_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export import SpanExporter

    from passport_shared.service.settings import ServiceSettings
    from passport_shared.service.tracing_sdk import Provider

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[None]])

_NEEDED = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")


class TracesUnavailable(RuntimeError):
    """Traces are switched on, and what they need is not installed; the message says what to do."""


class Tracing:
    """The traces of one application.

    Args:
        service: ``registry``, ``issuer`` or ``verifier``.
        version: the service's version.
        exporter: makes what spans are given to; it is called at each opening.
        share: which part of the traces that begin here is kept, 0 to 1. A trace that began elsewhere is kept
            as its ``traceparent`` says.
    """

    def __init__(
        self, service: str, version: str, exporter: Callable[[], SpanExporter], *, share: float = 1.0
    ) -> None:
        self._resource = {"service.name": f"passport-{service}", "service.version": version}
        self._exporter = exporter
        self._share = share
        self._provider: Provider | None = None

    def open(self) -> None:
        """Begin to collect; spans are sent in batches, by a thread of their own."""
        from passport_shared.service.tracing_sdk import Provider

        self._provider = Provider(self._resource, self._exporter(), self._share)

    async def close(self) -> None:
        """Send what was collected and stop; an unreachable collector takes some seconds and nothing else."""
        if self._provider is not None:
            provider, self._provider = self._provider, None
            await asyncio.to_thread(provider.shutdown)

    def served(self, traceparent: str | None) -> Span | None:
        """Begin the span of a request, inside the caller's if it names one; None while not open."""
        return (
            None if self._provider is None else self._provider.begin("request", SpanKind.SERVER, traceparent)
        )

    @contextmanager
    def background(self, name: str) -> Iterator[None]:
        """The span of a periodic run or a job: a trace of its own; ``name`` is one of our code."""
        provider = self._provider
        if provider is None:
            yield
            return
        inner = provider.begin(name, SpanKind.INTERNAL, None)
        outer = CURRENT.get()
        CURRENT.set(inner)
        failure: str | None = None
        try:
            yield
        except BaseException as error:
            failure = failure_of(error)
            raise
        finally:
            CURRENT.set(outer)
            inner.end(failure)


def tracing_of(settings: ServiceSettings, service: str, version: str) -> Tracing | None:
    """The traces that the settings switch on; None, and nothing loaded, where they do not.

    Raises:
        TracesUnavailable: switched on, and the extra is not installed.
    """
    endpoint = settings.traces_endpoint
    if endpoint is None:
        return None
    if not installed():
        raise TracesUnavailable(missing(settings.prefix()))
    from passport_shared.service.tracing_sdk import exporter

    ca_file = settings.tls_ca_file
    return Tracing(service, version, lambda: exporter(endpoint, ca_file), share=settings.traces_share)


def installed() -> bool:
    """Whether the extra ``traces`` is there; looks, and loads nothing but the packages' outer folders."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in _NEEDED)
    except ModuleNotFoundError:
        return False


def missing(prefix: str) -> str:
    """What a person reads who has switched traces on without the extra."""
    package = prefix.removesuffix("_").replace("_", "-").lower()
    return (
        f"traces need packages that are not installed: install {package}[traces], or unset "
        f"{prefix}TRACES_ENDPOINT"
    )


def traced_lifespan(tracing: Tracing, lifespan: Lifespan | None) -> Lifespan:
    """An application's lifespan, with its traces open around it."""

    @asynccontextmanager
    async def traced(app: FastAPI) -> AsyncIterator[Any]:
        tracing.open()
        try:
            if lifespan is None:
                yield None
                return
            async with lifespan(app) as state:
                yield state
        finally:
            await tracing.close()

    return traced


def traced_handler(tracing: Tracing, kind: str, handler: Handler) -> Handler:
    """A job's handler that leaves a span for each run."""

    async def run(*arguments: Any) -> None:
        with tracing.background(f"job {kind}"):
            await handler(*arguments)

    return run  # type: ignore[return-value]
