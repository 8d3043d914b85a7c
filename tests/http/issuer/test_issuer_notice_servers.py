"""Notices and the servers that take them: slow, dead or gone; crashes between handing over and recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_issuer.clients.mail import Letter, NotSent
from passport_issuer.operations import failpoints, notice_sending, notices
from passport_issuer.operations.notices import JOB_KINDS, MAX_ATTEMPTS
from passport_issuer.rules.notices import NoticeChannel, NoticeKind
from passport_issuer.store import tables
from passport_shared.service.job_queue import LEASE, LONGEST_PAUSE
from passport_shared.service.jobs import Runner
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import HR, IssuerBench, running_issuer
from passport_testkit.mail import MailServer, mail_server, text_of
from passport_testkit.notices import REACHABLE, listed
from passport_testkit.servers import TlsAuthority

END = {"day": date(2026, 12, 31)}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
async def relay(tmp_path: Path, stack: AsyncExitStack) -> MailServer:
    authority = TlsAuthority(tmp_path / "tls")
    return await stack.enter_async_context(mail_server(authority.server_context("localhost")))


@pytest.fixture
async def issuer(
    databases: FreshDatabases, tmp_path: Path, stack: AsyncExitStack, relay: MailServer
) -> IssuerBench:
    """An issuer that writes through a relay of somebody else."""
    settings = {
        "notice_adapter": "smtp",
        "notice_smtp_server": relay.address,
        "notice_from": "no-reply@trust.invalid",
        "tls_ca_file": tmp_path / "tls" / "ca.pem",
    }
    url = await databases.url("passport_issuer")
    return await stack.enter_async_context(running_issuer(tmp_path, url, settings=settings))


async def told(issuer: IssuerBench, staff_id: str, **more: Any) -> str:
    async with issuer.ctx.db.write() as conn:
        kind = NoticeKind.PLACEMENT_ENDS
        made = await notices.queue(
            issuer.ctx, conn, kind=kind, ods="RBV", staff_id=staff_id, facts=END, **more
        )
    assert made is not None
    return made


async def test_a_notice_arrives_at_a_relay_of_somebody_else(issuer: IssuerBench, relay: MailServer) -> None:
    staff_id = await issuer.staff(
        **REACHABLE,
        legal_given="Siân Łucja",
        legal_family="Ng\u00f4",
        preferences={"language": "cy"},
    )
    notice_id = await told(issuer, staff_id)
    assert await notice_sending.send_due(issuer.ctx) == 1
    (message,) = relay.arrived
    assert message["Message-ID"] == f"<{notice_id}@issuer.example>"
    assert message["To"].addresses[0].display_name == "Siân"
    assert message["From"].addresses[0].display_name == "RBV NHS Foundation Trust"
    assert message["Subject"] == "Mae eich lleoliad yn dod i ben"
    assert text_of(message).startswith("Helo Siân,\n\n")
    assert (await listed(issuer))[0]["state"] == "SENT"


@pytest.mark.parametrize("given", ["Ada\\r\\nBcc: x@y.invalid", "Ada <x@y.invalid>", "=?utf-8?q?Ada?="])
async def test_no_name_reaches_a_header_as_it_is(issuer: IssuerBench, relay: MailServer, given: str) -> None:
    await told(issuer, await issuer.staff(**REACHABLE, legal_given=given))
    await notice_sending.send_due(issuer.ctx)
    (message,) = relay.arrived
    assert [address.addr_spec for address in message["To"].addresses] == [REACHABLE["work_email"]]
    assert message["Bcc"] is None
    assert relay.envelopes[0].rcpt_tos == [REACHABLE["work_email"]]


async def test_a_dead_relay_is_tried_again_with_growing_pauses_then_told_as_failed(
    issuer: IssuerBench, relay: MailServer
) -> None:
    notice_id = await told(issuer, await issuer.staff(**REACHABLE))
    relay.rcpt = "451 not now"
    pauses: list[timedelta] = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert await notice_sending.send_due(issuer.ctx) == 1, attempt
        assert await notice_sending.send_due(issuer.ctx) == 0, "not before its pause is over"
        (shown,) = await listed(issuer)
        assert shown["attempts"] == attempt
        assert shown["reason"] == "smtp_recipient_refused_451"
        job = await notices.job_queue(issuer.ctx).get(await _job_id(issuer, notice_id))
        assert job is not None
        pauses.append(job.run_after - issuer.clock.now())
        issuer.clock.advance(LONGEST_PAUSE)
    assert pauses[:4] == [
        timedelta(seconds=5),
        timedelta(seconds=10),
        timedelta(seconds=20),
        timedelta(seconds=40),
    ]
    assert max(pauses) == LONGEST_PAUSE
    assert shown["state"] == "FAILED"
    assert await notice_sending.send_due(issuer.ctx) == 0
    # HR sends it again when the relay is back
    relay.rcpt = "250 OK"
    again = await issuer.call("POST", f"/notices/{notice_id}/resend", {"actor": HR})
    assert again.status_code == 201, again.text
    await notice_sending.send_due(issuer.ctx)
    assert [message["Message-ID"] for message in relay.arrived] == [f"<{again.json()['id']}@issuer.example>"]


async def _job_id(issuer: IssuerBench, notice_id: str) -> str:
    jobs = tables.jobs.jobs
    async with issuer.ctx.db.read() as conn:
        query = jobs.select().where(jobs.c.unique_key == f"notice:{notice_id}")
        return str((await conn.execute(query)).mappings().one()["id"])


async def test_a_relay_that_recovers_gets_it_at_the_next_try(issuer: IssuerBench, relay: MailServer) -> None:
    await told(issuer, await issuer.staff(**REACHABLE))
    relay.data = "451 busy"
    await notice_sending.send_due(issuer.ctx)
    relay.data = "250 OK"
    issuer.clock.advance(timedelta(seconds=5))
    await notice_sending.send_due(issuer.ctx)
    (shown,) = await listed(issuer)
    assert (shown["state"], shown["attempts"], shown["reason"]) == ("SENT", 2, None)


async def test_a_person_the_relay_does_not_know_fails_at_once(issuer: IssuerBench, relay: MailServer) -> None:
    await told(issuer, await issuer.staff(**REACHABLE))
    relay.rcpt = "550 no such person"
    await notice_sending.send_due(issuer.ctx)
    (shown,) = await listed(issuer)
    assert (shown["state"], shown["reason"], shown["attempts"]) == ("FAILED", "smtp_recipient_refused_550", 1)


async def test_an_address_that_is_none_and_a_channel_that_is_not_there_fail(issuer: IssuerBench) -> None:
    await told(issuer, await issuer.staff(work_email='"xy"@trust.invalid'))
    await told(issuer, await issuer.staff(**REACHABLE, external_ids=[]), channel=NoticeChannel.SMS)
    await notice_sending.send_due(issuer.ctx)
    assert [item["reason"] for item in await listed(issuer)] == ["address_malformed", "channel_not_available"]


class Crash(BaseException):
    """The process ends here: nothing below may catch it."""


def _crash() -> None:
    raise Crash


async def test_a_crash_after_handing_over_sends_the_same_message_again(
    issuer: IssuerBench, relay: MailServer
) -> None:
    await told(issuer, await issuer.staff(**REACHABLE))
    with failpoints.armed(failpoints.AFTER_NOTICE_SENT, _crash), pytest.raises(Crash):
        await notice_sending.send_due(issuer.ctx)
    (shown,) = await listed(issuer)
    assert shown["state"] == "QUEUED"
    assert await notice_sending.send_due(issuer.ctx) == 0, "the dead process holds its lease for a while"
    issuer.clock.advance(LEASE)
    await notice_sending.send_due(issuer.ctx)
    first, second = relay.arrived
    assert first["Message-ID"] == second["Message-ID"]
    assert bytes(first) == bytes(second)
    (shown,) = await listed(issuer)
    assert (shown["state"], shown["attempts"]) == ("SENT", 2)


async def test_a_notice_that_kills_its_process_every_time_is_told_as_failed(
    issuer: IssuerBench, relay: MailServer
) -> None:
    await told(issuer, await issuer.staff(**REACHABLE))
    for _ in range(MAX_ATTEMPTS):
        with failpoints.armed(failpoints.AFTER_NOTICE_SENT, _crash), pytest.raises(Crash):
            await notice_sending.send_due(issuer.ctx)
        issuer.clock.advance(LEASE)
    await notice_sending.send_due(issuer.ctx)
    await notice_sending.tend(issuer.ctx)
    (shown,) = await listed(issuer)
    assert (shown["state"], shown["reason"]) == ("FAILED", "attempts_exhausted")


class Waiting:
    """A courier that hangs until it is let go."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()

    async def send(self, letter: Letter) -> None:
        self.started.set()
        await self.go_on.wait()


class Taking:
    """A courier that takes everything."""

    def __init__(self) -> None:
        self.taken: list[Letter] = []
        self.arrived = asyncio.Event()

    async def send(self, letter: Letter) -> None:
        if letter.to == "":
            raise NotSent("no_address", permanent=True)
        self.taken.append(letter)
        self.arrived.set()


async def test_a_mail_server_that_hangs_delays_neither_text_messages_nor_requests(
    issuer: IssuerBench,
) -> None:
    mail, text = Waiting(), Taking()
    means = replace(issuer.ctx.notices, couriers={NoticeChannel.EMAIL: mail, NoticeChannel.SMS: text})
    ctx = replace(issuer.ctx, notices=means)
    staff_id = await issuer.staff(**REACHABLE)
    await told(issuer, staff_id)
    await told(issuer, staff_id, channel=NoticeChannel.SMS)
    runners = [
        Runner(ctx.db, tables.jobs, ctx.clock, handlers=notice_sending.handlers(ctx, channel))
        for channel in NoticeChannel
    ]
    for runner in runners:
        await runner.start()
    await mail.started.wait()
    await text.arrived.wait()
    # requests and every other background work go on: nothing is locked while a server is waited for
    assert await issuer.staff(external_ids=[])
    await issuer.sweep()
    await notice_sending.tend(ctx)
    for runner in runners:
        await runner.stop()
    states = {item["channel"]: item["state"] for item in await listed(issuer)}
    assert states["EMAIL"] == "QUEUED"
    job = await notices.job_queue(ctx).get(await _job_id(issuer, (await listed(issuer))[0]["id"]))
    assert job is not None
    assert (job.state.value, job.attempts) == ("QUEUED", 0), "a shutdown counts as no try"


def test_every_channel_has_jobs_of_its_own() -> None:
    assert set(JOB_KINDS) == set(NoticeChannel)
    assert len(set(JOB_KINDS.values())) == len(NoticeChannel)
