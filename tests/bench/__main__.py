"""`make bench`: verifying and issuing one credential of ten disclosures, in process."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from passport_shared.formats import sd_jwt_holder, sd_jwt_vc
from passport_shared.formats.key_binding import KeyBindingPolicy
from passport_testkit.certificates import Authority
from passport_testkit.keys import key, private_jwk
from tests.bench import floor, measure

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ISS = "https://issuer.example/RBV"
AUD, NONCE = "x509_hash:" + "A" * 43, "n" * 22
DISCLOSURES = 10


def main() -> None:
    """Measure and print; nothing here passes or fails."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=15)
    size = parser.parse_args()
    authority, holder = Authority.create(), key("holder")
    leaf = authority.leaf(entity_id=ISS)
    names = [f"claim_{number}" for number in range(DISCLOSURES)]
    claims = {
        "vct": "https://registry.example/vct/CoreSkills/1",
        "iss": ISS,
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(days=30)).timestamp()),
        "cnf": {"jwk": dict(holder.public.jwk)},
        "status": {"status_list": {"idx": 7, "uri": f"{ISS}/statuslists/list-1"}},
        **{name: f"value of {name}" for name in names},
    }
    hidden = [(name,) for name in names]
    issued = sd_jwt_vc.issue_credential(claims, hidden, leaf.key, leaf.x5c)
    presented = sd_jwt_holder.add_key_binding(
        sd_jwt_holder.present(issued, hidden), holder, aud=AUD, nonce=NONCE, iat=NOW
    )
    policy = KeyBindingPolicy(aud=AUD, nonce=NONCE, now=NOW)
    least = floor.build(DISCLOSURES)
    reference = _reference(claims, names, private_jwk(leaf.key), dict(holder.public.jwk), presented)

    def verify() -> object:
        return sd_jwt_vc.verify_credential(presented, roots=authority.roots, at=NOW, key_binding=policy)

    def issue() -> object:
        return sd_jwt_vc.issue_credential(claims, hidden, leaf.key, leaf.x5c)

    verified = measure.ratios(
        least.verify,
        {"verify, every check": verify, "PyPI sd-jwt verify": reference["verify"]},
        calls=size.calls,
        repetitions=size.repetitions,
    )
    made = measure.ratios(
        least.issue,
        {"issue": issue, "PyPI sd-jwt issue": reference["issue"]},
        calls=size.calls,
        repetitions=size.repetitions,
    )
    print(f"rate as a part of the floor's, median and range of {size.repetitions}; aims 0.6 and 0.5")
    for name, ratio in {**verified, **made}.items():
        print(f"{name:22} {ratio}")


def _reference(claims, names, issuer_jwk, holder_jwk, presented):
    """PyPI sd-jwt doing the same; its verifier checks fewer things."""
    from jwcrypto.jwk import JWK
    from sd_jwt.common import SDObj
    from sd_jwt.issuer import SDJWTIssuer
    from sd_jwt.verifier import SDJWTVerifier

    signing = JWK.from_json(json.dumps(issuer_jwk))
    public = JWK.from_json(signing.export_public())
    holder = JWK.from_json(json.dumps(holder_jwk))
    marked = {(SDObj(name) if name in names else name): value for name, value in claims.items()}

    def verify() -> object:
        return SDJWTVerifier(
            presented, lambda _issuer, _header=None: public, AUD, NONCE
        ).get_verified_payload()

    def issue() -> object:
        return SDJWTIssuer(marked, signing, holder).sd_jwt_issuance

    return {"verify": verify, "issue": issue}


if __name__ == "__main__":
    main()
