"""Settings of the issuer (style.md §4.4): the common ones, and how long an offer lives."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from passport_issuer.notice_settings import NoticeSettings
from passport_shared.service.settings import bind_address


class IssuerSettings(NoticeSettings):
    """Read from ``PASSPORT_ISSUER_*``."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="PASSPORT_ISSUER_"
    )

    bind: Annotated[str, AfterValidator(bind_address)] = Field(
        default="127.0.0.1:9001", description="Address to listen on, `host:port`, or `fd://N`."
    )
    offer_lifetime: timedelta = Field(
        default=timedelta(minutes=10),
        ge=timedelta(minutes=1),
        le=timedelta(days=7),
        description="How long an offer can be collected after HR makes it, in seconds.",
    )
    placement_offer_lifetime: timedelta = Field(
        default=timedelta(days=7),
        ge=timedelta(minutes=10),
        le=timedelta(days=30),
        description="How long a visitor can collect the record of a temporary placement, in seconds. Only "
        "the wallet that shared its records with the host can, so that it may be longer than other offers.",
    )
    placement_retention: timedelta = Field(
        default=timedelta(days=90),
        ge=timedelta(0),
        le=timedelta(days=6 * 366),
        description="How long after a temporary placement's end the visitor's names and date of birth are "
        "kept, in seconds.",
    )
    workforce_poll: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=2),
        le=timedelta(hours=1),
        description="How often each connected workforce system is asked for changes about linked people, in "
        "seconds.",
    )
    client_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$")] | None = Field(
        default=None,
        description="Id under which the registry knows this service as an API client (its key: "
        "`passport-issuer client-key`); without it no activity is reported and no other service is called.",
    )
