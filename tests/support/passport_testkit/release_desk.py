"""An employing trust's release desk: takes signed requests, answers with really signed Releases.

It verifies what the host sent with the reader an issuer uses, keeps it once by its id, and serves whatever a
test has had it answer. `spoil` changes the claims of a Release before it is signed; `served` puts any text in
its place; `down` breaks the line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx

from passport_shared.formats import federation, jose
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import OutboundError
from passport_shared.outbound.errors import OutboundReason
from passport_shared.wire import release as wire
from passport_shared.wire.release import ReleaseRequest
from passport_testkit.datasets import PERSON
from passport_testkit.network import CHRISTIE, MANCHESTER, TrustRegistrySimulator

HOLDER_REF: str = PERSON["holder_ref"]
Spoiler = Callable[[dict[str, Any]], Any]


@dataclass
class Case:
    """One request with the newest Release, if there is one."""

    request: ReleaseRequest
    sha256: str
    id: str = field(default_factory=random_token)
    serial: int = 0
    served: str | None = None


class ReleaseDesk:
    """The release endpoints of one issuer."""

    def __init__(self, registry: TrustRegistrySimulator, entity_id: str = CHRISTIE) -> None:
        self.registry = registry
        self.entity_id = entity_id
        self.cases: dict[str, Case] = {}
        self.down = False
        self.refuse_with: tuple[int, dict[str, Any]] | None = None
        self.posted: list[str] = []

    def serves(self, url: str) -> bool:
        """Whether a URL is one of the desk's."""
        return url.startswith((f"{self.entity_id}/release-requests", f"{self.entity_id}/releases/"))

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request of the host."""
        if self.down:
            raise OutboundError(OutboundReason.CONNECT_FAILED, host=request.url.host)
        if request.method == "POST":
            return self._take((await request.aread()).decode())
        return self._show(request)

    def _take(self, message: str) -> httpx.Response:
        self.posted.append(message)
        if self.refuse_with is not None:
            status, problem = self.refuse_with
            return _answer(status, json.dumps(problem), "application/problem+json")
        request = wire.read_release_request(
            message,
            federation.public_jwks([self.registry.entities[MANCHESTER].federation_key.public]),
            iss=MANCHESTER,
            iss_ods="R0A",
            aud=self.entity_id,
            aud_ods="RBV",
            now=self.registry.clock.now(),
        )
        known = self.cases.get(request.jti)
        sha256 = wire.text_sha256(message)
        if known is not None:
            assert known.sha256 == sha256, "the same id with another content"
        case = known or self.cases.setdefault(request.jti, Case(request, sha256))
        body = {
            "release_request": request.jti,
            "release_uri": f"{self.entity_id}/releases/{case.id}",
            "state": "REQUESTED",
        }
        return _answer(200 if known else 201, json.dumps(body), "application/json")

    def _show(self, request: httpx.Request) -> httpx.Response:
        wanted = str(request.url).rsplit("/", 1)[-1]
        case = next((one for one in self.cases.values() if one.id == wanted), None)
        if case is None:
            return _answer(404, "{}", "application/problem+json")
        if case.served is None:
            return _answer(202, '{"state":"REQUESTED"}', "application/json")
        etag = f'"{hashlib.sha256(case.served.encode()).hexdigest()[:16]}"'
        if request.headers.get("if-none-match") == etag:
            return httpx.Response(304, headers={"ETag": etag}, stream=httpx.ByteStream(b""))
        return _answer(200, case.served, wire.RELEASE_MEDIA_TYPE, ETag=etag)

    @property
    def case(self) -> Case:
        """The newest request."""
        return list(self.cases.values())[-1]

    def agree(self, case: Case | None = None, **changes: Any) -> str:
        """Line manager and HR agree; the Release from then on served."""
        return self.say(case or self.case, **changes)

    def limit(self, end: date, case: Case | None = None, code: str = "NOT_AFTER", **changes: Any) -> str:
        """They agree until an earlier day."""
        limit: dict[str, Any] = {"code": code, "text": "Needed back at home"}
        if code in {"NOT_AFTER", "NOT_BEFORE"}:
            limit["date"] = end.isoformat()
        return self.say(
            case or self.case,
            **{"state": "AGREED_WITH_LIMITS", "limits": [limit], "end": end.isoformat(), **changes},
        )

    def decline(self, case: Case | None = None, code: str = "CAPACITY") -> str:
        """The line manager does not agree."""
        answer = {"decision": "DECLINED", "at": self._instant()}
        return self.say(
            case or self.case,
            state="DECLINED",
            decline_code=code,
            line_manager=answer,
            hr=None,
            holder_ref=None,
            end=None,
            statement=None,
        )

    def withdraw(self, case: Case | None = None) -> str:
        """They take the Release back."""
        return self.say(case or self.case, state="WITHDRAWN")

    def say(
        self,
        case: Case,
        *,
        spoil: Spoiler | None = None,
        key: SigningKey | None = None,
        typ: str = wire.RELEASE_TYP,
        **changes: Any,
    ) -> str:
        """Sign a Release with the next serial and serve it; `spoil` changes its claims after all."""
        case.serial = changes.pop("serial", case.serial + 1)
        claims = self._claims(case, **changes)
        if spoil is not None:
            spoil(claims)
        signing = key or self.registry.entities[self.entity_id].federation_key
        case.served = jose.sign(claims, signing, typ=typ)
        return case.served

    def _claims(self, case: Case, **changes: Any) -> dict[str, Any]:
        request, now = case.request, self.registry.clock.now()
        agreed = {"decision": "AGREED", "at": self._instant()}
        names = ("id", "version", "type", "role_profile", "host_ods", "employing_ods", "start", "end")
        movement = request.movement.model_dump(mode="json", include=set(names))
        claims: Mapping[str, Any] = {
            "iss": self.entity_id,
            "aud": request.iss,
            "iat": epoch_s(now),
            "exp": epoch_s(wire.release_expiry(now, request.movement.end)),
            "jti": wire.new_jti(),
            "release_request": request.jti,
            "request_sha256": case.sha256,
            "serial": case.serial,
            "movement": {**movement, "duties_sha256": wire.text_sha256(request.movement.duties)},
            "state": "AGREED",
            "limits": [],
            "end": request.movement.end.isoformat(),
            "statement": "NO_CURRENT_RESTRICTION_KNOWN",
            "line_manager": agreed,
            "hr": agreed,
            "overlap_warning": False,
            "holder_ref": HOLDER_REF,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def _instant(self) -> str:
        at = self.registry.clock.now() - timedelta(minutes=1)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _answer(status: int, text: str, media_type: str, **headers: str) -> httpx.Response:
    """A response whose body is still to be read, as from a socket."""
    stream = httpx.ByteStream(text.encode())
    return httpx.Response(status, headers={"Content-Type": media_type, **headers}, stream=stream)
