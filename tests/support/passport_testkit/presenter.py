"""A staff member who shares: real credentials of a home trust, real key bindings, a really encrypted answer.

`HomeTrust` signs credentials and status lists with the keys the network registered for it. `Presenter` holds
credentials and answers a request object; every part of the answer can be changed before it is signed or
encrypted, for the tests of everything that must be refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from passport_shared.formats import jose, jwe, sd_jwt
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.formats.sd_jwt_vc import issue_credential
from passport_shared.formats.status_list import StatusList, sign_token
from passport_shared.wire import catalogue
from passport_testkit.cases import evidence_for, surgeon
from passport_testkit.network import CHRISTIE, TrustRegistrySimulator, vct
from passport_verifier.rules.policies import HostPolicy

ALL_TYPES = catalogue.EMPLOYER_TYPES
Spoiler = Callable[[Any], Any]


class HomeTrust:
    """An employing trust that issues; its status list lies below its registered prefix."""

    def __init__(
        self,
        registry: TrustRegistrySimulator,
        entity_id: str = CHRISTIE,
        *,
        name: str = "The Christie NHS Foundation Trust",
        types: Collection[str] = ALL_TYPES,
    ) -> None:
        self.registry = registry
        self.entity_id = entity_id
        registry.enrol_issuer(entity_id, name=name, types=types)
        self.list = StatusList(bits=2, size=1_024)
        self.uri = f"{entity_id}/statuslists/{random_token()}"
        self.down = False
        self.token: str | None = None
        self._next = 0

    def allocate(self) -> int:
        """The next index of the status list."""
        self._next += 1
        return self._next

    def sign(
        self, name: str, holder: PublicKey, claims: Mapping[str, Any], *, idx: int, **changes: Any
    ) -> str:
        """A credential of this trust; `changes` replace or add claims (None takes one away)."""
        leaf = self.registry.entities[self.entity_id].issued("credential")
        now = self.registry.clock.now()
        whole = {
            **claims,
            "vct": vct(name),
            "iss": self.entity_id,
            "iat": epoch_s(now - timedelta(hours=1)),
            "exp": epoch_s(now + timedelta(days=200)),
            "cnf": {"jwk": holder.jwk},
            "status": {"status_list": {"idx": idx, "uri": self.uri}},
            **changes,
        }
        whole = {key: value for key, value in whole.items() if value is not None}
        disclosable = catalogue.TYPES[name].disclosable
        return issue_credential(whole, disclosable, leaf.key, leaf.x5c, missing_ok=True)

    def status_token(self, **changes: Any) -> str:
        """The status list signed now, or what a test put in its place."""
        if self.token is not None:
            return self.token
        leaf = self.registry.entities[self.entity_id].issued("status")
        now = self.registry.clock.now()
        members: dict[str, Any] = {
            "uri": self.uri,
            "key": leaf.key,
            "x5c": leaf.x5c,
            "iat": now,
            "exp": now + timedelta(hours=24),
            "ttl": timedelta(seconds=300),
        }
        return sign_token(self.list, **{**members, **changes})

    def serve(self, path: str) -> tuple[str, bytes] | None:
        """What stands at a path of this trust: (media type, bytes), or None."""
        own = self.entity_id.partition("://")[2].partition("/")[2]
        if path == f"/{own}/statuslists":
            return "application/json", json.dumps({"status_lists": [self.uri]}).encode()
        if self.uri.endswith(path) and "/statuslists/" in path:
            return "application/statuslist+jwt", self.status_token().encode()
        return None


@dataclass
class Held:
    """One credential in the wallet."""

    name: str
    token: str
    key: SigningKey
    idx: int


@dataclass
class Answer:
    """An answer before it is encrypted; a test changes what it likes."""

    request: Mapping[str, Any]
    vp_token: dict[str, Any]
    state: str | None
    kid: str
    key: PublicKey
    enc: str = "A128GCM"
    payload: dict[str, Any] = field(default_factory=dict)

    def plaintext(self) -> bytes:
        """The JSON that is encrypted."""
        members: dict[str, Any] = {"vp_token": self.vp_token}
        if self.state is not None:
            members["state"] = self.state
        return json.dumps({**members, **self.payload}).encode()

    def token(self) -> str:
        """The encrypted answer."""
        return jwe.encrypt(self.plaintext(), self.key, kid=self.kid, enc=self.enc)


class Presenter:
    """A staff member with a wallet that shows whatever it holds of what is asked."""

    def __init__(self, home: HomeTrust, **person: Any) -> None:
        self.home = home
        self.person = person
        self.held: dict[str, Held] = {}
        self.withheld: set[tuple[str, ...]] = set()
        self.spoil: dict[str, Spoiler] = {}

    def hold(
        self, name: str, *, trust: HomeTrust | None = None, key: SigningKey | None = None, **changes: Any
    ) -> Held:
        """Receive a credential; `changes` replace claims."""
        issuer = trust or self.home
        held = SigningKey.generate() if key is None else key
        idx = issuer.allocate()
        dataset = {**surgeon()[name], **self.person}
        token = issuer.sign(name, held.public, dataset, idx=idx, **changes)
        self.held[name] = Held(name, token, held, idx)
        return self.held[name]

    def hold_for(self, policy: HostPolicy, **changes: Mapping[str, Any]) -> Presenter:
        """Receive a passport that meets a policy in everything; `changes` by type."""
        for name, claims in evidence_for(policy).items():
            own = {claim: value for claim, value in claims.items() if claim not in catalogue.COMMON_CLAIMS}
            self.hold(name, **{**own, **changes.get(name, {})})
        return self

    def hold_everything(self, **changes: Mapping[str, Any]) -> Presenter:
        """Receive the whole passport; `changes` by type."""
        for name in ALL_TYPES:
            self.hold(name, **changes.get(name, {}))
        return self

    def vp_token(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """A presentation of everything asked for that is held; what is optional only where it can be met."""
        found: dict[str, Any] = {}
        sets = request["dcql_query"].get("credential_sets", [])
        optional = {ids[0] for one in sets if not one.get("required", True) for ids in one["options"]}
        for query in request["dcql_query"]["credentials"]:
            name = query["meta"]["vct_values"][0].split("/")[-2]
            if name not in self.held:
                continue
            if query["id"] in optional and not self.meets(self.held[name], query):
                continue
            found[query["id"]] = [self.present(self.held[name], query, request, now)]
        return found

    def meets(self, held: Held, query: Mapping[str, Any]) -> bool:
        """Whether one of a query's claim sets can be shown."""
        can = set(sd_jwt.disclosable_paths(held.token)) - self.withheld
        paths = {claim.get("id"): tuple(claim["path"]) for claim in query["claims"]}
        always = {tuple(claim.path) for claim in catalogue.TYPES[held.name].claims if not claim.disclosable}
        sets = query.get("claim_sets") or [list(paths)]
        return any({paths[name] for name in wanted} <= can | always for wanted in sets)

    def present(self, held: Held, query: Mapping[str, Any], request: Mapping[str, Any], now: datetime) -> str:
        """One presentation with its key binding."""
        can = set(sd_jwt.disclosable_paths(held.token))
        asked = {tuple(claim["path"]) for claim in query["claims"]}
        shown = sd_jwt.present(held.token, sorted((asked & can) - self.withheld))
        shown = self._spoiled("presentation", shown)
        binding = {"aud": request["client_id"], "nonce": request["nonce"], "iat": now}
        binding = self._spoiled("binding", binding)
        key = self._spoiled("holder", held.key)
        return sd_jwt.add_key_binding(shown, key, **binding)

    def answer(self, request: Mapping[str, Any], now: datetime) -> Answer:
        """The answer to a request object's claims."""
        metadata = request["client_metadata"]["jwks"]["keys"][0]
        return Answer(
            request=request,
            vp_token=self.vp_token(request, now),
            state=request["state"],
            kid=metadata["kid"],
            key=PublicKey.from_jwk(
                {name: metadata[name] for name in ("kty", "crv", "x", "y")}, purpose="enc"
            ),
        )

    def _spoiled(self, name: str, value: Any) -> Any:
        spoiler = self.spoil.get(name)
        return spoiler(value) if spoiler else value


def opened(token: str, roots: Collection[bytes]) -> dict[str, Any]:
    """The claims of a request object, verified as a wallet does."""
    from passport_shared.formats.x5c import verify_chain, x509_hash

    parsed = jose.parse(token)
    at = datetime.fromtimestamp(int(parsed.claims["iat"]), tz=_utc())
    leaf = verify_chain(parsed.header["x5c"], list(roots), at=at)
    claims = jose.verify(parsed, leaf.public, typ="oauth-authz-req+jwt").claims
    assert claims["client_id"] == f"x509_hash:{x509_hash(leaf.der)}"
    return dict(claims)


def _utc() -> Any:
    from datetime import UTC

    return UTC
