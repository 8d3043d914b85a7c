"""Settings of invitations and notices: how they leave, from whom, and how long a link lives."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from passport_shared.service.settings import Environment, HostPort, ServiceSettings


class NoticeAdapter(StrEnum):
    """How notices leave; DEVELOPMENT keeps them in the database to be read on a page."""

    NONE = "none"
    SMTP = "smtp"
    HTTP = "http"
    DEVELOPMENT = "development"


def page_url(value: str) -> str:
    """Check an https URL.

    Raises:
        ValueError: another scheme, no host, a user or a fragment.
    """
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.fragment:
        raise ValueError("must be an https:// URL without user and fragment")
    if not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be plain ASCII")
    return value


PageUrl = Annotated[str, AfterValidator(page_url)]
MailAddress = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s<>,;]+@[A-Za-z0-9.-]+$")]


class NoticeSettings(ServiceSettings):
    """What the issuer reads for its invitations and notices."""

    notice_adapter: NoticeAdapter = Field(
        default=NoticeAdapter.NONE,
        description="How notices leave: `smtp`, `http` (a message gateway), `development` (a page that shows "
        "them; refused in production) or `none` (each is recorded as failed).",
    )
    notice_from: MailAddress | None = Field(
        default=None,
        examples=["no-reply@trust.example"],
        description="Address e-mail notices come from; needed for `smtp`.",
    )
    notice_timeout: timedelta = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=2),
        description="How long handing over one notice may take, in seconds.",
    )
    notice_smtp_server: HostPort | None = Field(
        default=None, examples=["mail.trust.example:587"], description="Mail relay, `host:port`."
    )
    notice_smtp_security: Literal["starttls", "tls"] = Field(
        default="starttls",
        description="`starttls`, or `tls` from the first byte (port 465); there is no other.",
    )
    notice_smtp_user: str | None = Field(default=None, description="User to authenticate as at the relay.")
    notice_smtp_password_file: Path | None = Field(
        default=None, description="File that holds the relay's password; not readable for others."
    )
    notice_http_url: PageUrl | None = Field(
        default=None,
        examples=["https://gateway.trust.example/messages"],
        description="Where messages are posted; with `smtp` text messages go here, with `http` all do.",
    )
    notice_http_key_file: Path | None = Field(
        default=None, description="File that holds the gateway's key; not readable for others."
    )
    notice_http_key_header: Literal["authorization", "x-api-key"] = Field(
        default="authorization", description="Header the key goes in; `authorization` means a bearer token."
    )
    invitation_lifetime: timedelta = Field(
        default=timedelta(days=14),
        ge=timedelta(hours=1),
        le=timedelta(days=60),
        description="How long the link of an invitation can be opened, in seconds.",
    )
    app_page: PageUrl | None = Field(
        default=None,
        examples=["https://trust.example/staff-passport-app"],
        description="Page that says where people get a staff passport app; shown after an invitation.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.notice_adapter is NoticeAdapter.DEVELOPMENT and self.environment is Environment.PRODUCTION:
            raise ValueError(
                "notice_adapter development shows people's messages and is refused in production"
            )
        if self.notice_adapter is NoticeAdapter.SMTP and not (self.notice_smtp_server and self.notice_from):
            raise ValueError("notice_adapter smtp needs notice_smtp_server and notice_from")
        if self.notice_adapter is NoticeAdapter.HTTP and self.notice_http_url is None:
            raise ValueError("notice_adapter http needs notice_http_url")
        if (self.notice_http_url is None) != (self.notice_http_key_file is None):
            raise ValueError("notice_http_url and notice_http_key_file belong together")
        if (self.notice_smtp_user is None) != (self.notice_smtp_password_file is None):
            raise ValueError("notice_smtp_user and notice_smtp_password_file belong together")
        return self
