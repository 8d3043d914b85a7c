"""The life of a passport, an offer and a credential: states, reason codes and what each allows.

The vocabulary is the domain model's. Reason codes are for holder and issuer only: a status list says active,
on hold or no longer valid, never why, and all credentials of one passport go on hold together.
"""

from __future__ import annotations

from enum import StrEnum

from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID


class PassportState(StrEnum):
    """PERSISTED. A person's passport at one employing trust."""

    INVITED = "INVITED"
    IDENTITY_PENDING = "IDENTITY_PENDING"
    ACTIVE = "ACTIVE"
    ON_HOLD = "ON_HOLD"
    CLOSED = "CLOSED"


class OfferState(StrEnum):
    """PERSISTED. An offer of credentials."""

    DRAFT = "DRAFT"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    REJECTED_BY_HOLDER = "REJECTED_BY_HOLDER"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"


class CredentialState(StrEnum):
    """PERSISTED. A credential, from the reservation of its status index to its end.

    ON_HOLD and EXPIRED are never stored: the first follows from the passport, the second from the date.
    """

    PREPARED = "PREPARED"
    ISSUED = "ISSUED"
    ACTIVE = "ACTIVE"
    ON_HOLD = "ON_HOLD"
    REVOKED = "REVOKED"
    SUPERSEDED = "SUPERSEDED"
    EXPIRED = "EXPIRED"
    ABANDONED = "ABANDONED"


class ReasonCode(StrEnum):
    """PERSISTED. Why a credential was revoked or a passport put on hold."""

    ISSUED_IN_ERROR = "ISSUED_IN_ERROR"
    DATA_CHANGED = "DATA_CHANGED"
    EMPLOYMENT_ENDED = "EMPLOYMENT_ENDED"
    EMPLOYMENT_ON_HOLD = "EMPLOYMENT_ON_HOLD"
    REGISTRATION_CHANGED = "REGISTRATION_CHANGED"
    RTW_EXPIRED = "RTW_EXPIRED"
    DBS_CHANGED = "DBS_CHANGED"
    OH_WITHDRAWN = "OH_WITHDRAWN"
    HOLDER_KEY_LOST = "HOLDER_KEY_LOST"
    IDENTITY_FRAUD = "IDENTITY_FRAUD"
    TRUST_KEY_COMPROMISED = "TRUST_KEY_COMPROMISED"
    PLACEMENT_ENDED = "PLACEMENT_ENDED"
    HOLDER_REQUEST = "HOLDER_REQUEST"


class RejectionReason(StrEnum):
    """PERSISTED. Why a holder sent an offer back."""

    WRONG_DETAIL = "WRONG_DETAIL"
    NOT_MINE = "NOT_MINE"
    DO_NOT_WISH = "DO_NOT_WISH"


LIVE = (CredentialState.ISSUED, CredentialState.ACTIVE)
"""States in which a credential is in a wallet and counts."""

ENDED = (CredentialState.REVOKED, CredentialState.SUPERSEDED, CredentialState.ABANDONED)
"""Final states: the status list says INVALID for ever."""


def status_value(credential: CredentialState, passport: PassportState) -> int:
    """What the status list says about a credential (Token Status List §7.1)."""
    if credential in ENDED or passport is PassportState.CLOSED:
        return INVALID
    return SUSPENDED if passport is PassportState.ON_HOLD else VALID


def shown_state(credential: CredentialState, passport: PassportState, *, expired: bool) -> CredentialState:
    """The state people are shown: what is stored, on hold with its passport, or expired."""
    if credential not in LIVE:
        return credential
    if expired:
        return CredentialState.EXPIRED
    return CredentialState.ON_HOLD if passport is PassportState.ON_HOLD else credential
