"""The four movements of the pilot as its hosts write them down, and the nine people who make them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from deploy.demo import actors
from deploy.simulators.people import PILOT, PilotPerson


@dataclass(frozen=True)
class Move:
    """One kind of move: what its host says of it, and for how many days.

    `people_s` are seconds people take, invented: they are shown as simulated.
    """

    anchor: str
    title: str
    movement_type: str
    days: int
    sites: tuple[str, ...]
    department: str
    duties: str
    supervisor: str
    sessions: tuple[str, ...]
    would_have_needed: str
    pathway: str | None = None
    educator: bool = False
    release_minutes: tuple[int, int] = (35, 80)

    @property
    def people(self) -> tuple[PilotPerson, ...]:
        """Who makes it."""
        return tuple(person for person in PILOT if person.movement_type == self.movement_type)


MOVES: tuple[Move, ...] = (
    Move(
        anchor="urgent-list",
        title="An urgent operating list",
        movement_type="SERVICE_NEED_URGENT",
        # Today and tomorrow: a record for today alone would have minutes to live late in the evening.
        days=2,
        sites=("Manchester Royal Infirmary",),
        department="Urology",
        duties="One urgent operating list, hands-on.",
        supervisor="Clinical director of urology",
        sessions=("Tonight and tomorrow",),
        would_have_needed="LETTER_OF_AUTHORITY",
        pathway="Urological cancer",
        release_minutes=(12, 9),
    ),
    Move(
        anchor="induction-visits",
        title="Induction visits of three new nurse specialists",
        movement_type="INDUCTION_VISIT",
        days=3,
        sites=("Salford Royal Hospital",),
        department="Acute oncology",
        duties="Visits the acute oncology team during induction; observes, no hands-on care.",
        supervisor="Lead nurse for acute oncology",
        sessions=("Three days",),
        would_have_needed="NONE",
        pathway="Acute oncology",
    ),
    Move(
        anchor="cross-trust-radiology",
        title="Four radiologists work across two trusts",
        movement_type="CROSS_TRUST_WORKING",
        days=90,
        sites=("Salford Royal Hospital", "Royal Oldham Hospital"),
        department="Radiology",
        duties="Reports cross-sectional imaging and attends the cancer team meetings of both trusts.",
        supervisor="Clinical director of radiology",
        sessions=("Tuesday, all day", "Friday morning"),
        would_have_needed="HONORARY_CONTRACT",
        pathway="Imaging",
    ),
    Move(
        anchor="dietetics-placement",
        title="A trainee advanced practitioner's placement",
        movement_type="PLACEMENT_DEVELOPMENT",
        days=61,
        sites=("Salford Royal Intestinal Failure Unit",),
        department="Intestinal failure unit",
        duties="Two-month placement, two days per week, for upskilling and educational development.",
        supervisor="Consultant dietitian",
        sessions=("Monday, all day", "Thursday, all day"),
        would_have_needed="NONE",
        educator=True,
    ),
)


def body(move: Move, person: PilotPerson, today: date) -> dict[str, Any]:
    """The movement as the host's HR system sends it."""
    return {
        "type": person.movement_type,
        "role_profile": person.role_profile,
        "employing_ods": person.employing_ods,
        "start": today.isoformat(),
        "end": (today + timedelta(days=move.days - 1)).isoformat(),
        "sites": list(move.sites),
        "department": move.department,
        "duties": move.duties,
        "supervisor": move.supervisor,
        "sessions": list(move.sessions),
        "out_of_hours_contact": "Site manager on call",
        "use_case": person.use_case,
        "workforce_group": person.workforce_group,
        "would_have_needed": move.would_have_needed,
        "actor": actors.hr(person.host_ods),
    } | ({"pathway": move.pathway} if move.pathway else {})
