"""`make demo`: the first movement of the pilot, from an empty state, in plain words.

Three services and a wallet run as they would anywhere, over https. It ends with an error as soon
as anything does not go as it must.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo import issuing, moving, onboarding, people, trouble
from deploy.demo.holder import WalletRefused
from deploy.demo.story import Story, Unexpected
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev.clients import Clients, create
from deploy.dev.management import Refused
from deploy.dev.stack import INTERRUPTED, Stack, StackError, free_ports

FOLDER = Path(".dev")


def main() -> int:
    """Run the demonstration; 0 only if every expectation held."""
    shutil.rmtree(FOLDER / "demo", ignore_errors=True)
    stack = Stack.prepare(FOLDER / "demo", tls_folder=FOLDER, ports=free_ports())
    story = Story()
    sys.stdout.write(f"Staff Passport, {datetime.now(UTC):%d %B %Y}: an urgent operating list.\n")  # noqa: TID251
    sys.stdout.write("All people are invented.\n")
    try:
        tell(story, stack)
    except (Unexpected, StackError, Refused, WalletRefused) as failure:
        sys.stdout.write(f"\nNot as expected: {failure}\n")
        sys.stdout.write(f"The services' logs are in {stack.folder}.\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.write("\nInterrupted; stopping the services.\n")
        return INTERRUPTED
    finally:
        stack.stop()
    story.end()
    return 0


def tell(story: Story, stack: Stack) -> None:
    """All chapters."""
    story.chapter("A network register starts, and with it an issuer and a verifier")
    clients = start(story, stack)
    operator = clients.machine
    story.chapter("Two trusts join the network")
    for trust in (CHRISTIE, MANCHESTER):
        onboarding.join(story, stack, clients, trust)
    onboarding.agree(stack, operator)
    onboarding.live(story, stack, operator)
    story.chapter("The Christie issues a urology surgeon's passport")
    holder = issuing.collect(story, stack, operator, people.SURGEON, "surgeon")
    story.chapter("Manchester asks for an urgent operating list")
    first = moving.urgent_list(story, stack, operator, holder)
    story.chapter("The registration lapses while the surgeon is there")
    trouble.registration_lapses(story, stack, operator, first)
    story.chapter("The Christie is suspended while its records are in doubt")
    trouble.issuer_suspended(story, stack, operator, holder)
    story.chapter("Strangers and mixed-up people")
    trouble.stranger(story, stack, holder)
    trouble.two_people(story, stack, operator, holder)


def start(story: Story, stack: Stack) -> Clients:
    """Prepare and start the three services; returns the first API clients."""
    registry = stack.services["registry"]
    for service in stack.services.values():
        service.command("migrate")
    registry.command("init", "--out", str(stack.folder / "trust.json"))
    clients = create(stack)
    for name, service in stack.services.items():
        service.start()
        stack.wait_ready(name)
    story.say("Three services, three databases, their own keys; all speak https.")
    return clients


if __name__ == "__main__":
    sys.exit(main())
