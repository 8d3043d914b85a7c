"""Telling people that part of their passport runs out: 30, 14, 7 and 1 days before, once each (journey J7).

One notice per person, last day and announcement, however many records end that day, and none of an
announcement whose day had passed when the record was made. Safe to run at any moment and by any replica.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from passport_issuer.context import Context
from passport_issuer.operations import failpoints, notices
from passport_issuer.rules.notices import CATCH_UP_DAYS, MILESTONES, NoticeKind, milestone
from passport_issuer.rules.validity import end_of_day, london_day
from passport_issuer.store import notices as store
from passport_issuer.store.notices import Ending

BATCH = 200
Due = tuple[str, str, date, int]
"""Organisation, member of staff, last day, announcement."""


async def announce(ctx: Context) -> int:
    """Queue the notices that are due; how many."""
    today = london_day(ctx.clock.now())
    due: set[Due] = set()
    for days in MILESTONES:
        first = today + timedelta(days=max(0, days - CATCH_UP_DAYS))
        last = today + timedelta(days=days)
        async with ctx.db.read() as conn:
            # A record that ends with a day stops at the midnight after it.
            credentials = await store.credentials_ending(
                conn, end_of_day(first - timedelta(days=1)), end_of_day(last)
            )
            checks = await store.checks_ending(conn, first, last)
        due.update(_due([*credentials, *checks], today))
    queued = 0
    waiting = sorted(due)
    for start in range(0, len(waiting), BATCH):
        queued += await _queue(ctx, waiting[start : start + BATCH])
        failpoints.hit(failpoints.AFTER_RENEWALS_QUEUED)
    return queued


def _due(endings: Iterable[Ending], today: date) -> Iterator[Due]:
    for ending in endings:
        last = _last_day(ending.at)
        days = milestone((last - today).days)
        if days is not None and london_day(ending.since) < last - timedelta(days=days):
            yield ending.ods, ending.staff_id, last, days


def _last_day(at: datetime | date) -> date:
    return london_day(at - timedelta(seconds=1)) if isinstance(at, datetime) else at


async def _queue(ctx: Context, batch: list[Due]) -> int:
    queued = 0
    async with ctx.db.write() as conn:
        for ods, staff_id, last, days in batch:
            told = await notices.queue(
                ctx,
                conn,
                kind=NoticeKind.RENEWAL_DUE,
                ods=ods,
                staff_id=staff_id,
                facts={"day": last},
                once=f"renewal:{staff_id}:{last.isoformat()}:{days}",
            )
            queued += told is not None
    return queued
