"""Valid input of three producers in many variations: what must never be refused (security.md R2).

Claims are nested by chance, hidden in any combination (a parent and its child too), with and without decoys;
the clocks of issuer and wallet stand up to 60 seconds before or behind ours. Producers: our own issuer and
holder, PyPI ``sd-jwt``, and npm ``@sd-jwt/sd-jwt-vc`` through the Node peer.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer

from passport_shared.formats import sd_jwt, strict
from passport_shared.formats.sd_jwt_vc import issue_credential
from passport_shared.formats.status_list import read_token
from passport_testkit import credentials as sd
from passport_testkit.clock import NOON
from passport_testkit.keys import private_jwk
from passport_testkit.node import NodePeer

MAX_LEVELS = 5
WORDS = ("Dovecote", "Siân", "O’Hara", "北京", "a b", "", "😀", '"quoted"', "\\", "1", "_", "é" * 40)


@dataclass(frozen=True)
class Case:
    """Claims, what of them is hidden, what is shown, and how the clocks stand."""

    claims: dict[str, Any]
    hidden: tuple[tuple[str | int, ...], ...]
    shown: tuple[tuple[str | int, ...], ...]
    decoys: int
    wallet_clock_s: int


def cases(seed: int, count: int) -> Iterator[Case]:
    """The cases of a seed."""
    for number in range(count):
        yield _case(random.Random(f"{seed}/{number}"))  # noqa: S311 - one number, one case


def _case(source: random.Random) -> Case:
    issuer_clock_s = source.choice((-60, -59, -1, 0, 1, 59, 60))
    own = {f"c{number}": _value(source, 0) for number in range(source.randrange(1, 6))}
    own |= {
        "given_name": source.choice(WORDS),
        "list": [_value(source, 2) for _ in range(source.randrange(4))],
    }
    # Just issued by a clock that is ahead, or about to run out by one that is behind: both within the leeway.
    iat, exp = sd.seconds(NOON) + issuer_clock_s, sd.seconds(NOON) + source.choice((90 * 86_400, 60, 1, -59))
    claims = {
        name: value
        for name, value in sd.staff_claims(iat=min(iat, exp - 1), exp=exp).items()
        if name in ("vct", "iss", "iat", "exp", "cnf", "status")
    }
    paths = [path for path in _paths(own) if source.random() < 0.6][:60]
    shown = [path for path in paths if source.random() < 0.5]
    return Case(
        {**claims, **own},
        tuple(paths),
        tuple(shown),
        source.choice((0, 0, 1, 3)),
        source.choice((-60, -30, 0, 60)),
    )


def _value(source: random.Random, level: int) -> Any:
    if level >= MAX_LEVELS or source.random() < 0.4:
        return source.choice((*WORDS, 0, -1, 2**53, 1.5, True, False, None))
    if source.random() < 0.5:
        return [_value(source, level + 1) for _ in range(source.randrange(4))]
    return {
        source.choice(("a", "b", "é", "x y", "0")): _value(source, level + 1)
        for _ in range(source.randrange(4))
    }


def _paths(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, inner in members:
        yield (*at, step)
        yield from _paths(inner, (*at, step))


def own(case: Case) -> str:
    """Our issuer, our holder."""
    leaf = sd.issuer()
    issued = issue_credential(case.claims, case.hidden, leaf.key, leaf.x5c, decoys=case.decoys)
    return _bound(sd_jwt.present(issued, case.shown, subtree=False), case)


def reference(case: Case) -> str:
    """PyPI ``sd-jwt`` as issuer and holder; without decoys, which it puts into ``cnf`` and ``status`` too.

    A digest there could hide anything, so that it is refused as a registered claim that is hidden.
    """
    leaf = sd.issuer()
    wrapped = _wrapped(case.claims, set(case.hidden))
    made = SDJWTIssuer(
        wrapped, JWK(**private_jwk(leaf.key)), None,
        extra_header_parameters={"typ": "dc+sd-jwt", "x5c": leaf.x5c},
    )  # fmt: skip
    holder = SDJWTHolder(made.sd_jwt_issuance)
    holder.create_presentation(_tree(case.claims, set(case.shown)))
    return _bound(holder.sd_jwt_presentation, case)


async def javascript(case: Case, peer: NodePeer) -> str:
    """npm ``@sd-jwt/sd-jwt-vc`` as issuer and holder.

    The key binding is ours: with hidden members inside hidden elements of arrays, its own ``sd_hash``
    is over other disclosures than it presents, which no verifier may accept (RFC 9901 §7.3).
    """
    leaf = sd.issuer()
    issued = await peer.call(
        "sdjwt.issue",
        claims=case.claims,
        frame=_frame(case.claims, set(case.hidden), case.decoys),
        jwk=private_jwk(leaf.key),
        header={"x5c": list(leaf.x5c)},
    )
    frame = _selected(case.claims, set(case.shown))
    return _bound(await peer.call("sdjwt.present", credential=issued, frame=frame), case)


def _bound(presentation: str, case: Case) -> str:
    at = NOON + timedelta(seconds=case.wallet_clock_s)
    return sd_jwt.add_key_binding(presentation, sd.holder_key(), aud=sd.AUD, nonce=sd.NONCE, iat=at)


def _wrapped(value: Any, hidden: Collection[tuple[str | int, ...]], at: tuple[str | int, ...] = ()) -> Any:
    if isinstance(value, dict):
        return {
            (SDObj(name) if (*at, name) in hidden else name): _wrapped(item, hidden, (*at, name))
            for name, item in value.items()
        }
    if isinstance(value, list):
        inner = [
            (_wrapped(item, hidden, (*at, index)), (*at, index) in hidden) for index, item in enumerate(value)
        ]
        return [SDObj(item) if is_hidden else item for item, is_hidden in inner]
    return value


def _tree(value: Any, shown: Collection[tuple[str | int, ...]], at: tuple[str | int, ...] = ()) -> Any:
    """What to show, as the reference library wants it: true, a tree of the same form, or None."""
    if not _wanted(shown, at) and at:
        return None
    if isinstance(value, dict):
        return {name: _tree(item, shown, (*at, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_tree(item, shown, (*at, index)) for index, item in enumerate(value)]
    return True


def _selected(value: Any, shown: Collection[tuple[str | int, ...]], at: tuple[str | int, ...] = ()) -> Any:
    """What to show, as the JavaScript library wants it: by name or index, true or what lies below."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = {
        str(step): _selected(item, shown, (*at, step)) for step, item in items if _wanted(shown, (*at, step))
    }
    return below or True if at else below


def _wanted(shown: Collection[tuple[str | int, ...]], at: tuple[str | int, ...]) -> bool:
    return any(path[: len(at)] == at for path in shown)


def _frame(
    value: Any, hidden: Collection[tuple[str | int, ...]], decoys: int, at: tuple[str | int, ...] = ()
) -> Any:
    """The disclosure frame of the JavaScript library."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    frame: dict[Any, Any] = {
        step: inner
        for step, item in items
        if isinstance(item, dict | list) and (inner := _frame(item, hidden, 0, (*at, step)))
    }
    here = [
        step for step in (value if isinstance(value, dict) else range(len(value))) if (*at, step) in hidden
    ]
    return {**frame, **({"_sd": here} if here else {}), **({"_sd_decoy": decoys} if decoys and here else {})}


def is_accepted(token: str, case: Case) -> str | None:
    """Why a valid presentation was refused, or None."""
    try:
        verified = sd.verify(token)
    except ValueError as error:
        return f"{error} ({case})"
    wrong = verified.claims["iat"] != case.claims["iat"]
    return f"other claims than were signed ({case})" if wrong else None


def status_tokens() -> Iterator[tuple[str, int, int, int]]:
    """Status list tokens of every entry size and compression, with an index and its status."""
    leaf, source = sd.issuer("status"), random.Random(1)  # noqa: S311 - the same in every run
    for bits in (1, 2, 4, 8):
        for level in range(1, 10):
            packed, index = bytearray(source.randbytes(512)), source.randrange(512 * 8 // bits)
            status = (packed[index * bits // 8] >> (index * bits % 8)) & ((1 << bits) - 1)
            content = {"bits": bits, "lst": strict.b64url_encode(zlib.compress(bytes(packed), level))}
            at = sd.seconds(NOON) + source.choice((-60, 0, 60))
            claims = {"sub": sd.STATUS_URI, "iat": at, "exp": at + 86_400, "ttl": 300, "status_list": content}
            header = {"alg": "ES256", "typ": "statuslist+jwt", "x5c": leaf.x5c}
            yield sd.raw_jws(header, json.loads(json.dumps(claims)), leaf.key), index, status, level


def status_of(token: str, index: int) -> int:
    """The status a reader finds."""
    return read_token(token, uri=sd.STATUS_URI, now=NOON, roots=sd.authority().roots).list.get(index)
