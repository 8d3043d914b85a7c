"""R-01, R-02 and R-03: from what trust and status say of a credential to findings (design §4.4).

The trust evaluation itself is ``passport_shared.formats.trust``; here its findings become the standing of a
credential and the standing a finding of the decision. A presentation that fails R-02 (not bound, not fresh,
not for this request, two people) is refused before a decision exists, so R-02 is PASS in every decision.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from passport_shared.formats.trust import Finding as TrustFinding
from passport_verifier.rules.evidence import Case, CredentialStanding, Standing
from passport_verifier.rules.outcome import DayResult, Finding, Need, Party, Reason, Result, Words
from passport_verifier.rules.parts import Part, parts, whole
from passport_verifier.rules.policies import ANY_REASON


class StatusFinding(StrEnum):  # PERSISTED
    """What the status of a credential is at the decision."""

    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"
    ON_HOLD = "ON_HOLD"
    EXPIRED = "EXPIRED"
    IN_GRACE = "IN_GRACE"
    STALE = "STALE"
    UNAVAILABLE = "UNAVAILABLE"


TRUST: Mapping[TrustFinding, Standing] = {
    TrustFinding.AUTHORISED: Standing(result=Result.PASS),
    TrustFinding.FORMER: Standing(result=Result.PASS),
    TrustFinding.SUSPENDED: Standing(result=Result.UNKNOWN, reason=Reason.ISSUER_SUSPENDED),
    TrustFinding.REGISTRY_STALE: Standing(result=Result.UNKNOWN, reason=Reason.REGISTRY_STALE),
    TrustFinding.NOT_AUTHORISED: Standing(result=Result.FAIL, reason=Reason.ISSUER_NOT_AUTHORISED),
    TrustFinding.UNKNOWN_ENTITY: Standing(result=Result.FAIL, reason=Reason.ISSUER_NOT_AUTHORISED),
    TrustFinding.KEY_COMPROMISED: Standing(result=Result.FAIL, reason=Reason.KEY_COMPROMISED),
}

STATUS: Mapping[StatusFinding, Standing] = {
    StatusFinding.ACTIVE: Standing(result=Result.PASS),
    StatusFinding.REVOKED: Standing(result=Result.FAIL, reason=Reason.REVOKED),
    StatusFinding.ON_HOLD: Standing(result=Result.FAIL, reason=Reason.ON_HOLD),
    StatusFinding.EXPIRED: Standing(result=Result.FAIL, reason=Reason.EXPIRED),
    # It ran out during the placement, less than a fortnight ago, and nothing else is wrong with it.
    StatusFinding.IN_GRACE: Standing(result=Result.PASS, words="IN_GRACE"),
    StatusFinding.STALE: Standing(result=Result.UNKNOWN, reason=Reason.STATUS_STALE),
    StatusFinding.UNAVAILABLE: Standing(result=Result.UNKNOWN, reason=Reason.STATUS_UNAVAILABLE),
}

FIXERS: Mapping[Reason, tuple[Party, Party]] = {
    Reason.ISSUER_NOT_AUTHORISED: (Party.NETWORK_LEAD, Party.HOST_HR),
    Reason.KEY_COMPROMISED: (Party.EMPLOYING_HR, Party.HOST_HR),
    Reason.ISSUER_SUSPENDED: (Party.NETWORK_LEAD, Party.HOST_HR),
    Reason.REGISTRY_STALE: (Party.HOST_HR, Party.HOST_HR),
    Reason.REVOKED: (Party.EMPLOYING_HR, Party.HOST_HR),
    Reason.ON_HOLD: (Party.EMPLOYING_HR, Party.HOST_HR),
    Reason.EXPIRED: (Party.EMPLOYING_HR, Party.HOST_HR),
    Reason.STATUS_STALE: (Party.HOST_HR, Party.HOST_HR),
    Reason.STATUS_UNAVAILABLE: (Party.HOST_HR, Party.HOST_HR),
}
"""Who can fix it, and who decides a referral meanwhile."""


def _on_any_day(standing: Standing, credential: str, passed: str) -> DayResult:
    fixer, decider = FIXERS[standing.reason] if standing.reason else (None, None)
    key = str(standing.reason) if standing.reason else standing.words or passed
    words = Words(key=key, params={"credential": credential})
    return DayResult(
        result=standing.result, reason=standing.reason, words=words, fixer=fixer, decider=decider
    )


def _finding(part: Part, rule: str, standing: Standing, passed: str) -> Finding:
    """A standing as a finding.

    Where a host reads a card for assurance only, a bad standing weighs as much as not having been shown it:
    the condition its rows name, or a referral.
    """
    day = _on_any_day(standing, part.credential, passed)
    templates = [row.conditions.get(ANY_REASON) for row in part.rows]
    named = part.need is Need.ASSURANCE and all(templates)
    return Finding(
        rule=rule,
        credential=part.credential,
        need=part.need,
        first_day=day,
        last_day=day,
        template=templates[0] if named else None,
    )


def standing_findings(case: Case) -> tuple[Finding, ...]:
    """R-01 and R-03 for each card of the case, and R-02 for the presentation."""
    bound = DayResult(result=Result.PASS, words=Words(key="ONE_PERSON"))
    found = [Finding(rule="R-02", need=Need.SAFETY, first_day=bound, last_day=bound)]
    asked_for = {part.key: part for part in parts(case.policy)}
    for key, standing in case.credentials.items():
        # A card under a key the policy does not have is judged as the whole type: for safety if any row is.
        part = asked_for.get(key) or whole(case.policy, key)
        found.append(_finding(part, "R-01", standing.trust, "ISSUER_AUTHORISED"))
        found.append(_finding(part, "R-03", standing.status, "STATUS_ACTIVE"))
    return tuple(found)


def standing(trust: TrustFinding, status: StatusFinding, issuer_ods: str | None) -> CredentialStanding:
    """The standing of one credential."""
    return CredentialStanding(trust=TRUST[trust], status=STATUS[status], issuer_ods=issuer_ods)
