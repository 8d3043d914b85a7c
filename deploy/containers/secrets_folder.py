"""`python -m deploy.containers.secrets_folder FOLDER`: make what is missing of a deployment's secrets.

Below FOLDER it writes, each readable by the one program that needs it: the key-encryption key of every
service, the passwords of the databases' roles, and the certificates with which the replicas answer the proxy.
What is there is kept; certificates with less than a month to live are made anew, all together, because their
authority's key is kept nowhere. For a trial (`--edge` with host names) it makes the certificate the world
sees too; a real deployment brings that from an authority others trust. Run as root it gives each file to the
user of its container.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deploy.dev import tls

SERVICES = ("registry", "issuer", "verifier")
SERVICE_USER, POSTGRES_USER, PROXY_USER = 10001, 999, 99
PRIVATE, FOLDER, SHARED = 0o400, 0o700, 0o755
DATABASE_HOST = "postgres:5432"


def make(home: Path, *, now: datetime, edge: Sequence[str] = ()) -> None:
    """Make what is missing.

    Args:
        home: the deployment's folder.
        now: aware UTC.
        edge: host names of a trial; empty where `secrets/proxy/edge.pem` comes from elsewhere.
    """
    passwords(home)
    replicas(home, now)
    for service in SERVICES:
        # the key-encryption key is 32 bytes, base64url without padding
        for name in ("kek", "metrics_token"):
            _keep(home / "secrets" / service / name, secrets.token_urlsafe(32), SERVICE_USER)
    for name in ("network", "simulators", "clock"):
        _folder(home / name, SERVICE_USER, SHARED)
    if edge:
        trial_edge(home, edge, now)


def passwords(home: Path) -> None:
    """One for the database's superuser, one for each service's role, and the URL that holds it."""
    postgres = _folder(home / "secrets" / "postgres", POSTGRES_USER)
    _keep(postgres / "postgres_password", secrets.token_urlsafe(32), POSTGRES_USER)
    for service in SERVICES:
        password = _keep(postgres / f"{service}_password", secrets.token_urlsafe(32), POSTGRES_USER)
        own = _folder(home / "secrets" / service, SERVICE_USER)
        _keep(
            own / "database_url",
            f"postgresql://{service}:{password}@{DATABASE_HOST}/{service}",
            SERVICE_USER,
        )


def replicas(home: Path, now: datetime) -> None:
    """Certificates by which the proxy knows a service's replicas, under an authority of this deployment."""
    proxy = _folder(home / "secrets" / "proxy", PROXY_USER)
    trusted = proxy / "backend-ca.pem"
    files = {service: home / "secrets" / service / "tls-cert.pem" for service in SERVICES}
    if trusted.exists() and all(tls.lasts(file, now) for file in files.values()):
        return
    authority = tls.Authority.make("Staff Passport replicas", now)
    for service, file in files.items():
        key = file.with_name("tls-key.pem")
        _write(file, authority.issue(key, [service], now), SERVICE_USER)
        _give(key, SERVICE_USER)
    _write(trusted, authority.pem, PROXY_USER)


def trial_edge(home: Path, hosts: Sequence[str], now: datetime) -> None:
    """A certificate for the names of a trial, for the proxy and the simulators; its authority is public."""
    public = _folder(home / "public", SERVICE_USER, SHARED)
    made = tls.ensure(_folder(home / "secrets" / "edge", 0), now=now, hosts=hosts)
    certificate, key = made.certificate.read_bytes(), made.key.read_bytes()
    _write(home / "secrets" / "proxy" / "edge.pem", certificate + key, PROXY_USER)
    own = _folder(home / "secrets" / "simulators", SERVICE_USER)
    _write(own / "tls-cert.pem", certificate, SERVICE_USER)
    _write(own / "tls-key.pem", key, SERVICE_USER)
    for file in (made.ca, made.certificate, made.key):
        _give(file, 0)
    _write(public / "tls-ca.pem", made.ca.read_bytes(), SERVICE_USER, 0o444)


def _folder(path: Path, owner: int, mode: int = FOLDER) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, owner, owner)
    return path


def _keep(path: Path, text: str, owner: int) -> str:
    """Write a secret once; what it says, now or since before."""
    if not path.exists():
        _write(path, f"{text}\n".encode(), owner)
    return path.read_text(encoding="utf-8").strip()


def _write(path: Path, content: bytes, owner: int, mode: int = PRIVATE) -> None:
    """Write beside it and rename: nobody reads half a file, nor for a moment one that is open to all."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    _give(beside, owner, mode)
    beside.replace(path)


def _give(path: Path, owner: int, mode: int = PRIVATE) -> None:
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, owner, owner)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make them, and say where they are."""
    parser = argparse.ArgumentParser(prog="secrets_folder", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--edge", default="", help="for a trial: its host names, with commas between")
    asked = parser.parse_args(arguments)
    if os.geteuid() != 0:
        print(
            "Not root: files stay with this user; containers run as others cannot read them.", file=sys.stderr
        )
    hosts = [host for host in asked.edge.split(",") if host]
    make(asked.folder, now=datetime.now(UTC), edge=hosts)  # noqa: TID251  a program's own start
    print(f"Secrets are in {asked.folder / 'secrets'}. Keep copies of every kek away from the databases.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
