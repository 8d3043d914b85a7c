"""Digital Credentials Query Language (OpenID4VP 1.0 §6): one place to import it from.

Queries are in `dcql_query`, matching and choosing in `dcql_match`.
"""

from __future__ import annotations

from passport_shared.formats.dcql_match import (
    AKI,
    OPENID_FEDERATION,
    Candidate,
    Credential,
    MatchProblem,
    MatchReason,
    MatchResult,
    Selection,
    authority_key_ids,
    match,
    select,
    surplus_paths,
    values_at,
)
from passport_shared.formats.dcql_query import (
    SD_JWT_VC_FORMAT,
    ClaimQuery,
    CredentialQuery,
    CredentialSetQuery,
    DcqlError,
    DcqlReason,
    Path,
    Query,
    TrustedAuthority,
    Value,
    parse_query,
)

__all__ = [
    "AKI",
    "OPENID_FEDERATION",
    "SD_JWT_VC_FORMAT",
    "Candidate",
    "ClaimQuery",
    "Credential",
    "CredentialQuery",
    "CredentialSetQuery",
    "DcqlError",
    "DcqlReason",
    "MatchProblem",
    "MatchReason",
    "MatchResult",
    "Path",
    "Query",
    "Selection",
    "TrustedAuthority",
    "Value",
    "authority_key_ids",
    "match",
    "parse_query",
    "select",
    "surplus_paths",
    "values_at",
]
