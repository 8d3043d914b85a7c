"""Wrapping what the verifier keeps under another key-encryption key: key rows, data keys, request keys.

The service may run meanwhile, and this may be killed and run again: a row that the first key of the file has
wrapped is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, select, update

from passport_shared.service.db import Database
from passport_shared.service.kek import Kek
from passport_shared.service.keys import KeyStore
from passport_verifier.operations.presentation_requests import key_context
from passport_verifier.operations.sealing import data_key_context
from passport_verifier.store import tables as t

BATCH = 500


async def rewrap(db: Database, keys: KeyStore, kek: Kek) -> int:
    """Wrap everything under the first key of the file; how many rows changed."""
    requests, movements = t.presentation_requests, t.movements
    moved = await keys.rewrap()
    moved += await _column(db, kek, movements.c.data_key, movements.c.id, data_key_context)
    moved += await _column(db, kek, requests.c.data_key, requests.c.case_id, data_key_context)
    return moved + await _column(db, kek, requests.c.encryption_key, requests.c.id, key_context)


async def _column(
    db: Database, kek: Kek, wrapped: Column[Any], named: Column[Any], context_of: Callable[[str], str]
) -> int:
    """Wrap one column anew, by batches of rows; ``named`` is what each row's wrapping is bound to."""
    table, after, moved = wrapped.table, "", 0
    ids = table.c.id
    while True:
        query = select(ids, named.label("named"), wrapped.label("wrapped")).where(ids > after)
        async with db.read() as conn:
            rows = (await conn.execute(query.order_by(ids).limit(BATCH))).all()
        if not rows:
            return moved
        after = rows[-1].id
        async with db.write() as conn:
            for row in rows:
                context = context_of(row.named)
                if row.wrapped is None or kek.wrapped_by_first(row.wrapped, context=context):
                    continue
                anew = kek.wrap(kek.unwrap(row.wrapped, context=context), context=context)
                # Emptied meanwhile stays empty: what was forgotten does not come back.
                still = (ids == row.id) & (wrapped == row.wrapped)
                moved += (await conn.execute(update(table).where(still).values({wrapped: anew}))).rowcount
