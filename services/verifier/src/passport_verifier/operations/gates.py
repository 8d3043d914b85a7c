"""The gates of a movement as it stands: facts read, judged by ``rules.gates``, refused by name.

Who takes a guarded step in a transaction of its own calls ``check_held`` there; for another step
``check_step`` reads and refuses. The same facts are what a movement's state is derived from
(``movement_progress``).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.auth import Actor
from passport_shared.service.kek import KekError
from passport_shared.wire.release import ReleaseState
from passport_verifier.context import Context
from passport_verifier.errors import GateNotPassed
from passport_verifier.operations import agreements
from passport_verifier.operations.hr_users import hr_user_answer
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules import gates
from passport_verifier.rules.gates import AgreementTerms, Gate, GateFacts, HrUserAnswer, Step
from passport_verifier.rules.movement_state import Answer, ReleaseStanding
from passport_verifier.rules.movement_types import HOST_KINDS, ApprovalKind, movement_type
from passport_verifier.store import approvals, placements, releases, shown_decisions
from passport_verifier.store.approvals import Approval
from passport_verifier.store.movements import Movement
from passport_verifier.store.placements import PlacementState
from passport_verifier.store.releases import StoredRelease
from passport_verifier.store.shown_decisions import ShownDecision


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A movement with all that was said to it."""

    movement: Movement
    approvals: Mapping[ApprovalKind, Approval]
    release: StoredRelease | None
    shown: ShownDecision | None
    placement: PlacementState | None
    facts: GateFacts

    @property
    def approved(self) -> bool:
        """Whether everybody at the host whose approval is needed has given it to these terms.

        Host HR's word is the confirmation of the decision; it may be said apart from it as well.
        """
        needed = movement_type(self.movement.type).host_approvals
        return all(self._agreed(kind) for kind in needed)

    @property
    def missing(self) -> tuple[ApprovalKind, ...]:
        """Whose approval at the host is still needed, in the order of the kinds."""
        needed = movement_type(self.movement.type).host_approvals
        return tuple(kind for kind in ApprovalKind if kind in needed and not self._agreed(kind))

    @property
    def host_declined(self) -> bool:
        """Whether somebody at the host said no to these terms."""
        return any(self._said(kind) is Answer.DECLINED for kind in HOST_KINDS)

    def _said(self, kind: ApprovalKind) -> Answer | None:
        found = self.approvals.get(kind)
        return found.decision if found and found.terms_version == self.movement.terms_version else None

    def _agreed(self, kind: ApprovalKind) -> bool:
        if self._said(kind) is not None:
            return self._said(kind) is Answer.AGREED
        return kind is ApprovalKind.HOST_HR and self.shown is not None


async def standing(
    ctx: Context, conn: AsyncConnection, movement: Movement, *, register_usable: bool = True
) -> Standing:
    """A movement as it stands, read with the given connection; a writer holds the movement's row."""
    said = await approvals.newest_of(conn, movement.id)
    release = await releases.newest_of(conn, movement.id)
    shown = await shown_decisions.newest_of(conn, movement.id)
    presented = shown or await shown_decisions.newest_of(conn, movement.id, confirmed=False)
    placement = await placements.state_of(conn, movement.id)
    same, unknown = _same_person(ctx, movement, release, presented)
    staff = said.get(ApprovalKind.STAFF)
    opted_in = await approvals.cover_opt_in(conn, movement.id, movement.terms_version)
    facts = GateFacts(
        start=movement.start,
        end=movement.last_day,
        agreement=agreement_terms(movement),
        register_usable=register_usable,
        max_days=_max_days(movement),
        staff=_staff_answer(movement, staff),
        staff_terms_changed=bool(
            staff and staff.decision is Answer.AGREED and staff.terms_version != movement.terms_version
        ),
        release=release_standing(movement, release),
        release_end=release.end if release else None,
        same_person=same,
        person_unknown=unknown,
        cover_reason=movement.details.get("cover_reason", "NONE"),
        cover_opt_in=_staff_answer(movement, staff) is Answer.AGREED and opted_in,
        said=_who_said(movement, said, shown),
        staff_refs=frozenset({staff.staff_ref} if staff and staff.staff_ref else ()),
        inducted_on=movement.inducted_on,
    )
    return Standing(
        movement=movement,
        approvals=said,
        release=release,
        shown=shown,
        placement=placement,
        facts=facts,
    )


def agreement_terms(movement: Movement) -> AgreementTerms | None:
    """The agreement that was selected for a movement."""
    return terms_of(movement.agreement) if movement.agreement else None


def terms_of(stored: Mapping[str, Any]) -> AgreementTerms:
    """An agreement as it is stored with a movement."""
    return AgreementTerms(
        id=stored["id"],
        type=stored["type"],
        version=stored["version"],
        max_days=stored["max_days"],
        effective=date.fromisoformat(stored["effective"]),
        expires=date.fromisoformat(stored["expires"]) if stored["expires"] else None,
    )


def _max_days(movement: Movement) -> int:
    agreement = agreement_terms(movement)
    if agreement is not None and agreement.max_days is not None:
        return agreement.max_days
    return movement_type(movement.type).max_days


def _staff_answer(movement: Movement, staff: Approval | None) -> Answer | None:
    """The answer that counts: an agreement only to these very terms, a refusal to whatever terms."""
    if staff is None:
        return None
    if staff.decision is Answer.AGREED and staff.terms_version != movement.terms_version:
        return None
    return staff.decision


def release_standing(movement: Movement, release: StoredRelease | None) -> ReleaseStanding:
    """What the newest Release means for a movement as it is now."""
    if not movement_type(movement.type).release:
        return ReleaseStanding.NOT_NEEDED
    if release is None:
        return ReleaseStanding.NONE
    if release.terms_version != movement.terms_version:
        return ReleaseStanding.OTHER_TERMS
    if release.state is ReleaseState.DECLINED:
        return ReleaseStanding.DECLINED
    if release.state is ReleaseState.WITHDRAWN:
        return ReleaseStanding.WITHDRAWN
    return ReleaseStanding.COVERS


def _same_person(
    ctx: Context, movement: Movement, release: StoredRelease | None, presented: ShownDecision | None
) -> tuple[bool | None, bool]:
    """Whether released and presented passports are one, and whether too little was kept to say so."""
    if release is None or release.holder_commitment is None or presented is None:
        return None, False
    try:
        key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
        sealed = key.open(presented.sealed, decision_id=presented.id)
    except (KekError, Unreadable):
        return None, True
    kept = sealed["person"].get("holder_ref")
    if kept is None:
        return None, True
    return hmac.compare_digest(kept, release.holder_commitment), False


def _who_said(
    movement: Movement, said: Mapping[ApprovalKind, Approval], shown: ShownDecision | None
) -> dict[ApprovalKind, str]:
    """Who said what at the host to these terms; host HR also by confirming the decision."""
    found = {
        kind: str(approval.actor["ref"])
        for kind, approval in said.items()
        if kind in HOST_KINDS and approval.terms_version == movement.terms_version
    }
    if shown is not None and shown.confirmed_by is not None:
        found.setdefault(ApprovalKind.HOST_HR, shown.confirmed_by)
    return found


def check_held(
    found: Standing,
    step: Step,
    *,
    actor: Actor | None = None,
    acting_as: ApprovalKind | None = None,
    hr_user: HrUserAnswer | None = None,
) -> None:
    """Refuse a step before which a gate does not hold, within the transaction that takes it.

    Args:
        found: the movement as it stands, its row held.
        step: what is about to be done.
        actor: who does it.
        acting_as: for whom at the host.
        hr_user: what the register says of them (``hr_users.hr_user_answer``, asked before the transaction).

    Raises:
        GateNotPassed: names the first gate that does not hold and what to do next.
    """
    facts = replace(found.facts, acting=actor.ref if actor else None, acting_as=acting_as, hr_user=hr_user)
    closed = gates.closed(facts, step)
    if closed is not None:
        raise GateNotPassed(closed)


async def check_step(ctx: Context, movement: Movement, step: Step, *, actor: Actor | None = None) -> Movement:
    """Read a movement, refuse a guarded step, and return the movement with its agreement settled.

    For a step that is not taken in the same transaction; what a transaction takes itself is checked in it.

    Raises:
        GateNotPassed: names the first gate that does not hold and what to do next.
    """
    choice = await agreements.current(ctx, movement)
    movement = await agreements.settle(ctx, movement)
    async with ctx.db.read() as conn:
        found = await standing(ctx, conn, movement, register_usable=choice.register_usable)
    acting_as = _KIND_OF_STEP.get(step)
    hr_user = await hr_user_answer(ctx, movement, actor, acting_as) if actor else None
    check_held(found, step, actor=actor, acting_as=acting_as, hr_user=hr_user)
    return movement


_KIND_OF_STEP = {Step.CONFIRM: ApprovalKind.HOST_HR}
"""Confirming a decision is host HR's word about a movement."""


async def judged(ctx: Context, movement: Movement, *, actor: Actor | None = None) -> tuple[Gate, ...]:
    """Every gate of a movement as it stands, for who asks."""
    choice = await agreements.current(ctx, movement)
    movement = replace(movement, agreement=choice.agreement)
    async with ctx.db.read() as conn:
        found = await standing(ctx, conn, movement, register_usable=choice.register_usable)
    facts = found.facts
    if actor is not None:
        answer = await hr_user_answer(ctx, movement, actor, ApprovalKind.HOST_HR)
        facts = replace(facts, hr_user=answer)
    return gates.gates(facts)
