"""Settings of the issuer (style.md §4.4): the common ones, and how long an offer lives."""

import ipaddress
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from passport_issuer.notice_settings import NoticeSettings
from passport_shared.service.settings import bind_address

PRIVATE_USE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""What a private network may be: never loopback, link-local or any other special address."""


def private_network(value: ipaddress.IPv4Network | ipaddress.IPv6Network) -> object:
    """Check that a network lies in the ranges for private use.

    Raises:
        ValueError: it does not.
    """
    if not any(
        value.version == known.version and value.subnet_of(known)  # type: ignore[arg-type]
        for known in PRIVATE_USE
    ):
        raise ValueError("must lie in 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7")
    return value


PrivateNetwork = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, AfterValidator(private_network)]


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
    workforce_private_networks: Annotated[frozenset[PrivateNetwork], NoDecode] = Field(
        default=frozenset(),
        examples=["10.20.0.0/16"],
        description="Comma-separated networks (`10.20.0.0/16`) on which workforce systems named as private "
        "hosts of a connection may lie; in production no other private address is ever called.",
    )
    client_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$")] | None = Field(
        default=None,
        description="Id under which the registry knows this service as an API client (its key: "
        "`passport-issuer client-key`); without it no activity is reported and no other service is called.",
    )

    @field_validator("workforce_private_networks", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return frozenset(filter(None, (part.strip() for part in value.split(","))))
