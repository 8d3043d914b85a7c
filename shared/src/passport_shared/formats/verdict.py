"""The verdict on one presented credential: one named result per check, and nothing by default.

``verified`` is computed from all of them, so a check that was forgotten, failed or could not be made can
never end in a positive answer. API, event and record are written from this object. It makes no check itself.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What became of one check; UNKNOWN means it could not be decided."""

    PASS = "PASS"  # noqa: S105  an outcome, not a password
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Check(StrEnum):
    """The names of the checks, which are the fields of ``Verdict``."""

    ISSUER_SIGNATURE = "issuer_signature"
    TYPE = "type"
    ALGORITHM = "algorithm"
    STRUCTURE = "structure"
    VALIDITY = "validity"
    TRUST = "trust"
    VCT = "vct"
    STATUS = "status"
    HOLDER_BINDING = "holder_binding"
    NONCE = "nonce"
    AUDIENCE = "audience"
    FRESHNESS = "freshness"
    QUERY = "query"
    SAME_SUBJECT = "same_subject"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Outcome of one check; ``reason`` is a code, absent exactly when the check passed."""

    outcome: Outcome
    reason: str | None

    def __post_init__(self) -> None:
        if type(self.outcome) is not Outcome:
            raise TypeError("a check ends in an Outcome")
        if (self.outcome is Outcome.PASS) != (self.reason is None):
            raise ValueError("a reason is given exactly when a check did not pass")

    @classmethod
    def failed(cls, reason: str) -> CheckResult:
        """Result of a check that said no."""
        return cls(Outcome.FAIL, str(reason))

    @classmethod
    def unknown(cls, reason: str) -> CheckResult:
        """Result of a check that could not be decided."""
        return cls(Outcome.UNKNOWN, str(reason))


PASSED: Final = CheckResult(Outcome.PASS, None)
NOT_CHECKED: Final = "not_checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Every check of one presented credential; there is no default, so none can be left out."""

    issuer_signature: CheckResult
    type: CheckResult
    algorithm: CheckResult
    structure: CheckResult
    validity: CheckResult
    trust: CheckResult
    vct: CheckResult
    status: CheckResult
    holder_binding: CheckResult
    nonce: CheckResult
    audience: CheckResult
    freshness: CheckResult
    query: CheckResult
    same_subject: CheckResult

    def __post_init__(self) -> None:
        for name, result in self.results().items():
            if type(result) is not CheckResult:
                raise TypeError(f"{name} is not the result of a check")

    def results(self) -> dict[str, CheckResult]:
        """Each check's result by its name."""
        return {name: getattr(self, name) for name in _CHECKS}

    @property
    def verified(self) -> bool:
        """True if, and only if, every check passed."""
        return all(result.outcome is Outcome.PASS for result in self.results().values())

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reason codes of the checks that did not pass, in the order of the fields."""
        return tuple(result.reason for result in self.results().values() if result.reason is not None)

    def as_dict(self) -> dict[str, object]:
        """JSON form: ``{"verified": …, "checks": {name: {"outcome", "reason"}}}``."""
        results = self.results()
        checks = {
            name: {"outcome": result.outcome.value, "reason": result.reason}
            for name, result in results.items()
        }
        verified = all(result.outcome is Outcome.PASS for result in results.values())
        return {"verified": verified, "checks": checks}

    @classmethod
    def stopped_at(cls, check: Check, reason: str) -> Verdict:
        """Verdict on a credential that a check refused before the others were made."""
        results = {name: CheckResult.unknown(NOT_CHECKED) for name in Check}
        results[check] = CheckResult.failed(reason)
        return cls(**{name.value: result for name, result in results.items()})


_CHECKS: Final = tuple(field.name for field in fields(Verdict))
