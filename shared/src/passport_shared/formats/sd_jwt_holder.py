"""Holder's side of SD-JWT (RFC 9901 §6.2, §7.2): choose what to show, and bind it to the holder's key.

The issuer-signed JWT and the disclosures are passed on byte for byte. A token that already carries a key
binding is refused: an issuer never sends one, and a presentation is never presented again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from passport_shared.formats import jose
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.sd_jwt_structure import (
    Disclosed,
    Path,
    SdJwt,
    SdJwtError,
    SdJwtReason,
    digest_of,
    disclose,
    parse,
)

KEY_BINDING_TYP: Final = "kb+jwt"
RevealPath = Sequence[str | int | None]


def present(sd_jwt: str, reveal: Collection[RevealPath], *, subtree: bool = True) -> str:
    """Return the SD-JWT with only the disclosures that the chosen claims need; it ends in ``~``.

    Args:
        sd_jwt: the token as the issuer sent it, with every disclosure.
        reveal: paths into the fully disclosed claims; None as a step means every element of an array. The
            parents of a chosen claim are revealed with it.
        subtree: reveal what stands hidden beneath a chosen claim too; without it only the claim itself.

    Raises:
        SdJwtError: the token breaks a rule of RFC 9901, carries a key binding, or a path leads to nothing.
    """
    parsed = parse_issued(sd_jwt)
    disclosed = disclose(parsed)
    wanted = {path for pointer in reveal for path in _resolve(disclosed, pointer)}
    kept = [
        disclosure.encoded
        for path, disclosure in disclosed.placed.items()
        if any(_needed(path, chosen, subtree=subtree) for chosen in wanted)
    ]
    return "~".join([parsed.issuer_jwt.compact, *kept, ""])


def disclosable_paths(sd_jwt: str) -> tuple[Path, ...]:
    """The paths a holder may show or withhold, in the order in which they stand in the claims."""
    return tuple(disclose(parse_issued(sd_jwt)).placed)


def parse_issued(sd_jwt: str | bytes) -> SdJwt:
    """Parse a token as received from an issuer; a key binding on it is refused (RFC 9901 §7.2)."""
    parsed = parse(sd_jwt)
    if parsed.key_binding is not None:
        raise SdJwtError(SdJwtReason.KEY_BINDING_PRESENT)
    return parsed


def add_key_binding(presentation: str, key: SigningKey, *, aud: str, nonce: str, iat: datetime | int) -> str:
    """Append a key binding JWT (RFC 9901 §4.3) over exactly these bytes of the presentation.

    Args:
        presentation: what ``present`` returned, ending in ``~``.
        key: the holder's key, the one in the credential's ``cnf.jwk``.
        aud: the verifier's full client id, prefix included.
        nonce: the verifier's nonce.
        iat: the time of signing.

    Raises:
        SdJwtError: the presentation does not end in ``~``.
    """
    if not presentation.endswith("~"):
        raise SdJwtError(SdJwtReason.KEY_BINDING_PRESENT)
    issued_at = int(iat.timestamp()) if isinstance(iat, datetime) else iat
    claims = {"iat": issued_at, "aud": aud, "nonce": nonce, "sd_hash": digest_of(presentation)}
    return presentation + jose.sign(claims, key, typ=KEY_BINDING_TYP, kid=False)


def _resolve(disclosed: Disclosed, pointer: RevealPath) -> list[Path]:
    """The concrete paths a pointer selects in the fully disclosed claims (as DCQL does, OpenID4VP §7.1)."""
    selected: list[tuple[Path, Any]] = [((), disclosed.claims)]
    for step in pointer:
        following = [((*path, at), inner) for path, value in selected for at, inner in _members(value, step)]
        ends_in_empty_arrays = step is None and all(value == [] for _, value in selected)
        if not following and selected and not ends_in_empty_arrays:
            raise SdJwtError(SdJwtReason.PATH_NOT_FOUND, "/".join(map(str, pointer)))
        selected = following
    return [path for path, _ in selected]


def _members(value: Any, step: str | int | None) -> Iterable[tuple[str | int, Any]]:
    """What one step selects in a value; nothing if it does not fit."""
    if isinstance(value, list) and step is None:
        return enumerate(value)
    if isinstance(value, list) and type(step) is int and 0 <= step < len(value):
        return [(step, value[step])]
    if isinstance(value, dict) and isinstance(step, str) and step in value:
        return [(step, value[step])]
    return ()


def _needed(path: Path, chosen: Path, *, subtree: bool) -> bool:
    is_parent_or_self = chosen[: len(path)] == path
    return is_parent_or_self or (subtree and path[: len(chosen)] == chosen)
