"""A code alone enrols nothing: the keys to be certified must be named by the holder of the federation key."""

from __future__ import annotations

from pathlib import Path

import pytest

from passport_registry.operations import enrolment
from passport_registry.rules.entities import Role
from passport_shared.service.problems import Invalid
from passport_testkit.databases import FreshDatabases
from passport_testkit.keys import key
from passport_testkit.registries import RBV, pem_request, registry_bench


async def test_a_thief_with_the_code_and_the_public_configuration_gets_no_certificate(
    databases: FreshDatabases, tmp_path: Path
):
    """What the host shows is public: anybody can post it beside signing requests of their own."""
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as bench:
        await bench.join(RBV)
        code = await bench.code(RBV, Role.ISSUER)
        entity = bench.host(RBV, Role.ISSUER)
        shown = bench.hosts.served[f"{entity.entity_id}/.well-known/openid-federation"]
        own = {use: pem_request(key(f"thief {use}")) for use in entity.leaf_keys}
        stolen = bench.request(code, entity, entity_configuration=shown, certificate_requests=own)
        with pytest.raises(Invalid) as refusal:
            await enrolment.enrol(bench.ctx, stolen)
        assert [error.pointer for error in refusal.value.errors] == ["/entity_configuration"]
        # The code is still good for those whose host it is.
        await enrolment.enrol(bench.ctx, bench.request(code, entity))


async def test_one_key_exchanged_under_way_is_refused(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as bench:
        await bench.join(RBV)
        code = await bench.code(RBV, Role.ISSUER)
        entity = bench.host(RBV, Role.ISSUER)
        honest = bench.request(code, entity)
        changed = {**honest.certificate_requests, "status": pem_request(key("thief"))}
        with pytest.raises(Invalid):
            await enrolment.enrol(
                bench.ctx,
                bench.request(
                    code,
                    entity,
                    entity_configuration=honest.entity_configuration,
                    certificate_requests=changed,
                ),
            )
