"""Credential offers: made at an appointment, collected once, or sent back with a reason (journey J2).

What is offered is built from the trust's records at that moment and kept until the offer is over, so that
what the holder reviews is what is signed. A type the trust has not checked, or may not issue, is listed with
what is missing and never offered. The code and the PIN are derived, so they can be shown again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.errors import (
    GATE_NOT_PASSED,
    IDENTITY_NOT_CONFIRMED,
    NOT_AUTHORISED_TO_ISSUE,
    NOTHING_TO_ISSUE,
    REGISTER_TOO_OLD,
    WrongState,
)
from passport_issuer.operations import failpoints, notices, status_lists
from passport_issuer.operations.tenants import authority_to_issue, is_stale
from passport_issuer.rules import codes
from passport_issuer.rules.datasets import Assessment, Missing, NotHeld, assess, newest_session
from passport_issuer.rules.metadata import credential_offer
from passport_issuer.rules.notices import NoticeKind, made_at_appointment
from passport_issuer.rules.passports import OfferState, PassportState, RejectionReason
from passport_issuer.rules.records import SessionResult, StaffMember, StaffRecords
from passport_issuer.rules.validity import london_day
from passport_issuer.store import evidence, offers, passports
from passport_issuer.store.offers import Offer, OfferDataset
from passport_issuer.store.passports import Passport
from passport_issuer.store.staff import get_staff
from passport_shared.formats import strict
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.trust import Finding
from passport_shared.service import metric_names as m
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import FieldError, Invalid, NotFound, PassportError
from passport_shared.service.tenancy import Tenant
from passport_shared.wire import catalogue
from passport_shared.wire.hr_users import Duty

# The register is asked for every 30 seconds (design §4.2).
REGISTER_RETRY = timedelta(seconds=30)

HOLDER = {"ref": "holder", "client_id": "", "kind": "HOLDER", "asserted": False}
"""The actor of what a holder does on a page or through a wallet."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Links:
    """The ways to an open offer: the page for people, and the two forms wallets read."""

    page: str
    by_reference: str
    by_value: str


def offer_page(tenant: Tenant, offer_id: str) -> str:
    """The link for people."""
    return f"{tenant.entity_id}/o/{offer_id}"


def tx_code(ctx: Context, offer: Offer) -> str:
    """The PIN of an offer, for whoever has just made it."""
    return codes.tx_code(ctx.secrets.offers, offer.id)


def offer_document(ctx: Context, tenant: Tenant, offer: Offer) -> dict[str, Any]:
    """The Credential Offer a wallet reads."""
    code = codes.pre_authorized_code(ctx.secrets.offers, offer.id)
    return credential_offer(
        tenant.entity_id, list(offer.configuration_ids), code, holder_jkt=offer.holder_jkt
    )


def links(ctx: Context, tenant: Tenant, offer: Offer) -> Links:
    """Where an offer can be collected."""
    reference = f"{tenant.entity_id}/offers/{offer.id}"
    document = strict.dumps(offer_document(ctx, tenant, offer)).decode("utf-8")
    return Links(
        page=offer_page(tenant, offer.id),
        by_reference=f"openid-credential-offer://?credential_offer_uri={quote(reference, safe='')}",
        by_value=f"openid-credential-offer://?credential_offer={quote(document, safe='')}",
    )


async def assess_records(
    ctx: Context, tenant: Tenant, records: StaffRecords, holder_ref: str, types: Sequence[str] | None
) -> Assessment:
    """What can be offered to a person: records and register together.

    Raises:
        PassportError: register_too_old.
    """
    wanted = list(dict.fromkeys(types or catalogue.EMPLOYER_TYPES))
    assessment = assess(records, holder_ref, wanted, london_day(ctx.clock.now()))
    refused: list[NotHeld] = []
    for name in dict.fromkeys(dataset.type for dataset in assessment.held):
        authority = await authority_to_issue(ctx, tenant, catalogue.vct(ctx.vct_base, name))
        if is_stale(authority):
            raise PassportError(
                REGISTER_TOO_OLD,
                "The network register has not been read recently enough.",
                retry_after=REGISTER_RETRY,
            )
        assert authority is not None  # noqa: S101 - is_stale says so
        if authority.finding is not Finding.AUTHORISED:
            detail = f"The network register does not allow this now ({authority.detail.value})."
            refused.append(NotHeld(type=name, missing=(Missing(code="not_authorised", detail=detail),)))
    names = {item.type for item in refused}
    held = tuple(dataset for dataset in assessment.held if dataset.type not in names)
    return Assessment(held=held, not_held=(*assessment.not_held, *refused))


async def create(
    ctx: Context,
    tenant: Tenant,
    staff_id: str,
    types: Sequence[str] | None,
    actor: Actor,
    claim: Claim,
) -> str:
    """Offer what a person holds, all of it or the named types; the offer's id.

    Raises:
        NotFound, Invalid, WrongState.
        PassportError: gate_not_passed, identity_not_confirmed, nothing_to_issue, not_authorised_to_issue,
            register_too_old.
    """
    staff = await _staff(ctx, tenant, staff_id)
    _check_types(types)
    await check_hr_user(ctx, tenant, actor)
    async with ctx.db.read() as conn:
        records = await evidence.load_records(conn, staff)
    _check_identity(records)
    passport = await ensure_passport(ctx, staff, actor)
    failpoints.hit(failpoints.AFTER_PASSPORT_MADE)
    if passport.state in (PassportState.ON_HOLD, PassportState.CLOSED):
        raise WrongState(f"The passport is {passport.state.value}.")
    assessment = await assess_records(ctx, tenant, records, passport.holder_ref, types)
    if types is not None:
        _check_authorised(assessment)
    if not assessment.held:
        raise PassportError(
            NOTHING_TO_ISSUE, "Nothing of what was asked for is held.", errors=_missing(assessment, types)
        )
    await status_lists.ensure_lists(ctx, tenant)
    offer, datasets = _new_offer(ctx, tenant, passport, assessment, actor)
    async with ctx.db.write() as conn:
        await offers.insert_offer(conn, offer, datasets)
        await _tell(ctx, conn, offer, records, actor)
        await ctx.audit.record(
            conn,
            kind="credential_offer.created",
            subject_ref=offer.id,
            actor=actor.as_dict(),
            organisation=tenant.ods,
            details={"passport": passport.id, "configuration_ids": list(offer.configuration_ids)},
        )
        await claim.complete(conn, offer.id)
    failpoints.hit(failpoints.AFTER_OFFERED)
    ctx.counts.add(m.OFFERS_MADE)
    return offer.id


async def _tell(
    ctx: Context, conn: AsyncConnection, offer: Offer, records: StaffRecords, actor: Actor
) -> None:
    """Write to the person, unless they sit at the appointment and are shown the link."""
    session = newest_session(records)
    if made_at_appointment(session.ended_at if session else None, offer.created_at):
        return
    kind = NoticeKind.OFFER_WAITING
    await notices.queue(
        ctx, conn, kind=kind, ods=offer.ods, staff_id=offer.staff_id, about=offer.id, by=actor.ref
    )


def _new_offer(
    ctx: Context, tenant: Tenant, passport: Passport, assessment: Assessment, actor: Actor
) -> tuple[Offer, list[OfferDataset]]:
    now, offer_id = ctx.clock.now(), random_token(16)
    configuration = {name: kind.configuration_id for name, kind in catalogue.TYPES.items()}
    datasets = [
        OfferDataset(
            id=random_token(16),
            offer_id=offer_id,
            position=position,
            type=dataset.type,
            configuration_id=configuration[dataset.type],
            source_ref=dataset.source_ref,
            claims=dataset.claims,
        )
        for position, dataset in enumerate(assessment.held)
    ]
    offer = Offer(
        id=offer_id,
        ods=tenant.ods,
        passport_id=passport.id,
        staff_id=passport.staff_id,
        configuration_ids=tuple(dict.fromkeys(dataset.configuration_id for dataset in datasets)),
        not_held=tuple(as_plain(item) for item in assessment.not_held),
        state=OfferState.OFFERED,
        reason=None,
        reviewed=False,
        wrong_tx_codes=0,
        expires_at=now + ctx.offer_lifetime,
        redeemed_at=None,
        created_at=now,
        created_by=actor.ref,
    )
    return offer, datasets


def as_plain(item: NotHeld) -> dict[str, Any]:
    """What is not held, as JSON."""
    missing = [{"code": missing.code, "detail": missing.detail} for missing in item.missing]
    return {"type": item.type, "missing": missing}


async def check_hr_user(ctx: Context, tenant: Tenant, actor: Actor) -> None:
    """Gate G-B: issuing needs one of the trust's trained HR users.

    Raises:
        PassportError: gate_not_passed.
    """
    gate = await ctx.hr_users.finding(tenant.ods, actor, Duty.ISSUE)
    if not gate.holds:
        raise PassportError(GATE_NOT_PASSED, gate.detail)


def _check_types(types: Sequence[str] | None) -> None:
    for index, name in enumerate(types or ()):
        if name not in catalogue.EMPLOYER_TYPES:
            error = FieldError(pointer=f"/types/{index}", code="unknown_type", detail="No such type.")
            raise Invalid("A type is not in the catalogue.", [error], field=error.pointer)


def _check_identity(records: StaffRecords) -> None:
    session = newest_session(records)
    if session is None or session.result is not SessionResult.CONFIRMED or not session.face_matched:
        detail = "No appointment has confirmed this person's identity, or the last one did not."
        raise PassportError(IDENTITY_NOT_CONFIRMED, detail)


def _check_authorised(assessment: Assessment) -> None:
    refused = [item for item in assessment.not_held if any(m.code == "not_authorised" for m in item.missing)]
    if refused:
        names = ", ".join(item.type for item in refused)
        raise PassportError(NOT_AUTHORISED_TO_ISSUE, f"{refused[0].missing[0].detail} Types: {names}.")


def _missing(assessment: Assessment, types: Sequence[str] | None) -> list[FieldError]:
    position = {name: index for index, name in enumerate(types or ())}
    return [
        FieldError(
            pointer=f"/types/{position[item.type]}" if item.type in position else "/types",
            code=missing.code,
            detail=f"{item.type}: {missing.detail}",
        )
        for item in assessment.not_held
        for missing in item.missing
    ]


async def _staff(ctx: Context, tenant: Tenant, staff_id: str) -> StaffMember:
    async with ctx.db.read() as conn:
        staff = await get_staff(conn, tenant.ods, staff_id)
    if staff is None:
        raise NotFound
    return staff


async def ensure_passport(ctx: Context, staff: StaffMember, actor: Actor) -> Passport:
    """The person's passport at this trust, made if there is none yet."""
    async with ctx.db.read() as conn:
        found = await passports.passport_of(conn, staff.ods, staff.id)
    if found is not None:
        return found
    passport = Passport(
        id=new_id(),
        ods=staff.ods,
        staff_id=staff.id,
        state=PassportState.INVITED,
        holder_ref=random_token(16),
        reason_code=None,
        created_at=ctx.clock.now(),
        created_by=actor.ref,
        first_issued_at=None,
        version=1,
    )
    async with ctx.db.write() as conn:
        if await passports.add_passport(conn, passport):
            await ctx.audit.record(
                conn,
                kind="passport.created",
                subject_ref=passport.id,
                actor=actor.as_dict(),
                organisation=staff.ods,
                details={"staff": staff.id},
            )
            return passport
        # Somebody else was first: theirs is the person's passport.
        found = await passports.passport_of(conn, staff.ods, staff.id)
    assert found is not None  # noqa: S101 - a unique key said so
    return found


async def get(ctx: Context, tenant: Tenant, offer_id: str) -> Offer:
    """One offer.

    Raises:
        NotFound.
    """
    offer = await find(ctx, tenant, offer_id)
    if offer is None:
        raise NotFound
    return offer


async def find(ctx: Context, tenant: Tenant, offer_id: str) -> Offer | None:
    """One offer, or None; an offer whose time is over reads as expired before the sweeper says so."""
    async with ctx.db.read() as conn:
        return await offers.get_offer(conn, tenant.ods, offer_id)


async def list_for(
    ctx: Context, tenant: Tenant, staff_id: str, page: PageQuery
) -> tuple[list[Offer], str | None]:
    """A page of a person's offers."""
    await _staff(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        return await offers.list_offers(conn, tenant.ods, staff_id, page)


async def show_tx_code(ctx: Context, tenant: Tenant, offer_id: str, actor: Actor) -> None:
    """Record who looks at the PIN of an open offer again; without the record nothing is shown.

    Raises:
        NotFound, WrongState.
    """
    offer = await get(ctx, tenant, offer_id)
    if not offer.open_at(ctx.clock.now()):
        raise WrongState(f"The offer is {shown_state(offer, ctx.clock.now()).value}.")
    async with ctx.db.write() as conn:
        await ctx.audit.record(
            conn,
            kind="credential_offer.tx_code_shown",
            subject_ref=offer.id,
            actor=actor.as_dict(),
            organisation=tenant.ods,
        )


async def withdraw(ctx: Context, tenant: Tenant, offer_id: str, actor: Actor) -> Offer:
    """Take back an offer before it is collected.

    Raises:
        NotFound, WrongState.
    """
    return await _end(ctx, tenant, offer_id, OfferState.WITHDRAWN, None, actor.as_dict())


async def reject(ctx: Context, tenant: Tenant, offer_id: str, reason: RejectionReason) -> Offer:
    """Record that the holder sent the offer back, with the reason HR sees.

    Raises:
        NotFound, WrongState.
    """
    return await _end(ctx, tenant, offer_id, OfferState.REJECTED_BY_HOLDER, reason.value, HOLDER)


async def _end(
    ctx: Context, tenant: Tenant, offer_id: str, to: OfferState, reason: str | None, actor: dict[str, Any]
) -> Offer:
    offer = await get(ctx, tenant, offer_id)
    async with ctx.db.write() as conn:
        if not await offers.end_offer(conn, tenant.ods, offer_id, to=to, reason=reason):
            raise WrongState(f"The offer is {shown_state(offer, ctx.clock.now()).value}.")
        await ctx.audit.record(
            conn,
            kind="credential_offer.withdrawn" if to is OfferState.WITHDRAWN else "credential_offer.rejected",
            subject_ref=offer_id,
            actor=actor,
            organisation=tenant.ods,
            details={"reason": reason} if reason else None,
        )
    return await get(ctx, tenant, offer_id)


def shown_state(offer: Offer, now: datetime) -> OfferState:
    """The state people are shown: an offer whose time is over is expired at once."""
    if offer.state is OfferState.OFFERED and now >= offer.expires_at:
        return OfferState.EXPIRED
    return offer.state


async def give_tx_code(ctx: Context, tenant: Tenant, offer_id: str, given: str) -> bool:
    """A PIN typed on the offer page; it counts among the five tries in all. Whether it opened the review."""
    offer = await find(ctx, tenant, offer_id)
    if offer is None:
        return False
    right = codes.is_tx_code(given) and codes.tx_code_matches(ctx.secrets.offers, offer_id, given)
    async with ctx.db.write() as conn:
        counted = await offers.count_tx_code(conn, offer_id, right=right, now=ctx.clock.now())
        if counted and not right:
            await record_wrong_tx_code(ctx, conn, tenant, offer_id)
    return counted and right


async def record_wrong_tx_code(ctx: Context, conn: AsyncConnection, tenant: Tenant, offer_id: str) -> None:
    """Write down a wrong PIN that was just counted, and raise the alarm with the last one an offer takes.

    The offer's row is held by the count, so that exactly one of many guesses is the last.
    """
    kinds = ["credential_offer.tx_code_wrong"]
    offer = await offers.get_offer(conn, tenant.ods, offer_id)
    if offer is not None and offer.wrong_tx_codes >= offers.MAX_WRONG_TX_CODES:
        # Somebody holds the code and not the PIN: HR makes another offer and asks who had the link.
        kinds.append("credential_offer.tx_code_exhausted")
        log.warning("credential_offer.tx_code_exhausted", offer=offer_id, organisation=tenant.ods)
    for kind in kinds:
        await ctx.audit.record(conn, kind=kind, subject_ref=offer_id, actor=HOLDER, organisation=tenant.ods)


async def review(ctx: Context, offer: Offer) -> list[OfferDataset]:
    """What the offer would issue, for a browser that has given the PIN."""
    async with ctx.db.read() as conn:
        return [dataset for dataset in await offers.datasets_of(conn, offer.id) if dataset.claims]


async def confirm_review(ctx: Context, tenant: Tenant, offer_id: str) -> None:
    """Record that the holder said the details are right."""
    async with ctx.db.write() as conn:
        await offers.mark_reviewed(conn, offer_id)
        await ctx.audit.record(
            conn,
            kind="credential_offer.reviewed",
            subject_ref=offer_id,
            actor=HOLDER,
            organisation=tenant.ods,
        )
