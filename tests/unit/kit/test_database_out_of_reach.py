"""A database that cannot be reached at all is 503 as one that fails is, however the driver puts it."""

import asyncio
import socket

import asyncpg
import pytest

from passport_shared.service.database_faults import as_answer
from passport_shared.service.problems import Unavailable


async def fault(**where: object) -> BaseException:
    with pytest.raises(OSError) as caught:
        await asyncpg.connect(user="issuer", database="issuer", **where)
    return caught.value


async def test_a_server_that_does_not_answer():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await fault(host="127.0.0.1", port=silent.getsockname()[1], timeout=0.05)
    assert type(error) is TimeoutError
    assert isinstance(as_answer(error), Unavailable)


async def test_a_name_that_leads_nowhere():
    error = await fault(host="postgres.invalid", timeout=20)
    assert isinstance(error, socket.gaierror)
    assert isinstance(as_answer(error), Unavailable)


async def test_another_timeout_is_not_the_databases():
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()
    assert as_answer(caught.value).status == 500
