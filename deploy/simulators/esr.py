"""An ESR-shaped port: person, assignments, registrations, checks, and a thin feed of changes. Read only.

The real ESR interfaces are not public; this is the shape the domain model describes, and its contract is
docs/workforce/esr-port.openapi.json. All answers are JSON with an ETag, errors are RFC 9457 problems.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.simulators import esr_records
from deploy.simulators.access import Admission
from deploy.simulators.answers import Refusal, tagged
from deploy.simulators.behaviour import governed
from deploy.simulators.employees import Employee
from deploy.simulators.state import ESR, World, lied_about

PAGE = 50
MAX_PARAMETER_CHARS = 200
SEARCHED = ("family_name", "given_name", "birthdate", "work_email", "assignment_number")

Endpoint = Callable[[Request], Awaitable[Response]]
Show = Callable[[Employee, bool], Any]
NO_TRUST = "ZZZ99"
"""Whose person a lying system says somebody is."""


def routes(world: World, admission: Admission) -> list[Route]:
    """The routes of the port."""
    person = "/esr/{ods}/persons/{person_id}"
    one: dict[str, Show] = {
        person: lambda employee, lying: esr_records.person(employee, NO_TRUST if lying else None),
        f"{person}/assignments": lambda employee, _lying: {"items": esr_records.assignments(employee)},
        f"{person}/registrations": lambda employee, _lying: {"items": esr_records.registrations(employee)},
        f"{person}/checks": lambda employee, _lying: {"items": esr_records.checks(employee)},
    }
    return [
        Route("/esr/{ods}/status", _status(world), methods=["GET"]),
        Route("/esr/{ods}/persons", _persons(world, admission), methods=["GET"]),
        Route("/esr/{ods}/changes", _changes(world, admission), methods=["GET"]),
        *(Route(path, _of_one(world, admission, show), methods=["GET"]) for path, show in one.items()),
    ]


def _status(world: World) -> Endpoint:
    """Open to everybody, as with the DSP API standard: who watches a system needs no keys to its records."""

    async def status(request: Request) -> Response:
        ods = request.path_params["ods"]
        if ods not in world.employees:
            raise _no_such_organisation()
        return await governed(world, ods, ESR, lambda _lying: tagged(request, {"status": "up"}))

    return status


def _persons(world: World, admission: Admission) -> Endpoint:
    async def persons(request: Request) -> Response:
        ods = _organisation(request, world, admission)
        wanted = _wanted(request)
        start = _number(request.query_params.get("cursor", "0"))

        def answer(lying: bool) -> Response:
            found = [one for one in world.of(ods) if _matches(one, wanted)]
            page = found[start : start + PAGE]
            shown = [lied_about(world, one) for one in page] if lying else page
            more = str(start + PAGE) if len(found) > start + PAGE else None
            return tagged(request, {"items": [esr_records.summary(one) for one in shown], "next": more})

        return await governed(world, ods, ESR, answer)

    return persons


def _of_one(world: World, admission: Admission, show: Show) -> Endpoint:
    async def of_one(request: Request) -> Response:
        ods = _organisation(request, world, admission)
        employee = world.employee(ods, request.path_params["person_id"])
        if employee is None:
            raise Refusal(404, "not_found", "There is no person under this id at this organisation.")

        def answer(lying: bool) -> Response:
            return tagged(request, show(lied_about(world, employee) if lying else employee, lying))

        return await governed(world, ods, ESR, answer)

    return of_one


def _changes(world: World, admission: Admission) -> Endpoint:
    async def changes(request: Request) -> Response:
        ods = _organisation(request, world, admission)
        after = _after(request.query_params.get("cursor"), world)

        def answer(_lying: bool) -> Response:
            page = world.changes[ods][after : after + PAGE]
            more = len(world.changes[ods]) > after + PAGE
            items = [
                {
                    "cursor": f"{world.feed}.{change.number}",
                    "kind": change.kind,
                    "person_id": change.person_id,
                    "date": change.date.isoformat(),
                }
                for change in page
            ]
            return tagged(request, {"items": items, "next": items[-1]["cursor"] if more else None})

        return await governed(world, ods, ESR, answer)

    return changes


def _organisation(request: Request, world: World, admission: Admission) -> str:
    ods: str = request.path_params["ods"]
    admission.admit(request, ods)
    if ods not in world.employees:
        raise _no_such_organisation()
    return ods


def _no_such_organisation() -> Refusal:
    return Refusal(404, "not_found", "This system holds no such organisation.")


def _wanted(request: Request) -> dict[str, str]:
    wanted = {name: request.query_params[name].strip() for name in SEARCHED if name in request.query_params}
    if any(len(value) > MAX_PARAMETER_CHARS for value in wanted.values()):
        raise Refusal(422, "invalid_request", f"A parameter has at most {MAX_PARAMETER_CHARS} characters.")
    if not wanted.get("family_name") and not wanted.get("assignment_number"):
        raise Refusal(422, "invalid_request", "Give at least family_name or assignment_number.")
    if wanted.get("birthdate"):
        try:
            date.fromisoformat(wanted["birthdate"])
        except ValueError:
            raise Refusal(422, "invalid_request", "birthdate is YYYY-MM-DD.") from None
    return {name: value for name, value in wanted.items() if value}


def _matches(employee: Employee, wanted: dict[str, str]) -> bool:
    """Names without regard to case and accents, earlier surnames too; all else exactly."""
    given = employee.given_name
    full = f"{given} {employee.middle_names}" if employee.middle_names else given
    own: dict[str, Sequence[str]] = {
        "family_name": (employee.family_name, *employee.previous_family_names),
        "given_name": (given, full, employee.preferred_name or given),
        "birthdate": (employee.birthdate.isoformat(),),
        "work_email": (employee.work_email,),
        "assignment_number": tuple(one.assignment_number for one in employee.assignments),
    }
    return all(folded(value) in map(folded, own[name]) for name, value in wanted.items())


def folded(text: str) -> str:
    """A name without case, accents and doubled spaces."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join(plain.split())


def _number(cursor: str) -> int:
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 6:
        raise Refusal(422, "invalid_request", "The cursor is the `next` of an earlier answer.")
    return int(cursor)


def _after(cursor: str | None, world: World) -> int:
    """The number of the last line already read.

    A cursor of a feed that is no more is read as none: lines may come twice, and none is missed.
    """
    if cursor is None:
        return 0
    feed, _, number = cursor.partition(".")
    if len(cursor) > MAX_PARAMETER_CHARS:
        raise Refusal(422, "invalid_request", "The cursor is that of a line read before.")
    return _number(number) if feed == world.feed else 0
