"""Decisions as the host's people meet them: withheld until the person is confirmed, then told in plain words.

Design §4.4: the result of a request on another device goes to nobody before somebody has confirmed that the
person in front of them is the one whose records were shared; that is what a relayed QR code cannot survive.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.service.auth import Actor
from passport_shared.service.paging import PageQuery
from passport_verifier.context import Context
from passport_verifier.errors import (
    AwaitingReturn,
    Conflict,
    NotFound,
    PersonNotConfirmed,
    PersonNotMatching,
    WasRechecked,
)
from passport_verifier.operations import activity, gates
from passport_verifier.operations.deciding import person_commitment
from passport_verifier.operations.hr_users import hr_user_answer
from passport_verifier.operations.movement_progress import refresh
from passport_verifier.operations.overriding import outcome_now
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules.gates import HrUserAnswer, Step
from passport_verifier.rules.movement_types import ApprovalKind
from passport_verifier.rules.outcome import Outcome
from passport_verifier.store import decisions, movements, overrides
from passport_verifier.store.decisions import Condition, Listed, PersonMethod, Reliance
from passport_verifier.store.overrides import Override
from passport_verifier.store.requests import Flow


@dataclass(frozen=True, kw_only=True)
class ShownIdentity:
    """What stands in the document the person showed; compared, never stored."""

    family_name: str
    given_name: str
    birthdate: date


@dataclass(frozen=True, kw_only=True)
class Told:
    """A decision that may be shown, with what it says.

    ``said`` is None once the case's data key is gone, and ``dated`` empty. ``overrides`` are those in force,
    ``outcome_now`` what the decision comes to with them.
    """

    listed: Listed
    reliances: tuple[Reliance, ...]
    conditions: tuple[Condition, ...]
    said: tuple[Mapping[str, Any], ...] | None
    dated: tuple[Mapping[str, Any], ...]
    overrides: tuple[Override, ...]
    outcome_now: Outcome


def withheld(listed: Listed) -> str | None:
    """Why a decision is not shown yet: ``AWAITING_RETURN``, ``AWAITING_PERSON``, or None."""
    if listed.flow is Flow.SAME_DEVICE and listed.returned_at is None:
        return "AWAITING_RETURN"
    return "AWAITING_PERSON" if listed.decision.person_at is None else None


async def get(ctx: Context, ods: str, decision_id: str) -> Listed:
    """One decision; NotFound for an unknown one or another organisation's."""
    async with ctx.db.read() as conn:
        found = await decisions.get(conn, ods, decision_id)
    if found is None:
        raise NotFound
    return found


async def told(ctx: Context, listed: Listed) -> Told:
    """What a decision says, for one that is not withheld."""
    decision = listed.decision
    async with ctx.db.read() as conn:
        reliances = await decisions.reliances_of(conn, decision.id)
        conditions = await decisions.conditions_of(conn, decision.id)
        wrapped = await decisions.data_key_of(conn, decision.id)
        accepted = await overrides.of_request(conn, decision.request_id)
        outcome = await outcome_now(ctx, conn, decision.id)
    sealed = _open(ctx, listed, wrapped)
    return Told(
        listed=listed,
        reliances=reliances,
        conditions=conditions,
        said=tuple(sealed["said"]) if sealed else None,
        # What was sealed before there were dated checks has none.
        dated=tuple(sealed.get("dated", ())) if sealed else (),
        overrides=tuple(one for one in accepted if one.in_force(ctx.clock.now())),
        outcome_now=outcome,
    )


def _open(ctx: Context, listed: Listed, wrapped: bytes | None) -> Mapping[str, Any] | None:
    if wrapped is None:
        return None
    decision = listed.decision
    try:
        key = DataKey.unwrap(ctx.kek, wrapped, decision.case_id)
        sealed: Mapping[str, Any] = key.open(decision.sealed, decision_id=decision.id)
    except Unreadable:
        return None
    return sealed


async def find(
    ctx: Context, ods: str, query: PageQuery, *, movement_id: str | None, request_id: str | None
) -> tuple[list[Listed], str | None]:
    """A page of decisions, newest first."""
    async with ctx.db.read() as conn:
        return await decisions.page(conn, ods, query, movement_id=movement_id, request_id=request_id)


async def confirm_person(
    ctx: Context, ods: str, decision_id: str, method: PersonMethod, shown: ShownIdentity | None, actor: Actor
) -> Listed:
    """Record that the person is the one whose records were shared; once.

    Raises:
        NotFound, WasRechecked: no such decision, or a newer one replaces it.
        AwaitingReturn: a same-device answer that did not come back.
        PersonNotMatching: the document says another name or date of birth.
        GateNotPassed: who confirms has another part in the movement (G-C), or is not trained for it (G-B).
        Conflict: it was confirmed already, by another method.
    """
    found = await get(ctx, ods, decision_id)
    if found.superseded_by is not None:
        raise WasRechecked
    if withheld(found) == "AWAITING_RETURN":
        raise AwaitingReturn
    if shown is not None and not await _is_same_person(ctx, found, shown):
        await _record(ctx, found, actor, "person.not_matching", method)
        raise PersonNotMatching
    hr_user = await _hr_user(ctx, found, actor)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        # The movement before its decisions, as who ends a placement does: else each could wait for the other.
        await _check_gates(ctx, conn, found, actor, hr_user)
        await _hold_newest(conn, ods, decision_id)
        recorded = await decisions.confirm_person(
            conn, decision_id, method=method, by=actor.as_dict(), at=now
        )
        if recorded:
            await ctx.audit.record(
                conn,
                kind="person.confirmed",
                subject_ref=decision_id,
                actor=actor.as_dict(),
                organisation=ods,
                details={"method": method},
            )
            await activity.emit_confirmed(ctx, conn, found.decision, now)
            if found.decision.movement_id is not None:
                await refresh(ctx, conn, found.decision.movement_id, actor=actor)
    after = await get(ctx, ods, decision_id)
    if not recorded and after.decision.person_method is not method:
        raise Conflict("The person has been confirmed already, by another method.")
    return after


async def _hr_user(ctx: Context, found: Listed, actor: Actor) -> HrUserAnswer | None:
    """What the register says of who confirms; asked before the transaction."""
    movement_id = found.decision.movement_id
    if movement_id is None:
        return None
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, found.decision.ods, movement_id)
    return await hr_user_answer(ctx, movement, actor, ApprovalKind.HOST_HR) if movement else None


async def _check_gates(
    ctx: Context, conn: AsyncConnection, found: Listed, actor: Actor, hr_user: HrUserAnswer | None
) -> None:
    """G-B and G-C, with the movement's row held, so that nobody takes another part in it meanwhile."""
    movement_id = found.decision.movement_id
    held = await movements.held(conn, movement_id) if movement_id is not None else None
    if held is not None:
        standing = await gates.standing(ctx, conn, held)
        gates.check_held(standing, Step.CONFIRM, actor=actor, acting_as=ApprovalKind.HOST_HR, hr_user=hr_user)


async def _hold_newest(conn: AsyncConnection, ods: str, decision_id: str) -> None:
    """Hold a decision that nothing has replaced; a re-check may have come since it was read."""
    held = await decisions.hold(conn, ods, decision_id)
    if held is None or held.superseded_by is not None:
        raise WasRechecked


async def _is_same_person(ctx: Context, found: Listed, shown: ShownIdentity) -> bool:
    async with ctx.db.read() as conn:
        wrapped = await decisions.data_key_of(conn, found.decision.id)
    sealed = _open(ctx, found, wrapped)
    if sealed is None or wrapped is None:
        return False
    key = DataKey.unwrap(ctx.kek, wrapped, found.decision.case_id)
    values = {
        "family_name": shown.family_name,
        "given_name": shown.given_name,
        "birthdate": shown.birthdate.isoformat(),
    }
    return all(
        hmac.compare_digest(person_commitment(key, name, value), sealed["person"].get(name, ""))
        for name, value in values.items()
    )


async def meet_condition(ctx: Context, ods: str, decision_id: str, number: int, actor: Actor) -> Listed:
    """Record that a condition is met; repeating it changes nothing.

    Raises:
        NotFound: no such decision or condition.
        PersonNotConfirmed, WasRechecked: the decision is withheld, or replaced.
    """
    found = await get(ctx, ods, decision_id)
    if withheld(found) is not None:
        raise PersonNotConfirmed
    if found.superseded_by is not None:
        raise WasRechecked
    async with ctx.db.read() as conn:
        if number not in {one.number for one in await decisions.conditions_of(conn, decision_id)}:
            raise NotFound
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        await _hold_newest(conn, ods, decision_id)
        if await decisions.meet_condition(conn, decision_id, number, by=actor.as_dict(), at=now):
            await ctx.audit.record(
                conn,
                kind="condition.met",
                subject_ref=decision_id,
                actor=actor.as_dict(),
                organisation=ods,
                details={"number": number},
            )
    return found


async def _record(ctx: Context, found: Listed, actor: Actor, kind: str, method: PersonMethod) -> None:
    async with ctx.db.write() as conn:
        await ctx.audit.record(
            conn,
            kind=kind,
            subject_ref=found.decision.id,
            actor=actor.as_dict(),
            organisation=found.decision.ods,
            details={"method": method},
        )


async def newest(ctx: Context, ods: str, request_id: str) -> str | None:
    """The id of the newest decision from a request's answer, or None."""
    found, _ = await find(ctx, ods, PageQuery(limit=1), movement_id=None, request_id=request_id)
    return found[0].decision.id if found else None
