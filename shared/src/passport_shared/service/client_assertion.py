"""Client assertions (private_key_jwt): RFC 7523 §3 with the audience rule of its revision (rfc7523bis).

What an assertion must be: ES256 under a live key of the client that it names as issuer and subject; `aud`
this service's base URL, as one string (a token endpoint or an array is how a malicious server makes one fit
two); `exp` at most 60 seconds ahead and not past; `iat` sane; a `jti`. Checks go from cheap to dear and
nothing is fetched. Whether the `jti` was used before is the caller's to consume, in one statement, after
everything here has passed.

There is no leeway on `exp`: a client makes an assertion at the moment it sends it, and one that lives 30
seconds tolerates clocks 30 seconds apart in both directions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from passport_shared.formats.clock import from_epoch_s
from passport_shared.formats.jose import JoseError, JoseReason, ParsedJws, parse, verify_with_jwks
from passport_shared.formats.strict import StrictError, numeric_date
from passport_shared.service.client_directory import ClientDirectory
from passport_shared.wire.clients import ASSERTION_TYP, CLIENT_ID, ApiClient, ClientState

MAX_ASSERTION_BYTES = 8_192
MAX_LIFE = timedelta(seconds=60)
CLOCK_TOLERANCE = timedelta(seconds=30)
ACCEPTED_TYPS = (ASSERTION_TYP, "JWT")
_JTI = re.compile(r"[\x21-\x7e]{1,128}\Z")


class AssertionReason(StrEnum):
    """Why an assertion was refused."""

    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    TYP = "typ"
    ISSUER_SUBJECT = "issuer_subject"
    CLIENT_MISMATCH = "client_mismatch"
    AUDIENCE = "audience"
    EXPIRY_MISSING = "expiry_missing"
    EXPIRED = "expired"
    EXPIRY_TOO_FAR = "expiry_too_far"
    ISSUED_AT = "issued_at"
    LIFE_TOO_LONG = "life_too_long"
    NOT_BEFORE = "not_before"
    JTI = "jti"
    REPLAYED = "replayed"
    UNKNOWN_CLIENT = "unknown_client"
    SUSPENDED = "suspended"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"


_UNTRUSTED = "the client is unknown or suspended, or the assertion is not signed with a live key of it"
_DESCRIPTIONS = {
    AssertionReason.MALFORMED: "the client assertion is not a well-formed JWT",
    AssertionReason.ALGORITHM: "the client assertion must be signed with ES256",
    AssertionReason.TYP: f"the client assertion's typ must be {ASSERTION_TYP} or JWT",
    AssertionReason.ISSUER_SUBJECT: "iss and sub must both be the client id",
    AssertionReason.CLIENT_MISMATCH: "client_id is not the client the assertion names",
    AssertionReason.AUDIENCE: "aud must be this service's base URL as one string",
    AssertionReason.EXPIRY_MISSING: "exp is missing or not a date",
    AssertionReason.EXPIRED: "the client assertion has expired; check the client's clock",
    AssertionReason.EXPIRY_TOO_FAR: "exp must be at most 60 seconds ahead; check the client's clock",
    AssertionReason.ISSUED_AT: "iat is missing, not a date, after exp or in the future; check the clock",
    AssertionReason.LIFE_TOO_LONG: "a client assertion lives at most 60 seconds from iat to exp",
    AssertionReason.NOT_BEFORE: "nbf is not a date or in the future",
    AssertionReason.JTI: "jti must be 1 to 128 printable characters",
    AssertionReason.REPLAYED: "this jti has been used; make a new assertion for every request",
    # One text for all of these: which clients exist is not for strangers to learn.
    AssertionReason.UNKNOWN_CLIENT: _UNTRUSTED,
    AssertionReason.SUSPENDED: _UNTRUSTED,
    AssertionReason.UNKNOWN_KEY: _UNTRUSTED,
    AssertionReason.SIGNATURE: _UNTRUSTED,
}


class AssertionRefused(Exception):
    """The assertion does not authenticate a client; `reason` for the log, `description` for the client.

    `claimed` is the client id it names, if it has got that far; anybody may claim any.
    """

    def __init__(self, reason: AssertionReason, claimed: str | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.claimed = claimed
        self.description = _DESCRIPTIONS[reason]


@dataclass(frozen=True, kw_only=True)
class CheckedAssertion:
    """A client whose assertion passed every check but the one for replay."""

    client: ApiClient
    jti: str
    expires_at: datetime


async def check_assertion(
    assertion: str, *, client_id: str | None, audience: str, clients: ClientDirectory, now: datetime
) -> CheckedAssertion:
    """Check a client assertion; the steps are numbered as in the code.

    1. Structure, size, algorithm and type. 2. Issuer, subject and the `client_id` parameter if it was sent.
    3. Audience. 4. Times. 5. A usable `jti`. 6. The client exists and is active. 7. Signature by a live key
    of it.

    Raises:
        AssertionRefused: every reason but `replayed`.
        DirectoryUnavailable: it cannot be said who is a client.
    """
    parsed = _parse(assertion)  # 1
    claims = parsed.claims
    subject = claims.get("sub")  # 2
    if not isinstance(subject, str) or not CLIENT_ID.match(subject) or claims.get("iss") != subject:
        raise AssertionRefused(AssertionReason.ISSUER_SUBJECT)
    try:
        return await _check_claimed(parsed, subject, client_id, audience, clients, now)
    except AssertionRefused as refusal:
        raise AssertionRefused(refusal.reason, subject) from refusal


async def _check_claimed(
    parsed: ParsedJws,
    subject: str,
    client_id: str | None,
    audience: str,
    clients: ClientDirectory,
    now: datetime,
) -> CheckedAssertion:
    claims = parsed.claims
    if client_id is not None and client_id != subject:
        raise AssertionRefused(AssertionReason.CLIENT_MISMATCH)
    if not isinstance(claims.get("aud"), str) or claims["aud"] != audience:  # 3
        raise AssertionRefused(AssertionReason.AUDIENCE)
    expires_at = _check_times(claims, now)  # 4
    jti = claims.get("jti")  # 5
    if not isinstance(jti, str) or not _JTI.match(jti):
        raise AssertionRefused(AssertionReason.JTI)
    client = await clients.client(subject)  # 6
    if client is None:
        raise AssertionRefused(AssertionReason.UNKNOWN_CLIENT)
    if client.state is not ClientState.ACTIVE:
        raise AssertionRefused(AssertionReason.SUSPENDED)
    _verify(parsed, client)  # 7
    return CheckedAssertion(client=client, jti=jti, expires_at=expires_at)


def _parse(assertion: str) -> ParsedJws:
    try:
        parsed = parse(assertion, max_bytes=MAX_ASSERTION_BYTES)
    except JoseError as error:
        raise AssertionRefused(AssertionReason.MALFORMED) from error
    if parsed.header.get("alg") != "ES256":
        raise AssertionRefused(AssertionReason.ALGORITHM)
    if parsed.header.get("typ") not in ACCEPTED_TYPS:
        raise AssertionRefused(AssertionReason.TYP)
    return parsed


def _check_times(claims: dict[str, Any], now: datetime) -> datetime:
    expires_at = _date(claims, "exp", AssertionReason.EXPIRY_MISSING)
    if expires_at <= now:
        raise AssertionRefused(AssertionReason.EXPIRED)
    if expires_at > now + MAX_LIFE:
        raise AssertionRefused(AssertionReason.EXPIRY_TOO_FAR)
    issued_at = _date(claims, "iat", AssertionReason.ISSUED_AT)
    if issued_at > now + CLOCK_TOLERANCE or issued_at >= expires_at:
        raise AssertionRefused(AssertionReason.ISSUED_AT)
    if expires_at - issued_at > MAX_LIFE:
        raise AssertionRefused(AssertionReason.LIFE_TOO_LONG)
    if "nbf" in claims and _date(claims, "nbf", AssertionReason.NOT_BEFORE) > now + CLOCK_TOLERANCE:
        raise AssertionRefused(AssertionReason.NOT_BEFORE)
    return expires_at


def _date(claims: dict[str, Any], name: str, reason: AssertionReason) -> datetime:
    try:
        return from_epoch_s(numeric_date(claims.get(name)))
    except (StrictError, ValueError):
        raise AssertionRefused(reason) from None


def _verify(parsed: ParsedJws, client: ApiClient) -> None:
    try:
        verify_with_jwks(parsed, client.jwks, typ=ACCEPTED_TYPS)
    except JoseError as error:
        unknown = error.reason in (JoseReason.UNKNOWN_KID, JoseReason.BAD_KEY)
        raise AssertionRefused(
            AssertionReason.UNKNOWN_KEY if unknown else AssertionReason.SIGNATURE
        ) from error
