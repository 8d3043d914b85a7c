import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from deploy.containers import secrets_folder
from deploy.containers.stack import OFFICIAL
from deploy.dev.documents import SETTINGS
from passport_shared.service import middleware
from passport_shared.service.settings import check_config

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
TRIAL = yaml.safe_load((ROOT / "deploy" / "compose.trial.yaml").read_text())
EVERY = {
    **{f"base {name}": one for name, one in COMPOSE["services"].items()},
    "trial simulators": TRIAL["services"]["simulators"],
}
OURS = ("registry", "issuer", "verifier")


@pytest.mark.parametrize("name", EVERY)
def test_every_container_is_hardened_and_bounded(name: str) -> None:
    service = EVERY[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service.get("privileged") is None
    if name == "base secrets":
        assert service["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
        assert service["network_mode"] == "none"
        assert service["profiles"] == ["setup"]
    else:
        assert "cap_add" not in service
        assert service.get("user", "10001") not in ("0", "0:0", "root")


@pytest.mark.parametrize("name", EVERY)
def test_every_image_has_a_version(name: str) -> None:
    image = EVERY[name]["image"]
    assert re.search(r":[^/]*\d+\.\d+[^/]*$", image)
    assert "latest" not in image


@pytest.mark.parametrize("service", OURS)
def test_two_replicas_that_are_the_same_wait_for_their_migrations(service: str) -> None:
    first, second = COMPOSE["services"][f"{service}-1"], COMPOSE["services"][f"{service}-2"]
    assert first == second
    assert first["depends_on"] == {f"{service}-migrate": {"condition": "service_completed_successfully"}}
    assert "ports" not in first


@pytest.mark.parametrize("service", OURS)
def test_the_proxy_knows_both_replicas_and_verifies_them(service: str) -> None:
    config = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text()
    section = re.search(rf"^backend {service}\n(.*?)(?:^\S|\Z)", config, re.DOTALL | re.MULTILINE)
    assert section is not None
    for replica in (1, 2):
        assert f"server {service}-{replica} {service}-{replica}:8443" in section[1]
    assert f"ssl verify required ca-file /run/secrets/backend-ca.pem sni str({service})" in section[1]
    assert "uri /health/ready" in section[1]
    assert "disable-l7-retry unless METH_GET" in section[1]
    assert "cookie" not in section[1]


def test_the_proxy_logs_no_path_no_query_and_no_address() -> None:
    config = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text()
    formats = re.findall(r"^\s+log-format (.*)$", config, re.MULTILINE)
    assert formats
    for line in formats:
        assert not re.search(r"%(ci|cp|HU|HP|HPO|HQ|r|hr|\{\+Q\}r)\b", line)
    assert "option httplog" not in config
    assert "option forwardfor" not in config


def test_the_database_is_on_a_network_without_a_way_out_and_no_port_is_open() -> None:
    assert COMPOSE["networks"]["database"] == {"internal": True}
    postgres = COMPOSE["services"]["postgres"]
    assert postgres["networks"] == ["database"]
    assert [name for name, one in COMPOSE["services"].items() if "ports" in one] == ["proxy"]
    assert "database" not in COMPOSE["services"]["proxy"]["networks"]


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_trial_looks_for_the_very_images_that_compose_takes(name: str) -> None:
    assert f":-{OFFICIAL[name]}" in COMPOSE["services"][name]["image"]


def test_secrets_are_files() -> None:
    for name, service in COMPOSE["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|KEK|DATABASE_URL|TLS_KEY|TOKEN(?!S)", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert str(value).startswith("/run/secrets/")


def test_each_service_sees_its_own_secrets_only() -> None:
    for name in (f"{service}-{one}" for service in OURS for one in ("1", "2", "migrate")):
        mounted = [one for one in COMPOSE["services"][name]["volumes"] if "/secrets/" in one]
        assert len(mounted) == 1
        assert f"/secrets/{name.split('-')[0]}:/run/secrets:ro" in mounted[0]


def test_production_knows_nothing_of_a_trial() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    for word in ("simulators", "CLOCK_FILE", "OUTBOUND_ALLOW", "ENVIRONMENT: development"):
        assert word not in text
    for port in TRIAL["services"]["simulators"]["ports"]:
        assert port.startswith("127.0.0.1:")


def settled(service: str, home: Path, *, trial: bool) -> dict[str, str]:
    """The environment of a replica, with its variables filled in and its mounts where the files are."""
    given = (ROOT / "deploy" / "env" / "compose.env.example").read_text()
    variables = dict(line.split("=", 1) for line in given.splitlines() if line and not line.startswith("#"))
    variables |= {"SYSTEMS_HOST": "systems.example", "SYSTEMS_PORT": "9444"}
    environment = dict(COMPOSE["services"][f"{service}-1"]["environment"])
    example = (ROOT / "deploy" / "env" / f"{service}.env.example").read_text()
    environment |= dict(line.split("=", 1) for line in example.splitlines() if not line.startswith("#"))
    if trial:
        environment |= TRIAL["services"][f"{service}-1"]["environment"]
    mounts = {
        "/run/secrets": home / "secrets" / service,
        "/etc/passport": home / "network",
        "/public": home / "public",
        "/clock": home / "clock",
    }
    for name, value in environment.items():
        filled = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: variables[found[1]], value)
        for inside, outside in mounts.items():
            filled = filled.replace(f"{inside}/", f"{outside}/")
        environment[name] = filled
    return environment


@pytest.fixture(name="home", scope="module")
def fixture_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("deployment")
    now = datetime.now(UTC)  # noqa: TID251  what the services will compare certificates with
    secrets_folder.make(home, now=now, edge=["registry.example"])
    (home / "network" / "trust.json").write_text("{}")
    return home


@pytest.mark.parametrize("trial", [False, True], ids=["production", "trial"])
@pytest.mark.parametrize("service", OURS)
def test_a_replica_can_start_with_what_compose_gives_it(home: Path, service: str, trial: bool) -> None:
    environment = settled(service, home, trial=trial)
    assert check_config(SETTINGS[service], environment) == []
    kind = environment.get(f"PASSPORT_{service.upper()}_ENVIRONMENT", "production")
    assert kind == ("development" if trial else "production")


def test_every_variable_of_compose_has_an_example_or_a_default() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    given = (ROOT / "deploy" / "env" / "compose.env.example").read_text()
    named = set(re.findall(r"^([A-Z_]+)=", given, re.MULTILINE))
    used = {name for name, rest in re.findall(r"\$\{(\w+)([^}]*)\}", text) if not rest.startswith(":-")}
    assert used <= named


@pytest.mark.parametrize("service", OURS)
def test_attempts_are_counted_by_the_address_the_proxy_saw_and_nobody_elses_word(service: str) -> None:
    config = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text()
    cleared, given = (
        config.index("del-header X-Forwarded- -m beg"),
        config.index("set-header X-Forwarded-For %[src]"),
    )
    assert cleared < given
    network = COMPOSE["networks"]["services"]["ipam"]["config"][0]["subnet"]
    trusted = COMPOSE["services"][f"{service}-1"]["environment"][
        f"PASSPORT_{service.upper()}_TRUSTED_PROXIES"
    ]
    assert trusted == network


def test_the_proxy_judges_a_path_as_the_services_read_it() -> None:
    config = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text()
    rules = [line for line in config.splitlines() if re.search(r"\bpath(_\w+)?\b", line.partition("#")[0])]
    fetched = [one for line in rules for one in re.findall(r"(?:^|[\s{])(path\S*)", line.partition("#")[0])]
    assert len(fetched) == 5
    assert set(fetched) == {"path,url_dec"}


def test_a_request_id_reaches_the_proxys_log_only_in_our_form() -> None:
    config = (ROOT / "deploy" / "proxy" / "haproxy.cfg").read_text()
    form = re.search(r"var\(txn\.request_id\) -m reg (\S+)", config)
    assert form is not None
    assert form[1] == f"^{middleware._REQUEST_ID.pattern}$"
    # the first field whole: a comma or a second field does not bring another one along
    assert "set-var(txn.request_id) req.fhdr(x-request-id,1)" in config
    assert "set-header X-Request-Id %[var(txn.request_id)]" in config
    assert "req.hdr(x-request-id)" not in config
