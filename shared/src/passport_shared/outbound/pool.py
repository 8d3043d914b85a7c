"""A connection pool that closes no connection which a request has been given.

httpcore gives a request an idle connection, and the request begins on the next turn of the event loop. Until
then the connection still counts as idle: another request that comes or ends in between takes it for one that
was idle too long, or for one too many, and closes it while the first one waits for its answer. That breaks
with a read error though its server closed nothing (httpcore 1.0.9 and encode/httpcore#1110, which is open).
"""

from __future__ import annotations

import httpcore
from httpcore._async.interfaces import AsyncConnectionInterface


class SettledPool(httpcore.AsyncConnectionPool):
    """httpcore's pool; what is given to a request stays open until that request is done with it."""

    def _assign_requests_to_connections(self) -> list[AsyncConnectionInterface]:
        closing = super()._assign_requests_to_connections()
        given = {id(request.connection) for request in self._requests if request.connection is not None}
        self._connections += [connection for connection in closing if id(connection) in given]
        return [connection for connection in closing if id(connection) not in given]
