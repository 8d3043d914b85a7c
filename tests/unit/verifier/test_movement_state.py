"""A movement's state: every answer in turn, and no order of events makes it ACTIVE without all it needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from passport_verifier.rules.movement_state import (
    OVER,
    Answer,
    MovementState,
    PlacementPhase,
    Progress,
    ReleaseStanding,
    derive,
)

NOTHING = Progress(
    current=MovementState.REQUESTED,
    staff=None,
    release=ReleaseStanding.NONE,
    host_declined=False,
    approved=False,
    decided=False,
    gates_hold=False,
    inducted=False,
    placement=PlacementPhase.NONE,
)
READY = replace(
    NOTHING,
    staff=Answer.AGREED,
    release=ReleaseStanding.COVERS,
    approved=True,
    decided=True,
    gates_hold=True,
)
RUNNING = replace(READY, placement=PlacementPhase.RUNNING, inducted=True)
ACTIVE = replace(RUNNING, current=MovementState.ACTIVE)


@pytest.mark.parametrize(
    ("progress", "state"),
    [
        (NOTHING, "REQUESTED"),
        (replace(NOTHING, release=ReleaseStanding.COVERS), "REQUESTED"),
        (replace(NOTHING, staff=Answer.AGREED), "AGREED"),
        (replace(NOTHING, staff=Answer.AGREED, release=ReleaseStanding.OTHER_TERMS), "AGREED"),
        (replace(NOTHING, staff=Answer.AGREED, release=ReleaseStanding.WITHDRAWN), "AGREED"),
        (replace(NOTHING, staff=Answer.AGREED, release=ReleaseStanding.COVERS), "RELEASED"),
        (replace(NOTHING, staff=Answer.AGREED, release=ReleaseStanding.NOT_NEEDED), "RELEASED"),
        (replace(READY, decided=False), "RELEASED"),
        (replace(READY, approved=False), "RELEASED"),
        (replace(READY, gates_hold=False), "RELEASED"),
        (READY, "READY"),
        (replace(READY, inducted=True), "READY"),
        (replace(RUNNING, inducted=False), "READY"),
        (RUNNING, "ACTIVE"),
        (replace(ACTIVE, decided=False), "ACTIVE"),
        (replace(ACTIVE, placement=PlacementPhase.ENDED), "ENDED"),
        (replace(ACTIVE, staff=Answer.WITHDRAWN), "ENDED"),
        (replace(ACTIVE, release=ReleaseStanding.WITHDRAWN), "ENDED"),
        (replace(ACTIVE, release=ReleaseStanding.DECLINED), "ENDED"),
        (replace(READY, staff=Answer.WITHDRAWN), "DECLINED"),
        (replace(NOTHING, staff=Answer.DECLINED), "DECLINED"),
        (replace(NOTHING, release=ReleaseStanding.DECLINED), "DECLINED"),
        (replace(READY, host_declined=True), "DECLINED"),
        *((replace(RUNNING, current=state), state) for state in sorted(OVER)),
    ],
)
def test_a_state_follows_from_what_was_said(progress: Progress, state: str):
    assert derive(progress) == state


class Movement(RuleBasedStateMachine):
    """People and trusts say things in any order; after each the state is derived, as `refresh` does."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = NOTHING
        self.was: list[MovementState] = [NOTHING.current]

    def _now(self, **changes: object) -> None:
        self.progress = replace(self.progress, **changes)  # type: ignore[arg-type]
        state = derive(self.progress)
        self.was.append(state)
        self.progress = replace(self.progress, current=state)

    @rule(answer=st.sampled_from([None, *Answer]))
    def staff_says(self, answer: Answer | None) -> None:
        self._now(staff=answer)

    @rule(standing=st.sampled_from(ReleaseStanding))
    def employer_says(self, standing: ReleaseStanding) -> None:
        self._now(release=standing)

    @rule(approved=st.booleans(), declined=st.booleans())
    def host_says(self, *, approved: bool, declined: bool) -> None:
        self._now(approved=approved, host_declined=declined)

    @rule(decided=st.booleans())
    def decision(self, *, decided: bool) -> None:
        self._now(decided=decided)

    @rule(hold=st.booleans())
    def gates(self, *, hold: bool) -> None:
        self._now(gates_hold=hold)

    @rule(inducted=st.booleans())
    def induction(self, *, inducted: bool) -> None:
        self._now(inducted=inducted)

    @rule(phase=st.sampled_from(PlacementPhase))
    def placement(self, phase: PlacementPhase) -> None:
        self._now(placement=phase)

    @invariant()
    def nothing_becomes_active_without_all_it_needs(self) -> None:
        if self.was[-1] is MovementState.ACTIVE and self.was[-2] is not MovementState.ACTIVE:
            found = self.progress
            assert found.staff is Answer.AGREED
            assert found.release in {ReleaseStanding.COVERS, ReleaseStanding.NOT_NEEDED}
            assert found.decided
            assert found.approved
            assert found.gates_hold
            assert found.inducted
            assert found.placement is PlacementPhase.RUNNING

    @invariant()
    def an_end_is_an_end(self) -> None:
        if len(self.was) > 1 and self.was[-2] in OVER:
            assert self.was[-1] is self.was[-2]

    @invariant()
    def nobody_stays_who_took_their_agreement_back(self) -> None:
        if self.progress.staff in {Answer.DECLINED, Answer.WITHDRAWN}:
            assert self.was[-1] in OVER

    @invariant()
    def deriving_again_changes_nothing(self) -> None:
        assert derive(self.progress) is self.progress.current


TestMovement = Movement.TestCase
TestMovement.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
