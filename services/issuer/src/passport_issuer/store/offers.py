"""Credential offers, the datasets they hold until they are over, and the access tokens they turn into.

What may happen once happens by one conditional statement: a wrong PIN is counted, a code is redeemed, an
offer is withdrawn, each only from the state that allows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.rules.passports import OfferState, PassportState
from passport_issuer.store import tables as t
from passport_issuer.store.rows import as_row, as_value, one
from passport_shared.service.paging import PageQuery, fetch_page

MAX_WRONG_TX_CODES = 5


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A credential offer; its code and PIN are derived from its id and never stored.

    ``holder_jkt`` is the thumbprint of the one key it may be collected with, None for any new key.
    """

    id: str
    ods: str
    passport_id: str
    staff_id: str
    configuration_ids: tuple[str, ...]
    not_held: tuple[Mapping[str, Any], ...]
    state: OfferState
    reason: str | None
    reviewed: bool
    wrong_tx_codes: int
    expires_at: datetime
    redeemed_at: datetime | None
    created_at: datetime
    created_by: str
    holder_jkt: str | None = None

    def open_at(self, now: datetime) -> bool:
        """Whether the offer can still be collected."""
        return (
            self.state is OfferState.OFFERED
            and now < self.expires_at
            and self.wrong_tx_codes < MAX_WRONG_TX_CODES
        )


@dataclass(frozen=True, kw_only=True)
class OfferDataset:
    """One dataset of an offer.

    ``id`` is its credential_identifier, ``claims`` None once the offer is over.
    """

    id: str
    offer_id: str
    position: int
    type: str
    configuration_id: str
    source_ref: str
    claims: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What a wallet's access token allows, with the state of what it belongs to."""

    token_hash: str
    ods: str
    offer_id: str
    by_identifier: bool
    issued_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    passport_id: str
    staff_id: str
    passport_state: PassportState
    holder_jkt: str | None = None


async def insert_offer(conn: AsyncConnection, offer: Offer, datasets: Sequence[OfferDataset]) -> None:
    """Write an offer with its datasets."""
    await conn.execute(insert(t.credential_offers).values(as_row(offer)))
    for dataset in datasets:
        await conn.execute(insert(t.offer_datasets).values(as_row(dataset)))


async def get_offer(conn: AsyncConnection, ods: str, offer_id: str) -> Offer | None:
    """One offer of this trust."""
    offers = t.credential_offers
    return await one(conn, select(offers).where(offers.c.ods == ods, offers.c.id == offer_id), Offer)


async def list_offers(
    conn: AsyncConnection, ods: str, staff_id: str, page: PageQuery
) -> tuple[list[Offer], str | None]:
    """A page of a person's offers, oldest first (ids are random, so by the time they were made)."""
    offers = t.credential_offers
    query = select(offers).where(offers.c.ods == ods, offers.c.staff_id == staff_id)
    rows, following = await fetch_page(
        conn,
        query,
        list_name=f"offers/{staff_id}",
        order_by=[offers.c.created_at, offers.c.id],
        query=page,
    )
    return [as_value(Offer, row._mapping) for row in rows], following


_DATASETS = (
    select(t.offer_datasets)
    .where(t.offer_datasets.c.offer_id == bindparam("of_offer"))
    .order_by(t.offer_datasets.c.position)
)


async def datasets_of(conn: AsyncConnection, offer_id: str) -> list[OfferDataset]:
    """The datasets of an offer in the order in which they were offered."""
    rows = (await conn.execute(_DATASETS, {"of_offer": offer_id})).mappings()
    return [as_value(OfferDataset, row) for row in rows]


async def count_tx_code(conn: AsyncConnection, offer_id: str, *, right: bool, now: datetime) -> bool:
    """Count a try at the PIN of an open offer; whether the offer was open for it.

    The fifth wrong one closes the offer for every further try, wherever it comes from.
    """
    offers = t.credential_offers
    counted = await conn.execute(
        update(offers)
        .where(
            offers.c.id == offer_id,
            offers.c.state == OfferState.OFFERED.value,
            offers.c.expires_at > now,
            offers.c.wrong_tx_codes < MAX_WRONG_TX_CODES,
        )
        .values(wrong_tx_codes=offers.c.wrong_tx_codes + (0 if right else 1))
    )
    return counted.rowcount == 1


async def redeem(conn: AsyncConnection, offer_id: str, now: datetime) -> bool:
    """Turn an open offer into an accepted one; exactly one caller gets True."""
    offers = t.credential_offers
    redeemed = await conn.execute(
        update(offers)
        .where(
            offers.c.id == offer_id,
            offers.c.state == OfferState.OFFERED.value,
            offers.c.expires_at > now,
            offers.c.wrong_tx_codes < MAX_WRONG_TX_CODES,
        )
        .values(state=OfferState.ACCEPTED.value, redeemed_at=now)
    )
    return redeemed.rowcount == 1


async def end_offer(
    conn: AsyncConnection, ods: str, offer_id: str, *, to: OfferState, reason: str | None
) -> bool:
    """Withdraw or reject an offer that is still open; whether it was. Its datasets go at once."""
    offers = t.credential_offers
    ended = await conn.execute(
        update(offers)
        .where(offers.c.ods == ods, offers.c.id == offer_id, offers.c.state == OfferState.OFFERED.value)
        .values(state=to.value, reason=reason)
    )
    if ended.rowcount == 1:
        await _forget_claims(conn, [offer_id])
    return ended.rowcount == 1


async def mark_reviewed(conn: AsyncConnection, offer_id: str) -> None:
    """Record that the holder said the details are right."""
    await conn.execute(
        update(t.credential_offers).where(t.credential_offers.c.id == offer_id).values(reviewed=True)
    )


async def insert_token(
    conn: AsyncConnection,
    *,
    token_hash: str,
    ods: str,
    offer_id: str,
    by_identifier: bool,
    issued_at: datetime,
    expires_at: datetime,
) -> None:
    """Write an access token's hash."""
    await conn.execute(
        insert(t.access_tokens_table).values(
            token_hash=token_hash,
            ods=ods,
            offer_id=offer_id,
            by_identifier=by_identifier,
            issued_at=issued_at,
            expires_at=expires_at,
        )
    )


async def revoke_tokens(conn: AsyncConnection, offer_id: str, now: datetime) -> int:
    """Revoke every live token of an offer, because its code was presented again; how many."""
    tokens = t.access_tokens_table
    revoked = await conn.execute(
        update(tokens)
        .where(tokens.c.offer_id == offer_id, tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return revoked.rowcount


def granted() -> Select[Any]:
    """The grant of a token by ``of_token``, ``of_ods`` and ``of_now``; no row unless it is good now."""
    tokens, offers, passports = t.access_tokens_table, t.credential_offers, t.passports
    return (
        select(
            tokens,
            offers.c.passport_id,
            offers.c.staff_id,
            offers.c.holder_jkt,
            passports.c.state.label("passport_state"),
        )
        .join(offers, offers.c.id == tokens.c.offer_id)
        .join(passports, passports.c.id == offers.c.passport_id)
        .where(
            tokens.c.token_hash == bindparam("of_token"),
            tokens.c.ods == bindparam("of_ods"),
            tokens.c.expires_at > bindparam("of_now"),
            tokens.c.revoked_at.is_(None),
        )
    )


_GRANTED = granted()


async def grant_of(conn: AsyncConnection, ods: str, token_hash: str, now: datetime) -> Grant | None:
    """What a token allows, None unless it is this tenant's, current and not revoked."""
    found = await conn.execute(_GRANTED, {"of_token": token_hash, "of_ods": ods, "of_now": now})
    row = found.mappings().one_or_none()
    return None if row is None else as_value(Grant, row)


async def expire(conn: AsyncConnection, now: datetime) -> list[tuple[str, str]]:
    """Close offers that ran out, and forget the datasets of every offer that is over.

    The (organisation, id) of those that ran out.
    """
    offers, tokens = t.credential_offers, t.access_tokens_table
    expired = await conn.execute(
        update(offers)
        .where(offers.c.state == OfferState.OFFERED.value, offers.c.expires_at <= now)
        .values(state=OfferState.EXPIRED.value)
        .returning(offers.c.ods, offers.c.id)
    )
    ran_out = [(row.ods, row.id) for row in expired]
    live = select(tokens.c.offer_id).where(tokens.c.expires_at > now, tokens.c.revoked_at.is_(None))
    over = (
        select(offers.c.id)
        .join(t.offer_datasets, t.offer_datasets.c.offer_id == offers.c.id)
        .where(
            offers.c.state != OfferState.OFFERED.value,
            offers.c.id.not_in(live),
            t.offer_datasets.c.claims.is_not(None),
        )
        .distinct()
    )
    await _forget_claims(conn, [row.id for row in await conn.execute(over)])
    await conn.execute(delete(tokens).where(tokens.c.expires_at <= now))
    return ran_out


async def _forget_claims(conn: AsyncConnection, offer_ids: Sequence[str]) -> None:
    if offer_ids:
        table = t.offer_datasets
        await conn.execute(update(table).where(table.c.offer_id.in_(offer_ids)).values(claims=None))
