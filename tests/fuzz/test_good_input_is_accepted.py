"""Some of the valid presentations and status lists that `python -m tests.soak accepting` makes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fuzz import good_input
from tests.fuzz.good_input import Case

COUNT = 40


@pytest.mark.parametrize("producer", [good_input.own, good_input.reference])
def test_every_valid_presentation_is_accepted(producer: Callable[[Case], str]):
    refused = [good_input.is_accepted(producer(case), case) for case in good_input.cases(1, COUNT)]
    assert refused == [None] * COUNT


def test_every_entry_size_and_compression_of_a_status_list_is_accepted():
    read = [
        (good_input.status_of(token, index), status) for token, index, status, _ in good_input.status_tokens()
    ]
    assert len(read) == 36
    assert all(found == status for found, status in read)
