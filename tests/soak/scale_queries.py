"""The management queries people use, asked of the whole application with real tokens, and their times."""

from __future__ import annotations

import time
from dataclasses import dataclass

from passport_registry.rules.reports import ReportName
from tests.soak.scale_report import Report
from tests.soak.scale_sizes import Size
from tests.soak.scale_world import World

AIM_MS = 100.0
PAGES = 500


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One query: of which service, under which path (``{n}`` varies from call to call), by whom."""

    service: str
    name: str
    path: str
    organisation: str
    aim: float | None = AIM_MS


class QueryFailed(AssertionError):
    """A query that must be answered was not."""


async def measure(world: World, size: Size, report: Report, *, times: int) -> None:
    """Ask everything `times` times, and page through the longest list of staff."""
    largest = size.majors_codes()[0]
    await _page_through(world, largest, report)
    unanswered = []
    for asked in await _queries(world, size):
        try:
            await _ask(world, asked, 0)
        except QueryFailed as failure:
            unanswered.append(str(failure))
            continue
        found = [await _ask(world, asked, number) for number in range(1, times + 1)]
        values, worked = [one[0] for one in found], [one[1] for one in found]
        report.add(f"{asked.service}: {asked.name}", values, "ms", asked.aim, cpu=worked)
    for fault in unanswered:
        # Said at once and judged at the end: the other measurements take long to come by.
        print(f"NOT ANSWERED: {fault}", flush=True)
    report.add("queries that were not answered", [float(len(unanswered))], "queries", 0.0)


async def _ask(world: World, asked: Asked, number: int) -> tuple[float, float]:
    path = asked.path.replace("{n}", str(number))
    begun, worked = time.perf_counter(), time.process_time()
    answer = await world.get(asked.service, path, asked.organisation)
    took = (time.perf_counter() - begun) * 1_000, (time.process_time() - worked) * 1_000
    if answer.status_code != 200:
        raise QueryFailed(f"{asked.name}: {answer.status_code} {answer.text[:300]}")
    return took


async def _page_through(world: World, ods: str, report: Report) -> None:
    path, cursor, values, seen = f"/api/v1/organisations/{ods}/staff", None, [], 0
    for _ in range(PAGES):
        begun = time.perf_counter()
        answer = await world.get("issuer", path + (f"?cursor={cursor}" if cursor else ""), ods)
        values.append((time.perf_counter() - begun) * 1_000)
        if answer.status_code != 200:
            raise QueryFailed(f"staff: {answer.status_code} {answer.text[:300]}")
        page = answer.json()
        seen += len(page["items"])
        cursor = page["next"]
        if cursor is None:
            break
    report.add(f"issuer: staff, page by page to {len(values)} ({seen} people)", values, "ms", AIM_MS)
    report.add("issuer: staff, the last of those pages", values[-1:], "ms", AIM_MS)


async def _queries(world: World, size: Size) -> list[Asked]:
    largest = size.majors_codes()[0]
    i = f"/api/v1/organisations/{largest}"
    async with world.sql("issuer") as conn:
        person, credential = await conn.fetchrow(
            "SELECT staff_id, id FROM credentials WHERE ods = $1 LIMIT 1", largest
        )
    async with world.sql("verifier") as conn:
        movement, request = await conn.fetchrow(
            "SELECT movement_id, request_id FROM decisions WHERE ods = $1 LIMIT 1", largest
        )
    issuer = {
        "staff, first page": f"{i}/staff",
        "staff, 200 a page": f"{i}/staff?limit=200",
        "staff by external id": f"{i}/staff?external_id=ESR_PERSON:100000{{n}}",
        "one person": f"{i}/staff/{person}",
        "one person's checks": f"{i}/staff/{person}/checks",
        "one person's passport": f"{i}/staff/{person}/passport",
        "one person's credentials": f"{i}/credentials?staff_id={person}",
        "one person's offers": f"{i}/staff/{person}/offers",
        "credentials, first page": f"{i}/credentials",
        "one credential": f"{i}/credentials/{credential}",
        "release requests": f"{i}/releases",
        "notices": f"{i}/notices",
        "reported problems": f"{i}/problems",
        "events": f"{i}/events",
    }
    verifier = {
        "movements, first page": f"{i}/movements",
        "movements requested": f"{i}/movements?state=REQUESTED",
        "movements active": f"{i}/movements?state=ACTIVE",
        "movements released (none)": f"{i}/movements?state=READY",
        "movement by external id": f"{i}/movements?external_id=ext-{{n}}",
        "one movement": f"{i}/movements/{movement}",
        "placements running": f"{i}/placements?state=ACTIVE",
        "placements on hold": f"{i}/placements?state=ON_HOLD",
        "placements to begin (none)": f"{i}/placements?state=PREPARED",
        "alerts nobody has seen": f"{i}/alerts?acknowledged=false",
        "alerts": f"{i}/alerts?limit=200",
        "one placement's watch": f"{i}/movements/{movement}/watch",
        "requests": f"{i}/presentation-requests",
        "requests of a movement": f"{i}/presentation-requests?movement_id={movement}",
        "decisions": f"{i}/decisions",
        "decisions of a movement": f"{i}/decisions?movement_id={movement}",
        "decisions of a request": f"{i}/decisions?request_id={request}",
        "register look-ups": f"{i}/register-checks",
        "events": f"{i}/events",
    }
    registry = {
        "organisations, first page": "/api/v1/organisations",
        "one organisation": i,
        "its steps": f"{i}/steps",
        "its entities": f"{i}/entities",
        "API clients": "/api/v1/clients",
        "activity facts": "/api/v1/activity/facts",
    }
    # Whole-network reports are figures of every trust: read a few times a day, and said apart.
    reports = {f"report {name}": f"/api/v1/reports/{name.value}" for name in ReportName}
    return [
        *(Asked(service="issuer", name=n, path=p, organisation=largest) for n, p in issuer.items()),
        *(Asked(service="verifier", name=n, path=p, organisation=largest) for n, p in verifier.items()),
        *(Asked(service="registry", name=n, path=p, organisation="*") for n, p in registry.items()),
        Asked(service="registry", name="public register, JSON", path="/register", organisation="*"),
        *(Asked(service="registry", name=n, path=p, organisation="*") for n, p in reports.items()),
    ]
