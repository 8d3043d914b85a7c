"""API clients for tests: keys, directory entries, assertions and access tokens, all real.

`api_client()` makes a client; `ClientsSimulator` is a directory that knows the clients it is given;
`access_token` fetches a token from a running application.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from passport_shared.formats.clock import epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import SigningKey, sign
from passport_shared.service.client_directory import DirectoryUnavailable
from passport_shared.wire.clients import (
    ASSERTION_TYP,
    ASSERTION_TYPE,
    ApiClient,
    ClientKind,
    ClientState,
    Directory,
)
from passport_shared.wire.hr_users import HrRole, HrUser, subject_hash
from passport_testkit.clock import NOON
from passport_testkit.keys import key

ABSENT = object()
"""Value of a claim that an assertion shall not have."""


@dataclass(frozen=True, kw_only=True)
class ApiClientKit:
    """A client and its private key."""

    record: ApiClient
    key: SigningKey

    @property
    def client_id(self) -> str:
        """The client's id."""
        return self.record.client_id

    def with_record(self, **changes: Any) -> ApiClientKit:
        """The same key under a changed directory entry."""
        return replace(self, record=replace(self.record, **changes))

    def claims(self, audience: str, now: datetime, **changes: Any) -> dict[str, Any]:
        """Claims of a good assertion, with `changes`; ABSENT takes a claim away."""
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": audience,
            "iat": epoch_s(now),
            "exp": epoch_s(now + timedelta(seconds=30)),
            "jti": random_token(),
        } | changes
        return {name: value for name, value in claims.items() if value is not ABSENT}

    def assertion(
        self,
        audience: str,
        now: datetime,
        *,
        typ: str = ASSERTION_TYP,
        signed_by: SigningKey | None = None,
        kid: str | None = None,
        **changes: Any,
    ) -> str:
        """A client assertion; everything about it can be changed."""
        claims = self.claims(audience, now, **changes)
        named = {"kid": self.key.kid if kid is None else kid}
        return sign(claims, signed_by or self.key, typ=typ, kid=False, headers=named)

    def token_request(self, audience: str, now: datetime, *, scope: str | None = None) -> dict[str, str]:
        """The form of a token request."""
        form = token_form(self.assertion(audience, now))
        return form if scope is None else {**form, "scope": scope}


def token_form(assertion: str) -> dict[str, str]:
    """The form of a token request with this assertion."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }


def api_client(
    client_id: str = "rbv-hr-system",
    *,
    kind: ClientKind = ClientKind.MACHINE,
    organisation: str = "RBV",
    scopes: Collection[str] = (),
    state: ClientState = ClientState.ACTIVE,
) -> ApiClientKit:
    """A client with one live key."""
    own = key(f"api client {client_id}")
    record = ApiClient(
        client_id=client_id,
        kind=kind,
        organisation=organisation,
        scopes=frozenset(scopes),
        jwks=(own.public.as_jwk(),),
        state=state,
        name=f"Client {client_id}",
    )
    return ApiClientKit(record=record, key=own)


class ClientsSimulator:
    """A client directory in memory (`passport_shared.service.client_directory.ClientDirectory`)."""

    def __init__(self, *clients: ApiClientKit) -> None:
        self.records: dict[str, ApiClient] = {kit.client_id: kit.record for kit in clients}
        self.unavailable = False
        self.hr_users: dict[tuple[str, str], HrUser] = {}
        self.keep_hr_users: set[str] = set()

    def name_hr_user(self, ods: str, subject: str, *roles: HrRole, trained_until: date | None) -> None:
        """A trust names an HR user; from now on it keeps them in the register."""
        hashed = subject_hash(ods, subject)
        self.keep_hr_users.add(ods)
        self.hr_users[ods, hashed] = HrUser(
            organisation=ods, subject_hash=hashed, roles=frozenset(roles), trained_until=trained_until
        )

    async def directory(self) -> Directory:
        """Everything; its times and its signature are other tests' business."""
        if self.unavailable:
            raise DirectoryUnavailable("no client directory has been fetched yet")
        return Directory(
            iss="https://registry.example",
            iat=NOON,
            exp=NOON + timedelta(days=3_650),
            sequence=1,
            clients=self.records,
            hr_users=self.hr_users,
            keep_hr_users=frozenset(self.keep_hr_users),
        )

    def put(self, kit: ApiClientKit) -> None:
        """Add or replace a client."""
        self.records[kit.client_id] = kit.record

    async def client(self, client_id: str) -> ApiClient | None:
        """The client; DirectoryUnavailable if the test says so."""
        if self.unavailable:
            raise DirectoryUnavailable("no client directory has been fetched yet")
        return self.records.get(client_id)


async def access_token(
    http: httpx.AsyncClient, client: ApiClientKit, audience: str, now: datetime, *, scope: str | None = None
) -> str:
    """An access token from the service's token endpoint."""
    response = await http.post("/oauth2/token", data=client.token_request(audience, now, scope=scope))
    assert response.status_code == 200, response.text
    return str(response.json()["access_token"])


async def bearer(
    http: httpx.AsyncClient, client: ApiClientKit, audience: str, now: datetime, *, scope: str | None = None
) -> Mapping[str, str]:
    """The Authorization header of a client with a fresh access token."""
    return {"Authorization": f"Bearer {await access_token(http, client, audience, now, scope=scope)}"}
