"""What comes next for somebody who was invited: an offer to collect, an appointment, or to wait for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from passport_issuer.context import Context
from passport_issuer.rules.passports import PassportState
from passport_issuer.rules.records import Channel
from passport_issuer.store import next_steps as store
from passport_issuer.store import passports
from passport_shared.service.tenancy import Tenant

STILL_RUNNING = timedelta(hours=2)
"""How long after its time an appointment is still shown: people join late."""


@dataclass(frozen=True, kw_only=True)
class NextSteps:
    """``offer_id``: of an offer to collect now; ``at``: of the next appointment, with how to get there."""

    offer_id: str | None
    collected: bool
    at: datetime | None
    by_video: bool
    join_url: str | None
    place: str | None


async def next_steps(ctx: Context, tenant: Tenant, staff_id: str) -> NextSteps:
    """What a person can do now, and when they are expected."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        offer = await store.open_offer(conn, tenant.ods, staff_id, now)
        session = await store.next_appointment(conn, tenant.ods, staff_id, now - STILL_RUNNING)
        passport = await passports.passport_of(conn, tenant.ods, staff_id)
    return NextSteps(
        offer_id=offer.id if offer else None,
        collected=passport is not None and passport.state is PassportState.ACTIVE,
        at=session.scheduled_for if session else None,
        by_video=session is not None and session.channel is Channel.VIDEO,
        join_url=session.join_url if session else None,
        place=session.place if session else None,
    )
