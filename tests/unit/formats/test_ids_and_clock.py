"""Identifiers and clocks."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from passport_shared.formats.clock import Clock, epoch_s, from_epoch_s
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.strict import b64url_decode
from passport_shared.service.clock import SystemClock
from passport_testkit.clock import NOON, FrozenClock


def test_ids_are_uuid_version_7_in_order_of_time():
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    parsed = [uuid.UUID(text) for text in ids]
    assert [str(one) for one in parsed] == ids
    assert {(one.version, one.variant) for one in parsed} == {(7, uuid.RFC_4122)}
    milliseconds = [one.int >> 80 for one in parsed]
    assert milliseconds == sorted(milliseconds)


def test_the_time_in_an_id_is_the_systems():
    before = int(SystemClock().now().timestamp() * 1000)
    inside = uuid.UUID(new_id()).int >> 80
    after = int(SystemClock().now().timestamp() * 1000)
    assert before <= inside <= after


@pytest.mark.parametrize("nbytes", [16, 18, 32])
def test_tokens_are_random_base64url(nbytes: int):
    tokens = {random_token(nbytes) for _ in range(200)}
    assert len(tokens) == 200
    assert {len(b64url_decode(token)) for token in tokens} == {nbytes}
    assert len(random_token()) == 22


def test_clocks_tell_aware_utc():
    clocks: list[Clock] = [SystemClock(), FrozenClock()]
    for clock in clocks:
        assert clock.now().utcoffset() == timedelta()
    assert SystemClock().now() <= SystemClock().now()


def test_a_frozen_clock_moves_when_told():
    clock = FrozenClock()
    assert clock.now() == clock.now() == NOON
    assert clock.advance(timedelta(seconds=90)) == clock.now() == NOON + timedelta(seconds=90)
    clock.set(datetime(2030, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
    assert clock.now() == datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="aware"):
        clock.set(datetime(2030, 1, 1))  # noqa: DTZ001 - the naive time is what is refused


def test_epoch_seconds():
    assert from_epoch_s(epoch_s(NOON)) == NOON
    assert epoch_s(NOON + timedelta(milliseconds=999)) == epoch_s(NOON)
    assert epoch_s(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)) == -1
    with pytest.raises(ValueError, match="naive"):
        epoch_s(datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(ValueError, match="outside"):
        from_epoch_s(2**53)
