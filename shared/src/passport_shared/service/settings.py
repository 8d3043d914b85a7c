"""Settings that every service has, read from ``PASSPORT_<SERVICE>_*`` variables (style.md §4.4).

``ServiceSettings`` is a mix-in: each service derives one frozen class with its own prefix and makes it in
``__main__``, never at import. Identifiers are text, compared as strings; secrets come from files. A mistyped
variable is silently ignored by every settings library, so ``check_config`` compares names and says so.
"""

import difflib
import hmac
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from passport_shared.formats.freshness import SNAPSHOT_POLL
from passport_shared.service.database_url import driver_url
from passport_shared.service.peer_address import Network, proxies
from passport_shared.service.tracing import installed, missing

_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")
MIN_TOKEN_CHARACTERS = 16


class Environment(StrEnum):
    """Where this deployment runs; anything but production relaxes named checks and says so in the log."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


def identifier_url(value: str) -> str:
    """Check an https URL that serves as an identifier, and give back the very text (design §2).

    Raises:
        ValueError: not https, or with userinfo, query, fragment, upper-case host or trailing slash.
    """
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or not value.startswith("https://"):
        raise ValueError("must be an https:// URL")
    if (
        parts.username is not None
        or parts.password is not None
        or parts.query
        or parts.fragment
        or "?" in value
    ):
        raise ValueError("must have no user, query or fragment")
    if value.endswith("/"):
        raise ValueError("must not end with a slash: identifiers are compared as text")
    if parts.netloc != parts.netloc.lower() or not value.isascii() or any(c.isspace() for c in value):
        raise ValueError("must be plain ASCII with the host in lower case")
    return value


def service_url(value: str) -> str:
    """An identifier URL without a path: the base of one service."""
    identifier_url(value)
    if urlsplit(value).path:
        raise ValueError("must have no path")
    return value


def host_and_port(value: str) -> str:
    """Check ``host:port``."""
    host, colon, port = value.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("must be host:port")
    return value


def bind_address(value: str) -> str:
    """Check ``host:port`` or ``fd://N``, a socket that was opened by whoever starts the service."""
    if value.startswith("fd://"):
        if not value[5:].isascii() or not value[5:].isdigit():
            raise ValueError("must be fd:// and the number of an inherited socket")
        return value
    return host_and_port(value)


def database_address(value: str) -> str:
    """Check that our drivers understand the URL."""
    driver_url(value)
    return value


IdentifierUrl = Annotated[str, AfterValidator(identifier_url)]
ServiceUrl = Annotated[str, AfterValidator(service_url)]
HostPort = Annotated[str, AfterValidator(host_and_port)]
LogLevel = Literal["debug", "info", "warning", "error"]


class ServiceSettings(BaseSettings):
    """Fields every service reads under its own prefix."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="PASSPORT_"
    )

    public_url: ServiceUrl = Field(
        examples=["https://service.example"],
        description="Base URL under which the world reaches this service; part of identifiers, never taken "
        "from a request.",
    )
    database_url: Annotated[str, AfterValidator(database_address)] = Field(
        repr=False,
        examples=["sqlite:///var/service.db"],
        description="`sqlite:///path` or `postgresql://user@host/name`. With a password prefer the `_FILE` "
        "form.",
    )
    database_url_file: Path | None = Field(
        default=None, description="File that holds the database URL, in place of the variable."
    )
    kek_file: Path = Field(
        examples=["/run/secrets/kek"],
        description="File with the 32-byte key-encryption key (base64url); not readable for others, not "
        "beside the database.",
    )
    trust_file: Path | None = Field(
        default=None,
        examples=["/etc/passport/trust.json"],
        description="Trust file of the network (`passport-registry trust-file`); the only trust that is "
        "configured.",
    )
    bind: Annotated[str, AfterValidator(bind_address)] = Field(
        default="127.0.0.1:9000",
        description="Address to listen on, `host:port`, or `fd://N` for an inherited socket.",
    )
    registry_url: ServiceUrl | None = Field(
        default=None, examples=["https://registry.example"], description="Base URL of the registry."
    )
    registry_poll: timedelta = Field(
        default=SNAPSHOT_POLL,
        ge=timedelta(seconds=1),
        le=SNAPSHOT_POLL,
        description="How often the registry is asked for changes, in seconds; at most the promised 30.",
    )
    environment: Environment = Field(
        default=Environment.PRODUCTION,
        description="`production`, `development` or `test`; the last two allow a database that does not "
        "flush commits.",
    )
    clock_file: Path | None = Field(
        default=None,
        examples=["/var/lib/passport/clock.json"],
        description='Sandbox only: file that says by how many seconds the clock is moved, `{"offset_s": 0}`; '
        "refused in production.",
    )
    failpoint: str | None = Field(
        default=None,
        examples=["credential.after_sign=kill@3"],
        description="Drills only: end the process at a named step, `step=kill`, `=raise` or `=hang`, with "
        "`@n` at the n-th time; refused unless the environment is `development`.",
    )
    tls_cert_file: Path | None = Field(default=None, description="PEM certificate chain to serve TLS with.")
    tls_key_file: Path | None = Field(
        default=None, description="PEM private key to serve TLS with; not readable for others."
    )
    tls_ca_file: Path | None = Field(
        default=None, description="PEM certificates trusted for outbound TLS in addition to the system's."
    )
    outbound_allow: Annotated[frozenset[HostPort], NoDecode] = Field(
        default=frozenset(),
        description="Comma-separated `host:port` that outbound calls may reach although their address is "
        "not public.",
    )
    trusted_proxies: Annotated[frozenset[Network], NoDecode] = Field(
        default=frozenset(),
        examples=["10.0.3.0/24"],
        description="Comma-separated addresses or networks of the proxies in front of this service. Only "
        "from them is `X-Forwarded-For` read, and only to count attempts per caller; without it everybody "
        "behind a proxy shares one allowance.",
    )
    log_level: LogLevel = Field(
        default="info", description="Least severe log line: debug, info, warning or error."
    )
    access_log_every: int = Field(
        default=1,
        ge=1,
        le=1_000_000,
        description="Log one in so many successful requests; refusals are always logged.",
    )
    metrics_token_file: Path | None = Field(
        default=None,
        examples=["/run/secrets/metrics-token"],
        description="File with the bearer token that `/metrics` asks for; in production there is no "
        "`/metrics` without one.",
    )
    traces_endpoint: IdentifierUrl | None = Field(
        default=None,
        examples=["https://collector.example:4318/v1/traces"],
        description="Full URL of an OTLP/HTTP collector that traces are sent to; without it there are none. "
        "Its certificate is checked against `TLS_CA_FILE` if that is set, else the public authorities. Needs "
        "the extra `traces`.",
    )
    traces_share: float = Field(
        default=1.0,
        ge=0.0,
        le=1.0,
        description="Which part of the traces that begin here is kept, 0 to 1; one that a caller began is "
        "kept as the caller's `traceparent` says.",
    )
    max_body_bytes: int = Field(
        default=262_144,
        ge=1_024,
        le=16_777_216,
        description="Largest request body, in bytes; more is answered with 413.",
    )
    shutdown_grace: timedelta = Field(
        default=timedelta(seconds=20),
        description="How long open requests may take to finish at a stop, in seconds.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: object, info: ValidationInfo) -> object:
        """A duration in the environment is a number of seconds, as every description says."""
        named = cls.model_fields.get(info.field_name or "")
        plain = isinstance(value, str) and _NUMBER.fullmatch(value.strip())
        if plain and named is not None and named.annotation is timedelta:
            return timedelta(seconds=float(str(value)))
        return value

    @field_validator("outbound_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            frozenset(filter(None, (part.strip() for part in value.split(","))))
            if isinstance(value, str)
            else value
        )

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies(cls, value: object) -> object:
        return proxies(value) if isinstance(value, str) else value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _read_database_url(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("database_url_file"):
            if values.get("database_url"):
                raise ValueError("database_url and database_url_file are both set")
            return {**values, "database_url": read_secret(Path(values["database_url_file"])).decode().strip()}
        return values

    @model_validator(mode="after")
    def _pair_tls(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file belong together")
        return self

    @model_validator(mode="after")
    def _no_moved_clock(self) -> Self:
        if self.clock_file is not None and self.environment is Environment.PRODUCTION:
            raise ValueError("clock_file moves the clock of a sandbox; production has none")
        return self

    @model_validator(mode="after")
    def _no_failpoint(self) -> Self:
        if self.failpoint is not None and self.environment is not Environment.DEVELOPMENT:
            raise ValueError("failpoint ends the process on purpose; only a development environment has one")
        return self

    @property
    def durable(self) -> bool:
        """Whether the database must keep what it acknowledges: the ``durable`` argument of ``Database``."""
        return self.environment is Environment.PRODUCTION

    @classmethod
    def prefix(cls) -> str:
        """The prefix of this class's variables."""
        return str(cls.model_config.get("env_prefix", ""))

    @classmethod
    def example(cls, **values: Any) -> Self:
        """Settings from the examples of the required fields: the OpenAPI document needs no deployment."""
        examples = {
            name: field.examples[0]
            for name, field in cls.model_fields.items()
            if field.is_required() and field.examples
        }
        return cls(**{**examples, **values})


@dataclass(frozen=True)
class MetricsAccess:
    """Who may read ``/metrics``: nobody, whoever has the token, or everybody (development and tests)."""

    token: bytes | None
    open: bool

    def allows(self, authorization: str) -> bool:
        """Whether a request with this Authorization header may read."""
        if self.token is None:
            return self.open
        given = authorization.removeprefix("Bearer ").encode("utf-8", "replace")
        return authorization.startswith("Bearer ") and hmac.compare_digest(given, self.token)


EVERYBODY = MetricsAccess(None, open=True)


def metrics_access(settings: ServiceSettings) -> MetricsAccess:
    """Who may read this deployment's metrics.

    Raises:
        ValueError: the token file cannot be used, or holds nothing worth the name.
    """
    file = settings.metrics_token_file
    token = None if file is None else read_secret(file).strip()
    if token is not None and len(token) < MIN_TOKEN_CHARACTERS:
        # A file with a line end alone would let everybody in who sends an empty token.
        raise ValueError(f"{file} does not hold a token of at least {MIN_TOKEN_CHARACTERS} characters")
    return MetricsAccess(token, settings.environment is not Environment.PRODUCTION)


def read_secret(path: Path) -> bytes:
    """Read a secret file that only its owner (and group) can read.

    Raises:
        ValueError: missing, empty, over 64 KiB, or readable for others.
    """
    try:
        mode = path.stat().st_mode
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            raise ValueError(f"{path} is readable for everybody: chmod o-rwx {path}")
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if not content or len(content) > 65_536:
        raise ValueError(f"{path} is empty or larger than a secret can be")
    return content


def check_config(
    settings_class: type[ServiceSettings], environ: Mapping[str, str] | None = None
) -> list[str]:
    """Every fault of the configuration in plain words; empty when the service can start with it.

    Args:
        settings_class: the service's settings.
        environ: the variables to check, the process's own by default.
    """
    variables = os.environ if environ is None else environ
    faults = mistyped(settings_class, variables)
    known = {
        name: variables[_variable(settings_class, name)]
        for name in settings_class.model_fields
        if _variable(settings_class, name) in variables
    }
    try:
        settings = _isolated(settings_class)(**_decoded(settings_class, known))
    except ValidationError as error:
        for item in error.errors(include_input=False, include_url=False):
            name = _variable(settings_class, str(item["loc"][0])) if item["loc"] else "configuration"
            faults.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        return faults
    if settings.traces_endpoint is not None and not installed():
        faults.append(f"{_variable(settings_class, 'traces_endpoint')}: {missing(settings.prefix())}")
    return faults + _unreadable(settings_class, settings)


def mistyped(settings_class: type[ServiceSettings], environ: Mapping[str, str]) -> list[str]:
    """Variables with the service's prefix that name no field, with the nearest one that does."""
    prefix = settings_class.prefix().upper()
    names = [name.upper() for name in settings_class.model_fields]
    faults = []
    for variable in sorted(environ):
        name = variable.upper().removeprefix(prefix)
        if variable.upper().startswith(prefix) and name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            faults.append(
                f"{variable}: no such setting" + (f"; did you mean {prefix}{near[0]}?" if near else "")
            )
    return faults


def settings_markdown(settings_class: type[ServiceSettings]) -> str:
    """The settings as a Markdown table, for the service's README."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in settings_class.model_fields.items():
        default = "required" if field.is_required() else f"`{_plain(field.default)}`"
        lines.append(f"| `{_variable(settings_class, name)}` | {default} | {field.description or ''} |")
    return "\n".join(lines) + "\n"


def _isolated(settings_class: type[ServiceSettings]) -> type[ServiceSettings]:
    """The same fields, read from nothing but the given values."""

    class Isolated(settings_class):  # type: ignore[misc, valid-type]
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
            init_settings: PydanticBaseSettingsSource,
            **_: Any,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings,)

    return Isolated


def _variable(settings_class: type[ServiceSettings], name: str) -> str:
    return f"{settings_class.prefix()}{name}".upper()


def _decoded(settings_class: type[ServiceSettings], values: Mapping[str, str]) -> dict[str, Any]:
    # Environment variables hold complex fields as JSON, except where NoDecode says the validator reads the
    # text.
    decoded: dict[str, Any] = {}
    for name, value in values.items():
        decoded[name] = value
        if _is_collection(settings_class.model_fields[name]):
            try:
                decoded[name] = json.loads(value)
            except ValueError:
                decoded[name] = value
    return decoded


def _is_collection(field: FieldInfo) -> bool:
    if any(item is NoDecode or isinstance(item, NoDecode) for item in field.metadata):
        return False
    kinds = [field.annotation, *get_args(field.annotation)]
    return any((get_origin(kind) or kind) in (list, dict, tuple, set, frozenset) for kind in kinds)


def _unreadable(settings_class: type[ServiceSettings], settings: ServiceSettings) -> list[str]:
    faults = []
    for name in settings_class.model_fields:
        path = getattr(settings, name)
        if not isinstance(path, Path) or not name.endswith("_file") or name == "clock_file":
            continue  # a clock file may come later
        secret = name in ("kek_file", "tls_key_file", "database_url_file") or name.endswith(
            ("_key_file", "_password_file")
        )
        try:
            if name == "metrics_token_file":
                metrics_access(settings)
            elif secret:
                read_secret(path)
            else:
                path.open("rb").close()
        except ValueError as error:
            faults.append(f"{_variable(settings_class, name)}: {error}")
        except OSError as error:
            faults.append(f"{_variable(settings_class, name)}: {path} cannot be read: {error.strerror}")
    return faults


def _plain(value: object) -> str:
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    if value is None or value == frozenset():
        return "–"
    return str(value)
