"""The answers of the trust mark status endpoint (OpenID Federation 1.0 §8.4), with `suspended` as one more.

For clients that ask about one mark online. Our own services read the same standing from the registry's status
list inside the snapshot (`snapshot.Snapshot.mark_status`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from passport_shared.formats import jose
from passport_shared.formats.federation_jws import (
    TRUST_MARK_STATUS_TYP,
    FederationError,
    FederationReason,
    epoch,
    open_object,
)
from passport_shared.formats.jose import SigningKey


class TrustMarkStatus(StrEnum):
    """Answers of the trust mark status endpoint; `suspended` is ours, which the specification allows."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    INVALID = "invalid"
    SUSPENDED = "suspended"


def trust_mark_status_response(
    *,
    iss: str,
    trust_mark: str,
    status: TrustMarkStatus | str,
    iat: datetime,
    key: SigningKey,
    exp: datetime | None = None,
) -> str:
    """Sign the answer of the trust mark status endpoint about one mark."""
    claims: dict[str, Any] = {"iss": iss, "iat": epoch(iat)}
    if exp is not None:
        claims["exp"] = epoch(exp)
    claims["trust_mark"] = trust_mark
    claims["status"] = TrustMarkStatus(status).value
    return jose.sign(claims, key, typ=TRUST_MARK_STATUS_TYP)


def verify_trust_mark_status_response(
    token: str, issuer_jwks: Mapping[str, Any], now: datetime, *, iss: str, trust_mark: str
) -> TrustMarkStatus:
    """Verify an answer of the status endpoint and return the status it states for exactly this mark.

    Raises:
        FederationError: also `WRONG_MARK` for an answer about another mark and `STATUS_UNKNOWN` for a value
            that this network does not define, because an unknown standing is no good standing.
    """
    opened = open_object(
        token, issuer_jwks, typ=TRUST_MARK_STATUS_TYP, now=now, require_sub=False, require_exp=False
    )
    if opened.iss != iss:
        raise FederationError(FederationReason.WRONG_ISSUER, "answered by another entity")
    if "trust_mark" not in opened.claims or "status" not in opened.claims:
        raise FederationError(FederationReason.MISSING_CLAIM, "trust_mark and status are required")
    if opened.claims["trust_mark"] != trust_mark:
        raise FederationError(FederationReason.WRONG_MARK, "the answer is about another mark")
    try:
        return TrustMarkStatus(opened.claims["status"])
    except ValueError as fault:
        raise FederationError(FederationReason.STATUS_UNKNOWN, "not a status of this network") from fault
