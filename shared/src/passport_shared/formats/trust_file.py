"""The trust file: the only trust that is configured (design §4.3).

`passport-registry trust-file` prints it, an operator carries it to every service and wallet. It pins the
anchor's federation keys and the root certificates. A key that is not in it is accepted only when an entity
configuration of the anchor, signed by an accepted key, lists it (`TrustFile.rolled`). Nothing is fetched.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from passport_shared.formats import strict
from passport_shared.formats.entity_statement import EntityConfiguration, verify_entity_configuration
from passport_shared.formats.federation_jws import FederationError, FederationReason, as_identifier, key_set
from passport_shared.formats.strict import StrictError

MAX_TRUST_FILE_BYTES = 65_536
MAX_ROOTS = 8


class TrustFileReason(StrEnum):
    """Why a trust file is refused."""

    MALFORMED = "malformed"
    MISSING_MEMBER = "missing_member"
    BAD_ENTITY_ID = "bad_entity_id"
    BAD_JWKS = "bad_jwks"
    BAD_ROOTS = "bad_roots"
    BAD_URI = "bad_uri"


class TrustFileError(ValueError):
    """A trust file that cannot be used; the message is for the operator who installs it."""

    def __init__(self, reason: TrustFileReason, detail: str) -> None:
        super().__init__(f"trust file: {detail}")
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class TrustFile:
    """Anchor, its federation keys, its root certificates (base64 of DER) and where its snapshot is."""

    entity_id: str
    jwks: Mapping[str, Any]
    x509_roots: tuple[str, ...]
    snapshot_uri: str
    vct_base: str

    @classmethod
    def parse(cls, data: bytes | str) -> TrustFile:
        """Read a trust file strictly.

        Raises:
            TrustFileError: by name, for every member that is missing or wrong.
        """
        try:
            document = strict.loads_object(data, max_bytes=MAX_TRUST_FILE_BYTES)
        except StrictError as fault:
            raise TrustFileError(TrustFileReason.MALFORMED, f"not a JSON object ({fault.code})") from fault
        for name in ("entity_id", "jwks", "x509_roots", "snapshot_uri", "vct_base"):
            if name not in document:
                raise TrustFileError(TrustFileReason.MISSING_MEMBER, f"{name} is missing")
        entity_id = _https(document["entity_id"], "entity_id", TrustFileReason.BAD_ENTITY_ID)
        try:
            key_set(document["jwks"])
        except FederationError as fault:
            raise TrustFileError(TrustFileReason.BAD_JWKS, f"jwks: {fault.detail}") from fault
        jwks = document["jwks"]
        assert isinstance(jwks, Mapping)  # noqa: S101  key_set accepts nothing else
        return cls(
            entity_id=entity_id,
            jwks=jwks,
            x509_roots=_roots(document["x509_roots"]),
            snapshot_uri=_https(document["snapshot_uri"], "snapshot_uri", TrustFileReason.BAD_URI),
            vct_base=_https(document["vct_base"], "vct_base", TrustFileReason.BAD_URI),
        )

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The root certificates as DER."""
        return tuple(base64.b64decode(root) for root in self.x509_roots)

    def as_bytes(self) -> bytes:
        """The file's content, as `parse` reads it."""
        return strict.dumps(
            {
                "entity_id": self.entity_id,
                "jwks": dict(self.jwks),
                "x509_roots": list(self.x509_roots),
                "snapshot_uri": self.snapshot_uri,
                "vct_base": self.vct_base,
            }
        )

    def verify_anchor(self, entity_configuration: str, now: datetime) -> EntityConfiguration:
        """Verify an entity configuration of the anchor against the accepted keys, not against its own.

        Raises:
            FederationError: also `ANCHOR_NOT_TRUSTED` when it was signed by a key that is not accepted.
        """
        anchor = verify_entity_configuration(entity_configuration, now=now, expected_entity=self.entity_id)
        accepted = {key.thumbprint for key in key_set(self.jwks).values()}
        if anchor.keys[anchor.kid].thumbprint not in accepted:
            raise FederationError(FederationReason.ANCHOR_NOT_TRUSTED, "not signed by an accepted anchor key")
        return anchor

    def rolled(self, entity_configuration: str, now: datetime) -> TrustFile:
        """The trust after the anchor rolled its keys: exactly the keys this configuration lists.

        A key the anchor no longer lists is dropped, so that what it signs is refused from then on.

        Raises:
            FederationError: the configuration is not signed by an accepted key.
        """
        return replace(self, jwks=self.verify_anchor(entity_configuration, now).jwks)


def _https(value: object, name: str, reason: TrustFileReason) -> str:
    try:
        return as_identifier(value, name)
    except FederationError as fault:
        raise TrustFileError(reason, f"{name} is not an https URL without query or trailing slash") from fault


def _roots(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ROOTS:
        raise TrustFileError(TrustFileReason.BAD_ROOTS, f"x509_roots holds 1 to {MAX_ROOTS} certificates")
    for root in value:
        try:
            decoded = base64.b64decode(root, validate=True) if isinstance(root, str) else b""
        except ValueError:  # binascii.Error, or text that is not ASCII
            decoded = b""
        if not decoded:
            raise TrustFileError(TrustFileReason.BAD_ROOTS, "a root is not standard base64 of DER")
    return tuple(str(root) for root in value)
