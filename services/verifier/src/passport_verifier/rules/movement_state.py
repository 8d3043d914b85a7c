"""Where a movement stands, derived from what people and trusts have said (domain model §10a, §10c J3).

Nobody sets a state. It follows from the staff member's agreement, the employing trust's Release, the host's
approvals, the newest decision that may be shown, and the placement; whatever order they come in, nothing
becomes ACTIVE without agreement, Release and decision. ENDED, CANCELLED and DECLINED are ends. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MovementState(StrEnum):  # PERSISTED
    """Where a movement stands."""

    REQUESTED = "REQUESTED"
    AGREED = "AGREED"
    RELEASED = "RELEASED"
    READY = "READY"
    ACTIVE = "ACTIVE"
    ENDED = "ENDED"
    CANCELLED = "CANCELLED"
    DECLINED = "DECLINED"


OVER = frozenset({MovementState.ENDED, MovementState.CANCELLED, MovementState.DECLINED})
"""The ends: nothing that comes afterwards changes them."""


class Answer(StrEnum):  # PERSISTED
    """What somebody said to a movement; WITHDRAWN takes an agreement back."""

    AGREED = "AGREED"
    DECLINED = "DECLINED"
    WITHDRAWN = "WITHDRAWN"


class ReleaseStanding(StrEnum):
    """What the newest Release means for the movement as it is now."""

    NONE = "NONE"
    NOT_NEEDED = "NOT_NEEDED"
    COVERS = "COVERS"
    OTHER_TERMS = "OTHER_TERMS"
    DECLINED = "DECLINED"
    WITHDRAWN = "WITHDRAWN"


class PlacementPhase(StrEnum):
    """How far the placement is, in the three steps a movement's state needs."""

    NONE = "NONE"
    RUNNING = "RUNNING"
    ENDED = "ENDED"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """All that a movement's state is derived from.

    Args:
        current: the state that is stored.
        staff: the staff member's newest answer to the terms as they are now; a withdrawal or decline counts
            whatever terms it was given to.
        release: what the newest Release means.
        host_declined: somebody at the host whose approval is needed said no.
        approved: everybody at the host whose approval is needed said yes.
        decided: the newest decision that may be shown lets the person start, or an override in force does.
        gates_hold: every gate that guards readiness (G-D to G-G) holds.
        inducted: the local induction is recorded (G-H).
        placement: how far the placement is.
    """

    current: MovementState
    staff: Answer | None
    release: ReleaseStanding
    host_declined: bool
    approved: bool
    decided: bool
    gates_hold: bool
    inducted: bool
    placement: PlacementPhase


def derive(progress: Progress) -> MovementState:
    """The state that follows."""
    if progress.current in OVER:
        return progress.current
    if progress.placement is PlacementPhase.ENDED:
        return MovementState.ENDED
    begun = progress.current is MovementState.ACTIVE
    if _taken_back(progress, begun=begun):
        return MovementState.ENDED if begun else MovementState.DECLINED
    if begun:
        return MovementState.ACTIVE
    return _before_it_begins(progress)


def _taken_back(progress: Progress, *, begun: bool) -> bool:
    """Whether somebody who has to agree said no.

    A Release that is withdrawn before the first day leaves the movement waiting for another one; during the
    placement it ends it.
    """
    return (
        progress.staff in {Answer.DECLINED, Answer.WITHDRAWN}
        or progress.host_declined
        or progress.release is ReleaseStanding.DECLINED
        or (begun and progress.release is ReleaseStanding.WITHDRAWN)
    )


def _before_it_begins(progress: Progress) -> MovementState:
    if progress.staff is not Answer.AGREED:
        return MovementState.REQUESTED
    if progress.release not in {ReleaseStanding.COVERS, ReleaseStanding.NOT_NEEDED}:
        return MovementState.AGREED
    if not (progress.decided and progress.approved and progress.gates_hold):
        return MovementState.RELEASED
    running = progress.placement is PlacementPhase.RUNNING
    return MovementState.ACTIVE if running and progress.inducted else MovementState.READY
