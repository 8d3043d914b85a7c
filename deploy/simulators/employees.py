"""What a workforce system knows about an employee: the shapes both ports are served from.

Every value is invented. Names and vocabularies follow the domain model (sections 2 to 4); how they look on
the wire is decided in `dsp_records` and `esr_records`, never here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Position:
    """A post in the establishment."""

    position_number: str
    title: str
    staff_group: str
    job_role: str
    occupation_code: str
    grade: str
    department: str
    site: str


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """That somebody holds a post. `status` is ACTIVE, ENDED or SUSPENDED."""

    assignment_number: str
    primary: bool
    assignment_type: str
    fte: float
    start: date
    projected_end: date | None
    status: str
    position: Position


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A registration as the employer's nightly check found it.

    `licence_to_practise` is None where the regulator gives none.

    `register_says` is what the public register itself answers, where that differs from `status`.
    """

    regulator: str
    number: str
    register_part: str
    status: str
    licence_to_practise: bool | None
    registers: tuple[str, ...]
    renewal_due: date
    registered_on: date
    checked_on: date
    restrictions: tuple[str, ...] = ()
    register_says: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dbs:
    """A DBS certificate as it was recorded; what it said is nowhere."""

    level: str
    workforce: str
    barred_lists: tuple[str, ...]
    certificate_number: str
    certificate_issued_on: date
    registered_body: str
    registered_body_number: str
    update_service: bool
    performed_on: date


@dataclass(frozen=True, kw_only=True)
class RightToWork:
    """A right to work check; `expires` is None for an unlimited right."""

    expires: date | None
    route: str
    work_restriction: str
    performed_on: date


@dataclass(frozen=True, kw_only=True)
class Clearance:
    """What occupational health told the employer: an outcome, never a finding."""

    cleared: bool
    role_category: str
    epp_cleared: str
    performed_on: date


@dataclass(frozen=True, kw_only=True)
class Skill:
    """One completed subject; `subject` and `level` are keys of `subjects.SUBJECTS`."""

    subject: str
    level: str
    completed_on: date
    provider_ods: str
    assessed: bool
    learning_method: str


@dataclass(frozen=True, kw_only=True)
class Immunisation:
    """An entry of the occupational health system: `kind` is Vaccination, ClinicalTest or Observation."""

    kind: str
    code: str
    description: str
    date: date | None
    result: str | None = None
    interpretation: str | None = None


@dataclass(frozen=True, kw_only=True)
class Employee:
    """One employee of one trust.

    `learning_given` and `learning_family` are the name under which the learning system knows the person,
    which may be an older one, or one without accents.
    """

    ods: str
    person_id: str
    dsp_id: str
    title: str | None
    given_name: str
    family_name: str
    birthdate: date
    work_email: str
    learning_given: str
    learning_family: str
    nhs_start_date: date
    updated_on: date
    assignments: tuple[Assignment, ...]
    registrations: tuple[Registration, ...]
    identity_checked_on: date
    right_to_work: RightToWork
    dbs: Dbs | None
    clearance: Clearance | None
    skills: tuple[Skill, ...]
    immunisations: tuple[Immunisation, ...]
    middle_names: str | None = None
    previous_family_names: tuple[str, ...] = ()
    preferred_name: str | None = None
    employment_status: str = "ACTIVE"
    leaving_date: date | None = None
    added: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Records that others sent over the DSP API standard, as they are given back."""

    @property
    def primary(self) -> Assignment:
        """The assignment a person is found by."""
        return next(one for one in self.assignments if one.primary)
