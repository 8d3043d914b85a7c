"""Structure of an SD-JWT and the processing of its disclosures (RFC 9901 §4 and §7.1).

``parse`` takes `<issuer JWT>~<disclosure>~…~[<KB-JWT>]` apart; ``disclose`` puts the disclosed claims where
their digests stand. Every rule that a token can break has its own ``SdJwtReason``.

It does not check any signature, time or key binding (``sd_jwt_vc`` does), and it knows the compact form only:
the JSON serialisation is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from passport_shared.formats import jose, strict
from passport_shared.formats.jose import JoseError, JoseReason, ParsedJws
from passport_shared.formats.strict import JsonValue, StrictCode, StrictError

SD: Final = "_sd"
SD_ALG: Final = "_sd_alg"
ELLIPSIS: Final = "..."
SHA_256: Final = "sha-256"
RESERVED_NAMES: Final = frozenset({SD, SD_ALG, ELLIPSIS})

Path = tuple[str | int, ...]


class SdJwtReason(StrEnum):
    """Why an SD-JWT, or a wish to make one, is refused; one member per rule of RFC 9901 and per limit."""

    TOO_LARGE = "too_large"
    NOT_ASCII = "not_ascii"
    NOT_SD_JWT = "not_sd_jwt"
    EMPTY_PART = "empty_part"
    TOO_MANY_DISCLOSURES = "too_many_disclosures"
    TOO_DEEP = "too_deep"
    ISSUER_JWT_MALFORMED = "issuer_jwt_malformed"
    CRITICAL_HEADER = "critical_header"
    SD_ALG_NOT_ALLOWED = "sd_alg_not_allowed"
    SD_ALG_NESTED = "sd_alg_nested"
    DISCLOSURE_NOT_BASE64URL = "disclosure_not_base64url"
    DISCLOSURE_NOT_JSON = "disclosure_not_json"
    DISCLOSURE_NOT_ARRAY = "disclosure_not_array"
    DISCLOSURE_WRONG_LENGTH = "disclosure_wrong_length"
    DISCLOSURE_SALT_NOT_STRING = "disclosure_salt_not_string"
    CLAIM_NAME_NOT_STRING = "claim_name_not_string"
    CLAIM_NAME_RESERVED = "claim_name_reserved"
    CLAIM_NAME_COLLISION = "claim_name_collision"
    PROPERTY_DISCLOSURE_EXPECTED = "property_disclosure_expected"
    ELEMENT_DISCLOSURE_EXPECTED = "element_disclosure_expected"
    SD_NOT_ARRAY_OF_STRINGS = "sd_not_array_of_strings"
    PLACEHOLDER_MALFORMED = "placeholder_malformed"
    PLACEHOLDER_OUTSIDE_ARRAY = "placeholder_outside_array"
    DIGEST_REPEATED = "digest_repeated"
    DISCLOSURE_REPEATED = "disclosure_repeated"
    DISCLOSURE_UNREFERENCED = "disclosure_unreferenced"
    # Only the issuer's and the holder's own mistakes below this line.
    CLAIM_MUST_STAY_PLAIN = "claim_must_stay_plain"
    PATH_NOT_FOUND = "path_not_found"
    KEY_BINDING_PRESENT = "key_binding_present"


class SdJwtError(ValueError):
    """An SD-JWT broke a rule; ``reason`` says which, ``detail`` helps a person and holds no claim values."""

    def __init__(self, reason: SdJwtReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a token is looked at before it is refused."""

    max_bytes: int = 65_536
    max_disclosures: int = 64
    max_depth: int = 32


DEFAULT_LIMITS: Final = Limits()


class Disclosure(NamedTuple):
    """One disclosure as received: its exact text, the digest of that text, and what it says.

    ``name`` is None for an array element. A tuple, because up to 64 are made for each credential.
    """

    encoded: str
    digest: str
    name: str | None
    value: JsonValue


@dataclass(frozen=True, slots=True)
class SdJwt:
    """The parts of an SD-JWT; UNVERIFIED, nothing in it may be relied on.

    ``presented`` is everything up to and including the last ``~`` before the key binding: the exact text that
    ``sd_hash`` is computed over. ``key_binding`` is None for an SD-JWT that ends in ``~``.
    """

    issuer_jwt: ParsedJws
    disclosures: tuple[Disclosure, ...]
    key_binding: str | None
    presented: str
    max_depth: int

    @property
    def sd_hash(self) -> str:
        """Base64url SHA-256 over ``presented``."""
        return digest_of(self.presented)


@dataclass(frozen=True, slots=True)
class Disclosed:
    """Processed claims, and for each disclosure the path at which it stands in them."""

    claims: dict[str, Any]
    placed: dict[Path, Disclosure]


def digest_of(text: str) -> str:
    """Base64url SHA-256 of an ASCII text: of a disclosure as sent, or of a presentation."""
    return strict.b64url_encode(hashlib.sha256(text.encode("ascii")).digest())


def parse(token: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> SdJwt:
    """Take a compact SD-JWT or SD-JWT+KB apart; checks form and limits only.

    Raises:
        SdJwtError: the token is not of this form, or a disclosure in it is not a disclosure.
    """
    text = _ascii(token, limits)
    # 1. size and shape, before anything is decoded
    presented, separator, last = text.rpartition("~")
    if not separator:
        raise SdJwtError(SdJwtReason.NOT_SD_JWT, "there is no ~ in the token")
    issuer_jwt, *encoded = presented.split("~")
    if len(encoded) > limits.max_disclosures:
        raise SdJwtError(SdJwtReason.TOO_MANY_DISCLOSURES, f"more than {limits.max_disclosures} disclosures")
    if not issuer_jwt or not all(encoded):
        raise SdJwtError(SdJwtReason.EMPTY_PART, "a part between two ~ is empty")
    # 2. the issuer-signed JWT, then each disclosure
    jws = _issuer_jwt(issuer_jwt, limits)
    disclosures = tuple([parse_disclosure(part, limits=limits) for part in encoded])
    return SdJwt(
        issuer_jwt=jws,
        disclosures=disclosures,
        key_binding=last or None,
        presented=presented + separator,
        max_depth=limits.max_depth,
    )


def _ascii(token: str | bytes, limits: Limits) -> str:
    if len(token) > limits.max_bytes:
        raise SdJwtError(SdJwtReason.TOO_LARGE, f"more than {limits.max_bytes} bytes")
    if not token.isascii():
        raise SdJwtError(SdJwtReason.NOT_ASCII, "a compact SD-JWT is ASCII")
    return token if isinstance(token, str) else token.decode("ascii")


def _issuer_jwt(text: str, limits: Limits) -> ParsedJws:
    try:
        return jose.parse(text, max_bytes=limits.max_bytes)
    except JoseError as error:
        if error.reason is JoseReason.CRIT_NOT_UNDERSTOOD:
            raise SdJwtError(SdJwtReason.CRITICAL_HEADER, str(error)) from None
        raise SdJwtError(SdJwtReason.ISSUER_JWT_MALFORMED, str(error)) from None


def parse_disclosure(encoded: str, *, limits: Limits = DEFAULT_LIMITS) -> Disclosure:
    """Decode one disclosure (RFC 9901 §4.2): ``[salt, name, value]`` or ``[salt, value]``.

    Raises:
        SdJwtError: it is not strict base64url of strict JSON of one of the two shapes.
    """
    try:
        decoded = strict.loads(
            strict.b64url_decode(encoded), max_bytes=limits.max_bytes, max_depth=limits.max_depth
        )
    except StrictError as error:
        raise SdJwtError(_DISCLOSURE_FAULTS.get(error.code, SdJwtReason.DISCLOSURE_NOT_JSON)) from None
    if type(decoded) is not list:
        raise SdJwtError(SdJwtReason.DISCLOSURE_NOT_ARRAY)
    name: str | None
    if len(decoded) == 3:
        salt, name, value = decoded
        if type(name) is not str:
            raise SdJwtError(SdJwtReason.CLAIM_NAME_NOT_STRING)
        if name in RESERVED_NAMES:
            raise SdJwtError(SdJwtReason.CLAIM_NAME_RESERVED)
    elif len(decoded) == 2:
        salt, value = decoded
        name = None
    else:
        raise SdJwtError(SdJwtReason.DISCLOSURE_WRONG_LENGTH, f"{len(decoded)} elements, not 3 or 2")
    if type(salt) is not str:
        raise SdJwtError(SdJwtReason.DISCLOSURE_SALT_NOT_STRING)
    return Disclosure(encoded, digest_of(encoded), name, value)


_DISCLOSURE_FAULTS: Final[Mapping[StrictCode, SdJwtReason]] = {
    StrictCode.BAD_BASE64URL: SdJwtReason.DISCLOSURE_NOT_BASE64URL,
    StrictCode.TOO_DEEP: SdJwtReason.TOO_DEEP,
    StrictCode.TOO_LARGE: SdJwtReason.TOO_LARGE,
}


def process(sd_jwt: SdJwt) -> dict[str, Any]:
    """Return the processed claims of an SD-JWT (RFC 9901 §7.1 step 3); see ``disclose``."""
    return disclose(sd_jwt).claims


def disclose(sd_jwt: SdJwt) -> Disclosed:
    """Put every disclosed claim in its place and remove what stays hidden (RFC 9901 §7.1 step 3).

    The security contract: each disclosure is referenced by exactly one digest of the issuer-signed payload
    or of a disclosure that is itself referenced; no digest occurs twice; no claim overwrites another. The
    caller MUST have checked the issuer's signature, and validates the claims themselves.

    Raises:
        SdJwtError: one of these rules is broken; nothing is returned in part.
    """
    claims = sd_jwt.issuer_jwt.claims
    if SD_ALG in claims and claims[SD_ALG] != SHA_256:
        raise SdJwtError(SdJwtReason.SD_ALG_NOT_ALLOWED, "only sha-256 is allowed")
    by_digest = {disclosure.digest: disclosure for disclosure in sd_jwt.disclosures}
    if len(by_digest) != len(sd_jwt.disclosures):
        raise SdJwtError(SdJwtReason.DISCLOSURE_REPEATED)
    walk = _Walk(by_digest, sd_jwt.max_depth)
    processed = walk.object(claims, (), 1)
    if len(walk.placed) != len(by_digest):
        raise SdJwtError(SdJwtReason.DISCLOSURE_UNREFERENCED)
    return Disclosed(processed, walk.placed)


class _Walk:
    """One pass over a payload: copies it, following digests, and remembers each digest it has met."""

    __slots__ = ("_by_digest", "_max_depth", "_met", "placed")

    def __init__(self, by_digest: dict[str, Disclosure], max_depth: int) -> None:
        self._by_digest = by_digest
        self._max_depth = max_depth
        self._met: set[str] = set()
        self.placed: dict[Path, Disclosure] = {}

    def value(self, value: Any, path: Path, depth: int) -> Any:
        if type(value) is dict:
            return self.object(value, path, depth)
        if type(value) is list:
            return self.array(value, path, depth)
        return value

    def object(self, node: dict[str, Any], path: Path, depth: int) -> dict[str, Any]:
        self._check_depth(depth)
        out: dict[str, Any] = {}
        for name, value in node.items():
            if name in RESERVED_NAMES:
                self._check_reserved(name, at_top=not path)
            elif type(value) is dict or type(value) is list:
                out[name] = self.value(value, (*path, name), depth + 1)
            else:
                out[name] = value
        if SD in node:
            self._properties(node[SD], out, path, depth)
        return out

    def _check_reserved(self, name: str, *, at_top: bool) -> None:
        if name == ELLIPSIS:
            raise SdJwtError(SdJwtReason.PLACEHOLDER_OUTSIDE_ARRAY)
        if name == SD_ALG and not at_top:
            raise SdJwtError(SdJwtReason.SD_ALG_NESTED)

    def _properties(self, digests: Any, out: dict[str, Any], path: Path, depth: int) -> None:
        if type(digests) is not list:
            raise SdJwtError(SdJwtReason.SD_NOT_ARRAY_OF_STRINGS)
        for digest in digests:
            if type(digest) is not str:
                raise SdJwtError(SdJwtReason.SD_NOT_ARRAY_OF_STRINGS)
            disclosure = self._meet(digest)
            if disclosure is None:
                continue
            _, _, name, value = disclosure
            if name is None:
                raise SdJwtError(SdJwtReason.PROPERTY_DISCLOSURE_EXPECTED)
            if name in out:
                raise SdJwtError(SdJwtReason.CLAIM_NAME_COLLISION)
            here = (*path, name)
            self.placed[here] = disclosure
            nested = type(value) is dict or type(value) is list
            out[name] = self.value(value, here, depth + 1) if nested else value

    def array(self, node: list[Any], path: Path, depth: int) -> list[Any]:
        self._check_depth(depth)
        out: list[Any] = []
        for element in node:
            here = (*path, len(out))
            if type(element) is not dict or ELLIPSIS not in element:
                out.append(self.value(element, here, depth + 1))
                continue
            disclosure = self._meet(self._placeholder(element))
            if disclosure is None:
                continue
            if disclosure.name is not None:
                raise SdJwtError(SdJwtReason.ELEMENT_DISCLOSURE_EXPECTED)
            self.placed[here] = disclosure
            out.append(self.value(disclosure.value, here, depth + 1))
        return out

    def _placeholder(self, element: dict[str, Any]) -> str:
        digest = element[ELLIPSIS]
        if len(element) != 1 or type(digest) is not str:
            raise SdJwtError(SdJwtReason.PLACEHOLDER_MALFORMED)
        return digest

    def _meet(self, digest: str) -> Disclosure | None:
        """The disclosure of a digest met for the first time; None if it is withheld or a decoy."""
        if digest in self._met:
            raise SdJwtError(SdJwtReason.DIGEST_REPEATED)
        self._met.add(digest)
        return self._by_digest.get(digest)

    def _check_depth(self, depth: int) -> None:
        if depth > self._max_depth:
            raise SdJwtError(SdJwtReason.TOO_DEEP, f"deeper than {self._max_depth} levels")
