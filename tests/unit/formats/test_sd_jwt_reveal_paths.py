"""Paths a holder reveals by: what they select, and every way in which they lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from passport_shared.formats import sd_jwt
from passport_shared.formats.sd_jwt import SdJwtError, SdJwtReason
from passport_testkit.credentials import holder_key

CLAIMS: dict[str, Any] = {
    "family_name": "Dovecote",
    "languages": ["en-GB", "cy"],
    "empty": [],
    "address": {"city": "Otterbridge"},
}


def presented(*path: Any) -> dict[str, Any]:
    hidden = [("family_name",), ("languages", 0), ("languages", 1), ("empty",), ("address",)]
    token = sd_jwt.issue(CLAIMS, hidden, holder_key())
    return sd_jwt.process(sd_jwt.parse(sd_jwt.present(token, [path])))


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (("languages", None), {"languages": ["en-GB", "cy"]}),
        (("languages", 1), {"languages": ["cy"]}),
        (("address", "city"), {"languages": [], "address": {"city": "Otterbridge"}}),
        (("empty", None), {"languages": []}),
        (("empty", None, "level"), {"languages": []}),
    ],
)
def test_a_path_selects(path: tuple[Any, ...], shown: dict[str, Any]):
    assert presented(*path) == shown


@pytest.mark.parametrize(
    "path",
    [
        ("family_name", None), ("family_name", 0), ("family_name", "Dove"), ("address", None), ("address", 0),
        ("languages", "cy"), ("languages", -1), ("languages", 2), ("empty", 0), ("languages", None, "x"),
        ("nothing",),
    ],
    ids=str,
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_refused(path: tuple[Any, ...]):
    with pytest.raises(SdJwtError) as refused:
        presented(*path)
    assert refused.value.reason is SdJwtReason.PATH_NOT_FOUND
