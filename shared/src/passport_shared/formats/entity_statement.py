"""Entity statements: an Entity Configuration (about oneself) and a Subordinate Statement (about a member).

OpenID Federation 1.0 §3 in the exact forms of our profile (standards.md §1.8). Both kinds share one `typ`, so
which one is meant is decided by the caller and checked by `iss` and `sub`. Chains are built in `trust_chain`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from passport_shared.formats import jose
from passport_shared.formats.federation_jws import (
    ENTITY_STATEMENT_TYP,
    FederationError,
    FederationJws,
    FederationReason,
    as_identifier,
    epoch,
    key_set,
    open_object,
    parse_object,
)
from passport_shared.formats.jose import ParsedJws, PublicKey, SigningKey
from passport_shared.formats.trust_mark import MarkRole, mark_type

MAX_AUTHORITY_HINTS = 8
MAX_TRUST_MARKS = 16
MAX_ENTITY_TYPES = 16

CLIENT_DIRECTORY_MEMBER = "staff_passport_client_directory"
STATUS_KEYS_MEMBER = "staff_passport_status"

# A `crit` entry names a claim beyond the standard ones that must be understood; this network defines none.
_UNDERSTOOD_CRIT: frozenset[str] = frozenset()
_UNDERSTOOD_POLICY_CRIT: frozenset[str] = frozenset()
_ONLY_IN_CONFIGURATION = ("authority_hints", "trust_marks", "trust_mark_issuers", "trust_mark_owners")
_ONLY_IN_SUBORDINATE = ("metadata_policy", "metadata_policy_crit", "constraints", "source_endpoint")
_ONLY_IN_EXPLICIT_REGISTRATION = ("aud", "trust_anchor")


@dataclass(frozen=True, kw_only=True)
class EntityConfiguration:
    """A verified statement of an entity about itself; its trust follows only from a chain or a pinned key."""

    entity_id: str
    iat: datetime
    exp: datetime
    jwks: Mapping[str, Any]
    metadata: Mapping[str, Mapping[str, Any]]
    authority_hints: tuple[str, ...]
    trust_marks: tuple[Mapping[str, Any], ...]
    trust_mark_issuers: Mapping[str, Any]
    trust_mark_owners: Mapping[str, Any]
    kid: str
    claims: Mapping[str, Any] = field(repr=False)
    compact: str = field(repr=False)

    @property
    def keys(self) -> dict[str, PublicKey]:
        """The entity's federation keys by `kid`."""
        return key_set(self.jwks)


@dataclass(frozen=True, kw_only=True)
class SubordinateStatement:
    """A verified statement of a superior about an immediate subordinate."""

    iss: str
    sub: str
    iat: datetime
    exp: datetime
    jwks: Mapping[str, Any]
    metadata: Mapping[str, Mapping[str, Any]]
    metadata_policy: Mapping[str, Any]
    constraints: Mapping[str, Any]
    source_endpoint: str | None
    claims: Mapping[str, Any] = field(repr=False)
    compact: str = field(repr=False)


def public_jwks(keys: Sequence[PublicKey]) -> dict[str, Any]:
    """A federation key set of these keys, the current one first."""
    return {"keys": [key.as_jwk() for key in keys]}


def entity_configuration(
    *,
    entity_id: str,
    iat: datetime,
    exp: datetime,
    key: SigningKey,
    metadata: Mapping[str, Any],
    authority_hints: Sequence[str] = (),
    trust_marks: Sequence[str] = (),
    next_keys: Sequence[PublicKey] = (),
    extra: Mapping[str, Any] | None = None,
) -> str:
    """Sign an entity's configuration with its own federation key.

    Args:
        entity_id: the entity, both issuer and subject.
        iat: instant of signing.
        exp: end of the statement.
        key: current federation key; first in `jwks`.
        metadata: by entity type.
        authority_hints: superiors; none for the anchor.
        trust_marks: the entity's current marks; each entry carries `trust_mark_type` and the older `id`.
        next_keys: keys published before or after their use.
        extra: the anchor's `trust_mark_issuers`, or claims of our own.
    """
    claims: dict[str, Any] = {
        "iss": entity_id,
        "sub": entity_id,
        "iat": epoch(iat),
        "exp": epoch(exp),
        "jwks": public_jwks([key.public, *next_keys]),
        "metadata": dict(metadata),
    }
    if authority_hints:
        claims["authority_hints"] = list(authority_hints)
    if trust_marks:
        claims["trust_marks"] = [_mark_entry(mark) for mark in trust_marks]
    claims.update(extra or {})
    return jose.sign(claims, key, typ=ENTITY_STATEMENT_TYP)


def _mark_entry(mark: str) -> dict[str, Any]:
    kind = jose.parse(mark).claims.get("trust_mark_type")
    return {"id": kind, "trust_mark_type": kind, "trust_mark": mark}


def anchor_configuration(
    *,
    entity_id: str,
    iat: datetime,
    exp: datetime,
    key: SigningKey,
    organization_name: str,
    contacts: Sequence[str],
    status_key: PublicKey,
    client_directory_key: PublicKey,
    next_keys: Sequence[PublicKey] = (),
    federation_entity: Mapping[str, Any] | None = None,
) -> str:
    """Sign the anchor's configuration: endpoints, status key, client directory, and who issues which mark.

    The anchor itself is the only issuer of every type; an empty list would mean anyone and is never written.
    """
    endpoints = {
        "federation_fetch_endpoint": f"{entity_id}/federation/fetch",
        "federation_list_endpoint": f"{entity_id}/federation/list",
        "federation_trust_mark_endpoint": f"{entity_id}/federation/trust_mark",
        "federation_trust_mark_status_endpoint": f"{entity_id}/federation/trust_mark_status",
        "federation_snapshot_endpoint": f"{entity_id}/federation/snapshot",
    }
    metadata = {
        "federation_entity": {
            "organization_name": organization_name,
            "contacts": list(contacts),
            **endpoints,
            STATUS_KEYS_MEMBER: {"jwks": public_jwks([status_key])},
            CLIENT_DIRECTORY_MEMBER: {
                "uri": f"{entity_id}/client-directory",
                "jwks": public_jwks([client_directory_key]),
            },
            **(federation_entity or {}),
        }
    }
    issuers = {mark_type(entity_id, role): [entity_id] for role in MarkRole}
    return entity_configuration(
        entity_id=entity_id,
        iat=iat,
        exp=exp,
        key=key,
        metadata=metadata,
        next_keys=next_keys,
        extra={"trust_mark_issuers": issuers},
    )


def subordinate_statement(
    *,
    iss: str,
    sub: str,
    iat: datetime,
    exp: datetime,
    jwks: Mapping[str, Any],
    key: SigningKey,
    source_endpoint: str,
    metadata: Mapping[str, Any] | None = None,
    metadata_policy: Mapping[str, Any] | None = None,
) -> str:
    """Sign what the anchor says about an entity, with only the members every reader understands.

    Deployed readers refuse any further claim (standards.md §1.7), so there is deliberately no way to add one;
    authority is in the trust mark.
    """
    claims = {
        "iss": iss,
        "sub": sub,
        "iat": epoch(iat),
        "exp": epoch(exp),
        "jwks": dict(jwks),
        "metadata": dict(metadata or {}),
        "metadata_policy": dict(metadata_policy or {}),
        "source_endpoint": source_endpoint,
    }
    return jose.sign(claims, key, typ=ENTITY_STATEMENT_TYP)


def issuer_metadata(credential_keys: Sequence[PublicKey]) -> dict[str, Any]:
    """Metadata the anchor states about an issuer: its pinned credential keys, for other people's clients."""
    return {
        "openid_credential_issuer": {
            "client_registration_types_supported": ["automatic"],
            "jwks": public_jwks(credential_keys),
        }
    }


def issuer_policy(entity_id: str) -> dict[str, Any]:
    """Policy of an issuer: `credential_issuer` is the entity itself."""
    return {"openid_credential_issuer": {"credential_issuer": {"value": entity_id}}}


def verifier_metadata(entity_id: str) -> dict[str, Any]:
    """Metadata the anchor states about a verifier.

    No `jwks` and no `request_uris`: a wallet that finds keys here must ignore the fresh encryption key of
    each request, which HAIP requires.
    """
    return {
        "openid_credential_verifier": {
            "client_registration_types": ["automatic"],
            "response_uris": [f"{entity_id}/oid4vp/response"],
        }
    }


def verify_entity_configuration(
    token: str | ParsedJws, *, now: datetime, expected_entity: str | None = None
) -> EntityConfiguration:
    """Verify a statement an entity makes about itself, with the keys it carries.

    This proves that the holder of those keys wrote it, not that anybody trusts them: the caller compares the
    keys with a pinned set or a superior's statement.

    Raises:
        FederationError: one rule of standards.md §1.2 is broken, by name.
    """
    parsed = parse_object(token, typ=ENTITY_STATEMENT_TYP)
    opened = open_object(parsed, _own_jwks(parsed.claims), typ=ENTITY_STATEMENT_TYP, now=now)
    claims = opened.claims
    if opened.iss != opened.sub:
        raise FederationError(
            FederationReason.NOT_SELF_ISSUED, "iss and sub of a configuration are one entity"
        )
    if expected_entity is not None and opened.sub != expected_entity:
        raise FederationError(FederationReason.WRONG_ENTITY, "the configuration of another entity")
    _refuse_claims(claims, _ONLY_IN_SUBORDINATE, FederationReason.CLAIM_NOT_ALLOWED)
    _check_common(claims)
    hints = _list(claims, "authority_hints", MAX_AUTHORITY_HINTS)
    if "authority_hints" in claims and not hints:
        raise FederationError(FederationReason.BAD_CLAIM, "authority_hints is empty")
    metadata = _metadata(claims)
    _check_credential_issuer(metadata, opened.sub)
    return EntityConfiguration(
        entity_id=opened.sub,
        iat=opened.iat,
        exp=_end(opened),
        jwks=claims["jwks"],
        metadata=metadata,
        authority_hints=tuple(as_identifier(hint, "authority_hints") for hint in hints),
        trust_marks=tuple(_mark_reference(entry) for entry in _list(claims, "trust_marks", MAX_TRUST_MARKS)),
        trust_mark_issuers=_mapping(claims, "trust_mark_issuers"),
        trust_mark_owners=_mapping(claims, "trust_mark_owners"),
        kid=opened.header["kid"],
        claims=claims,
        compact=opened.compact,
    )


def verify_subordinate_statement(
    token: str | ParsedJws,
    issuer_jwks: Mapping[str, Any],
    now: datetime,
    *,
    iss: str | None = None,
    sub: str | None = None,
    subject: EntityConfiguration | None = None,
) -> SubordinateStatement:
    """Verify a superior's statement with the superior's federation keys.

    Args:
        token: the statement.
        issuer_jwks: the superior's key set.
        now: instant at which times are judged.
        iss: the superior expected.
        sub: the subordinate expected.
        subject: the subordinate's own configuration, where it is at hand: it must name the superior in
            `authority_hints`.

    Raises:
        FederationError: one rule of standards.md §1.2 is broken, by name.
    """
    parsed = parse_object(token, typ=ENTITY_STATEMENT_TYP)
    opened = open_object(parsed, issuer_jwks, typ=ENTITY_STATEMENT_TYP, now=now)
    claims = opened.claims
    if opened.iss == opened.sub:
        raise FederationError(FederationReason.SELF_ISSUED, "a superior speaks about another entity")
    if iss is not None and opened.iss != iss:
        raise FederationError(FederationReason.WRONG_ISSUER, "stated by another superior")
    if sub is not None and opened.sub != sub:
        raise FederationError(FederationReason.WRONG_ENTITY, "a statement about another entity")
    _refuse_claims(claims, _ONLY_IN_CONFIGURATION, FederationReason.CLAIM_NOT_ALLOWED)
    key_set(_own_jwks(claims))
    _check_common(claims)
    _check_policy_crit(claims)
    if subject is not None and opened.iss not in subject.authority_hints:
        raise FederationError(
            FederationReason.NOT_IN_AUTHORITY_HINTS, "the entity does not name this superior"
        )
    metadata = _metadata(claims)
    _check_credential_issuer(metadata, opened.sub)
    source = claims.get("source_endpoint")
    if source is not None and not (isinstance(source, str) and source.startswith("https://")):
        raise FederationError(FederationReason.BAD_CLAIM, "source_endpoint is not an https URL")
    return SubordinateStatement(
        iss=opened.iss,
        sub=opened.sub,
        iat=opened.iat,
        exp=_end(opened),
        jwks=claims["jwks"],
        metadata=metadata,
        metadata_policy=_mapping(claims, "metadata_policy"),
        constraints=_mapping(claims, "constraints"),
        source_endpoint=source,
        claims=claims,
        compact=opened.compact,
    )


def _end(opened: FederationJws) -> datetime:
    assert opened.exp is not None  # noqa: S101  open_object requires it; this only tells the type checker
    return opened.exp


def _own_jwks(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    jwks = claims.get("jwks")
    if jwks is None:
        raise FederationError(FederationReason.MISSING_JWKS, "an entity statement carries jwks")
    if not isinstance(jwks, Mapping):
        raise FederationError(FederationReason.BAD_JWKS, "jwks is not an object")
    return jwks


def _check_common(claims: Mapping[str, Any]) -> None:
    _refuse_claims(claims, _ONLY_IN_EXPLICIT_REGISTRATION, FederationReason.EXPLICIT_REGISTRATION_ONLY)
    crit = claims.get("crit", [])
    if not isinstance(crit, list) or ("crit" in claims and not crit):
        raise FederationError(FederationReason.BAD_CLAIM, "crit is not a non-empty array")
    if any(not isinstance(name, str) or name not in _UNDERSTOOD_CRIT for name in crit):
        raise FederationError(FederationReason.CRIT_NOT_UNDERSTOOD, "crit names a claim we do not know")


def _check_policy_crit(claims: Mapping[str, Any]) -> None:
    crit = claims.get("metadata_policy_crit", [])
    if not isinstance(crit, list) or ("metadata_policy_crit" in claims and not crit):
        raise FederationError(FederationReason.BAD_CLAIM, "metadata_policy_crit is not a non-empty array")
    if any(not isinstance(name, str) or name not in _UNDERSTOOD_POLICY_CRIT for name in crit):
        raise FederationError(
            FederationReason.POLICY_CRIT_NOT_UNDERSTOOD, "metadata_policy_crit names an unknown operator"
        )


def _refuse_claims(claims: Mapping[str, Any], names: Sequence[str], reason: FederationReason) -> None:
    for name in names:
        if name in claims:
            raise FederationError(reason, f"{name} is not allowed in this statement")


def _metadata(claims: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    metadata = claims.get("metadata", {})
    if not isinstance(metadata, Mapping) or len(metadata) > MAX_ENTITY_TYPES:
        raise FederationError(FederationReason.BAD_METADATA, "metadata is not an object of entity types")
    for entity_type, parameters in metadata.items():
        if not isinstance(parameters, Mapping):
            reason = FederationReason.NULL_METADATA if parameters is None else FederationReason.BAD_METADATA
            raise FederationError(reason, f"metadata of {entity_type[:64]} is not an object")
        if any(value is None for value in parameters.values()):
            raise FederationError(FederationReason.NULL_METADATA, f"null in metadata of {entity_type[:64]}")
    return metadata


def _check_credential_issuer(metadata: Mapping[str, Mapping[str, Any]], entity_id: str) -> None:
    stated = metadata.get("openid_credential_issuer", {}).get("credential_issuer")
    if stated is not None and stated != entity_id:
        raise FederationError(FederationReason.BAD_METADATA, "credential_issuer is not the entity itself")


def _mark_reference(entry: object) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("trust_mark"), str):
        raise FederationError(FederationReason.BAD_CLAIM, "trust_marks holds type and mark")
    if not isinstance(entry.get("trust_mark_type"), str):
        raise FederationError(FederationReason.BAD_CLAIM, "trust_marks names the type of each mark")
    return entry


def _mapping(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name, {})
    if not isinstance(value, Mapping):
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not an object")
    return value


def _list(claims: Mapping[str, Any], name: str, limit: int) -> list[Any]:
    value = claims.get(name, [])
    if not isinstance(value, list) or len(value) > limit:
        raise FederationError(FederationReason.BAD_CLAIM, f"{name} is not an array of at most {limit}")
    return value
