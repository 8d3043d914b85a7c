"""From a trust's records to Credential Datasets: what is held, and what is missing (journey J2).

A type is issued only from what this trust has checked. Whatever is not there, is not cleared, or does not
satisfy the type's schema is listed as not held, with what is missing in plain words, and never issued. Every
claim a host reads gets an explicit value. Nothing here knows trust marks, dates of expiry or keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from passport_issuer.rules.records import (
    Assignment,
    AssignmentStatus,
    CheckOutcome,
    CheckRecord,
    CheckType,
    EmploymentStatus,
    IdentitySession,
    SessionResult,
    Source,
    StaffRecords,
    TrainingEntry,
)
from passport_shared.wire import catalogue
from passport_shared.wire.regulators import number_has_form

NONE = "NONE"

# Longest default refresh of any core skills subject (domain model): within it a higher level still counts
# before a more recent lower one; beyond it the most recent completion tells more.
LEVEL_COUNTS_FOR = timedelta(days=3 * 366)

REGISTRATION_ISSUED = frozenset(
    {
        "REGISTERED",
        "REGISTERED_WITHOUT_LICENCE",
        "PROVISIONAL",
        "REGISTERED_WITH_CONDITIONS",
        "INTERIM_CONDITIONS",
    }
)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One dataset that may be signed as it stands; ``source_ref`` tells datasets of one type apart."""

    type: str
    source_ref: str
    claims: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """One thing that keeps a type from being issued: a stable code, and words that name the next step."""

    code: str
    detail: str


@dataclass(frozen=True, kw_only=True)
class NotHeld:
    """A type this person does not hold, and why."""

    type: str
    missing: tuple[Missing, ...]


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What can be issued to a person, and what cannot."""

    held: tuple[Dataset, ...]
    not_held: tuple[NotHeld, ...]


class _Incomplete(Exception):
    """A type cannot be built from the records."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.missing = Missing(code=code, detail=detail)


def assess(records: StaffRecords, holder_ref: str, types: Iterable[str], today: date) -> Assessment:
    """Sort ``types`` (names of the catalogue) into what is held and what is not.

    Args:
        records: everything the trust holds about the person.
        holder_ref: the passport's reference, 22 base64url characters.
        types: which types are asked for, in this order.
        today: the day in Europe/London.
    """
    held: list[Dataset] = []
    not_held: list[NotHeld] = []
    for name in types:
        try:
            found = _BUILDERS[name](records, today)
            for source_ref, own, provenance in found:
                claims = {**own, **_person(records, holder_ref), "provenance": provenance}
                catalogue.validate_claims(catalogue.TYPES[name], claims)
                held.append(Dataset(type=name, source_ref=source_ref, claims=claims))
        except _Incomplete as reason:
            not_held.append(NotHeld(type=name, missing=(reason.missing,)))
        except catalogue.ClaimsInvalid as invalid:
            held = [dataset for dataset in held if dataset.type != name]
            not_held.append(NotHeld(type=name, missing=_unfit(name, invalid)))
    return Assessment(held=tuple(held), not_held=tuple(not_held))


def _unfit(name: str, invalid: catalogue.ClaimsInvalid) -> tuple[Missing, ...]:
    kind = catalogue.TYPES[name]
    found = []
    for pointer, message in invalid.errors:
        path = [part for part in pointer.split("/") if part]
        words = kind.label(path) if kind.claim(path) else kind.label(path[:1]) if path else name
        found.append(Missing(code="detail_incomplete", detail=f"{words}: {message} ({pointer})."))
    return tuple(found)


def _person(records: StaffRecords, holder_ref: str) -> dict[str, Any]:
    staff = records.staff
    return {
        "holder_ref": holder_ref,
        "family_name": staff.legal_family,
        "given_name": staff.legal_given,
        "birthdate": staff.birthdate.isoformat(),
    }


def _provenance(
    ods: str, source: Source, last_refresh: date, outcome: str, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Where a dataset comes from; organisations by code and role, never a person."""
    method = {Source.MANUAL: "DOCUMENT_SEEN", Source.REGISTER: "REGISTER_LOOKED_UP"}.get(
        source, "SYSTEM_FEED"
    )
    return {
        "origin": source.value,
        "assurance_policy": "NHS Employment Check Standards",
        "assurance_outcome": outcome,
        "provider": {"ods_code": ods, "role": "EMPLOYER"},
        "verifier": {"ods_code": ods, "role": "HUMAN_RESOURCES"},
        "verification_method": method,
        "pedigree": "FIRST_HAND",
        "last_refresh": last_refresh.isoformat(),
        **(given or {}),
    }


def _date_or_none(value: date | None) -> str:
    return value.isoformat() if value else NONE


def newest_check(records: StaffRecords, kind: CheckType) -> CheckRecord | None:
    """The newest check of a kind: by the day it was performed, then by when it was recorded."""
    return max(
        (check for check in records.checks if check.check_type is kind),
        key=lambda check: (check.performed_on, check.created_at, check.id),
        default=None,
    )


def newest_session(records: StaffRecords) -> IdentitySession | None:
    """The newest identity session that has ended one way or the other."""
    ended = (s for s in records.sessions if s.result is not SessionResult.PENDING and s.ended_at is not None)
    return max(ended, key=lambda session: (session.ended_at, session.id), default=None)


def _cleared(records: StaffRecords, kind: CheckType, words: str) -> CheckRecord:
    check = newest_check(records, kind)
    if check is None:
        raise _Incomplete("check_missing", f"No {words} is recorded. Record the check with its evidence.")
    if check.outcome is not CheckOutcome.CLEARED:
        raise _Incomplete(
            "check_not_cleared", f"The newest {words} is not cleared, so there is nothing to issue."
        )
    if check.next_due is not None and check.next_due < check.performed_on:
        raise _Incomplete("check_dates_wrong", f"The {words} falls due before it was performed. Correct it.")
    return check


Built = list[tuple[str, dict[str, Any], dict[str, Any]]]


def _from_check(check: CheckRecord, own: dict[str, Any]) -> Built:
    provenance = _provenance(
        check.ods, check.source, check.performed_on, check.outcome.value, check.provenance
    )
    return [(check.id, own, provenance)]


def _staff_identity(records: StaffRecords, _today: date) -> Built:
    check = _cleared(records, CheckType.IDENTITY, "identity check")
    session = newest_session(records)
    if session is None:
        raise _Incomplete(
            "identity_not_confirmed", "Nobody has confirmed the person's identity at an appointment."
        )
    if session.result is SessionResult.FAILED or not session.face_matched:
        raise _Incomplete(
            "identity_mismatch", "The last appointment did not confirm the person. See them face to face."
        )
    ended = session.ended_at.date() if session.ended_at else check.performed_on
    own = {
        "identity_scheme": check.fields.get("identity_scheme", "NHS_IDENTITY_CHECK_STANDARD"),
        "gpg45_level": check.fields.get("gpg45_level", NONE),
        "channel": session.channel.value,
        "verified_on": ended.isoformat(),
        "originals_seen_in_person_on": _date_or_none(session.originals_seen_in_person_on),
    }
    if records.staff.portrait:
        own["portrait"] = records.staff.portrait
    return _from_check(check, own)


def _employment(records: StaffRecords, today: date) -> Built:
    staff = records.staff
    if staff.employment_status is EmploymentStatus.LEFT:
        raise _Incomplete("employment_ended", "The person has left the trust.")
    running = [a for a in records.assignments if _runs(a, staff.leaving_date, today)]
    if not running:
        raise _Incomplete("assignment_missing", "No running assignment is recorded. Add the person's post.")
    built: Built = []
    for post in sorted(running, key=lambda a: (not a.primary, a.start, a.ref)):
        end = min((d for d in (post.projected_end, staff.leaving_date) if d), default=None)
        own = {
            "employer_ods": post.ods,
            "position_title": post.title,
            "staff_group": post.staff_group,
            "job_role": post.job_role,
            "grade": post.grade or NONE,
            "employment_type": post.type,
            "fte": post.fte,
            "start_date": post.start.isoformat(),
            "contract_end": _date_or_none(end),
            "department": post.department or NONE,
        }
        built.append((post.ref, own, _provenance(post.ods, post.source, post.updated_at.date(), "CLEARED")))
    return built


def _runs(post: Assignment, leaving: date | None, today: date) -> bool:
    ends = [day for day in (post.projected_end, leaving) if day is not None]
    return post.status is AssignmentStatus.ACTIVE and all(day >= today for day in ends)


def _right_to_work(records: StaffRecords, today: date) -> Built:
    check = _cleared(records, CheckType.RTW, "right to work check")
    expires = check.fields.get("permission_expires", NONE)
    if isinstance(expires, str) and expires != NONE and expires < today.isoformat():
        raise _Incomplete("permission_ended", "The permission to work has ended. Make the follow-up check.")
    own = {
        "permission": check.fields.get("permission"),
        "permission_expires": expires,
        "route": check.fields.get("route"),
        "checked_on": check.performed_on.isoformat(),
        "work_restriction": check.fields.get("work_restriction", NONE),
    }
    return _from_check(check, _without_unknown(own))


def _dbs_outcome(records: StaffRecords, _today: date) -> Built:
    check = _cleared(records, CheckType.DBS, "DBS check")
    names = (
        "level",
        "workforce",
        "barred_lists",
        "certificate_issued_on",
        "registered_body",
        "update_service",
    )
    return _from_check(check, {name: check.fields[name] for name in names if name in check.fields})


def _professional_registration(records: StaffRecords, _today: date) -> Built:
    check = _cleared(records, CheckType.REGISTRATION, "registration check")
    status, number = check.fields.get("status"), check.fields.get("number")
    if status not in REGISTRATION_ISSUED:
        raise _Incomplete("not_registered", "The register does not show a registration that can be issued.")
    if not isinstance(number, str) or not number_has_form(str(check.fields.get("regulator")), number):
        raise _Incomplete("number_malformed", "The registration number does not have its regulator's form.")
    own = {
        "regulator": check.fields.get("regulator"),
        "number": number,
        "register_part": check.fields.get("register_part"),
        "registration_status": status,
        "licence_to_practise": check.fields.get("licence_to_practise", "NA"),
        "registers": check.fields.get("registers", []),
        "restrictions": check.fields.get("restrictions", []),
        "renewal_due": check.fields.get("renewal_due", NONE),
        "checked_on": check.performed_on.isoformat(),
    }
    return _from_check(check, _without_unknown(own))


def _occupational_health(records: StaffRecords, _today: date) -> Built:
    check = _cleared(records, CheckType.OH, "occupational health clearance")
    own = {
        "outcome": "CLEARED_FOR_ROLE",
        "cleared_on": check.performed_on.isoformat(),
        "role_category": check.fields.get("role_category"),
        "epp_cleared": check.fields.get("epp_cleared"),
    }
    return _from_check(check, _without_unknown(own))


def _core_skills(records: StaffRecords, today: date) -> Built:
    by_subject: dict[str, list[TrainingEntry]] = {}
    for entry in records.training:
        by_subject.setdefault(entry.subject_code, []).append(entry)
    if not by_subject:
        raise _Incomplete("training_missing", "No core skills training is recorded.")
    chosen = {subject: _best(entries, today) for subject, entries in sorted(by_subject.items())}
    newest = max(chosen.values(), key=lambda entry: entry.completed_on)
    provenance = _provenance(records.staff.ods, newest.source, newest.completed_on, "CLEARED")
    provenance["assurance_policy"] = "Core Skills Training Framework"
    return [
        ("core-skills", {"skills": {subject: _skill(entry) for subject, entry in chosen.items()}}, provenance)
    ]


def _best(entries: list[TrainingEntry], today: date) -> TrainingEntry:
    recent = [entry for entry in entries if entry.completed_on >= today - LEVEL_COUNTS_FOR]
    if recent:
        return max(recent, key=lambda entry: (level_rank(entry.level), entry.completed_on, entry.id))
    return max(entries, key=lambda entry: (entry.completed_on, level_rank(entry.level), entry.id))


def level_rank(level: str) -> int:
    """Order of levels within one subject: 1 < 2 < 3, Basic < Awareness, T1 < T2.

    Unknown words count as lowest.
    """
    named = {"BASIC": 1, "AWARENESS": 2}
    digits = "".join(character for character in level[:2] if character.isdigit())
    return named.get(level) or int(digits or 0)


def _skill(entry: TrainingEntry) -> dict[str, Any]:
    return {
        "level": entry.level,
        "completed_on": entry.completed_on.isoformat(),
        "provider": entry.provider_ods,
        "framework": entry.framework.value,
        "framework_version": entry.framework_version,
        "competency_name": entry.competency_name,
        "assessed": entry.assessed,
        "learning_method": entry.learning_method,
    }


def _without_unknown(claims: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the record does not say, so that the schema names it as missing."""
    return {name: value for name, value in claims.items() if value is not None}


_BUILDERS: Mapping[str, Callable[[StaffRecords, date], Built]] = {
    "StaffIdentity": _staff_identity,
    "Employment": _employment,
    "RightToWork": _right_to_work,
    "DbsOutcome": _dbs_outcome,
    "ProfessionalRegistration": _professional_registration,
    "OccupationalHealth": _occupational_health,
    "CoreSkills": _core_skills,
}
