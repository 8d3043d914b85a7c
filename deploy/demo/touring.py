"""The last chapters of the tour: which trust is ready, and what is stored about one person."""

from __future__ import annotations

from typing import Any

from deploy.demo.pilot import Pilot
from deploy.demo.tour import stored as databases
from deploy.demo.tour.record import Cell, Readiness, TrustRow
from deploy.demo.trusts import NINTH, PILOT, STUCK_DAYS

STEPS = {
    "REGISTRATION": "Registration",
    "DPIA": "Data protection assessment",
    "TERMS_OF_USE": "Terms of use",
    "MOU": "Memorandum",
    "HR_TRAINING": "HR training",
    "ESR_LINK": "ESR link",
    "TEST_ISSUE": "Test issue",
    "TEST_VERIFY": "Test verification",
}
SUMMARIES = {
    "registry": "The registry holds no staff member's data: activity arrives as facts without a person.",
    "issuer": "The employing trust's own records and what it has issued: names and numbers stand here only.",
    "verifier": "The host keeps findings, references and encrypted facts, never what was shared. The names a "
    "placement needs are sealed until the host's issuer has taken them.",
}


def readiness(pilot: Pilot) -> None:
    """The readiness grid, from the registry's own views."""
    registry, operator = pilot.stack.services["registry"].url, pilot.clients.machine
    rows = []
    for trust in (*PILOT, NINTH):
        below = f"/api/v1/organisations/{trust.ods}"
        view = operator.get(registry, below)
        steps = {one["step"]: one for one in operator.get(registry, f"{below}/steps")["items"]}
        gaps = [
            (missing["text"], missing["who_can_fix"])
            for gate in ("G1", "G2", "G3")
            for missing in view["gates"][gate]["missing"]
        ]
        rows.append(
            TrustRow(
                trust.name,
                trust.ods,
                view["state"],
                [_cell(steps[step]) for step in STEPS],
                list(dict.fromkeys(gaps)) if view["state"] != "LIVE" else [],
            )
        )
    pilot.tour.readiness = Readiness(list(STEPS.values()), rows)
    pilot.story.expect(
        [row.state for row in rows] == ["LIVE"] * len(PILOT) + ["GOVERNANCE"],
        f"eight trusts are live; the ninth has waited {STUCK_DAYS} days, and the grid says for whom",
    )


def _cell(step: dict[str, Any]) -> Cell:
    return Cell(step["state"], step["done_on"], step["owner"], step["note"])


def stored(pilot: Pilot) -> None:
    """What the database files hold about the surgeon, field by field; nothing at the registry."""
    journey = pilot.journeys["surgeon"]
    hire = journey.person.hire
    personal = [
        hire.family_name,
        hire.given_name,
        hire.registration_number,
        hire.birthdate.isoformat(),
        hire.person_id,
    ]
    seeds = {
        "registry": personal,
        "issuer": [pilot.staff["surgeon"], *personal],
        "verifier": [journey.movement_id, *personal],
    }
    pilot.tour.person = f"{journey.full_name}, the urology surgeon"
    for name in ("registry", "issuer", "verifier"):
        database = pilot.stack.database(name)
        pilot.tour.stored.append(databases.about(name, database, seeds[name], SUMMARIES[name]))
    for name in ("registry", "verifier"):
        found = databases.says(pilot.stack.database(name), personal)
        pilot.story.expect(
            not found, f"the {name}'s database holds none of the surgeon's names, numbers and dates"
        )
    kept = {one.service: len(one.rows) for one in pilot.tour.stored}
    pilot.story.expect(
        kept["issuer"] > 0 and kept["verifier"] > 0, "the tour shows every row that is kept, field by field"
    )
