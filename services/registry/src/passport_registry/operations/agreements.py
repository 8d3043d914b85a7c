"""Agreements between organisations, recorded and published in the snapshot (minimal form)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_registry.errors import Conflict, NotFound, PreconditionFailed, fields
from passport_registry.rules.agreements import AgreementState, AgreementTerms, AgreementType, terms_faults
from passport_registry.store import agreements as store
from passport_registry.store import organisations, publications
from passport_registry.store.agreements import Agreement
from passport_registry.store.rows import VersionChanged
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim


@dataclass(frozen=True, kw_only=True)
class RecordAgreement:
    """An agreement that was made: its kind, the version and hash of its text, and its terms."""

    type: AgreementType
    version: str
    text_hash: str | None
    terms: AgreementTerms


async def record(ctx: Context, cmd: RecordAgreement, actor: Actor, claim: Claim | None = None) -> Agreement:
    """Record an agreement.

    Raises:
        Invalid: a party is no member, or the terms contradict themselves.
    """
    now = ctx.clock.now()
    terms = cmd.terms
    agreement = Agreement(
        id=new_id(),
        type=cmd.type.value,
        agreement_version=cmd.version,
        text_hash=cmd.text_hash,
        parties=list(dict.fromkeys(terms.parties)),
        movement_types=list(terms.movement_types),
        staff_groups=list(terms.staff_groups),
        max_days=terms.max_days,
        effective=terms.effective,
        expires=terms.expires,
        state=AgreementState.IN_FORCE.value,
        created_at=now,
        created_by=actor.as_dict(),
        updated_at=now,
        version=1,
    )
    async with ctx.db.write() as conn:
        members = {party for party in terms.parties if await organisations.get(conn, party) is not None}
        faults = terms_faults(terms, members)
        if faults:
            raise fields(faults)
        await store.add(conn, agreement)
        await _record(ctx, conn, "agreement.recorded", agreement, actor)
        if claim is not None:
            await claim.complete(conn, agreement.id)
    return agreement


async def _record(ctx: Context, conn: AsyncConnection, kind: str, agreement: Agreement, actor: Actor) -> None:
    await publications.changed(conn)
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=agreement.id,
        actor=actor.as_dict(),
        details={"type": agreement.type, "parties": len(agreement.parties)},
    )


async def get(ctx: Context, agreement_id: str) -> Agreement:
    """Return an agreement.

    Raises:
        NotFound: there is none.
    """
    async with ctx.db.read() as conn:
        agreement = await store.get(conn, agreement_id)
    if agreement is None:
        raise NotFound
    return agreement


async def page(ctx: Context, *, after: str | None, limit: int) -> list[Agreement]:
    """Return agreements by id, after a cursor."""
    async with ctx.db.read() as conn:
        return await store.page(conn, after=after, limit=limit)


async def end(ctx: Context, agreement_id: str, expected_version: int, actor: Actor) -> Agreement:
    """End an agreement by decision; it leaves the snapshot.

    Raises:
        NotFound: there is none.
        Conflict: it has ended.
        PreconditionFailed: it has changed since it was read.
    """
    async with ctx.db.write() as conn:
        agreement = await store.get(conn, agreement_id)
        if agreement is None:
            raise NotFound
        if agreement.version != expected_version:
            raise PreconditionFailed
        if agreement.state == AgreementState.ENDED.value:
            raise Conflict("The agreement has ended.")
        try:
            values = {"state": AgreementState.ENDED.value}
            await store.change(conn, agreement_id, expected_version, values, ctx.clock.now())
        except VersionChanged:
            raise PreconditionFailed from None
        await _record(ctx, conn, "agreement.ended", agreement, actor)
    return await get(ctx, agreement_id)
