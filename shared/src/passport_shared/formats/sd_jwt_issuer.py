"""Issuer's side of SD-JWT (RFC 9901 §5.1, §6.1): which claims are hidden behind digests, and the signing.

Salts are fresh 128-bit values; digests are sorted, which hides the order of the claims; decoys may be added.
Claims that say until when, for whom and about whom a token holds are never hidden. It does not know
credential types or certificates: ``sd_jwt_vc`` does.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from passport_shared.formats import jose, strict
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.sd_jwt_structure import (
    DEFAULT_LIMITS,
    ELLIPSIS,
    RESERVED_NAMES,
    SD,
    SD_ALG,
    SHA_256,
    SdJwtError,
    SdJwtReason,
    digest_of,
)

# SD-JWT VC -19 §2.2.2 forbids these in disclosures; `aud` limits use, and our policy adds `iat`, because the
# window in which an issuer was authorised is judged by it.
ALWAYS_PLAIN: Final = frozenset(
    {"iss", "iat", "nbf", "exp", "aud", "cnf", "vct", "vct#integrity", "aka_vcts", "status"}
)

SALT_BYTES: Final = 16
DisclosablePath = Sequence[str | int | None]
Randomness = Callable[[int], bytes]


def issue(
    claims: Mapping[str, Any],
    disclosable: Collection[DisclosablePath],
    key: SigningKey,
    *,
    typ: str = "dc+sd-jwt",
    headers: Mapping[str, Any] | None = None,
    decoys: int = 0,
    missing_ok: bool = False,
    randomness: Randomness = secrets.token_bytes,
) -> str:
    """Sign claims as an SD-JWT with all its disclosures; the result ends in ``~``.

    Args:
        claims: the full claims set, as a holder with every disclosure sees it.
        disclosable: paths of the claims to hide; a path step is a member name, an array index, or None for
            every element of an array. A parent and its child may both be named (recursive disclosure).
        key: the issuer's key; its ``kid`` goes into the header unless ``headers`` carry an ``x5c``.
        typ: media type of the issuer-signed JWT.
        headers: further header parameters, such as ``x5c``.
        decoys: digests without a disclosure, added to every object and array that hides something.
        missing_ok: a path that leads to nothing is skipped instead of refused.
        randomness: source of salts and decoys; only a generator of test vectors passes another one.

    Raises:
        SdJwtError: a path leads to nothing or to a claim that must stay plain, a claim has a reserved name,
            or there are more disclosures than a verifier accepts.
    """
    hiding = _Hiding(decoys, randomness)
    payload = hiding.object(claims, _tree(claims, disclosable, missing_ok=missing_ok), depth=1)
    if len(hiding.disclosures) > DEFAULT_LIMITS.max_disclosures:
        raise SdJwtError(SdJwtReason.TOO_MANY_DISCLOSURES)
    if hiding.disclosures:
        payload[SD_ALG] = SHA_256
    has_chain = headers is not None and "x5c" in headers
    issuer_jwt = jose.sign(payload, key, typ=typ, kid=not has_chain, headers=headers)
    token = "~".join([issuer_jwt, *hiding.disclosures, ""])
    if len(token) > DEFAULT_LIMITS.max_bytes:
        raise SdJwtError(SdJwtReason.TOO_LARGE)
    return token


class _Node:
    """A place in the claims on the way to, or at, something to hide."""

    __slots__ = ("children", "hidden")

    def __init__(self) -> None:
        self.hidden = False
        self.children: dict[str | int, _Node] = {}

    def child(self, step: str | int) -> _Node:
        node = self.children.get(step)
        if node is None:
            node = self.children[step] = _Node()
        return node


_NOTHING_HIDDEN: Final = _Node()


def _tree(claims: Mapping[str, Any], paths: Collection[DisclosablePath], *, missing_ok: bool) -> _Node:
    root = _Node()
    for path in paths:
        if not path:
            raise SdJwtError(SdJwtReason.PATH_NOT_FOUND, "an empty path names no claim")
        if path[0] in ALWAYS_PLAIN:
            raise SdJwtError(SdJwtReason.CLAIM_MUST_STAY_PLAIN, str(path[0]))
        if not _mark(root, claims, path, 0) and not missing_ok:
            raise SdJwtError(SdJwtReason.PATH_NOT_FOUND, "/".join(map(str, path)))
    return root


def _mark(node: _Node, value: Any, path: DisclosablePath, at: int) -> bool:
    """Mark the places a path leads to; True if it led somewhere.

    Under None one element that has the rest of the path is enough, and so is an empty array.
    """
    if at == len(path):
        node.hidden = True
        return True
    step = path[at]
    if step is None and type(value) is list:
        found = [_mark(node.child(index), item, path, at + 1) for index, item in enumerate(value)]
        return not found or any(found)
    if isinstance(step, str) and isinstance(value, Mapping) and step in value:
        return _mark(node.child(step), value[step], path, at + 1)
    if type(step) is int and type(value) is list and 0 <= step < len(value):
        return _mark(node.child(step), value[step], path, at + 1)
    return False


class _Hiding:
    """One pass over the claims that replaces what is hidden by digests and collects the disclosures."""

    __slots__ = ("_decoys", "_randomness", "disclosures")

    def __init__(self, decoys: int, randomness: Randomness) -> None:
        self._decoys = decoys
        self._randomness = randomness
        self.disclosures: list[str] = []

    def value(self, value: Any, node: _Node, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self.object(value, node, depth)
        if isinstance(value, list | tuple):
            return self.array(value, node, depth)
        return value

    def object(self, claims: Mapping[str, Any], node: _Node, depth: int) -> dict[str, Any]:
        self._check_depth(depth)
        plain: dict[str, Any] = {}
        digests: list[str] = []
        for name, value in claims.items():
            if name in RESERVED_NAMES:
                raise SdJwtError(SdJwtReason.CLAIM_NAME_RESERVED, name)
            child = node.children.get(name, _NOTHING_HIDDEN)
            inner = self.value(value, child, depth + 1)
            if child.hidden:
                digests.append(self._disclosure([self._salt(), name, inner]))
            else:
                plain[name] = inner
        if digests:
            digests += [self._decoy() for _ in range(self._decoys)]
            plain[SD] = sorted(digests)
        return plain

    def array(self, elements: Sequence[Any], node: _Node, depth: int) -> list[Any]:
        self._check_depth(depth)
        out: list[Any] = []
        hides = False
        for index, value in enumerate(elements):
            child = node.children.get(index, _NOTHING_HIDDEN)
            inner = self.value(value, child, depth + 1)
            if child.hidden:
                hides = True
                out.append({ELLIPSIS: self._disclosure([self._salt(), inner])})
            else:
                out.append(inner)
        for _ in range(self._decoys if hides else 0):
            # Elements keep their order, so a decoy goes to a random place between them.
            place = int.from_bytes(self._randomness(4), "big") % (len(out) + 1)
            out.insert(place, {ELLIPSIS: self._decoy()})
        return out

    def _disclosure(self, content: list[Any]) -> str:
        encoded = strict.b64url_encode(strict.dumps(content))
        self.disclosures.append(encoded)
        return digest_of(encoded)

    def _salt(self) -> str:
        return strict.b64url_encode(self._randomness(SALT_BYTES))

    def _decoy(self) -> str:
        return digest_of(strict.b64url_encode(self._randomness(32)))

    def _check_depth(self, depth: int) -> None:
        if depth > DEFAULT_LIMITS.max_depth:
            raise SdJwtError(SdJwtReason.TOO_DEEP)
