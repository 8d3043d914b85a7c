"""Several processes of one or more services on PostgreSQL, without a proxy: what replicas do to each other.

`replicas` starts them from a description that any process can read: settings, the clients that are known,
the hour. `Replicas.client` speaks to all of them in turn under a service's own name. They fetch nothing: what
they know of the network was stored before they started. A replica's clock stands still until it is told.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from passport_shared.wire.clients import ApiClient

PROCESSES = 4
CONTROL = "control.invalid"
START_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as every replica runs it.

    Args:
        name: registry, issuer or verifier.
        settings: as the settings class takes them, in text.
        now: where its clocks stand.
        clients: API clients that the directory knows; the registry reads its own.
    """

    name: str
    settings: Mapping[str, Any]
    now: datetime
    clients: Sequence[ApiClient] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "name": self.name,
            "settings": {name: str(value) for name, value in self.settings.items()},
            "now": self.now.isoformat(),
            "clients": [client_as_dict(client) for client in self.clients],
        }


def client_as_dict(client: ApiClient) -> dict[str, Any]:
    """An API client as JSON."""
    return {
        "client_id": client.client_id,
        "kind": client.kind.value,
        "organisation": client.organisation,
        "scopes": sorted(client.scopes),
        "jwks": [dict(jwk) for jwk in client.jwks],
        "state": client.state.value,
        "name": client.name,
    }


class _InTurn(httpx.AsyncBaseTransport):
    """Sends each request to the next replica; the Host header says which service of it is meant."""

    def __init__(self, ports: Sequence[int]) -> None:
        # A pool for each: httpx looks through a whole pool at every turn of every request. And connections
        # are never given up: httpx then closes some that a request has just been given (`outbound.pool`).
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=400, keepalive_expiry=None)
        self._pools = {port: httpx.AsyncHTTPTransport(limits=limits, trust_env=False) for port in ports}
        self._ports = itertools.cycle(ports)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        port = next(self._ports)
        request.headers["Host"] = request.url.host
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
        return await self._pools[port].handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()


@dataclass(frozen=True)
class Replicas:
    """Running processes; `ports` are theirs on the loopback interface."""

    ports: tuple[int, ...]

    def client(self, base_url: str) -> httpx.AsyncClient:
        """A client of one of their services; close it in the loop it was used in."""
        return httpx.AsyncClient(transport=_InTurn(self.ports), base_url=base_url, timeout=60)

    def tell(
        self,
        *,
        clients: Mapping[str, Sequence[ApiClient]] | None = None,
        now: Mapping[str, datetime] | None = None,
    ) -> None:
        """Let every replica know further clients of some services, or another hour at them."""
        told = {
            "clients": {name: [client_as_dict(one) for one in new] for name, new in (clients or {}).items()},
            "now": {name: at.isoformat() for name, at in (now or {}).items()},
        }
        for port in self.ports:
            httpx.post(
                f"http://127.0.0.1:{port}/", json=told, headers={"Host": CONTROL}, timeout=60
            ).raise_for_status()


@contextlib.contextmanager
def replicas(folder: Path, services: Sequence[Service], *, processes: int = PROCESSES) -> Iterator[Replicas]:
    """Run replicas of some services for the length of a block.

    Raises:
        RuntimeError: they did not start; with what they said.
    """
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(processes)]
    description = folder / "replicas.json"
    description.write_text(
        json.dumps(
            {
                "services": [service.as_dict() for service in services],
                "listeners": [listener.fileno() for listener in listeners],
            }
        )
    )
    log = folder / "replicas.log"
    with log.open("wb") as said:
        running = subprocess.Popen(
            [sys.executable, "-m", "passport_testkit.replica_process", str(description)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=[listener.fileno() for listener in listeners],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        ports = tuple(listener.getsockname()[1] for listener in listeners)
        for listener in listeners:
            listener.close()
        found = Replicas(ports)
        try:
            found.tell()
        except httpx.HTTPError as error:
            raise RuntimeError(f"replicas did not start: {log.read_text()[-4_000:]}") from error
        yield found
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
