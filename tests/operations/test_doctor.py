"""`doctor` names what is wrong: every finding is brought about once, and a healthy service has none."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Executable, delete, insert, text, update

from passport_issuer.cli import HEALTH, PROGRAM
from passport_issuer.settings import IssuerSettings
from passport_issuer.store import tables as t
from passport_shared.outbound import Outbound
from passport_shared.service.cli import main
from passport_shared.service.db import Database
from passport_shared.service.doctor import Finding, Level, as_json, as_text, diagnose, exit_code
from passport_shared.service.keys import create_kek_file
from passport_testkit.databases import both_databases
from passport_testkit.issuers import ISSUER, IssuerBench
from passport_testkit.tls_files import write_tls_files


@dataclass
class Ward:
    """One issuer, the variables it is configured with, and the doctor."""

    bench: IssuerBench
    environ: dict[str, str]
    folder: Path

    async def look(self, **outbound: object) -> dict[str, Finding]:
        """Every finding by name."""
        found = await diagnose(
            HEALTH,
            IssuerSettings,
            environ=self.environ,
            outbound=Outbound(transport=self.bench.wire),
            clock=self.bench.clock,
        )
        return {one.check: one for one in found}

    async def run(self, *statements: str | Executable) -> None:
        """Change the database behind the service's back."""
        async with self.bench.ctx.db.write() as conn:
            for statement in statements:
                await conn.execute(text(statement) if isinstance(statement, str) else statement)


def _private(folder: Path) -> None:
    for file in folder.glob("*.db*"):
        file.chmod(0o600)


@pytest.fixture
async def ward(issuer: IssuerBench, tmp_path: Path) -> Ward:
    """A healthy issuer: TLS files, a key-encryption key apart from the database, lists published."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    shutil.copy(tmp_path / "kek", secrets / "kek")
    certificate, key = write_tls_files(secrets, issuer.clock.now(), days=90)
    await issuer.publish()
    await issuer.app.state.sealer.run()
    url = issuer.ctx.db.url
    environ = {
        "PASSPORT_ISSUER_PUBLIC_URL": ISSUER,
        "PASSPORT_ISSUER_DATABASE_URL": url.set(drivername=url.get_backend_name()).render_as_string(
            hide_password=False
        ),
        "PASSPORT_ISSUER_KEK_FILE": str(secrets / "kek"),
        "PASSPORT_ISSUER_TRUST_FILE": str(tmp_path / "trust.json"),
        "PASSPORT_ISSUER_ENVIRONMENT": "test",
        "PASSPORT_ISSUER_TLS_CERT_FILE": str(certificate),
        "PASSPORT_ISSUER_TLS_KEY_FILE": str(key),
        "PASSPORT_ISSUER_BIND": "127.0.0.1:1",
    }
    _private(tmp_path)
    return Ward(issuer, environ, tmp_path)


@both_databases
async def test_a_healthy_service_has_nothing_to_be_done(ward: Ward):
    found = await ward.look()
    # a throwaway PostgreSQL of the tests does not flush; the finding for it is right
    bad = {name: one for name, one in found.items() if one.level is not Level.OK} | {}
    bad.pop("database.durable", None)
    assert bad == {}
    assert {
        "settings", "files.kek", "tls.configured", "tls.days_left", "database.reachable", "database.migrated",
        "database.shape", "database.writable", "database.durable", "outbox.backlog", "outbox.set_aside",
        "jobs.stuck", "jobs.failed", "audit.sealing", "audit.chain", "keys.open", "keys.active", "keys.age",
        "registry.reachable", "registry.snapshot", "tenants.enrolled", "certificates.signing",
        "status_lists.age", "status_lists.published", "status_lists.room",
    } <= set(found)  # fmt: skip


RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
Break = Callable[[Ward], Awaitable[None]]


async def _drop_column(ward: Ward) -> None:
    await ward.run("DROP INDEX ix_status_lists_ods")


async def _other_kek(ward: Ward) -> None:
    file = ward.folder / "secrets" / "other"
    create_kek_file(file)
    ward.environ["PASSPORT_ISSUER_KEK_FILE"] = str(file)


async def _open_kek(ward: Ward) -> None:
    os.chmod(ward.environ["PASSPORT_ISSUER_KEK_FILE"], 0o644)


async def _kek_beside(ward: Ward) -> None:
    ward.environ["PASSPORT_ISSUER_KEK_FILE"] = str(ward.folder / "kek")


async def _readable_database(ward: Ward) -> None:
    (ward.folder / Path(str(ward.bench.ctx.db.url.database)).name).chmod(0o644)


async def _no_tls(ward: Ward) -> None:
    del ward.environ["PASSPORT_ISSUER_TLS_CERT_FILE"], ward.environ["PASSPORT_ISSUER_TLS_KEY_FILE"]


async def _foreign_tls_key(ward: Ward) -> None:
    (ward.folder / "elsewhere").mkdir()
    _, key = write_tls_files(ward.folder / "elsewhere", ward.bench.clock.now(), days=90)
    ward.environ["PASSPORT_ISSUER_TLS_KEY_FILE"] = str(key)


async def _no_database(ward: Ward) -> None:
    ward.environ["PASSPORT_ISSUER_DATABASE_URL"] = f"sqlite:///{ward.folder}/none.db"


async def _unmigrated(ward: Ward) -> None:
    await ward.run("UPDATE alembic_version SET version_num = '0003'")


async def _mistyped(ward: Ward) -> None:
    ward.environ["PASSPORT_ISSUER_KEK_FIEL"] = "x"


async def _set_aside(ward: Ward) -> None:
    row = {"sink": "registry.activity", "event_id": "e", "attempts": 1, "reason": "http_400"}
    at = ward.bench.clock.now()
    await ward.run(insert(t.outbox.refusals).values(**row, refused_at=at, set_aside_at=at))


def _waiting(age: timedelta) -> Break:
    async def wait(ward: Ward) -> None:
        now = ward.bench.clock.now()
        sink = {"name": "registry.activity", "position": 0, "attempts": 3, "next_attempt_at": now}
        event = {
            "id": "e",
            "type": "a.b",
            "source": ISSUER,
            "subject": "s",
            "organisation": "RBV",
            "data": {},
        }
        await ward.run(
            insert(t.outbox.sinks).values(**sink, last_error="connect_failed"),
            insert(t.outbox.events).values(**event, time=now - age, position=7),
        )

    return wait


def _job(state: str) -> Break:
    async def make(ward: Ward) -> None:
        long_ago = ward.bench.clock.now() - timedelta(hours=1)
        row = {"id": "j", "kind": "k", "owner": "", "payload": {}, "progress": {}, "state": state}
        times = {"run_after": long_ago, "created_at": long_ago}
        finished = long_ago if state == "FAILED" else None
        await ward.run(
            insert(t.jobs.jobs).values(**row, **times, attempts=1, max_attempts=8, finished_at=finished)
        )

    return make


async def _unsealed(ward: Ward) -> None:
    async with ward.bench.ctx.db.write() as conn:
        await ward.bench.ctx.audit.record(conn, kind="staff.changed", subject_ref="s", actor={"system": "x"})
    ward.bench.clock.advance(timedelta(minutes=2))


async def _tampered(ward: Ward) -> None:
    async with ward.bench.ctx.db.write() as conn:
        await ward.bench.ctx.audit.record(conn, kind="staff.changed", subject_ref="s", actor={"system": "x"})
    await ward.bench.app.state.sealer.run()
    await ward.run(update(t.audit.entries).values(subject_ref="another"))


async def _no_active_key(ward: Ward) -> None:
    await ward.run(update(t.keys.keys).where(t.keys.keys.c.purpose == "status").values(state="RETIRED"))


async def _old_key(ward: Ward) -> None:
    long_ago = ward.bench.clock.now() - timedelta(days=500)
    await ward.run(update(t.keys.keys).values(changed_at=long_ago))


async def _registry_down(ward: Ward) -> None:
    ward.bench.wire.down = True


async def _other_network(ward: Ward) -> None:
    file = ward.folder / "trust.json"
    found = json.loads(file.read_text())
    found["jwks"]["keys"][0] = create_key()
    file.write_text(json.dumps(found))
    await ward.run(delete(t.documents.documents))


def create_key() -> dict[str, str]:
    """The public key of nobody."""
    from passport_shared.formats.jose import SigningKey

    return {**SigningKey.generate().public.as_jwk()}


async def _no_trust_file(ward: Ward) -> None:
    (ward.folder / "trust.json").write_text("{}")


async def _no_snapshot(ward: Ward) -> None:
    await ward.run(delete(t.documents.documents).where(t.documents.documents.c.name.like("snapshot/%")))


def _later(age: timedelta) -> Break:
    async def move(ward: Ward) -> None:
        ward.bench.wire.down = True
        ward.bench.clock.advance(age)

    return move


async def _not_enrolled(ward: Ward) -> None:
    await ward.bench.ctx.tenants.prepare("R0A")


def _signing_ends(after: timedelta) -> Break:
    async def end(ward: Ward) -> None:
        until = ward.bench.clock.now() + after
        await ward.run(update(t.tenants.certificates).values(not_after_signing=until))

    return end


async def _old_list(ward: Ward) -> None:
    before = ward.bench.clock.now() - timedelta(hours=2)
    await ward.run(update(t.status_lists).values(published_at=before))


async def _ended_list(ward: Ward) -> None:
    before = ward.bench.clock.now() - timedelta(hours=25)
    await ward.run(update(t.status_lists).values(published_at=before))


async def _unpublished(ward: Ward) -> None:
    await ward.run(update(t.status_lists).values(version=t.status_lists.c.version + 1))


async def _full_list(ward: Ward) -> None:
    await ward.run(update(t.status_lists).values(allocated=t.status_lists.c.size))


def at_once(*faults: tuple[str, Level, Break]) -> tuple[tuple[str, Level, Break], ...]:
    """Faults that do not hide each other: brought about together, looked for each by its name."""
    return faults


@pytest.mark.parametrize(
    "faults",
    [
        at_once(
            ("settings", Level.PROBLEM, _mistyped),
            ("files.kek_place", Level.WARNING, _kek_beside),
            ("files.database_mode", Level.WARNING, _readable_database),
            ("tls.configured", Level.WARNING, _no_tls),
            ("database.shape", Level.WARNING, _drop_column),
            ("outbox.set_aside", Level.WARNING, _set_aside),
            ("outbox.backlog", Level.WARNING, _waiting(timedelta(minutes=10))),
            ("jobs.stuck", Level.PROBLEM, _job("QUEUED")),
            ("registry.reachable", Level.WARNING, _registry_down),
            ("tenants.enrolled", Level.WARNING, _not_enrolled),
            ("keys.age", Level.WARNING, _old_key),
            ("certificates.signing", Level.WARNING, _signing_ends(timedelta(days=20))),
            ("status_lists.age", Level.PROBLEM, _old_list),
            ("status_lists.published", Level.WARNING, _unpublished),
            ("status_lists.room", Level.WARNING, _full_list),
            ("audit.chain", Level.PROBLEM, _tampered),
        ),
        at_once(
            ("tls.configured", Level.PROBLEM, _foreign_tls_key),
            ("outbox.backlog", Level.PROBLEM, _waiting(timedelta(hours=2))),
            ("jobs.failed", Level.WARNING, _job("FAILED")),
            ("keys.active", Level.PROBLEM, _no_active_key),
            ("registry.snapshot", Level.PROBLEM, _no_snapshot),
            ("certificates.signing", Level.PROBLEM, _signing_ends(timedelta(days=2))),
            ("status_lists.age", Level.PROBLEM, _ended_list),
            ("audit.sealing", Level.PROBLEM, _unsealed),
        ),
        at_once(
            ("files.kek", Level.PROBLEM, _open_kek),
            ("registry.trust_file", Level.PROBLEM, _no_trust_file),
            ("certificates.signing", Level.PROBLEM, _signing_ends(timedelta(days=-1))),
        ),
        at_once(
            ("keys.open", Level.PROBLEM, _other_kek),
            ("registry.trust_file", Level.PROBLEM, _other_network),
        ),
        at_once(
            ("tls.days_left", Level.WARNING, _later(timedelta(days=75))),
            ("registry.snapshot", Level.PROBLEM, _later(timedelta(0))),
        ),
        at_once(("tls.days_left", Level.PROBLEM, _later(timedelta(days=91)))),
        at_once(("registry.snapshot", Level.WARNING, _later(timedelta(hours=2)))),
        at_once(("registry.snapshot", Level.PROBLEM, _later(timedelta(hours=30)))),
        at_once(("database.reachable", Level.PROBLEM, _no_database)),
        at_once(("database.migrated", Level.PROBLEM, _unmigrated)),
    ],
    ids=lambda faults: faults[0][0],
)
async def test_each_fault_has_its_finding(ward: Ward, faults: tuple[tuple[str, Level, Break], ...]):
    for _, _, broken in faults:
        await broken(ward)
    everything = await ward.look()
    for name, level, _ in faults:
        found = everything[name]
        assert (name, found.level) == (name, level)
        assert found.do
        assert (RUNBOOKS / found.runbook).is_file()
        assert "Okonkwo" not in found.says


async def test_a_database_that_refuses_writes_is_said(ward: Ward):
    await ward.bench.ctx.db.close()
    file = Path(str(ward.bench.ctx.db.url.database))
    async with Database(f"sqlite:///{file}", name="test") as db, db.write() as conn:
        await conn.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON leases BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    found = await ward.look()
    assert found["database.writable"].level is Level.PROBLEM


def test_the_worst_finding_decides_and_stands_first():
    good = Finding(check="a.b", level=Level.OK, says="Fine.")
    bad = Finding(check="c.d", level=Level.PROBLEM, says="Broken.", do="mend it", runbook="database.md")
    soon = replace(bad, level=Level.WARNING)
    assert [exit_code([good]), exit_code([good, soon]), exit_code([soon, bad, good])] == [0, 1, 2]
    assert as_text([good, bad]).splitlines()[0].startswith("problem  c.d: Broken.")
    told = json.loads(as_json("issuer", [good, bad]))
    assert told["level"] == "problem"
    assert [one["check"] for one in told["findings"]] == ["a.b", "c.d"]


def test_the_command_runs_without_a_service_or_a_configuration(monkeypatch, capsys):
    for name in [name for name in os.environ if name.startswith("PASSPORT_ISSUER_")]:
        monkeypatch.delenv(name)
    assert main(PROGRAM, ["doctor", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert {one["check"] for one in told["findings"]} == {"settings"}
