import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from deploy.containers import secrets_folder
from deploy.dev import tls
from passport_shared.service.kek import Kek
from passport_shared.service.settings import database_address

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SERVICES = ("registry", "issuer", "verifier")


@pytest.fixture(name="home")
def fixture_home(tmp_path: Path) -> Path:
    secrets_folder.make(tmp_path, now=NOW, edge=["registry.passport.test", "issuer.passport.test"])
    return tmp_path


def contents(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_every_secret_is_one_programs_only(home: Path) -> None:
    owners = {"postgres": 999, "proxy": 99, "edge": 0}
    for path in (home / "secrets").rglob("*"):
        mode = path.stat()
        assert not mode.st_mode & (stat.S_IRWXO | stat.S_IRWXG), path
        if os.geteuid() == 0:
            folder = path.relative_to(home / "secrets").parts[0]
            assert mode.st_uid == owners.get(folder, 10001), path


@pytest.mark.parametrize("service", SERVICES)
def test_what_the_services_read_is_what_they_take(home: Path, service: str) -> None:
    own = home / "secrets" / service
    Kek.load(own / "kek")
    url = database_address((own / "database_url").read_text().strip())
    password = (home / "secrets" / "postgres" / f"{service}_password").read_text().strip()
    assert url == f"postgresql://{service}:{password}@postgres:5432/{service}"


def test_nobody_shares_a_secret(home: Path) -> None:
    values = [
        path.read_text().strip()
        for path in (home / "secrets").rglob("*")
        if path.name in ("kek", "metrics_token") or path.name.endswith("_password")
    ]
    assert len(values) == len(set(values)) == 10


@pytest.mark.parametrize("service", SERVICES)
def test_a_replica_is_known_by_its_services_name_alone(home: Path, service: str) -> None:
    leaf = x509.load_pem_x509_certificate((home / "secrets" / service / "tls-cert.pem").read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [(type(one), one.value) for one in names] == [(x509.DNSName, service)]
    trusted = x509.load_pem_x509_certificate((home / "secrets" / "proxy" / "backend-ca.pem").read_bytes())
    leaf.verify_directly_issued_by(trusted)


def test_what_is_there_is_kept(home: Path) -> None:
    before = contents(home)
    secrets_folder.make(home, now=NOW, edge=["registry.passport.test", "issuer.passport.test"])
    assert contents(home) == before


def test_certificates_are_made_anew_together_before_they_end_and_nothing_else_is(home: Path) -> None:
    before = contents(home)
    secrets_folder.make(home, now=NOW + tls.LIFE - timedelta(days=29))
    changed = {name for name, content in contents(home).items() if before[name] != content}
    assert changed == {"secrets/proxy/backend-ca.pem"} | {
        f"secrets/{service}/tls-{part}.pem" for service in SERVICES for part in ("cert", "key")
    }
    leaf = x509.load_pem_x509_certificate((home / "secrets/issuer/tls-cert.pem").read_bytes())
    leaf.verify_directly_issued_by(
        x509.load_pem_x509_certificate((home / "secrets/proxy/backend-ca.pem").read_bytes())
    )


def test_a_real_deployment_gets_no_certificate_for_the_world(tmp_path: Path) -> None:
    assert secrets_folder.main([str(tmp_path)]) == 0
    assert not (tmp_path / "secrets" / "proxy" / "edge.pem").exists()
    assert not (tmp_path / "public").exists()
