"""Which way notices leave, from the settings: e-mail and text messages by their own courier, or by none."""

from __future__ import annotations

from urllib.parse import urlsplit

from passport_issuer.clients.mail import Courier, SmtpCourier
from passport_issuer.clients.notice_gateway import GatewayCourier
from passport_issuer.context import NoticeMeans
from passport_issuer.notice_settings import NoticeAdapter, NoticeSettings
from passport_issuer.operations.notice_outbox import OutboxCourier
from passport_issuer.rules.notices import NoticeChannel
from passport_shared.formats.clock import Clock
from passport_shared.outbound import Outbound
from passport_shared.outbound.transport import tls_context
from passport_shared.service.db import Database
from passport_shared.service.settings import Environment, read_secret


def notice_means(settings: NoticeSettings, db: Database, clock: Clock, outbound: Outbound) -> NoticeMeans:
    """The couriers of a deployment by channel; a channel that is not there cannot be sent by.

    Raises:
        ValueError: a secret file cannot be read or is open to everybody.
    """
    return NoticeMeans(
        couriers=_couriers(settings, db, clock, outbound),
        invitation_lifetime=settings.invitation_lifetime,
        app_page=settings.app_page,
        outbox_page=settings.notice_adapter is NoticeAdapter.DEVELOPMENT
        and settings.environment is Environment.DEVELOPMENT,
    )


def _couriers(
    settings: NoticeSettings, db: Database, clock: Clock, outbound: Outbound
) -> dict[NoticeChannel, Courier]:
    match settings.notice_adapter:
        case NoticeAdapter.DEVELOPMENT:
            return dict.fromkeys(NoticeChannel, OutboxCourier(db, clock))
        case NoticeAdapter.HTTP:
            return dict.fromkeys(NoticeChannel, _gateway(settings, outbound))
        case NoticeAdapter.SMTP:
            mail: dict[NoticeChannel, Courier] = {NoticeChannel.EMAIL: _smtp(settings)}
            if settings.notice_http_url is None:
                return mail
            return {**mail, NoticeChannel.SMS: _gateway(settings, outbound)}
        case NoticeAdapter.NONE:
            return {}


def _smtp(settings: NoticeSettings) -> SmtpCourier:
    host, _, port = (settings.notice_smtp_server or "").rpartition(":")
    password = settings.notice_smtp_password_file
    return SmtpCourier(
        host=host,
        port=int(port),
        implicit_tls=settings.notice_smtp_security == "tls",
        tls=tls_context(settings.tls_ca_file),
        user=settings.notice_smtp_user,
        password=read_secret(password).decode("utf-8").strip() if password else None,
        sender=settings.notice_from or "",
        message_id_host=urlsplit(settings.public_url).hostname or "localhost",
        total=settings.notice_timeout,
    )


def _gateway(settings: NoticeSettings, outbound: Outbound) -> GatewayCourier:
    url, file = settings.notice_http_url, settings.notice_http_key_file
    if url is None or file is None:
        raise ValueError("notice_http_url and notice_http_key_file are needed for text messages")
    key = read_secret(file).decode("ascii").strip()
    bearer = settings.notice_http_key_header == "authorization"
    return GatewayCourier(
        outbound=outbound,
        url=url,
        headers={"Authorization": f"Bearer {key}"} if bearer else {"X-API-Key": key},
        total=settings.notice_timeout,
    )
