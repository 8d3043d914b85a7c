"""Logs and metrics of one service (style.md §4.7).

Logs are JSON lines through structlog; the standard library's loggers and uvicorn's are routed through the
same processors, so that redaction sees everything. Metrics live in a registry per application; their labels
are route templates and closed reasons, never values from a request.
"""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from passport_shared.service import log_keys
from passport_shared.service import metric_names as m
from passport_shared.service.measuring import Counts, States
from passport_shared.service.metric_names import Metric
from passport_shared.service.redaction import describe_exception, redact
from passport_shared.service.traceback_text import explain_traceback

METRICS_MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one application, in its own registry: two applications in one process do not meet."""

    def __init__(self, service: str, version: str) -> None:
        # The creation time of every series would double their number.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.requests = self._counter(m.HTTP_REQUESTS)
        self.duration = Histogram(
            m.HTTP_DURATION.name,
            m.HTTP_DURATION.help,
            m.HTTP_DURATION.labels,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.outcomes = self._counter(m.OUTCOMES)
        self.ready = self.gauge(m.READY)
        self.gauge(m.BUILD_INFO).labels(service, version).set(1)
        self._sources: list[Counts | States] = []

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def adopt(self, *sources: Counts | States) -> None:
        """Expose an opened service's counts and states, in the place of those of an earlier opening."""
        for source in self._sources:
            self.registry.unregister(source)
        self._sources = list(sources)
        for source in sources:
            self.registry.register(source)

    async def refresh(self) -> None:
        """Read the states anew, before a scrape."""
        for source in self._sources:
            if isinstance(source, States):
                await source.refresh()

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; looking a series up by its labels costs more than counting."""
        key = (method, route, status)
        series = self._series.get(key)
        if series is None:
            counter = self.requests.labels(method, route, str(status))
            series = self._series[key] = (counter, self.duration.labels(method, route))
        series[0].inc()
        series[1].observe(seconds)

    def outcome(self, event: str, reason: str = "ok") -> None:
        """Count one outcome; both labels come from closed sets in our code, never from a request."""
        self.outcomes.labels(event, reason).inc()

    def gauge(self, metric: Metric) -> Gauge:
        """A gauge of the catalogue, such as the age of a snapshot; asked for again, the same one."""
        kept = self._gauges.get(metric.name)
        if kept is None:
            kept = self._gauges[metric.name] = Gauge(
                metric.name, metric.help, metric.labels, registry=self.registry
            )
        return kept

    def render(self) -> bytes:
        """The text exposition."""
        return generate_latest(self.registry)


def configure_logging(
    service: str, version: str, *, level: str = "info", stream: TextIO | None = None
) -> None:
    """Route every logger of the process through one JSON renderer.

    Args:
        service: bound to every line.
        version: bound to every line.
        level: debug, info, warning or error.
        stream: standard error by default.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        _add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _bind(service, version),
        _explain_exception,
        explain_traceback,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in (
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "asyncio",
        "sqlalchemy",
        "alembic",
        "httpx",
        "httpcore",
    ):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # Every outbound request at INFO would write URLs, and statements at INFO would write values.
    for name in ("httpx", "httpcore", "aiosqlite", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True


def _bind(service: str, version: str) -> structlog.typing.Processor:
    def bind(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault(log_keys.SERVICE, service)
        event.setdefault(log_keys.VERSION, version)
        return event

    return bind


def _add_logger_name(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    record = event.get("_record")
    if record is not None:
        event["logger"] = record.name
    return event


def _explain_exception(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = describe_exception(error)
    return event
