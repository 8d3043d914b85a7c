"""An issuer signs nothing that a verifier of ours would refuse for its size; and what just fits, it signs."""

from __future__ import annotations

from typing import Any

import pytest

from passport_shared.formats import jose, sd_jwt
from passport_shared.formats.sd_jwt import DEFAULT_LIMITS, SdJwtError, SdJwtReason
from passport_testkit.credentials import holder_key

KEY = holder_key()


def issued(claims: dict[str, Any], *hidden: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    return sd_jwt.process(sd_jwt.parse(sd_jwt.issue(claims, hidden, KEY, **more)))


def refusal(claims: dict[str, Any], *hidden: tuple[Any, ...]) -> SdJwtReason:
    with pytest.raises(SdJwtError) as refused:
        sd_jwt.issue(claims, hidden, KEY)
    return refused.value.reason


def nested(levels: int, *, arrays: bool) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels - 1):
        value = [value] if arrays else {"a": value}
    return {"top": value}


def test_as_many_disclosures_as_a_verifier_takes():
    most = DEFAULT_LIMITS.max_disclosures
    claims = {f"c{number}": number for number in range(most + 1)}
    paths = [(name,) for name in claims]
    assert issued(claims, *paths[:most]) == claims
    assert refusal(claims, *paths) is SdJwtReason.TOO_MANY_DISCLOSURES


@pytest.mark.parametrize("arrays", [True, False])
def test_as_deep_as_a_verifier_reads(arrays: bool):
    deepest = DEFAULT_LIMITS.max_depth
    assert issued(nested(deepest, arrays=arrays)) == nested(deepest, arrays=arrays)
    assert refusal(nested(deepest + 1, arrays=arrays)) is SdJwtReason.TOO_DEEP


def test_as_long_as_a_verifier_reads():
    most, lengths, reasons = DEFAULT_LIMITS.max_bytes, set(), set()
    fits = (most - len(sd_jwt.issue({"a": ""}, (), KEY))) // 4 * 3
    for more in range(4):  # base64url leaves out every fourth length
        for count in range(fits - 12, fits + 6):
            try:
                lengths.add(len(sd_jwt.issue({"a": "x" * count}, (), KEY, headers={"x": "y" * more})))
            except SdJwtError as refused:
                reasons.add(refused.reason)
    assert max(lengths) == most
    assert reasons == {SdJwtReason.TOO_LARGE}


@pytest.mark.parametrize(("headers", "named"), [(None, True), ({"x": "1"}, True), ({"x5c": ["AA=="]}, False)])
def test_the_key_is_named_unless_its_certificate_is(headers: dict[str, Any] | None, named: bool):
    token = sd_jwt.issue({"a": 1}, (), KEY, headers=headers)
    assert ("kid" in jose.parse(token.rstrip("~")).header) is named


def test_elements_hidden_by_index_and_by_every_element_are_hidden_once():
    claims = {"list": ["a", "b"], "empty": []}
    token = sd_jwt.issue(claims, [("list", 0), ("list", None), ("empty", None)], KEY)
    assert len(sd_jwt.parse(token).disclosures) == 2
    assert sd_jwt.process(sd_jwt.parse(token)) == claims
