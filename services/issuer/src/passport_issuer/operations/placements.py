"""Temporary placements at this trust: recorded, offered to one key, held, reinstated and ended (design §6).

The host's own verifier tells us; we never ask it. Everything can be told again: the same is answered alike,
what is late changes nothing, what is newer replaces. A placement has a visitor's record and a passport of its
own, so that putting it on hold or ending it touches nothing else this trust ever issued to that person. Each
act is one transaction; nothing is signed here.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import NOT_AUTHORISED_TO_ISSUE, REGISTER_TOO_OLD, WrongState
from passport_issuer.operations import failpoints
from passport_issuer.operations.offers import REGISTER_RETRY
from passport_issuer.operations.tenants import authority_to_issue, is_stale
from passport_issuer.rules.passports import OfferState, PassportState, ReasonCode
from passport_issuer.rules.placements import TYPE, Telling, claims, content_of, telling
from passport_issuer.rules.records import EmploymentStatus, StaffMember
from passport_issuer.rules.validity import end_of_day, london_day
from passport_issuer.store import credentials, offers, passports, placements
from passport_issuer.store.offers import Offer, OfferDataset
from passport_issuer.store.passports import Passport
from passport_issuer.store.placements import NOBODY, Placement, Standing
from passport_issuer.store.staff import get_visitor, insert_staff
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.trust import Finding
from passport_shared.service.auth import Actor
from passport_shared.service.problems import Conflict, FieldError, Invalid, NotFound, PassportError
from passport_shared.service.tenancy import Tenant
from passport_shared.wire import catalogue
from passport_shared.wire.placements import PlacementBody, PlacementPerson

ISSUER = {"system": "placements"}
"""The actor of what follows from time alone."""
LIVING = (PassportState.INVITED, PassportState.IDENTITY_PENDING, PassportState.ACTIVE)


async def get(ctx: Context, tenant: Tenant, movement_id: str) -> tuple[Standing, Offer]:
    """A placement of this host with its newest offer.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        found = await placements.get(conn, tenant.ods, movement_id)
        offer = await offers.get_offer(conn, tenant.ods, found.placement.offer_id) if found else None
    if found is None or offer is None:
        raise NotFound
    return found, offer


async def put(
    ctx: Context, tenant: Tenant, movement_id: str, body: PlacementBody, actor: Actor
) -> tuple[Standing, Offer]:
    """Record a placement as the host's verifier says it is, and offer its record to the holder's key.

    Raises:
        PassportError: not_authorised_to_issue, register_too_old.
        Invalid: the first body names nobody, or something does not fit the record.
        Conflict: another person, or other content under a count of changes that is not newer.
        WrongState: the placement is over.
    """
    await _check_authority(ctx, tenant)
    async with ctx.db.read() as conn:
        known = await placements.get(conn, tenant.ods, movement_id)
    if known is None:
        if body.person is None:
            raise _invalid("/person", "required", "The first time a placement names its person.")
        if await _create(ctx, tenant, movement_id, body, body.person, actor):
            return await get(ctx, tenant, movement_id)
    await _retell(ctx, tenant, movement_id, body, actor)
    return await get(ctx, tenant, movement_id)


async def _check_authority(ctx: Context, tenant: Tenant) -> None:
    authority = await authority_to_issue(ctx, tenant, catalogue.vct(ctx.vct_base, TYPE))
    if is_stale(authority):
        detail = "The network register has not been read recently enough."
        raise PassportError(REGISTER_TOO_OLD, detail, retry_after=REGISTER_RETRY)
    assert authority is not None  # noqa: S101 - is_stale says so
    if authority.finding is not Finding.AUTHORISED:
        detail = f"The network register does not let this trust issue {TYPE} now ({authority.detail.value})."
        raise PassportError(NOT_AUTHORISED_TO_ISSUE, detail)


class _Rival(Exception):
    """Somebody else recorded the placement at the same moment: what was written is rolled back."""


async def _create(
    ctx: Context,
    tenant: Tenant,
    movement_id: str,
    body: PlacementBody,
    person: PlacementPerson,
    actor: Actor,
) -> bool:
    now = ctx.clock.now()
    visitor = _visitor(ctx, tenant, person, actor)
    passport = Passport(
        id=new_id(),
        ods=tenant.ods,
        staff_id=visitor.id,
        state=PassportState.INVITED,
        holder_ref=random_token(16),
        reason_code=None,
        created_at=now,
        created_by=actor.ref,
        first_issued_at=None,
        version=1,
    )
    content = content_of(body)
    offer, dataset = _offer(ctx, tenant, passport.id, visitor, passport.holder_ref, content, actor)
    placement = Placement(
        ods=tenant.ods,
        movement_id=movement_id,
        staff_id=visitor.id,
        passport_id=passport.id,
        offer_id=offer.id,
        movement_type=body.movement_type,
        start=body.start,
        end=body.end,
        post=content["post"],
        holder_jkt=body.holder_jkt,
        revision=body.revision,
        created_at=now,
        created_by=actor.ref,
        ended_at=None,
        erased_at=None,
    )
    try:
        async with ctx.db.write() as conn:
            await insert_staff(conn, visitor)
            await passports.add_passport(conn, passport)
            await offers.insert_offer(conn, offer, [dataset])
            if not await placements.add(conn, placement):
                raise _Rival
            await _audit(ctx, conn, "placement.recorded", placement, actor.as_dict())
    except _Rival:
        return False
    failpoints.hit(failpoints.AFTER_PLACEMENT_TOLD)
    return True


def _visitor(ctx: Context, tenant: Tenant, person: PlacementPerson, actor: Actor) -> StaffMember:
    now = ctx.clock.now()
    return StaffMember(
        id=new_id(),
        ods=tenant.ods,
        legal_given=person.given_name,
        legal_family=person.family_name,
        preferred_name=None,
        birthdate=person.birthdate,
        portrait=None,
        work_email=None,
        mobile=None,
        external_ids=(),
        employment_status=EmploymentStatus.ACTIVE,
        leaving_date=None,
        preferences={},
        version=1,
        created_at=now,
        created_by=actor.ref,
        updated_at=now,
        visiting=True,
    )


def _offer(
    ctx: Context,
    tenant: Tenant,
    passport_id: str,
    visitor: StaffMember,
    holder_ref: str,
    content: dict[str, Any],
    actor: Actor,
) -> tuple[Offer, OfferDataset]:
    """A new offer of a placement's record.

    Raises:
        Invalid: the record's schema does not hold it.
    """
    now, kind, offer_id = ctx.clock.now(), catalogue.TYPES[TYPE], random_token(16)
    person = _person(visitor)
    assert person is not None  # noqa: S101 - only a placement that is over has none
    made = claims(content, person, host_ods=tenant.ods, holder_ref=holder_ref, today=london_day(now))
    try:
        catalogue.validate_claims(kind, made)
    except catalogue.ClaimsInvalid as invalid:
        faults = [FieldError(pointer=at, code="does_not_fit", detail=text) for at, text in invalid.errors]
        raise Invalid("The record of a placement cannot say this.", faults) from None
    offer = Offer(
        id=offer_id,
        ods=tenant.ods,
        passport_id=passport_id,
        staff_id=visitor.id,
        configuration_ids=(kind.configuration_id,),
        not_held=(),
        state=OfferState.OFFERED,
        reason=None,
        reviewed=False,
        wrong_tx_codes=0,
        expires_at=now + ctx.placement_offer_lifetime,
        redeemed_at=None,
        created_at=now,
        created_by=actor.ref,
        holder_jkt=content["holder_jkt"],
    )
    dataset = OfferDataset(
        id=random_token(16),
        offer_id=offer_id,
        position=0,
        type=TYPE,
        configuration_id=kind.configuration_id,
        source_ref="placement",
        claims=made,
    )
    return offer, dataset


def _person(visitor: StaffMember | None) -> PlacementPerson | None:
    if visitor is None or visitor.birthdate == NOBODY:
        return None
    return PlacementPerson(
        given_name=visitor.legal_given, family_name=visitor.legal_family, birthdate=visitor.birthdate
    )


def _content(placement: Placement) -> dict[str, Any]:
    return {
        "movement_type": placement.movement_type,
        "start": placement.start.isoformat(),
        "end": placement.end.isoformat(),
        "post": dict(placement.post),
        "holder_jkt": placement.holder_jkt,
    }


async def _retell(ctx: Context, tenant: Tenant, movement_id: str, body: PlacementBody, actor: Actor) -> None:
    """Take what is told of a placement that exists."""
    async with ctx.db.write() as conn:
        placement, visitor, passport = await _held(conn, tenant, movement_id)
        found = telling(
            body, content=_content(placement), revision=placement.revision, person=_person(visitor)
        )
        if found in {Telling.SAME, Telling.LATE}:
            return
        if found is Telling.CONTRADICTS:
            raise Conflict("This movement has a placement that says something else.")
        if placement.ended_at is not None:
            raise WrongState("The placement is over.")
        if found is Telling.NEWER:
            await placements.change(conn, placement, revision=body.revision)
            return
        content = content_of(body)
        offer, dataset = _offer(ctx, tenant, passport.id, visitor, passport.holder_ref, content, actor)
        await _replace_offer(conn, tenant, placement, offer, dataset)
        if placement.holder_jkt != body.holder_jkt:
            await _revoke(ctx, conn, placement, ReasonCode.HOLDER_KEY_LOST)
        await placements.change(
            conn,
            placement,
            offer_id=offer.id,
            movement_type=body.movement_type,
            start=body.start,
            end=body.end,
            post=content["post"],
            holder_jkt=body.holder_jkt,
            revision=body.revision,
        )
        await _audit(ctx, conn, "placement.changed", placement, actor.as_dict())


async def _held(
    conn: AsyncConnection, tenant: Tenant, movement_id: str
) -> tuple[Placement, StaffMember, Passport]:
    """A placement with its visitor and passport, while rivals wait.

    Raises:
        NotFound.
    """
    placement = await placements.hold_row(conn, tenant.ods, movement_id)
    if placement is None:
        raise NotFound
    await passports.hold_row(conn, placement.passport_id)
    visitor = await get_visitor(conn, tenant.ods, placement.staff_id)
    passport = await passports.get_passport(conn, tenant.ods, placement.passport_id)
    assert visitor is not None  # noqa: S101 - foreign keys say so
    assert passport is not None  # noqa: S101
    return placement, visitor, passport


async def _replace_offer(
    conn: AsyncConnection, tenant: Tenant, placement: Placement, offer: Offer, dataset: OfferDataset
) -> None:
    await offers.end_offer(conn, tenant.ods, placement.offer_id, to=OfferState.WITHDRAWN, reason=None)
    await offers.insert_offer(conn, offer, [dataset])


async def offer_again(ctx: Context, tenant: Tenant, movement_id: str, actor: Actor) -> tuple[Standing, Offer]:
    """Offer a running placement's record again, in the place of the offer before; with a new PIN.

    Raises:
        NotFound, WrongState, PassportError: as ``put``.
    """
    await _check_authority(ctx, tenant)
    async with ctx.db.write() as conn:
        placement, visitor, passport = await _held(conn, tenant, movement_id)
        if placement.ended_at is not None:
            raise WrongState("The placement is over.")
        if passport.state is PassportState.ON_HOLD:
            raise WrongState("The placement is on hold.")
        offer, dataset = _offer(
            ctx, tenant, passport.id, visitor, passport.holder_ref, _content(placement), actor
        )
        await _replace_offer(conn, tenant, placement, offer, dataset)
        await placements.change(conn, placement, offer_id=offer.id)
        await _audit(ctx, conn, "placement.offered_again", placement, actor.as_dict())
    return await get(ctx, tenant, movement_id)


async def hold(
    ctx: Context, tenant: Tenant, movement_id: str, revision: int, actor: Actor
) -> tuple[Standing, Offer]:
    """Put a placement on hold; told again, or late, it changes nothing.

    Raises:
        NotFound.
    """
    return await _step(ctx, tenant, movement_id, revision, actor, to=PassportState.ON_HOLD)


async def reinstate(
    ctx: Context, tenant: Tenant, movement_id: str, revision: int, actor: Actor
) -> tuple[Standing, Offer]:
    """Take a placement off hold; told again, or late, it changes nothing.

    Raises:
        NotFound.
    """
    return await _step(ctx, tenant, movement_id, revision, actor, to=PassportState.ACTIVE)


async def _step(
    ctx: Context, tenant: Tenant, movement_id: str, revision: int, actor: Actor, *, to: PassportState
) -> tuple[Standing, Offer]:
    held = to is PassportState.ON_HOLD
    async with ctx.db.write() as conn:
        placement, _, passport = await _held(conn, tenant, movement_id)
        if revision >= placement.revision and placement.ended_at is None:
            if held:
                # No reason code: why is the employing trust's to say, and to the holder.
                changed = await passports.change_state(
                    conn, passport.id, come_from=LIVING, to=PassportState.ON_HOLD, reason=None
                )
            else:
                changed = await passports.reinstate(conn, passport.id)
            await placements.change(conn, placement, revision=revision)
            if changed:
                await credentials.touch_passport(conn, passport.id)
                kind = "placement.held" if held else "placement.reinstated"
                await _audit(ctx, conn, kind, placement, actor.as_dict())
    return await get(ctx, tenant, movement_id)


async def end(
    ctx: Context, tenant: Tenant, movement_id: str, revision: int, actor: Actor
) -> tuple[Standing, Offer]:
    """End a placement: its record is no longer valid, whatever was told before. Told again it stays ended.

    Raises:
        NotFound.
    """
    async with ctx.db.write() as conn:
        placement, _, _ = await _held(conn, tenant, movement_id)
        await _end(ctx, conn, placement, actor.as_dict())
        await placements.change(conn, placement, revision=max(revision, placement.revision))
    failpoints.hit(failpoints.AFTER_PLACEMENT_STEP)
    return await get(ctx, tenant, movement_id)


async def _end(ctx: Context, conn: AsyncConnection, placement: Placement, actor: dict[str, Any]) -> None:
    if placement.ended_at is not None:
        return
    await offers.end_offer(conn, placement.ods, placement.offer_id, to=OfferState.WITHDRAWN, reason=None)
    await offers.revoke_tokens(conn, placement.offer_id, ctx.clock.now())
    await _revoke(ctx, conn, placement, ReasonCode.PLACEMENT_ENDED)
    await passports.change_state(
        conn,
        placement.passport_id,
        come_from=(*LIVING, PassportState.ON_HOLD),
        to=PassportState.CLOSED,
        reason=ReasonCode.PLACEMENT_ENDED,
    )
    await credentials.touch_passport(conn, placement.passport_id)
    await placements.change(conn, placement, ended_at=ctx.clock.now())
    await _audit(ctx, conn, "placement.ended", placement, actor)


async def _revoke(ctx: Context, conn: AsyncConnection, placement: Placement, reason: ReasonCode) -> None:
    ids = [one.id for one in await credentials.of_passport(conn, placement.passport_id)]
    await credentials.revoke(conn, ids, reason, ctx.clock.now())


async def tidy(ctx: Context) -> int:
    """End placements whose last day has gone by, and forget visitors after the retention; how many of both.

    The verifier ends its placements itself; this is for one that cannot be heard.
    """
    now, done = ctx.clock.now(), 0
    async with ctx.db.read() as conn:
        over = await placements.over(conn, last_day_before=london_day(now))
        old = await placements.erasable(conn, ended_before=now - ctx.placement_retention)
    for one in over:
        async with ctx.db.write() as conn:
            held = await placements.hold_row(conn, one.ods, one.movement_id)
            # It may have been extended since it was read.
            if held is not None and held.ended_at is None and now >= end_of_day(held.end):
                await passports.hold_row(conn, held.passport_id)
                await _end(ctx, conn, held, ISSUER)
                done += 1
    for one in old:
        async with ctx.db.write() as conn:
            held = await placements.hold_row(conn, one.ods, one.movement_id)
            if held is not None and held.erased_at is None:
                await placements.erase_person(conn, held, now)
                await _audit(ctx, conn, "placement.person_erased", held, ISSUER)
                done += 1
    return done


async def _audit(
    ctx: Context, conn: AsyncConnection, kind: str, placement: Placement, actor: dict[str, Any]
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=placement.movement_id,
        actor=actor,
        organisation=placement.ods,
        details={"passport": placement.passport_id},
    )


def _invalid(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(detail, [FieldError(pointer=pointer, code=code, detail=detail)], field=pointer)
