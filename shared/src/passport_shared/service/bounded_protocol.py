"""uvicorn's HTTP protocol with a bound on the head of a request, in bytes and in time.

httptools collects a request line and headers of any size for as long as they take to come, and uvicorn waits
for ever for the first byte: both are ways to hold memory and connections without sending a request. Bodies
are bounded by the edge middleware.

At a stop an idle connection is closed, and not waited for: a client that keeps it in a pool does not read, so
it would not answer the end of TLS for as long as the whole grace time.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536
HEAD_TIMEOUT_S = 15.0
FAREWELL_S = 1.0


class BoundedHttpProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is too large or too slow."""

    head_timeout_s = HEAD_TIMEOUT_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._head_arrived()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close an idle connection now; one with an open request closes after its answer."""
        super().shutdown()
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to an unfinished head."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request head is too large.")

    def on_message_begin(self) -> None:
        """A further request on the connection has begun."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is complete; the edge takes over."""
        self._head_arrived()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """What comes next is another head, which may take as long to begin as keep-alive allows."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def _expect_head(self) -> None:
        self._head_arrived()
        self._in_head = True
        self._deadline = self.loop.call_later(self.head_timeout_s, self._too_slow)

    def _head_arrived(self) -> None:
        self._in_head = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
