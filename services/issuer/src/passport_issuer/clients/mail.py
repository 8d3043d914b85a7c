"""Sending one message to one person: the port every way of sending has, and e-mail by SMTP (RFC 5321).

A message that is handed over twice carries the same Message-ID, so that a mail system can tell. TLS is not
optional: STARTTLS or implicit TLS, with a certificate the system trusts. What a server said is reduced to a
closed reason, because servers quote addresses.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Protocol

import aiosmtplib

from passport_issuer.rules.notices import NoticeChannel

MAX_LOCAL_PART = 64
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f-\x9f]+")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\Z")


class NotSent(Exception):
    """A message was not taken; ``reason`` is a code without personal data.

    ``permanent``: another try with the same message cannot help.
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message, ready to be read: ``text`` is what the person sees below the subject."""

    id: str
    ods: str
    kind: str
    channel: NoticeChannel
    language: str
    to: str
    to_name: str
    from_name: str
    subject: str
    text: str
    written_at: datetime


class Courier(Protocol):
    """A way to send. Returning means that the other side has taken the message."""

    async def send(self, letter: Letter) -> None:
        """Hand the message over.

        Raises:
            NotSent.
        """


def mail_address(text: str, name: str = "") -> Address:
    """An address as a header carries it, with a display name; an international domain in its ASCII form.

    Raises:
        NotSent: permanently, ``address_malformed``.
    """
    local, _, domain = text.strip().rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
        if (
            not _LOCAL.fullmatch(local)
            or len(local.encode()) > MAX_LOCAL_PART
            or not _DOMAIN.match(ascii_domain)
        ):
            raise NotSent("address_malformed", permanent=True)
        return Address(display_name=name, username=local, domain=ascii_domain)
    except (UnicodeError, ValueError):
        raise NotSent("address_malformed", permanent=True) from None


def mail_message(letter: Letter, sender: str, message_id_host: str) -> EmailMessage:
    """The e-mail of a letter: plain text, and headers that keep automatic answers away.

    Raises:
        NotSent: permanently, when the address or a header cannot be written.
    """
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = mail_address(sender, letter.from_name)
        message["To"] = mail_address(letter.to, letter.to_name)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(letter.written_at)
        message["Message-ID"] = f"<{letter.id}@{message_id_host}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "All"
        message.set_content(letter.text)
        message["Content-Language"] = letter.language
    except ValueError:
        # The library refuses line ends in headers; nothing that reaches this has any.
        raise NotSent("header_malformed", permanent=True) from None
    return message


@dataclass(frozen=True, kw_only=True)
class SmtpCourier:
    """E-mail through one relay.

    Args:
        host: and ``port`` of the relay.
        implicit_tls: TLS from the first byte, as on port 465; else STARTTLS, without which nothing is sent.
        user: with ``password`` to authenticate as, or None.
        sender: the address in From and in the envelope.
        message_id_host: what stands behind the ``@`` of every Message-ID.
        total: how long one message may take in all.
    """

    host: str
    port: int
    implicit_tls: bool
    tls: ssl.SSLContext
    user: str | None
    password: str | None
    sender: str
    message_id_host: str
    total: timedelta

    async def send(self, letter: Letter) -> None:
        """As ``Courier.send``."""
        message = mail_message(letter, self.sender, self.message_id_host)
        try:
            # One limit for everything: a server that drips answers resets every limit per command.
            async with asyncio.timeout(self.total.total_seconds()):
                await aiosmtplib.send(
                    message,
                    sender=self.sender,
                    recipients=[mail_address(letter.to).addr_spec],
                    hostname=self.host,
                    port=self.port,
                    use_tls=self.implicit_tls,
                    start_tls=not self.implicit_tls,
                    tls_context=self.tls,
                    username=self.user,
                    password=self.password,
                    local_hostname=self.message_id_host,
                    timeout=self.total.total_seconds(),
                )
        except (aiosmtplib.SMTPException, OSError, UnicodeError) as error:
            raise _refusal(error) from None


def _refusal(error: Exception) -> NotSent:
    """What went wrong, as a reason: 5xx about the message or its recipient is final, the rest may pass."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            return _answered(error.recipients[0].code, "recipient")
        case aiosmtplib.SMTPAuthenticationError():
            return NotSent("smtp_authentication_refused")
        case aiosmtplib.SMTPConnectResponseError() | aiosmtplib.SMTPHeloError():
            return NotSent("smtp_unavailable")
        case aiosmtplib.SMTPSenderRefused():
            return NotSent("smtp_sender_refused")
        case aiosmtplib.SMTPResponseException():
            return _answered(error.code, "message")
        case aiosmtplib.SMTPNotSupported():
            return NotSent("smtp_address_not_supported", permanent=True)
        case ssl.SSLError():
            return NotSent("smtp_tls_failed")
        case TimeoutError():
            return NotSent("smtp_timed_out")
        case UnicodeError():
            return NotSent("address_malformed", permanent=True)
        case _:
            return NotSent("smtp_connection_failed")


def _answered(code: int, what: str) -> NotSent:
    return NotSent(f"smtp_{what}_refused_{code}", permanent=500 <= code <= 599)
