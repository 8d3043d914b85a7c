"""Properties: exactly what was chosen is shown, and nothing spoilt is ever taken for something else."""

from __future__ import annotations

import contextlib
import copy
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats import sd_jwt
from passport_shared.formats.sd_jwt import Path, SdJwtError
from passport_shared.formats.sd_jwt_vc import CredentialRejected
from passport_testkit.credentials import derived_key, forgery, verify

KEY = derived_key("test-only-issuer-credential")

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6).filter(
    lambda name: name not in ("_sd", "_sd_alg", "...") and name not in sd_jwt.ALWAYS_PLAIN
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
CLAIMS = st.dictionaries(NAMES, VALUES, max_size=5)


def all_paths(value: Any, here: Path = ()) -> list[Path]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [path for step, child in members for path in [(*here, step), *all_paths(child, (*here, step))]]


def projection(value: Any, hidden: set[Path], shown: set[Path], here: Path = ()) -> Any:
    """What remains when a hidden place goes unless it is shown: written without digests."""
    if isinstance(value, dict):
        return {
            name: projection(child, hidden, shown, (*here, name))
            for name, child in value.items()
            if (*here, name) not in hidden or (*here, name) in shown
        }
    if isinstance(value, list):
        return [
            projection(child, hidden, shown, (*here, index))
            for index, child in enumerate(value)
            if (*here, index) not in hidden or (*here, index) in shown
        ]
    return value


def expected_shown(hidden: set[Path], chosen: list[Path], *, subtree: bool) -> set[Path]:
    return {
        path
        for path in hidden
        for pick in chosen
        if pick[: len(path)] == path or (subtree and path[: len(pick)] == pick)
    }


@settings(max_examples=150, deadline=None)
@given(st.data(), CLAIMS, st.integers(0, 2), st.booleans())
def test_what_is_shown_is_the_projection_of_what_was_chosen(
    data: st.DataObject, claims: dict[str, Any], decoys: int, subtree: bool
) -> None:
    places = all_paths(claims)
    hidden = set(data.draw(st.lists(st.sampled_from(places), max_size=20, unique=True)) if places else [])
    chosen = data.draw(st.lists(st.sampled_from(places), max_size=6)) if places else []
    before = copy.deepcopy(claims)
    token = sd_jwt.issue(claims, hidden, KEY, decoys=decoys)
    assert claims == before
    assert sd_jwt.process(sd_jwt.parse(token)) == claims
    assert set(sd_jwt.disclosable_paths(token)) == hidden
    presented = sd_jwt.parse(sd_jwt.present(token, chosen, subtree=subtree))
    shown = expected_shown(hidden, chosen, subtree=subtree)
    assert sd_jwt.process(presented) == projection(claims, hidden, shown)
    assert len(presented.disclosures) == len(shown)


TOKEN = forgery().token()
CLAIMS_OF_TOKEN = verify(TOKEN).claims
PARTS = TOKEN.split("~")


def holds_or_is_refused(token: str | bytes) -> None:
    """A spoilt token is refused in the promised way; if accepted, it says the very same."""
    try:
        claims = verify(token).claims
    except CredentialRejected:
        claims = None
    assert claims is None or (claims == CLAIMS_OF_TOKEN and token in (TOKEN, TOKEN.encode()))
    with contextlib.suppress(SdJwtError):
        sd_jwt.process(sd_jwt.parse(token))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.binary(min_size=1, max_size=3), st.integers(0, 4))
def test_changed_bytes_are_never_accepted(at: int, inserted: bytes, removed: int) -> None:
    raw = TOKEN.encode()
    holds_or_is_refused(raw[:at] + inserted + raw[at + removed :])


@settings(max_examples=200, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_moved_parts_are_never_accepted(chance: random.Random, times: int) -> None:
    parts = list(PARTS)
    for _ in range(times):
        change = chance.choice(["drop", "double", "swap", "splice", "cut"])
        one, two = chance.randrange(len(parts)), chance.randrange(len(parts))
        if change == "drop" and len(parts) > 1:
            del parts[one]
        elif change == "double":
            parts.insert(two, parts[one])
        elif change == "swap":
            parts[one], parts[two] = parts[two], parts[one]
        elif change == "splice":
            parts[one] = parts[one][: chance.randrange(len(parts[one]) + 1)] + parts[two]
        else:
            parts[one] = parts[one][: chance.randrange(len(parts[one]) + 1)]
    holds_or_is_refused("~".join(parts))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_an_sd_jwt_or_has_a_reason(text: str) -> None:
    for token in (text, text + "~", PARTS[0] + "~" + text, PARTS[0] + "~" + text + "~"):
        holds_or_is_refused(token)


JSON_PIECES = st.recursive(
    st.one_of(SCALARS, st.sampled_from(["_sd", "...", "_sd_alg", "sha-256"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(NAMES, st.sampled_from(["_sd", "...", "_sd_alg"])), inner, max_size=3),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON_PIECES, max_size=3), JSON_PIECES)
def test_an_issuer_may_sign_anything_and_gets_a_reason(planted: list[Any], claim: Any) -> None:
    forged = forgery()
    for content in planted:
        forged.plant(content)
    forged.payload["claim"] = claim
    try:
        claims = verify(forged.token()).claims
    except CredentialRejected:
        return
    assert {name: claims[name] for name in CLAIMS_OF_TOKEN if name != "cnf"} == {
        name: value for name, value in CLAIMS_OF_TOKEN.items() if name != "cnf"
    }
