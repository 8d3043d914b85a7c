"""Gate G-B at a service: whether an actor is one of the trust's trained HR users (domain.md §10d).

Judged from the client directory this service holds; without a current one nobody is authenticated in the
first place, so nothing is decided here that was not decided there.
"""

from __future__ import annotations

from typing import Protocol

from passport_shared.formats.clock import Clock
from passport_shared.service.auth import Actor
from passport_shared.service.client_directory import ClientDirectory
from passport_shared.wire.clients import Directory
from passport_shared.wire.hr_users import Duty, HrUserFinding, finding


class HoldsDirectory(Protocol):
    """What holds the signed client directory."""

    async def directory(self) -> Directory:
        """The current directory; DirectoryUnavailable when none is held."""
        ...


class KnownClients(ClientDirectory, HoldsDirectory, Protocol):
    """A directory that tells clients and HR users."""


class HrUsers:
    """Looks actors up among the HR users of the held directory."""

    def __init__(self, source: HoldsDirectory, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    async def finding(
        self, organisation: str, actor: Actor, duty: Duty, *, urgent: bool = False
    ) -> HrUserFinding:
        """Gate G-B for this actor's act.

        Raises:
            DirectoryUnavailable: no current directory is held.
        """
        directory = await self._source.directory()
        return hr_user_gate(directory, organisation, actor, duty, self._clock, urgent=urgent)


def hr_user_gate(
    directory: Directory, organisation: str, actor: Actor, duty: Duty, clock: Clock, *, urgent: bool = False
) -> HrUserFinding:
    """Gate G-B from one directory."""
    return finding(
        directory.hr_users,
        directory.keep_hr_users,
        organisation=organisation,
        subject=actor.ref,
        duty=duty,
        now=clock.now(),
        urgent=urgent,
    )
