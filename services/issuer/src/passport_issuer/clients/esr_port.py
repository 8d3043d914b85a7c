"""An employee record system behind the ESR-shaped port (docs/workforce): people, records, a feed of changes.

Lists come in pages. A cursor that is given twice, or more pages than the connection allows, means a list
without an end: it is refused as a whole, but for the feed, which simply goes on at its next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ValidationError

from passport_issuer.clients.workforce import (
    MAX_RECORDS_BYTES,
    Line,
    Wanted,
    WorkforceError,
    WorkforceReason,
    segment,
)
from passport_issuer.rules import workforce
from passport_issuer.rules.workforce import ForeignPerson, ForeignRecords
from passport_issuer.rules.workforce_esr import LISTS, person_of
from passport_issuer.rules.workforce_names import folded
from passport_shared.wire.esr_port import Change, Person

MAX_CANDIDATES = 50
MAX_CURSOR = 256

M = TypeVar("M", bound=BaseModel)


class EsrPort:
    """One connection to an employee record system."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._root = f"{line.base_url.rstrip('/')}/{line.ods}"

    async def status(self) -> None:
        """Whether the system says that it is up."""
        answer = await self._line.get(f"{self._root}/status", public=True)
        if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
            raise WorkforceError(WorkforceReason.GARBAGE)
        if answer["status"] != "up":
            raise WorkforceError(WorkforceReason.UNHEALTHY)

    async def search(self, wanted: Wanted) -> list[ForeignPerson]:
        """People by family name and birthdate with and without accents, by family name, or by assignment."""
        if wanted.person_id is not None:
            try:
                return [await self.person(wanted.person_id)]
            except WorkforceError as error:
                if error.reason is WorkforceReason.NOT_FOUND:
                    return []
                raise
        found: dict[str, ForeignPerson] = {}
        for query in _queries(wanted):
            for item in await self._pages(f"{self._root}/persons", query):
                person = person_of(_read(Person, item))
                found.setdefault(person.person_id, person)
                if len(found) >= MAX_CANDIDATES:
                    return list(found.values())
        return list(found.values())

    async def person(self, person_id: str) -> ForeignPerson:
        """One person with employment status and leaving date."""
        return person_of(_read(Person, await self._line.get(self._person(person_id))))

    async def records(self, person_id: str) -> ForeignRecords:
        """A person with assignments, registrations and checks, read side by side."""
        below = self._person(person_id)
        try:
            async with asyncio.TaskGroup() as calls:
                asked = calls.create_task(self.person(person_id))
                lists = {name: calls.create_task(self._pages(f"{below}/{name}", {})) for name in LISTS}
        except ExceptionGroup as failures:
            # The others are cancelled by now; one reason is enough.
            raise failures.exceptions[0] from None
        person = asked.result()
        records = {name: tuple(task.result()) for name, task in lists.items()}
        return ForeignRecords(person=person, answered_id=person.person_id, records=records)

    async def changes(self, cursor: str | None) -> AsyncIterator[Sequence[workforce.Change]]:
        """Pages of the feed after a cursor, as many as the connection allows in one turn."""
        for _ in range(self._line.max_pages):
            query = {} if cursor is None else {"cursor": cursor}
            answer = await self._page(f"{self._root}/changes", query)
            read = [_read(Change, item) for item in answer["items"]]
            if not read:
                return
            if read[-1].cursor == cursor:
                raise WorkforceError(WorkforceReason.ENDLESS)
            cursor = read[-1].cursor
            yield [workforce.Change(cursor=c.cursor, kind=c.kind, person_id=c.person_id) for c in read]
            if answer.get("next") is None:
                return

    def _person(self, person_id: str) -> str:
        return f"{self._root}/persons/{segment(person_id)}"

    async def _pages(self, url: str, query: dict[str, str]) -> list[Any]:
        found: list[Any] = []
        seen: set[str] = set()
        for _ in range(self._line.max_pages):
            answer = await self._page(url, query)
            found.extend(answer["items"])
            following = answer.get("next")
            if following is None:
                return found
            if not isinstance(following, str) or not 0 < len(following) <= MAX_CURSOR:
                raise WorkforceError(WorkforceReason.GARBAGE)
            if following in seen:
                raise WorkforceError(WorkforceReason.ENDLESS)
            seen.add(following)
            query = {**query, "cursor": following}
        raise WorkforceError(WorkforceReason.ENDLESS)

    async def _page(self, url: str, query: dict[str, str]) -> dict[str, Any]:
        suffix = f"?{urlencode(query)}" if query else ""
        answer = await self._line.get(url + suffix, max_bytes=MAX_RECORDS_BYTES)
        if not isinstance(answer, dict) or not isinstance(answer.get("items"), list):
            raise WorkforceError(WorkforceReason.GARBAGE)
        return answer


def _queries(wanted: Wanted) -> list[dict[str, str]]:
    if wanted.assignment_number is not None:
        return [{"assignment_number": wanted.assignment_number}]
    family_name = (wanted.family_name or "").strip()
    if not family_name:
        raise WorkforceError(WorkforceReason.REFUSED)
    born = {"birthdate": wanted.birthdate} if wanted.birthdate else {}
    queries = [{"family_name": family_name, **born}]
    plain = folded(family_name)
    if plain and plain != family_name.casefold():
        queries.append({"family_name": plain, **born})
    if born:
        # Somebody whose birthdate differs is a candidate too, to be looked at and not overlooked.
        first = (wanted.given_name or "").split()[:1]
        named = {"given_name": first[0]} if first else {}
        queries.append({"family_name": family_name, **named})
    return queries


def _read(model: type[M], item: Any) -> M:
    try:
        return model.model_validate(item)
    except ValidationError:
        raise WorkforceError(WorkforceReason.GARBAGE) from None
