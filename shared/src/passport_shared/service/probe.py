"""`python -m passport_shared.service.probe [/path]`: ask the service of this container how it is.

For an image's health check, and for an operator who wants one replica's own `/metrics`. It imports nothing of
the service, because it runs every few seconds beside it. Whom it asks is on this side of the network, on the
port of `PASSPORT_<SERVICE>_BIND`: the certificate is not checked, for it names the service's host and not
this address.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

READY = "/health/ready"
PORT = 8443
TIMEOUT_S = 5.0
MOST_BYTES = 4_194_304


def port(environment: Mapping[str, str]) -> int:
    """The port the service listens on; 8443, the images' own, where no variable says another."""
    for name, value in environment.items():
        if name.startswith("PASSPORT_") and name.endswith("_BIND"):
            found = value.rpartition(":")[2]
            if found.isascii() and found.isdigit():
                return int(found)
    return PORT


def credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The header that `/metrics` asks for, where the deployment has a token for it.

    Raises:
        OSError: the file cannot be read.
    """
    for name, value in environment.items():
        if name.startswith("PASSPORT_") and name.endswith("_METRICS_TOKEN_FILE"):
            return {"Authorization": f"Bearer {Path(value).read_text(encoding='ascii').strip()}"}
    return {}


def ask(path: str, number: int, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """GET a path from the service on this host.

    Raises:
        OSError: it does not answer.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", number, timeout=TIMEOUT_S, context=context)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read(MOST_BYTES)
    finally:
        connection.close()


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Print the answer; 0 only if it is 200."""
    path = arguments[0] if arguments else READY
    try:
        status, body = ask(path, port(environment), credentials(environment))
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"no answer: {error}\n")
        return 1
    sys.stdout.write(body.decode(errors="replace"))
    return 0 if status == http.HTTPStatus.OK else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
