"""One-time links on which a staff member without the app at hand answers to a move.

``<EID>/a/{token}``. The token is an HMAC of the link's id under a secret of the service, so that the call
that made it can be repeated and nothing of it is stored but its hash. Looking never uses a link up; the
answer does.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta

from passport_shared.formats.ids import new_id
from passport_shared.formats.strict import b64url_encode
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.wire.release import day_after
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound
from passport_verifier.operations.sealing import hashed
from passport_verifier.operations.staff_agreements import Said, answer_in
from passport_verifier.rules.movement_state import OVER, Answer
from passport_verifier.rules.movement_types import ApprovalKind, ApprovalMethod
from passport_verifier.store import agreement_links, approvals, movements
from passport_verifier.store.agreement_links import AgreementLink
from passport_verifier.store.movements import Movement

LIFE = timedelta(days=7)
SECRET = "agreement-links"  # noqa: S105 (the purpose of a secret, not one)
MAX_TOKEN_CHARS = 64

PAGE = {"ref": "staff-member", "client_id": "agreement-page", "kind": "PAGE", "asserted": False}
"""The actor of an answer on the page."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A link somebody opened, with the movement it is about and whether they have agreed already."""

    link: AgreementLink
    movement: Movement
    agreed: bool


async def create(ctx: Context, ods: str, movement_id: str, actor: Actor, claim: Claim) -> str:
    """Make a link; its id. Links made before it for the same movement run out.

    Raises:
        NotFound: no such movement of this host.
        Conflict: the movement is over.
    """
    now, link_id = ctx.clock.now(), new_id()
    token = await _token(ctx, link_id)
    async with ctx.db.write() as conn:
        movement = await movements.held(conn, movement_id)
        if movement is None or movement.ods != ods:
            raise NotFound
        if movement.state in OVER or now >= day_after(movement.end):
            raise Conflict("The movement is over: nobody can answer to it.")
        await agreement_links.close_open(conn, movement_id, now)
        link = AgreementLink(
            id=link_id,
            ods=ods,
            movement_id=movement_id,
            terms_version=movement.terms_version,
            token_hash=hashed(token),
            created_at=now,
            created_by=actor.as_dict(),
            expires_at=min(now + LIFE, day_after(movement.end)),
            used_at=None,
        )
        await agreement_links.add(conn, link)
        await ctx.audit.record(
            conn,
            kind="agreement_link.created",
            subject_ref=movement_id,
            actor=actor.as_dict(),
            organisation=ods,
            details={"link": link_id, "terms_version": movement.terms_version},
        )
        await claim.complete(conn, link_id)
    return link_id


async def get(ctx: Context, ods: str, link_id: str) -> AgreementLink:
    """One link; NotFound for an unknown one or another organisation's."""
    async with ctx.db.read() as conn:
        link = await agreement_links.get(conn, ods, link_id)
    if link is None:
        raise NotFound
    return link


async def page_url(ctx: Context, link: AgreementLink) -> str:
    """Where the staff member answers."""
    return f"{ctx.tenants.entity_id(link.ods)}/a/{await _token(ctx, link.id)}"


async def _token(ctx: Context, link_id: str) -> str:
    secret = await ctx.keys.secret(SECRET)
    return b64url_encode(hmac.new(secret, link_id.encode(), hashlib.sha256).digest())


async def opened(ctx: Context, ods: str, token: str) -> Opened | None:
    """The link behind a token, whatever its state; None for an unknown one."""
    if not 0 < len(token) <= MAX_TOKEN_CHARS:
        return None
    async with ctx.db.read() as conn:
        link = await agreement_links.by_hash(conn, ods, hashed(token))
        movement = await movements.get(conn, ods, link.movement_id) if link else None
        if link is None or movement is None:
            return None
        staff = (await approvals.newest_of(conn, movement.id)).get(ApprovalKind.STAFF)
    agreed = (
        staff is not None
        and staff.decision is Answer.AGREED
        and staff.terms_version == movement.terms_version
    )
    return Opened(link=link, movement=movement, agreed=agreed)


def answerable(ctx: Context, found: Opened) -> bool:
    """Whether the link can be answered on: unused, in time, and for the terms as they are."""
    return (
        found.link.open_at(ctx.clock.now())
        and found.movement.state not in OVER
        and found.link.terms_version == found.movement.terms_version
    )


async def answer(ctx: Context, found: Opened, *, agrees: bool, cover_opt_in: bool | None) -> bool:
    """Answer on a link, which uses it up; False where somebody used it before.

    Saying no after having agreed takes the agreement back.

    Raises:
        Conflict: the movement is over, or its terms have changed.
    """
    async with ctx.db.write() as conn:
        # The movement before its links, as who makes a newer one does: else each could wait for the other.
        await movements.held(conn, found.movement.id)
        if not await agreement_links.use(conn, found.link.id, ctx.clock.now()):
            return False
        if agrees:
            said = Answer.AGREED
        else:
            staff = (await approvals.newest_of(conn, found.movement.id)).get(ApprovalKind.STAFF)
            before = staff is not None and staff.decision is Answer.AGREED
            said = Answer.WITHDRAWN if before else Answer.DECLINED
        how = Said(
            method=ApprovalMethod.ONE_TIME_LINK,
            cover_opt_in=cover_opt_in,
            source_id=found.link.id,
            terms_version=found.link.terms_version,
        )
        await answer_in(ctx, conn, found.link.ods, found.movement.id, said, how, PAGE)
    return True
