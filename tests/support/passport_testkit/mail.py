"""A mail server of somebody else (aiosmtpd) over TLS on 127.0.0.1, and what arrived there.

It speaks STARTTLS or TLS from the first byte, may want a password, and answers as a test tells it to.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

OK = "250 OK"
USER, PASSWORD = "passport", "invented password"


@dataclass
class MailServer:
    """What a relay took, and how it answers: ``rcpt`` and ``data`` are SMTP replies."""

    port: int = 0
    rcpt: str = OK
    data: str = OK
    utf8: bool = True
    arrived: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    tried: int = 0

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"localhost:{self.port}"

    async def handle_RCPT(
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer for a recipient."""
        self.tried += 1
        if self.rcpt == OK:
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        """Take a message, or not."""
        if self.data == OK:
            assert isinstance(envelope.content, bytes)
            message = message_from_bytes(envelope.content, policy=default)
            assert isinstance(message, EmailMessage)
            self.arrived.append(message)
            self.envelopes.append(envelope)
        return self.data


def text_of(message: EmailMessage) -> str:
    """The words of a message, with plain line ends."""
    return str(message.get_content()).replace("\r\n", "\n")


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=right, handled=False)


@asynccontextmanager
async def mail_server(
    context: ssl.SSLContext, *, implicit_tls: bool = False, password: bool = False, utf8: bool = True
) -> AsyncIterator[MailServer]:
    """Run a relay at a port the system gives."""
    relay = MailServer()
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        return SMTP(
            relay,
            enable_SMTPUTF8=utf8,
            tls_context=None if implicit_tls else context,
            require_starttls=not implicit_tls,
            auth_required=password,
            auth_require_tls=not implicit_tls,
            authenticator=_authenticate if password else None,
            loop=loop,
            hostname="relay.invalid",
            ident="relay",
        )

    listening = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if implicit_tls else None)
    relay.port = listening.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        listening.close()
        await listening.wait_closed()


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """A server that takes connections and never says a word; its port."""
    release = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    listening = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield int(listening.sockets[0].getsockname()[1])
    finally:
        release.set()
        listening.close()
