"""The place of what is being done in a trace, where traces are switched on (ADR-0032).

A span has a begin, an end, a name from our code, and facts with a closed set of values: never a path, a
query, a body, an id of a person or an error's text. Who serves a request or runs a task sets `CURRENT`; what
happens inside is one span more for each call and each unit of work on the database. Nothing here knows a
tracing library: without one `CURRENT` is None, and `span` does nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from enum import StrEnum
from types import TracebackType
from typing import Protocol

from passport_shared.outbound.errors import OutboundError

Fact = str | int


class SpanKind(StrEnum):
    """Who stands at the other end."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


class Span(Protocol):
    """Something that is under way."""

    @property
    def traceparent(self) -> str:
        """This span as the parent of what another service does for it (W3C Trace Context, section 3.2)."""

    def begin(self, name: str, kind: SpanKind) -> Span:
        """A span inside this one."""

    def note(self, **facts: Fact) -> None:
        """Add facts; the names are keys of ``FACTS``."""

    def rename(self, name: str) -> None:
        """Give the name that is known only now."""

    def end(self, failure: str | None = None) -> None:
        """Done; ``failure`` is a reason of a closed set, or an exception's type."""


CURRENT: ContextVar[Span | None] = ContextVar("span", default=None)
"""What is being done; None where nothing is traced."""


class span:
    """``with span("database write", SpanKind.CLIENT) as inner``: a span inside the current one, or None.

    What leaves the block by an exception ends as a failure of that type; its message is told nowhere.
    """

    __slots__ = ("_kind", "_name", "_outer", "_span")

    def __init__(self, name: str, kind: SpanKind) -> None:
        self._name = name
        self._kind = kind
        self._outer: Span | None = None
        self._span: Span | None = None

    def __enter__(self) -> Span | None:
        self._outer = CURRENT.get()
        if self._outer is not None:
            self._span = self._outer.begin(self._name, self._kind)
            CURRENT.set(self._span)
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._span is not None:
            # No token: what a generator began may be closed from another context.
            CURRENT.set(self._outer)
            self._span.end(None if error is None else failure_of(error))


def failure_of(error: BaseException) -> str:
    """What a span may tell of an exception: the reason why no answer came, or its type; never its message."""
    return error.reason.value if isinstance(error, OutboundError) else type(error).__qualname__


def placed() -> dict[str, str]:
    """The header that tells another service its place in the trace; empty where nothing is traced."""
    current = CURRENT.get()
    return {} if current is None else {"Traceparent": current.traceparent}
