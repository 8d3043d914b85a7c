"""What everybody on a machine can read of a process, its words and surroundings, holds nothing secret."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.dev.stack import BIN

if TYPE_CHECKING:
    from tests.e2e.conftest import Network

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]
CODE = "canary-one-time-code-7717"
KEY_FILES = ("*.kek", "*.pem", "*.key", "*.jwk", "*.json")
# The private member of a JWK, and the lines of a PEM key but for its certificate's.
_PRIVATE = re.compile(r'"d"\s*:\s*"([A-Za-z0-9_-]{40,})"|-----BEGIN [A-Z ]*PRIVATE KEY-----([^-]+)-----END')


def shown(pid: int) -> bytes:
    """Command line and environment, as /proc tells them to others and to the owner."""
    words = b""
    while not words:  # empty for a moment after the program was put in the place of its parent's
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    return words + Path(f"/proc/{pid}/environ").read_bytes()


def secrets_in(folder: Path) -> set[bytes]:
    """Key-encryption keys and private keys that lie in the files of a stack."""
    found: set[str] = set()
    for file in (one for pattern in KEY_FILES for one in folder.rglob(pattern) if one.is_file()):
        text = file.read_text(errors="replace")
        if file.suffix == ".kek":
            found.add(text.strip())
        for number, pem in _PRIVATE.findall(text):
            found |= {number} if number else {line for line in pem.split() if len(line) > 20}
    return {one.encode() for one in found}


def test_the_services_show_no_key(network: Network) -> None:
    known = secrets_in(network.stack.folder)
    assert len(known) >= 5, "key-encryption keys of three services, and keys of TLS and of clients"
    for name, service in network.stack.services.items():
        assert service.process is not None
        seen = shown(service.process.pid)
        assert f"passport-{name}".encode() in seen
        assert b"KEK_FILE=" in seen
        assert not [secret for secret in known if secret in seen], name


@pytest.mark.parametrize("name", ["issuer", "verifier"])
def test_a_command_shows_no_code_and_says_how_to_give_it(network: Network, name: str) -> None:
    """The code of an enrolment is given on standard input, as the network of these tests was enrolled."""
    words = [str(BIN / f"passport-{name}"), "tenant", "enrol", "RBV", "--code", "-"]
    running = subprocess.Popen(
        words,
        env=network.stack.services[name].environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    seen = shown(running.pid)
    said = b"".join(running.communicate(b"\n"))
    assert b"enrol\0RBV\0--code\0-\0" in seen
    assert not [secret for secret in secrets_in(network.stack.folder) if secret in seen]
    assert running.returncode == 1
    assert b"standard input holds no code" in said


def test_a_code_that_is_refused_is_not_repeated(network: Network) -> None:
    """Nor is it in the log of the service it was given beside."""
    service = network.stack.services["issuer"]
    done = subprocess.run(
        [str(BIN / "passport-issuer"), "tenant", "enrol", "RBV", "--code", "-"],
        env=service.environment,
        input=f"{CODE}\n".encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert CODE.encode() not in done.stdout + done.stderr
    for one in network.stack.services.values():
        assert CODE not in one.log.read_text(errors="replace")
