"""Spans by the OpenTelemetry SDK, sent by OTLP over HTTP; loaded only where traces are switched on.

The SDK's global provider is left alone, and its instrumentation packages are not used: they would note URLs
and statements. Where a span stands is our own context variable (``passport_shared.outbound.spans``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from passport_shared.outbound.spans import Fact, SpanKind

EXPORT_TIMEOUT_S = 2.0
"""For one batch; with the size of the queue it bounds how long a stop waits for a collector that is away."""
QUEUE, BATCH = 2_048, 512
SCHEDULE_MS = 2_000.0

FACTS = {
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "peer": "passport.peer",
    "database": "db.system.name",
}
"""Our names of facts, and those of OpenTelemetry's conventions. A span can have no other attribute but
``error.type``."""

_KINDS = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
}
# W3C Trace Context, section 3.2.2: version ff is forbidden, later versions begin like version 00.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


class SdkSpan:
    """A span of the SDK as the rest of our code sees it."""

    __slots__ = ("_span", "_tracer", "traceparent")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        context = span.get_span_context()
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 1:02x}"

    def begin(self, name: str, kind: SpanKind) -> SdkSpan:
        """A span inside this one."""
        within = trace.set_span_in_context(self._span)
        return SdkSpan(self._tracer, self._tracer.start_span(name, within, _KINDS[kind]))

    def note(self, **facts: Fact) -> None:
        """Add facts under the names of the conventions.

        Raises:
            KeyError: no span may tell this.
        """
        self._span.set_attributes({FACTS[name]: value for name, value in facts.items()})

    def rename(self, name: str) -> None:
        """Give the name that is known only now."""
        self._span.update_name(name)

    def end(self, failure: str | None = None) -> None:
        """Done, or failed for this reason."""
        if failure is not None:
            self._span.set_attribute("error.type", failure)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class Provider:
    """Makes the spans of one application and sends them in batches."""

    def __init__(self, resource: Mapping[str, str], exporter: SpanExporter, share: float) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)),
            # The plain constructor: nothing of the machine or the environment is added.
            resource=Resource(resource),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=QUEUE,
                max_export_batch_size=BATCH,
                schedule_delay_millis=SCHEDULE_MS,
            )
        )
        self._tracer = self._provider.get_tracer("passport_shared")

    def begin(self, name: str, kind: SpanKind, traceparent: str | None) -> SdkSpan:
        """A span inside the one ``traceparent`` names, or the first of a trace."""
        within = trace.set_span_in_context(_remote(traceparent), Context())
        return SdkSpan(self._tracer, self._tracer.start_span(name, within, _KINDS[kind]))

    def shutdown(self) -> None:
        """Send what is left and stop; blocks for a few seconds at most."""
        self._provider.shutdown()


def _remote(traceparent: str | None) -> trace.Span:
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None:
        return trace.INVALID_SPAN
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    # Ids of zeros are invalid, which the SDK treats as no parent.
    return trace.NonRecordingSpan(
        trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags & 1))
    )


def exporter(endpoint: str, ca_file: Path | None) -> SpanExporter:
    """Sends to a collector over https; its certificate is trusted by ``ca_file``, or by the public ones."""
    session = requests.Session()
    # Else a proxy or a bundle of authorities that the environment names would outdo the settings.
    session.trust_env = False
    return OTLPSpanExporter(
        endpoint=endpoint,
        session=session,
        certificate_file=None if ca_file is None else str(ca_file),
        timeout=EXPORT_TIMEOUT_S,
    )
