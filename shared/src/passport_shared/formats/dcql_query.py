"""DCQL queries: parsed, validated, bounded (OpenID4VP 1.0 §6 and §7).

Unknown properties are ignored, as the specification says; known ones must be right. Matching credentials
against a query is in `dcql_match`. Any JSON whatsoever either becomes a `Query` or raises `DcqlError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from passport_shared.formats import strict
from passport_shared.formats.strict import StrictError

SD_JWT_VC_FORMAT = "dc+sd-jwt"

MAX_QUERY_BYTES = 65_536
MAX_CREDENTIALS = 32
MAX_CLAIMS = 128
MAX_CLAIM_SETS = 32
MAX_CREDENTIAL_SETS = 32
MAX_OPTIONS = 32
MAX_PATH_SEGMENTS = 16
MAX_VALUES = 64
MAX_AUTHORITIES = 16
MAX_ID_CHARS = 128
MAX_TEXT_CHARS = 1_024
MAX_INDEX = 2**31

_ID = re.compile(r"[A-Za-z0-9_-]+")

Path = tuple[str | int | None, ...]
Value = str | int | bool


class DcqlReason(StrEnum):
    """Why a query is refused."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    NO_CREDENTIALS = "no_credentials"
    BAD_ID = "bad_id"
    DUPLICATE_ID = "duplicate_id"
    BAD_FORMAT = "bad_format"
    META_MISSING = "meta_missing"
    BAD_META = "bad_meta"
    BAD_FLAG = "bad_flag"
    BAD_TRUSTED_AUTHORITIES = "bad_trusted_authorities"
    BAD_CLAIMS = "bad_claims"
    BAD_PATH = "bad_path"
    BAD_VALUES = "bad_values"
    CLAIM_SETS_WITHOUT_CLAIMS = "claim_sets_without_claims"
    CLAIM_ID_MISSING = "claim_id_missing"
    BAD_CLAIM_SETS = "bad_claim_sets"
    UNKNOWN_CLAIM_ID = "unknown_claim_id"
    BAD_CREDENTIAL_SETS = "bad_credential_sets"
    UNKNOWN_CREDENTIAL_ID = "unknown_credential_id"


class DcqlError(ValueError):
    """A query that cannot be used; `reason` names the rule it breaks."""

    def __init__(self, reason: DcqlReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, kw_only=True)
class TrustedAuthority:
    """One way to say whose credentials are wanted: `aki`, `etsi_tl` or `openid_federation`."""

    type: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ClaimQuery:
    """One claim by path; `values` None accepts every value."""

    path: Path
    id: str | None = None
    values: tuple[Value, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class CredentialQuery:
    """One credential that is asked for. `vct_values` is empty only for formats other than SD-JWT VC."""

    id: str
    format: str = SD_JWT_VC_FORMAT
    vct_values: tuple[str, ...] = ()
    multiple: bool = False
    trusted_authorities: tuple[TrustedAuthority, ...] = ()
    require_cryptographic_holder_binding: bool = True
    claims: tuple[ClaimQuery, ...] = ()
    claim_sets: tuple[tuple[str, ...], ...] = ()

    def claims_of(self, claim_set: tuple[str, ...]) -> tuple[ClaimQuery, ...]:
        """The claims a claim set names."""
        by_id = {claim.id: claim for claim in self.claims}
        return tuple(by_id[claim_id] for claim_id in claim_set)

    def alternatives(self) -> tuple[tuple[ClaimQuery, ...], ...]:
        """The combinations of claims that satisfy this query, the verifier's preferred one first."""
        if self.claim_sets:
            return tuple(self.claims_of(claim_set) for claim_set in self.claim_sets)
        return (self.claims,)


@dataclass(frozen=True, kw_only=True)
class CredentialSetQuery:
    """One need, met by any one of the options; each option is a set of credential query ids."""

    options: tuple[tuple[str, ...], ...]
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Query:
    """A valid DCQL query."""

    credentials: tuple[CredentialQuery, ...]
    credential_sets: tuple[CredentialSetQuery, ...] = ()

    def credential(self, query_id: str) -> CredentialQuery | None:
        """The credential query with this id."""
        return next((entry for entry in self.credentials if entry.id == query_id), None)

    def as_json(self) -> dict[str, Any]:
        """The JSON form, without members that only repeat a default."""
        document: dict[str, Any] = {"credentials": [_credential_json(entry) for entry in self.credentials]}
        if self.credential_sets:
            document["credential_sets"] = [
                {"options": [list(option) for option in entry.options], "required": entry.required}
                for entry in self.credential_sets
            ]
        return document


def parse_query(document: object) -> Query:
    """Read a query from JSON text, bytes or already decoded JSON.

    Raises:
        DcqlError: and nothing else, whatever the input.
    """
    if isinstance(document, str | bytes):
        try:
            document = strict.loads(document, max_bytes=MAX_QUERY_BYTES)
        except StrictError as fault:
            raise DcqlError(DcqlReason.MALFORMED, fault.code) from fault
    members = _object(document, DcqlReason.MALFORMED, "the query")
    entries = members.get("credentials")
    if not isinstance(entries, list) or not entries:
        raise DcqlError(DcqlReason.NO_CREDENTIALS, "credentials is a non-empty array")
    _limit(entries, MAX_CREDENTIALS, "credentials")
    credentials = tuple(_credential(entry) for entry in entries)
    _unique([entry.id for entry in credentials], "credential query ids")
    credential_sets: tuple[CredentialSetQuery, ...] = ()
    if "credential_sets" in members:
        known = {entry.id for entry in credentials}
        sets = _filled(members["credential_sets"], DcqlReason.BAD_CREDENTIAL_SETS, MAX_CREDENTIAL_SETS)
        credential_sets = tuple(_credential_set(entry, known) for entry in sets)
    return Query(credentials=credentials, credential_sets=credential_sets)


def _credential(value: object) -> CredentialQuery:
    members = _object(value, DcqlReason.MALFORMED, "a credential query")
    query_id = _id(members.get("id"))
    kind = members.get("format")
    if not isinstance(kind, str) or not 0 < len(kind) <= MAX_TEXT_CHARS:
        raise DcqlError(DcqlReason.BAD_FORMAT, "format is a text")
    claims = _claims(members)
    claim_sets = _claim_sets(members, claims)
    return CredentialQuery(
        id=query_id,
        format=kind,
        vct_values=_vct_values(members, kind),
        multiple=_flag(members, "multiple", default=False),
        trusted_authorities=_trusted_authorities(members),
        require_cryptographic_holder_binding=_flag(
            members, "require_cryptographic_holder_binding", default=True
        ),
        claims=claims,
        claim_sets=claim_sets,
    )


def _vct_values(members: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    if "meta" not in members:
        raise DcqlError(DcqlReason.META_MISSING, "meta is required")
    meta = _object(members["meta"], DcqlReason.BAD_META, "meta")
    if kind != SD_JWT_VC_FORMAT:
        return ()
    return _texts(meta.get("vct_values"), DcqlReason.BAD_META, MAX_VALUES)


def _trusted_authorities(members: Mapping[str, Any]) -> tuple[TrustedAuthority, ...]:
    if "trusted_authorities" not in members:
        return ()
    reason = DcqlReason.BAD_TRUSTED_AUTHORITIES
    authorities = []
    for entry in _filled(members["trusted_authorities"], reason, MAX_AUTHORITIES):
        authority = _object(entry, reason, "a trusted authority")
        kind = authority.get("type")
        if not isinstance(kind, str) or not kind:
            raise DcqlError(reason, "a trusted authority has a type")
        authorities.append(
            TrustedAuthority(type=kind, values=_texts(authority.get("values"), reason, MAX_VALUES))
        )
    return tuple(authorities)


def _claims(members: Mapping[str, Any]) -> tuple[ClaimQuery, ...]:
    if "claims" not in members:
        return ()
    claims = tuple(_claim(entry) for entry in _filled(members["claims"], DcqlReason.BAD_CLAIMS, MAX_CLAIMS))
    _unique([claim.id for claim in claims if claim.id is not None], "claim ids")
    return claims


def _claim(value: object) -> ClaimQuery:
    members = _object(value, DcqlReason.BAD_CLAIMS, "a claims query")
    return ClaimQuery(
        path=_path(members.get("path")),
        id=_id(members["id"]) if "id" in members else None,
        values=_values(members["values"]) if "values" in members else None,
    )


def _path(value: object) -> Path:
    segments = _filled(value, DcqlReason.BAD_PATH, MAX_PATH_SEGMENTS)
    for segment in segments:
        index = isinstance(segment, int) and not isinstance(segment, bool) and 0 <= segment <= MAX_INDEX
        name = isinstance(segment, str) and len(segment) <= MAX_TEXT_CHARS
        if not (index or name or segment is None):
            raise DcqlError(DcqlReason.BAD_PATH, "a path holds strings, null and non-negative integers")
    return tuple(segments)


def _values(value: object) -> tuple[Value, ...]:
    values = _filled(value, DcqlReason.BAD_VALUES, MAX_VALUES)
    if not all(isinstance(entry, str | int | bool) for entry in values):
        raise DcqlError(DcqlReason.BAD_VALUES, "values are strings, integers or booleans")
    return tuple(values)


def _claim_sets(members: Mapping[str, Any], claims: tuple[ClaimQuery, ...]) -> tuple[tuple[str, ...], ...]:
    if "claim_sets" not in members:
        return ()
    if not claims:
        raise DcqlError(DcqlReason.CLAIM_SETS_WITHOUT_CLAIMS, "claim_sets needs claims")
    if any(claim.id is None for claim in claims):
        raise DcqlError(DcqlReason.CLAIM_ID_MISSING, "every claim has an id when claim_sets is present")
    known = {claim.id for claim in claims}
    reason = DcqlReason.BAD_CLAIM_SETS
    sets = tuple(
        _texts(entry, reason, MAX_CLAIMS) for entry in _filled(members["claim_sets"], reason, MAX_CLAIM_SETS)
    )
    if any(claim_id not in known for claim_set in sets for claim_id in claim_set):
        raise DcqlError(DcqlReason.UNKNOWN_CLAIM_ID, "claim_sets names a claim that is not asked for")
    return sets


def _credential_set(value: object, known: set[str]) -> CredentialSetQuery:
    reason = DcqlReason.BAD_CREDENTIAL_SETS
    members = _object(value, reason, "a credential set")
    options = tuple(
        _texts(option, reason, MAX_CREDENTIALS)
        for option in _filled(members.get("options"), reason, MAX_OPTIONS)
    )
    if any(query_id not in known for option in options for query_id in option):
        raise DcqlError(DcqlReason.UNKNOWN_CREDENTIAL_ID, "credential_sets names an unknown credential query")
    return CredentialSetQuery(options=options, required=_flag(members, "required", default=True))


def _object(value: object, reason: DcqlReason, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DcqlError(reason, f"{name} is not an object")
    return value


def _filled(value: object, reason: DcqlReason, limit: int) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise DcqlError(reason, "a non-empty array is required")
    _limit(value, limit, reason.value)
    return value


def _texts(value: object, reason: DcqlReason, limit: int) -> tuple[str, ...]:
    entries = _filled(value, reason, limit)
    if not all(isinstance(entry, str) and 0 < len(entry) <= MAX_TEXT_CHARS for entry in entries):
        raise DcqlError(reason, "a non-empty array of texts is required")
    return tuple(entries)


def _limit(entries: list[Any], limit: int, name: str) -> None:
    if len(entries) > limit:
        raise DcqlError(DcqlReason.TOO_LARGE, f"more than {limit} in {name}")


def _id(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_ID_CHARS or not _ID.fullmatch(value):
        raise DcqlError(DcqlReason.BAD_ID, "an id is letters, digits, _ and -")
    return value


def _unique(ids: list[str], name: str) -> None:
    if len(set(ids)) != len(ids):
        raise DcqlError(DcqlReason.DUPLICATE_ID, f"{name} are not unique")


def _flag(members: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = members.get(name, default)
    if not isinstance(value, bool):
        raise DcqlError(DcqlReason.BAD_FLAG, f"{name} is true or false")
    return value


def _credential_json(entry: CredentialQuery) -> dict[str, Any]:
    meta = {"vct_values": list(entry.vct_values)} if entry.format == SD_JWT_VC_FORMAT else {}
    document: dict[str, Any] = {"id": entry.id, "format": entry.format, "meta": meta}
    if entry.multiple:
        document["multiple"] = True
    if entry.trusted_authorities:
        document["trusted_authorities"] = [
            {"type": authority.type, "values": list(authority.values)}
            for authority in entry.trusted_authorities
        ]
    if not entry.require_cryptographic_holder_binding:
        document["require_cryptographic_holder_binding"] = False
    if entry.claims:
        document["claims"] = [_claim_json(claim) for claim in entry.claims]
    if entry.claim_sets:
        document["claim_sets"] = [list(claim_set) for claim_set in entry.claim_sets]
    return document


def _claim_json(claim: ClaimQuery) -> dict[str, Any]:
    document: dict[str, Any] = {} if claim.id is None else {"id": claim.id}
    document["path"] = list(claim.path)
    if claim.values is not None:
        document["values"] = list(claim.values)
    return document
