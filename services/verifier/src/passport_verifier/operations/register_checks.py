"""The host's own look-up of a regulator's register, recorded: what the register showed, when, and who looked.

The number itself is not stored: a commitment under the case's data key is enough to know later that it was
the number the staff member showed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.wire.regulators import number_has_form
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, one_field
from passport_verifier.operations.sealing import DataKey
from passport_verifier.rules.evidence import APPROVER, RegisterLookUp, RegisterStatus, number_text
from passport_verifier.store import movements, register_checks, requests, watches
from passport_verifier.store.register_checks import RegisterCheck

LEEWAY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class NewRegisterCheck:
    """One look-up, for a movement or for a request without one (exactly one of the ids)."""

    movement_id: str | None
    presentation_request_id: str | None
    regulator: str
    number: str
    status: RegisterStatus
    licence: bool | None
    source: str
    checked_at: datetime


async def create(ctx: Context, ods: str, new: NewRegisterCheck, actor: Actor, claim: Claim) -> str:
    """Record a look-up; its id.

    Raises:
        NotFound: no such movement or request of this organisation.
        Invalid: the number has not its regulator's form, or the look-up lies in the future.
    """
    now = ctx.clock.now()
    number = "".join(new.number.split()).upper()
    if not number_has_form(new.regulator, number):
        raise one_field("/number", "number_form", "This is not how this regulator writes its numbers.")
    if new.checked_at > now + LEEWAY:
        raise one_field("/checked_at", "in_future", "A look-up cannot be in the future.")
    case_id, wrapped = await _case(ctx, ods, new)
    if not wrapped:
        raise Conflict("The movement's details have been deleted: nothing can be recorded for it.")
    key = DataKey.unwrap(ctx.kek, wrapped, case_id)
    check = RegisterCheck(
        id=new_id(),
        ods=ods,
        case_id=case_id,
        regulator=new.regulator,
        number_commitment=key.commit(number_text(new.regulator, number)),
        status=new.status,
        licence=new.licence,
        source=new.source,
        checked_at=new.checked_at,
        actor=actor.as_dict(),
        recorded_at=now,
    )
    async with ctx.db.write() as conn:
        await register_checks.add(conn, check)
        # A placement that runs is judged again with what was found.
        await watches.notice(conn, [case_id], now, judge_again=True)
        await ctx.audit.record(
            conn,
            kind="register_check.recorded",
            subject_ref=case_id,
            actor=actor.as_dict(),
            organisation=ods,
            details={"regulator": new.regulator, "check": check.id},
        )
        await claim.complete(conn, check.id)
    return check.id


async def _case(ctx: Context, ods: str, new: NewRegisterCheck) -> tuple[str, bytes]:
    """The case a look-up belongs to, and its wrapped data key."""
    async with ctx.db.read() as conn:
        if new.movement_id is not None:
            movement = await movements.get(conn, ods, new.movement_id)
            if movement is None:
                raise NotFound("There is no such movement of this trust.", field="/movement_id")
            return movement.id, movement.data_key
        session = await requests.session_by_id(conn, ods, new.presentation_request_id or "")
    if session is None:
        raise NotFound("There is no such request of this trust.", field="/presentation_request_id")
    return session.request.case_id, session.data_key


async def get(ctx: Context, ods: str, check_id: str) -> RegisterCheck:
    """One look-up; NotFound for an unknown one or another organisation's."""
    async with ctx.db.read() as conn:
        check = await register_checks.get(conn, ods, check_id)
    if check is None:
        raise NotFound
    return check


async def find(
    ctx: Context, ods: str, query: PageQuery, *, case_id: str | None
) -> tuple[list[RegisterCheck], str | None]:
    """A page of look-ups, newest first."""
    async with ctx.db.read() as conn:
        return await register_checks.page(conn, ods, query, case_id=case_id)


def as_look_up(check: RegisterCheck) -> RegisterLookUp:
    """A stored look-up as the rules read it."""
    return RegisterLookUp(
        regulator=check.regulator,
        number_commitment=check.number_commitment,
        status=RegisterStatus(check.status),
        licence=check.licence,
        checked_at=check.checked_at,
        by_approver=check.source == APPROVER,
    )
