"""Telling people that their placement at another trust ends: 7 days and 1 day before, once each (journey J8).

The employing trust tells its own member of staff, from the last day it has released: it has the address, and
it hears of an earlier end before anybody. Safe to run at any moment and by any replica.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from passport_issuer.context import Context
from passport_issuer.operations import notices
from passport_issuer.rules.notices import CATCH_UP_DAYS, NoticeKind
from passport_issuer.rules.validity import london_day
from passport_issuer.store import releases as store
from passport_issuer.store.releases import Case

ANNOUNCED = (7, 1)
"""Days before the last day."""


async def announce(ctx: Context) -> int:
    """Queue the notices that are due; how many."""
    today = london_day(ctx.clock.now())
    queued = 0
    for days in ANNOUNCED:
        first = today + timedelta(days=max(0, days - CATCH_UP_DAYS))
        async with ctx.db.read() as conn:
            cases = await store.ending(conn, first, today + timedelta(days=days))
        queued += await _queue(ctx, list(_due(cases, days)), days)
    return queued


def _due(cases: Sequence[Case], days: int) -> Iterator[tuple[Case, date]]:
    """Those agreed before the day of this announcement: nobody hears of an end right after agreeing."""
    for case in cases:
        last = case.released_end
        if (
            last is not None
            and case.hr_at is not None
            and london_day(case.hr_at) < last - timedelta(days=days)
        ):
            yield case, last


async def _queue(ctx: Context, due: Sequence[tuple[Case, date]], days: int) -> int:
    if not due:
        return 0
    queued = 0
    async with ctx.db.write() as conn:
        for case, last in due:
            told = await notices.queue(
                ctx,
                conn,
                kind=NoticeKind.PLACEMENT_ENDS,
                ods=case.ods,
                staff_id=str(case.staff_id),
                about=case.id,
                facts={"day": last},
                # A movement asked for anew is the same visit.
                once=f"placement:{case.movement_id}:{last.isoformat()}:{days}",
            )
            queued += told is not None
    return queued
