"""A decision: every finding of a case, its outcome, its conditions. Pure; storing it is the operation's."""

from __future__ import annotations

from dataclasses import dataclass

from passport_verifier.rules import outcome, readiness, trust_findings
from passport_verifier.rules.evidence import Case
from passport_verifier.rules.outcome import Condition, Finding, Outcome, Party, Result


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a case comes to."""

    outcome: Outcome
    findings: tuple[Finding, ...]
    conditions: tuple[Condition, ...]

    @property
    def decided_by(self) -> Party | None:
        """The role that decides a referral; None for any other outcome."""
        if self.outcome is not Outcome.REFER:
            return None
        referring = (finding for finding in self.findings if finding.outcome is Outcome.REFER)
        return next((finding.telling.decider or Party.HOST_HR for finding in referring), Party.HOST_HR)

    @property
    def awaits_status(self) -> bool:
        """Whether a status list that arrives later may change it."""
        waiting = {outcome.Reason.STATUS_STALE, outcome.Reason.STATUS_UNAVAILABLE}
        return any(finding.reason in waiting for finding in self.findings)

    @property
    def latest_end(self) -> str | None:
        """The last day that could be offered where a fact ends during the movement; None where none does."""
        offers = [
            finding.last_day.words.params["offer"]
            for finding in self.findings
            if finding.result is Result.WARN and "offer" in finding.last_day.words.params
        ]
        return min(offers, default=None)


def judge(case: Case) -> Judgement:
    """Judge a case: R-01 to R-03 from standings, then every row of the policy."""
    rows = tuple(readiness.judge_row(case, row) for row in case.policy.rows)
    findings = (*trust_findings.standing_findings(case), *rows)
    worst = outcome.worst(finding.outcome for finding in findings)
    return Judgement(
        outcome=worst,
        findings=findings,
        conditions=outcome.conditions(findings, decided_at=case.decided_at, first_day=case.first_day),
    )
