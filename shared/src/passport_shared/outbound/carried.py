"""What a call carries on from the request it was made for: its id, and its place in a trace.

Whoever serves a request sets it; every call made on behalf of it then sends it, so that one id leads through
the logs of all services. Ids of a narrow form only, and never ours for a person or a client; but who gives an
id of their own chooses what it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar

CARRIED: ContextVar[Mapping[str, str]] = ContextVar("carried", default={})  # noqa: B039 - never changed in place
"""Headers to send along: ``X-Request-ID`` and ``Traceparent``."""
