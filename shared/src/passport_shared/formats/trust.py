"""The one trust evaluation (design §4.3): may this signature, by this entity, be relied on for this?

Pure functions over a verified snapshot, used by verifier, issuer and wallet alike. The signer, the subject of
the certificate and the entity whose authority is looked up are compared, always. What a finding means for a
decision is in design §4.4 and belongs to the caller; a credential's own status is not looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from passport_shared.formats import x5c
from passport_shared.formats.freshness import Freshness, StatusFreshness, freshness, status_freshness
from passport_shared.formats.snapshot import MarkStanding, Snapshot, SnapshotError
from passport_shared.formats.trust_mark import (
    Authorization,
    ClaimPath,
    KeyUse,
    MarkRole,
    PinnedKey,
    PinState,
    TrustMark,
)
from passport_shared.formats.x5c import ChainError, Leaf

__all__ = [
    "AskFinding",
    "Authority",
    "Detail",
    "Finding",
    "Freshness",
    "StatusFreshness",
    "authority",
    "freshness",
    "issuer_may_issue",
    "may_ask",
    "of_sandbox",
    "status_freshness",
    "status_uri_allowed",
]

_STATUS_LIST_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_ROLES = {
    "issue": frozenset({MarkRole.CREDENTIAL_ISSUER, MarkRole.FORMER_CREDENTIAL_ISSUER}),
    "ask": frozenset({MarkRole.CREDENTIAL_VERIFIER}),
}


class Finding(StrEnum):
    """Result of the trust evaluation; PERSISTED with decisions."""

    AUTHORISED = "AUTHORISED"
    SUSPENDED = "SUSPENDED"
    FORMER = "FORMER"
    NOT_AUTHORISED = "NOT_AUTHORISED"
    UNKNOWN_ENTITY = "UNKNOWN_ENTITY"
    KEY_COMPROMISED = "KEY_COMPROMISED"
    REGISTRY_STALE = "REGISTRY_STALE"


class Detail(StrEnum):
    """Which comparison led to the finding."""

    EVERYTHING_MATCHES = "everything_matches"
    SNAPSHOT_EXPIRED = "snapshot_expired"
    SNAPSHOT_TOO_OLD = "snapshot_too_old"
    CHAIN_NOT_TRUSTED = "chain_not_trusted"
    LEAF_OF_ANOTHER_ENTITY = "leaf_of_another_entity"
    NOT_LISTED = "not_listed"
    STATEMENT_INVALID = "statement_invalid"
    NO_MARK = "no_mark"
    MARK_OF_ANOTHER_ENTITY = "mark_of_another_entity"
    SANDBOX = "sandbox"
    NOT_SANDBOX = "not_sandbox"
    PIN_COMPROMISED = "pin_compromised"
    NOT_PINNED = "not_pinned"
    PINNED_FOR_ANOTHER_USE = "pinned_for_another_use"
    SIGNED_OUTSIDE_KEY_WINDOW = "signed_outside_key_window"
    TYPE_NOT_AUTHORISED = "type_not_authorised"
    SIGNED_OUTSIDE_AUTHORISATION = "signed_outside_authorisation"
    AUTHORISATION_NOT_IN_FORCE = "authorisation_not_in_force"
    VALIDITY_TOO_LONG = "validity_too_long"
    MARK_SUSPENDED = "mark_suspended"
    MARK_REVOKED = "mark_revoked"
    MARK_STATUS_UNAVAILABLE = "mark_status_unavailable"
    NO_KEY_FOR_SIGNING = "no_key_for_signing"
    FORMER_ISSUER = "former_issuer"
    CLAIMS_NOT_AUTHORISED = "claims_not_authorised"
    PURPOSE_NOT_AUTHORISED = "purpose_not_authorised"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """The answer, with the snapshot it rests on; a decision states `sequence` and `age`."""

    finding: Finding
    detail: Detail
    authorization: Authorization | None
    mark: TrustMark | None
    sequence: int
    age: timedelta
    leaf: Leaf | None

    @property
    def may_be_relied_on(self) -> bool:
        """Whether the signature counts: by an authorised issuer, or a former one inside its time."""
        return self.finding in {Finding.AUTHORISED, Finding.FORMER}


@dataclass(frozen=True, kw_only=True)
class AskFinding:
    """Whether a verifier may ask this; `too_much` names the claim paths beyond its mark."""

    finding: Finding
    detail: Detail
    too_much: tuple[ClaimPath, ...]
    authorization: Authorization | None
    mark: TrustMark | None
    sequence: int
    age: timedelta


class _Decided(Exception):
    def __init__(self, finding: Finding, detail: Detail) -> None:
        super().__init__(detail.value)
        self.finding = finding
        self.detail = detail


@dataclass
class _Evidence:
    leaf: Leaf | None = None
    mark: TrustMark | None = None
    authorization: Authorization | None = None


def authority(
    snapshot: Snapshot,
    chain: Leaf | Sequence[str],
    *,
    iss: str,
    use: str,
    action: str,
    vct: str | None,
    iat: datetime,
    at: datetime,
    exp: datetime | None = None,
    now: datetime | None = None,
    sandbox: bool | None = False,
) -> Authority:
    """Evaluate one signature against the registry, in the order of design §4.3.

    1. the snapshot is of an age that still says something; 2. the chain leads to a root of the snapshot;
    3. the one SAN URI is the issuer named; 4. the entity is listed under a valid statement; 5. it has a mark
    of the right role whose `sub` is the entity, and is of the sandbox if and only if who relies on it is;
    6. the leaf is pinned there, for this use, not compromised, and `iat` lies in its signing window; 7. an
    authorisation has this exact type and covers `iat` and `at`;
    8. the mark's status; 9. an aged snapshot is at best unknown.

    Args:
        snapshot: verified snapshot.
        chain: a leaf that `x5c.verify_chain` returned for the roots of this snapshot, or an `x5c` header.
        iss: the entity that is said to have signed.
        use: `credential`, `status` or `request`.
        action: `issue` or `ask`.
        vct: exact credential type; None for status lists, and for requests, whose types `may_ask` judges.
        iat: instant of signing.
        at: instant for which reliance is judged, the present or a day of the placement.
        exp: end of what was signed, judged against `max_validity_s`.
        now: the present, for the age of the snapshot; `at` by default.
        sandbox: whether who relies on it is a sandbox organisation (`of_sandbox`). None takes either, for a
            wallet, which keeps the two apart itself, and for what is no evidence (status lists).

    Returns:
        The finding; this function does not raise for anything a stranger sends.
    """
    now = now or at
    evidence = _Evidence()
    try:
        _check_age(snapshot, now)
        evidence.leaf = _leaf(snapshot, chain, iss, at)
        _check_subject(evidence.leaf, iss)
        evidence.mark = _mark(snapshot, iss, action, now)
        _check_sandbox(evidence.mark, sandbox)
        _check_pin(evidence.mark, evidence.leaf, use, iat)
        if use != KeyUse.STATUS:
            evidence.authorization = _authorization(evidence.mark, action, vct, iat, at)
            _check_validity(evidence.authorization, iat, exp)
        finding, detail = _standing(snapshot, evidence.mark, now)
    except _Decided as decided:
        finding, detail = decided.finding, decided.detail
    return Authority(
        finding=finding,
        detail=detail,
        authorization=evidence.authorization,
        mark=evidence.mark,
        sequence=snapshot.sequence,
        age=snapshot.age(now),
        leaf=evidence.leaf,
    )


def issuer_may_issue(
    snapshot: Snapshot,
    entity_id: str,
    vct: str,
    at: datetime,
    *,
    x5t_s256: str | None = None,
    now: datetime | None = None,
) -> Authority:
    """Whether an issuer may sign a credential of this type at this instant.

    Stricter than `authority`: a former issuer may not, a retired pin does not count, and an authorisation
    closed to new issuing is closed.

    Args:
        snapshot: verified snapshot.
        entity_id: the issuer.
        vct: exact credential type.
        at: instant of signing.
        x5t_s256: the leaf that would sign; any of the entity's active credential pins if None.
        now: the present, for the age of the snapshot; `at` by default.
    """
    now = now or at
    evidence = _Evidence()
    try:
        _check_age(snapshot, now)
        evidence.mark = _mark(snapshot, entity_id, "issue", now)
        if evidence.mark.role is MarkRole.FORMER_CREDENTIAL_ISSUER:
            raise _Decided(Finding.FORMER, Detail.FORMER_ISSUER)
        evidence.authorization = _authorization(evidence.mark, "issue", vct, at, at)
        if not any(_signs_credentials(pin, x5t_s256, at) for pin in evidence.mark.keys):
            raise _Decided(Finding.NOT_AUTHORISED, Detail.NO_KEY_FOR_SIGNING)
        finding, detail = _standing(snapshot, evidence.mark, now)
    except _Decided as decided:
        finding, detail = decided.finding, decided.detail
    return Authority(
        finding=finding,
        detail=detail,
        authorization=evidence.authorization,
        mark=evidence.mark,
        sequence=snapshot.sequence,
        age=snapshot.age(now),
        leaf=None,
    )


def may_ask(
    snapshot: Snapshot,
    verifier_eid: str,
    vct: str,
    claim_paths: Iterable[ClaimPath],
    purpose: str,
    at: datetime,
    *,
    now: datetime | None = None,
) -> AskFinding:
    """Whether a verifier may ask for these claims of this type for this purpose.

    One authorisation must cover the whole question; permissions are not added up. Who signed the request is
    judged by `authority(use="request", action="ask")` before.

    Args:
        snapshot: verified snapshot.
        verifier_eid: the verifier.
        vct: exact credential type.
        claim_paths: claims asked for, as DCQL paths; none asks only for what is always disclosed.
        purpose: movement type.
        at: instant of asking.
        now: the present, for the age of the snapshot; `at` by default.
    """
    now = now or at
    asked = tuple(dict.fromkeys(tuple(path) for path in claim_paths))
    evidence = _Evidence()
    too_much: tuple[ClaimPath, ...] = ()
    try:
        _check_age(snapshot, now)
        evidence.mark = _mark(snapshot, verifier_eid, "ask", now)
        _authorization(evidence.mark, "ask", vct, at, at)
        candidates = [
            entry
            for entry in evidence.mark.authorizations
            if entry.action == "ask" and entry.vct == vct and entry.open_for_signing(at)
        ]
        candidates = [entry for entry in candidates if purpose in entry.purposes]
        if not candidates:
            raise _Decided(Finding.NOT_AUTHORISED, Detail.PURPOSE_NOT_AUTHORISED)
        evidence.authorization, too_much = min(
            ((entry, beyond(asked, entry.claims)) for entry in candidates), key=lambda pair: len(pair[1])
        )
        if too_much:
            raise _Decided(Finding.NOT_AUTHORISED, Detail.CLAIMS_NOT_AUTHORISED)
        finding, detail = _standing(snapshot, evidence.mark, now)
    except _Decided as decided:
        finding, detail = decided.finding, decided.detail
    return AskFinding(
        finding=finding,
        detail=detail,
        too_much=too_much,
        authorization=evidence.authorization,
        mark=evidence.mark,
        sequence=snapshot.sequence,
        age=snapshot.age(now),
    )


def beyond(asked: Iterable[ClaimPath], allowed: Collection[ClaimPath]) -> tuple[ClaimPath, ...]:
    """The asked paths that no allowed path contains; null in an allowed path is every array element."""
    return tuple(path for path in asked if not any(_contains(permitted, path) for permitted in allowed))


def of_sandbox(snapshot: Snapshot, entity_id: str, *, now: datetime) -> bool:
    """Whether an entity's current mark says that it belongs to the sandbox; one without a mark does not."""
    try:
        mark = snapshot.mark_for(entity_id, roles=_ROLES["issue"] | _ROLES["ask"], now=now)
    except SnapshotError:
        return False
    return mark is not None and mark.organisation.sandbox


def status_uri_allowed(mark: TrustMark, uri: str) -> bool:
    """Whether a status list URI lies directly below the prefix the mark names; others are never fetched."""
    if mark.status_lists is None or not uri.startswith(mark.status_lists.prefix):
        return False
    return _STATUS_LIST_ID.fullmatch(uri[len(mark.status_lists.prefix) :]) is not None


def _contains(permitted: ClaimPath, asked: ClaimPath) -> bool:
    if len(asked) < len(permitted):
        return False
    return all(
        (mine == theirs and type(mine) is type(theirs)) or (mine is None and isinstance(theirs, int))
        for mine, theirs in zip(permitted, asked, strict=False)
    )


def _check_age(snapshot: Snapshot, now: datetime) -> None:
    if snapshot.freshness(now) is Freshness.REFUSE:
        raise _Decided(Finding.REGISTRY_STALE, Detail.SNAPSHOT_EXPIRED)


def _leaf(snapshot: Snapshot, chain: Leaf | Sequence[str], iss: str, at: datetime) -> Leaf:
    if isinstance(chain, Leaf):
        return chain
    try:
        return x5c.verify_chain(chain, snapshot.roots, at=at)
    except ChainError as fault:
        known = iss in snapshot.entity_ids
        finding = Finding.NOT_AUTHORISED if known else Finding.UNKNOWN_ENTITY
        raise _Decided(finding, Detail.CHAIN_NOT_TRUSTED) from fault


def _check_subject(leaf: Leaf, iss: str) -> None:
    if leaf.san_uri != iss:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.LEAF_OF_ANOTHER_ENTITY)


def _mark(snapshot: Snapshot, entity_id: str, action: str, now: datetime) -> TrustMark:
    try:
        if snapshot.entity(entity_id, now=now) is None:
            raise _Decided(Finding.UNKNOWN_ENTITY, Detail.NOT_LISTED)
        mark = snapshot.mark_for(entity_id, roles=_ROLES.get(action, frozenset()), now=now)
    except SnapshotError as fault:
        raise _Decided(Finding.UNKNOWN_ENTITY, Detail.STATEMENT_INVALID) from fault
    if mark is None:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.NO_MARK)
    if mark.sub != entity_id:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.MARK_OF_ANOTHER_ENTITY)
    return mark


def _check_sandbox(mark: TrustMark, sandbox: bool | None) -> None:
    if sandbox is None or mark.organisation.sandbox is sandbox:
        return
    raise _Decided(Finding.NOT_AUTHORISED, Detail.NOT_SANDBOX if sandbox else Detail.SANDBOX)


def _check_pin(mark: TrustMark, leaf: Leaf, use: str, iat: datetime) -> None:
    x5t, jkt = leaf.thumbprint, leaf.public.thumbprint
    # The key is what leaked: another certificate over it, or another use of it, is no better.
    if any(
        pin.state == PinState.COMPROMISED and (pin.x5t_s256 == x5t or pin.jkt == jkt) for pin in mark.keys
    ):
        raise _Decided(Finding.KEY_COMPROMISED, Detail.PIN_COMPROMISED)
    pins = [pin for pin in mark.keys if pin.x5t_s256 == x5t and pin.jkt == jkt]
    if not pins:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.NOT_PINNED)
    pins = [pin for pin in pins if pin.use == use]
    if not pins:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.PINNED_FOR_ANOTHER_USE)
    if not any(pin.may_have_signed(iat) for pin in pins):
        raise _Decided(Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_KEY_WINDOW)


def _authorization(
    mark: TrustMark, action: str, vct: str | None, iat: datetime, at: datetime
) -> Authorization:
    # Only a request may come without a type: its types are judged one by one by `may_ask`.
    any_type = vct is None and action == "ask"
    entries = [entry for entry in mark.authorizations if entry.action == action]
    entries = [entry for entry in entries if any_type or entry.vct == vct]
    if not entries:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.TYPE_NOT_AUTHORISED)
    entries = [entry for entry in entries if entry.open_for_signing(iat)]
    if not entries:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_AUTHORISATION)
    entries = [entry for entry in entries if entry.covers(at)]
    if not entries:
        raise _Decided(Finding.NOT_AUTHORISED, Detail.AUTHORISATION_NOT_IN_FORCE)
    return max(entries, key=lambda entry: entry.max_validity_s or 0)


def _check_validity(authorization: Authorization, iat: datetime, exp: datetime | None) -> None:
    limit = authorization.max_validity_s
    if exp is not None and limit is not None and exp - iat > timedelta(seconds=limit):
        raise _Decided(Finding.NOT_AUTHORISED, Detail.VALIDITY_TOO_LONG)


def _signs_credentials(pin: PinnedKey, x5t_s256: str | None, at: datetime) -> bool:
    return (
        pin.use == KeyUse.CREDENTIAL
        and pin.state == PinState.ACTIVE
        and pin.may_have_signed(at)
        and x5t_s256 in (None, pin.x5t_s256)
    )


def _standing(snapshot: Snapshot, mark: TrustMark, now: datetime) -> tuple[Finding, Detail]:
    standing = snapshot.mark_status(mark, now=now)
    if standing is MarkStanding.INVALID:
        return Finding.NOT_AUTHORISED, Detail.MARK_REVOKED
    if standing is MarkStanding.SUSPENDED:
        return Finding.SUSPENDED, Detail.MARK_SUSPENDED
    if standing is MarkStanding.UNAVAILABLE:
        return Finding.REGISTRY_STALE, Detail.MARK_STATUS_UNAVAILABLE
    if snapshot.freshness(now) is Freshness.UNKNOWN:
        return Finding.REGISTRY_STALE, Detail.SNAPSHOT_TOO_OLD
    if mark.role is MarkRole.FORMER_CREDENTIAL_ISSUER:
        return Finding.FORMER, Detail.FORMER_ISSUER
    return Finding.AUTHORISED, Detail.EVERYTHING_MATCHES
