"""Enrolment of an entity: what a service posts to the registry and what it gets back (design §4.1).

`POST {registry}/api/v1/enrolments`, without a bearer token: the one-time code is the permission, the entity
configuration served at the Entity Identifier proves the host, and each signing request proves its key. The
configuration that is posted also names the keys to be certified, so that the holder of the federation key
vouches for them: the one that is served is public, and anybody could post it beside keys of their own. A
repeat with the same code and keys gets the same answer; the same code with other keys is refused with 409.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

ENROLMENT_PATH = "/api/v1/enrolments"
RENEWAL_PATH = "/api/v1/enrolments/renewals"
ENROLMENT_CLAIM = "staff_passport_enrolment"
"""Claim of the posted configuration: ``{"keys": {use: RFC 7638 thumbprint}}``, as in the signing requests."""

PUBLISHED_BEFORE_USE = timedelta(hours=25)
"""How long an entity signs with its old keys after new ones were certified.

A host may decide on a snapshot of up to a day; by then the newest key stands in every snapshot it decides on.
"""
OLD_KEYS_SIGN_FOR = timedelta(hours=72)
"""How long the registry lets the old keys sign beside the new ones: longer than they are used, with room."""

MAX_CONFIGURATION_CHARS = 65_536
MAX_REQUEST_CHARS = 8_192


class EntityRole(StrEnum):
    """PERSISTED. What an entity does."""

    ISSUER = "ISSUER"
    VERIFIER = "VERIFIER"


CERTIFICATE_USES: Mapping[EntityRole, frozenset[str]] = {
    EntityRole.ISSUER: frozenset({"credential", "status"}),
    EntityRole.VERIFIER: frozenset({"request"}),
}
"""The keys a role enrols: one signing request and one leaf per use."""


class EnrolmentRequest(BaseModel):
    """What the entity's service posts."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    code: str = Field(min_length=8, max_length=128, description="The one-time code of the registry operator.")
    entity_id: str = Field(
        min_length=12,
        max_length=255,
        description="The Entity Identifier the code was made for.",
        examples=["https://issuer.example/RBV"],
    )
    entity_configuration: str = Field(
        min_length=16,
        max_length=MAX_CONFIGURATION_CHARS,
        description="The entity's configuration with the keys it serves at its Entity Identifier, a compact "
        f"JWS; its claim `{ENROLMENT_CLAIM}` is an object whose `keys` hold the RFC 7638 thumbprint of each "
        "signing request's key by use.",
    )
    certificate_requests: dict[str, str] = Field(
        min_length=1,
        max_length=4,
        description="PEM PKCS #10 signing request by use: `credential` and `status`, or `request`.",
    )


class RenewalRequest(BaseModel):
    """What an enrolled entity's service posts for new keys; its federation key is the permission."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    entity_id: str = Field(
        min_length=12,
        max_length=255,
        description="The Entity Identifier of an entity that is enrolled.",
        examples=["https://issuer.example/RBV"],
    )
    entity_configuration: str = Field(
        min_length=16,
        max_length=MAX_CONFIGURATION_CHARS,
        description="As at the enrolment, signed by a federation key the registry knows of this entity. It "
        "may name the next federation key too, if the configuration served at the identifier does.",
    )
    certificate_requests: dict[str, str] = Field(
        min_length=1, max_length=4, description="As at the enrolment: one new key for each use of the role."
    )


class EnrolledCertificate(BaseModel):
    """One leaf with the authority that signed it: the two members of an `x5c` header."""

    model_config = ConfigDict(frozen=True)

    certificate: str = Field(description="PEM leaf.")
    issuing_ca: str = Field(description="PEM issuing authority.")
    not_before: datetime
    not_after: datetime
    not_after_signing: datetime = Field(description="The key must sign nothing after this instant.")
    x5t_s256: str = Field(description="base64url of the leaf's SHA-256, as it is pinned in the trust mark.")


class EnrolmentAnswer(BaseModel):
    """What the registry answers with 201."""

    model_config = ConfigDict(frozen=True)

    entity_id: str
    role: EntityRole
    ods_code: str
    organisation_name: str
    certificates: dict[str, EnrolledCertificate] = Field(description="By use, as requested.")
