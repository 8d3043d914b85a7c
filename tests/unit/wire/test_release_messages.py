"""Release request and Release: what is said is what is read, and every refusal has its own reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from passport_shared.formats import federation, jose
from passport_shared.formats.strict import b64url_encode, dumps
from passport_shared.wire import release as wire
from passport_shared.wire.release import (
    RELEASE_REQUEST_TYP,
    RELEASE_TYP,
    Answer,
    AnswerDecision,
    ByHolderRef,
    ByName,
    DeclineCode,
    ExpectedRelease,
    Limit,
    LimitCode,
    MovementReleased,
    Release,
    ReleaseError,
    ReleaseReason,
    ReleaseRequest,
    ReleaseState,
    Statement,
    as_claims,
    new_jti,
    read_release,
    read_release_request,
    release_expiry,
    release_request,
    stated_issuer,
    text_sha256,
)
from passport_testkit.keys import key
from passport_testkit.releases import EMPLOYER, HOST, movement, request_claims, spoiled

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
HOST_KEY, EMPLOYER_KEY = key("release host"), key("release employer")
HOST_JWKS = federation.public_jwks([HOST_KEY.public])
EMPLOYER_JWKS = federation.public_jwks([EMPLOYER_KEY.public])
NAMED = ByName(given_name="Adaeze", family_name="Okonkwo-Price", note="Consultant urologist")


def read(token: str | bytes, now: datetime = NOW, **changes: Any) -> ReleaseRequest:
    """Read as the employer's issuer does."""
    values: dict[str, Any] = {
        "iss": HOST,
        "iss_ods": "R0A",
        "aud": EMPLOYER,
        "aud_ods": "RBV",
        "now": now,
        **changes,
    }
    return read_release_request(token, HOST_JWKS, **values)


def refused(token: str | bytes, **changes: Any) -> ReleaseReason:
    """Why a request is refused."""
    with pytest.raises(ReleaseError) as caught:
        read(token, **changes)
    return caught.value.reason


@pytest.mark.parametrize(
    "subject", [NAMED, ByName(given_name="Zoë", family_name="O’Brien"), ByHolderRef(holder_ref=new_jti())]
)
def test_a_request_is_read_as_it_was_said(subject: ByName | ByHolderRef) -> None:
    said = request_claims(NOW, subject)
    token = release_request(said, HOST_KEY)
    assert stated_issuer(token) == HOST
    assert read(token) == said


def test_members_nobody_knows_yet_are_ignored() -> None:
    said = request_claims(NOW, NAMED)
    assert read(spoiled(said, HOST_KEY, later="version")) == said


Spoil = Callable[[ReleaseRequest], str]


def claim(**changes: Any) -> Spoil:
    """A request with claims replaced."""
    return lambda said: spoiled(said, HOST_KEY, **changes)


def moved(**changes: Any) -> Spoil:
    """A request with members of its movement replaced; None removes one."""

    def spoil(said: ReleaseRequest) -> str:
        members = {**as_claims(said)["movement"], **changes}
        kept = {name: value for name, value in members.items() if value is not None}
        return spoiled(said, HOST_KEY, movement=kept)

    return spoil


REFUSALS: list[tuple[str, ReleaseReason, Spoil]] = [
    ("not a token", ReleaseReason.MALFORMED, lambda _: "not a token"),
    ("two parts", ReleaseReason.MALFORMED, lambda said: release_request(said, HOST_KEY).rsplit(".", 1)[0]),
    ("too long", ReleaseReason.TOO_LARGE, lambda _: "a" * (wire.MAX_MESSAGE_BYTES + 1)),
    ("crit", ReleaseReason.BAD_HEADER, lambda said: _header(said, crit=["x"])),
    ("HS256", ReleaseReason.ALG_NOT_ALLOWED, lambda said: _header(said, alg="HS256")),
    ("none", ReleaseReason.ALG_NOT_ALLOWED, lambda said: _header(said, alg="none")),
    ("another typ", ReleaseReason.WRONG_TYP, lambda said: spoiled(said, HOST_KEY, typ=RELEASE_TYP)),
    ("another key", ReleaseReason.UNKNOWN_KEY, lambda said: release_request(said, EMPLOYER_KEY)),
    ("changed", ReleaseReason.BAD_SIGNATURE, lambda said: _tampered(release_request(said, HOST_KEY))),
    ("no iss", ReleaseReason.MISSING_CLAIM, claim(iss=None)),
    ("iss of another", ReleaseReason.WRONG_ISSUER, claim(iss="https://verifier.example/RM3")),
    ("aud of another", ReleaseReason.WRONG_AUDIENCE, claim(aud="https://issuer.example/RM3")),
    ("aud as array", ReleaseReason.WRONG_AUDIENCE, claim(aud=[EMPLOYER])),
    ("no aud", ReleaseReason.MISSING_CLAIM, claim(aud=None)),
    ("no iat", ReleaseReason.MISSING_CLAIM, claim(iat=None)),
    ("no exp", ReleaseReason.MISSING_CLAIM, claim(exp=None)),
    ("iat as text", ReleaseReason.BAD_CLAIM, claim(iat="2026-09-01")),
    ("iat with a fraction", ReleaseReason.BAD_CLAIM, claim(iat=NOW.timestamp() + 0.5)),
    ("expired", ReleaseReason.EXPIRED, claim(iat=1, exp=int(NOW.timestamp()) - 60)),
    ("from the future", ReleaseReason.ISSUED_IN_FUTURE, claim(iat=int(NOW.timestamp()) + 61)),
    ("too old", ReleaseReason.TOO_OLD, claim(iat=int(NOW.timestamp()) - 86_401)),
    (
        "lives too long",
        ReleaseReason.LIFETIME_TOO_LONG,
        claim(exp=int((NOW + timedelta(days=14, seconds=1)).timestamp())),
    ),
    ("no jti", ReleaseReason.MISSING_CLAIM, claim(jti=None)),
    ("short jti", ReleaseReason.BAD_CLAIM, claim(jti="short")),
    ("no movement", ReleaseReason.MISSING_CLAIM, claim(movement=None)),
    ("movement as text", ReleaseReason.BAD_CLAIM, claim(movement="move")),
    ("another host", ReleaseReason.WRONG_HOST, moved(host_ods="RM3")),
    ("another employer", ReleaseReason.WRONG_EMPLOYER, moved(employing_ods="RM3")),
    ("over", ReleaseReason.MOVEMENT_OVER, moved(start="2026-08-30", end="2026-08-31")),
    ("ends before it starts", ReleaseReason.BAD_CLAIM, moved(start="2026-09-09", end="2026-09-08")),
    ("a day that is none", ReleaseReason.BAD_CLAIM, moved(end="2026-02-30")),
    ("a day as instant", ReleaseReason.BAD_CLAIM, moved(end="2026-09-10T00:00:00Z")),
    ("a day as number", ReleaseReason.BAD_CLAIM, moved(end=20_260_910)),
    ("a day of another age", ReleaseReason.BAD_CLAIM, moved(end="2300-01-01")),
    ("version as text", ReleaseReason.BAD_CLAIM, moved(version="1")),
    ("version as boolean", ReleaseReason.BAD_CLAIM, moved(version=True)),
    ("version below zero", ReleaseReason.BAD_CLAIM, moved(version=-1)),
    ("lower-case ODS", ReleaseReason.BAD_CLAIM, moved(host_ods="r0a")),
    ("no duties", ReleaseReason.MISSING_CLAIM, moved(duties=None)),
    ("endless duties", ReleaseReason.BAD_CLAIM, moved(duties="d" * 2_001)),
    ("no sites", ReleaseReason.BAD_CLAIM, moved(sites=[])),
    ("too many sites", ReleaseReason.BAD_CLAIM, moved(sites=["s"] * 21)),
    ("a control character", ReleaseReason.BAD_CLAIM, moved(department="Uro\x00logy")),
    ("no subject", ReleaseReason.MISSING_CLAIM, claim(subject=None)),
    ("half a name", ReleaseReason.MISSING_CLAIM, claim(subject={"given_name": "Adaeze"})),
    (
        "two ways to name a person",
        ReleaseReason.BAD_CLAIM,
        claim(subject={"holder_ref": "a" * 22, "given_name": "A", "family_name": "B"}),
    ),
    ("urgent as text", ReleaseReason.BAD_CLAIM, claim(urgent="yes")),
    ("no urgent", ReleaseReason.MISSING_CLAIM, claim(urgent=None)),
]


def _header(said: ReleaseRequest, **changes: Any) -> str:
    header = {"alg": "ES256", "typ": RELEASE_REQUEST_TYP, "kid": HOST_KEY.kid, **changes}
    signing_input = f"{b64url_encode(dumps(header))}.{b64url_encode(dumps(as_claims(said)))}"
    return f"{signing_input}.{b64url_encode(HOST_KEY.sign(signing_input.encode()))}"


def _tampered(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


@pytest.mark.parametrize(("reason", "spoil"), [case[1:] for case in REFUSALS], ids=[c[0] for c in REFUSALS])
def test_every_refusal_of_a_request_has_its_reason(reason: ReleaseReason, spoil: Spoil) -> None:
    assert refused(spoil(request_claims(NOW, NAMED))) is reason


def test_every_reason_of_a_request_is_tested() -> None:
    of_a_release = {
        ReleaseReason.WRONG_REQUEST,
        ReleaseReason.WRONG_MOVEMENT,
        ReleaseReason.SERIAL_WENT_BACK,
        ReleaseReason.INCONSISTENT,
    }
    # whose reference it is, only the employer's records know
    in_the_issuer = {ReleaseReason.UNKNOWN_HOLDER_REF}
    assert {case[1] for case in REFUSALS} == set(ReleaseReason) - of_a_release - in_the_issuer


def test_refusals_never_repeat_what_was_sent() -> None:
    said = request_claims(NOW, NAMED)
    token = spoiled(said, HOST_KEY, subject={"given_name": "Adaeze", "family_name": 7})
    with pytest.raises(ReleaseError) as caught:
        read(token)
    assert "Adaeze" not in str(caught.value)


def test_the_last_day_counts_until_it_is_over_in_london() -> None:
    said = request_claims(NOW, NAMED, movement=movement(date(2026, 9, 1), end=date(2026, 9, 1)))
    token = release_request(said, HOST_KEY)
    assert wire.answer_by(said) == datetime(2026, 9, 1, 23, 0, tzinfo=UTC)  # summer time
    assert read(token, now=datetime(2026, 9, 1, 22, 59, tzinfo=UTC)) == said
    assert refused(token, now=datetime(2026, 9, 1, 23, 0, tzinfo=UTC)) is ReleaseReason.MOVEMENT_OVER


def test_a_request_that_lives_too_long_is_not_even_signed() -> None:
    said = request_claims(NOW, NAMED, exp=NOW + timedelta(days=15))
    with pytest.raises(ReleaseError, match="lifetime_too_long"):
        release_request(said, HOST_KEY)


# -- Release -----------------------------------------------------------------------------------------------


MOVE = movement(date(2026, 9, 8))
EXPECTED = ExpectedRelease(
    release_request="q" * 22,
    request_sha256=text_sha256("the request"),
    movement_id=MOVE.id,
    movement_version=MOVE.version,
    host_ods="R0A",
    employing_ods="RBV",
    duties_sha256=text_sha256(MOVE.duties),
    after_serial=1,
)
AGREED_BY = Answer(decision=AnswerDecision.AGREED, at=NOW)


def agreed(**changes: Any) -> Release:
    """A Release of the whole movement."""
    days = {name: getattr(MOVE, name) for name in ("id", "version", "type", "role_profile", "start", "end")}
    values: dict[str, Any] = {
        "iss": EMPLOYER,
        "aud": HOST,
        "iat": NOW,
        "exp": release_expiry(NOW, MOVE.end),
        "jti": new_jti(),
        "release_request": EXPECTED.release_request,
        "request_sha256": EXPECTED.request_sha256,
        "serial": 1,
        "movement": MovementReleased(
            **days, host_ods="R0A", employing_ods="RBV", duties_sha256=EXPECTED.duties_sha256
        ),
        "state": ReleaseState.AGREED,
        "end": MOVE.end,
        "statement": Statement.NO_CURRENT_RESTRICTION_KNOWN,
        "line_manager": AGREED_BY,
        "hr": AGREED_BY,
        "holder_ref": "h" * 22,
        **changes,
    }
    return Release(**values)


def declined(**changes: Any) -> Release:
    """A decline by the line manager, before HR looked."""
    nothing = {"end": None, "statement": None, "hr": None, "holder_ref": None}
    said = {"line_manager": Answer(decision=AnswerDecision.DECLINED, at=NOW)}
    code = {"state": ReleaseState.DECLINED, "decline_code": DeclineCode.CAPACITY}
    return agreed(**{**nothing, **said, **code, **changes})


def read_answer(token: str, now: datetime = NOW, expected: ExpectedRelease = EXPECTED) -> Release:
    """Read as the host's verifier does."""
    return read_release(token, EMPLOYER_JWKS, iss=EMPLOYER, aud=HOST, now=now, expected=expected)


LATER = Limit(code=LimitCode.NOT_AFTER, text="Until Wednesday", date=date(2026, 9, 9))


@pytest.mark.parametrize(
    "said",
    [
        agreed(),
        agreed(serial=7, overlap_warning=True),
        agreed(state=ReleaseState.AGREED_WITH_LIMITS, limits=[LATER], end=date(2026, 9, 9)),
        agreed(state=ReleaseState.WITHDRAWN, serial=2),
        declined(),
    ],
)
def test_a_release_is_read_as_it_was_said(said: Release) -> None:
    token = wire.release(said, EMPLOYER_KEY)
    assert read_answer(token) == said
    assert said.releases is (said.state in (ReleaseState.AGREED, ReleaseState.AGREED_WITH_LIMITS))
    assert "Adaeze" not in str(jose.parse(token).claims)


def _said(**changes: Any) -> str:
    claims = {**as_claims(agreed()), **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jose.sign(kept, EMPLOYER_KEY, typ=RELEASE_TYP)


def _moved(**changes: Any) -> str:
    return _said(movement={**as_claims(agreed())["movement"], **changes})


def _typed(typ: str) -> str:
    return jose.sign(as_claims(agreed()), EMPLOYER_KEY, typ=typ)


UNDATED = {"code": "NOT_AFTER", "text": "x"}
TOO_LATE = int((NOW + timedelta(days=401)).timestamp())
ANSWER_REFUSALS = [
    ("signed by the host", ReleaseReason.UNKNOWN_KEY, lambda: wire.release(agreed(), HOST_KEY)),
    ("a request instead", ReleaseReason.WRONG_TYP, lambda: _typed(RELEASE_REQUEST_TYP)),
    ("another employer signs", ReleaseReason.WRONG_ISSUER, lambda: _said(iss="https://issuer.example/RM3")),
    ("for another host", ReleaseReason.WRONG_AUDIENCE, lambda: _said(aud="https://verifier.example/RM3")),
    ("another request", ReleaseReason.WRONG_REQUEST, lambda: _said(release_request="z" * 22)),
    ("another content", ReleaseReason.WRONG_REQUEST, lambda: _said(request_sha256=text_sha256("x"))),
    ("another host", ReleaseReason.WRONG_HOST, lambda: _moved(host_ods="RM3")),
    ("another employer", ReleaseReason.WRONG_EMPLOYER, lambda: _moved(employing_ods="RM3")),
    ("another movement", ReleaseReason.WRONG_MOVEMENT, lambda: _moved(id="another")),
    ("an older movement", ReleaseReason.WRONG_MOVEMENT, lambda: _moved(version=0)),
    ("other duties", ReleaseReason.WRONG_MOVEMENT, lambda: _moved(duties_sha256=text_sha256("other"))),
    ("serial zero", ReleaseReason.BAD_CLAIM, lambda: _said(serial=0)),
    ("serial as text", ReleaseReason.BAD_CLAIM, lambda: _said(serial="2")),
    ("a state nobody knows", ReleaseReason.BAD_CLAIM, lambda: _said(state="MAYBE")),
    ("requested is no Release", ReleaseReason.BAD_CLAIM, lambda: _said(state="REQUESTED")),
    ("agreed by one", ReleaseReason.INCONSISTENT, lambda: _said(hr=None)),
    ("agreed without a person", ReleaseReason.INCONSISTENT, lambda: _said(holder_ref=None)),
    ("agreed without statement", ReleaseReason.INCONSISTENT, lambda: _said(statement=None)),
    ("agreed with a code", ReleaseReason.INCONSISTENT, lambda: _said(decline_code="CAPACITY")),
    ("longer than asked", ReleaseReason.INCONSISTENT, lambda: _said(end="2026-09-11")),
    ("not a day", ReleaseReason.INCONSISTENT, lambda: _said(end="2026-09-07", state="AGREED_WITH_LIMITS")),
    ("shorter without a limit", ReleaseReason.INCONSISTENT, lambda: _said(end="2026-09-09")),
    ("limits it does not name", ReleaseReason.INCONSISTENT, lambda: _said(state="AGREED_WITH_LIMITS")),
    ("declined by nobody", ReleaseReason.INCONSISTENT, lambda: _said(state="DECLINED", decline_code="OTHER")),
    ("a limit without its date", ReleaseReason.BAD_CLAIM, lambda: _said(limits=[UNDATED])),
    ("too many limits", ReleaseReason.BAD_CLAIM, lambda: _said(limits=[{"code": "OTHER", "text": "x"}] * 11)),
    ("lives too long", ReleaseReason.LIFETIME_TOO_LONG, lambda: _said(exp=TOO_LATE)),
    ("expired", ReleaseReason.EXPIRED, lambda: _said(iat=1, exp=int(NOW.timestamp()) - 60)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "make"), [case[1:] for case in ANSWER_REFUSALS], ids=[case[0] for case in ANSWER_REFUSALS]
)
def test_every_refusal_of_a_release_has_its_reason(reason: ReleaseReason, make: Callable[[], str]) -> None:
    with pytest.raises(ReleaseError) as caught:
        read_answer(make())
    assert caught.value.reason is reason


def test_a_host_never_goes_back_to_an_older_release() -> None:
    older, newer = (wire.release(agreed(serial=serial), EMPLOYER_KEY) for serial in (2, 3))
    holds_three = ExpectedRelease(**{**EXPECTED.__dict__, "after_serial": 3})
    with pytest.raises(ReleaseError) as caught:
        read_answer(older, expected=holds_three)
    assert caught.value.reason is ReleaseReason.SERIAL_WENT_BACK
    assert read_answer(newer, expected=holds_three).serial == 3


def test_what_contradicts_itself_cannot_be_made() -> None:
    with pytest.raises(ValidationError):
        agreed(state=ReleaseState.AGREED_WITH_LIMITS)
    with pytest.raises(ValidationError):
        declined(decline_code=None)


@given(end=st.dates(date(2026, 9, 1), date(2029, 12, 31)))
def test_a_release_lives_a_day_longer_than_the_move_and_at_most_400_days(end: date) -> None:
    expiry = release_expiry(NOW, end)
    assert expiry - NOW <= timedelta(days=400)
    over = wire.day_after(end)
    assert expiry == min(NOW + timedelta(days=400), wire.day_after(end + timedelta(days=1)))
    assert over.astimezone(wire.LONDON).date() == end + timedelta(days=1)


@settings(max_examples=60)
@given(
    given_name=st.text(min_size=1, max_size=200),
    family_name=st.text(min_size=1, max_size=200),
    duties=st.text(min_size=1, max_size=500),
)
def test_any_words_either_travel_whole_or_are_never_sent(
    given_name: str, family_name: str, duties: str
) -> None:
    try:
        said = request_claims(
            NOW,
            ByName(given_name=given_name, family_name=family_name),
            movement=movement(date(2026, 9, 8), duties=duties),
        )
        token = release_request(said, HOST_KEY)
    except ValueError:  # control characters and lone surrogates are no words
        return
    assert read(token) == said


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_noise_is_refused_and_never_an_error_of_ours(noise: bytes) -> None:
    assert refused(noise) in {ReleaseReason.MALFORMED, ReleaseReason.BAD_HEADER}
