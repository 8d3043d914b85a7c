"""Settings of the verifier, read from ``PASSPORT_VERIFIER_*`` (style.md §4.4)."""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from passport_shared.service.settings import ServiceSettings, bind_address


class VerifierSettings(ServiceSettings):
    """What one deployment needs to know; a tenant's identifier is `public_url` and its ODS code."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="PASSPORT_VERIFIER_"
    )

    bind: Annotated[str, AfterValidator(bind_address)] = Field(
        default="127.0.0.1:9002",
        description="Address to listen on, `host:port`, or `fd://N` for an inherited socket.",
    )
    request_life: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(minutes=1),
        le=timedelta(minutes=10),
        description="How long a presentation request can be answered, in seconds; at most ten minutes.",
    )
    open_requests: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="Presentation requests an API client may have open at the same time.",
    )
    status_memory: int = Field(
        default=256,
        ge=1,
        le=10_000,
        description=(
            "Status lists kept unpacked in memory, about 32 KiB each; more are read from the database."
        ),
    )
    placement_retention: timedelta = Field(
        default=timedelta(days=90),
        ge=timedelta(0),
        le=timedelta(days=6 * 366),
        description="How long after a placement's end what its decisions were judged from is kept, sealed, "
        "in seconds; then its key is deleted.",
    )
    client_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{2,63}$")] | None = Field(
        default=None,
        description="Id under which the registry knows this service as an API client (its key: "
        "`passport-verifier client-key`); without it no activity is reported and no other service is called.",
    )
    asserted_four_eyes: bool = Field(
        default=False,
        description="Let two actors that machine clients name count as four eyes; otherwise only two person "
        "clients do.",
    )
