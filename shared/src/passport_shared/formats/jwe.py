"""Encrypted tokens: JWE compact form, ECDH-ES on P-256 straight to A128GCM or A256GCM (RFC 7516, HAIP 1.0).

Everything that could make decryption cost or mean something else is refused before any cryptography runs:
other algorithms, `zip` (decompression bombs), `p2c` (unbounded password hashing), `crit`, an encrypted key
where there is none, an `epk` that is not a point on P-256. Decryption proves nothing about who sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from joserfc import jwe as _jwe  # noqa: TID251 - JWE is reached through this module
from joserfc.errors import JoseError as _JoserfcError  # noqa: TID251
from joserfc.jwk import ECKey  # noqa: TID251

from passport_shared.formats.jose import JoseError, PublicKey, SigningKey
from passport_shared.formats.strict import (
    JsonValue,
    StrictCode,
    StrictError,
    b64url_decode,
    b64url_encode,
    loads_object,
)

ALG: Final = "ECDH-ES"
ENC: Final = ("A128GCM", "A256GCM")
MAX_TOKEN_BYTES = 262_144
MAX_HEADER_BYTES = 8_192
MAX_PARTY_INFO_BYTES = 512
MAX_KID_CHARS = 512

_IV_BYTES = 12
_TAG_BYTES = 16
_REFUSED_HEADERS = ("zip", "p2c", "p2s", "b64")


class JweReason(StrEnum):
    """Why an encrypted token was refused."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    BAD_HEADER = "bad_header"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    ENC_NOT_ALLOWED = "enc_not_allowed"
    PARAMETER_NOT_ALLOWED = "parameter_not_allowed"
    CRIT_NOT_UNDERSTOOD = "crit_not_understood"
    BAD_EPHEMERAL_KEY = "bad_ephemeral_key"
    BAD_PARTY_INFO = "bad_party_info"
    DECRYPTION_FAILED = "decryption_failed"


class JweError(ValueError):
    """An encrypted token was refused; `reason` says why. The message never repeats the token."""

    def __init__(self, reason: JweReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class DecryptedJwe:
    """The protected header and the plaintext of a token that decrypted."""

    header: dict[str, JsonValue]
    plaintext: bytes = field(repr=False)


class _Registry(_jwe.JWERegistry):
    """joserfc's limits, opened to ours: the token was measured before it gets here."""

    max_protected_header_length = MAX_HEADER_BYTES * 2
    max_ciphertext_length = MAX_TOKEN_BYTES


_REGISTRY = _Registry(algorithms=[ALG, *ENC], strict_check_header=False)


def encrypt(
    plaintext: bytes,
    recipient: PublicKey,
    *,
    kid: str,
    enc: str = "A128GCM",
    apu: bytes | None = None,
    apv: bytes | None = None,
) -> str:
    """Encrypt to a P-256 key with a fresh ephemeral key and return the compact token.

    `apu` and `apv` are RFC 7518 §4.6.1 party information, bytes.

    Raises:
        JweError: enc_not_allowed.
    """
    if enc not in ENC:
        raise JweError(JweReason.ENC_NOT_ALLOWED, "only A128GCM and A256GCM are offered")
    header: dict[str, JsonValue] = {"alg": ALG, "enc": enc, "kid": kid}
    for name, value in (("apu", apu), ("apv", apv)):
        if value:  # absent and empty mean the same (RFC 7518 §4.6.2), and only absent has a canonical form
            header[name] = b64url_encode(value)
    # joserfc writes the ephemeral key into the dictionary it is given; this one is nobody else's.
    return _jwe.encrypt_compact(header, plaintext, ECKey.import_key(recipient.key), registry=_REGISTRY)


def peek_header(token: str | bytes, *, max_bytes: int = MAX_TOKEN_BYTES) -> dict[str, JsonValue]:
    """Return the checked protected header of a compact token, to find the key by its `kid`. UNVERIFIED.

    Raises:
        JweError: every reason but decryption_failed.
    """
    return _own(_checked_header(_split(token, max_bytes)[0]))


def decrypt(token: str | bytes, key: SigningKey, *, max_bytes: int = MAX_TOKEN_BYTES) -> DecryptedJwe:
    """Decrypt a compact token with a P-256 private key.

    Raises:
        JweError: any reason; decryption_failed for a wrong key and for any changed byte alike.
    """
    parts = _split(token, max_bytes)
    header = _checked_header(parts[0])
    _check_segments(parts)
    try:
        result = _jwe.decrypt_compact(".".join(parts), ECKey.import_key(key.private), registry=_REGISTRY)
    except (_JoserfcError, ValueError, TypeError, KeyError, AssertionError):
        raise JweError(JweReason.DECRYPTION_FAILED, "the token does not decrypt with this key") from None
    if result.plaintext is None:
        raise JweError(JweReason.DECRYPTION_FAILED, "the token does not decrypt with this key")
    return DecryptedJwe(_own(header), result.plaintext)


def _own(header: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A copy with its ephemeral key, so that nobody changes what is remembered."""
    return {
        name: value.copy() if isinstance(value, (list, dict)) else value for name, value in header.items()
    }


def _split(token: str | bytes, max_bytes: int) -> list[str]:
    if len(token) > max_bytes:
        raise JweError(JweReason.TOO_LARGE, f"the token is longer than {max_bytes} bytes")
    try:
        text = token.decode("ascii") if isinstance(token, bytes) else token
    except UnicodeDecodeError:
        raise JweError(JweReason.MALFORMED, "the token is not ASCII") from None
    parts = text.split(".", 5)
    if len(parts) != 5:
        raise JweError(JweReason.MALFORMED, "a compact token has five parts")
    return parts


def _check_segments(parts: list[str]) -> None:
    """Check the binary parts, so that joserfc's lenient decoder sees canonical base64url only."""
    _, encrypted_key, iv, ciphertext, tag = parts
    if encrypted_key:
        raise JweError(JweReason.MALFORMED, "direct key agreement has no encrypted key")
    try:
        if len(b64url_decode(iv)) != _IV_BYTES or len(b64url_decode(tag)) != _TAG_BYTES:
            raise JweError(JweReason.MALFORMED, "the initialization vector or the tag has a wrong length")
        if ciphertext:
            b64url_decode(ciphertext)
    except StrictError as error:
        raise JweError(JweReason.MALFORMED, f"the token is malformed: {error}") from None


@lru_cache(maxsize=64)
def _checked_header(part: str) -> dict[str, JsonValue]:
    """Read a header; remembered, because whoever looks for the key by it decrypts with it next.

    At most 64 times 11 KiB of text are kept; a refusal (an exception) is not.
    """
    try:
        header = loads_object(b64url_decode(part, max_bytes=MAX_HEADER_BYTES), max_bytes=MAX_HEADER_BYTES)
    except StrictError as error:
        reason = JweReason.TOO_LARGE if error.code is StrictCode.TOO_LARGE else JweReason.BAD_HEADER
        raise JweError(reason, f"the header is malformed: {error}") from None
    if "crit" in header:
        raise JweError(JweReason.CRIT_NOT_UNDERSTOOD, "no critical header parameter is understood here")
    for name in _REFUSED_HEADERS:
        if name in header:
            raise JweError(JweReason.PARAMETER_NOT_ALLOWED, f"the header parameter {name} is not accepted")
    if header.get("alg") != ALG:
        raise JweError(JweReason.ALG_NOT_ALLOWED, "only ECDH-ES is accepted")
    if header.get("enc") not in ENC:
        raise JweError(JweReason.ENC_NOT_ALLOWED, "only A128GCM and A256GCM are accepted")
    kid = header.get("kid", "")
    if not isinstance(kid, str) or len(kid) > MAX_KID_CHARS:
        raise JweError(JweReason.BAD_HEADER, "kid is not text of reasonable length")
    _check_agreement(header)
    return header


def _check_agreement(header: Mapping[str, JsonValue]) -> None:
    epk = header.get("epk")
    try:
        PublicKey.from_jwk(epk if isinstance(epk, dict) else {}, purpose="enc")
    except JoseError as error:
        raise JweError(JweReason.BAD_EPHEMERAL_KEY, f"the ephemeral key is unusable: {error}") from None
    for name in ("apu", "apv"):
        if name not in header:
            continue
        try:
            b64url_decode(header[name], max_bytes=MAX_PARTY_INFO_BYTES)
        except StrictError as error:
            raise JweError(JweReason.BAD_PARTY_INFO, f"{name} is malformed: {error}") from None
