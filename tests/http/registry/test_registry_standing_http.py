"""Standing of a mark over HTTP as it changes, and a registry before `init`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from passport_registry.app import Parts, build
from passport_registry.operations import entities, publishing
from passport_registry.operations.entities import Suspend
from passport_registry.rules.entities import Role, Suspension
from passport_shared.formats import jose
from passport_shared.formats.federation import (
    verify_entity_configuration,
    verify_trust_mark_status_response,
)
from passport_testkit.apps import client_of, protocol_error
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.keys import key
from passport_testkit.registries import (
    ANN,
    BEA,
    PUBLIC_URL,
    RBV,
    registry_bench,
    registry_settings,
)

ISSUER = "https://issuer.example/RBV"
ISSUER_MARK = f"{PUBLIC_URL}/tm/credential-issuer"


@both_databases
async def test_standing_of_a_mark_is_that_of_its_row(databases: FreshDatabases, tmp_path: Path):
    url = await databases.url("passport_registry")
    async with registry_bench(url, tmp_path) as bench:
        await bench.live_issuer()
    clock = bench.clock
    app = build(registry_settings(url, tmp_path), Parts(clock=clock, background=False))
    async with client_of(app, base_url=PUBLIC_URL) as http:
        ctx = app.state.context
        anchor = verify_entity_configuration(
            (await http.get("/.well-known/openid-federation")).text,
            now=clock.now(),
            expected_entity=PUBLIC_URL,
        )
        asked_for = {"trust_mark_type": ISSUER_MARK, "sub": ISSUER}
        mark = (await http.get("/federation/trust_mark", params=asked_for)).text

        async def standing(token: str = mark) -> str:
            asked = await http.post("/federation/trust_mark_status", data={"trust_mark": token})
            assert asked.status_code == 200, asked.text
            assert asked.headers["content-type"] == "application/trust-mark-status-response+jwt"
            assert asked.headers["access-control-allow-origin"] == "*"
            return verify_trust_mark_status_response(
                asked.text, anchor.jwks, clock.now(), iss=PUBLIC_URL, trust_mark=token
            ).value

        assert await standing() == "active"
        cmd = Suspend(kind=Suspension.INTEGRITY, reason="failed audit", review_on=clock.now().date())
        await entities.suspend(ctx, RBV, Role.ISSUER, cmd, ANN)
        assert await standing() == "suspended"
        await entities.reinstate(ctx, RBV, Role.ISSUER, BEA, reason="audit passed")
        assert await standing() == "active"
        forged = jose.sign(jose.parse(mark).claims, key("a forger"), typ="trust-mark+jwt")
        assert await standing(forged) == "invalid"
        clock.advance(timedelta(hours=97))
        assert await standing() == "expired"
        # A statement that has ended is not served while nobody publishes.
        protocol_error(await http.get("/.well-known/openid-federation"), 404, "not_found")
        await publishing.publish(ctx)
        assert await standing() == "revoked"
        assert (await http.get("/.well-known/openid-federation")).status_code == 200


@both_databases
async def test_before_init_the_registry_says_what_is_missing(databases: FreshDatabases, tmp_path: Path):
    url, clock = await databases.url("passport_registry"), FrozenClock()
    app = build(registry_settings(url, tmp_path), Parts(clock=clock, background=False))
    async with client_of(app, base_url=PUBLIC_URL) as client:
        assert (await client.get("/health/ready")).status_code == 503
        protocol_error(await client.get("/.well-known/openid-federation"), 404, "not_found")
        protocol_error(await client.get("/federation/snapshot"), 404, "not_found")
        protocol_error(await client.get("/client-directory"), 404, "not_found")
        assert (await client.get("/register")).json() == {"items": []}
