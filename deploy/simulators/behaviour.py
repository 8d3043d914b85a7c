"""The bad days of a workforce system: slow, down, endless, garbage; the ports themselves do the lying."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.responses import Response, StreamingResponse

from deploy.simulators.answers import JSON
from deploy.simulators.state import World

SLOW, DOWN, LYING, ENDLESS, GARBAGE = "slow", "down", "lying", "endless", "garbage"
MODES = ("up", SLOW, DOWN, LYING, ENDLESS, GARBAGE)
MAX_DELAY_S = 600.0
CHUNK = b'{"id":"00000000","firstName":"Nobody","surname":"Nowhere","family_name":"Nowhere"},' * 200
PAUSE_S = 0.02
NOT_JSON = b'{"items":[{"person_id":"2\xff\xfe","records":[{"recordType":"CoreSkillsTraining",,,}'
OUT_OF_ORDER = b"<html><body><h1>503 Service Unavailable</h1></body></html>"


async def governed(world: World, ods: str, system: str, answer: Callable[[bool], Response]) -> Response:
    """Answer as the system's mode says; `answer(lying)` is what it says when it works."""
    mode = world.mode(ods, system)
    if mode.mode == SLOW:
        await asyncio.sleep(mode.delay_s)
    elif mode.mode == DOWN:
        # what stands before such a system answers for it, and knows nothing of its contract
        return Response(OUT_OF_ORDER, 503, media_type="text/html")
    elif mode.mode == GARBAGE:
        return Response(NOT_JSON, media_type=JSON)
    elif mode.mode == ENDLESS:
        return StreamingResponse(_endless(), media_type=JSON)
    return answer(mode.mode == LYING)


async def _endless() -> AsyncIterator[bytes]:
    """A list that never closes; it ends when the other side hangs up."""
    yield b'[{"id":"00000000"},'
    while True:
        yield CHUNK
        await asyncio.sleep(PAUSE_S)
