"""What the simulated systems hold at the moment: people, switches, sent records, the feed of changes.

Everything is in memory and made again by `reset` from the day it is given. A switch changes the records as
the real event would, and adds its line to the feed: ids and a date, never a person's details.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from deploy.simulators import people
from deploy.simulators.clock import SandboxClock
from deploy.simulators.employees import Dbs, Employee, Registration
from passport_shared.formats.ids import random_token

ESR, DSP = "esr", "dsp"
UP = "up"
MAX_ADDED = 200
KEPT_FOR = timedelta(days=30)
REGISTRATION_STATUSES = (
    "REGISTERED",
    "REGISTERED_WITHOUT_LICENCE",
    "PROVISIONAL",
    "REGISTERED_WITH_CONDITIONS",
    "INTERIM_CONDITIONS",
    "INTERIM_SUSPENSION",
    "SUSPENDED",
    "LAPSED",
    "REMOVED",
    "NOT_FOUND",
    "NOT_REQUIRED",
    "UNKNOWN",
)
DBS_LEVELS = ("NONE", "BASIC", "STANDARD", "ENHANCED", "ENHANCED_BARRED")
NOT_PRACTISING = ("REGISTERED_WITHOUT_LICENCE", "INTERIM_SUSPENSION", "SUSPENDED", "LAPSED", "REMOVED")


@dataclass(frozen=True)
class Mode:
    """How a system behaves: up, slow, down, lying, endless or garbage; `delay_s` for slow."""

    mode: str = UP
    delay_s: float = 0.0


@dataclass(frozen=True)
class Change:
    """One line of the feed: thin, no personal data."""

    number: int
    kind: str
    person_id: str
    date: date


@dataclass
class World:
    """The state itself; one process, one event loop, so every method is one step."""

    clock: SandboxClock
    day_file: Path | None = None
    employees: people.Population = field(default_factory=dict)
    modes: dict[tuple[str, str], Mode] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    feed: str = ""

    def __post_init__(self) -> None:
        """Start with the records of the day of the last reset: a restart does not age anybody's training."""
        self._begin(self._kept_day() or self._keep_day())

    def reset(self) -> None:
        """Everybody as hired, every system up, an empty feed under a new name, dates counted from today."""
        self._begin(self._keep_day())

    def _begin(self, day: date) -> None:
        self.employees = people.population(day)
        self.modes = {}
        self.changes = {ods: [] for ods in self.employees}
        self.feed = random_token()[:8]

    def _kept_day(self) -> date | None:
        try:
            day = date.fromisoformat(self.day_file.read_text().strip()) if self.day_file else None
        except (OSError, ValueError):
            return None
        today = self.clock.today()
        return day if day and today - KEPT_FOR <= day <= today else None

    def _keep_day(self) -> date:
        today = self.clock.today()
        if self.day_file is not None:
            self.day_file.parent.mkdir(parents=True, exist_ok=True)
            self.day_file.write_text(today.isoformat())
        return today

    def employee(self, ods: str, person_id: str) -> Employee | None:
        """By ESR person id."""
        return self.employees.get(ods, {}).get(person_id)

    def by_dsp_id(self, ods: str, dsp_id: str) -> Employee | None:
        """By the id of the systems that speak the DSP API standard."""
        return next((one for one in self.of(ods) if one.dsp_id == dsp_id), None)

    def of(self, ods: str) -> Iterable[Employee]:
        """Everybody of one trust, in a steady order."""
        return self.employees.get(ods, {}).values()

    def mode(self, ods: str, system: str) -> Mode:
        """How a system of a trust behaves."""
        return self.modes.get((ods, system), Mode())

    def registrations(self, regulator: str, number: str) -> list[Registration]:
        """Registrations under one number, whoever employs the person."""
        return [
            found
            for employees in self.employees.values()
            for employee in employees.values()
            for found in employee.registrations
            if (found.regulator, found.number) == (regulator, number)
        ]

    # -- switches ------------------------------------------------------------------------------------------

    def set_registration(self, employee: Employee, status: str) -> Employee:
        """The regulator's decision, seen by the employer's nightly check and by anyone who looks up."""
        today = self.clock.today()
        changed = tuple(
            replace(
                one,
                status=status,
                register_says=None,
                licence_to_practise=None if one.licence_to_practise is None else status not in NOT_PRACTISING,
                checked_on=today,
            )
            for one in employee.registrations
        )
        return self._changed(replace(employee, registrations=changed), "registration.changed")

    def set_dbs_level(self, employee: Employee, level: str) -> Employee:
        """A new certificate of another level, dated today; NONE takes the check away."""
        today, old = self.clock.today(), employee.dbs
        if level == "NONE":
            found: Dbs | None = None
        else:
            found = Dbs(
                level=level,
                workforce=old.workforce if old else "BOTH",
                barred_lists=("ADULT", "CHILD") if level == "ENHANCED_BARRED" else (),
                certificate_number=f"0001{employee.person_id}",
                certificate_issued_on=today,
                registered_body=old.registered_body if old else "Invented Registered Body",
                registered_body_number=old.registered_body_number if old else "20999999999",
                update_service=False,
                performed_on=today,
            )
        return self._changed(replace(employee, dbs=found), "check.changed")

    def set_leaver(self, employee: Employee, leaving: date | None) -> Employee:
        """Notice given, left already, or stays after all."""
        today = self.clock.today()
        left = leaving is not None and leaving <= today
        assignments = tuple(
            replace(one, projected_end=leaving, status="ENDED" if left else "ACTIVE")
            for one in employee.assignments
        )
        status = "LEFT" if left else "NOTICE" if leaving else "ACTIVE"
        kind = "leaver.effective" if left else "leaver.notified" if leaving else "employee.changed"
        changed = replace(employee, employment_status=status, leaving_date=leaving, assignments=assignments)
        return self._changed(changed, kind)

    def add_record(self, employee: Employee, record: dict[str, Any]) -> None:
        """Keep a record that was sent over the DSP API standard."""
        self._changed(replace(employee, added=(*employee.added, record)), "employee.changed")

    def due(self) -> None:
        """Let those leave whose day has come."""
        today = self.clock.today()
        for ods in self.employees:
            for employee in list(self.of(ods)):
                gone = employee.leaving_date is not None and employee.leaving_date <= today
                if gone and employee.employment_status != "LEFT":
                    self.set_leaver(employee, employee.leaving_date)

    def _changed(self, employee: Employee, kind: str) -> Employee:
        today = self.clock.today()
        kept = replace(employee, updated_on=today)
        self.employees[employee.ods][employee.person_id] = kept
        feed = self.changes[employee.ods]
        feed.append(Change(len(feed) + 1, kind, employee.person_id, today))
        return kept


def somebody_else(world: World, employee: Employee) -> Employee:
    """Another employee of the same trust: whose name a lying system gives."""
    everybody = list(world.of(employee.ods))
    at = next(n for n, one in enumerate(everybody) if one.person_id == employee.person_id)
    return everybody[(at + 1) % len(everybody)]


def lied_about(world: World, employee: Employee) -> Employee:
    """Everything in its place and nothing true: another's name and birthdate, dates to come, another trust.

    Only the ids stay, because a record under another id is a lie of another kind, see the ports.
    """
    other = somebody_else(world, employee)
    ahead = timedelta(days=400)
    return replace(
        employee,
        title=other.title,
        given_name=other.given_name,
        middle_names=other.middle_names,
        family_name=other.family_name,
        previous_family_names=(),
        preferred_name=None,
        birthdate=other.birthdate + timedelta(days=1),
        work_email=other.work_email,
        learning_given=other.learning_given,
        learning_family=other.learning_family,
        identity_checked_on=employee.identity_checked_on + 2 * ahead,
        right_to_work=replace(
            employee.right_to_work, performed_on=employee.right_to_work.performed_on + 2 * ahead
        ),
        dbs=employee.dbs
        and replace(
            employee.dbs,
            certificate_issued_on=employee.dbs.certificate_issued_on + 2 * ahead,
            performed_on=employee.dbs.performed_on + 2 * ahead,
        ),
        clearance=employee.clearance
        and replace(employee.clearance, performed_on=employee.clearance.performed_on + 2 * ahead),
        registrations=tuple(
            replace(one, checked_on=one.checked_on + ahead) for one in employee.registrations
        ),
        skills=tuple(
            replace(one, completed_on=one.completed_on + 3 * ahead, provider_ods="ZZZ99")
            for one in employee.skills
        ),
    )
