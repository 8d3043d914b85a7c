"""What the credential endpoint needs to know while it holds a passport, in one read (design §8)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.store import credentials, offers
from passport_issuer.store import tables as t
from passport_issuer.store.offers import Grant, OfferDataset
from passport_issuer.store.rows import as_value
from passport_issuer.store.status_lists import StatusListRow

_LIST = "list_"


@dataclass(frozen=True, kw_only=True)
class BeforeIssuing:
    """The grant as it is now, and what was issued before.

    ``confirmed`` counts the dataset's credentials that a wallet acknowledged; ``predecessor`` is the
    credential of an earlier offer that a new one replaces; ``lists`` are the tenant's status lists, oldest
    first.
    """

    grant: Grant
    confirmed: int
    predecessor: str | None
    lists: list[StatusListRow]


_BEFORE = (
    offers.granted()
    .add_columns(
        credentials.confirmed().label("confirmed"),
        credentials.predecessor().label("predecessor"),
        *(column.label(f"{_LIST}{column.name}") for column in t.status_lists.c),
    )
    .outerjoin(t.status_lists, t.status_lists.c.ods == t.access_tokens_table.c.ods)
    .order_by(t.status_lists.c.created_at, t.status_lists.c.id)
)


async def before_issuing(
    conn: AsyncConnection, grant: Grant, dataset: OfferDataset, now: datetime
) -> BeforeIssuing | None:
    """Read all that decides about one more credential of a dataset; None when the grant is no longer good."""
    values = {
        "of_token": grant.token_hash,
        "of_ods": grant.ods,
        "of_now": now,
        "of_dataset": dataset.id,
        "of_passport": grant.passport_id,
        "of_kind": dataset.type,
        "of_source_ref": dataset.source_ref,
        "of_offer": grant.offer_id,
    }
    rows = (await conn.execute(_BEFORE, values)).mappings().all()
    if not rows:
        return None
    lists = [
        StatusListRow(**{column.name: row[f"{_LIST}{column.name}"] for column in t.status_lists.c})
        for row in rows
        if row[f"{_LIST}id"] is not None
    ]
    return BeforeIssuing(
        grant=as_value(Grant, rows[0]),
        confirmed=rows[0]["confirmed"],
        predecessor=rows[0]["predecessor"],
        lists=lists,
    )
