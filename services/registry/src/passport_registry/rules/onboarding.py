"""Onboarding steps of a trust, the gates G1 to G3 and the state that follow from them (domain.md §10e).

Nobody types a gate or a state: both are derived here from the recorded steps, the named contacts and the
entity's keys. Re-training and yearly review (G5, G6) are expressed by a step's `valid_until`; this module
does not compute those dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


class Step(StrEnum):
    """What a trust does to join. PERSISTED."""

    REGISTRATION = "REGISTRATION"
    DPIA = "DPIA"
    TERMS_OF_USE = "TERMS_OF_USE"
    MOU = "MOU"
    HR_TRAINING = "HR_TRAINING"
    ESR_LINK = "ESR_LINK"
    TEST_ISSUE = "TEST_ISSUE"
    TEST_VERIFY = "TEST_VERIFY"


class StepState(StrEnum):
    """Where a step stands. PERSISTED; EXPIRED is also derived when a DONE or WAIVED step runs out."""

    NOT_STARTED = "NOT_STARTED"
    IN_PROGRESS = "IN_PROGRESS"
    BLOCKED = "BLOCKED"
    DONE = "DONE"
    EXPIRED = "EXPIRED"
    WAIVED = "WAIVED"


class OnboardingState(StrEnum):
    """How far a trust has come; WITHDRAWN and MERGED are not reachable yet."""

    INVITED = "INVITED"
    REGISTERED = "REGISTERED"
    GOVERNANCE = "GOVERNANCE"
    ENABLEMENT = "ENABLEMENT"
    TEST = "TEST"
    LIVE_VERIFY_ONLY = "LIVE_VERIFY_ONLY"
    LIVE = "LIVE"
    SUSPENDED = "SUSPENDED"


class GateName(StrEnum):
    """G1 registered, G2 may verify, G3 may issue."""

    G1 = "G1"
    G2 = "G2"
    G3 = "G3"


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One step as recorded; `details` holds the facts a gate reads (see `DETAILS`)."""

    step: Step
    state: StepState = StepState.NOT_STARTED
    due: date | None = None
    done_on: date | None = None
    valid_until: date | None = None
    waived_until: date | None = None
    waived_by: str | None = None
    evidence: str | None = None
    owner: str | None = None
    note: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Missing:
    """One reason why a gate is shut: a stable code, a sentence, and who can put it right."""

    code: str
    text: str
    who_can_fix: str


@dataclass(frozen=True)
class Gate:
    """A gate and what is missing; it holds when nothing is."""

    name: GateName
    missing: tuple[Missing, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True, kw_only=True)
class Gates:
    """The three gates of one trust on one day."""

    g1: Gate
    g2: Gate
    g3: Gate

    @property
    def only_test_issue_missing(self) -> bool:
        """Whether G3 waits for nothing but the test issue."""
        return [item.code for item in self.g3.missing] == ["TEST_ISSUE"]


# The facts a step may carry, with the type each must have; other steps carry none.
DETAILS: Mapping[Step, Mapping[str, type]] = {
    Step.REGISTRATION: {"ods_active": bool},
    Step.DPIA: {"approved_by_ig_lead": bool},
    Step.HR_TRAINING: {"trained_issuers": int, "trained_verifiers": int, "mfa": bool, "cover": str},
    Step.ESR_LINK: {"method": str},
}
COVERS = frozenset({"DEPUTY", "SHARED_HR_SERVICE", "OTHER_TRUST"})
ESR_METHODS = frozenset({"API", "CSV", "MANUAL"})
_CHOICES: Mapping[str, frozenset[str]] = {"cover": COVERS, "method": ESR_METHODS}


def london_day(at: datetime) -> date:
    """Return the business day of an instant in Europe/London."""
    return at.astimezone(LONDON).date()


def effective_state(record: StepRecord, today: date) -> StepState:
    """Return the state as it counts today: a DONE or WAIVED step past its date has EXPIRED."""
    until = {StepState.DONE: record.valid_until, StepState.WAIVED: record.waived_until}.get(record.state)
    if until is not None and today > until:
        return StepState.EXPIRED
    return record.state


def satisfied(record: StepRecord, today: date) -> bool:
    """Return whether the step counts as passed today."""
    return effective_state(record, today) in {StepState.DONE, StepState.WAIVED}


def step_faults(record: StepRecord, today: date) -> list[tuple[str, str]]:
    """Return what is wrong with a step as somebody wants to record it, as (field, sentence) pairs."""
    faults: list[tuple[str, str]] = []
    if record.state is StepState.EXPIRED:
        faults.append(("state", "EXPIRED follows from valid_until or waived_until and cannot be recorded"))
    faults += _done_faults(record, today) if record.state is StepState.DONE else _undone_faults(record)
    faults += _waiver_faults(record, today)
    faults += _detail_faults(record)
    return faults


def _done_faults(record: StepRecord, today: date) -> list[tuple[str, str]]:
    faults = []
    if record.done_on is None:
        faults.append(("done_on", "a step that is DONE needs the day it was done"))
    elif record.done_on > today:
        faults.append(("done_on", "lies in the future; it may be today or earlier"))
    if not record.evidence:
        faults.append(("evidence", "a step that is DONE names its evidence (a document reference)"))
    if record.done_on and record.valid_until and record.valid_until < record.done_on:
        faults.append(("valid_until", "lies before done_on"))
    return faults


def _undone_faults(record: StepRecord) -> list[tuple[str, str]]:
    named = (("done_on", record.done_on), ("valid_until", record.valid_until))
    return [(name, "belongs to a step that is DONE") for name, value in named if value is not None]


def _waiver_faults(record: StepRecord, today: date) -> list[tuple[str, str]]:
    if record.state is not StepState.WAIVED:
        named = (("waived_until", record.waived_until), ("waived_by", record.waived_by))
        return [(name, "belongs to a step that is WAIVED") for name, value in named if value is not None]
    faults = []
    if record.step is Step.REGISTRATION:
        faults.append(("state", "REGISTRATION cannot be waived"))
    if record.waived_until is None:
        faults.append(("waived_until", "a waiver ends on a day"))
    elif record.waived_until < today:
        faults.append(("waived_until", "lies in the past"))
    if not record.waived_by:
        faults.append(("waived_by", "a waiver names the role that granted it"))
    if not record.evidence:
        faults.append(("evidence", "a waiver names what stands in for the step"))
    return faults


def _detail_faults(record: StepRecord) -> list[tuple[str, str]]:
    known = DETAILS.get(record.step, {})
    faults = []
    for name, value in record.details.items():
        expected = known.get(name)
        if expected is None:
            allowed = ", ".join(known) or "none"
            faults.append((f"details/{name}", f"is not a fact of {record.step} (known: {allowed})"))
        elif type(value) is not expected:
            faults.append((f"details/{name}", f"must be of type {expected.__name__}"))
        elif isinstance(value, int) and value < 0:
            faults.append((f"details/{name}", "must not be negative"))
        elif name in _CHOICES and value not in _CHOICES[name]:
            faults.append((f"details/{name}", f"must be one of {', '.join(sorted(_CHOICES[name]))}"))
    return faults


def gates(
    steps: Mapping[Step, StepRecord], *, today: date, hrd_named: bool, active_issuing_key: bool
) -> Gates:
    """Derive the three gates.

    Args:
        steps: what is recorded; a step that is not there counts as NOT_STARTED.
        today: the business day they are judged on.
        hrd_named: whether the organisation's contacts name its HR director.
        active_issuing_key: whether the issuer entity has an active credential key.
    """
    view = _View(steps, today)
    g1 = view.registration(hrd_named=hrd_named)
    g2 = g1 + view.may_verify()
    g3 = g2 + view.may_issue(active_issuing_key=active_issuing_key)
    return Gates(g1=Gate(GateName.G1, g1), g2=Gate(GateName.G2, g2), g3=Gate(GateName.G3, g3))


@dataclass(frozen=True)
class _View:
    steps: Mapping[Step, StepRecord]
    today: date

    def passed(self, step: Step) -> bool:
        record = self.steps.get(step)
        return record is not None and satisfied(record, self.today)

    def waived(self, step: Step) -> bool:
        record = self.steps.get(step)
        return record is not None and effective_state(record, self.today) is StepState.WAIVED

    def fact(self, step: Step, name: str) -> object:
        record = self.steps.get(step)
        return record.details.get(name) if record is not None else None

    def count(self, name: str) -> int:
        value = self.fact(Step.HR_TRAINING, name)
        return value if isinstance(value, int) else 0

    def registration(self, *, hrd_named: bool) -> tuple[Missing, ...]:
        active = self.fact(Step.REGISTRATION, "ods_active") is True
        return _wanted(
            (
                self.passed(Step.REGISTRATION),
                "REGISTRATION",
                "Registration is not complete.",
                "registry operator",
            ),
            (active, "ODS_ACTIVE", "The ODS code has not been confirmed as active.", "registry operator"),
            (hrd_named, "HRD_NAMED", "No HR director is named in the contacts.", "trust HR director"),
        )

    def may_verify(self) -> tuple[Missing, ...]:
        dpia = self.waived(Step.DPIA) or self.fact(Step.DPIA, "approved_by_ig_lead") is True
        waived = self.waived(Step.HR_TRAINING)
        return _wanted(
            (
                self.passed(Step.TERMS_OF_USE),
                "TERMS_OF_USE",
                "The terms of use are not accepted.",
                "trust HR director",
            ),
            (
                self.passed(Step.DPIA),
                "DPIA",
                "The data protection assessment is not adopted.",
                "trust IG lead",
            ),
            (
                dpia,
                "DPIA_APPROVED_BY_IG_LEAD",
                "The trust's own IG lead has not approved the DPIA.",
                "trust IG lead",
            ),
            (self.passed(Step.HR_TRAINING), "HR_TRAINING", "HR training is not complete.", "trust HR"),
            (
                waived or self.count("trained_verifiers") >= 1,
                "TRAINED_VERIFIER",
                "Nobody is trained to verify.",
                "trust HR",
            ),
            (
                waived or self.fact(Step.HR_TRAINING, "mfa") is True,
                "MFA",
                "Multi-factor sign-in of HR users is not confirmed.",
                "trust IT",
            ),
        )

    def may_issue(self, *, active_issuing_key: bool) -> tuple[Missing, ...]:
        waived = self.waived(Step.HR_TRAINING)
        return _wanted(
            (
                waived or self.count("trained_issuers") >= 1,
                "TRAINED_ISSUER",
                "Nobody is trained to issue.",
                "trust HR",
            ),
            (
                waived or self.fact(Step.HR_TRAINING, "cover") in COVERS,
                "COVER",
                "No cover is named: a deputy, a shared HR service or another trust.",
                "trust HR director",
            ),
            (
                self.passed(Step.ESR_LINK),
                "ESR_LINK",
                "The link to ESR is not set up (API, CSV or waived).",
                "trust IT",
            ),
            (
                active_issuing_key,
                "ACTIVE_KEY",
                "The issuer has not enrolled an active key.",
                "issuer operator",
            ),
            (self.passed(Step.TEST_ISSUE), "TEST_ISSUE", "The test issue has not been done.", "trust HR"),
        )


def _wanted(*rows: tuple[bool, str, str, str]) -> tuple[Missing, ...]:
    return tuple(Missing(code, text, who) for holds, code, text, who in rows if not holds)


GOVERNANCE = (Step.DPIA, Step.TERMS_OF_USE, Step.MOU)
ENABLEMENT = (Step.HR_TRAINING, Step.ESR_LINK)


def state(
    steps: Mapping[Step, StepRecord], derived: Gates, *, today: date, suspended: bool
) -> OnboardingState:
    """Derive the trust's state: the furthest it has reached, or SUSPENDED while an entity of it is."""
    if suspended:
        return OnboardingState.SUSPENDED
    view = _View(steps, today)
    if derived.g2.holds and view.passed(Step.TEST_VERIFY):
        return OnboardingState.LIVE if derived.g3.holds else OnboardingState.LIVE_VERIFY_ONLY
    if not derived.g1.holds:
        return OnboardingState.INVITED
    if not all(view.passed(step) for step in GOVERNANCE):
        begun = any(step in steps and steps[step].state is not StepState.NOT_STARTED for step in GOVERNANCE)
        return OnboardingState.GOVERNANCE if begun else OnboardingState.REGISTERED
    if all(view.passed(step) for step in ENABLEMENT):
        return OnboardingState.TEST
    return OnboardingState.ENABLEMENT
