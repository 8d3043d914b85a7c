"""The services as they are measured: the real application on a database that was filled before.

``python -m tests.bench.serving SERVICE CONFIG FD``. The application, its settings and its log are those of
``passport-SERVICE serve``; what differs is said here: no TLS (neither has the floor; handshakes are not what
is compared), the network register's copy comes from the database, and its clock may stand still.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn

from passport_shared.service.bounded_protocol import BoundedHttpProtocol
from passport_shared.service.clock import SystemClock
from passport_shared.service.observability import configure_logging
from passport_shared.service.server import settle_collector


def serve(app: Any, listener: int, *, bounded: bool = False) -> None:
    """Serve with uvloop and httptools in one process; `bounded` with what the services add to that."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedHttpProtocol if bounded else "httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    # uvicorn raises the signal once more when it has stopped; a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    if bounded:
        settle_collector()
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=listener)])


def verifier(config: dict[str, Any]) -> Any:
    """The verifier, at the instant its data was made for."""
    from passport_shared.formats.trust_file import TrustFile
    from passport_testkit.clients import ClientsSimulator
    from passport_testkit.clock import FrozenClock
    from passport_testkit.verifiers import verifier_settings
    from passport_verifier.app import Parts, build

    configure_logging("verifier", "bench", level="info")
    folder = Path(config["folder"])
    parts = Parts(
        clock=FrozenClock(datetime.fromisoformat(config["at"])),
        trust_file=TrustFile.parse((folder / "trust.json").read_bytes()),
        clients=ClientsSimulator(),
        background=False,
    )
    return build(verifier_settings(folder, config["database_url"]), parts)


def issuer(config: dict[str, Any]) -> Any:
    """The issuer, on the machine's clock and with its background work where that is what is measured."""
    from passport_issuer.app import Parts, build
    from passport_testkit.clients import ClientsSimulator
    from passport_testkit.clock import FrozenClock
    from passport_testkit.issuers import issuer_settings

    configure_logging("issuer", "bench", level="info")
    folder = Path(config["folder"])
    settings = issuer_settings(folder, config["database_url"], (folder / "trust.json").read_bytes())
    at = config["at"]
    clock = FrozenClock(datetime.fromisoformat(at)) if at else SystemClock()
    return build(settings, Parts(clock=clock, clients=ClientsSimulator(), background=config["background"]))


SERVICES = {"verifier": verifier, "issuer": issuer}


def main() -> None:
    """Serve the service that is named."""
    name, config, listener = sys.argv[1:4]
    serve(SERVICES[name](json.loads(Path(config).read_text())), int(listener), bounded=True)


if __name__ == "__main__":
    main()
