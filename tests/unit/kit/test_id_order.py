"""Ids of one process are in the order they were made: what a transaction writes keeps its order."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from passport_shared.formats.ids import new_id


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
