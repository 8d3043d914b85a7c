"""DCQL matching: the verifier's own re-check of an answer, and the wallet's choice of what to present.

OpenID4VP 1.0 §6.4 and §7.1. `match` trusts nothing the wallet did: format, type, holder binding, trusted
authorities, claims and values, numbers and sets are all checked again. Signatures, trust and status are not
looked at here. A trusted authority of a type we cannot evaluate never matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any

from cryptography.x509 import AuthorityKeyIdentifier, Certificate, ExtensionNotFound

from passport_shared.formats.dcql_query import (
    SD_JWT_VC_FORMAT,
    ClaimQuery,
    CredentialQuery,
    Path,
    Query,
    Value,
)
from passport_shared.formats.strict import b64url_encode
from passport_shared.formats.x5c import Leaf, parse_x5c

AKI = "aki"
OPENID_FEDERATION = "openid_federation"


class MatchReason(StrEnum):
    """Why an answer does not meet the query."""

    UNKNOWN_QUERY_ID = "unknown_query_id"
    EMPTY_ARRAY = "empty_array"
    NOT_EXACTLY_ONE = "not_exactly_one"
    WRONG_FORMAT = "wrong_format"
    WRONG_TYPE = "wrong_type"
    HOLDER_BINDING_MISSING = "holder_binding_missing"
    AUTHORITY_NOT_TRUSTED = "authority_not_trusted"
    CLAIM_MISSING = "claim_missing"
    CLAIM_VALUE_NOT_ASKED = "claim_value_not_asked"
    NO_CLAIM_SET_MET = "no_claim_set_met"
    CREDENTIAL_MISSING = "credential_missing"
    CREDENTIAL_SET_NOT_MET = "credential_set_not_met"


@dataclass(frozen=True, kw_only=True)
class Credential:
    """What matching needs to know of one credential, held or presented.

    Attributes:
        claims: processed claims; of a presentation only what it discloses, of a held one everything.
        key: the caller's own name for it, returned with a choice.
        holder_bound: it carries a key, and a presentation proved possession of it.
        authority_key_ids: base64url KeyIdentifier of the AuthorityKeyIdentifier of each certificate in `x5c`.
        trust_anchors: entity identifiers of anchors it was traced to.
        disclosed_paths: claims that came by a Disclosure; None takes every claim for disclosed.
    """

    vct: str
    claims: Mapping[str, Any] = field(repr=False)
    key: str = ""
    format: str = SD_JWT_VC_FORMAT
    holder_bound: bool = True
    authority_key_ids: tuple[str, ...] = ()
    trust_anchors: tuple[str, ...] = ()
    disclosed_paths: frozenset[Path] | None = None


@dataclass(frozen=True, kw_only=True)
class MatchProblem:
    """One constraint that is not met; never holds a value."""

    reason: MatchReason
    query_id: str | None = None
    path: Path | None = None


@dataclass(frozen=True, kw_only=True)
class MatchResult:
    """Outcome of the re-check.

    Attributes:
        problems: every constraint that is not met; empty means the answer meets the query.
        answered: ids of the credential queries that were answered completely.
        surplus: disclosed claims nobody asked for, by query id and then by presentation; to be dropped.
    """

    problems: tuple[MatchProblem, ...]
    answered: frozenset[str]
    surplus: Mapping[str, tuple[tuple[Path, ...], ...]]

    @property
    def meets_query(self) -> bool:
        """Whether every constraint is met."""
        return not self.problems


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One held credential that answers a query, and exactly the paths to disclose for it."""

    query_id: str
    key: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a wallet could answer.

    Attributes:
        candidates: every held credential that answers, by query id, in the order held.
        chosen: the answer this module would give: required sets by the verifier's preference, optional ones
            where they can be met. Empty when the query cannot be met.
        missing: credential query ids without which the query cannot be met.
    """

    candidates: Mapping[str, tuple[Candidate, ...]]
    chosen: Mapping[str, tuple[Candidate, ...]]
    missing: tuple[str, ...]

    @property
    def can_answer(self) -> bool:
        """Whether the query can be met."""
        return not self.missing


def match(query: Query, credentials_by_id: Mapping[str, Sequence[Credential]]) -> MatchResult:
    """Check an answer against the query it answers.

    Args:
        query: the query that was sent.
        credentials_by_id: presentations by credential query id, as the `vp_token` holds them.

    Returns:
        All problems, never only the first, and the surplus.
    """
    problems: list[MatchProblem] = []
    answered: set[str] = set()
    surplus: dict[str, tuple[tuple[Path, ...], ...]] = {}
    for query_id, presented in credentials_by_id.items():
        entry = query.credential(query_id)
        if entry is None:
            problems.append(MatchProblem(reason=MatchReason.UNKNOWN_QUERY_ID, query_id=query_id))
            continue
        found = _number_problems(entry, presented)
        for credential in presented:
            found.extend(_problems(entry, credential))
        if not found:
            answered.add(query_id)
        problems.extend(found)
        surplus[query_id] = tuple(surplus_paths(entry, credential) for credential in presented)
    problems.extend(_set_problems(query, answered, set(credentials_by_id)))
    return MatchResult(problems=tuple(problems), answered=frozenset(answered), surplus=surplus)


def select(query: Query, held: Sequence[Credential]) -> Selection:
    """Choose what a wallet would present: fewest disclosures that meet the query, nothing beyond it.

    Args:
        query: the verifier's query.
        held: credentials of the wallet with all their claims, the preferred ones first.
    """
    candidates = {
        entry.id: tuple(
            Candidate(query_id=entry.id, key=credential.key, paths=paths)
            for credential in held
            if (paths := _answer(entry, credential)) is not None
        )
        for entry in query.credentials
    }
    possible = {query_id for query_id, found in candidates.items() if found}
    wanted, missing = _wanted(query, possible)
    chosen = {
        entry.id: candidates[entry.id] if entry.multiple else candidates[entry.id][:1]
        for entry in query.credentials
        if entry.id in wanted
    }
    return Selection(candidates=candidates, chosen={} if missing else chosen, missing=missing)


def surplus_paths(entry: CredentialQuery, credential: Credential) -> tuple[Path, ...]:
    """Disclosed claims that lie neither on, above nor below a path the query asks for."""
    if credential.disclosed_paths is not None:
        disclosed: Iterable[Path] = sorted(credential.disclosed_paths, key=repr)
    else:
        disclosed = [(name,) for name in credential.claims]
    asked = [claim.path for claim in entry.claims]
    exactly = frozenset(asked)
    return tuple(
        path for path in disclosed if path not in exactly and not any(_related(path, one) for one in asked)
    )


def authority_key_ids(chain: Leaf | Sequence[str]) -> tuple[str, ...]:
    """What an `aki` query is compared with: the base64url AuthorityKeyIdentifiers of a chain.

    Args:
        chain: a verified leaf, which names its issuing CA, or the whole `x5c` header, which also names the
            root.

    Raises:
        ChainError: the header cannot be read.
    """
    if isinstance(chain, Leaf):
        return _key_ids((chain.certificate,))
    if not all(isinstance(one, str) for one in chain):
        return _key_ids(
            parse_x5c(chain)
        )  # which refuses it by its name; what cannot be hashed is not looked up
    return _key_ids_of_header(tuple(chain))


@lru_cache(maxsize=512)
def _key_ids_of_header(x5c: tuple[str, ...]) -> tuple[str, ...]:
    """Remembered: one issuer's chain comes with each of its credentials."""
    return _key_ids(parse_x5c(x5c))


def _key_ids(certificates: Sequence[Certificate]) -> tuple[str, ...]:
    identifiers = []
    for certificate in certificates:
        extensions = certificate.extensions
        with suppress(ExtensionNotFound):
            found = extensions.get_extension_for_class(AuthorityKeyIdentifier).value.key_identifier
            identifiers += [] if found is None else [b64url_encode(found)]
    return tuple(identifiers)


def values_at(claims: object, path: Path) -> list[Any]:
    """The values a claims path pointer selects (OpenID4VP 1.0 §7.1); an empty list selects nothing."""
    selected: list[Any] = [claims]
    for segment in path:
        following: list[Any] = []
        for element in selected:
            if isinstance(segment, str):
                if not isinstance(element, Mapping):
                    return []
                following.extend([element[segment]] if segment in element else [])
            elif not isinstance(element, list):
                return []
            elif segment is None:
                following.extend(element)
            else:
                following.extend(element[segment : segment + 1])
        selected = following
    return selected


def _related(one: Path, other: Path) -> bool:
    return all(
        mine == theirs
        or (mine is None and isinstance(theirs, int))
        or (theirs is None and isinstance(mine, int))
        for mine, theirs in zip(one, other, strict=False)
    )


def _number_problems(entry: CredentialQuery, presented: Sequence[Credential]) -> list[MatchProblem]:
    if not presented:
        return [MatchProblem(reason=MatchReason.EMPTY_ARRAY, query_id=entry.id)]
    if len(presented) > 1 and not entry.multiple:
        return [MatchProblem(reason=MatchReason.NOT_EXACTLY_ONE, query_id=entry.id)]
    return []


def _problems(entry: CredentialQuery, credential: Credential) -> list[MatchProblem]:
    reasons = _envelope_problems(entry, credential)
    problems = [MatchProblem(reason=reason, query_id=entry.id) for reason in reasons]
    if not entry.claim_sets:
        return problems + _claim_problems(entry, entry.claims, credential)
    if all(_claim_problems(entry, claims, credential) for claims in entry.alternatives()):
        problems.append(MatchProblem(reason=MatchReason.NO_CLAIM_SET_MET, query_id=entry.id))
    return problems


def _envelope_problems(entry: CredentialQuery, credential: Credential) -> list[MatchReason]:
    reasons = []
    # A format we cannot read has no types we could compare.
    if credential.format != entry.format or entry.format != SD_JWT_VC_FORMAT:
        reasons.append(MatchReason.WRONG_FORMAT)
    if credential.vct not in entry.vct_values:
        reasons.append(MatchReason.WRONG_TYPE)
    if entry.require_cryptographic_holder_binding and not credential.holder_bound:
        reasons.append(MatchReason.HOLDER_BINDING_MISSING)
    if entry.trusted_authorities and not _authority_matches(entry, credential):
        reasons.append(MatchReason.AUTHORITY_NOT_TRUSTED)
    return reasons


def _authority_matches(entry: CredentialQuery, credential: Credential) -> bool:
    offered = {AKI: credential.authority_key_ids, OPENID_FEDERATION: credential.trust_anchors}
    return any(
        value in offered.get(authority.type, ())
        for authority in entry.trusted_authorities
        for value in authority.values
    )


def _claim_problems(
    entry: CredentialQuery, claims: Iterable[ClaimQuery], credential: Credential
) -> list[MatchProblem]:
    problems = []
    for claim in claims:
        values = values_at(credential.claims, claim.path)
        if not values:
            reason = MatchReason.CLAIM_MISSING
        elif claim.values is not None and not any(_is_one_of(value, claim.values) for value in values):
            reason = MatchReason.CLAIM_VALUE_NOT_ASKED
        else:
            continue
        problems.append(MatchProblem(reason=reason, query_id=entry.id, path=claim.path))
    return problems


def _is_one_of(value: object, accepted: tuple[Value, ...]) -> bool:
    # JSON true is not 1, and 1 is not "1": type and value must both be the same.
    return any(type(value) is type(other) and value == other for other in accepted)


def _set_problems(query: Query, answered: set[str], given: set[str]) -> list[MatchProblem]:
    if not query.credential_sets:
        return [
            MatchProblem(reason=MatchReason.CREDENTIAL_MISSING, query_id=entry.id)
            for entry in query.credentials
            if entry.id not in given
        ]
    return [
        MatchProblem(reason=MatchReason.CREDENTIAL_SET_NOT_MET)
        for needed in query.credential_sets
        if needed.required and not any(answered.issuperset(option) for option in needed.options)
    ]


def _answer(entry: CredentialQuery, credential: Credential) -> tuple[Path, ...] | None:
    """The paths to disclose so that this credential answers the query, None if it does not."""
    if _envelope_problems(entry, credential):
        return None
    for claims in entry.alternatives():
        if not _claim_problems(entry, claims, credential):
            return tuple(dict.fromkeys(claim.path for claim in claims))
    return None


def _wanted(query: Query, possible: set[str]) -> tuple[set[str], tuple[str, ...]]:
    if not query.credential_sets:
        missing = tuple(entry.id for entry in query.credentials if entry.id not in possible)
        return {entry.id for entry in query.credentials}, missing
    wanted: set[str] = set()
    lacking: dict[str, None] = {}
    for needed in query.credential_sets:
        option = next((option for option in needed.options if possible.issuperset(option)), None)
        if option is not None:
            wanted.update(option)
        elif needed.required:
            lacking.update(
                dict.fromkeys(query_id for query_id in needed.options[0] if query_id not in possible)
            )
    return wanted, tuple(lacking)
