"""Verifying and issuing one credential of ten disclosures in this process, beside PyPI ``sd-jwt``.

Presentations are distinct, and more of them than holder keys are remembered, so that every key is imported
from its coordinates as it is in life; the issuer's chain is the same for all and stays cached.
"""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from passport_shared.formats import sd_jwt_holder, sd_jwt_vc
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.key_binding import KeyBindingPolicy
from passport_testkit.certificates import Authority
from passport_testkit.keys import private_jwk
from tests.bench import floor, measure
from tests.bench.measure import Ratio

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ISS = "https://issuer.example/RBV"
AUD, NONCE = "x509_hash:" + "A" * 43, "n" * 22
NAMES = [f"claim_{number}" for number in range(10)]
HIDDEN = [(name,) for name in NAMES]
HOLDERS = 2_100
"""More than the 2,048 public keys that ``formats.jose`` remembers."""


@dataclass(frozen=True)
class Found:
    """Rates as parts of the floors' rates."""

    verify: Ratio
    verify_other: Ratio
    issue: Ratio
    issue_other: Ratio


def claims_for(holder: SigningKey) -> dict[str, Any]:
    """A credential's claims, ten of which will be hidden."""
    return {
        "vct": "https://registry.example/vct/CoreSkills/1",
        "iss": ISS,
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(days=30)).timestamp()),
        "cnf": {"jwk": dict(holder.public.jwk)},
        "status": {"status_list": {"idx": 7, "uri": f"{ISS}/statuslists/list-1"}},
        **{name: f"value of {name}" for name in NAMES},
    }


def compare(*, calls: int, repetitions: int) -> Found:
    """Measure both with the garbage collector on, but not looking at what was made at the start."""
    authority = Authority.create()
    leaf = authority.leaf(entity_id=ISS)
    presented = [_presented(leaf) for _ in range(HOLDERS)]
    roots = tuple(authority.roots)
    policy = KeyBindingPolicy(aud=AUD, nonce=NONCE, now=NOW)
    least = floor.build(len(NAMES))
    claims, hidden = claims_for(SigningKey.generate()), HIDDEN
    turn = itertools.cycle(presented)

    def verify() -> object:
        return sd_jwt_vc.verify_credential(next(turn), roots=roots, at=NOW, key_binding=policy)

    def issue() -> object:
        return sd_jwt_vc.issue_credential(claims, hidden, leaf.key, leaf.x5c)

    verify_other, issue_other = _reference(claims, leaf.key, presented)
    gc.freeze()
    sizes = {"calls": calls, "repetitions": repetitions}
    verified = measure.ratios(least.verify, {"ours": verify, "other": verify_other}, **sizes)
    made = measure.ratios(least.issue, {"ours": issue, "other": issue_other}, **sizes)
    return Found(verified["ours"], verified["other"], made["ours"], made["other"])


def _presented(leaf: Any) -> str:
    holder = SigningKey.generate()
    issued = sd_jwt_vc.issue_credential(claims_for(holder), HIDDEN, leaf.key, leaf.x5c)
    shown = sd_jwt_holder.present(issued, HIDDEN)
    return sd_jwt_holder.add_key_binding(shown, holder, aud=AUD, nonce=NONCE, iat=NOW)


def _reference(
    claims: dict[str, Any], signing_key: SigningKey, presented: Sequence[str]
) -> tuple[Callable[[], object], Callable[[], object]]:
    """PyPI sd-jwt doing the same; its verifier checks no chain, type, times, status or age of the binding."""
    from jwcrypto.jwk import JWK
    from sd_jwt.common import SDObj
    from sd_jwt.issuer import SDJWTIssuer
    from sd_jwt.verifier import SDJWTVerifier

    signing = JWK.from_json(json.dumps(private_jwk(signing_key)))
    public = JWK.from_json(signing.export_public())
    holder = JWK.from_json(json.dumps(claims["cnf"]["jwk"]))
    marked = {(SDObj(name) if name in NAMES else name): value for name, value in claims.items()}
    turn = itertools.cycle(presented)

    def verify() -> object:
        return SDJWTVerifier(
            next(turn), lambda _issuer, _header=None: public, AUD, NONCE
        ).get_verified_payload()

    def issue() -> object:
        return SDJWTIssuer(marked, signing, holder).sd_jwt_issuance

    return verify, issue
