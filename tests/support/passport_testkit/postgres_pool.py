"""Databases of one PostgreSQL cluster that are made as they were and used again.

Making a database copies some three hundred files, and a thousand of them take minutes to write and to remove;
emptying the few tables a test has filled takes milliseconds. A database that a test left with other tables,
columns, indexes, triggers or settings than the template has is not used again.
"""

from __future__ import annotations

import uuid

import asyncpg

from passport_testkit.postgres_cluster import Cluster

ENDED_WITHIN_MS = 10_000
SHAPE = """
SELECT (SELECT count(*)::text || '/' || coalesce(sum(hashtext(relname::text || relkind::text)), 0)::text
          FROM pg_class WHERE relnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT count(*) FROM pg_trigger),
       (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_'),
       (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase =
         (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
END_OTHERS = """
SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
RENEW = """
DO $$
DECLARE
  one regclass;
  is_filled boolean;
  filled text[] := '{}';
BEGIN
  FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                AND relname <> 'alembic_version' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', one) INTO is_filled;
    IF is_filled THEN filled := filled || one::text; END IF;
  END LOOP;
  IF cardinality(filled) > 0 THEN
    EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE';
  END IF;
  FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'as_migrated'::regnamespace LOOP
    EXECUTE format('INSERT INTO public.%I SELECT * FROM %s', split_part(one::text, '.', 2), one);
  END LOOP;
  FOR one IN SELECT oid FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace LOOP
    EXECUTE format('ALTER SEQUENCE %s RESTART', one);
  END LOOP;
END $$
"""
KEEP = """
DO $$
DECLARE
  one regclass;
  is_filled boolean;
BEGIN
  CREATE SCHEMA as_migrated;
  FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                AND relname <> 'alembic_version' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s)', one) INTO is_filled;
    IF is_filled THEN EXECUTE format('CREATE TABLE as_migrated.%I AS TABLE %s', one::text, one); END IF;
  END LOOP;
END $$
"""
"""What the migrations themselves wrote lies in a schema beside, to be put back."""


class Pool:
    """Copies of one template."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lent: set[str] = set()
        self._free: list[str] = []
        self._shape: asyncpg.Record | None = None

    async def copy(self, template: str) -> str:
        """A new copy that is never used again."""
        return self._cluster.url(await create_database(self._cluster, f"t_{uuid.uuid4().hex[:16]}", template))

    async def take(self, template: str) -> str:
        """A copy as the migrations left it: one that was given back if it is fit, else a new one."""
        while self._free:
            url = self._free.pop()
            if await self._made_new(url):
                self._lent.add(url)
                return url
        url = await self.copy(template)
        if self._shape is None:
            connection = await asyncpg.connect(url)
            try:
                self._shape = await connection.fetchrow(SHAPE)
            finally:
                await connection.close()
        self._lent.add(url)
        return url

    def give_back(self, url: str) -> None:
        """Take a copy back; nothing happens to one of another pool."""
        if url in self._lent:
            self._lent.remove(url)
            self._free.append(url)

    async def _made_new(self, url: str) -> bool:
        try:
            connection = await asyncpg.connect(url)
        except (asyncpg.PostgresError, OSError):
            return False  # a test took it away
        try:
            await connection.fetch(END_OTHERS, ENDED_WITHIN_MS)
            if await connection.fetchrow(SHAPE) != self._shape:
                return False
            await connection.execute(RENEW)
        finally:
            await connection.close()
        return True


async def keep_rows(url: str) -> None:
    """Remember the rows of a template, so that its copies can be made as they were."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(KEEP)
    finally:
        await connection.close()


async def create_database(cluster: Cluster, name: str, template: str | None = None) -> str:
    """Make a database, a copy of a template if one is named; returns its name."""
    admin = await asyncpg.connect(cluster.url())
    try:
        # The names are ours; identifiers cannot be parameters.
        await admin.execute(f'CREATE DATABASE "{name}"' + (f' TEMPLATE "{template}"' if template else ""))
    finally:
        await admin.close()
    return name
