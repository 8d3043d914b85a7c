"""Keys and certificates are renewed before they end, and nothing honest fails meanwhile (security.md R8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from passport_issuer.app import renewals_of
from passport_registry.operations.enrolment import RENEWAL, _keys_digest
from passport_registry.rules.entities import Role
from passport_registry.store import tables as registry_tables
from passport_shared.formats.federation import verify_entity_configuration
from passport_shared.formats.freshness import SNAPSHOT_AGED
from passport_shared.formats.jose import parse_header
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.trust import Finding, authority
from passport_shared.service.keys import KeyState
from passport_shared.service.tenancy import FEDERATION, EnrolmentRefused, TenantCertificate, in_use
from passport_shared.wire.enrolment import (
    ENROLMENT_PATH,
    OLD_KEYS_SIGN_FOR,
    PUBLISHED_BEFORE_USE,
    RENEWAL_PATH,
)
from passport_testkit.clock import NOON
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.issuers import ENTITY
from passport_testkit.registries import ANN, PUBLIC_URL, RBV
from passport_testkit.trio import Duo, registry_and_issuer

NEARLY_A_YEAR = timedelta(days=310)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def duo(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[Duo]:
    """A registry and an issuer enrolled with it."""
    async with registry_and_issuer(databases, tmp_path) as made:
        yield made


async def year_passes(duo: Duo) -> None:
    """Until a renewal is due; the grants are prolonged as an operator would."""
    duo.clock.advance(NEARLY_A_YEAR)
    await duo.publish()


async def renewed(duo: Duo) -> None:
    """The periodic task, as often as it takes: the next federation key is published first."""
    renewals = renewals_of(duo.issuer.ctx)
    assert (await renewals.run()).waiting == (RBV,)
    duo.clock.advance(MINUTE)
    assert (await renewals.run()).renewed == (RBV,)


async def leaf_of(duo: Duo, use: str) -> str:
    tenant = await duo.issuer.ctx.tenants.get(RBV)
    assert tenant is not None
    return tenant.certificates[use].x5t_s256


async def status_token(duo: Duo) -> str:
    """The tenant's status list as it is published now."""
    async with duo.issuer.ctx.db.write() as conn:
        from passport_issuer.store import tables as t

        await conn.execute(update(t.status_lists).values(version=t.status_lists.c.version + 1))
    await duo.issuer.publish()
    aggregation = (await duo.issuer.http.get(f"{ENTITY}/statuslists")).json()
    answer = await duo.issuer.http.get(aggregation["status_lists"][0])
    assert answer.status_code == 200
    return answer.text


def judged(duo: Duo, snapshot: Snapshot, token: str) -> Finding:
    """What a host with this snapshot says of a status list signed a moment ago."""
    now = duo.clock.now()
    found = authority(
        snapshot,
        parse_header(token.partition(".")[0])["x5c"],
        iss=ENTITY,
        use="status",
        action="issue",
        vct=None,
        iat=now,
        at=now,
        sandbox=None,
    )
    return found.finding


@both_databases
async def test_through_a_renewal_every_host_with_a_snapshot_of_a_day_accepts_every_signature(duo: Duo):
    await year_passes(duo)
    old = await leaf_of(duo, "status")
    before = await duo.registry.snapshot()
    await renewed(duo)
    await duo.publish()
    # Certified and published, and not in use: hosts that have read nothing for a day know the old key only.
    assert await leaf_of(duo, "status") == old
    assert judged(duo, before, await status_token(duo)) is Finding.AUTHORISED
    seen: set[str] = set()
    lagging = [before, await duo.registry.snapshot()]
    for _ in range(int(OLD_KEYS_SIGN_FOR / timedelta(hours=12)) + 2):
        duo.clock.advance(timedelta(hours=12))
        await renewals_of(duo.issuer.ctx).run()
        await duo.publish()
        lagging.append(await duo.registry.snapshot())
        token = await status_token(duo)
        seen.add(await leaf_of(duo, "status"))
        for snapshot in lagging:
            if snapshot.age(duo.clock.now()) <= SNAPSHOT_AGED:
                assert judged(duo, snapshot, token) is Finding.AUTHORISED
    assert old in seen
    assert len(seen) == 2


async def test_the_federation_key_is_published_told_used_and_the_old_one_retired(duo: Duo):
    await year_passes(duo)
    ctx = duo.issuer.ctx
    first = await ctx.keys.active(FEDERATION, RBV)
    await renewed(duo)
    await duo.publish()
    async with duo.registry.ctx.db.read() as conn:
        from passport_registry.store import entities

        entity = await entities.get(conn, ENTITY)
    assert entity is not None
    assert entity.federation_jwks is not None
    assert len(entity.federation_jwks["keys"]) == 2
    assert (await ctx.keys.active(FEDERATION, RBV)).kid == first.kid
    duo.clock.advance(PUBLISHED_BEFORE_USE)
    await renewals_of(ctx).run()
    second = await ctx.keys.active(FEDERATION, RBV)
    assert second.kid != first.kid
    duo.clock.advance(timedelta(days=3))
    await renewals_of(ctx).run()
    assert [key.kid for key in await ctx.keys.published(FEDERATION, RBV)] == [second.kid]
    # and the next year's renewal is signed by the key that was told this year
    await year_passes(duo)
    await renewed(duo)


async def test_a_second_renewal_is_not_due_and_an_interrupted_one_goes_on(duo: Duo):
    await year_passes(duo)
    await renewed(duo)
    assert (await renewals_of(duo.issuer.ctx).run()).renewed == ()
    # The answer of another one is lost on its way: asked again, the same keys get the same certificates.
    await duo.issuer.ctx.tenants.renew(RBV, registry_url=PUBLIC_URL, outbound=duo.issuer.ctx.outbound)
    tenant = await duo.issuer.ctx.tenants.get(RBV)
    assert tenant is not None
    assert len({one.kid for one in tenant.held}) == len(tenant.held) == 6


async def test_while_the_registry_is_away_the_old_key_signs_and_the_renewal_comes_later(duo: Duo):
    await year_passes(duo)
    renewals = renewals_of(duo.issuer.ctx)
    await renewals.run()
    duo.clock.advance(MINUTE)
    duo.wire.down.add("registry.example")
    assert (await renewals.run()).refused == (RBV,)
    old = await leaf_of(duo, "credential")
    duo.wire.down.clear()
    assert (await renewals.run()).renewed == (RBV,)
    assert await leaf_of(duo, "credential") == old


async def test_after_a_compromise_the_new_key_signs_as_soon_as_it_is_known(duo: Duo):
    from passport_registry.operations import entities

    old = await leaf_of(duo, "credential")
    await entities.compromise_key(duo.registry.ctx, RBV, Role.ISSUER, old, ANN, reason="laptop stolen")
    code = await duo.registry.code(RBV, Role.ISSUER)
    ctx = duo.issuer.ctx
    await ctx.tenants.enrol(RBV, code, registry_url=PUBLIC_URL, outbound=ctx.outbound)
    await duo.publish()
    duo.clock.advance(timedelta(seconds=6))
    assert await leaf_of(duo, "credential") != old
    token = await status_token(duo)
    assert judged(duo, await duo.registry.snapshot(), token) is Finding.AUTHORISED


async def test_the_same_code_again_gives_the_same_certificates(duo: Duo):
    ctx = duo.issuer.ctx
    duo.clock.advance(MINUTE)  # which certificate is the newest is told by when it was received
    code = await duo.registry.code(RBV, Role.ISSUER)
    await ctx.tenants.enrol(RBV, code, registry_url=PUBLIC_URL, outbound=ctx.outbound)
    first = await ctx.tenants.get(RBV)
    await ctx.tenants.enrol(RBV, code, registry_url=PUBLIC_URL, outbound=ctx.outbound)
    assert await ctx.tenants.get(RBV) == first


async def test_a_stranger_a_suspended_entity_and_another_key_renew_nothing(duo: Duo):
    ctx = duo.issuer.ctx

    async def refused(status: int, **changes: Any) -> None:
        tenant = await ctx.tenants.get(RBV)
        assert tenant is not None
        keys = {use: await ctx.keys.active(use, RBV) for use in ("credential", "status")}
        body = {**await ctx.tenants._request(tenant, keys), **changes}
        answer = await duo.registry_http.post(RENEWAL_PATH, json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"

    await refused(409)  # keys that have a certificate
    await refused(403, entity_id="https://issuer.example/RXX")
    await refused(422, entity_configuration="x" * 20)
    await refused(422, certificate_requests={"request": "x"})
    await ctx.keys.create(FEDERATION, RBV, state=KeyState.NEXT)
    await ctx.keys.activate_next(FEDERATION, RBV)
    await refused(403)  # a key the registry was never told of
    async with duo.registry.ctx.db.write() as conn:
        await conn.execute(update(registry_tables.entities).values(suspension="INTEGRITY"))
    await refused(403)


async def test_a_renewal_is_no_code_to_enrol_with(duo: Duo):
    """What stands for a renewal in the table of codes follows from public keys: nobody enrols with it."""
    ctx, now = duo.issuer.ctx, duo.clock.now()
    tenant = await ctx.tenants.get(RBV)
    assert tenant is not None
    keys = {use: await ctx.keys.create(use, RBV, state=KeyState.NEXT) for use in ("credential", "status")}
    body = await ctx.tenants._request(tenant, keys)
    assert (await duo.registry_http.post(RENEWAL_PATH, json=body)).status_code == 201
    configuration = verify_entity_configuration(body["entity_configuration"], now=now, expected_entity=ENTITY)
    digest = _keys_digest(configuration, {use: key.public for use, key in keys.items()})
    guessed = {"code": f"{RENEWAL} {ENTITY} {digest}", **body}
    answer = await duo.registry_http.post(ENROLMENT_PATH, json=guessed)
    assert answer.status_code == 403, answer.text
    assert answer.json()["code"] == "enrolment_code_refused"
    # and the renewal itself is still answered as before
    assert (await duo.registry_http.post(RENEWAL_PATH, json=body)).status_code == 201


async def test_a_tenant_that_is_not_enrolled_cannot_be_renewed(duo: Duo):
    with pytest.raises(LookupError):
        await renewals_of(duo.issuer.ctx).renew("R0A")
    duo.wire.down.add("registry.example")
    with pytest.raises(EnrolmentRefused, match="cannot be reached"):
        await duo.issuer.ctx.tenants.renew(RBV, registry_url=PUBLIC_URL, outbound=duo.issuer.ctx.outbound)


def certificate(name: str, *, received: timedelta, ends: timedelta = timedelta(days=30)) -> TenantCertificate:
    return TenantCertificate(
        use="status",
        kid=name,
        x5c=(),
        x5t_s256=name,
        not_after=NOON + timedelta(days=900),
        not_after_signing=NOON + ends,
        received_at=NOON + received,
    )


LONG_AGO, JUST_NOW, SETTLED = timedelta(days=-300), timedelta(minutes=-1), -PUBLISHED_BEFORE_USE


@pytest.mark.parametrize(
    ("old", "new", "pins", "chosen"),
    [
        (None, {"received": JUST_NOW}, None, "new"),
        ({"received": LONG_AGO}, {"received": JUST_NOW}, {"old", "new"}, "old"),
        ({"received": LONG_AGO}, {"received": JUST_NOW}, {"old"}, "old"),
        ({"received": LONG_AGO}, {"received": JUST_NOW}, None, "old"),
        ({"received": LONG_AGO}, {"received": SETTLED}, {"old", "new"}, "new"),
        ({"received": LONG_AGO}, {"received": SETTLED}, {"old"}, "old"),
        ({"received": LONG_AGO}, {"received": SETTLED}, None, "new"),
        ({"received": LONG_AGO}, {"received": JUST_NOW}, {"new"}, "new"),
        ({"received": LONG_AGO, "ends": timedelta(0)}, {"received": JUST_NOW}, {"old", "new"}, "new"),
        ({"received": LONG_AGO, "ends": timedelta(0)}, {"received": JUST_NOW}, None, "new"),
    ],
)
def test_which_certificate_signs(old, new, pins, chosen):
    held = [certificate(name, **members) for name, members in (("old", old), ("new", new)) if members]
    known = None if pins is None else frozenset(pins)
    assert in_use(held, NOON, known).kid == chosen
