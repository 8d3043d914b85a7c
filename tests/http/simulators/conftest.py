"""The simulators in the test's own process, called over ASGI, with one client that may call for everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from deploy.simulators import clients
from deploy.simulators.app import create_app
from deploy.simulators.settings import Settings
from deploy.simulators.state import World

URL = "https://localhost:9003"
API_KEY = "test-only-key-of-a-client"


@dataclass
class Bench:
    """The application, its settings, and a client with an API key."""

    app: Starlette
    settings: Settings
    http: httpx.AsyncClient

    @property
    def world(self) -> World:
        """What the systems hold."""
        world: World = self.app.state.world
        return world

    @property
    def today(self) -> date:
        """The day records are counted from."""
        return self.world.clock.today()

    async def switch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Turn a switch that turns."""
        answer = await self.http.put(f"/control/{path}", json=body)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def read(self, path: str, **query: str) -> Any:
        """What a GET gives."""
        answer = await self.http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    settings = Settings(public_url=URL, folder=tmp_path / "simulators", clock_file=tmp_path / "clock.json")
    clients.register(settings.clients_file, "tests", organisations=["*"], api_key=API_KEY)
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    headers = {"x-api-key": API_KEY}
    async with httpx.AsyncClient(transport=transport, base_url=URL, headers=headers) as http:
        yield Bench(app, settings, http)
