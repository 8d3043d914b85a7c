"""The development outbox: notices are kept to be read on a page, and nobody is written to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from passport_issuer.clients.mail import Letter
from passport_issuer.context import Context
from passport_issuer.store import notices as store
from passport_issuer.store.notices import OutboxItem
from passport_shared.formats.clock import Clock
from passport_shared.service.db import Database

KEPT = timedelta(days=7)
SHOWN = 100


@dataclass(frozen=True)
class OutboxCourier:
    """Keeps letters in the database; refused by the settings in production."""

    db: Database
    clock: Clock

    async def send(self, letter: Letter) -> None:
        """As ``Courier.send``; never refuses."""
        item = OutboxItem(
            id=letter.id,
            ods=letter.ods,
            channel=letter.channel,
            language=letter.language,
            to_address=letter.to,
            subject=letter.subject,
            body=letter.text,
            sent_at=self.clock.now(),
        )
        async with self.db.write() as conn:
            await store.keep_in_outbox(conn, item)


async def read(ctx: Context) -> list[OutboxItem]:
    """The newest of what was kept, newest first."""
    async with ctx.db.read() as conn:
        return await store.read_outbox(conn, SHOWN)
