"""Issuer's side of SD-JWT (RFC 9901 §5.1, §6.1): which claims are hidden behind digests, and the signing.

Salts are fresh 144-bit values; digests are sorted, which hides the order of the claims; decoys may be added.
Claims that say until when, for whom and about whom a token holds are never hidden. It does not know
credential types or certificates: ``sd_jwt_vc`` does.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
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

# 144 bits, more than the 128 recommended (RFC 9901 §9.3), because they are 24 characters without a rest.
SALT_BYTES: Final = 18
SALT_CHARS: Final = 24
SALTS_AT_ONCE: Final = 16
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
    tree = _compiled(tuple(map(tuple, disclosable)))
    hiding = _Hiding(decoys, randomness)
    payload = hiding.object(claims, (tree,), 1)
    if not missing_ok and not tree.wanted <= hiding.met:
        missing = next(node for node in tree.wanted if node not in hiding.met)
        raise SdJwtError(SdJwtReason.PATH_NOT_FOUND, "/".join(map(str, missing.path)))
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
    """A place on the way to, or at, something to hide; a child under None stands for every element."""

    __slots__ = ("children", "hidden", "lead", "path", "wanted")

    def __init__(self, path: tuple[str | int | None, ...]) -> None:
        self.path = path
        name = path[-1] if path else None
        self.lead = strict.dumps(name) + b"," if isinstance(name, str) else b""
        """What stands before the value in a disclosure: the name of an object's member."""
        self.hidden = False
        self.children: dict[str | int | None, _Node] = {}
        self.wanted: frozenset[_Node] = frozenset()


@lru_cache(maxsize=256)
def _compiled(paths: tuple[tuple[str | int | None, ...], ...]) -> _Node:
    """Make a tree of the paths; remembered, because a credential type always hides the same ones."""
    root = _Node(())
    for path in paths:
        if not path:
            raise SdJwtError(SdJwtReason.PATH_NOT_FOUND, "an empty path names no claim")
        if path[0] in ALWAYS_PLAIN:
            raise SdJwtError(SdJwtReason.CLAIM_MUST_STAY_PLAIN, str(path[0]))
        if not all(step is None or type(step) is int or isinstance(step, str) for step in path):
            raise SdJwtError(SdJwtReason.PATH_NOT_FOUND, "a step is a name, an index or None")
        node = root
        for length, step in enumerate(path, start=1):
            if step not in node.children:
                node.children[step] = _Node(path[:length])
            node = node.children[step]
        node.hidden = True
    _collect_wanted(root)
    return root


def _collect_wanted(node: _Node) -> frozenset[_Node]:
    """Note at every place which hidden ones stand at or beneath it."""
    beneath = frozenset[_Node]().union(*map(_collect_wanted, node.children.values()))
    node.wanted = beneath | {node} if node.hidden else beneath
    return node.wanted


_Nodes = tuple[_Node, ...]
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


class _Hiding:
    """One pass over the claims that replaces what is hidden by digests and collects the disclosures.

    Each place in the claims is walked with the nodes of the tree that stand for it: none, one, or several
    where an index and "every element" meet. ``met`` holds the nodes that were found to stand for something.
    """

    __slots__ = ("_decoys", "_randomness", "_salts", "disclosures", "met")

    def __init__(self, decoys: int, randomness: Randomness) -> None:
        self._decoys = decoys
        self._randomness = randomness
        self._salts: list[bytes] = []
        self.disclosures: list[str] = []
        self.met: set[_Node] = set()

    def value(self, value: Any, nodes: _Nodes, depth: int) -> Any:
        if type(value) in _SCALARS:
            return value
        if isinstance(value, Mapping):
            return self.object(value, nodes, depth)
        if isinstance(value, (list, tuple)):
            return self.array(value, nodes, depth)
        return value

    def object(self, claims: Mapping[str, Any], nodes: _Nodes, depth: int) -> dict[str, Any]:
        self._check_depth(depth)
        plain: dict[str, Any] = {}
        digests: list[str] = []
        for name, value in claims.items():
            if name in RESERVED_NAMES:
                raise SdJwtError(SdJwtReason.CLAIM_NAME_RESERVED, name)
            here = tuple([node.children[name] for node in nodes if name in node.children]) if nodes else nodes
            inner = value if type(value) in _SCALARS else self.value(value, here, depth + 1)
            if here and self._is_hidden(here):
                digests.append(self._disclose(here[0].lead + strict.dumps(inner)))
            else:
                plain[name] = inner
        if digests:
            digests += [self._decoy() for _ in range(self._decoys)]
            plain[SD] = sorted(digests)
        return plain

    def array(self, elements: Sequence[Any], nodes: _Nodes, depth: int) -> list[Any]:
        self._check_depth(depth)
        out: list[Any] = []
        hides = False
        if nodes and not elements:
            # Every element of an empty array is hidden already.
            self.met.update(*(node.children[None].wanted for node in nodes if None in node.children))
        for index, value in enumerate(elements):
            here = tuple(
                [node.children[step] for node in nodes for step in (index, None) if step in node.children]
            )
            inner = self.value(value, here, depth + 1)
            if here and self._is_hidden(here):
                hides = True
                out.append({ELLIPSIS: self._disclose(strict.dumps(inner))})
            else:
                out.append(inner)
        for _ in range(self._decoys if hides else 0):
            # Elements keep their order, so a decoy goes to a random place between them.
            place = int.from_bytes(self._randomness(4), "big") % (len(out) + 1)
            out.insert(place, {ELLIPSIS: self._decoy()})
        return out

    def _is_hidden(self, nodes: _Nodes) -> bool:
        if len(nodes) == 1 and nodes[0].hidden:
            self.met.add(nodes[0])
            return True
        hidden = False
        for node in nodes:
            if node.hidden:
                self.met.add(node)
                hidden = True
        return hidden

    def _disclose(self, content: bytes) -> str:
        encoded = strict.b64url_bytes(b'["' + self._salt() + b'",' + content + b"]")
        self.disclosures.append(encoded.decode("ascii"))
        return strict.b64url_encode(hashlib.sha256(encoded).digest())

    def _salt(self) -> bytes:
        if not self._salts:
            # One call for many: each asks the operating system.
            drawn = strict.b64url_encode(self._randomness(SALT_BYTES * SALTS_AT_ONCE)).encode("ascii")
            self._salts = [drawn[at : at + SALT_CHARS] for at in range(0, len(drawn), SALT_CHARS)]
        return self._salts.pop()

    def _decoy(self) -> str:
        return digest_of(strict.b64url_encode(self._randomness(32)))

    def _check_depth(self, depth: int) -> None:
        if depth > DEFAULT_LIMITS.max_depth:
            raise SdJwtError(SdJwtReason.TOO_DEEP)
