"""Key store: private keys as wrapped rows, one key for one purpose, and the life a key goes through.

NEXT is published before it is used, ACTIVE signs, RETIRING no longer signs and still verifies, RETIRED and
COMPROMISED are out. An owner has at most one ACTIVE and one NEXT key per purpose, by constraint, however many
replicas ask at once. `owner` is the ODS code of a tenant, or "" for the service itself. Unwrapped keys are
kept in memory; which key is active is asked again after `RECHECK`, so that another replica's rotation or a
compromise is seen soon.

It does not decide when to rotate, and it publishes nothing: entity configurations and metadata do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, RowMapping, Table, Text, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.service import failpoints
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.kek import Kek, KekError, create_kek_file, derive
from passport_shared.service.once import insert_once

if TYPE_CHECKING:
    from passport_shared.service.clock_check import ClockGuard

__all__ = [
    "Kek",
    "KekError",
    "KeyExists",
    "KeyMissing",
    "KeyState",
    "KeyStore",
    "KeyTables",
    "StoredKey",
    "create_kek_file",
    "tables",
]

RECHECK = timedelta(seconds=30)
MAX_KEYS_IN_MEMORY = 4_096
ROOT_SECRET = "root"  # noqa: S105 - a row's name


class KeyState(StrEnum):
    """PERSISTED. Life of a key: NEXT (published), ACTIVE (signs), RETIRING (verifies), then out."""

    NEXT = "NEXT"
    ACTIVE = "ACTIVE"
    RETIRING = "RETIRING"
    RETIRED = "RETIRED"
    COMPROMISED = "COMPROMISED"


USABLE = (KeyState.ACTIVE, KeyState.NEXT, KeyState.RETIRING)
"""States in which a key may be published and met, in the order in which `published` lists them."""


class KeyMissing(LookupError):
    """There is no key in the state that was asked for."""


class KeyExists(Exception):
    """The owner has a key of this purpose and state already."""


@dataclass(frozen=True)
class KeyTables:
    """Tables of the key store."""

    keys: Table
    secrets: Table


def tables(metadata: MetaData) -> KeyTables:
    """Define the key store's tables."""
    keys = Table(
        "signing_keys",
        metadata,
        Column("kid", Text, primary_key=True),
        Column("owner", Text, nullable=False),
        Column("purpose", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("kek_version", Integer, nullable=False),
        Column("public_jwk", JsonText, nullable=False),
        Column("wrapped", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("changed_at", UtcDateTime, nullable=False),
    )
    for state in ("ACTIVE", "NEXT"):
        condition = keys.c.state == state
        Index(
            f"uq_signing_keys_one_{state.lower()}",
            keys.c.owner,
            keys.c.purpose,
            unique=True,
            sqlite_where=condition,
            postgresql_where=condition,
        )
    Index("ix_signing_keys_owner_purpose", keys.c.owner, keys.c.purpose)
    secrets = Table(
        "service_secrets",
        metadata,
        Column("name", Text, primary_key=True),
        Column("kek_version", Integer, nullable=False),
        Column("wrapped", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
    )
    return KeyTables(keys, secrets)


@dataclass(frozen=True, kw_only=True)
class StoredKey:
    """What may be published of a stored key."""

    kid: str
    owner: str
    purpose: str
    state: KeyState
    public: PublicKey
    changed_at: datetime


def _stored(row: RowMapping) -> StoredKey:
    return StoredKey(
        kid=row["kid"],
        owner=row["owner"],
        purpose=row["purpose"],
        state=KeyState(row["state"]),
        public=PublicKey.from_jwk(row["public_jwk"]),
        changed_at=row["changed_at"],
    )


def _context(kid: str, owner: str, purpose: str) -> str:
    return f"key\x1f{kid}\x1f{owner}\x1f{purpose}"


class KeyStore:
    """Signing keys and derived secrets of a service and its tenants.

    With a guard no key is handed out to sign with while this machine's clock is wrong (ADR-0030).
    """

    def __init__(
        self, db: Database, kek: Kek, tables: KeyTables, clock: Clock, guard: ClockGuard | None = None
    ) -> None:
        self._db = db
        self._kek = kek
        self._tables = tables
        self._clock = clock
        self._guard = guard
        self._unwrapped: OrderedDict[str, SigningKey] = OrderedDict()
        self._active: OrderedDict[tuple[str, str], tuple[str, datetime]] = OrderedDict()
        self._published: OrderedDict[tuple[str, str], tuple[list[StoredKey], datetime]] = OrderedDict()
        self._root: bytes | None = None

    async def create(
        self,
        purpose: str,
        owner: str = "",
        *,
        state: KeyState = KeyState.ACTIVE,
        conn: AsyncConnection | None = None,
    ) -> SigningKey:
        """Make and store a key, in the caller's transaction if `conn` is given.

        Raises:
            KeyExists: the owner has a key of this purpose and state already.
        """
        key = SigningKey.generate()
        now = self._clock.now()
        row = {
            "kid": key.kid,
            "owner": owner,
            "purpose": purpose,
            "state": state.value,
            "kek_version": self._kek.version,
            "public_jwk": key.public.jwk,
            "wrapped": self._kek.wrap(key.to_der(), context=_context(key.kid, owner, purpose)),
            "created_at": now,
            "changed_at": now,
        }
        async with self._writing(conn) as writer:
            if not await insert_once(writer, self._tables.keys, row):
                raise KeyExists(f"{owner or 'the service'} has a key for {purpose} that is {state}")
        failpoints.hit(failpoints.AFTER_KEY_CREATED)
        self._forget(purpose, owner)
        return key

    async def ensure(self, purpose: str, owner: str = "") -> SigningKey:
        """The active key, made if there is none; whoever asks at the same time gets the same one.

        Raises:
            ClockWrong: nothing may be signed now.
        """
        try:
            return await self.active(purpose, owner)
        except KeyMissing:
            try:
                return await self.create(purpose, owner)
            except KeyExists:
                return await self.active(purpose, owner)

    async def active(self, purpose: str, owner: str = "") -> SigningKey:
        """The key that signs now.

        Raises:
            KeyMissing: there is none.
            ClockWrong: nothing may be signed now.
        """
        await self._require_time()
        known = self._active.get((purpose, owner))
        if known is not None and self._fresh(known[1]) and known[0] in self._unwrapped:
            return self._unwrapped[known[0]]
        table = self._tables.keys
        rows = await self._read(
            table.c.owner == owner, table.c.purpose == purpose, table.c.state == KeyState.ACTIVE.value
        )
        if not rows:
            raise KeyMissing(f"{owner or 'the service'} has no active key for {purpose}")
        key = self._unwrap(rows[0])
        _keep(self._active, (purpose, owner), (key.kid, self._clock.now()))
        return key

    async def load(self, kid: str) -> SigningKey:
        """A key that is not out, by its id.

        Raises:
            KeyMissing: there is none.
            ClockWrong: nothing may be signed now.
        """
        await self._require_time()
        table = self._tables.keys
        rows = await self._read(table.c.kid == kid, table.c.state.in_([state.value for state in USABLE]))
        if not rows:
            raise KeyMissing("no usable key has this id")
        return self._unwrap(rows[0])

    async def published(self, purpose: str, owner: str = "", *, anew: bool = False) -> list[StoredKey]:
        """Keys that others may meet: the active one first, then next and retiring.

        Args:
            purpose: of the keys.
            owner: of the keys; the service itself by default.
            anew: ask the database, whatever is remembered.
        """
        known = self._published.get((purpose, owner))
        if known is not None and not anew and self._fresh(known[1]):
            return list(known[0])
        table = self._tables.keys
        rows = await self._read(
            table.c.owner == owner,
            table.c.purpose == purpose,
            table.c.state.in_([state.value for state in USABLE]),
        )
        keys = sorted(map(_stored, rows), key=lambda key: (USABLE.index(key.state), key.changed_at, key.kid))
        _keep(self._published, (purpose, owner), (keys, self._clock.now()))
        return list(keys)

    async def activate_next(
        self, purpose: str, owner: str = "", *, kid: str | None = None, conn: AsyncConnection | None = None
    ) -> SigningKey:
        """NEXT becomes ACTIVE and ACTIVE becomes RETIRING at once.

        Raises:
            KeyMissing: there is no NEXT, or it is not the key that was meant (`kid`).
        """
        table, now = self._tables.keys, self._clock.now()
        mine = (table.c.owner == owner) & (table.c.purpose == purpose)
        # Whoever comes too late has an old memory of the keys: it looks again, whatever this ends in.
        self._forget(purpose, owner)
        async with self._writing(conn) as writer:
            retiring = update(table).where(mine, table.c.state == KeyState.ACTIVE.value)
            await writer.execute(retiring.values(state=KeyState.RETIRING.value, changed_at=now))
            activating = update(table).where(mine, table.c.state == KeyState.NEXT.value)
            activating = activating if kid is None else activating.where(table.c.kid == kid)
            activating = activating.values(state=KeyState.ACTIVE.value, changed_at=now)
            row = (await writer.execute(activating.returning(*table.c))).mappings().first()
            if row is None:
                raise KeyMissing(f"{owner or 'the service'} has no next key for {purpose}")
        self._forget(purpose, owner)
        return self._unwrap(row)

    async def retire(self, kid: str, *, conn: AsyncConnection | None = None) -> None:
        """RETIRING becomes RETIRED; KeyMissing if the key is not retiring."""
        await self._move(kid, (KeyState.RETIRING,), KeyState.RETIRED, conn)

    async def compromise(self, kid: str, *, conn: AsyncConnection | None = None) -> None:
        """The key never signs or verifies again, whatever its state; KeyMissing if it is unknown."""
        await self._move(kid, tuple(KeyState), KeyState.COMPROMISED, conn)

    async def secret(self, purpose: str) -> bytes:
        """32 bytes for HMACs of this purpose (codes, PINs, nonces): the same on every replica."""
        if self._root is None:
            self._root = await self._load_root()
        return derive(self._root, purpose)

    async def rewrap(self) -> int:
        """Wrap everything under the key-encryption key that wraps now; how many rows. May be repeated.

        The service may run meanwhile: every replica opens both (`Kek.load`).
        """
        keys, secrets, kek = self._tables.keys, self._tables.secrets, self._kek
        moved = 0
        async with self._db.write() as conn:
            old_keys = select(keys).where(keys.c.kek_version != kek.version)
            for row in (await conn.execute(old_keys)).mappings().all():
                context = _context(row["kid"], row["owner"], row["purpose"])
                wrapped = kek.wrap(kek.unwrap(row["wrapped"], context=context), context=context)
                change = {"wrapped": wrapped, "kek_version": kek.version}
                await conn.execute(update(keys).where(keys.c.kid == row["kid"]).values(change))
                moved += 1
            old_secrets = select(secrets).where(secrets.c.kek_version != kek.version)
            for row in (await conn.execute(old_secrets)).mappings().all():
                context = f"secret\x1f{row['name']}"
                wrapped = kek.wrap(kek.unwrap(row["wrapped"], context=context), context=context)
                change = {"wrapped": wrapped, "kek_version": kek.version}
                await conn.execute(update(secrets).where(secrets.c.name == row["name"]).values(change))
                moved += 1
        return moved

    async def every(self) -> list[StoredKey]:
        """Every key that is not out, by owner, purpose and state; for a person to look at."""
        table = self._tables.keys
        rows = await self._read(table.c.state.in_([state.value for state in USABLE]))
        return sorted(map(_stored, rows), key=lambda key: (key.owner, key.purpose, USABLE.index(key.state)))

    def look_again(self, purpose: str, owner: str = "") -> None:
        """Forget what is remembered of an owner's keys: another process has changed them."""
        self._forget(purpose, owner)

    async def check(self) -> None:
        """Open what is stored, for readiness; KekError if the key-encryption key is another one."""
        await self.secret("check")

    async def _require_time(self) -> None:
        if self._guard is not None:
            await self._guard.require()

    async def unreadable(self) -> list[str]:
        """Names of stored keys and secrets that this key-encryption key does not open."""
        keys, secrets = self._tables.keys, self._tables.secrets
        closed = []
        async with self._db.read() as conn:
            rows = (await conn.execute(select(keys))).mappings().all()
            named = (await conn.execute(select(secrets))).mappings().all()
        contexts = [
            (row["kid"], row["wrapped"], _context(row["kid"], row["owner"], row["purpose"])) for row in rows
        ]
        contexts += [(row["name"], row["wrapped"], f"secret\x1f{row['name']}") for row in named]
        for name, wrapped, context in contexts:
            try:
                self._kek.unwrap(wrapped, context=context)
            except KekError:
                closed.append(name)
        return closed

    async def _load_root(self) -> bytes:
        table = self._tables.secrets
        named = select(table.c.wrapped).where(table.c.name == ROOT_SECRET)
        async with self._db.read() as conn:
            wrapped = (await conn.execute(named)).scalar_one_or_none()
        if wrapped is None:
            row = {
                "name": ROOT_SECRET,
                "kek_version": self._kek.version,
                "wrapped": self._kek.wrap(random_token(32).encode(), context=f"secret\x1f{ROOT_SECRET}"),
                "created_at": self._clock.now(),
            }
            async with self._db.write() as conn:
                await insert_once(conn, table, row)
                # Another replica may have been first; what is stored is the secret.
                wrapped = (await conn.execute(named)).scalar_one()
        return self._kek.unwrap(wrapped, context=f"secret\x1f{ROOT_SECRET}")

    async def _move(
        self, kid: str, sources: Iterable[KeyState], to: KeyState, conn: AsyncConnection | None
    ) -> None:
        table = self._tables.keys
        statement = (
            update(table)
            .where(table.c.kid == kid, table.c.state.in_([state.value for state in sources]))
            .values(state=to.value, changed_at=self._clock.now())
            .returning(table.c.purpose, table.c.owner)
        )
        async with self._writing(conn) as writer:
            row = (await writer.execute(statement)).first()
        if row is None:
            raise KeyMissing(f"no key with this id can become {to}")
        self._forget(row.purpose, row.owner)

    async def _read(self, *conditions: Any) -> list[RowMapping]:
        async with self._db.read() as conn:
            return list((await conn.execute(select(self._tables.keys).where(*conditions))).mappings().all())

    def _unwrap(self, row: RowMapping) -> SigningKey:
        kid = row["kid"]
        key = self._unwrapped.get(kid)
        if key is None:
            der = self._kek.unwrap(row["wrapped"], context=_context(kid, row["owner"], row["purpose"]))
            key = SigningKey.from_der(der)
            if key.kid != kid:
                raise KekError("a stored key is not the one its id says")
            _keep(self._unwrapped, kid, key)
        return key

    def _fresh(self, seen_at: datetime) -> bool:
        return timedelta(0) <= self._clock.now() - seen_at < RECHECK

    def _forget(self, purpose: str, owner: str) -> None:
        self._active.pop((purpose, owner), None)
        self._published.pop((purpose, owner), None)

    def _writing(self, conn: AsyncConnection | None) -> Any:
        return self._db.write() if conn is None else nullcontext(conn)


def _keep(memory: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > MAX_KEYS_IN_MEMORY:
        memory.popitem(last=False)
