import importlib.util
import json
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from deploy.containers import engine

RUNTIME = Path(engine.__file__).with_name("oci-runtime")


@pytest.fixture(name="runtime")
def fixture_runtime() -> ModuleType:
    loader = SourceFileLoader("oci_runtime", str(RUNTIME))
    spec = importlib.util.spec_from_loader("oci_runtime", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("of", ["process", None])
def test_limits_that_root_may_not_set_are_not_asked_for(
    runtime: ModuleType, tmp_path: Path, of: str | None
) -> None:
    process = {"args": ["serve"], "rlimits": [{"type": "RLIMIT_NOFILE"}], "noNewPrivileges": True}
    kept = {"args": ["serve"], "noNewPrivileges": True}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({of: process, "linux": {}} if of else process))
    runtime.without_limits(file, of=of)
    assert json.loads(file.read_text()) == ({of: kept, "linux": {}} if of else kept)


@pytest.mark.parametrize("content", ["", "{", "[1"])
def test_what_is_no_configuration_is_left_to_the_runtime(
    runtime: ModuleType, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "config.json"
    file.write_text(content)
    runtime.without_limits(file, of="process")
    assert file.read_text() == content


@pytest.mark.parametrize("words", [["--bundle", "there"], ["--bundle=there"], ["-b", "there"]])
def test_where_the_engine_put_its_configuration(
    runtime: ModuleType, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["runtime", "create", *words, "an-id"])
    assert runtime.named("--bundle", "-b") == "there"


def test_without_an_engine_it_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(engine.NoEngine, match="no podman, and no apt-get"):
        engine.Engine.prepare(tmp_path / "settings")


def test_in_ci_no_engine_is_said_and_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from deploy.containers import __main__ as program

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for words, in_ci, code in (("check", "true", 0), ("check", "", 1), ("up", "true", 1)):
        monkeypatch.setenv("CI", in_ci)
        monkeypatch.setattr(sys, "argv", ["containers", words])
        assert program.main() == code
        assert "Containers cannot be run here: there is no podman" in capsys.readouterr().err
