"""One answer judged: every credential verified, its issuer and status evaluated, the whole a single person's.

OpenID4VP 1.0 §8.6 and design §4.3, §4.4, in two steps so that the expensive one can run elsewhere:
``verify_each`` does the cryptography of every credential, ``examine`` everything that compares them with the
query, the network register and each other. Nothing is fetched; status lists are handed in. What leaves here
is a verdict per credential, or ``PresentationRefused``, after which nothing of the answer is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from passport_shared.formats import dcql, strict, trust
from passport_shared.formats.clock import from_epoch_s
from passport_shared.formats.sd_jwt import parse as parse_sd_jwt
from passport_shared.formats.sd_jwt_vc import (
    CredentialRejected,
    KeyBindingPolicy,
    RejectReason,
    VerifiedCredential,
    verify_credential,
)
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID, StatusListError, StatusToken
from passport_shared.formats.strict import numeric_date
from passport_shared.formats.trust import Authority, StatusFreshness, status_freshness
from passport_shared.formats.verdict import PASSED, Check, CheckResult, Outcome, Verdict
from passport_verifier.rules.evidence import CredentialStanding, Standing
from passport_verifier.rules.one_person import Identified, one_person
from passport_verifier.rules.outcome import Result
from passport_verifier.rules.parts import PART_OF_QUERY, QUERY_IDS, type_of
from passport_verifier.rules.trust_findings import STATUS, TRUST, StatusFinding, standing

MAX_PRESENTATIONS = 32


class Refusal(StrEnum):
    """Why an answer is refused as a whole; what is wrong with one credential keeps its ``RejectReason``."""

    VP_TOKEN_MALFORMED = "vp_token_malformed"  # noqa: S105 (a reason, not a password)
    QUERY_NOT_MET = "query_not_met"
    STATUS_LIST_ELSEWHERE = "status_list_elsewhere"
    STATUS_INDEX_OUT_OF_RANGE = "status_index_out_of_range"
    IDENTITY_MISMATCH = "identity_mismatch"


class PresentationRefused(Exception):
    """An answer that becomes no decision. ``check`` is the field of the verdict; no claim values are held."""

    def __init__(self, reason: str, check: Check, credential: str | None = None) -> None:
        super().__init__(f"{check.value}: {reason}")
        self.reason = reason
        self.check = check
        self.credential = credential


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One credential whose own checks passed; ``expired`` when only its validity has run out.

    ``credential`` is the key of the part of the policy it answers (``parts.Part``), here and below.
    """

    credential: str
    verified: VerifiedCredential
    expired: bool


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One credential of an accepted answer."""

    credential: str
    verified: VerifiedCredential
    authority: Authority
    status: StatusFinding
    verdict: Verdict

    @property
    def issuer_ods(self) -> str | None:
        """The organisation that issued it, by its mark."""
        mark = self.authority.mark
        return mark.organisation.ods_code if mark else None

    @property
    def standing(self) -> CredentialStanding:
        """What trust and status say of it."""
        return standing(self.authority.finding, self.status, self.issuer_ods)


def parse_vp_token(value: object) -> dict[str, str]:
    """The presentations by the part of the policy they answer; our queries never ask for several of one.

    Raises:
        PresentationRefused: not an object of one-element arrays of text under the ids that were asked for.
    """
    if not isinstance(value, Mapping) or not 0 < len(value) <= MAX_PRESENTATIONS:
        raise PresentationRefused(Refusal.VP_TOKEN_MALFORMED, Check.QUERY)
    found: dict[str, str] = {}
    for query_id, presentations in value.items():
        if query_id not in PART_OF_QUERY:
            raise PresentationRefused(Refusal.QUERY_NOT_MET, Check.QUERY)
        if not isinstance(presentations, Sequence) or isinstance(presentations, str):
            raise PresentationRefused(Refusal.VP_TOKEN_MALFORMED, Check.QUERY)
        if len(presentations) != 1 or not isinstance(presentations[0], str):
            raise PresentationRefused(Refusal.VP_TOKEN_MALFORMED, Check.QUERY, PART_OF_QUERY[query_id])
        found[PART_OF_QUERY[query_id]] = presentations[0]
    return found


def verify_each(
    presentations: Mapping[str, str],
    *,
    vcts: Mapping[str, str],
    roots: Sequence[bytes],
    at: datetime,
    binding: KeyBindingPolicy,
) -> tuple[Checked, ...]:
    """Verify every credential: form, chain, signature, disclosures, claims, key binding.

    Args:
        presentations: by part.
        vcts: the exact ``vct`` of each part that was asked for.
        roots: of the snapshot.
        at: the time to judge by.
        binding: audience, nonce and age every key binding must have.

    Raises:
        PresentationRefused: one was not asked for, or failed other than by having expired.
    """
    if not presentations.keys() <= vcts.keys():
        raise PresentationRefused(Refusal.QUERY_NOT_MET, Check.QUERY)
    return tuple(
        _checked(credential, token, vct=vcts[credential], roots=roots, at=at, binding=binding)
        for credential, token in presentations.items()
    )


def _checked(
    credential: str, token: str, *, vct: str, roots: Sequence[bytes], at: datetime, binding: KeyBindingPolicy
) -> Checked:
    def verify(when: datetime) -> VerifiedCredential:
        return verify_credential(token, roots=roots, at=when, expected_vcts={vct}, key_binding=binding)

    try:
        try:
            return Checked(credential=credential, verified=verify(at), expired=False)
        except CredentialRejected as rejected:
            if rejected.reason is not RejectReason.EXPIRED:
                raise
        # Everything else about an expired credential must hold as it did at its last moment: it is then a
        # fact for the host ("has run out"), not a fault of the answer.
        exp = numeric_date(parse_sd_jwt(token).issuer_jwt.claims["exp"])
        return Checked(credential=credential, verified=verify(from_epoch_s(exp)), expired=True)
    except CredentialRejected as rejected:
        raise PresentationRefused(rejected.reason, rejected.check, credential) from None


def examine(
    checked: Sequence[Checked],
    *,
    query: Mapping[str, Any],
    snapshot: Snapshot,
    lists: Mapping[str, StatusToken | None],
    now: datetime,
    verifier: str,
) -> tuple[Examined, ...]:
    """Compare verified credentials with the register, their status lists, the query and each other.

    1 authority of each issuer; 2 status; 3 the query; 4 one person. ``lists`` has the status list of every
    credential by uri, None where none is held. ``verifier`` is our own entity: only a sandbox trust relies on
    sandbox credentials, and on nothing else.

    Raises:
        PresentationRefused: the status is not where the issuer's may be, the query is not met, or the
            credentials are not shown to be one person's.
    """
    sandbox = trust.of_sandbox(snapshot, verifier, now=now)
    found = [_examined(one, snapshot, lists, now, sandbox=sandbox) for one in checked]
    _check_query(checked, query)  # 3
    if not one_person([_identified(one) for one in checked]):  # 4
        raise PresentationRefused(Refusal.IDENTITY_MISMATCH, Check.SAME_SUBJECT)
    return tuple(found)


def each_card_once(examined: Sequence[Examined]) -> tuple[Examined, ...]:
    """The cards of an answer: one that answers two parts of a type counts as the first of them.

    Two cards of one type, from two issuers for instance, stay two.
    """
    found: dict[tuple[str, str], Examined] = {}
    for one in sorted(examined, key=lambda one: len(one.credential)):
        found.setdefault((type_of(one.credential), one.verified.issuer_jwt_sha256), one)
    kept = {one.credential for one in found.values()}
    return tuple(one for one in examined if one.credential in kept)


def _examined(
    one: Checked,
    snapshot: Snapshot,
    lists: Mapping[str, StatusToken | None],
    now: datetime,
    *,
    sandbox: bool,
) -> Examined:
    verified = one.verified
    authority = trust.authority(  # 1
        snapshot,
        verified.leaf,
        iss=verified.iss,
        use="credential",
        action="issue",
        vct=verified.vct,
        iat=verified.iat,
        at=now,
        exp=verified.exp,
        sandbox=sandbox,
    )
    mark = authority.mark
    if mark is not None and not trust.status_uri_allowed(mark, verified.status.uri):
        raise PresentationRefused(Refusal.STATUS_LIST_ELSEWHERE, Check.STATUS, one.credential)
    status = _status(one, snapshot, lists.get(verified.status.uri), now)  # 2
    return Examined(
        credential=one.credential,
        verified=verified,
        authority=authority,
        status=status,
        verdict=verdict_of(authority.finding, status, expired=one.expired),
    )


def _status(one: Checked, snapshot: Snapshot, token: StatusToken | None, now: datetime) -> StatusFinding:
    reference = one.verified.status
    if one.expired:
        return StatusFinding.EXPIRED
    if token is None:
        return StatusFinding.UNAVAILABLE
    try:
        return status_at(snapshot, token, issuer=one.verified.iss, idx=reference.idx, now=now)
    except StatusListError:
        raise PresentationRefused(Refusal.STATUS_INDEX_OUT_OF_RANGE, Check.STATUS, one.credential) from None


def status_at(
    snapshot: Snapshot, token: StatusToken, *, issuer: str, idx: int, now: datetime
) -> StatusFinding:
    """What a status list says of an index now.

    Bad news counts however old the list is; good news only while the list is fresh and its signer still the
    issuer's. A value we do not know counts as no longer valid.

    Raises:
        StatusListError: the index lies outside the list.
    """
    value = token.list.get(idx)
    if value == SUSPENDED:
        return StatusFinding.ON_HOLD
    if value == INVALID or value != VALID:
        return StatusFinding.REVOKED
    if not signed_by_issuer(snapshot, token, issuer=issuer, now=now):
        return StatusFinding.UNAVAILABLE
    match status_freshness(now - token.iat, token.exp - now):
        case StatusFreshness.FRESH:
            return StatusFinding.ACTIVE
        case StatusFreshness.STALE:
            return StatusFinding.STALE
        case _:
            return StatusFinding.UNAVAILABLE


def signed_by_issuer(snapshot: Snapshot, token: StatusToken, *, issuer: str, now: datetime) -> bool:
    """Whether a list is signed under a status key pinned in the issuer's mark.

    A suspended issuer's lists still count: they are how its credentials are withdrawn.
    """
    if token.leaf is None:
        return False
    finding = trust.authority(
        snapshot,
        token.leaf,
        iss=issuer,
        use="status",
        action="issue",
        vct=None,
        iat=token.iat,
        at=now,
        sandbox=None,
    ).finding
    return TRUST[finding].result is not Result.FAIL


def verdict_of(finding: trust.Finding, status: StatusFinding, *, expired: bool) -> Verdict:
    """The verdict on a credential that was not refused: only validity, trust and status can still be open."""
    return Verdict(
        issuer_signature=PASSED,
        type=PASSED,
        algorithm=PASSED,
        structure=PASSED,
        validity=CheckResult.failed(RejectReason.EXPIRED) if expired else PASSED,
        trust=_as_check(TRUST[finding]),
        vct=PASSED,
        status=_as_check(STATUS[status]),
        holder_binding=PASSED,
        nonce=PASSED,
        audience=PASSED,
        freshness=PASSED,
        query=PASSED,
        same_subject=PASSED,
    )


def _as_check(found: Standing) -> CheckResult:
    if found.result is Result.PASS:
        return PASSED
    outcome = Outcome.FAIL if found.result is Result.FAIL else Outcome.UNKNOWN
    return CheckResult(outcome, str(found.reason))


def _check_query(checked: Sequence[Checked], query: Mapping[str, Any]) -> None:
    presented = {
        QUERY_IDS[one.credential]: [
            dcql.Credential(
                vct=one.verified.vct,
                claims=one.verified.claims,
                authority_key_ids=dcql.authority_key_ids(one.verified.x5c),
                disclosed_paths=one.verified.disclosed_paths,
            )
        ]
        for one in checked
    }
    if not dcql.match(_parsed(strict.dumps(query)), presented).meets_query:
        raise PresentationRefused(Refusal.QUERY_NOT_MET, Check.QUERY)


@lru_cache(maxsize=128)
def _parsed(query: bytes) -> dcql.Query:
    """A query of ours by its JSON text; every request of a policy version asks the same."""
    return dcql.parse_query(strict.loads_object(query, max_bytes=len(query)))


def _identified(one: Checked) -> Identified:
    claims = one.verified.claims

    def text(name: str) -> str | None:
        value = claims.get(name)
        return value if isinstance(value, str) else None

    return Identified(
        credential=one.credential,
        iss=one.verified.iss,
        holder_thumbprint=one.verified.holder_thumbprint,
        holder_ref=text("holder_ref"),
        family_name=text("family_name"),
        given_name=text("given_name"),
        birthdate=text("birthdate"),
    )
