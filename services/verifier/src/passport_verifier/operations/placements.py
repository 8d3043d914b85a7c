"""A placement at the host: started when a movement is ready, ended by HR or after its last day (J3, J8).

Starting records what the host's issuer shall issue; the issuer is told afterwards (``placement_telling``), so
that nothing is lost while it cannot be reached. When the placement begins, is shortened or goes with its
movement is decided where the movement's state is (``following``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.snapshot import Snapshot, SnapshotError
from passport_shared.formats.trust_mark import MarkRole
from passport_shared.outbound import OutboundError
from passport_shared.outbound.urls import check_url
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_verifier.context import Context
from passport_verifier.errors import (
    Conflict,
    NotFound,
    NotReadyToPlace,
    PersonForgotten,
    PreconditionFailed,
    RegisterTooOld,
    one_field,
)
from passport_verifier.operations import failpoints, following, gates
from passport_verifier.operations.movement_progress import alone, refresh
from passport_verifier.operations.rechecks import BY_ITSELF
from passport_verifier.rules import placements as rules
from passport_verifier.rules import wording
from passport_verifier.rules.gates import Step
from passport_verifier.rules.movement_state import MovementState
from passport_verifier.rules.outcome import Words
from passport_verifier.rules.placements import PERSON_KEPT_FOR, NewPost
from passport_verifier.rules.readiness import london_day
from passport_verifier.store import decisions, movements, placement_telling, placements, shown_decisions
from passport_verifier.store.decisions import ConditionState, Reliance
from passport_verifier.store.movements import Movement
from passport_verifier.store.placement_telling import PlacementIssuer
from passport_verifier.store.placements import EndReason, Placement, PlacementState

IDENTITY = "StaffIdentity"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """What HR has seen to at the end; the educator's sign-off is None where there is no educator."""

    badge_returned: bool
    it_access_removed: bool
    uniform_returned: bool
    educator_sign_off: bool | None

    def as_dict(self) -> dict[str, Any]:
        """As it is stored."""
        return dict(vars(self))


async def start(ctx: Context, ods: str, movement_id: str, new: NewPost, actor: Actor, claim: Claim) -> str:
    """Start the placement of a movement that is ready; the movement's id.

    Raises:
        NotFound: no such movement of this host.
        GateNotPassed: a gate before the placement does not hold.
        NotReadyToPlace: the movement is not ready, or no longer.
        PersonForgotten: who it is was kept for ten days only, and they are over.
        Conflict: it has a placement.
        Invalid: it has several sites, and none is named.
    """
    movement = await _movement(ctx, ods, movement_id)
    if movement.state not in {MovementState.ACTIVE, MovementState.ENDED}:
        await gates.check_step(ctx, movement, Step.PLACE)
    async with ctx.db.write() as conn:
        state = await refresh(ctx, conn, movement_id, actor=actor, caused=False)
        movement = await _movement_in(conn, ods, movement_id)
        if await placements.of_movement(conn, movement_id) is not None:
            raise Conflict("This movement has a placement.")
        if state is not MovementState.READY:
            raise NotReadyToPlace(state)
        placement = await _new(ctx, conn, movement, new, actor)
        if not await placements.add(conn, placement):
            raise Conflict("This movement has a placement.")
        await ctx.audit.record(
            conn,
            kind="placement.started",
            subject_ref=movement_id,
            actor=actor.as_dict(),
            organisation=ods,
            details={"decision": placement.decision_id},
        )
        # A placement of today with its induction done begins at once.
        await refresh(ctx, conn, movement_id, actor=actor)
        await claim.complete(conn, movement_id)
    failpoints.hit(failpoints.AFTER_PLACED)
    log.info("placement.started", movement=movement_id, organisation=ods)
    return movement_id


async def _new(
    ctx: Context, conn: AsyncConnection, movement: Movement, new: NewPost, actor: Actor
) -> Placement:
    shown = await shown_decisions.newest_of(conn, movement.id)
    assert shown is not None  # noqa: S101 - READY says so
    if await placements.sealed_person(conn, shown.id) is None:
        raise PersonForgotten
    post = rules.post(new, movement.details, await _conditions(conn, shown.id))
    if post is None:
        raise one_field("/site", "required", "The movement has several sites: name the one.")
    now = ctx.clock.now()
    return Placement(
        movement_id=movement.id,
        ods=movement.ods,
        state=PlacementState.PREPARED,
        on_hold=False,
        held_at=None,
        start=movement.start,
        end=max(movement.last_day, movement.start),
        decision_id=shown.id,
        holder_jkt=holder_of(await decisions.reliances_of(conn, shown.id)) or "",
        post=post,
        begun_at=None,
        ended_at=None,
        ended_by=None,
        end_reason=None,
        checklist=None,
        created_at=now,
        created_by=actor.as_dict(),
        revision=1,
        told_revision=0,
        taken_at=None,
        offer=None,
        holder=None,
        lease_until=None,
        attempts=0,
        next_try_at=now,
        last_error=None,
        erased_at=None,
    )


async def _conditions(conn: AsyncConnection, decision_id: str) -> list[str]:
    """The conditions that are open, as sentences of the network's language."""
    return [
        wording.sentence(Words(key=one.text, params={"subject": one.subject or ""}), "en-GB")
        for one in await decisions.conditions_of(conn, decision_id)
        if one.state is ConditionState.OPEN
    ]


def holder_of(reliances: tuple[Reliance, ...]) -> str | None:
    """The thumbprint of the key the shared identity is bound to."""
    return next((one.holder_thumbprint for one in reliances if one.credential == IDENTITY), None)


async def _movement(ctx: Context, ods: str, movement_id: str) -> Movement:
    async with ctx.db.read() as conn:
        return await _movement_in(conn, ods, movement_id)


async def _movement_in(conn: AsyncConnection, ods: str, movement_id: str) -> Movement:
    movement = await movements.get(conn, ods, movement_id)
    if movement is None:
        raise NotFound
    return movement


async def get(ctx: Context, ods: str, movement_id: str) -> Placement:
    """A movement's placement; NotFound where there is none."""
    async with ctx.db.read() as conn:
        placement = await placements.get(conn, ods, movement_id)
    if placement is None:
        raise NotFound
    return placement


async def find(
    ctx: Context, ods: str, query: PageQuery, *, state: PlacementState | None
) -> tuple[list[Placement], str | None]:
    """A page of a host's placements, newest first."""
    async with ctx.db.read() as conn:
        return await placements.page(conn, ods, query, state=state)


async def end(ctx: Context, ods: str, movement_id: str, checklist: Checklist, actor: Actor) -> Placement:
    """End a placement with its checklist; for one that ended by itself, record the checklist.

    Raises:
        NotFound: no such placement of this host.
        Conflict: it was ended with another checklist.
    """
    before = await get(ctx, ods, movement_id)
    async with ctx.db.write() as conn:
        movement = await movements.held(conn, movement_id)
        assert movement is not None  # noqa: S101 - a foreign key says so
        done = checklist.as_dict()
        ended = await following.end(ctx, conn, movement, EndReason.CLOSED, actor, done)
        if ended:
            await refresh(ctx, conn, movement_id, actor=actor)
        elif await placements.check_off(conn, movement_id, done):
            await ctx.audit.record(
                conn,
                kind="placement.checked_off",
                subject_ref=movement_id,
                actor=actor.as_dict(),
                organisation=ods,
            )
    failpoints.hit(failpoints.AFTER_ENDED)
    after = await get(ctx, ods, movement_id)
    if not ended and before.checklist is not None and dict(before.checklist) != done:
        raise Conflict("The placement has ended, with another checklist.")
    return after


async def tend(ctx: Context) -> int:
    """Begin, end and forget what is due by the calendar; how many placements were looked at."""
    now = ctx.clock.now()
    today = london_day(now)
    async with ctx.db.read() as conn:
        beginning = await placements.to_begin(conn, today)
        over = await placements.over(conn, today)
        outlived = await placements.outlived(conn)
    done = [await alone(one, _end_if_over(ctx, one, today)) for one in over]
    done += [await alone(one, _look(ctx, one)) for one in (*beginning, *outlived)]
    async with ctx.db.write() as conn:
        await placements.forget_people(conn, received_before=now - PERSON_KEPT_FOR)
    return sum(done)


async def _end_if_over(ctx: Context, movement_id: str, today: date) -> None:
    async with ctx.db.write() as conn:
        movement = await movements.held(conn, movement_id)
        placement = await placements.of_movement(conn, movement_id)
        # It may have been extended since it was read.
        if movement is not None and placement is not None and placement.end < today:
            await following.end(ctx, conn, movement, EndReason.LAST_DAY, BY_ITSELF)
            await refresh(ctx, conn, movement_id, actor=BY_ITSELF)


async def _look(ctx: Context, movement_id: str) -> None:
    async with ctx.db.write() as conn:
        await refresh(ctx, conn, movement_id, actor=BY_ITSELF, caused=False)


async def erase(ctx: Context) -> int:
    """Delete the data keys of placements that ended long enough ago; how many."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        old = await placements.erasable(conn, ended_before=now - ctx.settings.placement_retention)
    for one in old:
        async with ctx.db.write() as conn:
            await placements.erase(conn, one.movement_id, now)
            await ctx.audit.record(
                conn,
                kind="placement.facts_erased",
                subject_ref=one.movement_id,
                actor=BY_ITSELF.as_dict(),
                organisation=one.ods,
            )
    return len(old)


async def issuer(ctx: Context, ods: str) -> PlacementIssuer:
    """Where this host's issuer is; NotFound where nobody has said."""
    async with ctx.db.read() as conn:
        found = await placement_telling.issuer_of(conn, ods)
    if found is None:
        raise NotFound
    return found


async def issuer_version(ctx: Context, ods: str) -> int:
    """How often it was said where this host's issuer is."""
    async with ctx.db.read() as conn:
        found = await placement_telling.issuer_of(conn, ods)
    return found.version if found else 0


async def set_issuer(ctx: Context, ods: str, issuer_url: str, version: int, actor: Actor) -> PlacementIssuer:
    """Say where this host's issuer is; its tenant there has the same ODS code.

    Args:
        ctx: the verifier.
        ods: the host.
        issuer_url: base URL of the issuer's service.
        version: what was read; 0 where nothing was set.
        actor: who says so.

    Raises:
        Invalid: it is no https address, or the network register knows no issuer of this host there.
        RegisterTooOld: the register cannot be asked.
        PreconditionFailed: somebody has changed it since it was read.
    """
    _check_address(issuer_url)
    snapshot = await ctx.snapshots.latest()
    if snapshot is None:
        raise RegisterTooOld
    if not is_our_issuer(ctx, snapshot, issuer_url, ods):
        raise one_field(
            "/issuer_url", "not_our_issuer", "The network register knows no issuer of this trust there."
        )
    made = PlacementIssuer(
        ods=ods,
        issuer_url=issuer_url,
        changed_at=ctx.clock.now(),
        changed_by=actor.as_dict(),
        version=version + 1,
    )
    async with ctx.db.write() as conn:
        if not await placement_telling.set_issuer(conn, made):
            raise PreconditionFailed
        await ctx.audit.record(
            conn,
            kind="placement_issuer.set",
            subject_ref=ods,
            actor=actor.as_dict(),
            organisation=ods,
            details={"issuer_url": issuer_url},
        )
    return made


def _check_address(issuer_url: str) -> None:
    try:
        # Any host may be written; whether it may be called is the outbound client's to say.
        target = check_url(issuer_url, frozenset({issuer_url.removeprefix("https://").lower()}))
    except OutboundError:
        raise one_field("/issuer_url", "not_a_url", "An https address without a path is needed.") from None
    if target.url != issuer_url or issuer_url.endswith("/") or issuer_url.count("/") != 2:
        raise one_field("/issuer_url", "not_a_url", "An https address without a path is needed.")


def is_our_issuer(ctx: Context, snapshot: Snapshot, issuer_url: str, ods: str) -> bool:
    """Whether the register knows an issuer at this address that is the host's own."""
    try:
        mark = snapshot.mark_for(
            f"{issuer_url}/{ods}", roles=(MarkRole.CREDENTIAL_ISSUER,), now=ctx.clock.now()
        )
    except SnapshotError:
        return False
    return mark is not None and mark.organisation.ods_code == ods
