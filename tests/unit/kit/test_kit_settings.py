"""Settings: identifiers as text, secrets from files, and every fault said in plain words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError
from pydantic_settings import SettingsConfigDict

from passport_shared.service.settings import (
    Environment,
    ServiceSettings,
    check_config,
    read_secret,
    settings_markdown,
)


class KitSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PASSPORT_KIT_")

    offer_life: timedelta = Field(default=timedelta(days=7), description="How long an offer lives.")
    signing_key_file: Path | None = Field(default=None, description="A key.")
    weights: dict[str, int] = Field(default={}, description="A JSON object.")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    kek = tmp_path / "kek"
    kek.write_text("invented")
    kek.chmod(0o600)
    return {
        "PASSPORT_KIT_PUBLIC_URL": "https://kit.example",
        "PASSPORT_KIT_DATABASE_URL": "sqlite:///x.db",
        "PASSPORT_KIT_KEK_FILE": str(kek),
    }


def _settings(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> KitSettings:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return KitSettings()


def test_a_usable_configuration_has_no_faults(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ |= {
        "PASSPORT_KIT_OUTBOUND_ALLOW": "localhost:9000, localhost:9001,",
        "PASSPORT_KIT_LOG_LEVEL": "WARNING",
        "PASSPORT_KIT_OFFER_LIFE": "P1D",
        "PASSPORT_KIT_WEIGHTS": '{"a": 1}',
    }
    assert check_config(KitSettings, environ) == []
    settings = _settings(environ, monkeypatch)
    assert settings.outbound_allow == {"localhost:9000", "localhost:9001"}
    assert (settings.log_level, settings.offer_life, settings.weights) == (
        "warning",
        timedelta(days=1),
        {"a": 1},
    )
    assert (settings.environment, settings.durable) == (Environment.PRODUCTION, True)


def test_settings_cannot_be_changed(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = _settings(environ, monkeypatch)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, "public_url", "https://other.example")  # noqa: B010 - the type checker knows it is frozen


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PUBLIC_URL", "http://kit.example", "must be an https:// URL"),
        ("PUBLIC_URL", "https://", "must be an https:// URL"),
        ("PUBLIC_URL", "HTTPS://kit.example", "must be an https:// URL"),
        ("PUBLIC_URL", "https://kit.example/", "must not end with a slash"),
        ("PUBLIC_URL", "https://kit.example/RBV", "must have no path"),
        ("PUBLIC_URL", "https://Kit.example", "host in lower case"),
        ("PUBLIC_URL", "https://kít.example", "plain ASCII"),
        ("PUBLIC_URL", "https://u:p@kit.example", "no user, query or fragment"),
        ("PUBLIC_URL", "https://kit.example?x=1", "no user, query or fragment"),
        ("PUBLIC_URL", "https://kit.example?", "no user, query or fragment"),
        ("PUBLIC_URL", "https://kit.example#x", "no user, query or fragment"),
        ("REGISTRY_URL", "registry.example", "must be an https:// URL"),
        ("DATABASE_URL", "mysql://x/y", "start with sqlite:/// or postgresql://"),
        ("DATABASE_URL", "sqlite://", "SQLite needs a file"),
        ("DATABASE_URL", "nonsense", "start with sqlite:/// or postgresql://"),
        ("BIND", "9000", "must be host:port"),
        ("BIND", "x:99999", "must be host:port"),
        ("BIND", "x:-1", "must be host:port"),
        ("BIND", "fd://x", "must be fd:// and the number"),
        ("ENVIRONMENT", "prod", "Input should be 'production', 'development' or 'test'"),
        ("LOG_LEVEL", "chatty", "Input should be 'debug', 'info', 'warning' or 'error'"),
        ("OUTBOUND_ALLOW", "localhost", "must be host:port"),
        ("MAX_BODY_BYTES", "1", "greater than or equal to 1024"),
        ("SHUTDOWN_GRACE", "soon", "valid timedelta"),
        ("WEIGHTS", "[", "valid dictionary"),
    ],
)
def test_each_mistake_is_named(environ: dict[str, str], name: str, value: str, words: str) -> None:
    faults = check_config(KitSettings, environ | {f"PASSPORT_KIT_{name}": value})
    assert len(faults) == 1
    assert faults[0].startswith(f"PASSPORT_KIT_{name}: ")
    assert words in faults[0]


def test_the_value_is_not_repeated(environ: dict[str, str]) -> None:
    faults = check_config(KitSettings, environ | {"PASSPORT_KIT_DATABASE_URL": "mysql://u:hunter2@h/d"})
    assert "hunter2" not in "".join(faults)


def test_missing_and_mistyped_variables(environ: dict[str, str]) -> None:
    del environ["PASSPORT_KIT_KEK_FILE"]
    environ |= {"PASSPORT_KIT_KEK_FIEL": "x", "PASSPORT_KIT_QQQ": "x", "PASSPORT_OTHER_X": "x", "PATH": "x"}
    assert check_config(KitSettings, environ) == [
        "PASSPORT_KIT_KEK_FIEL: no such setting; did you mean PASSPORT_KIT_KEK_FILE?",
        "PASSPORT_KIT_QQQ: no such setting",
        "PASSPORT_KIT_KEK_FILE: Field required",
    ]


def test_the_processs_own_variables_do_not_seep_in(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSPORT_KIT_PUBLIC_URL", "https://kit.example")
    del environ["PASSPORT_KIT_PUBLIC_URL"]
    assert check_config(KitSettings, environ) == ["PASSPORT_KIT_PUBLIC_URL: Field required"]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
@pytest.mark.parametrize("name", ["KEK_FILE", "SIGNING_KEY_FILE", "TLS_KEY_FILE"])
def test_a_secret_that_everybody_can_read_is_refused(
    environ: dict[str, str], tmp_path: Path, mode: int, name: str
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("invented")
    secret.chmod(mode)
    certificate = {"PASSPORT_KIT_TLS_CERT_FILE": str(tmp_path / "kek")} if name == "TLS_KEY_FILE" else {}
    faults = check_config(KitSettings, environ | certificate | {f"PASSPORT_KIT_{name}": str(secret)})
    assert faults == [f"PASSPORT_KIT_{name}: {secret} is readable for everybody: chmod o-rwx {secret}"]


def test_files_that_are_not_there(environ: dict[str, str], tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    changes = {
        "PASSPORT_KIT_KEK_FILE": missing,
        "PASSPORT_KIT_TRUST_FILE": missing,
        "PASSPORT_KIT_TLS_CA_FILE": missing,
    }
    assert sorted(check_config(KitSettings, environ | changes)) == [
        f"PASSPORT_KIT_{name}: {missing} cannot be read: No such file or directory"
        for name in ("KEK_FILE", "TLS_CA_FILE", "TRUST_FILE")
    ]


def test_tls_files_belong_together(environ: dict[str, str], tmp_path: Path) -> None:
    faults = check_config(KitSettings, environ | {"PASSPORT_KIT_TLS_CERT_FILE": str(tmp_path / "kek")})
    assert faults == ["configuration: tls_cert_file and tls_key_file belong together"]


def test_the_database_url_may_stand_in_a_file(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "database"
    file.write_text("postgresql://u:hunter2@h/d\n")
    file.chmod(0o640)
    both = environ | {"PASSPORT_KIT_DATABASE_URL_FILE": str(file)}
    assert "are both set" in check_config(KitSettings, both)[0]
    del both["PASSPORT_KIT_DATABASE_URL"]
    assert check_config(KitSettings, both) == []
    settings = _settings(both, monkeypatch)
    assert settings.database_url == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize("content", [b"", b"x" * 65_537])
def test_a_secret_has_a_size(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ValueError, match="empty or larger"):
        read_secret(file)


def test_the_example_needs_no_environment() -> None:
    example = KitSettings.example(environment="test")
    assert (example.public_url, example.durable) == ("https://service.example", False)


def test_the_table_names_every_variable() -> None:
    table = settings_markdown(KitSettings)
    rows: dict[str, Any] = dict(line.split(" | ", 1) for line in table.splitlines()[2:])
    assert len(rows) == len(KitSettings.model_fields)
    assert rows["| `PASSPORT_KIT_OFFER_LIFE`"] == "`604800 s` | How long an offer lives. |"
    assert rows["| `PASSPORT_KIT_KEK_FILE`"].startswith("required | File with the 32-byte")
    assert all(field.description for field in KitSettings.model_fields.values())


@pytest.mark.parametrize(
    ("written", "means"),
    [("90", timedelta(seconds=90)), ("1.5", timedelta(seconds=1.5)), ("PT5M", timedelta(minutes=5))],
)
def test_a_duration_is_a_number_of_seconds(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, written: str, means: timedelta
) -> None:
    for name, value in {**environ, "PASSPORT_KIT_OFFER_LIFE": written}.items():
        monkeypatch.setenv(name, value)
    assert check_config(KitSettings, {**environ, "PASSPORT_KIT_OFFER_LIFE": written}) == []
    assert KitSettings().offer_life == means


@pytest.mark.parametrize("written", ["0.5", "31", "-2", "soon"])
def test_the_registry_is_asked_as_often_as_promised(environ: dict[str, str], written: str) -> None:
    assert check_config(KitSettings, {**environ, "PASSPORT_KIT_REGISTRY_POLL": written})
