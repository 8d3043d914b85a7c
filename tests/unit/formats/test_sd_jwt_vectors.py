"""The SD-JWT vectors of our making: reproducible, and read as they say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from passport_shared.formats import jose, sd_jwt
from passport_shared.formats.jose import PublicKey
from passport_shared.formats.sd_jwt import SdJwtError

VECTORS = Path(__file__).resolve().parents[2] / "vectors"


def generator(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, VECTORS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((VECTORS / "sd_jwt" / name).read_text(encoding="utf-8"))
    return content


POSITIVE, NEGATIVE = load("positive.json"), load("negative.json")


def names(content: dict[str, Any]) -> list[str]:
    return [vector["name"] for vector in content["vectors"]]


def test_the_generator_makes_the_same_bytes_again() -> None:
    for name, text in generator("generate_sd_jwt").files().items():
        assert (VECTORS / "sd_jwt" / name).read_text(encoding="utf-8") == text


def test_the_files_hold_no_private_key() -> None:
    for path in (VECTORS / "sd_jwt").iterdir():
        text = path.read_text(encoding="utf-8")
        assert "PRIVATE" not in text
        assert '"d":' not in text


@pytest.mark.parametrize("vector", POSITIVE["vectors"], ids=names(POSITIVE))
def test_a_right_vector_is_read_as_it_says(vector: dict[str, Any]) -> None:
    issuer, holder = PublicKey.from_jwk(POSITIVE["issuer"]), PublicKey.from_jwk(POSITIVE["holder"])
    issued = sd_jwt.parse(vector["issuance"])
    jose.verify(issued.issuer_jwt, issuer, typ=POSITIVE["typ"])
    assert sd_jwt.process(issued) == vector["claims"]
    for presentation in vector["presentations"]:
        parsed = sd_jwt.parse(presentation["presentation"])
        assert parsed.issuer_jwt.compact == issued.issuer_jwt.compact
        assert sd_jwt.process(parsed) == presentation["processed"]
        assert parsed.key_binding is not None
        kb = jose.verify(parsed.key_binding, holder, typ="kb+jwt")
        assert kb.claims["sd_hash"] == parsed.sd_hash


@pytest.mark.parametrize("vector", NEGATIVE["vectors"], ids=names(NEGATIVE))
def test_a_spoilt_vector_is_refused_for_its_reason(vector: dict[str, Any]) -> None:
    issuer = PublicKey.from_jwk(NEGATIVE["issuer"])
    assert jose.verify(vector["token"].partition("~")[0], issuer, typ=NEGATIVE["typ"])
    with pytest.raises(SdJwtError) as caught:
        sd_jwt.process(sd_jwt.parse(vector["token"]))
    assert caught.value.reason.value == vector["reason"]
