"""Builders of SD-JWT credentials: right ones, and ones spoilt in any part and then signed properly.

`Forgery` is a whole presentation before signing; a test changes what it likes and asks for `token()`. Keys
are derived from names, so that vectors can be made again; none of them is used outside tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from passport_shared.formats import sd_jwt
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.key_binding import KeyBindingPolicy
from passport_shared.formats.sd_jwt_vc import VerifiedCredential, issue_credential, verify_credential
from passport_shared.formats.strict import b64url_encode
from passport_testkit.certificates import Authority, Issued
from passport_testkit.clock import NOON

AUD = "x509_hash:Uvo3HtuIxuhC92rShpgqcT3YXwrqRxWEviRiA0OZszk"
NONCE = "n-0S6_WzA2Mj-for-tests"
VCT = "https://registry.example/vct/StaffIdentity/1"
STATUS_URI = "https://issuer.example/RBV/statuslists/AAAAAAAAAAAAAAAAAAAAAA"
DISCLOSABLE: tuple[tuple[str | int, ...], ...] = (
    ("holder_ref",),
    ("family_name",),
    ("given_names",),
    ("birthdate",),
    ("email",),
    ("address",),
    ("address", "postcode"),
    ("skills", "FS"),
    ("skills", "MH"),
    ("languages", 0),
    ("languages", 1),
)

_GROUP_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@lru_cache(maxsize=128)
def derived_key(name: str) -> SigningKey:
    """Return the P-256 key that belongs to a name, the same in every run; `name` starts with `test-only-`."""
    if not name.startswith("test-only-"):
        raise ValueError("keys of tests are named test-only-…")
    secret = int.from_bytes(hashlib.sha512(name.encode()).digest(), "big") % (_GROUP_ORDER - 1) + 1
    return SigningKey.from_private(ec.derive_private_key(secret, ec.SECP256R1()))


def holder_key() -> SigningKey:
    """Return the key the credentials of this module are bound to."""
    return derived_key("test-only-holder")


@lru_cache(maxsize=1)
def authority() -> Authority:
    """Return the one certificate authority of a test run."""
    return Authority.create()


@lru_cache(maxsize=8)
def issuer(purpose: str = "credential") -> Issued:
    """Return the leaf of the invented trust RBV for a purpose."""
    return authority().leaf(derived_key(f"test-only-issuer-{purpose}"))


def seconds(at: datetime) -> int:
    """Return an instant as a NumericDate."""
    return int(at.timestamp())


def staff_claims(holder: SigningKey | None = None, **changes: Any) -> dict[str, Any]:
    """Return the claims of an invented member of staff; keyword arguments replace or add."""
    claims: dict[str, Any] = {
        "vct": VCT,
        "iss": "https://issuer.example/RBV",
        "iat": seconds(NOON - timedelta(hours=1)),
        "exp": seconds(NOON + timedelta(days=90)),
        "cnf": {"jwk": (holder or holder_key()).public.jwk},
        "status": {"status_list": {"idx": 4711, "uri": STATUS_URI}},
        "holder_ref": "hr-7f3c",
        "family_name": "Dovecote",
        "given_names": "Ottoline Mae",
        "birthdate": "1991-03-14",
        "email": "ottoline.dovecote@example.org",
        "address": {"city": "Otterbridge", "postcode": "ZZ99 3VZ"},
        "skills": {"FS": {"completed": "2026-02-01"}, "MH": {"completed": "2026-03-01"}},
        "languages": ["en-GB", "cy", "pl"],
    }
    return {**claims, **changes}


def credential(holder: SigningKey | None = None, *, decoys: int = 0, **changes: Any) -> str:
    """Return a right credential as the issuer would send it."""
    leaf = issuer()
    return issue_credential(staff_claims(holder, **changes), DISCLOSABLE, leaf.key, leaf.x5c, decoys=decoys)


def policy(**changes: Any) -> KeyBindingPolicy:
    """Return what the verifier of these tests asks of a key binding."""
    return KeyBindingPolicy(**{"aud": AUD, "nonce": NONCE, "now": NOON, **changes})


def verify(token: str | bytes, **changes: Any) -> VerifiedCredential:
    """Verify a token as the verifier of these tests does, with key binding asked for."""
    arguments: dict[str, Any] = {
        "roots": authority().roots,
        "at": NOON,
        "expected_vcts": {VCT},
        "key_binding": policy(),
        **changes,
    }
    return verify_credential(token, **arguments)


def segment(content: object) -> str:
    """Return a JWS segment: JSON unless bytes are given."""
    raw = content if isinstance(content, bytes) else json.dumps(content, separators=(",", ":")).encode()
    return b64url_encode(raw)


def raw_jws(header: object, payload: object, key: SigningKey) -> str:
    """Sign any header and payload, also those no product code would sign."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    return f"{signing_input}.{b64url_encode(key.sign(signing_input.encode()))}"


@dataclass(kw_only=True)
class Forgery:
    """A presentation before it is signed; every part may be changed."""

    header: dict[str, Any]
    payload: Any
    disclosures: list[str]
    issuer_key: SigningKey
    holder: SigningKey
    kb_header: dict[str, Any]
    kb_claims: dict[str, Any]
    key_binding: bool = True
    sign_issuer: Callable[[object, object, SigningKey], str] = field(default=raw_jws)
    sign_holder: Callable[[object, object, SigningKey], str] = field(default=raw_jws)

    @property
    def sd(self) -> list[Any]:
        """The top-level `_sd` array."""
        digests = self.payload["_sd"]
        assert isinstance(digests, list)
        return digests

    def add(self, content: object) -> str:
        """Append a disclosure with this content (bytes: as they are) and return its digest."""
        encoded = segment(content)
        self.disclosures.append(encoded)
        return sd_jwt.digest_of(encoded)

    def plant(self, content: object) -> None:
        """Append a disclosure and reference it from the top-level `_sd`."""
        self.sd.append(self.add(content))

    def presented(self) -> str:
        """The issuer-signed part with its disclosures, ending in `~`."""
        issuer_jwt = self.sign_issuer(self.header, self.payload, self.issuer_key)
        return "~".join([issuer_jwt, *self.disclosures, ""])

    def token(self) -> str:
        """Sign and put together."""
        presented = self.presented()
        if not self.key_binding:
            return presented
        claims = {"sd_hash": sd_jwt.digest_of(presented), **self.kb_claims}
        claims = {name: value for name, value in claims.items() if value is not ABSENT}
        return presented + self.sign_holder(self.kb_header, claims, self.holder)


ABSENT = object()


def forgery(**changes: Any) -> Forgery:
    """Return a right presentation with every claim disclosed; keyword arguments change claims."""
    parsed = sd_jwt.parse(credential(**changes))
    return Forgery(
        header=dict(parsed.issuer_jwt.header),
        payload=json.loads(json.dumps(parsed.issuer_jwt.claims)),
        disclosures=[disclosure.encoded for disclosure in parsed.disclosures],
        issuer_key=issuer().key,
        holder=holder_key(),
        kb_header={"alg": "ES256", "typ": "kb+jwt"},
        kb_claims={"iat": seconds(NOON), "aud": AUD, "nonce": NONCE},
    )


def without(mapping: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a copy without some members."""
    return {name: value for name, value in mapping.items() if name not in names}
