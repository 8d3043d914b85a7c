"""The sandbox's clock: forwards only, and the machine's own wherever the file says nothing usable."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deploy.simulators.clock import SandboxClock
from passport_shared.service.clock import LONGEST_OFFSET, MovableClock, SystemClock

MAX_OFFSET_S = int(LONGEST_OFFSET.total_seconds())


@pytest.fixture
def file(tmp_path):
    return tmp_path / "below" / "clock.json"


def test_it_moves_forward_and_another_reader_sees_it(file):
    clock = SandboxClock(file)
    assert clock.advance(3600) == 3600
    assert clock.advance(60) == 3660
    assert SandboxClock(file).offset_s == 3660
    assert MovableClock(file).now() - SystemClock().now() > timedelta(seconds=3600)
    assert clock.now() - SystemClock().now() > timedelta(seconds=3600)


@pytest.mark.parametrize("seconds", [-1, MAX_OFFSET_S + 1])
def test_it_goes_neither_back_nor_wild(file, seconds):
    with pytest.raises(ValueError, match="forward"):
        SandboxClock(file).advance(seconds)
    assert not file.exists()


def test_without_a_file_it_stands_with_the_machine():
    clock = SandboxClock(None)
    assert clock.offset_s == 0
    with pytest.raises(ValueError, match="without a clock file"):
        clock.advance(1)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"offset_s": -5}', '{"offset_s": true}', '{"offset_s": "60"}', '{"offset_s": 1e3}',
     f'{{"offset_s": {MAX_OFFSET_S + 1}}}', " " * 2_000],
)  # fmt: skip
def test_a_file_that_says_nothing_usable_moves_nothing(file, content):
    file.parent.mkdir()
    file.write_text(content)
    assert SandboxClock(file).offset_s == 0
