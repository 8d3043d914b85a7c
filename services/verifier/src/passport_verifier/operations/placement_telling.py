"""Telling the host's issuer what a placement is now, until it has heard it (design §6).

What is told is the present state, never a step: content, hold and end go together with a revision, so that a
call that is lost, repeated or late does no harm. A placement is leased by one statement, told without a
transaction, and recorded; a process that dies in between is followed by another after a minute. Names go with
the first telling and are erased when it has been taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.kek import KekError
from passport_shared.wire.placements import PlacementBody, PlacementPerson, PlacementPost, PlacementView
from passport_verifier.clients.placement_issuer import NotTaken, PlacementIssuerClient
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, PlacementIssuerSilent
from passport_verifier.operations import failpoints
from passport_verifier.operations.deciding import person_context
from passport_verifier.operations.placements import is_our_issuer
from passport_verifier.operations.rechecks import BY_ITSELF
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules.placements import pause_after
from passport_verifier.store import movements, placement_telling, placements, shown_decisions
from passport_verifier.store.movements import Movement
from passport_verifier.store.placements import Placement, PlacementState

AT_ONCE = 8

log = structlog.get_logger(__name__)


async def tell_due(ctx: Context) -> int:
    """Tell the issuers what they have not heard; how many placements they have taken."""
    async with ctx.db.read() as conn:
        waiting = await placement_telling.to_tell(conn, ctx.clock.now())
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(movement_id: str) -> bool:
        async with turns:
            try:
                return await tell(ctx, movement_id)
            except Exception as fault:
                # One that cannot be told holds up no other, here or in the next round.
                log.exception("placement.not_told", movement=movement_id, reason=type(fault).__name__)
                return False

    return sum(await asyncio.gather(*map(one, waiting)))


async def tell(ctx: Context, movement_id: str) -> bool:
    """Tell the issuer of one placement; whether it has taken it now."""
    holder, now = new_id(), ctx.clock.now()
    async with ctx.db.write() as conn:
        placement = await placement_telling.lease(conn, movement_id, holder, now)
    if placement is None:
        return False
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, placement.ods, movement_id)
    assert movement is not None  # noqa: S101 - a foreign key says so
    try:
        view = await _tell(ctx, placement, movement)
    except NotTaken as fault:
        pause = pause_after(placement.attempts, soon=fault.soon)
        async with ctx.db.write() as conn:
            await placement_telling.not_told(
                conn, placement, holder, error=fault.code, next_try_at=ctx.clock.now() + pause
            )
        log.warning("placement.not_taken", movement=movement_id, reason=fault.code)
        return False
    failpoints.hit(failpoints.AFTER_TOLD)
    return await _taken(ctx, placement, holder, view)


async def _taken(ctx: Context, placement: Placement, holder: str, view: PlacementView | None) -> bool:
    now, first = ctx.clock.now(), placement.taken_at is None
    async with ctx.db.write() as conn:
        # The movement before its placement and decisions, as everybody who changes them does.
        await movements.held(conn, placement.movement_id)
        kept = await placement_telling.told(
            conn,
            placement,
            holder,
            offer=offer_of(view),
            taken_at=placement.taken_at or (now if view is not None else None),
        )
        if not kept:
            return False
        if first:
            await placements.forget_person(conn, placement.movement_id)
        await ctx.audit.record(
            conn,
            kind="placement.taken_by_issuer",
            subject_ref=placement.movement_id,
            actor=BY_ITSELF.as_dict(),
            organisation=placement.ods,
            details={"revision": placement.revision},
        )
    failpoints.hit(failpoints.AFTER_TAKEN)
    return True


def offer_of(view: PlacementView | None) -> dict[str, Any] | None:
    """What is kept of the issuer's answer: links and states, for HR to show."""
    if view is None or view.offer is None:
        return None
    return {**view.offer.model_dump(mode="json"), "placement": view.state.value}


@dataclass(frozen=True, kw_only=True)
class _Call:
    client: PlacementIssuerClient
    base: str


async def _reach(ctx: Context, ods: str) -> _Call:
    """The host's own issuer, as the register knows it.

    Raises:
        NotTaken: there is none, or it is not the host's.
    """
    async with ctx.db.read() as conn:
        issuer = await placement_telling.issuer_of(conn, ods)
    if issuer is None:
        raise NotTaken("no_placement_issuer", soon=False)
    snapshot = await ctx.snapshots.latest()
    if snapshot is None:
        raise NotTaken("register_too_old", soon=True)
    if not is_our_issuer(ctx, snapshot, issuer.issuer_url, ods):
        raise NotTaken("not_our_issuer", soon=False)
    client = PlacementIssuerClient(ctx.outbound, ctx.service_client)
    return _Call(client=client, base=issuer.issuer_url)


async def _tell(ctx: Context, placement: Placement, movement: Movement) -> PlacementView | None:
    call = await _reach(ctx, placement.ods)
    told = (call.base, placement.ods, placement.movement_id)
    if placement.state is PlacementState.ENDED:
        try:
            return await call.client.step(*told, "end", placement.revision)
        except NotTaken as fault:
            if fault.code == "not_found":
                return None  # it never got there
            raise
    view = await call.client.put(*told, await _body(ctx, placement, movement))
    if placement.held_at is not None:
        step = "hold" if placement.on_hold else "reinstate"
        view = await call.client.step(*told, step, placement.revision)
    return view


async def _body(ctx: Context, placement: Placement, movement: Movement) -> PlacementBody:
    person = await _person(ctx, movement) if placement.taken_at is None else None
    return PlacementBody(
        revision=placement.revision,
        movement_type=movement.type,
        start=placement.start,
        end=placement.end,
        post=PlacementPost.model_validate(dict(placement.post)),
        holder_jkt=placement.holder_jkt,
        person=person,
    )


async def _person(ctx: Context, movement: Movement) -> PlacementPerson:
    """The sealed names of the newest answer that was confirmed.

    Raises:
        NotTaken: they are gone; the person has to share again.
    """
    async with ctx.db.read() as conn:
        shown = await shown_decisions.newest_of(conn, movement.id)
        kept = await placements.sealed_person(conn, shown.id) if shown else None
    if kept is None:
        raise NotTaken("person_forgotten", soon=False)
    decision_id, sealed = kept
    try:
        key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
        person: Mapping[str, Any] = key.open(sealed, decision_id=person_context(decision_id))
        return PlacementPerson.model_validate(dict(person))
    except (KekError, Unreadable, ValueError):
        raise NotTaken("person_unreadable", soon=False) from None


async def offer_again(ctx: Context, ods: str, movement_id: str, actor: Actor) -> Placement:
    """Have the issuer offer a placement's record again, at once.

    Raises:
        NotFound: no such placement of this host.
        Conflict: it is over, or the issuer has not taken it yet.
        PlacementIssuerSilent: the issuer cannot be reached, or refuses.
    """
    async with ctx.db.read() as conn:
        placement = await placements.get(conn, ods, movement_id)
    if placement is None:
        raise NotFound
    if placement.state is PlacementState.ENDED or placement.taken_at is None:
        raise Conflict("Nothing can be offered: the placement is over, or its issuer has not taken it yet.")
    try:
        call = await _reach(ctx, ods)
        view = await call.client.offer(call.base, ods, movement_id)
    except NotTaken as fault:
        raise PlacementIssuerSilent(fault.code) from None
    async with ctx.db.write() as conn:
        await placement_telling.keep_offer(conn, movement_id, offer_of(view))
        await ctx.audit.record(
            conn,
            kind="placement.offered_again",
            subject_ref=movement_id,
            actor=actor.as_dict(),
            organisation=ods,
        )
    return placement
