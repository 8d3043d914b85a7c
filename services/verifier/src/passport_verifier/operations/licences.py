"""The licence to attend: made by itself when agreement, Release and decision are there (domain §10c J3).

No further signature is asked for. ``keep`` is called with every change of a movement's progress: it makes the
licence when its parts are complete, another one when a part is another one, and ends it when one is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id
from passport_verifier.context import Context
from passport_verifier.errors import NotFound
from passport_verifier.operations.gates import Standing
from passport_verifier.rules import licence_text
from passport_verifier.rules.movement_state import MovementState
from passport_verifier.rules.movement_types import ApprovalKind
from passport_verifier.rules.policies import policy_for
from passport_verifier.store import licences, movements
from passport_verifier.store.licences import Licence, LicenceState
from passport_verifier.store.movements import Movement
from passport_verifier.store.releases import StoredRelease

_HAS_ONE = frozenset({MovementState.READY, MovementState.ACTIVE})


async def keep(ctx: Context, conn: AsyncConnection, found: Standing, state: MovementState) -> None:
    """Make, replace or end a movement's licence, in the caller's transaction."""
    newest = await licences.newest_of(conn, found.movement.id)
    standing = newest if newest is not None and newest.state is LicenceState.IN_FORCE else None
    now = ctx.clock.now()
    # What a licence in force rests on may be judged anew; while somebody is there it stays until they leave.
    made = _made(ctx, found) if state in _HAS_ONE else None
    if made is None:
        if standing is not None and state is not MovementState.ACTIVE:
            await licences.end(conn, standing.id, LicenceState.ENDED, now)
        return
    if standing is not None:
        if standing.document_sha256 == made.document_sha256:
            return
        await licences.end(conn, standing.id, LicenceState.REPLACED, now)
    await licences.add(conn, made)
    await ctx.audit.record(
        conn,
        kind="licence_to_attend.made",
        subject_ref=found.movement.id,
        actor=_ITSELF,
        organisation=found.movement.ods,
        details={"licence": made.id, "document_sha256": made.document_sha256},
    )


_ITSELF = {"ref": "verifier", "client_id": "verifier", "kind": "MACHINE", "asserted": False}


def _made(ctx: Context, found: Standing) -> Licence | None:
    staff = found.approvals.get(ApprovalKind.STAFF)
    if staff is None or found.shown is None:
        return None
    movement, release = found.movement, found.release
    document = _document(found)
    return Licence(
        id=new_id(),
        ods=movement.ods,
        movement_id=movement.id,
        terms_version=movement.terms_version,
        text_version=licence_text.CURRENT,
        staff_approval_id=staff.id,
        staff_agreed_at=staff.at,
        release_id=release.id if release else None,
        release_serial=release.serial if release else None,
        decision_id=found.shown.id,
        document=document,
        document_sha256=licence_text.document_sha256(document),
        state=LicenceState.IN_FORCE,
        made_at=ctx.clock.now(),
        ended_at=None,
    )


def _document(found: Standing) -> Mapping[str, Any]:
    """What is hashed: the terms and the three parts; no person."""
    movement, release, shown = found.movement, found.release, found.shown
    staff = found.approvals[ApprovalKind.STAFF]
    return {
        "text": f"licence_to_attend/{licence_text.CURRENT}",
        "movement": movement.id,
        "terms_version": movement.terms_version,
        "type": movement.type,
        "role_profile": movement.role_profile,
        "observer": _observes(movement),
        "host_ods": movement.ods,
        "employing_ods": movement.employing_ods,
        "start": _first_day(movement, release).isoformat(),
        "end": movement.last_day.isoformat(),
        "sites": list(movement.details["sites"]),
        "department": movement.details["department"],
        "duties": movement.details["duties"],
        "supervisor": movement.details["supervisor"],
        "agreement": dict(movement.agreement) if movement.agreement else None,
        "staff_agreement": {"id": staff.id, "at": staff.at.isoformat(), "method": staff.method},
        "release": (
            {
                "id": release.id,
                "serial": release.serial,
                "message_sha256": release.message_sha256,
                "limits": [limit["code"] for limit in release.limits],
            }
            if release
            else None
        ),
        "decision": shown.id if shown else None,
    }


def _first_day(movement: Movement, release: StoredRelease | None) -> date:
    """The first day, where the employing trust releases the person from a later one."""
    later = release.not_before if release else None
    return max(movement.start, later) if later is not None else movement.start


def _observes(movement: Movement) -> bool:
    policy = policy_for(movement.type, movement.role_profile)
    return policy is not None and policy.profile.patient_contact == "OBSERVE"


def observes(licence: Licence) -> bool:
    """Whether it is an observer's: the role profile of its policy has no hands-on contact."""
    return bool(licence.document["observer"])


async def get(ctx: Context, ods: str, movement_id: str) -> Licence:
    """The newest licence of a movement.

    Raises:
        NotFound: no such movement of this host, or nothing has been complete yet.
    """
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, ods, movement_id)
        licence = await licences.newest_of(conn, movement_id) if movement else None
    if licence is None:
        raise NotFound("There is no licence to attend for this movement.")
    return licence
