"""The client directory: which API clients exist, signed by the registry (design §6 "API clients").

The registry builds it with `build_directory`; issuer and verifier read it with `read_directory` against the
key published in the trust anchor's entity configuration. A directory that holds one entry we do not
understand is refused whole: half a directory would lock honest clients out or let suspended ones in.
Anti-rollback is the keeper's duty, see `passport_shared.service.client_directory`. Also here: the
private_key_jwt assertion a client makes (RFC 7523).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from passport_shared.formats.clock import epoch_s, from_epoch_s
from passport_shared.formats.freshness import CLIENT_DIRECTORY_LIFETIME
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import JoseError, PublicKey, SigningKey, check_times, sign, verify_with_jwks
from passport_shared.formats.strict import StrictError, numeric_date
from passport_shared.wire.hr_users import MAX_HR_USERS, HrUser, as_claims, check_hr_user

DIRECTORY_TYP = "staff-passport-client-directory+jwt"
DIRECTORY_MEDIA_TYPE = "application/staff-passport-client-directory+jwt"
DIRECTORY_LIFETIME = CLIENT_DIRECTORY_LIFETIME
DIRECTORY_METADATA = "staff_passport_client_directory"
"""Name of the member of the trust anchor's `metadata.federation_entity`: {"uri", "jwks"}."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_TYP = "client-authentication+jwt"
EVERY_ORGANISATION = "*"
MAX_DIRECTORY_BYTES = 16 * 1_024 * 1_024
MAX_CLIENTS = 50_000
MAX_LIVE_KEYS = 2
MAX_SCOPES = 256

CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}\Z")
_ORGANISATION = re.compile(r"[A-Z0-9]{3,10}\Z")
_SCOPE = re.compile(r"[a-z][a-z0-9-]*:(?:read|write|approve)\Z")


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
    """One API client: `organisation` is an ODS code or "*"; at most two live keys, each with its `kid`."""

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
    hr_users: Mapping[tuple[str, str], HrUser] = field(default_factory=dict)
    keep_hr_users: frozenset[str] = frozenset()
    """The trusts that keep their HR users in the register; only for them does a missing name mean no."""


class DirectoryReason(StrEnum):
    """Why a client directory was refused."""

    TOKEN = "token"  # noqa: S105 - signature, typ or structure
    TIMES = "times"
    ISSUER = "issuer"
    SEQUENCE = "sequence"
    LIFETIME = "lifetime"
    CLIENT = "client"
    HR_USER = "hr_user"
    DUPLICATE = "duplicate"


class DirectoryError(ValueError):
    """The directory is not acceptable; `reason` names the rule."""

    def __init__(self, reason: DirectoryReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason


def build_directory(
    clients: Sequence[ApiClient],
    *,
    iss: str,
    sequence: int,
    iat: datetime,
    key: SigningKey,
    hr_users: Sequence[HrUser] = (),
    keep_hr_users: Collection[str] = (),
) -> str:
    """Signed directory of all clients, suspended ones included, and HR users; valid for 72 hours."""
    claims = {
        "iss": iss,
        "iat": epoch_s(iat),
        "exp": epoch_s(iat + DIRECTORY_LIFETIME),
        "sequence": sequence,
        "clients": [_claims(client) for client in clients],
        "hr_users": [as_claims(user) for user in hr_users],
        "keep_hr_users": sorted(keep_hr_users),
    }
    return sign(claims, key, typ=DIRECTORY_TYP)


def _claims(client: ApiClient) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "kind": client.kind.value,
        "organisation": client.organisation,
        "scopes": sorted(client.scopes),
        "jwks": {"keys": [dict(jwk) for jwk in client.jwks]},
        "state": client.state.value,
        "name": client.name,
    }


def read_directory(
    token: str | bytes, jwks: Sequence[Mapping[str, Any]], *, iss: str, now: datetime
) -> Directory:
    """Verify signature, typ, issuer and times of a directory; parse its clients.

    Raises:
        DirectoryError: every reason.
    """
    try:
        claims = verify_with_jwks(token, jwks, typ=DIRECTORY_TYP, max_bytes=MAX_DIRECTORY_BYTES).claims
    except JoseError as error:
        raise DirectoryError(DirectoryReason.TOKEN, error.reason.value) from error
    try:
        check_times(claims, now=now)
        iat, exp = (from_epoch_s(numeric_date(claims[name])) for name in ("iat", "exp"))
    except (JoseError, ValueError) as error:
        raise DirectoryError(DirectoryReason.TIMES, str(error)) from error
    if claims.get("iss") != iss:
        raise DirectoryError(DirectoryReason.ISSUER, "another issuer than the trust anchor")
    if not timedelta(0) < exp - iat <= DIRECTORY_LIFETIME:
        raise DirectoryError(DirectoryReason.LIFETIME, "a directory lives at most 72 hours")
    try:
        sequence = numeric_date(claims.get("sequence"))
    except StrictError as error:
        raise DirectoryError(DirectoryReason.SEQUENCE, "not a whole number") from error
    return Directory(
        iss=iss,
        iat=iat,
        exp=exp,
        sequence=sequence,
        clients=_clients(claims.get("clients")),
        hr_users=_hr_users(claims.get("hr_users", [])),
        keep_hr_users=_keep_hr_users(claims.get("keep_hr_users", [])),
    )


def _hr_users(entries: object) -> dict[tuple[str, str], HrUser]:
    if not isinstance(entries, list) or len(entries) > MAX_HR_USERS:
        raise DirectoryError(DirectoryReason.HR_USER, "hr_users is not a list of reasonable length")
    users: dict[tuple[str, str], HrUser] = {}
    for entry in entries:
        try:
            user = check_hr_user(entry)
        except ValueError as error:
            raise DirectoryError(DirectoryReason.HR_USER, str(error)) from error
        key = (user.organisation, user.subject_hash)
        if key in users:
            raise DirectoryError(DirectoryReason.DUPLICATE, "an HR user stands twice in one trust")
        users[key] = user
    return users


def _keep_hr_users(entries: object) -> frozenset[str]:
    if not isinstance(entries, list) or len(entries) > MAX_CLIENTS:
        raise DirectoryError(DirectoryReason.HR_USER, "keep_hr_users is not a list of reasonable length")
    if not all(isinstance(entry, str) and _ORGANISATION.match(entry) for entry in entries):
        raise DirectoryError(DirectoryReason.HR_USER, "keep_hr_users names no ODS code")
    return frozenset(entries)


def _clients(entries: object) -> dict[str, ApiClient]:
    if not isinstance(entries, list) or len(entries) > MAX_CLIENTS:
        raise DirectoryError(DirectoryReason.CLIENT, "clients is not a list of reasonable length")
    clients: dict[str, ApiClient] = {}
    for entry in entries:
        client = _client(entry)
        if client.client_id in clients:
            raise DirectoryError(DirectoryReason.DUPLICATE, "two clients share an id")
        clients[client.client_id] = client
    return clients


def _client(entry: object) -> ApiClient:
    if not isinstance(entry, dict):
        raise DirectoryError(DirectoryReason.CLIENT, "a client is not an object")
    jwks = entry.get("jwks")
    client = check_client(
        client_id=entry.get("client_id"),
        kind=entry.get("kind"),
        organisation=entry.get("organisation"),
        scopes=entry.get("scopes"),
        keys=jwks.get("keys") if isinstance(jwks, dict) else None,
        state=entry.get("state"),
        name=entry.get("name", ""),
    )
    return client


def check_client(
    *,
    client_id: object,
    kind: object,
    organisation: object,
    scopes: object,
    keys: object,
    state: object,
    name: object,
) -> ApiClient:
    """An API client of checked parts; DirectoryError `client` if one of them is not what it must be."""
    if not isinstance(client_id, str) or not CLIENT_ID.match(client_id):
        raise DirectoryError(DirectoryReason.CLIENT, "client_id")
    if not isinstance(organisation, str) or not (
        organisation == EVERY_ORGANISATION or _ORGANISATION.match(organisation)
    ):
        raise DirectoryError(DirectoryReason.CLIENT, f"organisation of {client_id}")
    if (
        not isinstance(scopes, list)
        or len(scopes) > MAX_SCOPES
        or not all(_is_scope(scope) for scope in scopes)
    ):
        raise DirectoryError(DirectoryReason.CLIENT, f"scopes of {client_id}")
    if not isinstance(name, str) or len(name) > 200:
        raise DirectoryError(DirectoryReason.CLIENT, f"name of {client_id}")
    try:
        return ApiClient(
            client_id=client_id,
            kind=ClientKind(str(kind)),
            organisation=organisation,
            scopes=frozenset(scopes),
            jwks=check_keys(keys),
            state=ClientState(str(state)),
            name=name,
        )
    except (ValueError, TypeError) as error:
        raise DirectoryError(DirectoryReason.CLIENT, f"kind, state or keys of {client_id}") from error


def _is_scope(scope: object) -> bool:
    return isinstance(scope, str) and _SCOPE.match(scope) is not None


def check_keys(keys: object) -> tuple[Mapping[str, Any], ...]:
    """A client's live keys: at most two public P-256 keys with different ids; ValueError otherwise."""
    if not isinstance(keys, list) or len(keys) > MAX_LIVE_KEYS:
        raise ValueError("a client has at most two live keys")
    kids = set()
    for jwk in keys:
        PublicKey.from_jwk(jwk)
        kid = jwk.get("kid")
        if not isinstance(kid, str) or not 0 < len(kid) <= 128 or kid in kids:
            raise ValueError("every key has its own kid")
        kids.add(kid)
    return tuple(keys)


def client_assertion(
    client_id: str,
    key: SigningKey,
    *,
    audience: str,
    now: datetime,
    lifetime: timedelta = timedelta(seconds=30),
    kid: str | None = None,
) -> str:
    """The private_key_jwt assertion of a client: iss = sub = client id, one `audience`, a fresh jti.

    `audience` is the base URL of the service whose token is wanted, known from settings or signed metadata
    and never from an answer of that service.
    """
    issued_at = epoch_s(now)
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": issued_at,
        "exp": issued_at + int(lifetime.total_seconds()),
        "jti": random_token(),
    }
    if kid is None:
        return sign(claims, key, typ=ASSERTION_TYP)
    return sign(claims, key, typ=ASSERTION_TYP, kid=False, headers={"kid": kid})
