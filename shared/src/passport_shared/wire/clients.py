"""The client directory: which API clients exist, signed by the registry (design §6 "API clients").

Typ `staff-passport-client-directory+jwt`. The registry builds it with `build_directory`; issuer and
verifier read it with `read_directory` against the key published in the trust anchor's entity
configuration. Anti-rollback (sequence never lower than the last one kept) is the keeper's duty, see
`passport_shared.service.client_directory`. Also here: the private_key_jwt assertion a client makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from passport_shared.formats.jose import SigningKey

DIRECTORY_TYP = "staff-passport-client-directory+jwt"
DIRECTORY_MEDIA_TYPE = "application/staff-passport-client-directory+jwt"
DIRECTORY_LIFETIME = timedelta(hours=72)
DIRECTORY_METADATA = "staff_passport_client_directory"
"""Name of the member of the trust anchor's `metadata.federation_entity`: {"uri", "jwks"}."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_TYP = "client-authentication+jwt"
EVERY_ORGANISATION = "*"


class ClientKind(StrEnum):
    """PERSISTED. Whether a machine or a person acts through the client."""

    MACHINE = "MACHINE"
    PERSON = "PERSON"


class ClientState(StrEnum):
    """PERSISTED. Only an ACTIVE client gets tokens."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, kw_only=True)
class ApiClient:
    """One API client: `organisation` is an ODS code or "*"; at most two live keys in `jwks`."""

    client_id: str
    kind: ClientKind
    organisation: str
    scopes: frozenset[str]
    jwks: tuple[Mapping[str, Any], ...]
    state: ClientState = ClientState.ACTIVE
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A verified client directory."""

    iss: str
    iat: datetime
    exp: datetime
    sequence: int
    clients: Mapping[str, ApiClient]


class DirectoryError(ValueError):
    """The directory is not acceptable; `reason` names the rule."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


def build_directory(
    clients: Sequence[ApiClient], *, iss: str, sequence: int, iat: datetime, key: SigningKey
) -> str:
    """Signed directory of all clients, valid for 72 hours."""
    raise NotImplementedError


def read_directory(
    token: str | bytes, jwks: Sequence[Mapping[str, Any]], *, iss: str, now: datetime
) -> Directory:
    """Verify signature, typ, issuer and times of a directory; parse its clients."""
    raise NotImplementedError


def client_assertion(
    client_id: str,
    key: SigningKey,
    *,
    audience: str,
    now: datetime,
    lifetime: timedelta = timedelta(seconds=30),
    kid: str | None = None,
) -> str:
    """private_key_jwt assertion: iss = sub = client_id, aud one string, fresh jti."""
    raise NotImplementedError
