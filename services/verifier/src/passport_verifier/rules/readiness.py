"""The readiness rules R-05 to R-10 and R-12 (domain model §10d), each judged as on one day.

A rule is a function from a case, its policy row and a day to a ``DayResult``. A detail that is not there
makes it UNKNOWN, never PASS. Dates are facts about the person (permission, end of contract, completion plus
the host's months), never a credential's ``exp``. A rule that raises counts as UNKNOWN and as safety. R-01 to
R-03 are in ``trust_findings``; agreements, release and induction are gates, not rules.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from passport_verifier.rules.evidence import (
    NUMBER_COMMITMENT,
    NUMBER_HAS_FORM,
    Case,
    RegisterLookUp,
    RegisterStatus,
)
from passport_verifier.rules.outcome import (
    LONDON,
    ConditionTemplate,
    DayResult,
    Finding,
    Need,
    Party,
    Reason,
    Result,
    Words,
)
from passport_verifier.rules.policies import NeedRow

LEEWAY = timedelta(minutes=1)
DEFAULT_LOOK_UP_HOURS = 24
NOT_JUDGED = frozenset({"number", "renewal_due"})
"""Claims of R-09 that no result depends on: the number is judged as its commitment, the renewal is a date."""
GPG45_LEVELS = ("NONE", "LOW", "MEDIUM", "HIGH", "VERY_HIGH")
DBS_LEVELS = ("NONE", "BASIC", "STANDARD", "ENHANCED", "ENHANCED_BARRED")
NONE = "NONE"

Rule = Callable[[Case, NeedRow, date], DayResult]


def _result(  # one line per field keeps the rules below readable
    result: Result,
    key: str,
    reason: Reason | None = None,
    fixer: Party | None = None,
    decider: Party | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    **more: Any,
) -> DayResult:
    words = Words(key=key, params={**(params or {}), **more})
    return DayResult(result=result, reason=reason, words=words, fixer=fixer, decider=decider)


def _not_presented(credential: str, subject: str | None = None) -> DayResult:
    return _result(
        Result.UNKNOWN,
        "NOT_PRESENTED",
        Reason.NOT_PRESENTED,
        Party.STAFF_MEMBER,
        Party.HOST_HR,
        credential=credential,
        subject=subject or "",
    )


def _facts(case: Case, credential: str, *names: str) -> Mapping[str, Any] | None:
    """The facts of a credential, or None unless every named one is there."""
    facts = case.facts.get(credential, {})
    return facts if all(facts.get(name) is not None for name in names) else None


def add_months(start: date, months: int) -> date:
    """The same day some months later, or the last day of that month where it has no such day."""
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


def _past(text: str, case: Case) -> date:
    """A day on which something was done.

    Raises:
        ValueError: no date, or one that has not come: then a person has to look (the rule is UNKNOWN).
    """
    day = date.fromisoformat(text)
    if day > london_day(case.decided_at):
        raise ValueError("a day that has not come")
    return day


def identity(case: Case, _row: NeedRow, _day: date) -> DayResult:
    """R-05: NHS identity check standard with originals seen in person, or GPG45 at the profile's level."""
    facts = _facts(case, "StaffIdentity", "identity_scheme", "gpg45_level", "originals_seen_in_person_on")
    if facts is None:
        return _not_presented("StaffIdentity")
    seen = facts["originals_seen_in_person_on"]
    if facts["identity_scheme"] == "GPG45":
        level, needed = facts["gpg45_level"], case.policy.profile.gpg45_minimum
        if GPG45_LEVELS.index(level) >= GPG45_LEVELS.index(needed):
            return _result(Result.PASS, "IDENTITY_GPG45", level=level)
        return _result(
            Result.FAIL,
            "IDENTITY_GPG45_LOW",
            Reason.IDENTITY_LEVEL,
            Party.EMPLOYING_HR,
            Party.HOST_HR,
            level=level,
            needed=needed,
        )
    if facts["identity_scheme"] != "NHS_IDENTITY_CHECK_STANDARD":
        return _not_presented("StaffIdentity")
    if seen == NONE:
        return _result(
            Result.WARN, "ORIGINALS_NOT_SEEN", Reason.ORIGINALS_NOT_SEEN, Party.HOST_HR, Party.HOST_HR
        )
    return _result(Result.PASS, "ORIGINALS_SEEN", date=_past(seen, case).isoformat())


def employment(case: Case, _row: NeedRow, day: date) -> DayResult:
    """R-06: employed by the employing trust, by its own word, on this day; the end date is the last day."""
    facts = _facts(case, "Employment", "employer_ods", "contract_end")
    if facts is None:
        return _not_presented("Employment")
    employer = facts["employer_ods"]
    standing = case.credentials.get("Employment")
    own_word = standing is not None and standing.issuer_ods == employer
    if not own_word or case.employing_ods not in {None, employer}:
        return _result(
            Result.FAIL,
            "EMPLOYER_DIFFERS",
            Reason.EMPLOYMENT,
            Party.EMPLOYING_HR,
            Party.HOST_HR,
            employer=employer,
            needed=case.employing_ods or employer,
        )
    if facts["contract_end"] == NONE:
        return _result(Result.PASS, "EMPLOYED", employer=employer)
    end = date.fromisoformat(facts["contract_end"])
    if end >= day:
        return _result(Result.PASS, "EMPLOYED_UNTIL", employer=employer, date=end.isoformat())
    return _result(
        Result.FAIL,
        "EMPLOYMENT_ENDS",
        Reason.EMPLOYMENT,
        Party.EMPLOYING_HR,
        Party.HOST_HR,
        date=end.isoformat(),
        offer=end.isoformat(),
    )


def right_to_work(case: Case, _row: NeedRow, day: date) -> DayResult:
    """R-07: permission on this day; it ends the day before it expires. Restrictions need a person."""
    facts = _facts(case, "RightToWork", "permission", "permission_expires", "work_restriction")
    if facts is None or facts["permission"] not in {"UNLIMITED", "UNTIL"}:
        return _not_presented("RightToWork")
    if facts["permission"] == "UNTIL":
        expires = date.fromisoformat(facts["permission_expires"])
        if expires <= day:
            return _result(
                Result.FAIL,
                "RTW_ENDS",
                Reason.RTW,
                Party.EMPLOYING_HR,
                Party.HOST_HR,
                date=expires.isoformat(),
                offer=(expires - timedelta(days=1)).isoformat(),
            )
    restriction = facts["work_restriction"]
    if restriction == "SPONSORED":
        return _result(Result.WARN, "RTW_SPONSORED", Reason.SPONSORED, Party.EMPLOYING_HR, Party.HOST_HR)
    if restriction != NONE:
        return _result(
            Result.WARN,
            "RTW_RESTRICTED",
            Reason.RTW,
            Party.EMPLOYING_HR,
            Party.HOST_HR,
            restriction=restriction,
        )
    return _result(Result.PASS, "RTW_UNLIMITED" if facts["permission"] == "UNLIMITED" else "RTW_UNTIL")


def dbs(case: Case, _row: NeedRow, day: date) -> DayResult:
    """R-08: level, workforce and barred lists of the profile; an age only where the host sets one."""
    profile = case.policy.profile
    facts = _facts(case, "DbsOutcome", *case.policy.reads("R-08"))
    if facts is None:
        return _not_presented("DbsOutcome")
    fixer, decider = Party.EMPLOYING_HR, Party.HOST_HR
    if DBS_LEVELS.index(facts["level"]) < DBS_LEVELS.index(profile.dbs_level):
        return _result(
            Result.FAIL,
            "DBS_LEVEL",
            Reason.DBS_LEVEL,
            fixer,
            decider,
            level=facts["level"],
            needed=profile.dbs_level,
        )
    covered = {"ADULT", "CHILD"} if facts["workforce"] == "BOTH" else {facts["workforce"]}
    barred = profile.barred_lists_needed
    if not profile.dbs_workforce <= covered or not barred <= set(facts["barred_lists"] if barred else ()):
        return _result(
            Result.FAIL,
            "DBS_WORKFORCE",
            Reason.DBS_WORKFORCE,
            fixer,
            decider,
            workforce=facts["workforce"],
            needed=", ".join(sorted(profile.dbs_workforce | barred)),
        )
    if profile.dbs_max_age_months is not None:
        issued = _past(facts["certificate_issued_on"], case)
        if add_months(issued, profile.dbs_max_age_months) < day:
            return _result(
                Result.FAIL,
                "DBS_AGE",
                Reason.DBS_AGE,
                fixer,
                decider,
                date=issued.isoformat(),
                months=profile.dbs_max_age_months,
            )
    return _result(Result.PASS, "DBS_COVERED", level=facts["level"])


FAILING = frozenset(
    {
        RegisterStatus.REGISTERED_WITHOUT_LICENCE,
        RegisterStatus.INTERIM_SUSPENSION,
        RegisterStatus.SUSPENDED,
        RegisterStatus.LAPSED,
        RegisterStatus.REMOVED,
        RegisterStatus.NOT_FOUND,
    }
)
REFERRED = frozenset({RegisterStatus.INTERIM_CONDITIONS, RegisterStatus.REGISTERED_WITH_CONDITIONS})


def _newest_look_up(case: Case, facts: Mapping[str, Any]) -> RegisterLookUp | None:
    """The newest look-up of the very number that was shown.

    What an approver saw to be in order counts for an urgent move alone; what was not in order always counts.
    """
    same = [
        check
        for check in case.look_ups
        if check.number_commitment == facts[NUMBER_COMMITMENT] and check.regulator == facts["regulator"]
        if case.policy.urgent or not check.by_approver or _own_result(case, check).result is not Result.PASS
    ]
    return max(same, key=lambda check: check.checked_at, default=None)


def _own_result(case: Case, check: RegisterLookUp) -> DayResult:
    return _register_status(case, check.status, check.licence, "HOST")


def _is_recent(case: Case, check: RegisterLookUp) -> bool:
    """Whether a look-up still says something: by HR so many hours, by an approver on its own day."""
    if check.checked_at > case.decided_at + LEEWAY:
        return False
    as_at = case.look_ups_as_at or case.decided_at
    if check.by_approver:
        return london_day(check.checked_at) >= london_day(as_at)
    hours = case.policy.profile.look_up_max_age_hours.get(check.regulator, DEFAULT_LOOK_UP_HOURS)
    return as_at - check.checked_at <= timedelta(hours=hours)


def _register_status(case: Case, status: str, licence: object, source: str) -> DayResult:
    """What a register status means for the profile, whoever read it."""
    profile = case.policy.profile
    words: dict[str, Any] = {"status": status, "source": source}
    lead = Party.HOST_PROFESSIONAL_LEAD
    if status in FAILING or (status == RegisterStatus.PROVISIONAL and not profile.provisional_allowed):
        return _result(Result.FAIL, "REG_STATUS", Reason.REG_STATUS, Party.STAFF_MEMBER, lead, params=words)
    if profile.licence_required and licence is not True:
        return _result(
            Result.FAIL,
            "REG_STATUS",
            Reason.REG_STATUS,
            Party.STAFF_MEMBER,
            lead,
            status=str(RegisterStatus.REGISTERED_WITHOUT_LICENCE),
            source=source,
        )
    if status in REFERRED:
        return _result(Result.WARN, "REG_CONDITIONS", Reason.REG_STATUS, lead, lead, params=words)
    if status in {RegisterStatus.REGISTERED, RegisterStatus.PROVISIONAL}:
        return _result(Result.PASS, "REGISTERED", params=words)
    return _result(
        Result.UNKNOWN, "REG_NOT_CLEAR", Reason.REG_STALE, Party.HOST_HR, Party.HOST_HR, params=words
    )


def registration(case: Case, _row: NeedRow, _day: date) -> DayResult:
    """R-09: on the right register by the host's own recent look-up of the number that was shown.

    First the form of the number, then the look-up. One that found something wrong counts until a newer one;
    only a good one grows old. The employer's check alone is not enough, and where it disagrees for the worse
    a person decides. A renewal that falls due during the movement is a dated check (``dated_checks``).
    """
    names = (NUMBER_COMMITMENT, *(name for name in case.policy.reads("R-09") if name not in NOT_JUDGED))
    facts = _facts(case, "ProfessionalRegistration", *names)
    if facts is None:
        return _not_presented("ProfessionalRegistration")
    refused = _not_on_their_register(case, facts)
    if refused is not None:
        return refused
    # Without a need for a licence, nobody asked about one.
    licence = facts.get("licence_to_practise")
    employers = _register_status(case, str(facts["registration_status"]), licence, "EMPLOYER")
    look_up = _newest_look_up(case, facts)
    own = _own_result(case, look_up) if look_up else None
    if own is not None and own.result is Result.FAIL:
        return own
    if look_up is None or own is None or not _is_recent(case, look_up):
        return employers if employers.result is Result.FAIL else _stale(facts)
    if own.result is Result.PASS and employers.result in {Result.FAIL, Result.WARN}:
        lead = Party.HOST_PROFESSIONAL_LEAD
        return _result(
            Result.WARN,
            "REG_DISAGREES",
            Reason.REG_STATUS,
            Party.EMPLOYING_HR,
            lead,
            status=str(facts["registration_status"]),
        )
    return own


def _stale(facts: Mapping[str, Any]) -> DayResult:
    """Nobody at the host has looked recently; the employer's own check is told, and is not enough."""
    checked = date.fromisoformat(facts["checked_on"]).isoformat()
    return _result(
        Result.UNKNOWN, "REG_STALE_CHECKED", Reason.REG_STALE, Party.HOST_HR, Party.HOST_HR, date=checked
    )


def _not_on_their_register(case: Case, facts: Mapping[str, Any]) -> DayResult | None:
    """The regulator is not one the role needs, or writes its numbers in another form."""
    profile = case.policy.profile
    if facts["regulator"] not in profile.regulators:
        return _result(
            Result.FAIL,
            "REG_REGULATOR",
            Reason.REG_STATUS,
            Party.STAFF_MEMBER,
            Party.HOST_PROFESSIONAL_LEAD,
            regulator=facts["regulator"],
            needed=", ".join(profile.regulators),
        )
    # Facts of before the form was looked at have no word on it.
    if facts.get(NUMBER_HAS_FORM, True) is not True:
        return _result(
            Result.FAIL,
            "REG_NUMBER_FORM",
            Reason.REG_NUMBER_FORM,
            Party.EMPLOYING_HR,
            Party.HOST_HR,
            regulator=facts["regulator"],
        )
    return None


def occupational_health(case: Case, _row: NeedRow, _day: date) -> DayResult:
    """R-10: cleared for a role category the profile accepts, and for exposure-prone procedures if needed."""
    profile = case.policy.profile
    facts = _facts(case, "OccupationalHealth", *case.policy.reads("R-10"))
    if facts is None:
        return _not_presented("OccupationalHealth")
    if facts["outcome"] != "CLEARED_FOR_ROLE" or facts["role_category"] not in profile.oh_role_categories:
        return _result(
            Result.FAIL,
            "OH",
            Reason.OH,
            Party.EMPLOYING_OH,
            Party.HOST_LINE_MANAGER,
            category=facts["role_category"],
        )
    if profile.epp and facts["epp_cleared"] != "YES":
        return _result(Result.FAIL, "EPP", Reason.EPP, Party.EMPLOYING_OH, Party.HOST_LINE_MANAGER)
    return _result(Result.PASS, "OH_CLEARED_EPP" if profile.epp else "OH_CLEARED")


def core_skill(case: Case, row: NeedRow, day: date) -> DayResult:
    """R-12: one subject at a level that satisfies the row, current beyond this day by the host's months."""
    skill = case.facts.get("CoreSkills", {}).get(row.subject or "")
    if not skill or skill.get("level") is None or skill.get("completed_on") is None:
        return _not_presented("CoreSkills", row.subject)
    reason, fixer, decider = Reason.CORE_SKILL, Party.STAFF_MEMBER, Party.HOST_LINE_MANAGER
    if skill["level"] not in row.levels:
        return _result(
            Result.FAIL,
            "SKILL_LEVEL",
            reason,
            fixer,
            decider,
            subject=row.subject,
            level=skill["level"],
            needed=row.levels[0],
        )
    completed = date.fromisoformat(skill["completed_on"])
    if completed > london_day(case.decided_at):
        return _result(
            Result.FAIL,
            "SKILL_NOT_YET",
            reason,
            fixer,
            decider,
            subject=row.subject,
            date=completed.isoformat(),
        )
    if row.months is None:
        return _result(Result.PASS, "SKILL_HELD", subject=row.subject, date=completed.isoformat())
    until = add_months(completed, row.months)
    if until <= day:
        return _result(
            Result.FAIL,
            "SKILL_LAPSED",
            reason,
            fixer,
            decider,
            subject=row.subject,
            date=until.isoformat(),
            months=row.months,
        )
    return _result(Result.PASS, "SKILL_CURRENT", subject=row.subject, date=until.isoformat())


RULES: Mapping[str, Rule] = {
    "R-05": identity,
    "R-06": employment,
    "R-07": right_to_work,
    "R-08": dbs,
    "R-09": registration,
    "R-10": occupational_health,
    "R-12": core_skill,
}


def _on(rule: Rule | None, case: Case, row: NeedRow, day: date) -> DayResult | None:
    """The rule's result on a day; None when it could not be worked out, or there is no such rule."""
    if rule is None:
        return None
    try:
        return rule(case, row, day)
    except Exception:  # noqa: BLE001 - whatever a rule raises, its answer is not known
        return None


def judge_row(case: Case, row: NeedRow) -> Finding:
    """One row of the policy judged as at the first and the last day."""
    rule = RULES.get(row.rule)
    days = [_on(rule, case, row, day) for day in (case.first_day, case.ends_on)]
    broken = _result(Result.UNKNOWN, "RULE_ERROR", Reason.RULE_ERROR, Party.EMPLOYING_HR, Party.HOST_HR)
    first, last = (day or broken for day in days)
    finding = Finding(
        rule=row.rule,
        credential=row.credential,
        subject=row.subject,
        need=Need.SAFETY if None in days else row.need,
        first_day=first,
        last_day=last,
    )
    if None in days:
        return finding
    return Finding(
        rule=finding.rule,
        credential=finding.credential,
        subject=finding.subject,
        need=finding.need,
        first_day=first,
        last_day=last,
        template=_template(row, finding),
    )


def _template(row: NeedRow, finding: Finding) -> ConditionTemplate | None:
    """The condition the policy names: for safety only for a warning, for assurance for anything."""
    if row.need is Need.SAFETY and finding.result is not Result.WARN:
        return None
    if row.need is Need.SAFETY and Result.FAIL in {finding.first_day.result, finding.last_day.result}:
        return None
    return row.template(finding.reason)


def london_day(at: datetime) -> date:
    """The day of an instant in Europe/London, where business dates are judged."""
    return at.astimezone(LONDON).date()
