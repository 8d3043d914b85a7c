"""The regulators' public registers, as far as the invented people are in them.

Hosts look a registration up themselves; this is what they would see. Open to everybody, as the real ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.simulators.answers import json_response
from deploy.simulators.state import NOT_PRACTISING, World


def routes(world: World) -> list[Route]:
    """The routes of the registers."""
    return [Route("/register/{regulator}/{number}", _look_up(world), methods=["GET"])]


def _look_up(world: World) -> Callable[[Request], Awaitable[Response]]:
    async def look_up(request: Request) -> Response:
        regulator, number = request.path_params["regulator"], request.path_params["number"]
        found = world.registrations(regulator, number)
        looked_up_at = world.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z")
        if not found:
            return json_response(
                {
                    "regulator": regulator,
                    "number": number,
                    "register_part": None,
                    "status": "NOT_FOUND",
                    "licence_to_practise": None,
                    "looked_up_at": looked_up_at,
                }
            )
        one = found[0]
        status = one.register_says or one.status
        licence = one.licence_to_practise is not None and status not in NOT_PRACTISING
        return json_response(
            {
                "regulator": regulator,
                "number": number,
                "register_part": one.register_part,
                "status": status,
                "licence_to_practise": None if one.licence_to_practise is None else licence,
                "looked_up_at": looked_up_at,
            }
        )

    return look_up
