"""Rolling keys: the services' own, the registry's, the key-encryption key, and TLS files."""

from __future__ import annotations

import argparse
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from passport_registry.operations import anchor
from passport_shared.formats.freshness import STATEMENT_LIFETIME
from passport_shared.formats.jose import parse_header
from passport_shared.formats.strict import b64url_encode
from passport_shared.service.kek import Kek
from passport_shared.service.key_rolling import REGISTRY_ROLLS, TENANT_ROLLS, KeyRolling
from passport_shared.service.keys import KeyState
from passport_shared.service.tls_files import TlsFiles
from passport_testkit.clock import NOON
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.issuers import IssuerBench
from passport_testkit.registries import RBV, RegistryBench, registry_bench
from passport_testkit.tls_files import write_tls_files
from passport_testkit.verifiers import running_verifier
from passport_verifier.operations.rewrapping import rewrap

MINUTES = timedelta(minutes=2)


@pytest.fixture
async def registry(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[RegistryBench]:
    """A registry with one trust that may issue."""
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as bench:
        await bench.live_issuer(RBV)
        yield bench


async def test_tokens_of_before_and_after_a_roll_are_accepted(issuer: IssuerBench):
    rolling = KeyRolling(issuer.ctx.keys, issuer.clock, TENANT_ROLLS)
    first = await issuer.headers()
    at = await rolling.begin("access-token")
    assert at is not None
    assert await rolling.run() == []
    issuer.clock.advance(MINUTES)
    assert await rolling.run() == ["access-token"]
    issuer._tokens.clear()
    second = await issuer.headers()
    kids = {str(parse_header(one["Authorization"].removeprefix("Bearer ").split(".")[0])["kid"])
            for one in (first, second)}  # fmt: skip
    assert len(kids) == 2
    for headers in (first, second):
        answer = await issuer.http.get("/api/v1/organisations/RBV/staff", headers=headers)
        assert answer.status_code == 200
    issuer.clock.advance(timedelta(hours=2))
    await rolling.run()
    assert len(await issuer.ctx.keys.published("access-token")) == 1


async def test_a_client_key_rolls_on_a_persons_word_only(issuer: IssuerBench):
    rolling = KeyRolling(issuer.ctx.keys, issuer.clock, TENANT_ROLLS)
    assert await rolling.begin("client") is None
    assert await rolling.begin("client") is None
    assert not await rolling.activate("client")
    issuer.clock.advance(MINUTES)
    assert await rolling.run() == []
    assert await rolling.activate("client")
    assert not await rolling.activate("client")
    with pytest.raises(KeyError):
        await rolling.begin("credential")


@both_databases
async def test_every_key_of_the_registry_rolls_and_the_trust_file_of_before_still_holds(
    registry: RegistryBench,
):
    rolling = KeyRolling(registry.ctx.keys, registry.clock, REGISTRY_ROLLS)
    before = {purpose: (await registry.ctx.keys.ensure(purpose)).kid for purpose in REGISTRY_ROLLS}
    for purpose in REGISTRY_ROLLS:
        await rolling.begin(purpose)
    await registry.publish()
    published = await registry.snapshot()
    rolled: set[str] = set()
    for _ in range(10):
        registry.clock.advance(timedelta(days=1))
        rolled |= set(await rolling.run())
        await registry.publish()
        # A service that was configured with the first trust file reads every snapshot, one after the other.
        registry.trust_file = published.trust_file
        published = await registry.snapshot()
    assert rolled == set(REGISTRY_ROLLS)
    after = {purpose: (await registry.ctx.keys.active(purpose)).kid for purpose in REGISTRY_ROLLS}
    assert not set(before.values()) & set(after.values())
    leaf = await anchor.status_leaf(registry.ctx)
    assert leaf.not_valid_before_utc > NOON - timedelta(days=1)
    registry.clock.advance(2 * STATEMENT_LIFETIME)
    await rolling.run()
    for purpose in ("federation", "status", "client-directory"):
        states = [stored.state for stored in await registry.ctx.keys.published(purpose)]
        assert states == [KeyState.ACTIVE]


@both_databases
async def test_the_key_encryption_key_is_replaced_while_the_verifier_decides(
    databases: FreshDatabases, tmp_path: Path
):
    url, file = await databases.url("passport_verifier"), tmp_path / "verifier-kek"
    async with running_verifier(tmp_path, url) as verifier:
        first = file.read_text().strip()
        second = f"2 {b64url_encode(bytes(range(32)))}"
        decided = await verifier.decided(verifier.surgeon())
        before = await verifier.read(f"/decisions/{decided['id']}")
        waiting = await verifier.ask()
        ctx = verifier.ctx
        # Every replica opens both before one of them wraps with the second.
        file.write_text(f"{second}\n{first}\n")
        both = Kek.load(file)
        keys = type(ctx.keys)(ctx.db, both, verifier_keys(), ctx.clock)
        assert await rewrap(ctx.db, keys, both) > 5
        assert await rewrap(ctx.db, keys, both) == 0
        file.write_text(f"{second}\n")
        only = Kek.load(file)
        alone = type(ctx.keys)(ctx.db, only, verifier_keys(), ctx.clock)
        assert await alone.unreadable() == []
        assert await ctx.keys.unreadable() != []
        object.__setattr__(ctx, "kek", only)
        answered = await verifier.present(waiting, verifier.surgeon())
        assert answered.status_code == 200, answered.text
        assert await verifier.read(f"/decisions/{decided['id']}") == before


def verifier_keys():
    from passport_verifier.store import tables

    return tables.keys


def test_renewed_tls_files_are_served_without_a_restart(tmp_path: Path):
    certificate, key = write_tls_files(tmp_path, NOON, days=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    ends: list[datetime] = []
    files = TlsFiles(certificate, key, context, ends.append)
    first = served(context)
    assert not files.look()
    assert served(context) == first
    # Half a pair is what stands there for a moment: nothing changes, and it is looked at again.
    old_key = key.read_bytes()
    write_tls_files(tmp_path, NOON, days=90)
    new_key = key.read_bytes()
    key.write_bytes(old_key)
    assert not files.look()
    assert served(context) == first
    key.write_bytes(new_key)
    assert files.look()
    assert served(context) != first
    assert [end - NOON for end in ends] == [timedelta(days=30), timedelta(days=90)]


def served(context: ssl.SSLContext) -> bytes:
    """The certificate that a new connection gets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # Which certificate it is, is what is asked: nothing is believed of it.
        reading = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        reading.check_hostname, reading.verify_mode = False, ssl.CERT_NONE

        def serve() -> None:
            with suppress(OSError):
                context.wrap_socket(theirs, server_side=True).recv(1)

        server = threading.Thread(target=serve)
        server.start()
        try:
            with reading.wrap_socket(ours) as secure:
                found = secure.getpeercert(binary_form=True)
        finally:
            server.join()
    assert found is not None
    return found


def test_the_purposes_of_a_command_are_those_that_roll():
    from passport_shared.service.key_rolling import _rotate_arguments

    parser = argparse.ArgumentParser()
    _rotate_arguments(parser, TENANT_ROLLS)
    assert parser.parse_args(["audit", "--activate"]).activate
    with pytest.raises(SystemExit):
        parser.parse_args(["ca-root"])
