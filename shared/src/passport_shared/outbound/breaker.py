"""Per host: a small circuit breaker and a budget of concurrent calls.

After `THRESHOLD` failures in a row a host is left alone for `OPEN_FOR_S`; then one call is let through to
see. A slow or dead peer thus costs its own callers a quick refusal and nobody else anything.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from passport_shared.outbound.errors import OutboundError, OutboundReason

THRESHOLD = 5
OPEN_FOR_S = 30.0
MAX_HOSTS = 1_024

FAILURES = frozenset(
    {
        OutboundReason.NAME_NOT_RESOLVED,
        OutboundReason.CONNECT_FAILED,
        OutboundReason.TLS_FAILED,
        OutboundReason.CONNECTION_BROKEN,
        OutboundReason.TIMED_OUT,
    }
)
"""Reasons that say the host is unwell; what it says in good health (a wrong type, too much) is not one."""

ANSWERED = frozenset({OutboundReason.TOO_LARGE, OutboundReason.CONTENT_ENCODING})
"""Reasons that only a host which is up can give."""


class HostGate:
    """The state of one host."""

    def __init__(self, per_host: int, monotonic: Callable[[], float]) -> None:
        self._turns = asyncio.Semaphore(per_host)
        self._monotonic = monotonic
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False
        self.users = 0

    def enter(self) -> bool:
        """Whether this call is the probe of an open breaker; raises breaker_open if calls are held back."""
        if self._opened_at is None:
            return False
        if self._probing or self._monotonic() - self._opened_at < OPEN_FOR_S:
            raise OutboundError(OutboundReason.BREAKER_OPEN, "the host failed repeatedly and is left alone")
        self._probing = True
        return True

    def succeeded(self) -> None:
        """The host answered."""
        self._failures, self._opened_at = 0, None

    def failed(self) -> None:
        """The host did not answer as a healthy one does."""
        self._failures += 1
        if self._failures >= THRESHOLD:
            self._opened_at = self._monotonic()

    def probed(self) -> None:
        """The probe is over, however it ended."""
        self._probing = False

    @property
    def turns(self) -> asyncio.Semaphore:
        """The budget of concurrent calls."""
        return self._turns


class HostGates:
    """Gates by `host:port`; the longest unused are forgotten."""

    def __init__(self, per_host: int, monotonic: Callable[[], float]) -> None:
        self._per_host = per_host
        self._monotonic = monotonic
        self._gates: OrderedDict[str, HostGate] = OrderedDict()

    @asynccontextmanager
    async def through(self, name: str) -> AsyncIterator[HostGate]:
        """Hold a turn at the host; OutboundError breaker_open without waiting if it is left alone.

        The block reports `succeeded` or `failed` itself for answers; an OutboundError that leaves it counts
        by reason.
        """
        gate = self._gate(name)
        probe = gate.enter()
        gate.users += 1
        try:
            async with gate.turns:
                # Whoever waited for a turn while the host was found dead does not try it once more.
                probe = probe or gate.enter()
                yield gate
        except OutboundError as error:
            if error.reason in FAILURES:
                gate.failed()
            elif error.reason in ANSWERED:
                gate.succeeded()
            raise
        finally:
            gate.users -= 1
            if probe:
                gate.probed()

    def _gate(self, name: str) -> HostGate:
        gate = self._gates.get(name)
        if gate is None:
            gate = self._gates[name] = HostGate(self._per_host, self._monotonic)
            for other, idle in list(self._gates.items()):
                if len(self._gates) <= MAX_HOSTS:
                    break
                if idle.users == 0 and idle is not gate:
                    del self._gates[other]
        self._gates.move_to_end(name)
        return gate
