"""The first of the pilot's movements alone: one colleague, two trusts, from records to the first shift.

The journey of the demonstration where the whole pilot would take too long, such as at every change in CI.
"""

from __future__ import annotations

from datetime import UTC, datetime

from deploy.demo import actors, onboarding, pilot, problems, travelling
from deploy.demo.moves import MOVES
from deploy.demo.pilot import Pilot
from deploy.demo.story import Story
from deploy.demo.tour.record import Tour
from deploy.demo.trusts import CHRISTIE, MANCHESTER
from deploy.dev.clients import Clients
from deploy.dev.deployment import Deployment


def tell(story: Story, stack: Deployment, known: Clients) -> None:
    """All chapters after the start."""
    tour = Tour(made_at=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC")  # noqa: TID251
    told = Pilot(story, stack, known, tour, travelling.today(), people=MOVES[0].people)
    story.chapter("Two trusts join the network")
    for trust in (CHRISTIE, MANCHESTER):
        onboarding.join(story, stack, known, trust)
        onboarding.hr_users(stack, known.machine, trust, actors.named(trust.ods))
    onboarding.agree(stack, known.machine)
    pilot.prepare_hosts(told)
    onboarding.live(story, stack, known.machine)
    story.chapter("Records are read from the employing trust's own systems")
    pilot.gather(told)
    story.chapter("A staff passport")
    pilot.issue(told)
    story.chapter("A movement")
    pilot.move(told)
    story.chapter("What must not go well")
    problems.registration_lapses(told, MOVES[0].people[0].key)
