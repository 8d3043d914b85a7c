"""A workforce system behind the NHS DSP API standard (contracts/nhs-dsp): search, person, records, status.

A system with an instance per organisation is deployed at `…/organisations/<ODS>` and leaves that part out of
its operations; a base URL that ends so is understood. The standard's search is exact but for case, so accents
are searched with and without. There is no feed: such a system sends thin events instead.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlencode

from pydantic import ValidationError

from passport_issuer.clients.workforce import (
    MAX_RECORDS_BYTES,
    Line,
    Wanted,
    WorkforceError,
    WorkforceReason,
    segment,
)
from passport_issuer.rules.workforce import Change, ForeignPerson, ForeignRecords
from passport_issuer.rules.workforce_dsp import LIST, person_of
from passport_issuer.rules.workforce_names import folded
from passport_shared.formats.strict import JsonValue
from passport_shared.wire.dsp_api import MAX_CANDIDATES, EmployeePersonalDetails

HEALTH = ("application/health+json", "application/json")


class DspApi:
    """One connection to a system that speaks the standard."""

    def __init__(self, line: Line) -> None:
        self._line = line
        base = line.base_url.rstrip("/")
        own = f"/organisations/{line.ods}"
        self._root = base if base.endswith(own) else base + own

    async def status(self) -> None:
        """`Get API status`: 200 whatever the health, which the body tells; open to everybody."""
        answer = await self._line.get(f"{self._root}/_status", accept=HEALTH, public=True)
        if not isinstance(answer, dict) or answer.get("status") not in ("pass", "fail", "warn"):
            raise WorkforceError(WorkforceReason.GARBAGE)
        if answer["status"] == "fail":
            raise WorkforceError(WorkforceReason.UNHEALTHY)

    async def search(self, wanted: Wanted) -> list[ForeignPerson]:
        """`Search for an employee`, by name and birthdate, then by either alone with the other name."""
        if wanted.person_id is not None:
            try:
                return [await self.person(wanted.person_id)]
            except WorkforceError as error:
                if error.reason is WorkforceReason.NOT_FOUND:
                    return []
                raise
        found: dict[str, ForeignPerson] = {}
        for query in _queries(wanted):
            for person in _people(await self._line.get(f"{self._root}/employees?{urlencode(query)}")):
                found.setdefault(person.person_id, person)
        return list(found.values())[:MAX_CANDIDATES]

    async def person(self, person_id: str) -> ForeignPerson:
        """`Get employee personal details`."""
        answer = await self._line.get(self._employee(person_id))
        return _person(answer)

    async def records(self, person_id: str) -> ForeignRecords:
        """`Get employee records`, and whose they are."""
        person = await self.person(person_id)
        answer = await self._line.get(f"{self._employee(person_id)}/records", max_bytes=MAX_RECORDS_BYTES)
        if not isinstance(answer, dict) or not isinstance(answer.get("records"), list):
            raise WorkforceError(WorkforceReason.GARBAGE)
        return ForeignRecords(
            person=person, answered_id=str(answer.get("id")), records={LIST: tuple(answer["records"])}
        )

    async def changes(self, cursor: str | None) -> AsyncIterator[Sequence[Change]]:  # noqa: ARG002 - the port's
        """The standard has no feed."""
        nothing: tuple[Sequence[Change], ...] = ()
        for page in nothing:
            yield page

    def _employee(self, person_id: str) -> str:
        return f"{self._root}/employees/{segment(person_id)}"


def _queries(wanted: Wanted) -> list[dict[str, str]]:
    """Searches that find a person under accents, another first name or another surname; six at most."""
    names = {"firstName": wanted.given_name, "surname": wanted.family_name, "birthDate": wanted.birthdate}
    given: dict[str, str] = {name: value.strip() for name, value in names.items() if value and value.strip()}
    first_query: dict[str, str] = {name: given[name] for name in given if name != "firstName"}
    queries = [first_query or given]
    surname = folded(given.get("surname", ""))
    if surname and surname != given["surname"].casefold():
        queries.append({**first_query, "surname": surname})
    if "firstName" in given and "birthDate" in given:
        # A system may hold all given names as the first one, or the first of them only.
        for first in dict.fromkeys((given["firstName"], given["firstName"].split()[0])):
            for name in dict.fromkeys((first, folded(first) or first)):
                if name == first or name != first.casefold():
                    queries.append({"firstName": name, "birthDate": given["birthDate"]})
    return queries


def _person(answer: JsonValue) -> ForeignPerson:
    try:
        return person_of(EmployeePersonalDetails.model_validate(answer))
    except ValidationError:
        raise WorkforceError(WorkforceReason.GARBAGE) from None


def _people(answer: JsonValue) -> list[ForeignPerson]:
    if not isinstance(answer, list):
        raise WorkforceError(WorkforceReason.GARBAGE)
    return [_person(item) for item in answer[:MAX_CANDIDATES]]
