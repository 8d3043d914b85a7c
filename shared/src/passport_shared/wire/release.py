"""The two signed messages between a host and an employing trust: release request and Release (ADR-0017).

The host's verifier entity asks, the employer's issuer entity answers; both sign with the federation key the
registry's statement names for them, so that no further key or certificate is needed. Each is a compact JWS of
its own `typ`. Here are their claims, the builders and the readers with every reason for refusal; whether the
other entity may speak at all (its mark, its suspension) is the caller's to ask of the snapshot, and what an
answer means for a movement is the host's rule.

A Release carries no name. A request may carry one, for a person the employer has to find itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    model_validator,
)

from passport_shared.formats import jose
from passport_shared.formats.clock import epoch_s, from_epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import JoseError, JoseReason, SigningKey
from passport_shared.formats.strict import b64url_encode, numeric_date

RELEASE_REQUEST_TYP = "staff-passport-release-request+jwt"
RELEASE_REQUEST_MEDIA_TYPE = f"application/{RELEASE_REQUEST_TYP}"
RELEASE_TYP = "staff-passport-release+jwt"
RELEASE_MEDIA_TYPE = f"application/{RELEASE_TYP}"
RELEASE_ENDPOINT_MEMBER = "staff_passport_release_request_endpoint"
"""Member of an issuer's `metadata.federation_entity` that says where requests are posted."""
RELEASE_REQUEST_PATH = "/release-requests"

MAX_MESSAGE_BYTES = 32_768
REQUEST_MAX_AGE = timedelta(hours=24)
REQUEST_MAX_LIFETIME = timedelta(days=14)
RELEASE_MAX_LIFETIME = timedelta(days=400)
LEEWAY = timedelta(seconds=60)
MAX_LIMITS = 10
LONDON = ZoneInfo("Europe/London")

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FIRST_YEAR, _LAST_YEAR = 1900, 2199


class ReleaseReason(StrEnum):
    """Why a message was refused; each is one rule."""

    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    BAD_HEADER = "bad_header"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    WRONG_TYP = "wrong_typ"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    MISSING_CLAIM = "missing_claim"
    BAD_CLAIM = "bad_claim"
    EXPIRED = "expired"
    ISSUED_IN_FUTURE = "issued_in_future"
    TOO_OLD = "too_old"
    LIFETIME_TOO_LONG = "lifetime_too_long"
    WRONG_ISSUER = "wrong_issuer"
    WRONG_AUDIENCE = "wrong_audience"
    WRONG_HOST = "wrong_host"
    WRONG_EMPLOYER = "wrong_employer"
    MOVEMENT_OVER = "movement_over"
    WRONG_REQUEST = "wrong_request"
    WRONG_MOVEMENT = "wrong_movement"
    UNKNOWN_HOLDER_REF = "unknown_holder_ref"
    SERIAL_WENT_BACK = "serial_went_back"
    INCONSISTENT = "inconsistent"


class ReleaseError(ValueError):
    """A message that must not be relied on; `detail` names the claim or rule and never repeats a value."""

    def __init__(self, reason: ReleaseReason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class ReleaseState(StrEnum):
    """PERSISTED by both sides. What a signed Release says; nothing else ever stands in one."""

    AGREED = "AGREED"
    AGREED_WITH_LIMITS = "AGREED_WITH_LIMITS"
    DECLINED = "DECLINED"
    WITHDRAWN = "WITHDRAWN"


class AnswerDecision(StrEnum):
    """PERSISTED. What one of the two who answer said."""

    AGREED = "AGREED"
    DECLINED = "DECLINED"


class LimitCode(StrEnum):
    """PERSISTED. Kinds of limits; the dated ones and LEAVING bound the days."""

    NOT_BEFORE = "NOT_BEFORE"
    NOT_AFTER = "NOT_AFTER"
    DUTIES = "DUTIES"
    HOURS = "HOURS"
    LEAVING = "LEAVING"
    OTHER = "OTHER"


class DeclineCode(StrEnum):
    """PERSISTED. Why a release was declined (domain model, reason codes)."""

    CAPACITY = "CAPACITY"
    SINGLE_POINT_OF_FAILURE = "SINGLE_POINT_OF_FAILURE"
    DEVELOPMENT_NOT_AGREED = "DEVELOPMENT_NOT_AGREED"
    OTHER = "OTHER"


class Statement(StrEnum):
    """PERSISTED. All the employer ever says about restrictions; never what they are."""

    NO_CURRENT_RESTRICTION_KNOWN = "NO_CURRENT_RESTRICTION_KNOWN"
    CONTACT_US = "CONTACT_US"


def _day(value: object) -> object:
    if isinstance(value, str):
        if not _DAY.fullmatch(value):
            raise ValueError("a day is YYYY-MM-DD")
        return date.fromisoformat(value)
    return value


def _in_our_time(value: date) -> date:
    if isinstance(value, datetime) or not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError("a day of our time is needed")
    return value


def _instant(value: object) -> object:
    if isinstance(value, str):
        if not _INSTANT.fullmatch(value):
            raise ValueError("an instant is RFC 3339 in UTC, whole seconds")
        return datetime.fromisoformat(value)
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant has a zone")
    return value.astimezone(UTC).replace(microsecond=0)


def _no_controls(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("control characters are not accepted")
    return value


Day = Annotated[
    date,
    BeforeValidator(_day),
    AfterValidator(_in_our_time),
    PlainSerializer(date.isoformat, when_used="json"),
]
At = Annotated[
    datetime,
    BeforeValidator(_instant),
    AfterValidator(_aware),
    PlainSerializer(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"), when_used="json"),
]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_controls)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=2_000), AfterValidator(_no_controls)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
OdsCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{3,10}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{1,128}$")]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{22,64}$")]
Hash = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
Version = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Claims(BaseModel):
    """Claims are of exactly their type; members nobody knows yet are ignored (RFC 7519 §4)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


class _MovementDays(_Claims):
    id: Identifier
    version: Version
    type: Code
    role_profile: Code
    host_ods: OdsCode
    employing_ods: OdsCode
    start: Day
    end: Day

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end < self.start:
            raise ValueError("end lies before start")
        return self


class MovementAsked(_MovementDays):
    """The move as the host describes it; days are whole days in Europe/London, both inclusive."""

    host_name: Short
    sites: Annotated[list[Short], Field(min_length=1, max_length=20)]
    department: Short
    duties: LongText
    supervisor: Short
    sessions: Annotated[list[Short], Field(max_length=60)] = []
    use_case: Code
    workforce_group: Short
    cover_reason: Code
    out_of_hours_contact: Short


class MovementReleased(_MovementDays):
    """The move a Release is for, bound by id, version, days and the hash of the duties."""

    duties_sha256: Hash


class _Subject(_Claims):
    # One way to name the person, not two that could disagree.
    model_config = ConfigDict(extra="forbid")


class ByHolderRef(_Subject):
    """The person by the reference their passport carries, known to a host they have presented to."""

    holder_ref: Token


class ByName(_Subject):
    """The person in the host's words, for the employer's HR to find; never stored by the host once sent."""

    given_name: Short
    family_name: Short
    note: LongText | None = None


class Limit(_Claims):
    """One limit of a Release. NOT_BEFORE and NOT_AFTER carry a date, the others do not."""

    code: Annotated[LimitCode, Field(strict=False)]
    text: Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_no_controls)]
    date: Day | None = None

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if (self.date is not None) != (self.code in (LimitCode.NOT_BEFORE, LimitCode.NOT_AFTER)):
            raise ValueError("NOT_BEFORE and NOT_AFTER carry a date, no other limit does")
        return self


class Answer(_Claims):
    """What line manager or HR decided, and when."""

    decision: Annotated[AnswerDecision, Field(strict=False)]
    at: At


class ReleaseRequest(_Claims):
    """Claims of a release request; `exp` is until when the host wants an answer."""

    iss: str
    aud: str
    iat: datetime
    exp: datetime
    jti: Token
    movement: MovementAsked
    subject: ByHolderRef | ByName
    urgent: bool


class Release(_Claims):
    """Claims of a Release. `serial` rises with every new one for a request; `end` is the last day released.

    `line_manager` and `hr` are None where that person had not answered when the other declined. `holder_ref`
    and `statement` are absent from a decline.
    """

    iss: str
    aud: str
    iat: datetime
    exp: datetime
    jti: Token
    release_request: Token
    request_sha256: Hash
    serial: Annotated[int, Field(ge=1, le=2**31 - 1)]
    movement: MovementReleased
    state: Annotated[ReleaseState, Field(strict=False)]
    limits: Annotated[list[Limit], Field(max_length=MAX_LIMITS)] = []
    end: Day | None = None
    statement: Annotated[Statement | None, Field(strict=False)] = None
    decline_code: Annotated[DeclineCode | None, Field(strict=False)] = None
    line_manager: Answer | None = None
    hr: Answer | None = None
    overlap_warning: bool = False
    holder_ref: Token | None = None

    @property
    def releases(self) -> bool:
        """Whether the employer has agreed and not taken it back."""
        return self.state in (ReleaseState.AGREED, ReleaseState.AGREED_WITH_LIMITS)

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        fault = _contradiction(self)
        if fault is not None:
            raise ValueError(fault)
        return self


def _contradiction(release: Release) -> str | None:
    answers = (release.line_manager, release.hr)
    if release.state is ReleaseState.DECLINED:
        if not any(answer and answer.decision is AnswerDecision.DECLINED for answer in answers):
            return "nobody declined what is DECLINED"
        if release.decline_code is None or release.limits or release.holder_ref is not None:
            return "a decline has a code, no limits and no holder_ref"
        return None
    if not all(answer and answer.decision is AnswerDecision.AGREED for answer in answers):
        return "line manager and HR both agree to what is released"
    if release.decline_code is not None or release.holder_ref is None or release.statement is None:
        return "a release has a holder_ref, a statement and no decline_code"
    if release.end is None or release.end > release.movement.end:
        return "the released days lie within the movement"
    if release.state is not ReleaseState.WITHDRAWN and release.end < release.movement.start:
        return "at least one day is released"
    if (release.state is ReleaseState.AGREED) and (release.limits or release.end != release.movement.end):
        return "limits make it AGREED_WITH_LIMITS"
    if release.state is ReleaseState.AGREED_WITH_LIMITS and not release.limits:
        return "AGREED_WITH_LIMITS names its limits"
    return None


@dataclass(frozen=True, kw_only=True)
class ExpectedRelease:
    """What the host knows of the request it sent, to which a Release must belong.

    `after_serial` is the serial of the newest Release it holds, 0 before the first.
    """

    release_request: str
    request_sha256: str
    movement_id: str
    movement_version: int
    host_ods: str
    employing_ods: str
    duties_sha256: str
    after_serial: int = 0


def new_jti() -> str:
    """A message's id: 128 random bits."""
    return random_token(16)


def text_sha256(text: str) -> str:
    """base64url of a text's SHA-256: of a request's compact JWS, or of the duties."""
    return b64url_encode(hashlib.sha256(text.encode("utf-8")).digest())


def day_after(day: date) -> datetime:
    """The instant at which a business day is over in Europe/London."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=LONDON).astimezone(UTC)


def today(now: datetime) -> date:
    """The business day in Europe/London."""
    return now.astimezone(LONDON).date()


def answer_by(request: ReleaseRequest) -> datetime:
    """Until when a request can be answered: its `exp`, and never past the movement's last day."""
    return min(request.exp, day_after(request.movement.end))


def release_expiry(iat: datetime, movement_end: date) -> datetime:
    """`exp` of a Release: the movement's end and a day more, at most 400 days after `iat`."""
    return min(day_after(movement_end + timedelta(days=1)), iat + RELEASE_MAX_LIFETIME)


def release_request(claims: ReleaseRequest, key: SigningKey) -> str:
    """Sign a release request with the host's federation key.

    Raises:
        ReleaseError: lifetime_too_long.
    """
    _check_lifetime(claims.iat, claims.exp, REQUEST_MAX_LIFETIME)
    return jose.sign(as_claims(claims), key, typ=RELEASE_REQUEST_TYP)


def release(claims: Release, key: SigningKey) -> str:
    """Sign a Release with the employer's federation key.

    Raises:
        ReleaseError: lifetime_too_long.
    """
    _check_lifetime(claims.iat, claims.exp, RELEASE_MAX_LIFETIME)
    return jose.sign(as_claims(claims), key, typ=RELEASE_TYP)


def stated_issuer(token: str | bytes) -> str:
    """Who a message says it is from, UNVERIFIED: only to look up whose keys to verify it with.

    Raises:
        ReleaseError: malformed, too_large, bad_header, missing_claim or bad_claim.
    """
    try:
        iss = jose.parse(token, max_bytes=MAX_MESSAGE_BYTES).claims.get("iss")
    except JoseError as error:
        raise _from_jose(error) from None
    if iss is None:
        raise ReleaseError(ReleaseReason.MISSING_CLAIM, "iss")
    if not isinstance(iss, str):
        raise ReleaseError(ReleaseReason.BAD_CLAIM, "iss")
    return iss


def read_release_request(
    token: str | bytes,
    jwks: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    iss: str,
    iss_ods: str,
    aud: str,
    aud_ods: str,
    now: datetime,
) -> ReleaseRequest:
    """Verify a release request.

    1. signature, `alg`, `typ`; 2. issuer and audience, one string each; 3. form and types; 4. times: not
    expired, signed at most 24 hours ago, at most 14 days of life; 5. host and employer are the two entities'
    own organisations; 6. the movement is not over.

    Args:
        token: the compact JWS.
        jwks: federation keys of `iss` as the registry's statement names them.
        iss: entity the keys belong to.
        iss_ods: its organisation.
        aud: the issuer entity that reads.
        aud_ods: its organisation.
        now: the present.

    Raises:
        ReleaseError: one rule is broken.
    """
    request = _read(ReleaseRequest, token, jwks, typ=RELEASE_REQUEST_TYP, iss=iss, aud=aud, now=now)
    if now - request.iat > REQUEST_MAX_AGE:
        raise ReleaseError(ReleaseReason.TOO_OLD, "signed more than 24 hours ago")
    _check_lifetime(request.iat, request.exp, REQUEST_MAX_LIFETIME)
    if request.movement.host_ods != iss_ods:
        raise ReleaseError(ReleaseReason.WRONG_HOST, "host_ods is not the organisation that signed")
    if request.movement.employing_ods != aud_ods:
        raise ReleaseError(ReleaseReason.WRONG_EMPLOYER, "employing_ods is another organisation")
    if request.movement.end < today(now):
        raise ReleaseError(ReleaseReason.MOVEMENT_OVER, "the movement's last day has passed")
    return request


def read_release(
    token: str | bytes,
    jwks: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    iss: str,
    aud: str,
    now: datetime,
    expected: ExpectedRelease,
) -> Release:
    """Verify a Release and that it answers this request.

    1. signature, `alg`, `typ`; 2. issuer and audience; 3. form, types, and that it says one thing; 4. times;
    5. it is for this request, by id and hash; 6. for this movement, host, employer and duties; 7. its serial
    is not below the one the host holds (equal means the same Release again).

    Raises:
        ReleaseError: one rule is broken.
    """
    read = _read(Release, token, jwks, typ=RELEASE_TYP, iss=iss, aud=aud, now=now)
    _check_lifetime(read.iat, read.exp, RELEASE_MAX_LIFETIME)
    if (read.release_request, read.request_sha256) != (expected.release_request, expected.request_sha256):
        raise ReleaseError(ReleaseReason.WRONG_REQUEST, "answers another request")
    movement = read.movement
    if movement.host_ods != expected.host_ods:
        raise ReleaseError(ReleaseReason.WRONG_HOST, "for another host")
    if movement.employing_ods != expected.employing_ods:
        raise ReleaseError(ReleaseReason.WRONG_EMPLOYER, "of another employer")
    found = (movement.id, movement.version, movement.duties_sha256)
    if found != (expected.movement_id, expected.movement_version, expected.duties_sha256):
        raise ReleaseError(ReleaseReason.WRONG_MOVEMENT, "for another movement, version or duties")
    if read.serial < expected.after_serial:
        raise ReleaseError(ReleaseReason.SERIAL_WENT_BACK, "a newer one is known")
    return read


def as_claims(claims: ReleaseRequest | Release) -> dict[str, Any]:
    """The claims as they are signed; what is None is left out."""
    dumped = claims.model_dump(mode="json", exclude_none=True, exclude={"iat", "exp"})
    return {**dumped, "iat": epoch_s(claims.iat), "exp": epoch_s(claims.exp)}


def _check_lifetime(iat: datetime, exp: datetime, most: timedelta) -> None:
    if not timedelta(0) < exp - iat <= most:
        raise ReleaseError(ReleaseReason.LIFETIME_TOO_LONG, f"exp lies within {most.days} days after iat")


_M = TypeVar("_M", ReleaseRequest, Release)


def _read(
    kind: type[_M],
    token: str | bytes,
    jwks: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    typ: str,
    iss: str,
    aud: str,
    now: datetime,
) -> _M:
    try:
        verified = jose.verify_with_jwks(token, jwks, typ=typ, max_bytes=MAX_MESSAGE_BYTES)
    except JoseError as error:
        raise _from_jose(error) from None
    claims = verified.claims
    for name, expected, reason in (
        ("iss", iss, ReleaseReason.WRONG_ISSUER),
        ("aud", aud, ReleaseReason.WRONG_AUDIENCE),
    ):
        if name not in claims:
            raise ReleaseError(ReleaseReason.MISSING_CLAIM, name)
        if claims[name] != expected:
            raise ReleaseError(reason, f"{name} is another one")
    return _typed(kind, claims, now)


def _typed(kind: type[_M], claims: Mapping[str, Any], now: datetime) -> _M:
    try:
        jose.check_times(claims, now=now, leeway=LEEWAY)
        instants = {name: from_epoch_s(numeric_date(claims[name])) for name in ("iat", "exp")}
    except JoseError as error:
        raise _from_jose(error) from None
    except ValueError:
        raise ReleaseError(ReleaseReason.BAD_CLAIM, "iat or exp is no date") from None
    try:
        return kind.model_validate({**claims, **instants})
    except ValidationError as error:
        raise _from_validation(error) from None


def _from_validation(error: ValidationError) -> ReleaseError:
    """The first fault, by the path of the claim; values are never repeated."""
    fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return ReleaseError(ReleaseReason.MISSING_CLAIM, path)
    if not path:
        return ReleaseError(ReleaseReason.INCONSISTENT, fault["msg"].removeprefix("Value error, "))
    return ReleaseError(ReleaseReason.BAD_CLAIM, path)


_JOSE_REASONS: Mapping[JoseReason, ReleaseReason] = {
    JoseReason.MALFORMED: ReleaseReason.MALFORMED,
    JoseReason.TOO_LARGE: ReleaseReason.TOO_LARGE,
    JoseReason.ALG_NOT_ALLOWED: ReleaseReason.ALG_NOT_ALLOWED,
    JoseReason.WRONG_TYP: ReleaseReason.WRONG_TYP,
    JoseReason.UNKNOWN_KID: ReleaseReason.UNKNOWN_KEY,
    JoseReason.BAD_KEY: ReleaseReason.UNKNOWN_KEY,
    JoseReason.BAD_SIGNATURE: ReleaseReason.BAD_SIGNATURE,
    JoseReason.EXPIRED: ReleaseReason.EXPIRED,
    JoseReason.NOT_YET_VALID: ReleaseReason.ISSUED_IN_FUTURE,
    JoseReason.ISSUED_IN_FUTURE: ReleaseReason.ISSUED_IN_FUTURE,
    JoseReason.MISSING_CLAIM: ReleaseReason.MISSING_CLAIM,
    JoseReason.BAD_CLAIM: ReleaseReason.BAD_CLAIM,
}


def _from_jose(error: JoseError) -> ReleaseError:
    return ReleaseError(_JOSE_REASONS.get(error.reason, ReleaseReason.BAD_HEADER), str(error))
