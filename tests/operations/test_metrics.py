"""Metrics: named once, documented as they are, told by every service, and read by nobody who may not."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from passport_issuer.cli import PROGRAM as ISSUER
from passport_registry.cli import PROGRAM as REGISTRY
from passport_registry.rules.entities import Role
from passport_shared.service import metric_names as m
from passport_shared.service.cli import ServiceProgram, _parser
from passport_shared.service.keys import KeyState
from passport_shared.service.metric_names import BY_NAME, CATALOGUE, metrics_markdown
from passport_shared.service.settings import Environment, MetricsAccess, ServiceSettings, metrics_access
from passport_testkit.databases import FreshDatabases, both_databases
from passport_testkit.issuers import IssuerBench
from passport_testkit.registries import RBV
from passport_testkit.trio import registry_and_issuer
from passport_testkit.verifiers import running_verifier
from passport_verifier.cli import PROGRAM as VERIFIER

ROOT = Path(__file__).parents[2]
RUNBOOKS = ROOT / "docs" / "runbooks"
PROGRAMS: dict[str, ServiceProgram[Any]] = {
    "passport-registry": REGISTRY,
    "passport-issuer": ISSUER,
    "passport-verifier": VERIFIER,
}
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "observability" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]


def told(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples by metric and label values."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            metric = BY_NAME.get(sample.name)
            order = metric.labels if metric is not None else sorted(sample.labels)
            found.setdefault(sample.name, {})[tuple(sample.labels[name] for name in order)] = sample.value
    return found


def test_the_table_is_what_the_code_names():
    text = (ROOT / "docs" / "metrics.md").read_text()
    [table] = re.findall(r"<!-- metrics -->\n(.*?)<!-- /metrics -->", text, re.DOTALL)
    assert table == metrics_markdown(), "run: make documents"


def test_no_label_names_a_trust_a_client_or_a_person():
    labels = {label for metric in CATALOGUE for label in metric.labels}
    assert labels == {
        "method", "route", "status", "event", "reason", "check", "service", "version", "peer", "outcome",
        "state", "purpose", "use", "type", "verified", "urgent", "role", "against",
    }  # fmt: skip


@both_databases
async def test_what_was_done_and_what_stands_is_told(issuer: IssuerBench):
    offer = await issuer.offer(await issuer.surgeon())
    collected = await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    now = told((await issuer.http.get("/metrics")).text)
    kinds = {labels[0]: count for labels, count in now[m.CREDENTIALS_ISSUED.name].items()}
    assert sum(kinds.values()) == sum(len(one) for one in collected.credentials.values())
    assert now[m.OFFERS_MADE.name] == {(): 1}
    assert now[m.MEASURED.name] == {(): 1}
    assert now[m.STATUS_PENDING.name] == {(): 0}
    assert now[m.AUDIT_LAG.name] == {(): 0}
    assert 360 < now[m.CERTIFICATE_DAYS.name]["credential",] < 1200
    assert now[m.TENANTS_ENROLLED.name] == {("ACTIVE",): 1}
    assert now[m.OUTBOUND_CALLS.name]["registry", "ok"] >= 2
    assert now[m.POOL_SIZE.name][()] >= 5
    families = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in now}
    assert families <= set(BY_NAME)
    assert all("issuer" in BY_NAME[name].services for name in families)


async def test_the_verifier_and_the_registry_tell_theirs(databases: FreshDatabases, tmp_path: Path):
    async with running_verifier(tmp_path, await databases.url("passport_verifier")) as verifier:
        await verifier.decided(verifier.surgeon())
        now = told((await verifier.http.get("/metrics")).text)
    assert sum(now[m.DECISIONS.name].values()) == 1
    assert now[m.PRESENTATIONS_VERIFIED.name] == {("true",): 1}
    assert now[m.MEASURED.name] == {(): 1}
    assert now[m.LISTS_KEPT.name] == {(): 1}
    assert now[m.ALERTS_OPEN.name] == {("true",): 0, ("false",): 0}
    async with registry_and_issuer(databases, tmp_path) as duo:
        now = told((await duo.registry_http.get("/metrics")).text)
    assert now[m.MEASURED.name] == {(): 1}
    assert now[m.PUBLISHING_LAG.name] == {(): 0}
    assert now[m.ENTITIES.name] == {("ISSUER",): 1}
    assert {use for (use,) in now[m.CERTIFICATE_DAYS.name]} == {
        "credential",
        "status",
        "ca-root",
        "ca-issuing",
    }


async def test_a_request_id_leads_through_both_services(databases: FreshDatabases, tmp_path: Path):
    async with registry_and_issuer(databases, tmp_path) as duo:
        given = {"X-Request-ID": "from-the-proxy-42", "Traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
        answer = await duo.issuer.http.get("/RXX/.well-known/openid-federation", headers=given)
        assert answer.headers["x-request-id"] == "from-the-proxy-42"
        bad = {"X-Request-ID": "not one\tof ours"}
        made = (await duo.issuer.http.get("/health/live", headers=bad)).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)
        # The registry asks the issuer while it answers somebody who enrols: one id for the whole errand.
        ctx = duo.issuer.ctx
        code = await duo.registry.code(RBV, Role.ISSUER)
        tenant = await ctx.tenants.get(RBV)
        assert tenant is not None
        keys = {use: await ctx.keys.create(use, RBV, state=KeyState.NEXT) for use in ("credential", "status")}
        body = {"code": code, **await ctx.tenants._request(tenant, keys)}
        enrolled = await duo.registry_http.post("/api/v1/enrolments", json=body, headers=given)
        assert enrolled.status_code == 201, enrolled.text
        asked = duo.wire.seen[-1]
        assert asked.url.path == "/RBV/.well-known/openid-federation"
        assert asked.headers["x-request-id"] == "from-the-proxy-42"
        assert asked.headers["traceparent"] == given["Traceparent"]
        problem = await duo.registry_http.post("/api/v1/enrolments", json={}, headers=given)
        assert problem.json()["correlation_id"] == "from-the-proxy-42"


async def test_states_that_cannot_be_read_are_left_out_and_no_scrape_fails(issuer: IssuerBench):
    async with issuer.ctx.db.write() as conn:
        await conn.exec_driver_sql("ALTER TABLE outbox_sinks RENAME TO gone")
    now = told((await issuer.http.get("/metrics")).text)
    assert now[m.MEASURED.name] == {(): 0}
    assert m.OUTBOX_OLDEST.name not in now
    assert m.STATUS_PENDING.name in now


@pytest.mark.parametrize(
    ("access", "header", "allowed"),
    [
        (MetricsAccess(None, open=True), "", True),
        (MetricsAccess(None, open=False), "", False),
        (MetricsAccess(None, open=False), "Bearer x", False),
        (MetricsAccess(b"secret", open=True), "", False),
        (MetricsAccess(b"secret", open=True), "Bearer wrong", False),
        (MetricsAccess(b"secret", open=False), "secret", False),
        (MetricsAccess(b"secret", open=False), "Bearer sécret", False),
        (MetricsAccess(b"secret", open=False), "Bearer secret", True),
    ],
)
def test_who_may_read(access: MetricsAccess, header: str, allowed: bool):
    assert access.allows(header) is allowed


@pytest.mark.parametrize("content", [b"\n", b" \t\r\n", b"short\n", b"x" * 15])
def test_a_token_that_anybody_could_guess_opens_nothing(tmp_path: Path, content: bytes):
    file = tmp_path / "metrics-token"
    file.write_bytes(content)
    file.chmod(0o600)
    settings = ServiceSettings.model_construct(metrics_token_file=file, environment=Environment.PRODUCTION)
    with pytest.raises(ValueError, match="at least 16 characters"):
        metrics_access(settings)
    file.write_bytes(b"0123456789abcdef\n")
    assert metrics_access(settings).allows("Bearer 0123456789abcdef")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alarm_asks_for_metrics_that_exist_and_leads_to_a_page(rule: dict[str, Any]):
    names = set(re.findall(r"passport_[a-z_]+", rule["expr"]))
    assert names
    for name in names:
        metric = BY_NAME[name.removesuffix("_bucket")]
        asked = set(re.findall(r'(\w+)[=!]~?"', rule["expr"]))
        assert asked <= {*metric.labels} or len(names) > 1
        for group in re.findall(r"by \(([^)]+)\)", rule["expr"]):
            assert set(group.split(", ")) <= {*metric.labels, "service", "le"}
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert (ROOT / rule["annotations"]["runbook"]).is_file()


def test_every_page_is_reached_by_an_alarm_or_a_finding():
    sources = [*(ROOT / "shared").glob("src/**/doctor*.py"), *(ROOT / "services").glob("*/src/**/doctor.py")]
    named = set(re.findall(r'runbook="([a-z-]+\.md)"', "".join(path.read_text() for path in sources)))
    named |= {Path(rule["annotations"]["runbook"]).name for rule in ALERTS}
    pages = {path.name for path in RUNBOOKS.glob("*.md")} - {"README.md", "backup-and-restore.md"}
    assert named == pages
    index = (RUNBOOKS / "README.md").read_text()
    assert all(f"]({page})" in index for page in pages)


def commands() -> list[tuple[str, str]]:
    """Every command line of ours in the runbooks and in what the doctor says to do."""
    pages = [(path.name, path.read_text()) for path in sorted(RUNBOOKS.glob("*.md"))]
    return [
        (name, line)
        for name, text in pages
        for line in re.findall(r"`(passport-(?:registry|issuer|verifier)[^`]*|make [^`]*)`", text)
    ]


@pytest.mark.parametrize(("page", "line"), commands(), ids=lambda value: str(value)[:60])
def test_commands_in_runbooks_are_ones_that_exist(page: str, line: str):
    words = shlex.split(line)
    if words[0] == "make":
        targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets
        return
    if len(words) > 1:
        _parser(PROGRAMS[words[0]]).parse_args(words[1:])
