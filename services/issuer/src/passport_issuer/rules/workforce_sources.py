"""What each source can and cannot fill, claim by claim, as data.

One row per claim that a credential type has of its own. The document docs/workforce/sources.md is written
from it, and tests hold it to the mappings: what a source is said to fill it is seen to fill, nothing else.
``where_from`` tells people where something that is not held would come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from passport_issuer.rules.workforce import SystemType


class Origin(StrEnum):
    """Where a claim could come from: a column of the table."""

    ESR = "ESR"
    LMS = "DSP API: learning"
    RECRUITMENT = "DSP API: recruitment"
    OCCUPATIONAL_HEALTH = "DSP API: occupational health"
    CSV = "CSV"
    BY_HAND = "By hand"


ORIGIN_OF: Mapping[SystemType, Origin] = {
    SystemType.ESR: Origin.ESR,
    SystemType.LMS: Origin.LMS,
    SystemType.RECRUITMENT: Origin.RECRUITMENT,
    SystemType.OCCUPATIONAL_HEALTH: Origin.OCCUPATIONAL_HEALTH,
}


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim: what it is made from, by origin. An origin that is not listed cannot fill it."""

    name: str
    fills: Mapping[Origin, str]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One credential type: its claims, and why the origins that fill none of them do not."""

    type: str
    claims: tuple[Claim, ...]
    why_not: Mapping[Origin, str]


_HAND = {Origin.CSV: "a row your trust posts", Origin.BY_HAND: "with evidence"}
_APPOINTMENT = {Origin.BY_HAND: "at the appointment, by whoever saw the person"}
_NOT_READ = "the standard sends it to recruitment systems and never reads it from them"
_NO_RECORDS = "has no such records"


def _claims(origin: Origin, members: Mapping[str, str]) -> tuple[Claim, ...]:
    return tuple(Claim(name=name, fills={origin: member, **_HAND}) for name, member in members.items())


def _dbs() -> tuple[Claim, ...]:
    members = {
        "level": ("level", "`typeOfDbsCheck`"),
        "workforce": ("workforce", "`workforceType`"),
        "barred_lists": ("barred_lists", "`adultsBarredListChecked`, `childrensBarredListChecked`"),
        "certificate_issued_on": ("certificate_issued_on", "`disclosureIssueDate`"),
        "registered_body": ("registered_body", "`registeredBodyName`"),
        "update_service": ("update_service", "always false: fresh certificates only, nothing is said of it"),
    }
    return tuple(
        Claim(
            name=name,
            fills={Origin.ESR: f"check `DBS`: `{esr}`", Origin.RECRUITMENT: recruitment, **_HAND},
        )
        for name, (esr, recruitment) in members.items()
    )


TABLE: tuple[Row, ...] = (
    Row(
        type="StaffIdentity",
        claims=(
            *_claims(
                Origin.ESR,
                {
                    "identity_scheme": "check `IDENTITY`: `identity_scheme`",
                    "gpg45_level": "check `IDENTITY`: `gpg45_level`",
                },
            ),
            Claim(name="channel", fills=_APPOINTMENT),
            Claim(name="verified_on", fills=_APPOINTMENT),
            Claim(name="originals_seen_in_person_on", fills=_APPOINTMENT),
            Claim(name="portrait", fills={Origin.BY_HAND: "on the member of staff, optional"}),
        ),
        why_not={
            Origin.LMS: _NO_RECORDS,
            Origin.RECRUITMENT: _NOT_READ,
            Origin.OCCUPATIONAL_HEALTH: _NO_RECORDS,
        },
    ),
    Row(
        type="Employment",
        claims=_claims(
            Origin.ESR,
            {
                "employer_ods": "the organisation that is asked",
                "position_title": "`position.title`",
                "staff_group": "`position.staff_group`",
                "job_role": "`position.job_role`",
                "grade": "`position.grade`",
                "employment_type": "`assignment_type`",
                "fte": "`fte`",
                "start_date": "`start`",
                "contract_end": "`projected_end`, the leaving date if earlier",
                "department": "`position.department`",
            },
        ),
        why_not={
            Origin.LMS: _NO_RECORDS,
            Origin.RECRUITMENT: _NO_RECORDS,
            Origin.OCCUPATIONAL_HEALTH: _NO_RECORDS,
        },
    ),
    Row(
        type="RightToWork",
        claims=_claims(
            Origin.ESR,
            {
                "permission": "check `RIGHT_TO_WORK`: `permission`",
                "permission_expires": "check `RIGHT_TO_WORK`: `permission_expires`",
                "route": "check `RIGHT_TO_WORK`: `route`",
                "checked_on": "check `RIGHT_TO_WORK`: `performed_on`",
                "work_restriction": "check `RIGHT_TO_WORK`: `work_restriction`",
            },
        ),
        why_not={
            Origin.LMS: _NO_RECORDS,
            Origin.RECRUITMENT: _NOT_READ,
            Origin.OCCUPATIONAL_HEALTH: _NO_RECORDS,
        },
    ),
    Row(
        type="DbsOutcome",
        claims=_dbs(),
        why_not={Origin.LMS: _NO_RECORDS, Origin.OCCUPATIONAL_HEALTH: _NO_RECORDS},
    ),
    Row(
        type="ProfessionalRegistration",
        claims=_claims(
            Origin.ESR,
            {
                "regulator": "`regulator`",
                "number": "`number`, a string",
                "register_part": "`register_part`",
                "registration_status": "`status`",
                "licence_to_practise": "`licence_to_practise`",
                "registers": "`registers`",
                "restrictions": "`restrictions`",
                "renewal_due": "`renewal_due`",
                "checked_on": "`checked_on`",
            },
        ),
        why_not={
            Origin.LMS: _NO_RECORDS,
            Origin.RECRUITMENT: _NOT_READ,
            Origin.OCCUPATIONAL_HEALTH: _NO_RECORDS,
        },
    ),
    Row(
        type="OccupationalHealth",
        claims=_claims(
            Origin.ESR,
            {
                "outcome": "check `OCCUPATIONAL_HEALTH`: the outcome",
                "cleared_on": "check `OCCUPATIONAL_HEALTH`: `performed_on`",
                "role_category": "check `OCCUPATIONAL_HEALTH`: `role_category`",
                "epp_cleared": "check `OCCUPATIONAL_HEALTH`: `epp_cleared`",
            },
        ),
        why_not={
            Origin.LMS: _NO_RECORDS,
            Origin.RECRUITMENT: _NO_RECORDS,
            Origin.OCCUPATIONAL_HEALTH: "vaccinations, tests and observations never become an outcome",
        },
    ),
    Row(
        type="CoreSkills",
        claims=_claims(
            Origin.LMS,
            {
                "level": "`subjectLevel`, with `competencyName` where it says for whom",
                "completed_on": "`dateLastAwarded`",
                "provider": "`awardingOrganisation`",
                "framework": "`competencyFramework`",
                "framework_version": "always 1.1: the standard names none",
                "competency_name": "`competencyName`",
                "assessed": "`proficiencyLevel`",
                "learning_method": "`learningMethod`",
            },
        ),
        why_not={
            Origin.ESR: "the port carries no competences",
            Origin.RECRUITMENT: _NO_RECORDS,
            Origin.OCCUPATIONAL_HEALTH: _NO_RECORDS,
        },
    ),
)
"""The seven types; names, birthdate and passport reference are the member of staff's own."""


def where_from(credential_type: str) -> tuple[Origin, ...]:
    """The origins that can fill something of a type, systems first."""
    row = next((row for row in TABLE if row.type == credential_type), None)
    if row is None:
        return ()
    return tuple(origin for origin in Origin if any(origin in claim.fills for claim in row.claims))


def as_markdown() -> str:
    """The table for people: one section per type, one line per claim."""
    systems = (Origin.ESR, Origin.LMS, Origin.RECRUITMENT, Origin.OCCUPATIONAL_HEALTH)
    lines: list[str] = []
    for row in TABLE:
        lines += [f"### {row.type}", ""]
        lines.append("| claim | " + " | ".join(origin.value for origin in Origin) + " |")
        lines.append("|---" * (len(Origin) + 1) + "|")
        for claim in row.claims:
            cells = [claim.fills.get(origin, "–") for origin in Origin]
            lines.append(f"| `{claim.name}` | " + " | ".join(cells) + " |")
        lines.append("")
        for origin in systems:
            if origin in row.why_not:
                lines.append(f"- {origin.value}: {row.why_not[origin]}.")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
