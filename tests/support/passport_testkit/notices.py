"""An issuer whose notices can be read, and somebody to write to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from passport_issuer.operations import notice_outbox, notice_sending
from passport_issuer.store.notices import OutboxItem
from passport_testkit.issuers import IssuerBench, running_issuer

READABLE: Mapping[str, Any] = {"notice_adapter": "development", "environment": "development"}
REACHABLE: Mapping[str, Any] = {
    "work_email": "adaeze.okonkwo@trust.invalid",
    "mobile": "+44 7700 900123",
}


@contextlib.asynccontextmanager
async def telling_issuer(folder: Path, database_url: str, **changes: Any) -> AsyncIterator[IssuerBench]:
    """An issuer whose notices are kept to be read."""
    async with running_issuer(folder, database_url, settings={**READABLE, **changes}) as bench:
        yield bench


async def sent(issuer: IssuerBench) -> list[OutboxItem]:
    """Try everything that is due, as the background does; what people have been sent so far, oldest first."""
    await notice_sending.send_due(issuer.ctx)
    return list(reversed(await notice_outbox.read(issuer.ctx)))


async def listed(issuer: IssuerBench, query: str = "") -> list[dict[str, Any]]:
    """The trust's notices as HR sees them."""
    answer = await issuer.call("GET", f"/notices{query}")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items
