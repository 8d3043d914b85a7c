"""From a name and a kind of post to everything an employer would hold about that person."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from deploy.simulators.employees import (
    Assignment,
    Clearance,
    Dbs,
    Employee,
    Immunisation,
    Position,
    Registration,
    RightToWork,
    Skill,
)
from deploy.simulators.posts import Post
from deploy.simulators.subjects import SUBJECTS

REGISTERED_BODY = "Invented Registered Body"
REGISTERED_BODY_NUMBER = "20999999999"
MOST_SERVICE_YEARS = 15


@dataclass(frozen=True, kw_only=True)
class Hire:
    """Who is hired into what. `days` replaces days since completion of single subjects; 0 leaves one out."""

    ods: str
    person_id: str
    post: Post
    given_name: str
    family_name: str
    birthdate: date
    registration_number: str
    title: str | None = None
    middle_names: str | None = None
    previous_family_names: tuple[str, ...] = ()
    preferred_name: str | None = None
    learning_given: str | None = None
    learning_family: str | None = None
    assignment_suffix: str = ""
    fte: float = 1.0
    days: Mapping[str, int] = field(default_factory=dict)
    dbs_level: str | None = None

    @property
    def dsp_id(self) -> str:
        """The employee id of the systems that speak the DSP API standard."""
        return f"E{self.person_id[2:]}"


def employ(hire: Hire, today: date) -> Employee:
    """The records of a person in an undisturbed job, every date counted back from `today`."""
    started = _started(hire, today)
    return Employee(
        ods=hire.ods,
        person_id=hire.person_id,
        dsp_id=hire.dsp_id,
        title=hire.title,
        given_name=hire.given_name,
        middle_names=hire.middle_names,
        family_name=hire.family_name,
        previous_family_names=hire.previous_family_names,
        preferred_name=hire.preferred_name,
        birthdate=hire.birthdate,
        work_email=f"{_plain(hire.given_name)}.{_plain(hire.family_name)}.{hire.person_id[-4:]}"
        f"@{hire.ods.lower()}.example",
        learning_given=hire.learning_given or hire.given_name,
        learning_family=hire.learning_family or hire.family_name,
        nhs_start_date=started - timedelta(days=400),
        updated_on=today - timedelta(days=1),
        assignments=(_assignment(hire, started),),
        registrations=_registrations(hire, started, today),
        identity_checked_on=today - timedelta(days=200),
        right_to_work=right_to_work(today),
        dbs=dbs(hire.dbs_level or hire.post.dbs_level, hire, today),
        clearance=Clearance(
            cleared=True,
            role_category=hire.post.role_category,
            epp_cleared=hire.post.epp,
            performed_on=today - timedelta(days=250),
        ),
        skills=_skills(hire, today),
        immunisations=_immunisations(today),
    )


def dbs(level: str, hire: Hire, today: date) -> Dbs:
    """A certificate of this level; barred lists only where the level has them."""
    barred = hire.post.barred_lists if level == "ENHANCED_BARRED" else ()
    return Dbs(
        level=level,
        workforce="BOTH",
        barred_lists=barred,
        certificate_number=f"0000{hire.person_id}",
        certificate_issued_on=today - timedelta(days=310),
        registered_body=REGISTERED_BODY,
        registered_body_number=REGISTERED_BODY_NUMBER,
        update_service=False,
        performed_on=today - timedelta(days=300),
    )


def right_to_work(
    today: date, *, route: str = "LIST_A", expires: date | None = None, restriction: str = "NONE"
) -> RightToWork:
    """A right to work check 200 days ago."""
    return RightToWork(
        expires=expires,
        route=route,
        work_restriction=restriction,
        performed_on=today - timedelta(days=200),
    )


def _started(hire: Hire, today: date) -> date:
    grown = hire.birthdate.replace(year=hire.birthdate.year + 20, day=min(hire.birthdate.day, 28))
    return max(grown, today - timedelta(days=365 * MOST_SERVICE_YEARS)).replace(day=1)


def _assignment(hire: Hire, started: date) -> Assignment:
    post = hire.post
    return Assignment(
        assignment_number=f"{hire.person_id}{hire.assignment_suffix}",
        primary=True,
        assignment_type="PERMANENT",
        fte=hire.fte,
        start=started,
        projected_end=None,
        status="ACTIVE",
        position=Position(
            position_number=f"{int(hire.person_id) % 900000 + 100000}",
            title=post.title,
            staff_group=post.staff_group,
            job_role=post.job_role,
            occupation_code=post.occupation_code,
            grade=post.grade,
            department=post.department,
            site=f"{hire.ods}01",
        ),
    )


def _registrations(hire: Hire, started: date, today: date) -> tuple[Registration, ...]:
    post = hire.post
    if post.regulator is None:
        return ()
    return (
        Registration(
            regulator=post.regulator,
            number=hire.registration_number,
            register_part=post.register_part,
            status="REGISTERED",
            licence_to_practise=True if post.regulator == "GMC" else None,
            registers=post.registers,
            renewal_due=today + timedelta(days=500),
            registered_on=started,
            checked_on=today - timedelta(days=1),
        ),
    )


def _skills(hire: Hire, today: date) -> tuple[Skill, ...]:
    found = []
    wanted = {**hire.post.skills, "LOCAL": ("1", 90)}
    for code, (level, usual) in wanted.items():
        days = hire.days.get(code, usual)
        if not days:
            continue
        assert (code, level) in SUBJECTS  # noqa: S101 - a mould names subjects that exist
        assessed = code in ("RES", "MH")
        found.append(
            Skill(
                subject=code,
                level=level,
                completed_on=today - timedelta(days=days),
                provider_ods=hire.ods,
                assessed=assessed,
                learning_method="Classroom" if assessed else "eLearning",
            )
        )
    return tuple(found)


def _immunisations(today: date) -> tuple[Immunisation, ...]:
    return (
        Immunisation(
            kind="Vaccination",
            code="HEPB001",
            description="Hepatitis B Vaccine",
            date=today - timedelta(days=1500),
        ),
        Immunisation(
            kind="ClinicalTest",
            code="DTP002",
            description="Diphtheria Antibody Test",
            date=today - timedelta(days=1400),
            interpretation="Detected",
        ),
        Immunisation(
            kind="Observation", code="TB001", description="BCG Scar Evident", date=None, result="Yes"
        ),
    )


def _plain(name: str) -> str:
    """A name as it stands in an e-mail address."""
    folded = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("Ł", "L").replace("ø", "o"))
    return "".join(c for c in folded.casefold() if c.isascii() and c.isalnum())
