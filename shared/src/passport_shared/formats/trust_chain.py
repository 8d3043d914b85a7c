"""Trust chains: from an entity's configuration through subordinate statements to the pinned anchor.

OpenID Federation 1.0 §4 and §10, bounded. The caller brings the statements, leaf first, as a trust chain file
or header holds them; nothing is fetched, so loops and floods of hints cannot be followed. The result is the
metadata after the superior's metadata, the constraints and the merged policy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from passport_shared.formats.entity_statement import (
    EntityConfiguration,
    SubordinateStatement,
    verify_entity_configuration,
    verify_subordinate_statement,
)
from passport_shared.formats.federation_jws import FederationError, FederationReason, key_set
from passport_shared.formats.metadata_policy import apply_policy, merge_policies
from passport_shared.formats.trust_file import TrustFile

# Leaf configuration, at most four statements, anchor configuration.
MAX_CHAIN_STATEMENTS = 6


@dataclass(frozen=True, kw_only=True)
class ResolvedTrustChain:
    """A verified chain; `exp` is the earliest end of all its statements."""

    entity_id: str
    trust_anchor: str
    metadata: Mapping[str, Mapping[str, Any]]
    jwks: Mapping[str, Any]
    exp: datetime
    configuration: EntityConfiguration
    statements: tuple[SubordinateStatement, ...]
    anchor: EntityConfiguration


def resolve_chain(chain: Sequence[str], trust_file: TrustFile, now: datetime) -> ResolvedTrustChain:
    """Verify a chain and resolve its subject's metadata.

    1. its length; 2. the anchor's configuration against the pinned keys; 3. downwards, each statement with
    the keys its superior is known by, each naming the next entity; 4. the subject's configuration with the
    keys its superior states, and its `authority_hints`; 5. constraints; 6. metadata, then policy.

    Args:
        chain: subject's configuration, statements upwards, the anchor's configuration.
        trust_file: the anchor that counts and its accepted keys.
        now: instant at which all times are judged.

    Raises:
        FederationError: any statement or the chain as a whole breaks a rule; nothing of it may be used.
    """
    if not 3 <= len(chain) <= MAX_CHAIN_STATEMENTS:
        raise FederationError(FederationReason.CHAIN_LENGTH, f"3 to {MAX_CHAIN_STATEMENTS} statements")
    anchor = trust_file.verify_anchor(chain[-1], now)
    statements = _verify_downwards(chain[1:-1], anchor, now)
    lowest = statements[0]
    subject = verify_entity_configuration(chain[0], now=now, expected_entity=lowest.sub)
    _check_own_key(subject, lowest)
    if lowest.iss not in subject.authority_hints:
        raise FederationError(
            FederationReason.NOT_IN_AUTHORITY_HINTS, "the entity does not name this superior"
        )
    stated = _superior_metadata(subject.metadata, lowest.metadata)
    allowed = _apply_constraints(statements, subject.entity_id, stated)
    policy = merge_policies([statement.metadata_policy for statement in reversed(statements)])
    ends = [subject.exp, anchor.exp, *(statement.exp for statement in statements)]
    return ResolvedTrustChain(
        entity_id=subject.entity_id,
        trust_anchor=anchor.entity_id,
        metadata=apply_policy(policy, allowed),
        jwks=lowest.jwks,
        exp=min(ends),
        configuration=subject,
        statements=statements,
        anchor=anchor,
    )


def _verify_downwards(
    tokens: Sequence[str], anchor: EntityConfiguration, now: datetime
) -> tuple[SubordinateStatement, ...]:
    """Verify the statements from the anchor down; returned in the chain's order, lowest first."""
    statements: list[SubordinateStatement] = []
    superior, jwks = anchor.entity_id, anchor.jwks
    seen = {superior}
    for token in reversed(tokens):
        statement = verify_subordinate_statement(token, jwks, now)
        if statement.iss != superior:
            raise FederationError(FederationReason.CHAIN_BROKEN, "a statement by another superior")
        if statement.sub in seen:
            raise FederationError(FederationReason.CHAIN_BROKEN, "an entity occurs twice in the chain")
        seen.add(statement.sub)
        superior, jwks = statement.sub, statement.jwks
        statements.append(statement)
    return tuple(reversed(statements))


def _check_own_key(subject: EntityConfiguration, lowest: SubordinateStatement) -> None:
    stated = {key.thumbprint for key in key_set(lowest.jwks).values()}
    if subject.keys[subject.kid].thumbprint not in stated:
        raise FederationError(
            FederationReason.CHAIN_BROKEN, "the configuration is not signed by a key its superior states"
        )


def _superior_metadata(
    own: Mapping[str, Mapping[str, Any]], stated: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    metadata = {entity_type: dict(parameters) for entity_type, parameters in own.items()}
    for entity_type, parameters in stated.items():
        metadata.setdefault(entity_type, {}).update(parameters)
    return metadata


def _apply_constraints(
    statements: Sequence[SubordinateStatement], subject: str, metadata: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Check every statement's constraints; entity types a superior does not allow are removed (§6.2.3)."""
    for below, statement in enumerate(statements):
        constraints = statement.constraints
        if "max_path_length" in constraints:
            _check_path_length(constraints["max_path_length"], below)
        if "naming_constraints" in constraints:
            names = [subject, *(lower.sub for lower in statements[: below + 1])]
            _check_names(constraints["naming_constraints"], names)
        if "allowed_entity_types" in constraints:
            allowed = {*_texts(constraints["allowed_entity_types"]), "federation_entity"}
            metadata = {kind: parameters for kind, parameters in metadata.items() if kind in allowed}
    return metadata


def _check_path_length(limit: object, intermediates: int) -> None:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise FederationError(FederationReason.BAD_CLAIM, "max_path_length is not a number")
    if intermediates > limit:
        raise FederationError(FederationReason.CONSTRAINT_VIOLATED, "more intermediates than allowed")


def _check_names(constraint: object, entity_ids: Sequence[str]) -> None:
    if not isinstance(constraint, Mapping):
        raise FederationError(FederationReason.BAD_CLAIM, "naming_constraints is not an object")
    permitted = _texts(constraint["permitted"]) if "permitted" in constraint else None
    excluded = _texts(constraint.get("excluded", []))
    for entity_id in entity_ids:
        host = urlsplit(entity_id).hostname or ""
        if any(_host_in(host, subtree) for subtree in excluded):
            raise FederationError(FederationReason.CONSTRAINT_VIOLATED, "an excluded host")
        if permitted is not None and not any(_host_in(host, subtree) for subtree in permitted):
            raise FederationError(FederationReason.CONSTRAINT_VIOLATED, "a host that is not permitted")


def _host_in(host: str, subtree: str) -> bool:
    """RFC 5280 §4.2.1.10 for URIs: `.example` is every host below, `example` is that host alone."""
    subtree = subtree.lower()
    return host.endswith(subtree) if subtree.startswith(".") else host == subtree


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) and entry for entry in value):
        raise FederationError(FederationReason.BAD_CLAIM, "a constraint is not an array of texts")
    return tuple(value)
