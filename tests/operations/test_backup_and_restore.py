"""The drill: a backup, more acts, the database is lost, and what comes back keeps every promise."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from passport_issuer import app as issuer_app
from passport_issuer.cli import HEALTH
from passport_issuer.operations import restoring
from passport_issuer.operations.restoring import ListsMissing, ListUnusable
from passport_issuer.settings import IssuerSettings
from passport_issuer.store import tables as t
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID, read_token
from passport_shared.outbound import Outbound
from passport_shared.service.backup import CURSOR_LEAP, BackupFailed, backup
from passport_shared.service.doctor import Level, diagnose
from passport_testkit.databases import POSTGRESQL, FreshDatabases, both_databases
from passport_testkit.issuers import ENTITY, ISSUER, IssuerBench
from passport_testkit.postgres_cluster import server_programs
from passport_testkit.trio import Duo, registry_and_issuer


@pytest.fixture
async def duo(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Duo]:
    """A registry and an issuer enrolled with it."""
    async with registry_and_issuer(databases, tmp_path) as made:
        yield made


@dataclass(frozen=True)
class Held:
    """One credential where its holder has it."""

    id: str
    passport: str
    uri: str
    idx: int


def plain_url(bench: IssuerBench) -> str:
    url = bench.ctx.db.url
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)


async def collected(bench: IssuerBench, number: int) -> Held:
    """Somebody new collects one credential."""
    ids = [{"system": "ESR", "kind": "ESR_PERSON", "value": f"700000{number}"}]
    staff_id = await bench.surgeon(external_ids=ids)
    offer = await bench.offer(staff_id, ["StaffIdentity"])
    await bench.wallet().collect(offer["credential_offer"], offer["tx_code"])
    async with bench.ctx.db.read() as conn:
        rows = (await conn.execute(select(t.credentials).where(t.credentials.c.staff_id == staff_id))).all()
    [row] = rows
    return Held(row.id, row.passport_id, f"{ENTITY}/statuslists/{row.status_list_id}", row.status_idx)


async def saved(bench: IssuerBench, databases: FreshDatabases, folder: Path) -> str:
    """Back the database up with its documented means; a URL where the copy is, once restored."""
    if databases.dialect != POSTGRESQL:
        file = folder / "backup.db"
        backup(bench_settings(bench, folder), file)
        return f"sqlite:///{file}"
    programs, source, target = server_programs(), plain_url(bench), await databases.url()
    assert programs is not None
    dump = folder / "backup.dump"
    await run(programs / "pg_dump", "--format=custom", f"--file={dump}", source)
    await run(programs / "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={target}", dump)
    return target


async def run(program: Path, *arguments: object) -> None:
    words = [str(program), *map(str, arguments)]
    await asyncio.to_thread(subprocess.run, words, check=True, stdin=subprocess.DEVNULL)


def bench_settings(bench: IssuerBench, folder: Path, url: str | None = None) -> IssuerSettings:
    return IssuerSettings(
        public_url=ISSUER,
        database_url=url or plain_url(bench),
        kek_file=folder / "kek",
        trust_file=folder / "trust.json",
        environment="test",
    )


async def restored(duo: Duo, folder: Path, url: str, tokens: list[str], **options: Any) -> restoring.Restored:
    """What the command does, on the restored database."""
    parts = issuer_app.Parts(clock=duo.clock, outbound=Outbound(transport=duo.wire), background=False)
    settings = bench_settings(duo.issuer, folder, url)
    ctx = await issuer_app.open_context(settings, parts)
    try:
        trust = issuer_app.read_trust_file(settings)
        return await restoring.restored(ctx, issuer_app.service_tables(), trust, tokens, **options)
    finally:
        await issuer_app.close_context(ctx)


@asynccontextmanager
async def running(duo: Duo, folder: Path, url: str) -> AsyncIterator[IssuerBench]:
    """The issuer on the restored database."""
    before = duo.issuer
    parts = issuer_app.Parts(
        clock=duo.clock, outbound=Outbound(transport=duo.wire), clients=before.clients, background=False
    )
    app = issuer_app.build(bench_settings(before, folder, url), parts)
    async with app.router.lifespan_context(app):
        duo.wire.apps["issuer.example"] = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ISSUER) as http:
            bench = replace(before, app=app, http=http, _tokens={})
            await bench.ctx.snapshots.refresh()
            yield bench


async def token_of(bench: IssuerBench, uri: str) -> str:
    answer = await bench.http.get(uri)
    assert answer.status_code == 200
    return answer.text


@both_databases
async def test_after_a_restore_nothing_acknowledged_before_is_lost_and_nothing_revoked_is_valid(
    duo: Duo, databases: FreshDatabases, tmp_path: Path
):
    kept, ended, held = [await collected(duo.issuer, number) for number in (1, 2, 3)]
    await duo.issuer.publish()
    await duo.issuer.app.state.sealer.run()
    await duo.issuer.ctx.outbox.place()
    url = await saved(duo.issuer, databases, tmp_path)
    duo.clock.advance(timedelta(minutes=10))
    # What the backup does not know: somebody is revoked, somebody is suspended, somebody new collects.
    body = {"reason_code": "DBS_CHANGED", "actor": "hr-4711"}
    assert (await duo.issuer.call("POST", f"/credentials/{ended.id}/revoke", body)).status_code == 200
    body = {"reason_code": "EMPLOYMENT_ON_HOLD", "actor": "hr-4711"}
    assert (await duo.issuer.call("POST", f"/credentials/{held.id}/hold", body)).status_code == 200
    lost = await collected(duo.issuer, 4)
    await duo.issuer.publish()
    published = await token_of(duo.issuer, kept.uri)
    duo.clock.advance(timedelta(minutes=10))

    with pytest.raises(ListsMissing) as missing:
        await restored(duo, tmp_path, url, [])
    assert missing.value.uris == (kept.uri,)
    done = await restored(duo, tmp_path, url, [published])
    assert done == restoring.Restored(closed=1, revoked=(ended.id,), held=(held.passport,))
    again = await restored(duo, tmp_path, url, [published])
    assert (again.revoked, again.held) == ((), ())

    async with running(duo, tmp_path, url) as issuer:
        now = duo.clock.now()
        roots = duo.registry.trust_file.roots
        old = read_token(published, uri=kept.uri, roots=roots, now=now)
        new = read_token(await token_of(issuer, kept.uri), uri=kept.uri, roots=roots, now=now)
        assert new.iat > old.iat
        said = [new.list.get(one.idx) for one in (kept, ended, held, lost)]
        assert said == [VALID, INVALID, SUSPENDED, INVALID]
        # The next credentials come from another list, so that no index is ever given twice.
        await issuer.publish()
        duo.clock.advance(timedelta(minutes=11))
        await issuer.publish()
        later = await collected(issuer, 5)
        assert later.uri != kept.uri
        await issuer.app.state.sealer.run()
        assert (await issuer.http.get("/health/ready")).status_code == 200
        findings = await diagnose(
            HEALTH,
            IssuerSettings,
            environ=environ(tmp_path, url),
            outbound=Outbound(transport=duo.wire),
            clock=duo.clock,
        )
        assert [one.check for one in findings if one.level is Level.PROBLEM] == []
        await issuer.ctx.outbox.place()
        async with issuer.ctx.db.read() as conn:
            positions = (await conn.execute(select(t.outbox.events.c.position))).scalars().all()
        assert max(one for one in positions if one is not None) > CURSOR_LEAP


def environ(folder: Path, url: str) -> dict[str, str]:
    return {
        "PASSPORT_ISSUER_PUBLIC_URL": ISSUER,
        "PASSPORT_ISSUER_DATABASE_URL": url,
        "PASSPORT_ISSUER_KEK_FILE": str(folder / "kek"),
        "PASSPORT_ISSUER_TRUST_FILE": str(folder / "trust.json"),
        "PASSPORT_ISSUER_ENVIRONMENT": "test",
        "PASSPORT_ISSUER_BIND": "127.0.0.1:1",
    }


async def test_lists_of_others_and_changed_ones_are_refused(
    duo: Duo, databases: FreshDatabases, tmp_path: Path
):
    kept = await collected(duo.issuer, 1)
    await duo.issuer.publish()
    url = await saved(duo.issuer, databases, tmp_path)
    token = await token_of(duo.issuer, kept.uri)
    head, body, signature = token.split(".")
    for bad in ("", "x", "a.b.c", f"{head}.{body}.{signature[::-1]}", f"{head}.{body[:-4]}AAAA.{signature}"):
        with pytest.raises(ListUnusable):
            await restored(duo, tmp_path, url, [bad])
    done = await restored(duo, tmp_path, url, [], without=True)
    assert done == restoring.Restored(closed=1, revoked=(), held=())


async def test_a_backup_is_private_whole_and_never_written_over(duo: Duo, tmp_path: Path):
    settings, file = bench_settings(duo.issuer, tmp_path), tmp_path / "copy.db"
    backup(settings, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with sqlite3.connect(file) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM tenants").fetchone() == (1,)
    with pytest.raises(BackupFailed, match="cannot be made"):
        backup(settings, file)
    nowhere = settings.model_copy(update={"database_url": f"sqlite:///{tmp_path}/none.db"})
    with pytest.raises(BackupFailed, match="no database"):
        backup(nowhere, tmp_path / "other.db")
    server = settings.model_copy(update={"database_url": "postgresql://db.internal/issuer"})
    with pytest.raises(BackupFailed, match="pg_dump"):
        backup(server, tmp_path / "other.db")
