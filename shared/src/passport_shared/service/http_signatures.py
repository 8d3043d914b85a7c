"""HTTP Message Signatures (RFC 9421, ES256) and Content-Digest (RFC 9530): what we use of them.

Events that leave the outbox are signed so that a receiver knows who sent them, to where, when and with which
body. Signed components are the method, the whole target URI, the content type and the digest of the body;
parameters are `created`, `keyid`, `alg` and our `tag`. Reading accepts exactly one signature under our tag
and refuses everything we
do not write: component parameters, other algorithms, bodies without a digest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from passport_shared.formats.clock import epoch_s, from_epoch_s
from passport_shared.formats.jose import PublicKey, SigningKey

ALGORITHM = "ecdsa-p256-sha256"
TAG = "staff-passport-event"
COMPONENTS = ("@method", "@target-uri", "content-type", "content-digest")
MAX_AGE = timedelta(minutes=5)
LEEWAY = timedelta(seconds=60)
MAX_HEADER_CHARACTERS = 2_048

_LABEL = "passport"
_MEMBER = re.compile(
    r'(?P<label>[a-z*][a-z0-9_.*-]*)=(?P<value>\((?P<items>(?:"[a-z@-]+"(?: "[a-z@-]+")*)?)\)'
    r'(?P<params>(?:;[a-z]+=(?:"[\x20\x21\x23-\x5b\x5d-\x7e]*"|[0-9]{1,15}))*))\Z'
)
_PARAM = re.compile(r';([a-z]+)=(?:"([^"]*)"|([0-9]+))')
_BYTES = re.compile(r"(?P<label>[a-z*][a-z0-9_.*-]*)=:(?P<value>[A-Za-z0-9+/]*={0,2}):\Z")


class SignatureReason(StrEnum):
    """Why a signed message was refused."""

    MISSING = "missing"
    MALFORMED = "malformed"
    WRONG_TAG = "wrong_tag"
    WRONG_COMPONENTS = "wrong_components"
    ALGORITHM = "algorithm"
    DIGEST = "digest"
    UNKNOWN_KEY = "unknown_key"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"
    SIGNATURE = "signature"


class SignatureRefused(ValueError):
    """A signed message was refused; `reason` says why."""

    def __init__(self, reason: SignatureReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def content_digest(body: bytes) -> str:
    """The Content-Digest header of a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def signature_base(values: Sequence[tuple[str, str]], params: str) -> bytes:
    """The bytes that are signed (RFC 9421 §2.5): a line per component, then the parameters as sent."""
    lines = [f'"{name}": {value}' for name, value in values]
    return "\n".join([*lines, f'"@signature-params": {params}']).encode("ascii")


def sign_request(
    *, method: str, url: str, content_type: str, body: bytes, key: SigningKey, at: datetime
) -> dict[str, str]:
    """The headers Content-Digest, Signature-Input and Signature for a request that is about to be sent."""
    digest = content_digest(body)
    values = list(zip(COMPONENTS, (method, url, content_type, digest), strict=True))
    names = " ".join(f'"{name}"' for name in COMPONENTS)
    params = f'({names});created={epoch_s(at)};keyid="{key.kid}";alg="{ALGORITHM}";tag="{TAG}"'
    signature = base64.b64encode(key.sign(signature_base(values, params))).decode()
    return {
        "Content-Digest": digest,
        "Signature-Input": f"{_LABEL}={params}",
        "Signature": f"{_LABEL}=:{signature}:",
    }


@dataclass(frozen=True)
class _Signed:
    label: str
    value: str
    components: tuple[str, ...]
    params: Mapping[str, str]


def signing_key_id(headers: Mapping[str, str]) -> str:
    """The id of the key a request says it is signed with, to look the key up; this proves nothing.

    Raises:
        SignatureRefused: there is no signature of ours, or it names no key.
    """
    signed = _parse_input(headers.get("signature-input", ""))
    if signed.params.get("tag") != TAG:
        raise SignatureRefused(SignatureReason.WRONG_TAG)
    key_id = signed.params.get("keyid", "")
    if not key_id:
        raise SignatureRefused(SignatureReason.UNKNOWN_KEY)
    return key_id


def verify_request(
    *,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: Mapping[str, PublicKey],
    now: datetime,
) -> str:
    """Check a signed request and return the id of the key that signed it.

    Args:
        method: as received.
        url: the whole URL this receiver is reached at; from its settings, not from the Host header.
        headers: with lower-case names.
        body: as received.
        keys: the sender's keys by id.
        now: the receiver's time; signatures live five minutes.

    Raises:
        SignatureRefused: every reason. Replays within five minutes are the receiver's to find by event id.
    """
    signed = _parse_input(headers.get("signature-input", ""))
    if signed.params.get("tag") != TAG:
        raise SignatureRefused(SignatureReason.WRONG_TAG)
    if signed.params.get("alg") != ALGORITHM:
        raise SignatureRefused(SignatureReason.ALGORITHM)
    if signed.components != COMPONENTS:
        raise SignatureRefused(SignatureReason.WRONG_COMPONENTS)
    _check_created(signed.params.get("created", ""), now)
    digest = headers.get("content-digest", "")
    if not hmac.compare_digest(digest.encode(), content_digest(body).encode()):
        raise SignatureRefused(SignatureReason.DIGEST)
    key = keys.get(signed.params.get("keyid", ""))
    if key is None:
        raise SignatureRefused(SignatureReason.UNKNOWN_KEY)
    values = list(zip(COMPONENTS, (method, url, headers.get("content-type", ""), digest), strict=True))
    if not all(value.isascii() for _name, value in values):
        raise SignatureRefused(SignatureReason.MALFORMED)
    signature = _parse_signature(headers.get("signature", ""), signed.label)
    if not key.verifies(signature_base(values, signed.value), signature):
        raise SignatureRefused(SignatureReason.SIGNATURE)
    return key.thumbprint


def _parse_input(header: str) -> _Signed:
    if not header:
        raise SignatureRefused(SignatureReason.MISSING)
    member = _MEMBER.match(header) if len(header) <= MAX_HEADER_CHARACTERS else None
    if member is None:
        raise SignatureRefused(SignatureReason.MALFORMED)
    pairs = [(name, text or number) for name, text, number in _PARAM.findall(member["params"])]
    if len({name for name, _ in pairs}) != len(pairs):
        raise SignatureRefused(SignatureReason.MALFORMED)
    components = tuple(item.strip('"') for item in member["items"].split(" ") if item)
    return _Signed(member["label"], member["value"], components, dict(pairs))


def _parse_signature(header: str, label: str) -> bytes:
    if not header:
        raise SignatureRefused(SignatureReason.MISSING)
    member = _BYTES.match(header) if len(header) <= MAX_HEADER_CHARACTERS else None
    if member is None or member["label"] != label:
        raise SignatureRefused(SignatureReason.MALFORMED)
    try:
        return base64.b64decode(member["value"], validate=True)
    except (binascii.Error, ValueError):
        raise SignatureRefused(SignatureReason.MALFORMED) from None


def _check_created(created: str, now: datetime) -> None:
    if not created.isdecimal():
        raise SignatureRefused(SignatureReason.MALFORMED)
    try:
        at = from_epoch_s(int(created))
    except ValueError:
        raise SignatureRefused(SignatureReason.MALFORMED) from None
    if at > now + LEEWAY:
        raise SignatureRefused(SignatureReason.IN_FUTURE)
    if at < now - MAX_AGE:
        raise SignatureRefused(SignatureReason.TOO_OLD)
