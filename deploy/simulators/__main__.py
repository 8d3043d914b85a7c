"""`python -m deploy.simulators serve`: the simulators as one process, over https on loopback."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import uvicorn

from deploy.simulators import clients
from deploy.simulators.app import create_app
from deploy.simulators.settings import PREFIX, Settings, SettingsError
from passport_shared.service.bounded_protocol import BoundedHttpProtocol
from passport_shared.service.server import CannotServe, listen

GRACE_S = 3


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        CannotServe: no certificate, or the address cannot be bound.
    """
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        raise CannotServe(f"there is no http mode: set {PREFIX}TLS_CERT_FILE and {PREFIX}TLS_KEY_FILE")
    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=str(settings.tls_cert_file),
        ssl_keyfile=str(settings.tls_key_file),
    )
    uvicorn.Server(config).run(sockets=[listen(settings.bind)])


def admit(settings: Settings, client_id: str, keys: Path, organisations: list[str]) -> None:
    """Let a client call, whose public JWK Set is in a file, or `-` on standard input."""
    text = sys.stdin.read() if str(keys) == "-" else keys.read_text()
    clients.register(settings.clients_file, client_id, organisations=organisations, jwks=json.loads(text))
    print(f"{client_id} may call the workforce systems of {', '.join(organisations)}.")


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(prog="deploy.simulators", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until stopped")
    client = commands.add_parser("client", help="admit a client by its public keys")
    client.add_argument("client_id")
    client.add_argument(
        "jwks", type=Path, help="a file with a JWK Set of public keys, or - for standard input"
    )
    client.add_argument("organisations", nargs="+", help="ODS codes, or *")
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment(os.environ)
        if arguments.command == "serve":
            serve(settings)
        else:
            admit(settings, arguments.client_id, arguments.jwks, arguments.organisations)
    except (SettingsError, CannotServe, ValueError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
