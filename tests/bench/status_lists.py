"""A status list of 131,072 entries: from an acknowledged revocation to the served list, and serving it.

The issuer runs as a process with its background work, on the machine's clock. A second replica, here in this
process, takes the revocations by API, so the list is published by whoever holds the lease, as in production.
That needs PostgreSQL. The list is filled first, because an empty one compresses to nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import insert, select, update

from passport_issuer.operations import status_lists
from passport_issuer.rules.passports import CredentialState
from passport_issuer.store import tables as t
from passport_shared.formats.ids import new_id
from passport_shared.formats.status_list import INVALID, read_token
from passport_testkit.issuers import IssuerBench, running_issuer
from tests.bench import credentials, load
from tests.bench.measure import percentile
from tests.bench.paired import Comparison, Side, compare
from tests.bench.places import Place
from tests.bench.processes import Program, running

FILLED = 20_000
EVERY_S = 0.35
POLL_S = 0.1
GIVE_UP_AFTER_S = 60
HR = {"reason_code": "ISSUED_IN_ERROR", "actor": "hr-4711"}


@dataclass(frozen=True)
class Published:
    """Seconds from acknowledged to served, for each revocation, and the two ways of serving."""

    waits_s: Sequence[float]
    whole: Comparison
    unchanged: Comparison
    list_bytes: int

    def wait(self, share: float) -> float:
        """The wait that this share of the revocations did not exceed."""
        return percentile(self.waits_s, share)


async def measure(place: Place, *, revocations: int, requests: int, repetitions: int) -> Published:
    """Measure.

    Raises:
        RuntimeError: a revocation was refused, or was not published within a minute.
    """
    url = await place.database("passport_issuer")
    config: dict[str, Any] = {
        "folder": str(place.folder),
        "database_url": url,
        "background": True,
        "at": None,
    }
    async with AsyncExitStack() as stack:
        now = datetime.now(UTC)  # noqa: TID251  a program's own start
        bench = await stack.enter_async_context(running_issuer(place.folder, url, at=now))
        prepared = await credentials.requests_of(bench, revocations)
        uri = await _fill(bench)
        ours = stack.enter_context(
            running(
                ["python", "-m", "tests.bench.serving", "issuer", place.write("issuer.json", config)],
                log=place.folder / "issuer.log",
                core=place.server_core,
                environment=place.environment,
            )
        )
        await load.send(ours.port, prepared)
        waits, body, etag = await _revoke_and_watch(bench, ours, uri)
        stored = place.folder / "stored.jwt"
        stored.write_bytes(body)
        floor = stack.enter_context(
            running(
                [
                    *("python", "-m", "tests.bench.floor_apps", "stored"),
                    place.write("stored.json", {"file": str(stored), "etag": etag}),
                ],
                log=place.folder / "floor.log",
                core=place.server_core,
                environment=place.environment,
            )
        )
        whole, unchanged = [
            await compare(
                _side(ours, urlsplit(uri).path, requests * (repetitions + 1), *headers),
                _side(floor, "/list", requests * (repetitions + 1), *headers),
                requests=requests,
                repetitions=repetitions,
            )
            for headers in ((), (f"If-None-Match: {etag}",))
        ]
    return Published(waits, whole, unchanged, len(body))


def _side(program: Program, path: str, count: int, *headers: str) -> Side:
    return Side(program, [load.get(path, *headers)] * count)


async def _fill(bench: IssuerBench) -> str:
    """Give the list `FILLED` revoked entries below the upper half, which new ones are not kept from."""
    (tenant,) = await bench.ctx.tenants.every()
    (uri,) = await status_lists.list_uris(bench.ctx, tenant)
    list_id = uri.rpartition("/")[2]
    now = bench.clock.now()
    async with bench.ctx.db.read() as conn:
        passport = (await conn.execute(select(t.passports).limit(1))).mappings().one()
        dataset = (await conn.execute(select(t.offer_datasets).limit(1))).mappings().one()
    row = {
        **{"ods": "RBV", "passport_id": passport["id"], "staff_id": passport["staff_id"]},
        **{"offer_id": dataset["offer_id"], "dataset_id": dataset["id"], "type": dataset["type"]},
        **{"source_ref": dataset["source_ref"], "vct": "bench", "schema_version": 1},
        **{"status_list_id": list_id, "state": CredentialState.REVOKED.value, "holder_jkt": ""},
        **{"payload_digest": "", "request_id": "", "prepared_at": now, "expires_at": now, "ended_at": now},
    }
    taken = random.Random(1).sample(range(status_lists.SIZE), FILLED)  # noqa: S311 - not a secret
    rows = [{**row, "id": new_id(), "status_idx": idx, "notification_id": f"fill-{idx}"} for idx in taken]
    async with bench.ctx.db.write() as conn:
        await conn.execute(insert(t.credentials), rows)
        lists = t.status_lists
        await conn.execute(
            update(lists)
            .where(lists.c.id == list_id)
            .values(allocated=lists.c.allocated + FILLED, version=lists.c.version + 1)
        )
    return uri


async def _revoke_and_watch(bench: IssuerBench, issuer: Program, uri: str) -> tuple[list[float], bytes, str]:
    """Revoke one after the other while the list is fetched; the waits, the list and its entity tag."""
    table = t.credentials
    async with bench.ctx.db.read() as conn:
        issued = select(table.c.id, table.c.status_idx).where(table.c.state == CredentialState.ISSUED.value)
        waiting = [(row.id, row.status_idx) for row in await conn.execute(issued)]
    acknowledged: dict[int, float] = {}

    async def revoke() -> None:
        for credential_id, idx in waiting:
            answer = await bench.call("POST", f"/credentials/{credential_id}/revoke", HR)
            if answer.status_code != 200:
                raise RuntimeError(f"a revocation was refused: {answer.text}")
            acknowledged[idx] = time.perf_counter()
            await asyncio.sleep(EVERY_S)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{issuer.port}") as http:
        watched = _Watch(http, uri, bench, {idx for _, idx in waiting})
        async with asyncio.TaskGroup() as both:  # a refused revocation ends the watch as well
            both.create_task(revoke())
            both.create_task(watched.until_all(acknowledged))
    return [watched.seen[idx] - at for idx, at in acknowledged.items()], watched.body, watched.etag


class _Watch:
    """Fetches a list as a verifier does, and notes when each index was first seen revoked."""

    def __init__(self, http: httpx.AsyncClient, uri: str, bench: IssuerBench, wanted: set[int]) -> None:
        self._http, self._uri, self._wanted = http, uri, wanted
        self._roots = bench.registry.authority.roots
        self.seen: dict[int, float] = {}
        self.body, self.etag = b"", ""

    async def until_all(self, acknowledged: dict[int, float]) -> None:
        """Fetch until every index is seen."""
        while self._wanted - self.seen.keys():
            await self._look()
            now = time.perf_counter()
            late = [
                idx for idx, at in acknowledged.items() if idx not in self.seen and now - at > GIVE_UP_AFTER_S
            ]
            if late:
                raise RuntimeError(f"{len(late)} revocations were not published within a minute")
            await asyncio.sleep(POLL_S)

    async def _look(self) -> None:
        headers = {"If-None-Match": self.etag} if self.etag else {}
        answer = await self._http.get(urlsplit(self._uri).path, headers=headers)
        seen_at = time.perf_counter()
        if answer.status_code == 304:
            return
        answer.raise_for_status()
        self.body, self.etag = answer.content, answer.headers["ETag"]
        now = datetime.now(UTC)  # noqa: TID251  what is measured is real time
        token = read_token(answer.text, uri=self._uri, roots=self._roots, now=now)
        for idx in self._wanted - self.seen.keys():
            if token.list.get(idx) == INVALID:
                self.seen[idx] = seen_at
