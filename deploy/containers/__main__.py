"""`python -m deploy.containers`: images, a trial of the stack in containers, and what CI holds it to.

`images` builds; `up` and `down` start and remove a trial on this machine; `check` does all of it on ports of
its own: images, start, the demonstration's journey through the proxy with two replicas of each service, the
checks of `deploy.containers.checks`, and leaves nothing running. `check-first-move` is the same with
the first of the pilot's movements alone, for CI.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from deploy.containers import checks, names
from deploy.containers.engine import ROOT, Engine, EngineFailed, NoEngine
from deploy.containers.stack import IMAGES, OFFICIAL, TAG, ContainerStack
from deploy.demo import __main__ as demonstration
from deploy.demo import first_move
from deploy.demo.story import Story, Unexpected
from deploy.demo.wallets import WalletSaysNo
from deploy.dev.clients import Clients
from deploy.dev.deployment import Deployment
from deploy.dev.management import Refused
from deploy.dev.stack import INTERRUPTED, SIMULATORS, StackError
from passport_wallet.errors import WalletError

FOLDER = Path(".dev") / "containers"
TRIAL = FOLDER / "trial"
PROJECT = "staff-passport-trial"
PORTS = {"proxy": 9443, SIMULATORS: 9444}
AT_ONCE = 2
BUILT = ("registry", "issuer", "verifier", SIMULATORS)
T = TypeVar("T")
Journey = Callable[[Story, Deployment, Clients], object]
FAILURES = (Unexpected, StackError, Refused, WalletSaysNo, WalletError, EngineFailed)


def images(engine: Engine) -> int:
    """Build the four images, and stand-ins for the official ones that cannot be had."""
    _told("base image", engine.base_image)
    with ThreadPoolExecutor(AT_ONCE) as several:
        builds = [
            several.submit(
                _built, engine, f"{IMAGES}/{name}:{TAG}", ROOT / "deploy" / "Dockerfile", service=name
            )
            for name in BUILT
        ]
        builds += [
            several.submit(
                _built,
                engine,
                f"{IMAGES}/{name}-standin:{TAG}",
                ROOT / "deploy" / name / "Dockerfile.standin",
            )
            for name, image in OFFICIAL.items()
            if not engine.pulled(image)
        ]
        for build in builds:
            build.result()
    return 0


def _built(engine: Engine, tag: str, dockerfile: Path, *, service: str | None = None) -> None:
    arguments = {} if service is None else {"SERVICE": service}
    _told(tag, lambda: engine.build(tag, dockerfile, arguments))


def up(engine: Engine) -> int:
    """Start a trial and leave it running."""
    if TRIAL.exists():
        print("There is a trial already. Remove it with: make down-containers")
        return 1
    images(engine)
    stack = ContainerStack.prepare(TRIAL, engine, project=PROJECT, ports=PORTS)
    with names.resolved_here(stack.hosts):
        stack.start()
    for program in (*stack.services.values(), stack.simulators):
        print(f"{program.name:10} {program.url}")
    print(f"For this machine's resolver: {names.LOOPBACK} {' '.join(stack.hosts)}")
    print(f"TLS authority for curl: --cacert {stack.tls.ca}. Remove everything: make down-containers")
    return 0


def down(engine: Engine) -> int:
    """Remove the trial, with its data."""
    ContainerStack.prepare(TRIAL, engine, project=PROJECT, ports=PORTS).stop()
    shutil.rmtree(TRIAL)
    print("Removed.")
    return 0


def check(engine: Engine, journey: Journey = demonstration.tell) -> int:
    """Images, stack, journey and checks; 0 only if everything held."""
    images(engine)
    folder = FOLDER / f"check-{os.getpid()}"
    stack = ContainerStack.prepare(folder, engine, project=f"passport-{os.getpid()}", ports=_free_ports())
    story = Story()
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        with names.resolved_here(stack.hosts):
            known = _told("stack", stack.start)
            since = len(checks.proxy_log(stack))
            journey(story, stack, known)
            checks.everything(story, stack, known, since=since)
    except FAILURES as failure:
        print(f"\nNot as expected: {failure}\n{stack.logs(60)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    story.end()
    return 0


def _told(what: str, act: Callable[[], T]) -> T:
    began = time.monotonic()
    done = act()
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)
    return done


def _free_ports() -> dict[str, int]:
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in PORTS}
        for taken in sockets.values():
            taken.bind((names.LOOPBACK, 0))
        return {name: taken.getsockname()[1] for name, taken in sockets.items()}


def main() -> int:
    """Run one of the commands; where no engine can be had, say why."""
    acts: dict[str, Callable[[Engine], int]] = {
        "images": images,
        "up": up,
        "down": down,
        "check": check,
        "check-first-move": lambda engine: check(engine, first_move.tell),
    }
    parser = argparse.ArgumentParser(prog="deploy.containers", description=__doc__)
    parser.add_argument("command", choices=sorted(acts))
    asked = parser.parse_args().command
    try:
        return acts[asked](Engine.prepare(FOLDER))
    except NoEngine as why:
        print(f"Containers cannot be run here: {why}", file=sys.stderr)
        # CI has proven what it can on this machine, and says so; a person wanted containers and has none.
        return 0 if os.environ.get("CI") and asked == "check" else 1
    except FAILURES as failure:
        print(f"Not as expected: {failure}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
