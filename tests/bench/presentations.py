"""An encrypted presentation, posted, to a durable decision: the verifier against its floor.

Every request is a new one: a presentation request of its own with its own encryption key, a credential of ten
disclosures with a holder key of its own, a key binding and an encryption made for it. They are made by the
verifier's own API before the clock runs; afterwards what was asked is narrowed to one credential, because
every policy asks for seven, and the floor is that of one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select, update

from passport_shared.formats import jwe, sd_jwt
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.formats.sd_jwt_vc import issue_credential
from passport_shared.service.db import Database
from passport_testkit import node
from passport_testkit.cases import surgeon
from passport_testkit.keys import private_jwk
from passport_testkit.network import vct
from passport_testkit.verifiers import API, VerifierBench, running_verifier
from passport_verifier.store.tables import decisions, presentation_requests
from tests.bench import load
from tests.bench.floor import ALGORITHM, MESSAGE
from tests.bench.paired import Comparison, Side, compare
from tests.bench.places import Place
from tests.bench.processes import ROOT, Program, running

POLICY = "SERVICE_NEED_URGENT.UROLOGY_SURGEON"
FORM = "application/x-www-form-urlencoded"
DISCLOSED = (
    *("family_name", "given_name", "birthdate", "holder_ref", "provenance", "portrait"),
    *("claim_a", "claim_b", "claim_c", "claim_d"),
)
"""The ten disclosures: those of a StaffIdentity, and four more to make up the number."""


@dataclass(frozen=True)
class Prepared:
    """Posts that are each valid once, for every side, and what the other verifier is told of its requests."""

    ours: list[bytes] = field(default_factory=list)
    floors: list[bytes] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    network: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The verifier against its floor, and another one against the same floor, or why there is none."""

    ours: Comparison
    other: Comparison | None
    why_no_other: str | None


async def measure(place: Place, *, requests: int, repetitions: int) -> Found:
    """Measure; the decisions are counted in the database afterwards.

    Raises:
        RuntimeError: an answer was not 200, or a decision is missing.
    """
    whole = requests * (repetitions + 1)
    config = {"folder": str(place.folder), "database_url": await place.database("passport_verifier")}
    floor_config = {"database_url": await place.database(None)}
    prepared = await _prepare(place, config, floor_config, whole)
    with ExitStack() as stack:
        ours = stack.enter_context(
            running(
                ["python", "-m", "tests.bench.serving", "verifier", place.write("verifier.json", config)],
                log=place.folder / "verifier.log",
                core=place.server_core,
                environment=place.environment,
            )
        )
        floor = stack.enter_context(
            running(
                [
                    "python",
                    "-m",
                    "tests.bench.floor_apps",
                    "presentation",
                    place.write("floor.json", floor_config),
                ],
                log=place.folder / "floor.log",
                core=place.server_core,
                environment=place.environment,
            )
        )
        sizes = {"requests": requests, "repetitions": repetitions}
        found = await compare(Side(ours, prepared.ours), Side(floor, prepared.floors), **sizes)
        reason = node.why_not()
        other = None
        if reason is None:
            program = stack.enter_context(_other(place, prepared))
            other = await compare(Side(program, prepared.others), Side(floor, prepared.floors), **sizes)
    await _check(config["database_url"], whole)
    return Found(found, other, reason)


def _other(place: Place, prepared: Prepared) -> AbstractContextManager[Program]:
    """npm @openid4vc/openid4vp with @sd-jwt/sd-jwt-vc; the program says what it checks."""
    config = place.write("other.json", {**prepared.network, "requests": prepared.sessions})
    program = ROOT / "tests" / "peers" / "node" / "measured_verifier.mjs"
    return running(
        [node.find_node() or "node", program, config], log=place.folder / "other.log", core=place.server_core
    )


async def _check(url: str, expected: int) -> None:
    async with Database(url, name="bench") as db, db.read() as conn:
        count = (await conn.execute(select(func.count()).select_from(decisions))).scalar_one()
        verified = (
            await conn.execute(select(func.count()).where(decisions.c.verified.is_(True)))
        ).scalar_one()
    if (count, verified) != (expected, expected):
        raise RuntimeError(f"{expected} posts became {count} decisions, {verified} of them verified")


async def _prepare(
    place: Place, config: dict[str, Any], floor_config: dict[str, Any], count: int
) -> Prepared:
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(
            running_verifier(place.folder, config["database_url"], open_requests=100_000)
        )
        config["at"] = bench.clock.now().isoformat()
        (place.folder / "trust.json").write_bytes(bench.registry.trust_file.as_bytes())
        await _ask(bench, count)
        rows = await _narrow(bench)
        floors = _floor(floor_config)
        prepared = Prepared()
        prepared.network.update(
            root=_text(bench.registry.authority.root_der),
            now=epoch_s(bench.clock.now()),
            statusToken=bench.home.status_token(),
        )
        for row in rows:
            plaintext = {"vp_token": _vp_token(bench, row), "state": row["oauth_state"]}
            key = PublicKey.from_jwk(_bare(row["encryption_jwk"]), purpose="enc")
            token = jwe.encrypt(json.dumps(plaintext).encode(), key, kid=row["kid"])
            prepared.ours.append(_post("/R0A/oid4vp/response", token))
            prepared.floors.append(_post("/response", floors.token(len(json.dumps(plaintext)))))
            prepared.others.append(_post("/response", _for_other(row, plaintext, prepared.sessions)))
    return prepared


def _post(path: str, token: str) -> bytes:
    return load.post(path, urlencode({"response": token}).encode(), FORM)


async def _ask(bench: VerifierBench, count: int) -> None:
    """Make the presentation requests as a host's system does."""
    headers = await bench.headers()
    body = {"policy": POLICY, "employing_ods": "RBV"}
    for _ in range(count):
        answer = await bench.http.post(f"{API}/presentation-requests", json=body, headers=headers)
        assert answer.status_code == 201, answer.text


async def _narrow(bench: VerifierBench) -> list[Mapping[str, Any]]:
    """Ask for one credential only: the StaffIdentity, by ten paths."""
    table = presentation_requests
    query = {
        "credentials": [
            {
                "id": "staff_identity",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": [vct("StaffIdentity")]},
                "claims": [{"path": [name]} for name in DISCLOSED],
            }
        ]
    }
    async with bench.ctx.db.write() as conn:
        await conn.execute(update(table).values(dcql_query=query))
    async with bench.ctx.db.read() as conn:
        rows = (await conn.execute(select(table).order_by(table.c.id))).mappings().all()
    return [dict(row) for row in rows]


def _vp_token(bench: VerifierBench, row: Mapping[str, Any]) -> dict[str, list[str]]:
    now = bench.clock.now()
    holder = SigningKey.generate()
    home = bench.home
    leaf = bench.registry.entities[home.entity_id].issued("credential")
    claims = {
        **surgeon()["StaffIdentity"],
        **{name: f"value of {name}" for name in DISCLOSED[5:]},
        "vct": vct("StaffIdentity"),
        "iss": home.entity_id,
        "iat": epoch_s(now) - 3600,
        "exp": epoch_s(now) + 86_400 * 200,
        "cnf": {"jwk": holder.public.jwk},
        "status": {"status_list": {"idx": 7, "uri": home.uri}},
    }
    hidden = [(name,) for name in DISCLOSED]
    issued = issue_credential(claims, hidden, leaf.key, leaf.x5c)
    shown = sd_jwt.present(issued, hidden)
    bound = sd_jwt.add_key_binding(shown, holder, aud=row["client_id"], nonce=row["nonce"], iat=now)
    return {"staff_identity": [bound]}


def _for_other(row: Mapping[str, Any], plaintext: dict[str, Any], sessions: list[dict[str, Any]]) -> str:
    """The same answer, encrypted for the other verifier, which is told of the request it answers."""
    key = SigningKey.generate()
    payload = {
        **{name: row[name] for name in ("client_id", "nonce", "dcql_query")},
        **{"state": row["oauth_state"], "response_type": "vp_token", "response_mode": "direct_post.jwt"},
        "client_metadata": {
            "jwks": {"keys": [{**key.public.jwk, "kid": row["kid"], "use": "enc", "alg": "ECDH-ES"}]},
            "encrypted_response_enc_values_supported": ["A128GCM", "A256GCM"],
        },
    }
    sessions.append({"kid": row["kid"], "key": {**private_jwk(key), "kid": row["kid"]}, "payload": payload})
    return jwe.encrypt(json.dumps(plaintext).encode(), key.public, kid=row["kid"])


def _bare(jwk: Mapping[str, Any]) -> dict[str, Any]:
    return {name: jwk[name] for name in ("kty", "crv", "x", "y")}


@dataclass(frozen=True)
class FloorTokens:
    """Encryptions to the floor's one key that start with its two signatures."""

    recipient: PublicKey
    signatures: bytes

    def token(self, length: int) -> str:
        """A token with as much inside as ours has."""
        padding = b"x" * max(0, length - len(self.signatures))
        return jwe.encrypt(self.signatures + padding, self.recipient, kid="floor")


def _floor(config: dict[str, Any]) -> FloorTokens:
    recipient, issuer, holder = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    config["recipient_der"] = _text(SigningKey.from_private(recipient).to_der())
    config["issuer_der"], config["holder_der"] = _public(issuer), _public(holder)
    signed = [base64.urlsafe_b64encode(key.sign(MESSAGE, ALGORITHM)) for key in (issuer, holder)]
    return FloorTokens(PublicKey.from_key(recipient.public_key()), b".".join(signed) + b".")


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    return _text(
        key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
