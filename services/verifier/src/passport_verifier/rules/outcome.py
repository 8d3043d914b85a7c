"""Results of rules, outcomes of decisions, and the algebra between them (domain model, gates and rules).

The order is READY < READY_WITH_CONDITIONS < REFER < NOT_READY; a decision takes the worst of its findings.
A safety need that fails is NOT_READY, one that is unknown or warns is REFER unless its policy names a
condition for that very warning; an assurance need that is anything but passed becomes a condition where the
policy names one, and REFER where it does not. Pure: no clock, no words for people (``wording`` has them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


class Result(StrEnum):  # PERSISTED
    """What a rule found, on one day or over both."""

    PASS = "PASS"  # noqa: S105 (a result, not a password)
    NOT_NEEDED = "NOT_NEEDED"
    WARN = "WARN"
    UNKNOWN = "UNKNOWN"
    FAIL = "FAIL"


class Outcome(StrEnum):  # PERSISTED
    """The answer of a decision."""

    READY = "READY"
    READY_WITH_CONDITIONS = "READY_WITH_CONDITIONS"
    REFER = "REFER"
    NOT_READY = "NOT_READY"


class Need(StrEnum):  # PERSISTED
    """How much a host relies on a rule: safety is never waived, assurance may become a condition."""

    SAFETY = "SAFETY"
    ASSURANCE = "ASSURANCE"


class Reason(StrEnum):  # PERSISTED
    """Why a rule did not pass (reason codes of the domain model, and those the trust evaluation adds)."""

    NOT_PRESENTED = "NOT_PRESENTED"
    ORIGINALS_NOT_SEEN = "ORIGINALS_NOT_SEEN"
    IDENTITY_LEVEL = "IDENTITY_LEVEL"
    EMPLOYMENT = "EMPLOYMENT"
    RTW = "RTW"
    SPONSORED = "SPONSORED"
    DBS_LEVEL = "DBS_LEVEL"
    DBS_WORKFORCE = "DBS_WORKFORCE"
    DBS_AGE = "DBS_AGE"
    REG_NUMBER_FORM = "REG_NUMBER_FORM"
    REG_STATUS = "REG_STATUS"
    REG_STALE = "REG_STALE"
    OH = "OH"
    EPP = "EPP"
    CORE_SKILL = "CORE_SKILL"
    ISSUER_NOT_AUTHORISED = "ISSUER_NOT_AUTHORISED"
    ISSUER_SUSPENDED = "ISSUER_SUSPENDED"
    KEY_COMPROMISED = "KEY_COMPROMISED"
    REGISTRY_STALE = "REGISTRY_STALE"
    REVOKED = "REVOKED"
    ON_HOLD = "ON_HOLD"
    EXPIRED = "EXPIRED"
    STATUS_STALE = "STATUS_STALE"
    STATUS_UNAVAILABLE = "STATUS_UNAVAILABLE"
    RULE_ERROR = "RULE_ERROR"


class Party(StrEnum):  # PERSISTED
    """Who can put something right, owns a condition, or decides a referral."""

    STAFF_MEMBER = "STAFF_MEMBER"
    EMPLOYING_HR = "EMPLOYING_HR"
    EMPLOYING_OH = "EMPLOYING_OH"
    HOST_HR = "HOST_HR"
    HOST_PROFESSIONAL_LEAD = "HOST_PROFESSIONAL_LEAD"
    HOST_LINE_MANAGER = "HOST_LINE_MANAGER"
    NETWORK_LEAD = "NETWORK_LEAD"


RESULT_ORDER = (Result.PASS, Result.NOT_NEEDED, Result.WARN, Result.UNKNOWN, Result.FAIL)
OUTCOME_ORDER = (Outcome.READY, Outcome.READY_WITH_CONDITIONS, Outcome.REFER, Outcome.NOT_READY)
SATISFIED = frozenset({Result.PASS, Result.NOT_NEEDED})


@dataclass(frozen=True, kw_only=True)
class Due:
    """When a condition must be met: hours after the decision, or on the first day (23:59 in London)."""

    hours: int | None = None

    def at(self, *, decided_at: datetime, first_day: date) -> datetime:
        """The instant, in UTC."""
        if self.hours is not None:
            return decided_at + timedelta(hours=self.hours)
        return datetime.combine(first_day, time(23, 59), LONDON).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class ConditionTemplate:
    """A condition a policy names: the key of its words, when it falls due, who owns it."""

    text: str
    due: Due
    owner: Party


@dataclass(frozen=True, kw_only=True)
class Words:
    """A sentence for people by key and parameters; ``wording.sentence`` makes it text in a language."""

    key: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DayResult:
    """What a rule found on one day."""

    result: Result
    reason: Reason | None = None
    words: Words
    fixer: Party | None = None
    decider: Party | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One rule's finding over the whole movement.

    ``credential`` is the type it read, ``subject`` the core skill it concerns; ``template`` the condition the
    policy names for it, if any. ``result`` covers both days: passing on the first day and failing on the last
    is WARN, because an earlier last day would pass.
    """

    rule: str
    credential: str | None = None
    subject: str | None = None
    need: Need
    first_day: DayResult
    last_day: DayResult
    template: ConditionTemplate | None = None

    # Asked for many times while a decision is made, and nothing it follows from can change.
    @cached_property
    def result(self) -> Result:
        """The result that counts."""
        first, last = self.first_day.result, self.last_day.result
        if last is Result.FAIL and (first in SATISFIED or first is Result.WARN):
            return Result.WARN
        return max(first, last, key=RESULT_ORDER.index)

    @cached_property
    def telling(self) -> DayResult:
        """The day that explains the result."""
        worse = RESULT_ORDER.index(self.last_day.result) > RESULT_ORDER.index(self.first_day.result)
        return self.last_day if worse else self.first_day

    @property
    def reason(self) -> Reason | None:
        """Why it did not pass; None when it did."""
        return self.telling.reason

    @property
    def outcome(self) -> Outcome:
        """What this finding alone would make of the decision."""
        if self.result in SATISFIED:
            return Outcome.READY
        if self.need is Need.SAFETY and self.result is Result.FAIL:
            return Outcome.NOT_READY
        return Outcome.READY_WITH_CONDITIONS if self.template else Outcome.REFER


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Something to be done after a start that was allowed without it."""

    rule: str
    subject: str | None
    words: Words
    due: datetime
    owner: Party


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of some outcomes; READY of none."""
    return max(outcomes, key=OUTCOME_ORDER.index, default=Outcome.READY)


def conditions(
    findings: Iterable[Finding], *, decided_at: datetime, first_day: date
) -> tuple[Condition, ...]:
    """The conditions that follow from findings, in their order, each once."""
    found: dict[tuple[str, str | None, str], Condition] = {}
    for finding in findings:
        if finding.outcome is Outcome.READY_WITH_CONDITIONS and finding.template:
            key = (finding.rule, finding.subject, finding.template.text)
            found.setdefault(
                key,
                Condition(
                    rule=finding.rule,
                    subject=finding.subject,
                    words=Words(key=finding.template.text, params={"subject": finding.subject or ""}),
                    due=finding.template.due.at(decided_at=decided_at, first_day=first_day),
                    owner=finding.template.owner,
                ),
            )
    return tuple(found.values())
