"""Several replicas of an entity that renew its keys at the same moment get one set of certificates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sqlalchemy import text

from passport_registry.operations import enrolment
from passport_registry.operations.enrolment import Enrolled, Renew
from passport_registry.rules.entities import Role
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.registries import RBV, HostedEntity, registry_bench

AT_ONCE = 12


@both_databases
async def test_one_renewal_however_many_ask(databases: FreshDatabases, tmp_path: Path) -> None:
    url = await databases.url("passport_registry")
    async with registry_bench(url, tmp_path) as bench:
        enrolled = await bench.live_issuer(RBV)
        coming = HostedEntity.make(enrolled.entity_id, Role.ISSUER, "second").leaf_keys
        renewing = replace(enrolled, leaf_keys=coming)
        asked = bench.request("no code", renewing)
        bench.hosts.serve(enrolled, bench.clock)
        cmd = Renew(
            entity_id=asked.entity_id,
            entity_configuration=asked.entity_configuration,
            certificate_requests=asked.certificate_requests,
        )
        found = await at_once(AT_ONCE, lambda _: enrolment.renew(bench.ctx, cmd))
        answers = [one for one in found if isinstance(one, Enrolled)]
        assert len(answers) == AT_ONCE, found
        serials = {tuple(sorted(one.serial for one in answer.certificates.values())) for answer in answers}
        assert len(serials) == 1
        async with bench.ctx.db.read() as conn:
            rows = await conn.execute(text("SELECT jkt FROM certificates"))
            kept = [row.jkt for row in rows]
        assert len(kept) == len(set(kept)) == 2 * len(coming), "the old leaves and one set of new ones"
