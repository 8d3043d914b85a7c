"""A process that dies at every step, one after the other, in the test's own process.

Death here is that nothing durable happens any more: from the step on every commit fails, so that no handler,
`finally` or shutdown repairs what a real process would have left lying. Then the application is started again
over the same database, and the act that was interrupted is done again, as a caller would. `Deaths.through`
repeats an act until it has died at every step and around every commit on its way, and has then succeeded.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TypeVar

from passport_shared.service import failpoints
from passport_shared.service.failpoints import Crash

T = TypeVar("T")
MANY = 400
"""Deaths of one act; more means that it never gets further."""


@dataclass
class Deaths:
    """Who dies where.

    Args:
        restart: closes what is dead and starts it again over the same database.
        alive: what must hold after every restart, before anything is done.
        advance: moves the clock, for acts whose leases have to run out.
    """

    restart: Callable[[], Awaitable[None]]
    alive: Callable[[], Awaitable[None]]
    advance: Callable[[timedelta], object]
    visited: set[tuple[str, str, int]] = field(default_factory=set)
    dead: bool = False
    _act: str | None = None
    _counts: Counter[str] = field(default_factory=Counter)

    @property
    def steps(self) -> set[str]:
        """The steps at which somebody has died."""
        return {step for _, step, _ in self.visited}

    async def through(
        self, name: str, act: Callable[[], Awaitable[T]], *, later: timedelta = timedelta(seconds=1)
    ) -> T:
        """Do an act, dying at every step of it in turn; what it gave when it was left in peace."""
        for _ in range(MANY):
            self._counts.clear()
            self._act = name
            fault: BaseException | None = None
            try:
                made = await act()
            except BaseException as error:  # noqa: BLE001 - a death is one, and what it turned into
                fault = error
            self._act = None
            if not self.dead:
                if fault is not None:
                    raise fault
                return made
            await self.restart()
            self.dead = False
            self.advance(later)
            await self.alive()
        raise AssertionError(f"{name} has died {MANY} times and never gets further")

    def refuse(self) -> None:
        """Nothing is durable any more once the process is dead."""
        if self.dead:
            raise Crash

    def reached(self, step: str) -> None:
        """Die here the first time that this act comes by."""
        self.refuse()
        if self._act is None:
            return
        self._counts[step] += 1
        place = (self._act, step, self._counts[step])
        if place not in self.visited:
            self.visited.add(place)
            self.dead = True
            raise Crash


COMMITS = (failpoints.BEFORE_COMMIT, failpoints.AFTER_COMMIT)


def named_steps(*services: str) -> tuple[str, ...]:
    """The named steps of these services and of the kit, without the two around every commit.

    Who dies right after a commit never comes to the step that is named behind it, as the act is done by then:
    so the named steps and the commits are died at in two journeys.
    """
    every = (step for service in (failpoints.KIT, *services) for step in failpoints.steps(service))
    return tuple(step for step in every if step not in COMMITS)


@contextlib.contextmanager
def armed_at(deaths: Deaths, steps: Iterable[str]) -> Iterator[None]:
    """Die at these steps; nothing is ever committed by the dead."""
    wanted = set(steps)
    with contextlib.ExitStack() as held:
        for step in wanted:
            held.enter_context(failpoints.armed(step, partial(deaths.reached, step)))
        if failpoints.BEFORE_COMMIT not in wanted:
            held.enter_context(failpoints.armed(failpoints.BEFORE_COMMIT, deaths.refuse))
        yield
