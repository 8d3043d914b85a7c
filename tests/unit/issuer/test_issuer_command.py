"""The issuer's command line: what a person typed wrong is said in one line, and nothing starts half."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passport_issuer.cli import PROGRAM
from passport_shared.service.cli import main
from passport_shared.service.kek import create_kek_file
from passport_testkit.clock import FrozenClock
from passport_testkit.network import TrustRegistrySimulator


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of an issuer whose database is migrated and whose network is trusted."""
    create_kek_file(tmp_path / "kek")
    trust = TrustRegistrySimulator(FrozenClock()).trust_file
    (tmp_path / "trust.json").write_bytes(trust.as_bytes())
    for name, value in {
        "PUBLIC_URL": "https://issuer.example",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'issuer.db'}",
        "KEK_FILE": str(tmp_path / "kek"),
        "TRUST_FILE": str(tmp_path / "trust.json"),
        "ENVIRONMENT": "test",
    }.items():
        monkeypatch.setenv(f"PASSPORT_ISSUER_{name}", value)
    assert main(PROGRAM, ["migrate"]) == 0
    return tmp_path


def test_a_new_issuer_has_no_tenants(deployment: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(PROGRAM, ["tenant", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_settings_are_checked_by_name(
    deployment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    capsys.readouterr()
    assert main(PROGRAM, ["check-config"]) == 0
    monkeypatch.setenv("PASSPORT_ISSUER_OFFER_LIFETIM", "60")
    assert main(PROGRAM, ["check-config"]) == 1
    assert "OFFER_LIFETIME" in capsys.readouterr().out


BROKEN = [
    ("PASSPORT_ISSUER_TRUST_FILE", "nowhere.json", "cannot be read"),
    ("PASSPORT_ISSUER_TRUST_FILE", "kek", "trust file"),
    ("PASSPORT_ISSUER_KEK_FILE", "trust.json", "kek"),
]


@pytest.mark.parametrize(("variable", "file", "said"), BROKEN)
def test_what_is_missing_is_said_in_words(
    deployment: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    file: str,
    said: str,
) -> None:
    monkeypatch.setenv(variable, str(deployment / file))
    assert main(PROGRAM, ["tenant", "list"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("passport-issuer: ")
    assert said in error.lower() or file in error
    assert "Traceback" not in error


def test_without_a_trust_file_the_way_to_one_is_named(
    deployment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PASSPORT_ISSUER_TRUST_FILE")
    assert main(PROGRAM, ["tenant", "list"]) == 1
    assert "passport-registry trust-file" in capsys.readouterr().err


def test_the_openapi_document_needs_no_deployment(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PROGRAM, ["openapi"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "/api/v1/organisations/{ods}/staff" in document["paths"]
    assert "/{ods}/credential" in document["paths"]


def test_the_services_public_key_is_printed_for_the_registry(
    deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(PROGRAM, ["client-key"]) == 0
    printed = capsys.readouterr().out
    [jwk] = json.loads(printed)["keys"]
    assert {"kty", "crv", "x", "y", "kid"} <= set(jwk)
    assert "d" not in jwk
    assert main(PROGRAM, ["client-key"]) == 0
    assert capsys.readouterr().out == printed, "the key is made once"


def test_events_that_were_set_aside_are_listed_and_asked_for_by_id(
    deployment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(PROGRAM, ["events", "set-aside"]) == 0
    assert capsys.readouterr().out == ""
    assert main(PROGRAM, ["events", "resend"]) == 0
    assert main(PROGRAM, ["events", "resend", "nothing"]) == 1
    assert "no event with this id was set aside" in capsys.readouterr().err
