"""What the demonstration needs of a running network, however it runs: as processes here, or in containers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from deploy.dev.tls import TlsFiles


class Program(Protocol):
    """A service, or the simulators, as others reach it."""

    @property
    def name(self) -> str:
        """`registry`, `issuer`, `verifier` or `simulators`."""
        ...

    @property
    def url(self) -> str:
        """Its public base URL."""
        ...

    @property
    def address(self) -> str:
        """The `host:port` of its URL."""
        ...

    def command(self, *arguments: str, feed: bytes | None = None) -> str:
        """Run one of its own commands and return what it printed; `feed` is its standard input."""
        ...

    def metrics(self) -> Sequence[str]:
        """Every replica's own metrics, as text."""
        ...


class Deployment(Protocol):
    """A network with its workforce systems."""

    @property
    def folder(self) -> Path:
        """Where keys of its clients, the trust file and wallets of the demonstration lie."""
        ...

    @property
    def tls(self) -> TlsFiles:
        """The TLS authority to trust."""
        ...

    @property
    def services(self) -> Mapping[str, Program]:
        """Registry, issuer and verifier, by name."""
        ...

    @property
    def simulators(self) -> Program:
        """The simulated workforce systems."""
        ...

    @property
    def clock_file(self) -> Path:
        """Where the simulators write how far the clock was moved."""
        ...

    def database(self, name: str) -> Path:
        """A service's database as it is now, as an SQLite file."""
        ...
