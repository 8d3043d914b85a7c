"""What a call carries on from the request it was made for: its id, and its place in a trace.

Whoever serves a request sets it; every call made on behalf of it then sends it, so that one id leads through
the logs of all services. Random ids only: nothing about a person or a client is ever carried.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

CARRIED: ContextVar[Mapping[str, str]] = ContextVar("carried", default={})  # noqa: B039 - never changed in place
"""Headers to send along: ``X-Request-ID`` and ``Traceparent``."""
