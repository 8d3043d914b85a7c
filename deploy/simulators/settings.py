"""Settings of the simulators: a few variables, all with a default that refuses rather than guesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "PASSPORT_SIMULATORS_"
CLOCK_FILE = "PASSPORT_CLOCK_FILE"
IN_CONTAINER = f"{PREFIX}IN_CONTAINER"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class SettingsError(ValueError):
    """A setting is missing or not allowed; the text says which."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where to listen, what to show as one's own address, and where the few files lie.

    `folder` holds the clients file and the virtual wallets. `trust_file` names the network of those wallets.
    `tour` is the page the demonstration wrote, served for whoever looks around.
    """

    public_url: str
    folder: Path
    bind: str = "127.0.0.1:9003"
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_file: Path | None = None
    trust_file: Path | None = None
    outbound_allow: frozenset[str] = frozenset()
    clock_file: Path | None = None
    tour: Path | None = None

    @property
    def clients_file(self) -> Path:
        """Who may call the workforce systems."""
        return self.folder / "clients.json"

    @property
    def day_file(self) -> Path:
        """The day from which records are counted back."""
        return self.folder / "day"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables.

        Raises:
            SettingsError: something is missing, or the address is not loopback.
        """

        def path(name: str) -> Path | None:
            value = environment.get(name)
            return Path(value) if value else None

        folder = path(f"{PREFIX}FOLDER")
        if folder is None:
            raise SettingsError(f"{PREFIX}FOLDER is not set")
        public_url = environment.get(f"{PREFIX}PUBLIC_URL", "https://localhost:9003")
        parts = urlsplit(public_url)
        if parts.scheme != "https" or parts.path or not parts.netloc:
            raise SettingsError(f"{PREFIX}PUBLIC_URL is https://host:port without a path")
        bind = environment.get(f"{PREFIX}BIND", "127.0.0.1:9003")
        contained = environment.get(IN_CONTAINER) == "true"
        if not contained and not bind.startswith("fd://") and bind.rpartition(":")[0] not in LOOPBACK:
            # There are switches here that nobody has to prove anything for. A container's own network is
            # closed until its port is published, which whoever starts it does on loopback.
            raise SettingsError(f"{PREFIX}BIND: the simulators listen on loopback only")
        allow = environment.get(f"{PREFIX}OUTBOUND_ALLOW", "")
        return cls(
            public_url=public_url,
            folder=folder,
            bind=bind,
            tls_cert_file=path(f"{PREFIX}TLS_CERT_FILE"),
            tls_key_file=path(f"{PREFIX}TLS_KEY_FILE"),
            tls_ca_file=path(f"{PREFIX}TLS_CA_FILE"),
            trust_file=path(f"{PREFIX}TRUST_FILE"),
            outbound_allow=frozenset(part for part in allow.split(",") if part),
            clock_file=path(CLOCK_FILE),
            tour=path(f"{PREFIX}TOUR"),
        )
