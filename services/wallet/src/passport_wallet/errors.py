"""Why the wallet will not do something: one closed family, each with words a person can act on."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """Every reason for which this wallet refuses."""

    WRONG_PASSPHRASE = "wrong_passphrase"  # noqa: S105  a reason, not a secret
    VAULT_DAMAGED = "vault_damaged"
    VAULT_IN_USE = "vault_in_use"
    VAULT_EXISTS = "vault_exists"
    NO_VAULT = "no_vault"
    NO_NETWORK = "no_network"
    BAD_TRUST_FILE = "bad_trust_file"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    REGISTRY_STALE = "registry_stale"
    SNAPSHOT_REFUSED = "snapshot_refused"
    BAD_OFFER = "bad_offer"
    UNKNOWN_ISSUER = "unknown_issuer"
    TYPE_NOT_AUTHORISED = "type_not_authorised"
    ISSUER_UNREACHABLE = "issuer_unreachable"
    ISSUER_ANSWERED = "issuer_answered"
    CREDENTIAL_REFUSED = "credential_refused"
    BAD_REQUEST = "bad_request"
    UNKNOWN_VERIFIER = "unknown_verifier"
    OVER_ASKING = "over_asking"
    NOT_HELD = "not_held"
    VERIFIER_UNREACHABLE = "verifier_unreachable"
    VERIFIER_ANSWERED = "verifier_answered"
    NO_SUCH_RECORD = "no_such_record"


class WalletError(Exception):
    """The wallet refuses; `reason` is for programs, the text for the person who holds it."""

    def __init__(self, reason: Refusal, text: str, *, code: str | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.code = code
        """The other side's own error code, where it gave one."""
