"""How often client authentication may fail at the token endpoint, per address and client id (ADR-0029).

Only failures are counted, and they are counted after the assertion was checked: a client that authenticates
is never refused for what others tried under its id or from its address. What a limit takes from whoever
guesses is the answer, the log line and the row; an alarm hangs on the metric of the route's 429.
"""

from __future__ import annotations

from datetime import timedelta

from passport_shared.service.limits import Rate, RateLimiter

PER_ADDRESS = Rate(name="token.failures.address", limit=60, per=timedelta(minutes=1))
PER_CLIENT = Rate(name="token.failures.client", limit=30, per=timedelta(minutes=1))


async def count_failure(limiter: RateLimiter, *, address: str, client_id: str | None) -> timedelta | None:
    """Count one failed authentication; how long to wait if it was one too many, else None.

    The address comes first: an address that is over its limit can make no rows for ids it invents. Ids are
    counted whether or not there is such a client, so that the answer does not tell which there are.
    """
    wait = await limiter.unless_waiting(PER_ADDRESS, address)
    if wait is None and client_id is not None:
        wait = await limiter.unless_waiting(PER_CLIENT, client_id)
    return wait
