"""Why a presented credential is refused: one reason per rule, and the check of the verdict it belongs to.

The reasons of the SD-JWT structure keep their names from ``SdJwtReason``, so that one word means one thing in
tests, events and answers.
"""

from __future__ import annotations

from enum import StrEnum

from passport_shared.formats.sd_jwt_structure import SdJwtError
from passport_shared.formats.verdict import Check


class RejectReason(StrEnum):
    """Everything that can be wrong with one credential, apart from authority, status and query."""

    # structure (RFC 9901), same values as SdJwtReason
    TOO_LARGE = "too_large"
    NOT_ASCII = "not_ascii"
    NOT_SD_JWT = "not_sd_jwt"
    EMPTY_PART = "empty_part"
    TOO_MANY_DISCLOSURES = "too_many_disclosures"
    TOO_DEEP = "too_deep"
    ISSUER_JWT_MALFORMED = "issuer_jwt_malformed"
    CRITICAL_HEADER = "critical_header"
    SD_ALG_NOT_ALLOWED = "sd_alg_not_allowed"
    SD_ALG_NESTED = "sd_alg_nested"
    DISCLOSURE_NOT_BASE64URL = "disclosure_not_base64url"
    DISCLOSURE_NOT_JSON = "disclosure_not_json"
    DISCLOSURE_NOT_ARRAY = "disclosure_not_array"
    DISCLOSURE_WRONG_LENGTH = "disclosure_wrong_length"
    DISCLOSURE_SALT_NOT_STRING = "disclosure_salt_not_string"
    CLAIM_NAME_NOT_STRING = "claim_name_not_string"
    CLAIM_NAME_RESERVED = "claim_name_reserved"
    CLAIM_NAME_COLLISION = "claim_name_collision"
    PROPERTY_DISCLOSURE_EXPECTED = "property_disclosure_expected"
    ELEMENT_DISCLOSURE_EXPECTED = "element_disclosure_expected"
    SD_NOT_ARRAY_OF_STRINGS = "sd_not_array_of_strings"
    PLACEHOLDER_MALFORMED = "placeholder_malformed"
    PLACEHOLDER_OUTSIDE_ARRAY = "placeholder_outside_array"
    DIGEST_REPEATED = "digest_repeated"
    DISCLOSURE_REPEATED = "disclosure_repeated"
    DISCLOSURE_UNREFERENCED = "disclosure_unreferenced"
    # the issuer-signed JWT
    ALG_NOT_ALLOWED = "alg_not_allowed"
    WRONG_TYP = "wrong_typ"
    CHAIN_MISSING = "chain_missing"
    CHAIN_UNTRUSTED = "chain_untrusted"
    BAD_ISSUER_SIGNATURE = "bad_issuer_signature"
    # claims of an SD-JWT VC
    REGISTERED_CLAIM_DISCLOSED = "registered_claim_disclosed"
    VCT_MISSING = "vct_missing"
    VCT_MALFORMED = "vct_malformed"
    VCT_NOT_EXPECTED = "vct_not_expected"
    VCT_INTEGRITY_MALFORMED = "vct_integrity_malformed"
    AKA_VCTS_MALFORMED = "aka_vcts_malformed"
    ISS_MISSING = "iss_missing"
    ISS_NOT_SIGNER = "iss_not_signer"
    IAT_MISSING = "iat_missing"
    IAT_MALFORMED = "iat_malformed"
    ISSUED_IN_FUTURE = "issued_in_future"
    EXP_MISSING = "exp_missing"
    EXP_MALFORMED = "exp_malformed"
    EXPIRED = "expired"
    NBF_MALFORMED = "nbf_malformed"
    NOT_YET_VALID = "not_yet_valid"
    STATUS_MISSING = "status_missing"
    STATUS_MALFORMED = "status_malformed"
    CNF_MISSING = "cnf_missing"
    CNF_MALFORMED = "cnf_malformed"
    # key binding
    KEY_BINDING_MISSING = "key_binding_missing"
    KEY_BINDING_UNEXPECTED = "key_binding_unexpected"
    KEY_BINDING_MALFORMED = "key_binding_malformed"
    KEY_BINDING_ALG_NOT_ALLOWED = "key_binding_alg_not_allowed"
    KEY_BINDING_WRONG_TYP = "key_binding_wrong_typ"
    KEY_BINDING_BAD_SIGNATURE = "key_binding_bad_signature"
    KEY_BINDING_SD_HASH_MISSING = "key_binding_sd_hash_missing"
    KEY_BINDING_WRONG_SD_HASH = "key_binding_wrong_sd_hash"
    KEY_BINDING_NONCE_MISSING = "key_binding_nonce_missing"
    KEY_BINDING_WRONG_NONCE = "key_binding_wrong_nonce"
    KEY_BINDING_AUD_NOT_STRING = "key_binding_aud_not_string"
    KEY_BINDING_WRONG_AUD = "key_binding_wrong_aud"
    KEY_BINDING_IAT_MISSING = "key_binding_iat_missing"
    KEY_BINDING_IAT_MALFORMED = "key_binding_iat_malformed"
    KEY_BINDING_TOO_OLD = "key_binding_too_old"
    KEY_BINDING_IN_FUTURE = "key_binding_in_future"
    KEY_BINDING_TIMES_MALFORMED = "key_binding_times_malformed"
    KEY_BINDING_EXPIRED = "key_binding_expired"
    KEY_BINDING_NOT_YET_VALID = "key_binding_not_yet_valid"


class CredentialRejected(ValueError):
    """A credential is refused. ``check`` names the field of the verdict, ``detail`` holds no claim values."""

    def __init__(self, reason: RejectReason, check: Check, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.check = check
        self.detail = detail

    @classmethod
    def structure(cls, error: SdJwtError) -> CredentialRejected:
        """A broken rule of RFC 9901 as a refusal."""
        return cls(RejectReason(error.reason.value), Check.STRUCTURE, error.detail)
