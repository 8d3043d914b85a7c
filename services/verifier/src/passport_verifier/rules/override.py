"""R-14: accepting with a reason what a policy asks for as assurance (domain model §10d).

Never a safety need, never what trust or status says of a card: those stay as they are whoever agrees. What is
accepted is one finding with its reason, so that a re-check keeps it exactly while the same thing is still
missing; anything new is judged as ever. Two people, 72 hours, then the decision stands as before. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from passport_verifier.rules.outcome import Need, Outcome, worst

LIFE = timedelta(hours=72)
SHORTEST_REASON = 20
LONGEST_REASON = 500
NEVER = frozenset({"R-01", "R-02", "R-03"})


@dataclass(frozen=True, kw_only=True, order=True)
class Accepted:
    """One finding that two people accept: its rule, its subject, and why it did not pass."""

    rule: str
    subject: str | None
    reason: str | None

    @classmethod
    def of(cls, finding: Mapping[str, Any]) -> Accepted:
        """The same of a stored finding."""
        return cls(rule=finding["rule"], subject=finding["subject"], reason=finding["reason"])


def acceptable(finding: Mapping[str, Any]) -> bool:
    """Whether a stored finding is one that can be accepted: assurance, of a row, and referred to a person."""
    return (
        finding["need"] == Need.ASSURANCE
        and finding["rule"] not in NEVER
        and finding["outcome"] == Outcome.REFER
    )


def outcome_with(findings: Sequence[Mapping[str, Any]], accepted: Collection[Accepted]) -> Outcome:
    """What a decision comes to while some of its findings are accepted.

    An accepted finding still weighs as a condition: nothing that is missing ever reads as READY.
    """

    def of(finding: Mapping[str, Any]) -> Outcome:
        if acceptable(finding) and Accepted.of(finding) in accepted:
            return Outcome.READY_WITH_CONDITIONS
        return Outcome(finding["outcome"])

    return worst(of(finding) for finding in findings)


def is_a_reason(text: str) -> bool:
    """Whether a reason says something: at least 20 characters that are not white space around it."""
    said = " ".join(text.split())
    return len(said) >= SHORTEST_REASON and len(text) <= LONGEST_REASON and len(set(said.lower())) > 4
