"""The simulator's own switches. No part of any contract: no real workforce system has them.

They are open to whoever reaches this process, which listens on loopback only; a page of another origin cannot
use them, because every change has to be sent as application/json.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.simulators.answers import Refusal, json_response, read_object
from deploy.simulators.behaviour import MAX_DELAY_S, MODES
from deploy.simulators.employees import Employee
from deploy.simulators.state import DBS_LEVELS, DSP, ESR, REGISTRATION_STATUSES, Mode, World
from passport_shared.service.clock import LOOK_EVERY_S

Endpoint = Callable[[Request], Awaitable[Response]]
PERSON_SWITCHES = ("registration", "dbs_level", "leaver_on")


def routes(world: World) -> list[Route]:
    """The routes of the switches."""
    return [
        Route("/control/{ods}/systems/{system}", _system(world), methods=["GET", "PUT"]),
        Route("/control/{ods}/persons", _persons(world), methods=["GET"]),
        Route("/control/{ods}/persons/{person_id}", _person(world), methods=["GET", "PUT"]),
        Route("/control/reset", _reset(world), methods=["POST"]),
        Route("/control/clock", _clock(world), methods=["GET", "POST"]),
    ]


def _system(world: World) -> Endpoint:
    async def system(request: Request) -> Response:
        ods, name = request.path_params["ods"], request.path_params["system"]
        if ods not in world.employees or name not in (ESR, DSP):
            raise Refusal(404, "not_found", f"The systems of an organisation are {ESR} and {DSP}.")
        if request.method == "PUT":
            world.modes[ods, name] = _mode(await read_object(request))
        mode = world.mode(ods, name)
        return json_response({"mode": mode.mode, "delay_s": mode.delay_s})

    return system


def _mode(body: dict[str, Any]) -> Mode:
    mode, delay_s = body.get("mode"), body.get("delay_s", 0)
    if body.keys() - {"mode", "delay_s"} or mode not in MODES:
        raise Refusal(422, "invalid_request", f"mode is one of {', '.join(MODES)}; delay_s goes with slow.")
    number = isinstance(delay_s, int | float) and not isinstance(delay_s, bool)
    if not number or not 0 <= delay_s <= MAX_DELAY_S:
        raise Refusal(422, "invalid_request", f"delay_s is a number from 0 to {MAX_DELAY_S:.0f}.")
    return Mode(str(mode), float(delay_s))


def _persons(world: World) -> Endpoint:
    async def persons(request: Request) -> Response:
        """Who is there, so that nobody has to guess ids."""
        ods = request.path_params["ods"]
        if ods not in world.employees:
            raise Refusal(404, "not_found", "There is no such organisation here.")
        return json_response({"items": [_shown(one) for one in world.of(ods)]})

    return persons


def _person(world: World) -> Endpoint:
    async def person(request: Request) -> Response:
        employee = world.employee(request.path_params["ods"], request.path_params["person_id"])
        if employee is None:
            raise Refusal(404, "not_found", "There is no such person at this organisation.")
        if request.method == "PUT":
            employee = _switched(world, employee, await read_object(request))
        return json_response(_shown(employee))

    return person


def _switched(world: World, employee: Employee, body: dict[str, Any]) -> Employee:
    """Every switch is checked before the first one is turned."""
    if not body or body.keys() - set(PERSON_SWITCHES):
        raise Refusal(422, "invalid_request", f"Switches are {', '.join(PERSON_SWITCHES)}.")
    registration, level, leaver_on = (body.get(name) for name in PERSON_SWITCHES)
    if "registration" in body and registration not in REGISTRATION_STATUSES:
        raise Refusal(422, "invalid_request", f"registration is one of {', '.join(REGISTRATION_STATUSES)}.")
    if "registration" in body and not employee.registrations:
        raise Refusal(409, "conflict", "This person is not on any register.")
    if "dbs_level" in body and level not in DBS_LEVELS:
        raise Refusal(422, "invalid_request", f"dbs_level is one of {', '.join(DBS_LEVELS)}.")
    leaving = _day(leaver_on) if leaver_on is not None else None
    if "registration" in body:
        employee = world.set_registration(employee, str(registration))
    if "dbs_level" in body:
        employee = world.set_dbs_level(employee, str(level))
    if "leaver_on" in body:
        employee = world.set_leaver(employee, leaving)
    return employee


def _day(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise Refusal(422, "invalid_request", "leaver_on is a date (YYYY-MM-DD) or null.") from None


def _shown(employee: Employee) -> dict[str, Any]:
    return {
        "person_id": employee.person_id,
        "dsp_id": employee.dsp_id,
        "name": f"{employee.given_name} {employee.family_name}",
        "birthdate": employee.birthdate.isoformat(),
        "post": employee.primary.position.title,
        "registration": employee.registrations[0].status if employee.registrations else None,
        "registration_number": employee.registrations[0].number if employee.registrations else None,
        "dbs_level": employee.dbs.level if employee.dbs else "NONE",
        "leaver_on": employee.leaving_date.isoformat() if employee.leaving_date else None,
    }


def _reset(world: World) -> Endpoint:
    async def reset(request: Request) -> Response:
        await read_object(request)
        world.reset()
        return json_response({"reset": True})

    return reset


def _clock(world: World) -> Endpoint:
    async def clock(request: Request) -> Response:
        if request.method == "POST":
            seconds = (await read_object(request)).get("advance_s")
            if not isinstance(seconds, int) or isinstance(seconds, bool):
                raise Refusal(422, "invalid_request", "advance_s is a whole number of seconds.")
            try:
                world.clock.advance(seconds)
                # Whoever looked a moment ago looks again before the caller goes on.
                await asyncio.sleep(2 * LOOK_EVERY_S)
            except ValueError as error:
                raise Refusal(409, "conflict", f"The clock was not moved: {error}.") from error
        now = world.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")
        return json_response({"offset_s": world.clock.offset_s, "now": now})

    return clock
