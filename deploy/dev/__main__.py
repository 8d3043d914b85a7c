"""`make up`, `make down`, `make token`: a sandbox here, with two trusts of the pilot and two for practice."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy.demo import onboarding, placing
from deploy.demo.story import Story, Unexpected
from deploy.demo.trusts import CHRISTIE, MANCHESTER, SANDBOX_TRUSTS
from deploy.dev import clients, starting
from deploy.dev.management import Refused
from deploy.dev.stack import INTERRUPTED, PORTS, SIMULATORS, STOP_WITHIN_S, Stack, StackError

FOLDER = Path(".dev")
SANDBOX = FOLDER / "up"


def up() -> int:
    """Start the sandbox, or say that it runs."""
    if _running():
        print("The sandbox is running already. Stop it with: make down")
        return 0
    first = not (SANDBOX / "ready").exists()
    if first:
        # a start that did not get to its end leaves nothing to build on
        shutil.rmtree(SANDBOX, ignore_errors=True)
    stack = Stack.prepare(SANDBOX, tls_folder=FOLDER, ports=PORTS)
    started = False
    try:
        _start(stack, first=first)
        started = True
    except (StackError, Refused, Unexpected) as failure:
        print(f"The sandbox did not start: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: nothing is left running.", file=sys.stderr)
        return INTERRUPTED
    finally:
        if not started:
            stack.stop()
    processes = {**stack.services, SIMULATORS: stack.simulators}
    pids = {name: service.process.pid for name, service in processes.items() if service.process}
    (SANDBOX / "pids.json").write_text(json.dumps(pids))
    (SANDBOX / "ready").touch()
    for name, service in processes.items():
        print(f"{name:10} {service.url}")
    print(f"The tour of the pilot (after make demo): {stack.simulators.url}/tour")
    print(f"Notices people would get: {stack.services['issuer'].url}/notices")
    print(f"TLS authority for curl: --cacert {stack.tls.ca}")
    print("An access token: make -s token S=issuer (or registry, verifier). Stop everything: make down")
    return 0


def _start(stack: Stack, *, first: bool) -> None:
    known = starting.start(stack, first=first)
    if first:
        _populate(stack, known)


def _populate(stack: Stack, known: clients.Clients) -> None:
    """Two trusts of the pilot, and the two of the sandbox, whose records count for nobody else."""
    story = Story()
    for trust in (CHRISTIE, MANCHESTER):
        onboarding.join(story, stack, known, trust)
    for trust in SANDBOX_TRUSTS:
        onboarding.join(story, stack, known, trust, sandbox=True)
    onboarding.agree(stack, known.machine)
    onboarding.agree(stack, known.machine, SANDBOX_TRUSTS)
    onboarding.live(story, stack, known.machine)
    for trust in (MANCHESTER, SANDBOX_TRUSTS[1]):
        placing.name_issuer(stack, known.machine, trust.ods)


def down() -> int:
    """Stop the sandbox; what it stored stays for the next start."""
    running = _running()
    for pid in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN_S
    while _running() and time.monotonic() < deadline:
        time.sleep(0.05)
    (SANDBOX / "pids.json").unlink(missing_ok=True)
    print("Stopped." if running else "Nothing was running.")
    return 0


def token(service: str) -> int:
    """Print an access token of one service for the sandbox's client."""
    if not _running():
        print("The sandbox is not running. Start it with: make up", file=sys.stderr)
        return 1
    stack = Stack.prepare(SANDBOX, tls_folder=FOLDER, ports=PORTS)
    print(clients.read(stack).machine.token(stack.services[service].url))
    return 0


def _running() -> list[int]:
    """The process ids of the sandbox that are alive."""
    try:
        pids = json.loads((SANDBOX / "pids.json").read_text())
    except (OSError, ValueError):
        return []
    return [pid for pid in pids.values() if _is_ours(pid)]


def _is_ours(pid: int) -> bool:
    """Whether the process is alive and one of ours: numbers are used again after a restart."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return b"passport-" in command or b"deploy.simulators" in command
    except OSError:
        with contextlib.suppress(OSError):
            os.kill(pid, 0)
            return not Path("/proc/self").exists()
        return False


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(prog="deploy.dev", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "token"])
    parser.add_argument("service", nargs="?", default="issuer", choices=sorted(PORTS))
    arguments = parser.parse_args()
    acts: dict[str, Callable[[], int]] = {"up": up, "down": down, "token": lambda: token(arguments.service)}
    return acts[arguments.command]()


if __name__ == "__main__":
    sys.exit(main())
