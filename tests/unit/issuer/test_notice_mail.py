"""E-mail and the message gateway on the wire: headers, addresses, TLS, what is final and what is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from passport_issuer.clients.mail import Letter, NotSent, SmtpCourier, mail_address, mail_message
from passport_issuer.clients.notice_gateway import GatewayCourier
from passport_issuer.operations.couriers import notice_means
from passport_issuer.rules.notices import NoticeChannel
from passport_issuer.settings import IssuerSettings
from passport_shared.formats.strict import loads
from passport_shared.outbound import Outbound
from passport_shared.outbound.transport import tls_context
from passport_shared.service.db import Database
from passport_shared.service.settings import check_config
from passport_testkit import mail as relays
from passport_testkit.clock import FrozenClock
from passport_testkit.mail import MailServer, mail_server, silent_server, text_of
from passport_testkit.servers import MisbehavingServer, TlsAuthority, answer, reset, stalled, tls_server

AT = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOST = "issuer.example"
SENDER = "no-reply@trust.invalid"


def letter(**changes: Any) -> Letter:
    values: dict[str, Any] = {
        "id": "01a1ffdb-ddbb-78a9-b5e0-0000000000aa",
        "ods": "RBV",
        "kind": "INVITE",
        "channel": NoticeChannel.EMAIL,
        "language": "en-GB",
        "to": "adaeze@trust.invalid",
        "to_name": "Adaeze",
        "from_name": "RBV NHS Foundation Trust",
        "subject": "Your staff passport: how to start",
        "text": "Hello Adaeze,\n\nhttps://issuer.example/RBV/i/x\n",
        "written_at": AT,
    }
    return Letter(**{**values, **changes})


# --- headers -----------------------------------------------------------------------------------------------


def test_the_message_says_who_to_whom_and_that_no_one_reads_replies():
    message = mail_message(letter(), SENDER, HOST)
    assert message["Message-ID"] == f"<{letter().id}@{HOST}>"
    assert message["From"] == f"RBV NHS Foundation Trust <{SENDER}>"
    assert message["To"] == "Adaeze <adaeze@trust.invalid>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en-GB"
    assert message["Date"] == "Tue, 01 Sep 2026 12:00:00 +0000"
    assert message.get_content_type() == "text/plain"
    assert message.get_content_charset() == "utf-8"
    assert bytes(message) == bytes(mail_message(letter(), SENDER, HOST)), "a second try is the same message"


@pytest.mark.parametrize(
    "field", ["to_name", "from_name", "subject", "to", "language"], ids=lambda field: field
)
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b"])
def test_no_value_makes_a_header_of_its_own(field: str, end: str):
    hostile = letter(**{field: f"x{end}Bcc: everybody@trust.invalid"})
    raw = b""
    with contextlib.suppress(NotSent):
        raw = bytes(mail_message(hostile, SENDER, HOST))
    if field == "to":
        assert raw == b""
    head = raw.partition(b"\r\n\r\n")[0]
    assert not [line for line in head.splitlines() if line.lower().startswith(b"bcc:")]


@pytest.mark.parametrize("name", ["Siân", "Łukasz", "Nguyễn", "明", "D'Arcy", "Ŵyn"])
def test_accents_in_names_and_subjects_are_encoded_words(name: str):
    raw = bytes(
        mail_message(letter(to_name=name, from_name=f"Bwrdd {name}", subject=f"Ŷ {name}"), SENDER, HOST)
    )
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    read = mail_message(letter(to_name=name), SENDER, HOST)
    assert read["To"].addresses[0].display_name == name


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("a@trust.invalid", "a@trust.invalid"),
        (" a.b+c@Trust.Invalid ", "a.b+c@trust.invalid"),
        ("siân@trust.invalid", "siân@trust.invalid"),
        ("a@bwrdd-ŵyn.invalid", "a@xn--bwrdd-yn-v9d.invalid"),
        ("o'neil@trust.invalid", "o'neil@trust.invalid"),
    ],
)
def test_addresses_as_they_are_written(text: str, spec: str):
    found = mail_address(text).addr_spec
    assert found == spec or (spec.startswith("a@xn--") and found.startswith("a@xn--bwrdd"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "@trust.invalid",
        "a@",
        "a b@trust.invalid",
        "a,b@trust.invalid",
        "<a@trust.invalid",
        'a"@t.invalid',
        "a@-t.invalid",
        "a@t..invalid",
        "a@t.invalid>",
        "a;b@t.invalid",
        "a\r\nb@t.invalid",
        "x" * 65 + "@t.invalid",
        "a@" + "x" * 64 + ".invalid",
        "a@[127.0.0.1]",
        "a@t_invalid!",
        "a\x00@t.invalid",
        "a@@t.invalid",
    ],
)
def test_what_is_no_address_is_refused_for_good(text: str):
    with pytest.raises(NotSent, match="address_malformed") as refused:
        mail_address(text)
    assert refused.value.permanent


# --- a relay of somebody else -----------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> TlsAuthority:
    return TlsAuthority(tmp_path / "tls")


def smtp(relay: MailServer, authority: TlsAuthority, **changes: Any) -> SmtpCourier:
    values: dict[str, Any] = {
        "host": "localhost",
        "port": relay.port,
        "implicit_tls": False,
        "tls": tls_context(authority.ca_file),
        "user": None,
        "password": None,
        "sender": SENDER,
        "message_id_host": HOST,
        "total": timedelta(seconds=20),
    }
    return SmtpCourier(**{**values, **changes})


@pytest.fixture
def server_tls(authority: TlsAuthority) -> ssl.SSLContext:
    return authority.server_context("localhost")


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
async def test_a_relay_takes_the_message(authority: TlsAuthority, server_tls: ssl.SSLContext, implicit: bool):
    async with mail_server(server_tls, implicit_tls=implicit) as relay:
        await smtp(relay, authority, implicit_tls=implicit).send(letter(to_name="Siân"))
    (message,) = relay.arrived
    (envelope,) = relay.envelopes
    assert text_of(message) == letter().text
    assert message["To"].addresses[0].display_name == "Siân"
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [letter().to])


async def test_a_relay_that_wants_a_password(authority: TlsAuthority, server_tls: ssl.SSLContext):
    async with mail_server(server_tls, password=True) as relay:
        known = {"user": relays.USER, "password": relays.PASSWORD}
        await smtp(relay, authority, **known).send(letter())
        with pytest.raises(NotSent, match="smtp_authentication_refused") as refused:
            await smtp(relay, authority, **{**known, "password": "another"}).send(letter())
        assert not refused.value.permanent
        with pytest.raises(NotSent):
            await smtp(relay, authority).send(letter())
    assert len(relay.arrived) == 1


async def test_an_address_outside_ascii_goes_where_smtputf8_is_spoken(
    authority: TlsAuthority, server_tls: ssl.SSLContext
):
    async with mail_server(server_tls) as relay:
        await smtp(relay, authority).send(letter(to="siân@trust.invalid"))
        assert relay.envelopes[0].rcpt_tos == ["siân@trust.invalid"]
    async with mail_server(server_tls, utf8=False) as relay:
        with pytest.raises(NotSent, match="smtp_address_not_supported") as refused:
            await smtp(relay, authority).send(letter(to="siân@trust.invalid"))
        assert refused.value.permanent


@pytest.mark.parametrize(
    ("where", "reply", "reason", "permanent"),
    [
        ("rcpt", "550 no such person as adaeze@trust.invalid", "smtp_recipient_refused_550", True),
        ("rcpt", "450 greylisted", "smtp_recipient_refused_450", False),
        ("data", "552 too much", "smtp_message_refused_552", True),
        ("data", "451 later", "smtp_message_refused_451", False),
    ],
)
async def test_refusals_are_reasons_without_addresses(
    authority: TlsAuthority,
    server_tls: ssl.SSLContext,
    where: str,
    reply: str,
    reason: str,
    permanent: bool,
):
    async with mail_server(server_tls) as relay:
        setattr(relay, where, reply)
        with pytest.raises(NotSent) as refused:
            await smtp(relay, authority).send(letter())
    assert (refused.value.reason, refused.value.permanent) == (reason, permanent)
    assert "adaeze" not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert not relay.arrived


async def test_nothing_is_sent_without_trusted_tls(
    tmp_path: Path, authority: TlsAuthority, server_tls: ssl.SSLContext
):
    stranger = TlsAuthority(tmp_path / "other")
    for context in (stranger.server_context("localhost"), authority.server_context("mail.invalid")):
        async with mail_server(context) as relay:
            with pytest.raises(NotSent) as refused:
                await smtp(relay, authority).send(letter())
            assert not refused.value.permanent
            assert not relay.arrived
    # a relay that does not offer STARTTLS: TLS from the first byte, spoken to in the clear
    async with mail_server(server_tls, implicit_tls=True) as relay:
        with pytest.raises(NotSent):
            await smtp(relay, authority, total=timedelta(seconds=1)).send(letter())
        assert not relay.arrived


async def test_a_relay_without_starttls_gets_nothing(authority: TlsAuthority):
    said: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay\r\n")
        while line := await reader.readline():
            said.append(line)
            writer.write(b"250-relay\r\n250 8BITMIME\r\n" if line.startswith(b"EHLO") else b"250 OK\r\n")
        writer.close()

    listening = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(NotSent) as refused:
            await smtp(MailServer(port=port), authority).send(letter())
    assert not refused.value.permanent
    assert not [line for line in said if line.startswith((b"MAIL", b"RCPT", b"DATA", b"AUTH"))]


async def test_a_server_that_is_gone_or_says_nothing_is_given_up_in_time(authority: TlsAuthority):
    async with silent_server() as port:
        gone = MailServer(port=port)
        with pytest.raises(NotSent, match="smtp_timed_out"):
            await smtp(gone, authority, total=timedelta(seconds=0.2)).send(letter())
    with pytest.raises(NotSent, match="smtp_connection_failed") as refused:
        await smtp(gone, authority).send(letter())
    assert not refused.value.permanent


# --- a message gateway --------------------------------------------------------------------------------------


@pytest.fixture
async def gateway(authority: TlsAuthority) -> AsyncIterator[MisbehavingServer]:
    async with tls_server(authority.server_context("localhost"), {"/messages": answer(b"")}) as server:
        yield server


@pytest.fixture
async def outbound(authority: TlsAuthority, gateway: MisbehavingServer) -> AsyncIterator[Outbound]:
    async with Outbound(ca_file=authority.ca_file, allow=[f"localhost:{gateway.port}"]) as client:
        yield client


def to_gateway(gateway: MisbehavingServer, outbound: Outbound, **changes: Any) -> GatewayCourier:
    values: dict[str, Any] = {
        "outbound": outbound,
        "url": gateway.url("/messages"),
        "headers": {"Authorization": "Bearer an-invented-key"},
        "total": timedelta(seconds=20),
    }
    return GatewayCourier(**{**values, **changes})


async def test_the_gateway_gets_one_document_per_message(gateway: MisbehavingServer, outbound: Outbound):
    courier = to_gateway(gateway, outbound)
    await courier.send(letter())
    await courier.send(letter(channel=NoticeChannel.SMS, to="+447700900123", text="Short."))
    first, second = gateway.requests
    assert first.headers["authorization"] == "Bearer an-invented-key"
    assert first.headers["idempotency-key"] == letter().id
    assert first.headers["content-type"] == "application/json"
    assert loads(first.body) == {
        "reference": letter().id,
        "channel": "EMAIL",
        "to": letter().to,
        "language": "en-GB",
        "template": "INVITE",
        "subject": letter().subject,
        "from_name": letter().from_name,
        "body": letter().text,
    }
    assert loads(second.body) == {
        "reference": letter().id,
        "channel": "SMS",
        "to": "+447700900123",
        "language": "en-GB",
        "template": "INVITE",
        "body": "Short.",
    }


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (400, True),
        (410, True),
        (413, True),
        (422, True),
        (401, False),
        (403, False),
        (404, False),
        (408, False),
        (409, False),
        (425, False),
        (429, False),
        (500, False),
        (502, False),
        (503, False),
    ],
)
async def test_a_status_says_whether_another_try_can_help(
    gateway: MisbehavingServer, outbound: Outbound, status: int, permanent: bool
):
    gateway.routes["/messages"] = answer(b'{"error":"adaeze@trust.invalid"}', status=status)
    with pytest.raises(NotSent) as refused:
        await to_gateway(gateway, outbound).send(letter())
    assert (refused.value.reason, refused.value.permanent) == (f"gateway_status_{status}", permanent)


async def test_a_gateway_that_hangs_breaks_off_or_redirects(gateway: MisbehavingServer, outbound: Outbound):
    release = asyncio.Event()
    courier = to_gateway(gateway, outbound, total=timedelta(seconds=0.2))
    for behaviour, reason in (
        (stalled(release), "gateway_timed_out"),
        (reset(), "gateway_connection_broken"),
        (answer(b"", status=302, location="https://elsewhere.invalid/"), "gateway_redirect"),
    ):
        gateway.routes["/messages"] = behaviour
        with pytest.raises(NotSent, match=reason) as refused:
            await courier.send(letter())
        assert not refused.value.permanent
    release.set()


# --- settings -----------------------------------------------------------------------------------------------


def configured(tmp_path: Path, **changes: Any) -> IssuerSettings:
    return IssuerSettings.example(kek_file=tmp_path / "kek", **changes)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("an-invented-key\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"notice_adapter": "development"}, "refused in production"),
        ({"notice_adapter": "smtp"}, "needs notice_smtp_server and notice_from"),
        ({"notice_adapter": "smtp", "notice_smtp_server": "mail.invalid:587"}, "notice_from"),
        ({"notice_adapter": "http"}, "needs notice_http_url"),
        ({"notice_http_url": "https://gateway.invalid/"}, "belong together"),
        ({"notice_smtp_user": "passport"}, "belong together"),
        ({"notice_http_url": "http://gateway.invalid/"}, "https"),
        ({"notice_http_url": "https://user@gateway.invalid/"}, "https"),
        ({"notice_from": "Trust <a@b.invalid>"}, "pattern"),
        ({"notice_smtp_security": "none"}, "starttls"),
        ({"notice_adapter": "pigeon"}, "development"),
        ({"invitation_lifetime": "59"}, "hour"),
        ({"invitation_lifetime": "5184001"}, "60 days"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(tmp_path: Path, changes: dict[str, Any], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        configured(tmp_path, **changes)


def test_a_password_that_everybody_can_read_is_refused(tmp_path: Path, secret: Path):
    secret.chmod(0o644)
    variables = {
        "PASSPORT_ISSUER_PUBLIC_URL": "https://issuer.example",
        "PASSPORT_ISSUER_DATABASE_URL": "sqlite:///x.db",
        "PASSPORT_ISSUER_KEK_FILE": str(secret),
        "PASSPORT_ISSUER_NOTICE_SMTP_USER": "passport",
        "PASSPORT_ISSUER_NOTICE_SMTP_PASSWORD_FILE": str(secret),
    }
    faults = check_config(IssuerSettings, variables)
    assert [fault for fault in faults if fault.startswith("PASSPORT_ISSUER_NOTICE_SMTP_PASSWORD_FILE")]


def means(tmp_path: Path, **changes: Any) -> Any:
    database = Database(f"sqlite:///{tmp_path}/x.db", name="issuer")
    return notice_means(configured(tmp_path, **changes), database, FrozenClock(), Outbound())


def test_each_adapter_gives_each_channel_its_courier(tmp_path: Path, secret: Path):
    mail, text = NoticeChannel.EMAIL, NoticeChannel.SMS
    relay = {"notice_adapter": "smtp", "notice_smtp_server": "mail.invalid:465", "notice_from": SENDER}
    gate = {"notice_http_url": "https://gateway.invalid/m", "notice_http_key_file": secret}
    assert means(tmp_path).couriers == {}
    by_mail = means(tmp_path, **relay, notice_smtp_security="tls").couriers
    assert set(by_mail) == {mail}
    assert (by_mail[mail].host, by_mail[mail].port, by_mail[mail].implicit_tls) == ("mail.invalid", 465, True)
    assert by_mail[mail].message_id_host == "service.example"
    both = means(tmp_path, **relay, **gate).couriers
    assert (type(both[mail]), type(both[text])) == (SmtpCourier, GatewayCourier)
    assert both[text].headers == {"Authorization": "Bearer an-invented-key"}
    keyed = means(tmp_path, **gate, notice_adapter="http", notice_http_key_header="x-api-key").couriers
    assert set(keyed) == {mail, text}
    assert keyed[mail].headers == {"X-API-Key": "an-invented-key"}
    known = means(tmp_path, **relay, notice_smtp_user="u", notice_smtp_password_file=secret).couriers[mail]
    assert (known.user, known.password) == ("u", "an-invented-key")


def test_the_outbox_page_is_there_only_in_development(tmp_path: Path):
    shown = means(tmp_path, notice_adapter="development", environment="development")
    assert shown.outbox_page
    assert set(shown.couriers) == set(NoticeChannel)
    assert not means(tmp_path, notice_adapter="development", environment="test").outbox_page
    assert not means(tmp_path, environment="development").outbox_page
    assert json.dumps(sorted(shown.couriers)) == '["EMAIL", "SMS"]'
