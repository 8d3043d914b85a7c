"""A decision: every finding of a case, its outcome, its conditions. Pure; storing it is the operation's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from passport_verifier.rules import outcome, readiness, trust_findings
from passport_verifier.rules.evidence import Case
from passport_verifier.rules.outcome import Condition, Finding, Outcome, Party, Result

DECIDERS = (
    Party.HOST_PROFESSIONAL_LEAD,
    Party.NETWORK_LEAD,
    Party.HOST_HR,
    Party.EMPLOYING_HR,
    Party.EMPLOYING_OH,
    Party.HOST_LINE_MANAGER,
    Party.STAFF_MEMBER,
)
"""The order in which one of several deciders is named."""
TOLD_OF_A_CAP = (Party.EMPLOYING_HR, Party.HOST_HR)
"""Who is told when the employing trust's word ends a movement earlier than it was asked for (W8)."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a case comes to. ``ends_on`` is the last day judged; ``capped`` says that it was brought in."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    conditions: tuple[Condition, ...]
    ends_on: date
    capped: bool

    @property
    def decided_by(self) -> Party | None:
        """The role that decides a referral; None for any other outcome.

        Where several findings refer, the one that weighs most: who answers for a registration decides before
        who answers for a course.
        """
        if self.outcome is not Outcome.REFER:
            return None
        asked = [f.telling.decider or Party.HOST_HR for f in self.findings if f.outcome is Outcome.REFER]
        return min(asked, key=DECIDERS.index, default=Party.HOST_HR)

    @property
    def told(self) -> tuple[Party, ...]:
        """Who has to be told, besides the person."""
        return TOLD_OF_A_CAP if self.capped else ()

    @property
    def awaits_status(self) -> bool:
        """Whether a status list that arrives later may change it."""
        waiting = {outcome.Reason.STATUS_STALE, outcome.Reason.STATUS_UNAVAILABLE}
        return any(finding.reason in waiting for finding in self.findings)

    @property
    def latest_end(self) -> str | None:
        """The last day there can be, where a fact or the Release ends during the movement; else None."""
        offers = [
            finding.last_day.words.params["offer"]
            for finding in self.findings
            if finding.result is Result.WARN and "offer" in finding.last_day.words.params
        ]
        return min([*offers, *([self.ends_on.isoformat()] if self.capped else [])], default=None)


def judge(case: Case) -> Judgement:
    """Judge a case: R-01 to R-03 from standings, then every row of the policy."""
    rows = tuple(readiness.judge_row(case, row) for row in case.policy.rows)
    findings = (*trust_findings.standing_findings(case), *rows)
    worst = outcome.worst(finding.outcome for finding in findings)
    return Judgement(
        outcome=worst,
        findings=findings,
        conditions=outcome.conditions(findings, decided_at=case.decided_at, first_day=case.first_day),
        ends_on=case.ends_on,
        capped=case.ends_on < case.last_day,
    )
