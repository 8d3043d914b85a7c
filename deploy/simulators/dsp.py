"""The NHS DSP API standard (retired, December 2025), as a workforce system serves it.

Four systems speak it here: a suite that holds everything at `/dsp`, and one each for learning, recruitment
and occupational health. Every operation and answer of the published document is there; errors are FHIR
OperationOutcomes; `_status` is open to everybody, all else needs an access token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from deploy.simulators.access import Admission
from deploy.simulators.answers import Refusal, json_response, read_object
from deploy.simulators.behaviour import DOWN, SLOW, governed
from deploy.simulators.dsp_records import SYSTEMS, System, personal_details, records
from deploy.simulators.dsp_sent import IMAGES, as_kept, checked, is_same
from deploy.simulators.employees import Employee
from deploy.simulators.state import DSP, MAX_ADDED, World, lied_about, somebody_else

HEALTH_JSON = "application/health+json"
MOST_FOUND = 50
MAX_PARAMETER_CHARS = 200
# two images of at most 5 MB each, and the rest
MAX_RECORD_BYTES = 11 * 1024 * 1024
SEARCHED = ("firstName", "surname", "birthDate")


def routes(world: World, admission: Admission) -> list[Mount]:
    """The routes of the four systems."""
    return [
        Mount(
            system.prefix,
            routes=[
                Route("/organisations/{ods}/_status", _status(world, system), methods=["GET"]),
                Route("/organisations/{ods}/employees", _search(world, admission), methods=["GET"]),
                Route(
                    "/organisations/{ods}/employees/{employee_id}",
                    _details(world, admission),
                    methods=["GET"],
                ),
                Route(
                    "/organisations/{ods}/employees/{employee_id}/records",
                    _records(world, admission, system),
                    methods=["GET", "POST"],
                ),
            ],
        )
        for system in SYSTEMS
    ]


Endpoint = Callable[[Request], Awaitable[Response]]


def _status(world: World, system: System) -> Endpoint:
    """A deep ping: what the system depends on is as well as its mode. The answer is 200 whatever it says."""

    async def status(request: Request) -> Response:
        ods = request.path_params["ods"]
        mode = world.mode(ods, DSP).mode
        said, notes = {DOWN: "fail", SLOW: "warn"}.get(mode, "pass"), [f"The system is switched to {mode}."]
        if ods not in world.employees:
            said, notes = "fail", ["There is no such organisation here."]
        body = {
            "status": said,
            "version": "1",
            "description": f"Simulated {system.name} system",
            "notes": [] if said == "pass" else notes,
            "checks": {"employees:status": [{"componentType": "datastore", "status": said}]},
        }
        return json_response(body, media_type=HEALTH_JSON)

    return status


def _search(world: World, admission: Admission) -> Endpoint:
    async def search(request: Request) -> Response:
        ods = _organisation(request, world, admission)
        wanted = _wanted(request)

        def answer(lying: bool) -> Response:
            found = [one for one in world.of(ods) if _matches(one, wanted)][:MOST_FOUND]
            if lying:
                found = [lied_about(world, one) for one in found]
            return json_response([personal_details(one) for one in found])

        return await governed(world, ods, DSP, answer)

    return search


def _details(world: World, admission: Admission) -> Endpoint:
    async def details(request: Request) -> Response:
        ods = _organisation(request, world, admission)
        employee = _employee(request, world, ods)

        def answer(lying: bool) -> Response:
            return json_response(personal_details(lied_about(world, employee) if lying else employee))

        return await governed(world, ods, DSP, answer)

    return details


def _records(world: World, admission: Admission, system: System) -> Endpoint:
    async def read_or_add(request: Request) -> Response:
        ods = _organisation(request, world, admission)
        employee = _employee(request, world, ods)
        if request.method == "POST":
            sent = await read_object(request, max_bytes=MAX_RECORD_BYTES)
            return await governed(world, ods, DSP, lambda _lying: _add(world, system, employee, sent))

        def answer(lying: bool) -> Response:
            shown, under = (
                (lied_about(world, employee), somebody_else(world, employee).dsp_id)
                if lying
                else (
                    employee,
                    employee.dsp_id,
                )
            )
            return json_response({"id": under, "records": records(shown, system.gives)})

        return await governed(world, ods, DSP, answer)

    return read_or_add


def _add(world: World, system: System, employee: Employee, sent: dict[str, object]) -> Response:
    record = checked(sent)
    if record["recordType"] not in system.takes:
        raise Refusal(400, "invalid", f"This {system.name} system takes no such record type.")
    # read again: the mode may have kept this request waiting
    present = world.employee(employee.ods, employee.person_id) or employee
    if present.employment_status == "LEFT":
        raise Refusal(409, "conflict", "The employee has left; the system does not accept records for them.")
    kept = as_kept(record)
    if any(is_same(kept, one) for one in (*records(present, system.gives), *present.added)):
        raise Refusal(409, "duplicate", "This record exists already.")
    if len(present.added) >= MAX_ADDED:
        raise Refusal(409, "conflict", "The system does not accept more records for this employee.")
    world.add_record(present, kept)
    return json_response(kept | {name: record[name] for name in IMAGES if name in record}, 201)


def _organisation(request: Request, world: World, admission: Admission) -> str:
    ods: str = request.path_params["ods"]
    known = ods in world.employees
    admission.admit(request, ods)
    if not known:
        raise Refusal(404, "not-found", "Organisation not found for the given organisation ID.")
    return ods


def _employee(request: Request, world: World, ods: str) -> Employee:
    employee = world.by_dsp_id(ods, request.path_params["employee_id"])
    if employee is None:
        raise Refusal(404, "not-found", "Employee not found for the given ID.")
    return employee


def _wanted(request: Request) -> dict[str, str]:
    wanted = {name: request.query_params[name] for name in SEARCHED if name in request.query_params}
    if not any(wanted.values()):
        raise Refusal(400, "invalid", "At least one of firstName, surname and birthDate must be provided.")
    if any(len(value) > MAX_PARAMETER_CHARS for value in wanted.values()):
        raise Refusal(400, "invalid", f"A query parameter has at most {MAX_PARAMETER_CHARS} characters.")
    if wanted.get("birthDate"):
        try:
            if len(wanted["birthDate"]) != len("YYYY-MM-DD"):
                raise ValueError
            date.fromisoformat(wanted["birthDate"])
        except ValueError:
            raise Refusal(
                400, "invalid", "Invalid format for birthDate query parameter - must be YYYY-MM-DD."
            ) from None
    return {name: value for name, value in wanted.items() if value}


def _matches(employee: Employee, wanted: dict[str, str]) -> bool:
    """Case-insensitive and no more: this system knows one spelling of a name."""
    own = {
        "firstName": employee.learning_given,
        "surname": employee.learning_family,
        "birthDate": employee.birthdate.isoformat(),
    }
    return all(own[name].casefold() == value.casefold() for name, value in wanted.items())
