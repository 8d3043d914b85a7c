"""The client directory a service polls, keeps and trusts until it expires."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import Outbound
from passport_shared.service import documents
from passport_shared.service.client_directory import DirectorySource, DirectoryUnavailable, RegistryClients
from passport_shared.service.db import Database, new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.wire.clients import DIRECTORY_LIFETIME, DIRECTORY_MEDIA_TYPE, ApiClient, build_directory
from passport_testkit.clients import api_client
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.keys import key
from passport_testkit.servers import MisbehavingServer, TlsAuthority, answer, reset, tls_server

METADATA = new_metadata()
TABLES = documents.tables(METADATA)
REGISTRY = "https://registry.example"
SIGNER = key("client directory")
HR = api_client("rbv-hr", scopes=["staff:read"])
OTHER = api_client("r0a-hr", organisation="R0A", scopes=["staff:read"])

pytestmark = both_databases


class World:
    """A registry that publishes a directory, and a service that polls it."""

    def __init__(self, db: Database, server: MisbehavingServer, outbound: Outbound) -> None:
        self.clock = FrozenClock()
        self.db = db
        self.server = server
        self.outbound = outbound
        self.trusted: SigningKey | None = SIGNER

    def service(self) -> RegistryClients:
        """The service as it starts: nothing in memory."""
        return RegistryClients(
            CachedDocuments(self.db, TABLES, self.clock), self.outbound, self.source, self.clock
        )

    async def source(self) -> DirectorySource | None:
        if self.trusted is None:
            return None
        jwks = (self.trusted.public.as_jwk(),)
        return DirectorySource(iss=REGISTRY, uri=self.server.url("/client-directory"), jwks=jwks)

    def publish(self, *clients: ApiClient, sequence: int, **changes: Any) -> None:
        signing: dict[str, Any] = {"iss": REGISTRY, "iat": self.clock.now(), "key": SIGNER} | changes
        token = build_directory(clients, sequence=sequence, **signing).encode()
        self.serve(token)

    def serve(self, body: bytes, content_type: str = DIRECTORY_MEDIA_TYPE) -> None:
        etag = f'"{hash(body):x}"'
        self.server.routes["/client-directory"] = answer(body, content_type=content_type, etag=etag)


@pytest.fixture
async def world(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[World]:
    db = await databases.open(metadata=METADATA)
    authority = TlsAuthority(tmp_path / "tls")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(tls_server(authority.server_context("localhost"), {}))
        allow = [f"localhost:{server.port}"]
        outbound = await stack.enter_async_context(Outbound(ca_file=authority.ca_file, allow=allow))
        yield World(db, server, outbound)


async def test_clients_are_known_after_a_refresh(world: World) -> None:
    service = world.service()
    with pytest.raises(DirectoryUnavailable):
        await service.client("rbv-hr")
    world.publish(HR.record, OTHER.record, sequence=1)
    assert await service.refresh() is True
    assert await service.client("rbv-hr") == HR.record
    assert await service.client("nobody") is None
    world.publish(OTHER.record, sequence=2)
    assert await service.refresh() is True
    assert await service.client("rbv-hr") is None


async def test_an_unchanged_directory_is_not_fetched_again(world: World) -> None:
    service = world.service()
    world.publish(HR.record, sequence=1)
    await service.refresh()
    world.server.routes["/client-directory"] = answer(b"", status=304, content_type=None)
    assert await service.refresh() is False
    assert "if-none-match" in world.server.requests[1].headers
    assert await service.client("rbv-hr") == HR.record


async def test_nothing_stops_when_the_registry_does(world: World) -> None:
    world.publish(HR.record, sequence=1)
    await world.service().refresh()
    world.server.routes["/client-directory"] = reset()
    service = world.service()  # restarted meanwhile
    world.clock.advance(DIRECTORY_LIFETIME - timedelta(seconds=1))
    assert await service.refresh() is False
    assert await service.client("rbv-hr") == HR.record
    world.clock.advance(timedelta(seconds=1))
    with pytest.raises(DirectoryUnavailable, match="expired"):
        await service.client("rbv-hr")


async def test_what_the_registry_should_not_say_is_not_believed(world: World) -> None:
    service = world.service()
    world.publish(HR.record, sequence=5)
    await service.refresh()
    now = world.clock.now()
    wrong: dict[str, dict[str, Any]] = {
        "rollback": {"sequence": 4},
        "fork": {"sequence": 5},
        "another key": {"sequence": 6, "key": key("attacker")},
        "another registry": {"sequence": 6, "iss": "https://other.example"},
        "expired": {"sequence": 6, "iat": now - DIRECTORY_LIFETIME - timedelta(minutes=2)},
        "future": {"sequence": 6, "iat": now + timedelta(minutes=2)},
    }
    for case, changes in wrong.items():
        world.publish(OTHER.record, **changes)
        assert await service.refresh() is False, case
        assert await service.client("rbv-hr") == HR.record, case
        assert await world.service().client("r0a-hr") is None, case
    for body, content_type in ((b"x", DIRECTORY_MEDIA_TYPE), (b"{}", "application/json")):
        world.serve(body, content_type)
        assert await service.refresh() is False
    for status in (404, 500):
        world.server.routes["/client-directory"] = answer(b"", status=status)
        assert await service.refresh() is False
    assert await service.client("rbv-hr") == HR.record
    world.publish(OTHER.record, sequence=6)
    assert await service.refresh() is True


async def test_a_rolled_key_ends_the_trust_in_what_the_old_one_signed(world: World) -> None:
    service = world.service()
    world.publish(HR.record, sequence=1)
    await service.refresh()
    newer = key("client directory, newer")
    world.trusted = newer
    with pytest.raises(DirectoryUnavailable, match="refused"):
        await service.client("rbv-hr")
    world.publish(HR.record, sequence=2, key=newer)
    await service.refresh()
    assert await service.client("rbv-hr") == HR.record


async def test_before_there_is_a_snapshot_nothing_is_asked(world: World) -> None:
    world.publish(HR.record, sequence=1)
    world.trusted = None
    service = world.service()
    assert await service.refresh() is False
    assert world.server.requests == []
    with pytest.raises(DirectoryUnavailable):
        await service.client("rbv-hr")


async def test_another_replica_uses_what_one_has_fetched(world: World) -> None:
    world.publish(HR.record, sequence=1)
    polling, other = world.service(), world.service()
    await polling.refresh()
    assert await other.client("rbv-hr") == HR.record
    world.publish(OTHER.record, sequence=2)
    await polling.refresh()
    world.clock.advance(timedelta(seconds=2))
    assert await other.client("rbv-hr") is None
