"""`make demo`: the Greater Manchester pilot, from an empty state, in plain words, to its own tables.

Three services, simulated workforce systems and wallets run as they would anywhere, over https. It ends with
an error as soon as anything does not go as it must, and writes out/tour/index.html.
"""

from __future__ import annotations

import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo import actors, onboarding, pilot, problems, reporting, touring, travelling
from deploy.demo.pilot import Pilot
from deploy.demo.story import Story, Unexpected
from deploy.demo.tour.record import Tour
from deploy.demo.tour.render import write
from deploy.demo.trusts import PILOT
from deploy.demo.wallets import WalletSaysNo
from deploy.dev import starting
from deploy.dev.clients import Clients
from deploy.dev.deployment import Deployment
from deploy.dev.management import Refused
from deploy.dev.stack import INTERRUPTED, Stack, StackError, free_ports
from passport_wallet.errors import WalletError

FIRST = "A network register starts, and with it issuer, verifier and the trusts' own systems"
FOLDER, TOUR = Path(".dev"), Path("out/tour")


def main() -> int:
    """Run the demonstration; 0 only if every expectation held."""
    # Whoever stops it politely gets what Ctrl-C gets: nothing is left running.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    shutil.rmtree(FOLDER / "demo", ignore_errors=True)
    stack = Stack.prepare(FOLDER / "demo", tls_folder=FOLDER, ports=free_ports())
    story = Story()
    sys.stdout.write(f"Staff Passport, {datetime.now(UTC):%d %B %Y}: the pilot, replayed.\n")  # noqa: TID251
    sys.stdout.write("All people are invented.\n")
    try:
        story.chapter(FIRST)
        page = tell(story, stack, starting.start(stack))
    except (Unexpected, StackError, Refused, WalletSaysNo, WalletError) as failure:
        sys.stdout.write(f"\nNot as expected: {failure}\n")
        sys.stdout.write(f"The services' logs are in {stack.folder}.\n")
        return 1
    except KeyboardInterrupt:
        sys.stdout.write("\nInterrupted; stopping the services.\n")
        return INTERRUPTED
    finally:
        stack.stop()
    story.end()
    sys.stdout.write(f"The tour: {page}\n")
    return 0


def tell(story: Story, stack: Deployment, known: Clients) -> Path:
    """All chapters after the start; returns the tour's page."""
    story.say("Three services, three databases, their own keys; all speak https.")
    tour = Tour(made_at=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC")  # noqa: TID251
    told = Pilot(story, stack, known, tour, travelling.today())
    story.chapter("Eight trusts join the network, and a ninth waits")
    onboarding.pilot(story, stack, known)
    for trust in PILOT:
        onboarding.hr_users(stack, known.machine, trust, actors.named(trust.ods))
    pilot.prepare_hosts(told)
    onboarding.live(story, stack, known.machine)
    reporting.import_history(stack, known.machine)
    reporting.baseline(stack, known.machine)
    story.chapter("Records are read from the trusts' own systems")
    pilot.gather(told)
    problems.nobody_is_merged(told)
    story.chapter("Nine staff passports")
    pilot.issue(told)
    story.chapter("Four movements")
    pilot.move(told)
    story.chapter("The pilot's own tables")
    reporting.arrived(stack, known.machine, issued=38, verified=40)
    tour.tables, tour.figures = reporting.check(story, stack, known.machine)
    story.chapter("What must not go well")
    problems.a_system_is_down(told)
    problems.stranger(told)
    problems.two_people(told)
    problems.issuer_in_doubt(told)
    problems.registration_lapses(told)
    problems.over_asking(told)
    story.chapter("What is kept about one person")
    touring.readiness(told)
    touring.stored(told)
    tour.expectations = story.expected
    return write(tour, TOUR)


if __name__ == "__main__":
    sys.exit(main())
