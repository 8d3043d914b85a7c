"""The command line: an anchor, a client and a trust from nothing, and plain words for what is refused."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from passport_registry.cli import PROGRAM
from passport_registry.clients.tokens import TokenRefused, read_client_key
from passport_shared.formats.snapshot import TrustFile
from passport_shared.service.cli import main
from passport_shared.service.kek import create_kek_file

PUBLIC_URL = "https://registry.example"
Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    create_kek_file(tmp_path / "kek")
    settings = {
        "PUBLIC_URL": PUBLIC_URL,
        "DATABASE_URL": f"sqlite:///{tmp_path}/registry.db",
        "KEK_FILE": str(tmp_path / "kek"),
        "ENVIRONMENT": "test",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"PASSPORT_REGISTRY_{name}", value)

    def command(*words: str) -> int:
        return main(PROGRAM, list(words))

    assert command("migrate") == 0
    return command


def test_init_prints_the_trust_file_and_changes_nothing_the_second_time(run: Run, capsys, tmp_path: Path):
    capsys.readouterr()
    assert run("init") == 0
    first = capsys.readouterr().out
    trust = TrustFile.parse(first)
    assert (trust.entity_id, trust.snapshot_uri) == (PUBLIC_URL, f"{PUBLIC_URL}/federation/snapshot")
    assert trust.vct_base == f"{PUBLIC_URL}/vct"
    assert run("init", "--out", str(tmp_path / "trust.json")) == 0
    assert run("trust-file") == 0
    assert capsys.readouterr().out == first == (tmp_path / "trust.json").read_text()


def test_a_client_key_is_given_once_and_kept_nowhere(run: Run, capsys, tmp_path: Path):
    run("init")
    file = tmp_path / "ops.json"
    assert run("client", "create", "ops", "--scope", "organisations:read", "--out", str(file)) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client_id, key = read_client_key(file)
    assert client_id == "ops"
    capsys.readouterr()
    assert run("client", "list") == 0
    assert capsys.readouterr().out == "ops\tACTIVE\tMACHINE\t*\torganisations:read\n"
    assert json.loads(file.read_text())["jwk"]["d"].encode() not in (tmp_path / "registry.db").read_bytes()
    assert run("client", "create", "other", "--out", str(file)) == 1
    assert "not overwritten" in capsys.readouterr().err
    assert run("client", "create", "ops") == 1
    assert "taken" in capsys.readouterr().err
    assert run("client", "suspend", "ops") == 0
    assert run("client", "list") == 0
    assert "SUSPENDED" in capsys.readouterr().out
    assert key.kid


def test_a_trust_joins_by_commands(run: Run, capsys):
    run("init")
    capsys.readouterr()
    assert run("organisation", "add", "RBV", "--name", "The Christie", "--hrd", "office of the HRD") == 0
    assert "RBV is INVITED" in capsys.readouterr().err
    step = ("organisation", "step", "RBV", "REGISTRATION", "--done-on", "2021-07-13", "--evidence", "doc/1")
    assert run(*step, "--detail", "ods_active=true") == 0
    assert "RBV is REGISTERED" in capsys.readouterr().err
    assert run("entity", "create", "RBV", "ISSUER", "https://issuer.example/RBV") == 0
    first = capsys.readouterr().out.strip()
    assert run("entity", "code", "RBV", "ISSUER") == 0
    assert capsys.readouterr().out.strip() not in {"", first}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("organisation", "add", "rbv", "--name", "The Christie"), "ODS code in upper case"),
        (
            ("organisation", "step", "RXX", "MOU", "--done-on", "2021-07-13", "--evidence", "x"),
            "nothing under",
        ),
        (("organisation", "step", "RBV", "MOU"), "/done_on"),
        (("organisation", "step", "RBV", "MOU", "--detail", "nothing"), "fact=value"),
        (("entity", "create", "RBV", "ISSUER", "http://issuer.example/RBV"), "https"),
        (("entity", "code", "RBV", "VERIFIER"), "nothing under"),
        (("client", "create", "abc", "--scope", "moon:read"), "/scopes/0"),
        (("client", "suspend", "nobody"), "nothing under"),
    ],
)
def test_refusals_say_what_is_wrong(run: Run, capsys, words, said):
    run("init")
    run("organisation", "add", "RBV", "--name", "The Christie")
    capsys.readouterr()
    assert run(*words) == 1
    assert said in capsys.readouterr().err


def test_before_init_there_is_no_trust_file(run: Run, capsys):
    assert run("trust-file") == 1
    assert "anchor" in capsys.readouterr().err


def test_a_token_needs_a_key_file_and_a_service(run: Run, capsys, tmp_path: Path):
    run("init")
    file = tmp_path / "ops.json"
    run("client", "create", "ops", "--out", str(file))
    capsys.readouterr()
    assert run("token", "--client", str(file), "--url", "https://localhost:1") == 1
    assert "no usable answer" in capsys.readouterr().err
    assert run("token", "--client", str(tmp_path / "missing.json")) == 1
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "no JSON",
        '{"client_id":"x","jwk":{}}',
        '{"client_id":"x","jwk":{"d":"AA","kty":"EC"}}',
        '{"client_id":1,"jwk":{"d":"AA"}}',
    ],
)
def test_key_files_that_are_none(tmp_path: Path, content: str):
    file = tmp_path / "client.json"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(TokenRefused):
        read_client_key(file)


def test_a_key_file_whose_halves_do_not_belong_together(run: Run, tmp_path: Path):
    run("init")
    for name in ("one", "two"):
        run("client", "create", f"client-{name}", "--out", str(tmp_path / f"{name}.json"))
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    one["jwk"]["d"] = two["jwk"]["d"]
    mixed = tmp_path / "mixed.json"
    mixed.write_text(json.dumps(one))
    mixed.chmod(0o600)
    with pytest.raises(TokenRefused, match="does not belong"):
        read_client_key(mixed)
    mixed.chmod(0o644)
    with pytest.raises(TokenRefused, match="readable for everybody"):
        read_client_key(mixed)
