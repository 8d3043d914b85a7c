"""Tenants: enrolment that can be repeated, refusals in words, and entity configurations that stay current."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from passport_shared.formats.federation import EntityConfiguration, verify_entity_configuration
from passport_shared.service.cli import main
from passport_shared.service.keys import create_kek_file
from passport_shared.service.tenancy import EnrolmentRefused, TenantState
from passport_testkit.databases import FreshDatabases
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registry_wire import CODE
from passport_testkit.verifiers import VERIFIER, VerifierBench
from passport_verifier.cli import PROGRAM


async def enrol(verifier: VerifierBench, ods: str = "R0A", code: str = CODE) -> Any:
    return await verifier.ctx.tenants.enrol(
        ods, code, registry_url=verifier.registry.anchor, outbound=verifier.ctx.outbound
    )


async def served(verifier: VerifierBench, ods: str = "R0A") -> EntityConfiguration:
    answer = await verifier.http.get(f"{VERIFIER}/{ods}/.well-known/openid-federation")
    assert answer.status_code == 200
    assert answer.headers["cache-control"].endswith("max-age=300")
    return verify_entity_configuration(
        answer.text, now=verifier.clock.now(), expected_entity=f"{VERIFIER}/{ods}"
    )


async def test_enrolling_again_changes_no_key(verifier: VerifierBench):
    before = await verifier.ctx.tenants.get("R0A")
    keys = await verifier.ctx.keys.published("request", "R0A")
    again = await enrol(verifier)
    assert before is not None
    assert (again.state, again.name) == (TenantState.ACTIVE, before.name)
    assert [key.kid for key in await verifier.ctx.keys.published("request", "R0A")] == [
        key.kid for key in keys
    ]
    assert again.certificates["request"].kid == keys[0].kid
    assert len(again.certificates["request"].x5c) == 2


async def test_a_refused_code_leaves_a_tenant_that_can_try_again(verifier: VerifierBench):
    with pytest.raises(EnrolmentRefused, match=r"status 409\. The code is not known"):
        await enrol(verifier, "RW3", "wrong")
    tenant = await verifier.ctx.tenants.get("RW3")
    assert tenant is not None
    assert (tenant.state, dict(tenant.certificates)) == (TenantState.ENROLLING, {})
    assert (await served(verifier, "RW3")).trust_marks == ()
    assert (await enrol(verifier, "RW3")).state is TenantState.ACTIVE
    assert [one.ods for one in await verifier.ctx.tenants.every()] == ["R0A", "RW3"]


async def test_an_enrolment_by_another_process_counts_at_once(verifier: VerifierBench):
    other = copy.copy(verifier.ctx.tenants)  # the same database, a memory of its own
    other._seen = {}
    await other.prepare("RW3")
    waiting = await verifier.ctx.tenants.get("RW3")
    assert waiting is not None
    assert waiting.state is TenantState.ENROLLING
    await other.enrol("RW3", CODE, registry_url=verifier.registry.anchor, outbound=verifier.ctx.outbound)
    enrolled = await verifier.ctx.tenants.get("RW3")
    assert enrolled is not None
    assert set(enrolled.certificates) == {"request"}


async def test_a_registry_that_is_away_is_said_so(verifier: VerifierBench):
    verifier.wire.down = True
    with pytest.raises(EnrolmentRefused, match="cannot be reached"):
        await enrol(verifier, "RW3")


@pytest.mark.parametrize(
    "change", [{"ods_code": "RM3"}, {"role": "ISSUER"}, {"entity_id": "https://a.example/R0A"}]
)
async def test_an_answer_for_somebody_else_is_refused(verifier: VerifierBench, change: dict[str, str]):
    honest = verifier.wire._enrol

    def dishonest(body: dict[str, Any], *, renewal: bool = False) -> httpx.Response:
        answer = honest(body, renewal=renewal)
        assert isinstance(answer.stream, httpx.ByteStream)
        content = {**json.loads(b"".join(answer.stream)), **change}
        raw = httpx.ByteStream(json.dumps(content).encode())
        return httpx.Response(201, headers={"Content-Type": "application/json"}, stream=raw)

    verifier.wire._enrol = dishonest  # type: ignore[method-assign]
    with pytest.raises(EnrolmentRefused, match="another entity"):
        await enrol(verifier)


async def test_the_configuration_is_renewed_every_twelve_hours_and_with_the_mark(verifier: VerifierBench):
    first = await served(verifier)
    verifier.clock.advance(timedelta(hours=11))
    assert (await served(verifier)).compact == first.compact
    verifier.clock.advance(timedelta(hours=1))
    second = await served(verifier)
    assert second.iat > first.iat
    assert second.exp - second.iat == timedelta(hours=24)
    entity = verifier.registry.entities[f"{VERIFIER}/R0A"]
    verifier.registry.grant(entity.entity_id, entity.authorizations)
    verifier.clock.advance(timedelta(seconds=31))
    await verifier.refresh()
    third = await served(verifier)
    assert third.trust_marks != second.trust_marks
    assert third.keys.keys() == first.keys.keys()


def environment(folder: Path, url: str, **more: str) -> dict[str, str]:
    kek, trust = folder / "cli-kek", folder / "trust.json"
    create_kek_file(kek)
    trust.write_bytes(TrustRegistrySimulator().trust_file.as_bytes())
    return {
        "PASSPORT_VERIFIER_PUBLIC_URL": VERIFIER,
        "PASSPORT_VERIFIER_DATABASE_URL": url,
        "PASSPORT_VERIFIER_KEK_FILE": str(kek),
        "PASSPORT_VERIFIER_TRUST_FILE": str(trust),
        "PASSPORT_VERIFIER_ENVIRONMENT": "test",
        **more,
    }


async def test_the_command_says_what_the_register_has_to_allow(
    databases: FreshDatabases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    for name, value in environment(tmp_path, await databases.url("passport_verifier")).items():
        monkeypatch.setenv(name, value)
    assert main(PROGRAM, ["policy", "asks"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 5
    assert main(PROGRAM, ["policy", "asks", "SERVICE_NEED_URGENT.UROLOGY_SURGEON"]) == 0
    [asks] = json.loads(capsys.readouterr().out)
    assert asks["policy"] == "SERVICE_NEED_URGENT.UROLOGY_SURGEON@1"
    skills = next(one for one in asks["authorisations"] if one["vct"].endswith("/CoreSkills/1"))
    assert ["skills", "FS"] in skills["claims"]
    assert skills["purposes"] == ["SERVICE_NEED_URGENT"]
    assert main(PROGRAM, ["policy", "asks", "NOTHING"]) == 1
    assert "no policy is called NOTHING" in capsys.readouterr().err
    assert main(PROGRAM, ["check-config"]) == 0
    monkeypatch.setenv("PASSPORT_VERIFIER_TRUST_FIL", "x")
    assert main(PROGRAM, ["check-config"]) == 1
    assert "PASSPORT_VERIFIER_TRUST_FIL" in capsys.readouterr().out
    monkeypatch.delenv("PASSPORT_VERIFIER_TRUST_FIL")
    monkeypatch.delenv("PASSPORT_VERIFIER_TRUST_FILE")
    assert main(PROGRAM, ["policy", "asks"]) == 1
    assert "TRUST_FILE is not set" in capsys.readouterr().err
