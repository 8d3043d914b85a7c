"""A host that asks an employing trust for a release, and what such a request says.

`HostSimulator` is the verifier of another trust: enrolled in the test's network, it signs requests for real,
posts them and reads the answers as a host would. People and moves are invented.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import httpx

from passport_shared.formats import federation, jose
from passport_shared.formats.jose import SigningKey
from passport_shared.wire.release import (
    RELEASE_REQUEST_MEDIA_TYPE,
    RELEASE_REQUEST_TYP,
    ExpectedRelease,
    MovementAsked,
    Release,
    ReleaseRequest,
    as_claims,
    new_jti,
    read_release,
    release_request,
    text_sha256,
)
from passport_testkit.clock import FrozenClock

HOST = "https://verifier.example/R0A"
EMPLOYER = "https://issuer.example/RBV"
DUTIES = "Operating list under the host's consultant on call"


def movement(first: date, **changes: Any) -> MovementAsked:
    """A move of three days from ``first``, as a host describes it."""
    values: dict[str, Any] = {
        "id": "0192f7a0-move",
        "version": 1,
        "type": "SERVICE_NEED_URGENT",
        "role_profile": "UROLOGY_SURGEON",
        "host_ods": "R0A",
        "employing_ods": "RBV",
        "start": first,
        "end": first + timedelta(days=2),
        "host_name": "Manchester University NHS Foundation Trust",
        "sites": ["Wythenshawe"],
        "department": "Urology theatres",
        "duties": DUTIES,
        "supervisor": "Consultant on call",
        "sessions": ["Monday list"],
        "use_case": "SERVICE_NEED",
        "workforce_group": "Clinicians",
        "cover_reason": "DEMAND",
        "out_of_hours_contact": "0161 000 0000",
        **changes,
    }
    return MovementAsked(**values)


def request_claims(now: datetime, subject: Any, **changes: Any) -> ReleaseRequest:
    """A request for a move that begins in a week; ``movement`` may be given whole."""
    values: dict[str, Any] = {
        "iss": HOST,
        "aud": EMPLOYER,
        "iat": now.replace(microsecond=0),
        "exp": now.replace(microsecond=0) + timedelta(days=5),
        "jti": new_jti(),
        "movement": movement((now + timedelta(days=7)).date()),
        "subject": subject,
        "urgent": False,
        **changes,
    }
    return ReleaseRequest(**values)


def spoiled(claims: ReleaseRequest, key: SigningKey, typ: str = RELEASE_REQUEST_TYP, **changes: Any) -> str:
    """The request with single claims replaced (None removes one) under a right signature."""
    said = {**as_claims(claims), **changes}
    return jose.sign({name: value for name, value in said.items() if value is not None}, key, typ=typ)


@dataclass
class HostSimulator:
    """A host's verifier: signs requests with its federation key, posts them, reads answers."""

    http: httpx.AsyncClient
    clock: FrozenClock
    key: SigningKey
    sent: dict[str, tuple[ReleaseRequest, str]] = field(default_factory=dict)

    def expected(self, jti: str, *, after_serial: int = 0) -> ExpectedRelease:
        """What a Release must match."""
        claims, token = self.sent[jti]
        return ExpectedRelease(
            release_request=jti,
            request_sha256=text_sha256(token),
            movement_id=claims.movement.id,
            movement_version=claims.movement.version,
            host_ods=claims.movement.host_ods,
            employing_ods=claims.movement.employing_ods,
            duties_sha256=text_sha256(claims.movement.duties),
            after_serial=after_serial,
        )

    async def post(
        self, token: str, *, ods: str = "RBV", media_type: str = RELEASE_REQUEST_MEDIA_TYPE
    ) -> httpx.Response:
        """Send these bytes."""
        headers = {"Content-Type": media_type}
        return await self.http.post(f"/{ods}/release-requests", content=token, headers=headers)

    async def ask(self, claims: ReleaseRequest) -> dict[str, Any]:
        """Sign and send a request that is taken; the answer, with the request's own id."""
        token = release_request(claims, self.key)
        answer = await self.post(token)
        assert answer.status_code == 201, answer.text
        self.sent[claims.jti] = (claims, token)
        body: dict[str, Any] = answer.json()
        return body

    async def read(self, asked: dict[str, Any], issuer_key: Any, *, after_serial: int = 0) -> Release:
        """Pull and verify the newest Release, with the employer's keys."""
        answer = await self.http.get(asked["release_uri"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/staff-passport-release+jwt"
        return read_release(
            answer.text,
            federation.public_jwks([issuer_key]),
            iss=EMPLOYER,
            aud=HOST,
            now=self.clock.now(),
            expected=self.expected(asked["release_request"], after_serial=after_serial),
        )
