"""Signed tokens: ES256 in JWS compact form, and the P-256 keys that make and check them.

RFC 7515, 7517, 7518 §3.4, 7519, 7638 and the advice of RFC 8725. Reading is in two steps: `parse` says what
a token claims and proves nothing; `verify` and `verify_with_jwks` give a `VerifiedJwt`, which cannot be made
any other way. A header never chooses its own key: `jwk`, `jku`, `x5u` and `x5c` are ignored, `kid` only looks
up a dictionary the caller trusts already. `crit`, `b64` and `zip` are refused, every algorithm but ES256 too.

Verifying says who signed, not when or what: callers add `check_times` and their own claims.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from jwt.algorithms import ECAlgorithm  # noqa: TID251 - JOSE is reached through this module

from passport_shared.formats.strict import (
    JsonValue,
    StrictCode,
    StrictError,
    b64url_bytes,
    b64url_decode,
    b64url_encode,
    dumps,
    loads_object,
    numeric_date,
)

ES256 = "ES256"
MAX_TOKEN_BYTES = 65_536
MAX_HEADER_BYTES = 8_192
MAX_KID_CHARS = 512
MAX_KEYS = 64
LEEWAY = timedelta(seconds=60)

_SIGNATURE_BYTES = 64
_COORDINATE_BYTES = 32
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_REFUSED_HEADERS = ("crit", "b64", "zip")
_OWN_HEADERS = frozenset({"alg", "typ", "crit", "b64", "zip"})
_ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())
_ES256 = ECAlgorithm(ECAlgorithm.SHA256, ec.SECP256R1)


class JoseReason(StrEnum):
    """Why a token or key was refused."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    BAD_HEADER = "bad_header"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    WRONG_TYP = "wrong_typ"
    CRIT_NOT_UNDERSTOOD = "crit_not_understood"
    UNKNOWN_KID = "unknown_kid"
    BAD_KEY = "bad_key"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    MISSING_CLAIM = "missing_claim"
    WRONG_CLAIM = "wrong_claim"
    BAD_CLAIM = "bad_claim"


class JoseError(ValueError):
    """A token or key was refused; `reason` says why. The message never repeats the token."""

    def __init__(self, reason: JoseReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class PublicKey:
    """A P-256 public key: its object, its bare JWK (kty, crv, x, y) and its RFC 7638 thumbprint."""

    thumbprint: str
    key: ec.EllipticCurvePublicKey = field(compare=False, repr=False)
    jwk: dict[str, str] = field(compare=False, repr=False)

    @classmethod
    def from_key(cls, key: object) -> PublicKey:
        """Wrap a key object; JoseError bad_key unless it is on P-256."""
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise JoseError(JoseReason.BAD_KEY, "the key is not on P-256")
        numbers = key.public_numbers()
        x = b64url_encode(numbers.x.to_bytes(_COORDINATE_BYTES, "big"))
        y = b64url_encode(numbers.y.to_bytes(_COORDINATE_BYTES, "big"))
        return cls._of(key, x, y)

    @classmethod
    def _of(cls, key: ec.EllipticCurvePublicKey, x: str, y: str) -> PublicKey:
        # RFC 7638 §3: the required members in this order; base64url needs no escaping.
        members = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
        thumbprint = b64url_encode(hashlib.sha256(members.encode("ascii")).digest())
        return cls(thumbprint=thumbprint, key=key, jwk={"kty": "EC", "crv": "P-256", "x": x, "y": y})

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, JsonValue], *, purpose: Literal["sig", "enc"] = "sig") -> PublicKey:
        """Read a public JWK (RFC 7517) for verifying signatures, or for encrypting to.

        Raises:
            JoseError: bad_key if it is not P-256, not on the curve, not canonical, carries a private
                member, or says by `use`, `key_ops` or `alg` that it is for something else.
        """
        if not isinstance(jwk, Mapping):
            raise JoseError(JoseReason.BAD_KEY, "a key must be a JSON object")
        if not _PRIVATE_MEMBERS.isdisjoint(jwk):
            raise JoseError(JoseReason.BAD_KEY, "the key carries a private member")
        if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
            raise JoseError(JoseReason.BAD_KEY, "the key is not EC P-256")
        _check_key_purpose(jwk, purpose)
        x, y = jwk.get("x"), jwk.get("y")
        if not isinstance(x, str) or not isinstance(y, str):
            raise JoseError(JoseReason.BAD_KEY, "a coordinate is missing")
        return _public_key(x, y)

    @classmethod
    def from_spki_der(cls, der: bytes) -> PublicKey:
        """Read a SubjectPublicKeyInfo; JoseError bad_key unless it is a P-256 key."""
        try:
            key = serialization.load_der_public_key(der)
        except Exception as error:
            raise JoseError(JoseReason.BAD_KEY, "not a public key") from error
        return cls.from_key(key)

    def as_jwk(self, **extra: JsonValue) -> dict[str, JsonValue]:
        """Return the JWK with `kid` (the thumbprint), `alg` and `use`; `extra` members replace or add."""
        return {**self.jwk, "kid": self.thumbprint, "alg": ES256, "use": "sig", **extra}

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Say whether `signature` (raw r‖s, 64 bytes, both in 1..n-1) is this key's ES256 one of `data`."""
        if len(signature) != _SIGNATURE_BYTES:
            return False
        r = int.from_bytes(signature[:_COORDINATE_BYTES], "big")
        s = int.from_bytes(signature[_COORDINATE_BYTES:], "big")
        if not (0 < r < _ORDER and 0 < s < _ORDER):
            return False
        # r and s are at hand, so the signature is encoded here: this runs twice for every presentation.
        try:
            self.key.verify(encode_dss_signature(r, s), data, _ECDSA_SHA256)
        except InvalidSignature:
            return False
        return True


@lru_cache(maxsize=2048)
def _public_key(x: str, y: str) -> PublicKey:
    """Decode a point; remembered because one holder's or issuer's key is read many times."""
    try:
        coordinates = [b64url_decode(part, max_bytes=_COORDINATE_BYTES) for part in (x, y)]
    except StrictError:
        raise JoseError(JoseReason.BAD_KEY, "a coordinate is not 32 bytes of base64url") from None
    try:  # a coordinate that is shorter makes the point too short
        point = b"\x04" + b"".join(coordinates)
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise JoseError(JoseReason.BAD_KEY, "the point is not on P-256") from None
    # The coordinates are canonical, so they need not be taken out of the key object again.
    return PublicKey._of(key, x, y)


_PURPOSES: Mapping[str, tuple[str, frozenset[str]]] = {
    "sig": (ES256, frozenset({"verify"})),
    "enc": ("ECDH-ES", frozenset({"deriveKey", "deriveBits"})),
}


def _check_key_purpose(jwk: Mapping[str, JsonValue], purpose: Literal["sig", "enc"]) -> None:
    alg, operations = _PURPOSES[purpose]
    if jwk.get("use", purpose) != purpose:
        raise JoseError(JoseReason.BAD_KEY, "the key's use is another one")
    if jwk.get("alg", alg) != alg:
        raise JoseError(JoseReason.BAD_KEY, "the key is for another algorithm")
    if "key_ops" in jwk:
        key_ops = jwk["key_ops"]
        if not isinstance(key_ops, list) or not all(isinstance(item, str) for item in key_ops):
            raise JoseError(JoseReason.BAD_KEY, "key_ops is not a list of names")
        if len(set(key_ops)) != len(key_ops) or operations.isdisjoint(key_ops):
            raise JoseError(JoseReason.BAD_KEY, "key_ops does not allow this operation")


@dataclass(frozen=True)
class SigningKey:
    """A P-256 private key and its public half. Its text never shows the secret."""

    private: ec.EllipticCurvePrivateKey = field(compare=False, repr=False)
    public: PublicKey

    @classmethod
    def from_private(cls, private: ec.EllipticCurvePrivateKey) -> SigningKey:
        """Wrap a key object; JoseError bad_key unless it is on P-256."""
        return cls(private=private, public=PublicKey.from_key(private.public_key()))

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key from the system's randomness."""
        return cls.from_private(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_der(cls, pkcs8: bytes) -> SigningKey:
        """Read an unencrypted PKCS #8 key; JoseError bad_key for anything but P-256."""
        try:
            private = serialization.load_der_private_key(pkcs8, password=None)
        except Exception:  # noqa: BLE001 - the loader raises many kinds; none may carry key bytes onwards
            raise JoseError(JoseReason.BAD_KEY, "not a private key") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise JoseError(JoseReason.BAD_KEY, "the key is not EC P-256")
        return cls.from_private(private)

    def to_der(self) -> bytes:
        """Return the key as unencrypted PKCS #8, for the key store to wrap."""
        return self.private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def kid(self) -> str:
        """The key's id: the thumbprint of its public half."""
        return self.public.thumbprint

    def sign(self, data: bytes) -> bytes:
        """Return the ES256 signature of `data`, raw r‖s, 64 bytes."""
        return _ES256.sign(data, self.private)


@dataclass(frozen=True)
class CompactJws:
    """The parts of a compact JWS around any content, UNVERIFIED."""

    header: dict[str, JsonValue]
    payload: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    compact: str = field(repr=False)


@dataclass(frozen=True)
class ParsedJws:
    """What a token says, UNVERIFIED."""

    header: dict[str, JsonValue]
    claims: dict[str, JsonValue]
    signing_input: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    compact: str = field(repr=False)


_SEAL = object()


class VerifiedJwt:
    """A token whose signature was checked with `key`. Only this module makes one."""

    __slots__ = ("claims", "compact", "header", "key")

    def __init__(self, parsed: ParsedJws, key: PublicKey, *, _seal: object) -> None:
        if _seal is not _SEAL:
            raise TypeError("a VerifiedJwt comes from verify or verify_with_jwks only")
        self.header: dict[str, JsonValue] = parsed.header
        self.claims: dict[str, JsonValue] = parsed.claims
        self.compact = parsed.compact
        self.key = key

    def __repr__(self) -> str:
        return f"VerifiedJwt(typ={self.header.get('typ')!r})"


def split(token: str | bytes, *, max_bytes: int = MAX_TOKEN_BYTES) -> CompactJws:
    """Read the structure of a compact JWS around any content; nothing is verified.

    Raises:
        JoseError: too_large, malformed, bad_header (also `b64`, `zip`) or crit_not_understood.
    """
    return CompactJws(*_parts(token, max_bytes))


def parse(token: str | bytes, *, max_bytes: int = MAX_TOKEN_BYTES) -> ParsedJws:
    """Read a compact JWS with a JSON object inside, a JWT; nothing is verified.

    Raises:
        JoseError: as `split`; malformed also when the content is not a strict JSON object.
    """
    header, payload, signing_input, signature, compact = _parts(token, max_bytes)
    try:
        claims = loads_object(payload, max_bytes=max_bytes)
    except StrictError as error:
        raise JoseError(JoseReason.MALFORMED, f"the content is malformed: {error}") from None
    return ParsedJws(header, claims, signing_input, signature, compact)


def _parts(token: str | bytes, max_bytes: int) -> tuple[dict[str, JsonValue], bytes, bytes, bytes, str]:
    """Header, payload, signing input, signature and the whole text of a token."""
    text = _as_text(token, max_bytes)
    parts = text.split(".", 3)
    if len(parts) != 3:
        raise JoseError(JoseReason.MALFORMED, "a compact token has three parts")
    header = parse_header(parts[0])
    try:
        payload = b64url_decode(parts[1], max_bytes=max_bytes) if parts[1] else b""
        # An unsecured token has an empty signature; it is refused by its algorithm, with that reason.
        signature = b64url_decode(parts[2], max_bytes=max_bytes) if parts[2] else b""
    except StrictError as error:
        raise JoseError(JoseReason.MALFORMED, f"the token is malformed: {error}") from None
    signing_input = text[: len(parts[0]) + 1 + len(parts[1])].encode("ascii")
    return header, payload, signing_input, signature, text


def parse_header(part: str) -> dict[str, JsonValue]:
    """Read the protected header from its base64url text, within 8 KiB, and refuse what would change meaning.

    Raises:
        JoseError: too_large, bad_header or crit_not_understood.
    """
    # Copies, so that nobody changes what is remembered.
    return {
        name: value.copy() if isinstance(value, (list, dict)) else value
        for name, value in _header(part).items()
    }


@lru_cache(maxsize=256)
def _header(part: str) -> dict[str, JsonValue]:
    """Read a header, remembered by its text: all credentials of one issuer share theirs, chain and all.

    At most 256 times 8 KiB are kept; a refusal (an exception) is not.
    """
    try:
        header = loads_object(b64url_decode(part, max_bytes=MAX_HEADER_BYTES), max_bytes=MAX_HEADER_BYTES)
    except StrictError as error:
        reason = JoseReason.TOO_LARGE if error.code is StrictCode.TOO_LARGE else JoseReason.BAD_HEADER
        raise JoseError(reason, f"the header is malformed: {error}") from None
    if "crit" in header:
        raise JoseError(JoseReason.CRIT_NOT_UNDERSTOOD, "no critical header parameter is understood here")
    for name in _REFUSED_HEADERS:
        if name in header:
            raise JoseError(JoseReason.BAD_HEADER, f"the header parameter {name} is not accepted")
    if not isinstance(header.get("alg"), str):
        raise JoseError(JoseReason.BAD_HEADER, "the header names no algorithm")
    if "typ" in header and not isinstance(header["typ"], str):
        raise JoseError(JoseReason.BAD_HEADER, "typ is not text")
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS:
        raise JoseError(JoseReason.BAD_HEADER, "kid is not text of reasonable length")
    return header


def _as_text(token: str | bytes, max_bytes: int) -> str:
    if len(token) > max_bytes:
        raise JoseError(JoseReason.TOO_LARGE, f"the token is longer than {max_bytes} bytes")
    try:
        return token.decode("ascii") if isinstance(token, bytes) else token
    except UnicodeDecodeError:
        raise JoseError(JoseReason.MALFORMED, "the token is not ASCII") from None


def check_signature(token: CompactJws | ParsedJws, key: PublicKey) -> None:
    """Check algorithm and signature with one known key.

    Raises:
        JoseError: alg_not_allowed or bad_signature.
    """
    _check_alg(token.header)
    if not key.verifies(token.signing_input, token.signature):
        raise JoseError(JoseReason.BAD_SIGNATURE, "the signature does not match")


def verify(
    token: str | bytes | ParsedJws,
    key: PublicKey,
    *,
    typ: str | Collection[str],
    max_bytes: int = MAX_TOKEN_BYTES,
) -> VerifiedJwt:
    """Check algorithm, type and signature with one known key. Times and claims are the caller's to check.

    Raises:
        JoseError: what `parse` raises, alg_not_allowed, wrong_typ or bad_signature.
    """
    parsed = token if isinstance(token, ParsedJws) else parse(token, max_bytes=max_bytes)
    _check_alg(parsed.header)
    _check_typ(parsed.header, typ)
    check_signature(parsed, key)
    return VerifiedJwt(parsed, key, _seal=_SEAL)


def verify_with_jwks(
    token: str | bytes | ParsedJws,
    jwks: Mapping[str, Any] | Sequence[Mapping[str, JsonValue]],
    *,
    typ: str | Collection[str],
    max_bytes: int = MAX_TOKEN_BYTES,
) -> VerifiedJwt:
    """As `verify`, with the one key of `jwks` (a JWK Set or its list) that the token's `kid` names.

    Raises:
        JoseError: as `verify`; unknown_kid without a `kid` or a key for it; bad_key for an ambiguous or
            unusable key.
    """
    parsed = token if isinstance(token, ParsedJws) else parse(token, max_bytes=max_bytes)
    _check_alg(parsed.header)
    _check_typ(parsed.header, typ)
    return verify(parsed, choose_key(parsed.header, jwks), typ=typ)


def choose_key(
    header: Mapping[str, JsonValue], jwks: Mapping[str, Any] | Sequence[Mapping[str, JsonValue]]
) -> PublicKey:
    """Return the one key of `jwks` with the header's `kid`; the other keys are not even read.

    Raises:
        JoseError: unknown_kid, or bad_key when two keys share the kid or the key cannot verify.
    """
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise JoseError(JoseReason.UNKNOWN_KID, "the token names no key")
    named = [jwk for jwk in _keys_of(jwks) if jwk.get("kid") == kid]
    if not named:
        raise JoseError(JoseReason.UNKNOWN_KID, "the token names a key that is not known")
    if len(named) > 1:
        raise JoseError(JoseReason.BAD_KEY, "two keys share one kid")
    return PublicKey.from_jwk(named[0])


def _keys_of(jwks: object) -> Iterable[Mapping[str, JsonValue]]:
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else jwks
    if not isinstance(keys, list | tuple) or len(keys) > MAX_KEYS:
        raise JoseError(JoseReason.BAD_KEY, "not a key set of reasonable size")
    if not all(isinstance(jwk, Mapping) for jwk in keys):
        raise JoseError(JoseReason.BAD_KEY, "a key must be a JSON object")
    return keys


def _check_alg(header: Mapping[str, JsonValue]) -> None:
    if header.get("alg") != ES256:
        raise JoseError(JoseReason.ALG_NOT_ALLOWED, "only ES256 is accepted")


def _check_typ(header: Mapping[str, JsonValue], typ: str | Collection[str]) -> None:
    if header.get("typ") not in ((typ,) if isinstance(typ, str) else typ):
        raise JoseError(JoseReason.WRONG_TYP, "the token is of another type")


def check_times(
    claims: Mapping[str, JsonValue],
    *,
    now: datetime,
    leeway: timedelta = LEEWAY,
    require: Collection[str] = ("iat", "exp"),
) -> None:
    """Check `iat`, `nbf` and `exp` where present, and that those in `require` are.

    Raises:
        JoseError: missing_claim, bad_claim (not a NumericDate), expired, not_yet_valid, issued_in_future.
    """
    for name in require:
        if name not in claims:
            raise JoseError(JoseReason.MISSING_CLAIM, f"{name} is missing")
    seconds, tolerance = now.timestamp(), leeway.total_seconds()
    if "exp" in claims and seconds >= _date(claims, "exp") + tolerance:
        raise JoseError(JoseReason.EXPIRED, "the token has expired")
    if "nbf" in claims and seconds < _date(claims, "nbf") - tolerance:
        raise JoseError(JoseReason.NOT_YET_VALID, "the token is not valid yet")
    if "iat" in claims and seconds < _date(claims, "iat") - tolerance:
        raise JoseError(JoseReason.ISSUED_IN_FUTURE, "the token was issued in the future")


def _date(claims: Mapping[str, JsonValue], name: str) -> int:
    try:
        return numeric_date(claims[name])
    except StrictError:
        raise JoseError(JoseReason.BAD_CLAIM, f"{name} is not a date in seconds") from None


def sign(
    claims: Mapping[str, JsonValue],
    key: SigningKey,
    *,
    typ: str,
    kid: bool = True,
    headers: Mapping[str, JsonValue] | None = None,
) -> str:
    """Return a compact JWS of `claims` with header alg, typ, (kid) and `headers` (for instance x5c).

    Raises:
        ValueError: `headers` would replace alg or typ, or holds a parameter we refuse ourselves.
        StrictError: a claim has no JSON form.
    """
    extra = dict(headers or {})
    if not _OWN_HEADERS.isdisjoint(extra):
        raise ValueError("alg, typ, crit, b64 and zip are not a caller's headers")
    if not kid and extra.keys() == {"x5c"}:
        header = _chain_header(typ, tuple(extra["x5c"]))
    else:
        own = {"alg": ES256, "typ": typ, **({"kid": key.kid} if kid else {})}
        header = b64url_bytes(dumps({**own, **extra}))
    signing_input = header + b"." + b64url_bytes(dumps(dict(claims)))
    return (signing_input + b"." + b64url_bytes(key.sign(signing_input))).decode("ascii")


@lru_cache(maxsize=256)
def _chain_header(typ: str, x5c: tuple[str, ...]) -> bytes:
    """The header of everything one certified key signs, encoded once: the chain is most of its bytes."""
    return b64url_bytes(dumps({"alg": ES256, "typ": typ, "x5c": x5c}))
