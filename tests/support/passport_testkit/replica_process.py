"""What the processes of `replicas` run: whole services on inherited sockets, told apart by the Host header.

The first process imports everything once and forks; it ends when whoever started it does.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn

from passport_shared.outbound import Outbound, OutboundError
from passport_shared.outbound.errors import OutboundReason
from passport_shared.service import db
from passport_shared.service.observability import configure_logging
from passport_shared.wire.clients import ApiClient, ClientKind, ClientState
from passport_testkit.clients import ClientsSimulator
from passport_testkit.clock import FrozenClock
from passport_testkit.replicas import CONTROL

CONNECTIONS = 6
"""Per engine, and as many again: all replicas together stay below what a cluster allows."""


class NobodyAnswers(httpx.AsyncBaseTransport):
    """The world outside: nothing of it can be reached."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise OutboundError(OutboundReason.CONNECT_FAILED, "nobody answers", host=request.url.host)


class Process:
    """One replica: its applications by host, their clocks, and the clients they know."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.clocks: dict[str, FrozenClock] = {}
        self.clients: dict[str, ClientsSimulator] = {}
        self.apps: dict[str, Any] = {}
        for service in description["services"]:
            self.clients[service["name"]] = ClientsSimulator()
            self._know(service["name"], service["clients"])
            self.clocks[service["name"]] = FrozenClock(datetime.fromisoformat(service["now"]))
            self._build(service["name"], service["settings"])

    def _know(self, name: str, clients: list[dict[str, Any]]) -> None:
        for told in clients:
            values = {**told, "kind": ClientKind(told["kind"]), "state": ClientState(told["state"])}
            values |= {"scopes": frozenset(told["scopes"]), "jwks": tuple(told["jwks"])}
            client = ApiClient(**values)
            self.clients[name].records[client.client_id] = client

    def _build(self, name: str, given: dict[str, Any]) -> None:
        module = importlib.import_module(f"passport_{name}.app")
        settings_module = importlib.import_module(f"passport_{name}.settings")
        settings = getattr(settings_module, f"{name.capitalize()}Settings")(**given)
        parts: dict[str, Any] = {
            "clock": self.clocks[name],
            "outbound": Outbound(transport=NobodyAnswers()),
            "background": False,
        }
        if name != "registry":
            parts["clients"] = self.clients[name]
        self.apps[urlsplit(settings.public_url).hostname or ""] = module.build(
            settings, module.Parts(**parts)
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        host = dict(scope["headers"]).get(b"host", b"").decode().partition(":")[0]
        if host == CONTROL:
            await self._told(receive, send)
        else:
            await self.apps[host](scope, receive, send)

    async def _told(self, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        told = json.loads(body)
        for name, clients in told["clients"].items():
            self._know(name, clients)
        for name, at in told["now"].items():
            self.clocks[name].set(datetime.fromisoformat(at))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def serve(self, listener: int) -> None:
        async with AsyncExitStack() as stack:
            for app in self.apps.values():
                await stack.enter_async_context(app.router.lifespan_context(app))
            config = uvicorn.Config(
                self, fd=listener, lifespan="off", log_config=None, access_log=False, timeout_keep_alive=600
            )
            await uvicorn.Server(config).serve()


def main(file: str) -> None:
    """Fork a process per listener, and end with whoever started this one."""
    description = json.loads(Path(file).read_text(encoding="utf-8"))
    db.POSTGRESQL_POOL = CONNECTIONS
    configure_logging("replica", "0", level="error")
    for service in description["services"]:
        importlib.import_module(f"passport_{service['name']}.app")
    for listener in description["listeners"]:
        if os.fork() == 0:
            asyncio.run(Process(description).serve(listener))
            os._exit(0)
    sys.stdin.buffer.read()
    os.killpg(0, 9)


if __name__ == "__main__":
    main(sys.argv[1])
