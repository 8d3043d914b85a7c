"""OpenID Federation 1.0 as this network uses it (standards.md §1.2, §1.8): one place to import it from.

The ideas live in their own modules: `federation_jws` (typ, errors, opening), `entity_statement`,
`trust_mark`, `metadata_policy` and `trust_chain`.
"""

from __future__ import annotations

from passport_shared.formats.entity_statement import (
    CLIENT_DIRECTORY_MEMBER,
    STATUS_KEYS_MEMBER,
    EntityConfiguration,
    SubordinateStatement,
    anchor_configuration,
    entity_configuration,
    issuer_metadata,
    issuer_policy,
    public_jwks,
    subordinate_statement,
    verifier_metadata,
    verify_entity_configuration,
    verify_subordinate_statement,
)
from passport_shared.formats.federation_jws import (
    ENTITY_STATEMENT_MEDIA_TYPE,
    ENTITY_STATEMENT_TYP,
    TRUST_MARK_MEDIA_TYPE,
    TRUST_MARK_STATUS_MEDIA_TYPE,
    TRUST_MARK_STATUS_TYP,
    TRUST_MARK_TYP,
    FederationError,
    FederationReason,
)
from passport_shared.formats.metadata_policy import apply_policy, merge_policies
from passport_shared.formats.trust_chain import ResolvedTrustChain, resolve_chain
from passport_shared.formats.trust_mark import (
    Authorization,
    ClaimPath,
    KeyUse,
    MarkRole,
    MarkStatusReference,
    Organisation,
    PinnedKey,
    PinState,
    StatusLists,
    TrustMark,
    mark_type,
    trust_mark,
    verify_trust_mark,
)
from passport_shared.formats.trust_mark_status import (
    TrustMarkStatus,
    trust_mark_status_response,
    verify_trust_mark_status_response,
)

__all__ = [
    "CLIENT_DIRECTORY_MEMBER",
    "ENTITY_STATEMENT_MEDIA_TYPE",
    "ENTITY_STATEMENT_TYP",
    "STATUS_KEYS_MEMBER",
    "TRUST_MARK_MEDIA_TYPE",
    "TRUST_MARK_STATUS_MEDIA_TYPE",
    "TRUST_MARK_STATUS_TYP",
    "TRUST_MARK_TYP",
    "Authorization",
    "ClaimPath",
    "EntityConfiguration",
    "FederationError",
    "FederationReason",
    "KeyUse",
    "MarkRole",
    "MarkStatusReference",
    "Organisation",
    "PinState",
    "PinnedKey",
    "ResolvedTrustChain",
    "StatusLists",
    "SubordinateStatement",
    "TrustMark",
    "TrustMarkStatus",
    "anchor_configuration",
    "apply_policy",
    "entity_configuration",
    "issuer_metadata",
    "issuer_policy",
    "mark_type",
    "merge_policies",
    "public_jwks",
    "resolve_chain",
    "subordinate_statement",
    "trust_mark",
    "trust_mark_status_response",
    "verifier_metadata",
    "verify_entity_configuration",
    "verify_subordinate_statement",
    "verify_trust_mark",
    "verify_trust_mark_status_response",
]
