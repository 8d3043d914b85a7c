"""Ids of one process are in the order they were made: what a transaction writes keeps its order."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.ids import new_id, new_id_after


def test_ids_grow_within_a_millisecond() -> None:
    ids = [new_id() for _ in range(5_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in ids} == {(7, uuid.RFC_4122)}


def test_ids_grow_over_a_clock_that_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = new_id()
    now = time.time_ns()
    monkeypatch.setattr("passport_shared.formats.ids.time.time_ns", lambda: now - 86_400 * 10**9)
    later = [new_id() for _ in range(100)]
    assert [before, *later] == sorted([before, *later])


def test_ids_of_many_threads_are_different() -> None:
    made: list[str] = []

    def make() -> None:
        made.extend([new_id() for _ in range(1_000)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8_000


def test_an_id_is_greater_than_one_of_a_replica_whose_clock_is_ahead() -> None:
    an_hour_ahead = str(uuid.UUID(int=uuid.UUID(new_id()).int + (3_600_000 << 80)))
    made = [an_hour_ahead]
    for _ in range(50):
        made.append(new_id_after(made[-1]))
    assert made == sorted(set(made))
    assert {uuid.UUID(one).version for one in made} == {7}
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}


@given(tail=st.integers(0, 2**62 - 1), head=st.integers(0, 2**12 - 1))
@settings(max_examples=100)
def test_counting_on_carries_through_the_fields(head: int, tail: int) -> None:
    previous = str(uuid.UUID(int=(2**46 << 80) | (7 << 76) | (head << 64) | (2 << 62) | tail))
    found = new_id_after(previous)
    assert found > previous
    assert (uuid.UUID(found).version, uuid.UUID(found).variant) == (7, uuid.RFC_4122)


def test_without_one_before_or_with_an_earlier_one_it_is_an_ordinary_id() -> None:
    assert new_id_after(None) < new_id_after("00000000-0000-7000-8000-000000000000")
