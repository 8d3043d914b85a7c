"""SD-JWT VC (draft -19) as this network uses it: issue a credential, verify one, inspect one.

``verify_credential`` takes nothing on the wallet's word: form, certificate chain, signature, disclosures,
claims and key binding are all checked here. It does not decide whether the issuer had authority for this
type (``trust.authority``, with the chain returned) nor whether the credential still stands (``status_list``),
and it never fetches anything: type metadata and issuer metadata of the token are not looked at.

Our profile beyond the draft: ``iss``, ``iat``, ``exp``, ``cnf`` and ``status.status_list`` are required and
plain; keys come from ``x5c`` only; ``aka_vcts`` is checked and grants nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from passport_shared.formats import jose, sd_jwt_issuer, strict
from passport_shared.formats.clock import from_epoch_s
from passport_shared.formats.credential_rejected import CredentialRejected, RejectReason
from passport_shared.formats.jose import JoseError, JoseReason, ParsedJws, PublicKey, SigningKey
from passport_shared.formats.key_binding import KeyBindingPolicy, check_key_binding
from passport_shared.formats.sd_jwt_issuer import DisclosablePath, Randomness
from passport_shared.formats.sd_jwt_structure import (
    DEFAULT_LIMITS,
    ELLIPSIS,
    SD,
    Disclosed,
    Limits,
    Path,
    SdJwt,
    SdJwtError,
    disclose,
    parse,
)
from passport_shared.formats.status_list_codec import (
    StatusListError,
    StatusListReason,
    StatusReference,
    status_reference,
)
from passport_shared.formats.verdict import Check
from passport_shared.formats.x5c import ChainError, Leaf, parse_x5c, verify_chain

__all__ = [
    "CREDENTIAL_TYP",
    "CredentialRejected",
    "KeyBindingPolicy",
    "RejectReason",
    "VerifiedCredential",
    "inspect",
    "issue_credential",
    "verify_credential",
]

CREDENTIAL_TYP: Final = "dc+sd-jwt"
LEEWAY: Final = timedelta(seconds=60)
MAX_VCT_CHARS: Final = 2_048
MAX_AKA_VCTS: Final = 32

# Draft -19 §2.2.2.2: never in disclosures, nor anything inside them; `iat` is our policy.
NEVER_DISCLOSED: Final = frozenset(
    {"iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"}
)
_STRUCTURED_CLAIMS: Final = ("cnf", "status", "aka_vcts")
# W3C Subresource Integrity: at least one hash that can be checked, with or without options.
_SRI: Final = re.compile(
    r"(?:^| )sha(?:256-[A-Za-z0-9+/]{43}=|384-[A-Za-z0-9+/]{64}|512-[A-Za-z0-9+/]{86}==)(?=[ ?]|$)"
)


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """A credential whose form, chain, signature, disclosures, validity and key binding were checked.

    ``claims`` are the processed claims: what is plain and what was disclosed; ``disclosed_paths`` say which
    of them were disclosed. Authority and status are not part of what was checked.
    """

    vct: str
    aka_vcts: tuple[str, ...]
    iss: str
    iat: datetime
    exp: datetime
    nbf: datetime | None
    cnf_jwk: Mapping[str, str]
    holder: PublicKey
    holder_thumbprint: str
    status: StatusReference
    claims: dict[str, Any] = field(repr=False)
    disclosed_paths: frozenset[Path] = field(repr=False)
    leaf: Leaf
    x5c: tuple[str, ...] = field(repr=False)
    issuer_jwt_sha256: str


def verify_credential(
    token: str | bytes,
    *,
    roots: Sequence[bytes],
    at: datetime,
    expected_vcts: Collection[str] | None = None,
    key_binding: KeyBindingPolicy | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> VerifiedCredential:
    """Verify one presented credential.

    The order: 1 size and shape; 2 parse; 3 type and algorithm; 4 chain of ``x5c``; 5 issuer's signature;
    6 disclosures; 7 claims that must be plain, vct, signer, validity, status, holder's key; 8 key binding.

    Args:
        token: compact SD-JWT or SD-JWT+KB.
        roots: DER of the roots of the registry snapshot.
        at: the time to judge by, with 60 seconds of leeway.
        expected_vcts: the exact types that are acceptable; None for any.
        key_binding: what the key binding must say; None if none is asked for, and then none may be there.
        limits: bounds of the token.

    Raises:
        CredentialRejected: one of the checks failed; ``check`` and ``reason`` say which and why.
    """
    try:
        sd_jwt = parse(token, limits=limits)  # 1, 2
    except SdJwtError as error:
        raise CredentialRejected.structure(error) from None
    _check_type_and_algorithm(sd_jwt.issuer_jwt)  # 3
    leaf, x5c = _leaf(sd_jwt.issuer_jwt, roots, at)  # 4
    _check_signature(sd_jwt.issuer_jwt, leaf)  # 5
    try:
        disclosed = disclose(sd_jwt)  # 6
    except SdJwtError as error:
        raise CredentialRejected.structure(error) from None
    _check_registered_plain(sd_jwt.issuer_jwt.claims, disclosed)  # 7
    credential = _credential(sd_jwt, disclosed, leaf, x5c, at=at, expected_vcts=expected_vcts)
    check_key_binding(sd_jwt, credential.holder, key_binding)  # 8
    return credential


def inspect(token: str | bytes, *, roots: Sequence[bytes], at: datetime) -> VerifiedCredential:
    """Verify a credential as a wallet receives it from the issuer: everything but a key binding.

    A token that carries a key binding is refused (RFC 9901 §7.2).

    Raises:
        CredentialRejected: as ``verify_credential``.
    """
    return verify_credential(token, roots=roots, at=at)


def _check_type_and_algorithm(jws: ParsedJws) -> None:
    if jws.header["alg"] != jose.ES256:
        raise CredentialRejected(RejectReason.ALG_NOT_ALLOWED, Check.ALGORITHM, "only ES256 is accepted")
    if jws.header.get("typ") != CREDENTIAL_TYP:
        raise CredentialRejected(RejectReason.WRONG_TYP, Check.TYPE, f"only {CREDENTIAL_TYP} is accepted")


def _leaf(jws: ParsedJws, roots: Sequence[bytes], at: datetime) -> tuple[Leaf, tuple[str, ...]]:
    x5c = jws.header.get("x5c")
    if x5c is None:
        raise CredentialRejected(RejectReason.CHAIN_MISSING, Check.TRUST, "the header carries no x5c")
    try:
        return verify_chain(x5c, roots, at=at), tuple(x5c)
    except ChainError as error:
        raise CredentialRejected(RejectReason.CHAIN_UNTRUSTED, Check.TRUST, error.reason.value) from None


def _check_signature(jws: ParsedJws, leaf: Leaf) -> None:
    try:
        jose.verify(jws, leaf.public, typ=CREDENTIAL_TYP)
    except JoseError as error:
        if error.reason is not JoseReason.BAD_SIGNATURE:
            raise CredentialRejected(
                RejectReason.ISSUER_JWT_MALFORMED, Check.STRUCTURE, error.reason.value
            ) from None
        raise CredentialRejected(RejectReason.BAD_ISSUER_SIGNATURE, Check.ISSUER_SIGNATURE) from None


def _check_registered_plain(payload: Mapping[str, Any], disclosed: Disclosed) -> None:
    """Refuse registered claims that came from, or could hide behind, a disclosure (draft -19 §2.2.2.2)."""
    hidden = next((path[0] for path in disclosed.placed if path[0] in NEVER_DISCLOSED), None)
    if hidden is None:
        hidden = next((name for name in _STRUCTURED_CLAIMS if _holds_digest(payload.get(name))), None)
    if hidden is not None:
        raise CredentialRejected(RejectReason.REGISTERED_CLAIM_DISCLOSED, Check.STRUCTURE, str(hidden))


def _holds_digest(value: object) -> bool:
    if isinstance(value, dict):
        if SD in value or ELLIPSIS in value:
            return True
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return any(_holds_digest(one) for one in value if isinstance(one, (dict, list)))


def _credential(
    sd_jwt: SdJwt,
    disclosed: Disclosed,
    leaf: Leaf,
    x5c: tuple[str, ...],
    *,
    at: datetime,
    expected_vcts: Collection[str] | None,
) -> VerifiedCredential:
    claims = disclosed.claims
    vct, aka_vcts = _types(claims, expected_vcts)
    iss = _signer(claims, leaf)
    iat, exp, nbf = _validity(claims, at)
    status = _status(claims)
    holder = _holder(claims)
    return VerifiedCredential(
        vct=vct,
        aka_vcts=aka_vcts,
        iss=iss,
        iat=iat,
        exp=exp,
        nbf=nbf,
        cnf_jwk=holder.jwk,
        holder=holder,
        holder_thumbprint=holder.thumbprint,
        status=status,
        claims=claims,
        disclosed_paths=frozenset(disclosed.placed),
        leaf=leaf,
        x5c=x5c,
        issuer_jwt_sha256=hashlib.sha256(sd_jwt.issuer_jwt.compact.encode("ascii")).hexdigest(),
    )


def _types(claims: Mapping[str, Any], expected: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    if "vct" not in claims:
        raise CredentialRejected(RejectReason.VCT_MISSING, Check.VCT)
    vct = claims["vct"]
    if not _is_type_name(vct):
        raise CredentialRejected(RejectReason.VCT_MALFORMED, Check.VCT)
    if expected is not None and vct not in expected:
        raise CredentialRejected(RejectReason.VCT_NOT_EXPECTED, Check.VCT)
    if "vct#integrity" in claims:
        integrity = claims["vct#integrity"]
        if not isinstance(integrity, str) or not _SRI.search(integrity):
            raise CredentialRejected(RejectReason.VCT_INTEGRITY_MALFORMED, Check.VCT)
    aka_vcts = claims.get("aka_vcts", [])
    if "aka_vcts" in claims and (
        not isinstance(aka_vcts, list)
        or not 0 < len(aka_vcts) <= MAX_AKA_VCTS
        or not all(map(_is_type_name, aka_vcts))
        or vct in aka_vcts
    ):
        raise CredentialRejected(RejectReason.AKA_VCTS_MALFORMED, Check.VCT)
    return vct, tuple(aka_vcts)


def _is_type_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_VCT_CHARS


def _signer(claims: Mapping[str, Any], leaf: Leaf) -> str:
    iss = claims.get("iss")
    if not isinstance(iss, str):
        raise CredentialRejected(RejectReason.ISS_MISSING, Check.TRUST)
    if iss != leaf.san_uri:
        raise CredentialRejected(RejectReason.ISS_NOT_SIGNER, Check.TRUST, "iss is not the leaf's entity")
    return iss


def _validity(claims: Mapping[str, Any], at: datetime) -> tuple[datetime, datetime, datetime | None]:
    if "iat" not in claims:
        raise CredentialRejected(RejectReason.IAT_MISSING, Check.VALIDITY)
    if "exp" not in claims:
        raise CredentialRejected(RejectReason.EXP_MISSING, Check.VALIDITY)
    iat = _date(claims["iat"], RejectReason.IAT_MALFORMED)
    exp = _date(claims["exp"], RejectReason.EXP_MALFORMED)
    nbf = _date(claims["nbf"], RejectReason.NBF_MALFORMED) if "nbf" in claims else None
    early, late = at - LEEWAY, at + LEEWAY
    if early >= exp:
        raise CredentialRejected(RejectReason.EXPIRED, Check.VALIDITY)
    if nbf is not None and late < nbf:
        raise CredentialRejected(RejectReason.NOT_YET_VALID, Check.VALIDITY)
    if late < iat:
        raise CredentialRejected(RejectReason.ISSUED_IN_FUTURE, Check.VALIDITY)
    return iat, exp, nbf


_LAST_SECOND: Final = 253_402_300_799  # the end of the year 9999, as far as a datetime goes


def _date(value: object, reason: RejectReason) -> datetime:
    try:
        seconds = strict.numeric_date(value)
        return from_epoch_s(min(seconds, _LAST_SECOND))
    except ValueError:
        raise CredentialRejected(reason, Check.VALIDITY, "not a date in seconds") from None


def _status(claims: Mapping[str, Any]) -> StatusReference:
    try:
        return status_reference(claims)
    except StatusListError as error:
        missing = error.reason is StatusListReason.REFERENCE_MISSING
        reason = RejectReason.STATUS_MISSING if missing else RejectReason.STATUS_MALFORMED
        raise CredentialRejected(reason, Check.STATUS, error.reason.value) from None


def _holder(claims: Mapping[str, Any]) -> PublicKey:
    cnf = claims.get("cnf")
    if cnf is None:
        raise CredentialRejected(RejectReason.CNF_MISSING, Check.HOLDER_BINDING)
    if not isinstance(cnf, dict) or not isinstance(cnf.get("jwk"), dict):
        raise CredentialRejected(RejectReason.CNF_MALFORMED, Check.HOLDER_BINDING, "there is no jwk in cnf")
    try:
        return PublicKey.from_jwk(cnf["jwk"])
    except JoseError as error:
        raise CredentialRejected(RejectReason.CNF_MALFORMED, Check.HOLDER_BINDING, str(error)) from None


def issue_credential(
    claims: Mapping[str, Any],
    disclosable: Collection[DisclosablePath],
    key: SigningKey,
    x5c: Sequence[str],
    *,
    decoys: int = 0,
    missing_ok: bool = False,
    randomness: Randomness = secrets.token_bytes,
) -> str:
    """Sign a credential that ``verify_credential`` accepts; the result ends in ``~``.

    Args:
        claims: all claims, with vct, iss, iat, exp, cnf.jwk and status.status_list.
        disclosable: paths of the claims to hide, as in ``sd_jwt.issue``.
        key: the key of the leaf in ``x5c``.
        x5c: leaf and issuing CA, the trust anchor not among them.
        decoys: as in ``sd_jwt.issue``.
        missing_ok: as in ``sd_jwt.issue``.
        randomness: as in ``sd_jwt.issue``.

    Raises:
        ValueError: a claim is missing, malformed or not ours to issue, or key and chain do not match.
        SdJwtError: a path cannot be hidden.
    """
    _check_issuable(claims)
    leaf_thumbprint, entities = _leaf_identity(tuple(x5c))
    if leaf_thumbprint != key.public.thumbprint:
        raise ValueError("the key is not the one certified by the leaf of x5c")
    if claims["iss"] not in entities:
        raise ValueError("iss is not the entity named by the leaf of x5c")
    return sd_jwt_issuer.issue(
        claims,
        disclosable,
        key,
        typ=CREDENTIAL_TYP,
        headers={"x5c": list(x5c)},
        decoys=decoys,
        missing_ok=missing_ok,
        randomness=randomness,
    )


def _check_issuable(claims: Mapping[str, Any]) -> None:
    unwanted = {"sub", "jti"} & claims.keys()
    if unwanted:
        raise ValueError(
            f"a credential carries no {' or '.join(sorted(unwanted))}: it would link presentations"
        )
    try:
        _types(claims, None)
        if not isinstance(claims.get("iss"), str):
            raise CredentialRejected(RejectReason.ISS_MISSING, Check.TRUST)
        for name, reason in (("iat", RejectReason.IAT_MALFORMED), ("exp", RejectReason.EXP_MALFORMED)):
            _date(claims.get(name), reason)
        if "nbf" in claims:
            _date(claims["nbf"], RejectReason.NBF_MALFORMED)
        _status(claims)
        _holder(claims)
    except CredentialRejected as rejection:
        raise ValueError(f"this credential would be refused: {rejection}") from None
    if claims["exp"] <= claims["iat"]:
        raise ValueError("exp must be after iat")


@lru_cache(maxsize=256)
def _leaf_identity(x5c: tuple[str, ...]) -> tuple[str, frozenset[str]]:
    """Thumbprint of the certified key, and the URIs the leaf names, of our own chain."""
    leaf = parse_x5c(x5c)[0]
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("the leaf of x5c certifies no key on P-256")  # noqa: TRY004  the value is wrong
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return PublicKey.from_key(key).thumbprint, frozenset(uris)
