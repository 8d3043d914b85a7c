"""Status lists unpacked in memory, so that a decision reads no list from the database it has seen lately.

Bounded: the least recently used list goes first. Another replica's newer list is seen within seconds. A token
is verified again whenever it is loaded: the database is not trusted to have kept it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from passport_shared.formats.clock import Clock
from passport_shared.formats.status_list import StatusListError, StatusToken, read_token
from passport_shared.service.db import Database
from passport_verifier.store import status_lists

SEEN_FOR = timedelta(seconds=5)


class StatusMemory:
    """Status lists by uri.

    Args:
        size: most lists kept unpacked, about 32 KiB each.
    """

    def __init__(self, db: Database, clock: Clock, *, size: int) -> None:
        self._db = db
        self._clock = clock
        self._size = size
        self._lists: OrderedDict[str, tuple[StatusToken | None, datetime]] = OrderedDict()

    async def get_many(
        self, uris: Collection[str], roots: Sequence[bytes], *, as_stored: bool = False
    ) -> dict[str, StatusToken | None]:
        """The kept lists, whatever their age; None where none is held.

        ``as_stored`` looks at what is stored even if that was seen a moment ago: for a decision that is
        judged again because a list came, perhaps to another replica.
        """
        return {uri: await self.get(uri, roots, as_stored=as_stored) for uri in dict.fromkeys(uris)}

    async def get(self, uri: str, roots: Sequence[bytes], *, as_stored: bool = False) -> StatusToken | None:
        """One kept list."""
        now = self._clock.now()
        token, seen_at = self._lists.get(uri, (None, None))
        if not as_stored and seen_at is not None and timedelta(0) <= now - seen_at < SEEN_FOR:
            self._lists.move_to_end(uri)
            return token
        async with self._db.read() as conn:
            stored = await status_lists.get(conn, uri)
        if stored is None or stored.token is None:
            self._keep(uri, None, now)
            return None
        if token is None or token.iat != stored.iat:
            token = _verified(uri, stored.token, roots, stored.iat or now)
        self._keep(uri, token, now)
        return token

    def forget(self, uri: str) -> None:
        """Load the list anew at the next question."""
        self._lists.pop(uri, None)

    def _keep(self, uri: str, token: StatusToken | None, now: datetime) -> None:
        self._lists[uri] = (token, now)
        self._lists.move_to_end(uri)
        while len(self._lists) > self._size:
            self._lists.popitem(last=False)


def _verified(uri: str, token: str, roots: Sequence[bytes], at: datetime) -> StatusToken | None:
    """The token as it was accepted; how old it may be is judged when it is used."""
    try:
        return read_token(token, uri=uri, now=at, roots=roots)
    except StatusListError:
        return None
