"""Settings of the registry, read from `PASSPORT_REGISTRY_*` (style.md §4.4)."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from passport_shared.service.settings import ServiceSettings


class RegistrySettings(ServiceSettings):
    """What one deployment of the registry needs to know; `public_url` is the trust anchor's identifier."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="PASSPORT_REGISTRY_"
    )

    operator_name: str = Field(
        default="Staff Passport Registry",
        min_length=3,
        max_length=60,
        description="Name of the network's operator, in the anchor's configuration and in certificates.",
    )
    operator_ods_code: str = Field(
        default="REGISTRY",
        pattern=r"^[A-Z0-9]{3,10}$",
        description=(
            "ODS code of the operator in the registry's own certificate; a plain word where it has none."
        ),
    )
    operator_contact: str = Field(
        default="registry@localhost.invalid",
        max_length=200,
        description="E-mail address or URL in the anchor's configuration under `contacts`.",
    )
    publish_every: timedelta = Field(
        default=timedelta(seconds=2),
        description="How often a replica looks for changes to publish, in seconds; the promise is 15.",
    )
    enrolment_code_life: timedelta = Field(
        default=timedelta(hours=24), description="How long a one-time enrolment code can be used, in seconds."
    )
    enrolments_per_minute: int = Field(
        default=30, ge=1, le=10_000, description="Enrolment attempts accepted per minute and address."
    )
    asserted_four_eyes: bool = Field(
        default=False,
        description="Let two actors that machine clients name count as four eyes; otherwise only two person "
        "clients do.",
    )
    public_reports: bool = Field(
        default=False,
        description="Serve the reports to everybody, as pages at `/reports`. They hold nothing about people.",
    )
