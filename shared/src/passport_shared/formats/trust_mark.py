"""Trust marks: what one entity may issue or ask for, which keys it uses, and where its standing is read.

OpenID Federation 1.0 §7 with the authority vocabulary of our profile (standards.md §1.8): one current mark
per entity carries all its authorisations and pins. This module builds and verifies marks and the responses of
the trust mark status endpoint; whether a mark covers a signature on a day is judged in `trust`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from passport_shared.formats import jose
from passport_shared.formats.federation_jws import (
    TRUST_MARK_TYP,
    FederationError,
    FederationJws,
    FederationReason,
    as_instant,
    epoch,
    open_object,
)
from passport_shared.formats.jose import SigningKey

MAX_AUTHORIZATIONS = 256
MAX_PINS = 64
MAX_CLAIM_PATHS = 512
MAX_TEXT_CHARS = 512

ACTIONS = frozenset({"issue", "ask"})

ClaimPath = tuple[str | int | None, ...]


class MarkRole(StrEnum):
    """The three trust mark types of the network, as the last segment of their URI."""

    CREDENTIAL_ISSUER = "credential-issuer"
    CREDENTIAL_VERIFIER = "credential-verifier"
    FORMER_CREDENTIAL_ISSUER = "former-credential-issuer"


class PinState(StrEnum):
    """State of a pinned key; PERSISTED in marks."""

    ACTIVE = "active"
    RETIRED = "retired"
    COMPROMISED = "compromised"


class KeyUse(StrEnum):
    """The one purpose of a leaf (design §4.1)."""

    CREDENTIAL = "credential"
    STATUS = "status"
    REQUEST = "request"


def mark_type(trust_anchor: str, role: MarkRole | str) -> str:
    """The trust mark type URI of a role under this anchor, `<TA>/tm/<role>`."""
    return f"{trust_anchor}/tm/{MarkRole(role).value}"


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """The organisation an entity belongs to.

    `sandbox` marks one that exists for practice: its people are invented, and nothing it signs counts for an
    organisation that is not one as well.
    """

    ods_code: str
    name: str
    sandbox: bool = False

    def as_claims(self) -> dict[str, Any]:
        """The JSON form; `sandbox` only where it is true."""
        claims: dict[str, Any] = {"ods_code": self.ods_code, "name": self.name}
        return {**claims, "sandbox": True} if self.sandbox else claims


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """One permission: to issue a credential type, or to ask for claims of it for named purposes.

    `issue_until` closes an authorisation to new signatures while its window stays open for what was signed
    before (administrative suspension, withdrawal); None means until `valid_until`.
    """

    id: str
    action: str
    vct: str
    valid_from: datetime
    valid_until: datetime
    territory: tuple[str, ...] = ()
    max_validity_s: int | None = None
    claims: tuple[ClaimPath, ...] = ()
    purposes: tuple[str, ...] = ()
    issue_until: datetime | None = None

    def covers(self, at: datetime) -> bool:
        """Whether the window contains this instant; the end is exclusive."""
        return self.valid_from <= at < self.valid_until

    def open_for_signing(self, at: datetime) -> bool:
        """Whether something signed at this instant is covered."""
        return self.covers(at) and (self.issue_until is None or at < self.issue_until)

    def as_claims(self) -> dict[str, Any]:
        """The JSON form; `claims` and `purposes` only for asking."""
        claims: dict[str, Any] = {
            "id": self.id,
            "action": self.action,
            "vct": self.vct,
            "territory": list(self.territory),
            "valid_from": rfc3339(self.valid_from),
            "valid_until": rfc3339(self.valid_until),
        }
        if self.max_validity_s is not None:
            claims["max_validity_s"] = self.max_validity_s
        if self.issue_until is not None:
            claims["issue_until"] = rfc3339(self.issue_until)
        if self.action == "ask":
            claims["claims"] = [list(path) for path in self.claims]
            claims["purposes"] = list(self.purposes)
        return claims


@dataclass(frozen=True, kw_only=True)
class PinnedKey:
    """One leaf certificate of the entity with its one use and its signing window (both ends inclusive)."""

    use: str
    x5t_s256: str
    jkt: str
    not_before: datetime
    not_after_signing: datetime
    state: str = PinState.ACTIVE.value

    def may_have_signed(self, at: datetime) -> bool:
        """Whether a signature made at this instant lies inside the signing window."""
        return self.not_before <= at <= self.not_after_signing

    def as_claims(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "use": self.use,
            "x5t#S256": self.x5t_s256,
            "jkt": self.jkt,
            "not_before": epoch(self.not_before),
            "not_after_signing": epoch(self.not_after_signing),
            "state": self.state,
        }


@dataclass(frozen=True, kw_only=True)
class StatusLists:
    """Where an issuer's status lists live; a URI outside `prefix` is refused and never fetched."""

    aggregation: str
    prefix: str

    def as_claims(self) -> dict[str, Any]:
        """The JSON form."""
        return {"aggregation": self.aggregation, "prefix": self.prefix}


@dataclass(frozen=True, kw_only=True)
class MarkStatusReference:
    """The entry of the registry's status list that holds the mark's standing."""

    uri: str
    idx: int

    def as_claims(self) -> dict[str, Any]:
        """The JSON form of the `status` claim."""
        return {"status_list": {"idx": self.idx, "uri": self.uri}}


@dataclass(frozen=True, kw_only=True)
class TrustMark:
    """A verified trust mark. Its signature, times and subject have been checked; its status has not."""

    iss: str
    sub: str
    iat: datetime
    exp: datetime
    jti: str
    trust_mark_type: str
    organisation: Organisation
    authorizations: tuple[Authorization, ...]
    keys: tuple[PinnedKey, ...]
    status_lists: StatusLists | None
    status: MarkStatusReference
    compact: str = field(repr=False)

    @property
    def role(self) -> MarkRole:
        """Issuer, verifier, or former issuer."""
        return MarkRole(self.trust_mark_type.rsplit("/", 1)[-1])


def trust_mark(
    *,
    iss: str,
    sub: str,
    role: MarkRole | str,
    organisation: Organisation,
    authorizations: Sequence[Authorization],
    keys: Sequence[PinnedKey],
    status: MarkStatusReference,
    iat: datetime,
    exp: datetime,
    jti: str,
    key: SigningKey,
    status_lists: StatusLists | None = None,
) -> str:
    """Sign the one current mark of an entity, in exactly the form of standards.md §1.8.

    `id` repeats the type because an older client reads only that (standards.md §1.7).
    """
    kind = mark_type(iss, role)
    claims: dict[str, Any] = {
        "iss": iss,
        "sub": sub,
        "iat": epoch(iat),
        "exp": epoch(exp),
        "jti": jti,
        "trust_mark_type": kind,
        "id": kind,
        "organisation": organisation.as_claims(),
        "authorizations": [entry.as_claims() for entry in authorizations],
        "keys": [pin.as_claims() for pin in keys],
    }
    if status_lists is not None:
        claims["status_lists"] = status_lists.as_claims()
    claims["status"] = status.as_claims()
    return jose.sign(claims, key, typ=TRUST_MARK_TYP)


def verify_trust_mark(
    token: str,
    issuer_jwks: Mapping[str, Any],
    now: datetime,
    *,
    sub: str | None = None,
    trust_mark_issuers: Mapping[str, Any],
    trust_mark_owners: Collection[str] = (),
) -> TrustMark:
    """Verify one mark and read it into its typed form.

    Args:
        token: the mark.
        issuer_jwks: federation keys of the mark's issuer, whose own trust the caller has established.
        now: instant at which times are judged.
        sub: the entity that shows the mark; a mark of another entity is refused.
        trust_mark_issuers: the anchor's claim of that name. A type that is missing or lists nobody is refused
            (the specification reads an empty array as "anyone"; our network never does).
        trust_mark_owners: types whose marks need a delegation, which this network does not use.

    Raises:
        FederationError: one rule of standards.md §1.2 or §1.8 is broken.
    """
    opened = open_object(token, issuer_jwks, typ=TRUST_MARK_TYP, now=now)
    kind = _text(opened.claims, "trust_mark_type")
    if sub is not None and opened.sub != sub:
        raise FederationError(FederationReason.WRONG_ENTITY, "the mark belongs to another entity")
    check_mark_issuer(kind, opened.iss, trust_mark_issuers)
    if kind in trust_mark_owners and "delegation" not in opened.claims:
        raise FederationError(FederationReason.DELEGATION_REQUIRED, "this type needs its owner's delegation")
    if kind not in {mark_type(opened.iss, role) for role in MarkRole}:
        raise FederationError(FederationReason.MARK_TYPE_UNKNOWN, "not a type of this network")
    return _typed(opened, kind)


def check_mark_issuer(kind: str, iss: str, trust_mark_issuers: Mapping[str, Any]) -> None:
    """Refuse a mark whose issuer the anchor does not name for this type.

    Raises:
        FederationError: `MARK_ISSUER_NOT_TRUSTED`.
    """
    allowed = trust_mark_issuers.get(kind)
    if not isinstance(allowed, list) or iss not in allowed:
        raise FederationError(FederationReason.MARK_ISSUER_NOT_TRUSTED, "not named in trust_mark_issuers")


def _typed(opened: FederationJws, kind: str) -> TrustMark:
    claims = opened.claims
    organisation = _object(claims.get("organisation"), "organisation")
    authorizations = _array(claims.get("authorizations"), "authorizations", MAX_AUTHORIZATIONS)
    pins = _array(claims.get("keys"), "keys", MAX_PINS)
    assert opened.exp is not None  # noqa: S101  open_object requires it; this only tells the type checker
    return TrustMark(
        iss=opened.iss,
        sub=opened.sub,
        iat=opened.iat,
        exp=opened.exp,
        jti=_text(claims, "jti"),
        trust_mark_type=kind,
        organisation=Organisation(
            ods_code=_text(organisation, "ods_code"),
            name=_text(organisation, "name"),
            sandbox=_flag(organisation, "sandbox"),
        ),
        authorizations=tuple(_authorization(entry) for entry in authorizations if _known_action(entry)),
        keys=tuple(_pin(entry) for entry in pins),
        status_lists=_status_lists(claims.get("status_lists")),
        status=_status_reference(claims.get("status")),
        compact=opened.compact,
    )


def _known_action(value: object) -> bool:
    """False for an action this version does not know: it permits nothing and is not an error (§1.8)."""
    return _text(_object(value, "authorizations"), "action") in ACTIONS


def _authorization(value: object) -> Authorization:
    entry = _object(value, "authorizations")
    max_validity_s = entry.get("max_validity_s")
    if max_validity_s is not None and (
        not isinstance(max_validity_s, int) or isinstance(max_validity_s, bool) or max_validity_s <= 0
    ):
        raise FederationError(
            FederationReason.BAD_CLAIM, "max_validity_s is not a positive number of seconds"
        )
    paths = _array(entry.get("claims", []), "claims", MAX_CLAIM_PATHS)
    issue_until = entry.get("issue_until")
    return Authorization(
        id=_text(entry, "id"),
        action=_text(entry, "action"),
        vct=_text(entry, "vct"),
        valid_from=parse_rfc3339(entry.get("valid_from"), "valid_from"),
        valid_until=parse_rfc3339(entry.get("valid_until"), "valid_until"),
        territory=_texts(entry.get("territory", []), "territory"),
        max_validity_s=max_validity_s,
        claims=tuple(_claim_path(path) for path in paths),
        purposes=_texts(entry.get("purposes", []), "purposes"),
        issue_until=None if issue_until is None else parse_rfc3339(issue_until, "issue_until"),
    )


def _pin(value: object) -> PinnedKey:
    entry = _object(value, "keys")
    use, state = _text(entry, "use"), _text(entry, "state")
    if use not in set(KeyUse) or state not in set(PinState):
        raise FederationError(FederationReason.BAD_CLAIM, "a pin has an unknown use or state")
    return PinnedKey(
        use=use,
        x5t_s256=_text(entry, "x5t#S256"),
        jkt=_text(entry, "jkt"),
        not_before=as_instant(entry.get("not_before"), "not_before"),
        not_after_signing=as_instant(entry.get("not_after_signing"), "not_after_signing"),
        state=state,
    )


def _status_lists(value: object) -> StatusLists | None:
    if value is None:
        return None
    entry = _object(value, "status_lists")
    aggregation, prefix = _text(entry, "aggregation"), _text(entry, "prefix")
    # A prefix that does not end a path segment would also cover a neighbour whose name begins alike.
    if not prefix.startswith("https://") or not prefix.endswith("/"):
        raise FederationError(FederationReason.BAD_CLAIM, "status_lists.prefix must be https and end with /")
    return StatusLists(aggregation=aggregation, prefix=prefix)


def _status_reference(value: object) -> MarkStatusReference:
    reference = _object(_object(value, "status").get("status_list"), "status.status_list")
    idx = reference.get("idx")
    if not isinstance(idx, int) or isinstance(idx, bool) or idx < 0:
        raise FederationError(FederationReason.BAD_CLAIM, "status idx is not an index")
    return MarkStatusReference(uri=_text(reference, "uri"), idx=idx)


def _claim_path(value: object) -> ClaimPath:
    segments = _array(value, "claims", 32)
    for segment in segments:
        if isinstance(segment, bool) or not (segment is None or isinstance(segment, str | int)):
            raise FederationError(FederationReason.BAD_CLAIM, "a claims path holds strings, null and indices")
    if not segments:
        raise FederationError(FederationReason.BAD_CLAIM, "a claims path is empty")
    return tuple(segments)


def rfc3339(at: datetime) -> str:
    """An instant as RFC 3339 in UTC with Z, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(value: object, name: str) -> datetime:
    """An RFC 3339 instant with an explicit offset.

    Raises:
        FederationError: `BAD_CLAIM`.
    """
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not an RFC 3339 instant")
    return at.astimezone(UTC)


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not an object")
    return value


def _array(value: object, name: str, limit: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > limit:
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not an array of at most {limit}")
    return value


def _flag(claims: Mapping[str, Any], name: str) -> bool:
    value = claims.get(name, False)
    if not isinstance(value, bool):
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is neither true nor false")
    return value


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if value is None:
        raise FederationError(FederationReason.MISSING_CLAIM, name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_CHARS:
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not a short text")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    entries = _array(value, name, MAX_CLAIM_PATHS)
    if not all(isinstance(entry, str) and len(entry) <= MAX_TEXT_CHARS for entry in entries):
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} holds something that is not text")
    return tuple(entries)
