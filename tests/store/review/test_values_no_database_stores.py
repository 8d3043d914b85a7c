"""A value that slips past every check and that the database refuses is the caller's fault, not ours."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from passport_shared.service.database_faults import as_answer
from passport_shared.service.db import Database
from passport_testkit.databases import both_databases


@both_databases
async def test_a_nul_in_text_is_stored_or_the_caller_s_fault(database: Database):
    query, value = text("select cast(:value as text) as value"), {"value": "a\x00b"}
    async with database.read() as conn:
        if database.dialect == "sqlite":
            assert (await conn.execute(query, value)).scalar_one() == "a\x00b"
            return
        with pytest.raises(DBAPIError) as refused:
            await conn.execute(query, value)
    answer = as_answer(refused.value)
    assert (answer.status, answer.code) == (422, "invalid_request")
