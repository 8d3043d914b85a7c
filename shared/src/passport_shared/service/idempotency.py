"""``Idempotency-Key`` on every POST: per client and route, for 24 hours (design §6).

The first request with a key claims it by one insert, which two replicas cannot both win. What is kept is the
id of the resource the request made, never its answer: a repetition is answered by reading that resource. The
key itself is kept as a hash, because clients put names into keys.

An operation that calls ``claim.complete(conn, id)`` inside its own transaction runs exactly once whatever
crashes: either both are committed or neither. A claim that nobody completed may be taken over after its
lease.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Index, MetaData, Table, Text, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import random_token
from passport_shared.service import failpoints
from passport_shared.service.db import Database, UtcDateTime
from passport_shared.service.middleware import UNMATCHED, route_template
from passport_shared.service.problems import BadRequest, PassportError

HEADER = "Idempotency-Key"
LIFETIME = timedelta(hours=24)
LEASE = timedelta(minutes=2)
RETRY_AFTER = timedelta(seconds=1)

RUNNING, DONE = "running", "done"  # PERSISTED

# draft-ietf-httpapi-idempotency-key-header wants a quoted string; most clients send a bare one. Both are
# read.
_KEY = re.compile(r'"([\x21\x23-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')


@dataclass(frozen=True)
class IdempotencyTables:
    """The table of claimed keys."""

    claims: Table


def tables(metadata: MetaData) -> IdempotencyTables:
    """Define the table of claimed keys."""
    claims = Table(
        "idempotency_claims",
        metadata,
        Column("client_id", Text, primary_key=True),
        Column("route", Text, primary_key=True),
        Column("key_hash", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("claim", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("resource_id", Text),
        Column("lease_until", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
    )
    Index("ix_idempotency_claims_expires_at", claims.c.expires_at)
    return IdempotencyTables(claims)


@dataclass(frozen=True, kw_only=True)
class IdempotentCall:
    """One request that carries a key."""

    client_id: str
    route: str
    key_hash: str
    fingerprint: str


@dataclass(frozen=True)
class Outcome:
    """What a request made, now or the first time."""

    resource_id: str
    replayed: bool


def key_of(request: Request) -> str | None:
    """The request's key, without quotes; None when it has none.

    Raises:
        BadRequest: repeated, empty, longer than 255 characters or not visible ASCII.
    """
    values = request.headers.getlist(HEADER)
    if not values:
        return None
    match = _KEY.fullmatch(values[0])
    if len(values) > 1 or match is None:
        raise BadRequest(
            f"{HEADER} must be one value of 1 to 255 visible ASCII characters.", field=f"header/{HEADER}"
        )
    return match[1] or match[2]


async def call_of(request: Request, client_id: str) -> IdempotentCall | None:
    """The call a request stands for; None without a key.

    Raises:
        BadRequest: as ``key_of``.
    """
    key = key_of(request)
    if key is None:
        return None
    digest = hashlib.sha256()
    for part in (request.url.path.encode(), request.url.query.encode(), await request.body()):
        digest.update(len(part).to_bytes(8, "big") + part)
    template = route_template(request.scope, {})
    return IdempotentCall(
        client_id=client_id,
        route=f"{request.method} {request.url.path if template == UNMATCHED else template}",
        key_hash=hashlib.sha256(key.encode()).hexdigest(),
        fingerprint=digest.hexdigest(),
    )


class Claim:
    """The right to do the work of one call, held until it is completed, released or over its lease."""

    def __init__(self, claims: Table, call: IdempotentCall | None, token: str) -> None:
        self._claims = claims
        self._call = call
        self._token = token
        self.completed = call is None

    async def complete(self, conn: AsyncConnection, resource_id: str) -> None:
        """Record what was made, in the transaction that makes it.

        Raises:
            PassportError: ``request_in_progress``: the lease ran out and another request took over; roll
                back.
        """
        if self._call is None:
            return
        result = await conn.execute(
            update(self._claims)
            .where(self._held(self._call), self._claims.c.state == RUNNING)
            .values(state=DONE, resource_id=resource_id)
        )
        if result.rowcount != 1:
            raise _in_progress()
        self.completed = True

    async def release(self, conn: AsyncConnection) -> None:
        """Give the key back after a refusal or a fault, so that the same request can be tried again."""
        if self._call is not None:
            await conn.execute(
                delete(self._claims).where(self._held(self._call), self._claims.c.state == RUNNING)
            )

    def _held(self, call: IdempotentCall) -> Any:
        return and_(_is(self._claims, call), self._claims.c.claim == self._token)


class Idempotency:
    """Runs work at most once per key."""

    def __init__(
        self,
        db: Database,
        tables: IdempotencyTables,
        clock: Clock,
        *,
        lifetime: timedelta = LIFETIME,
        lease: timedelta = LEASE,
    ) -> None:
        self._db = db
        self._claims = tables.claims
        self._clock = clock
        self._lifetime = lifetime
        self._lease = lease

    async def once(self, call: IdempotentCall | None, work: Callable[[Claim], Awaitable[str]]) -> Outcome:
        """Do the work, or find what it made before.

        Args:
            call: from ``call_of``; None runs the work without a claim.
            work: makes the resource and returns its id. It should complete the claim in its own transaction;
                if it does not, the claim is completed right after it.

        Raises:
            PassportError: ``idempotency_key_reused`` (422) for another request under the key,
                ``request_in_progress`` (409) while the first one runs.
        """
        if call is None:
            return Outcome(await work(Claim(self._claims, None, "")), replayed=False)
        claim = await self._claim(call)
        if isinstance(claim, Outcome):
            return claim
        failpoints.hit(failpoints.AFTER_WORK_CLAIMED)
        try:
            resource_id = await work(claim)
            if not claim.completed:
                async with self._db.write() as conn:
                    await claim.complete(conn, resource_id)
        except BaseException:
            await self._release(claim)
            raise
        return Outcome(resource_id, replayed=False)

    async def purge(self) -> int:
        """Forget expired keys; returns how many."""
        async with self._db.write() as conn:
            result = await conn.execute(
                delete(self._claims).where(self._claims.c.expires_at <= self._clock.now())
            )
            return int(result.rowcount)

    async def _claim(self, call: IdempotentCall) -> Claim | Outcome:
        # A row can vanish between the insert that met it and the read that follows: its holder released it.
        for _ in range(3):
            token = random_token()
            statement = self._claim_statement(call, token, self._clock.now())
            if await self._db.hot(statement, statement):
                return Claim(self._claims, call, token)
            async with self._db.read() as conn:
                row = (await conn.execute(select(self._claims).where(_is(self._claims, call)))).one_or_none()
            if row is None:
                continue
            if row.fingerprint != call.fingerprint:
                raise PassportError("idempotency_key_reused", "The key belongs to another request.")
            if row.state == DONE:
                return Outcome(row.resource_id, replayed=True)
            raise _in_progress()
        raise _in_progress()

    def _claim_statement(self, call: IdempotentCall, token: str, now: datetime) -> Any:
        dialect = sqlite if self._db.dialect == "sqlite" else postgresql
        claims = self._claims
        fresh = {
            "fingerprint": call.fingerprint,
            "claim": token,
            "state": RUNNING,
            "resource_id": None,
            "lease_until": now + self._lease,
            "expires_at": now + self._lifetime,
        }
        statement = dialect.insert(claims).values(
            client_id=call.client_id, route=call.route, key_hash=call.key_hash, **fresh
        )
        abandoned = and_(
            claims.c.state == RUNNING, claims.c.lease_until <= now, claims.c.fingerprint == call.fingerprint
        )
        return statement.on_conflict_do_update(
            index_elements=[claims.c.client_id, claims.c.route, claims.c.key_hash],
            set_=fresh,
            where=or_(claims.c.expires_at <= now, abandoned),
        ).returning(claims.c.claim)

    async def _release(self, claim: Claim) -> None:
        # Also after `complete`: its transaction may have been rolled back. If it was committed, nothing goes.
        async with self._db.write() as conn:
            await claim.release(conn)


def _is(claims: Table, call: IdempotentCall) -> Any:
    return and_(
        claims.c.client_id == call.client_id, claims.c.route == call.route, claims.c.key_hash == call.key_hash
    )


def _in_progress() -> PassportError:
    return PassportError(
        "request_in_progress", "The first request with this key is still running.", retry_after=RETRY_AFTER
    )
