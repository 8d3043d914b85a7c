"""The movable clock of a sandbox: forwards only, one file for all, nothing a broken file can do."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from passport_issuer.settings import IssuerSettings
from passport_shared.formats.clock import Clock
from passport_shared.service import clock as clocks
from passport_shared.service.clock import MovableClock, SystemClock, clock_of, read_offset
from passport_shared.service.settings import Environment

DAY_S = 86_400


@pytest.fixture(autouse=True)
def _look_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "LOOK_EVERY_S", 0.0)


def moved(clock: Clock) -> float:
    return (clock.now() - SystemClock().now()) / timedelta(days=1)


def write(path: Path, content: str) -> None:
    aside = path.with_suffix(f".{time.monotonic_ns()}")
    aside.write_text(content)
    aside.replace(path)


def test_no_file_means_no_offset(tmp_path: Path) -> None:
    assert abs(moved(MovableClock(tmp_path / "clock.json"))) < 0.01


def test_every_clock_on_the_file_moves(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    one, other = MovableClock(path), MovableClock(path)
    write(path, json.dumps({"offset_s": 3 * DAY_S}))
    assert round(moved(one)) == round(moved(other)) == 3
    write(path, json.dumps({"offset_s": 5 * DAY_S}))
    assert round(moved(one)) == 5


def test_it_never_goes_back(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    clock = MovableClock(path)
    write(path, json.dumps({"offset_s": 5 * DAY_S}))
    assert round(moved(clock)) == 5
    write(path, json.dumps({"offset_s": 1 * DAY_S}))
    assert round(moved(clock)) == 5
    path.unlink()
    assert round(moved(clock)) == 5


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "5",
        "{}",
        '{"offset_s": "5"}',
        '{"offset_s": true}',
        '{"offset_s": -1}',
        '{"offset_s": 1e9}',
        '{"offset_s": 400000000}',
        '{"offset_s": 5',
        '{"offset_s": ' + "9" * 2_000 + "}",
    ],
)
def test_a_broken_file_moves_nothing(tmp_path: Path, content: str) -> None:
    path = tmp_path / "clock.json"
    clock = MovableClock(path)
    write(path, content)
    assert abs(moved(clock)) < 0.01
    with pytest.raises(ValueError):
        read_offset(content.encode())


def test_a_deployment_without_a_file_has_the_machines_clock(tmp_path: Path) -> None:
    assert isinstance(clock_of(None), SystemClock)
    assert isinstance(clock_of(tmp_path / "clock.json"), MovableClock)


def test_production_refuses_a_clock_file(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="production has none"):
        IssuerSettings.example(clock_file=tmp_path / "clock.json", environment=Environment.PRODUCTION)
    IssuerSettings.example(clock_file=tmp_path / "clock.json", environment=Environment.DEVELOPMENT)
