"""Organisations of the network and their way through onboarding (domain.md §10a, §10e)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passport_registry.context import Context
from passport_registry.errors import AlreadyExists, NotFound, PreconditionFailed, fields
from passport_registry.operations import standings
from passport_registry.operations.standings import TrustView
from passport_registry.rules.identifiers import is_ods_code
from passport_registry.rules.onboarding import Step, StepRecord, london_day, step_faults
from passport_registry.store import organisations as store
from passport_registry.store import publications
from passport_registry.store.organisations import Organisation, RecordedStep
from passport_registry.store.rows import Duplicate, VersionChanged
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim


@dataclass(frozen=True, kw_only=True)
class OrganisationDetails:
    """What may be said about an organisation; everything but its code can be changed later."""

    name: str
    aliases: Sequence[str] = ()
    locality: str | None = None
    icb: str | None = None
    ods_roles: Sequence[str] = ()
    contacts: Mapping[str, str]
    cstf_alignment: Sequence[Mapping[str, Any]] = ()
    networks: Sequence[Mapping[str, Any]] = ()

    def as_values(self) -> dict[str, Any]:
        """Return the columns these details become."""
        return {
            "name": self.name,
            "aliases": list(self.aliases),
            "locality": self.locality,
            "icb": self.icb,
            "ods_roles": list(self.ods_roles),
            "contacts": dict(self.contacts),
            "cstf_alignment": [dict(item) for item in self.cstf_alignment],
            "networks": [dict(item) for item in self.networks],
        }


async def invite(
    ctx: Context,
    ods_code: str,
    details: OrganisationDetails,
    actor: Actor,
    claim: Claim | None = None,
    *,
    sandbox: bool = False,
) -> TrustView:
    """Add an organisation to the network; it starts as INVITED. A sandbox stays one for ever.

    Raises:
        Invalid: not an ODS code.
        AlreadyExists: it is a member already.
    """
    if not is_ods_code(ods_code):
        raise fields([("ods_code", "is an ODS code in upper case, such as RBV")])
    now = ctx.clock.now()
    organisation = Organisation(
        ods_code=ods_code,
        **details.as_values(),
        sandbox=sandbox,
        created_at=now,
        created_by=actor.client_id,
        updated_at=now,
        version=1,
    )
    async with ctx.db.write() as conn:
        try:
            await store.add(conn, organisation)
        except Duplicate:
            raise AlreadyExists("An organisation with this ODS code is a member already.") from None
        await ctx.audit.record(
            conn,
            kind="organisation.invited",
            subject_ref=ods_code,
            organisation=ods_code,
            actor=actor.as_dict(),
            details={"sandbox": sandbox},
        )
        if claim is not None:
            await claim.complete(conn, ods_code)
    return await get(ctx, ods_code)


async def get(ctx: Context, ods_code: str) -> TrustView:
    """Return an organisation with everything derived about it.

    Raises:
        NotFound: it is no member.
    """
    async with ctx.db.read() as conn:
        organisation = await store.get(conn, ods_code)
        if organisation is None:
            raise NotFound
        return await standings.one(conn, organisation, ctx.clock.now())


async def page(ctx: Context, *, after: str | None, limit: int, only: str | None) -> list[TrustView]:
    """Return organisations by ODS code, after a cursor; only one if `only` names it."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        rows = await store.page(conn, after=after, limit=limit, ods_code=only)
        return await standings.of(conn, rows, now)


async def change(
    ctx: Context, ods_code: str, details: OrganisationDetails, expected_version: int, actor: Actor
) -> TrustView:
    """Replace an organisation's details.

    Raises:
        NotFound: it is no member.
        PreconditionFailed: it has changed since it was read.
    """
    values = details.as_values()
    async with ctx.db.write() as conn:
        before = await store.get(conn, ods_code)
        if before is None:
            raise NotFound
        try:
            await store.change(conn, ods_code, expected_version, values, ctx.clock.now())
        except VersionChanged:
            raise PreconditionFailed from None
        changed = sorted(name for name, value in values.items() if value != getattr(before, name))
        await ctx.audit.record(
            conn,
            kind="organisation.changed",
            subject_ref=ods_code,
            organisation=ods_code,
            actor=actor.as_dict(),
            details={"changed": changed},
        )
        await publications.changed(conn)
    return await get(ctx, ods_code)


async def steps(ctx: Context, ods_code: str) -> dict[Step, RecordedStep]:
    """Return an organisation's recorded steps.

    Raises:
        NotFound: it is no member.
    """
    async with ctx.db.read() as conn:
        if await store.get(conn, ods_code) is None:
            raise NotFound
        return await store.steps(conn, ods_code)


async def record_step(
    ctx: Context, ods_code: str, record: StepRecord, actor: Actor, *, expected_version: int | None
) -> TrustView:
    """Record where a step stands; gates and state follow by themselves.

    Args:
        ctx: the registry.
        ods_code: the organisation.
        record: the step as it stands now; `done_on` may lie in the past.
        actor: who says so.
        expected_version: the version that was read, 0 for a step nobody has recorded; None replaces whatever
            is there, for the command line.

    Raises:
        NotFound: it is no member.
        Invalid: the step contradicts itself.
        PreconditionFailed: somebody has recorded it meanwhile.
    """
    now = ctx.clock.now()
    faults = step_faults(record, london_day(now))
    if faults:
        raise fields(faults)
    async with ctx.db.write() as conn:
        if await store.get(conn, ods_code) is None:
            raise NotFound
        before = (await store.steps(conn, ods_code)).get(record.step)
        try:
            await store.record_step(
                conn, ods_code, record, version=expected_version, recorded_by=actor.as_dict(), now=now
            )
        except VersionChanged:
            raise PreconditionFailed from None
        await ctx.audit.record(
            conn,
            kind="onboarding_step.recorded",
            subject_ref=f"{ods_code}/{record.step}",
            organisation=ods_code,
            actor=actor.as_dict(),
            details={
                "before": before.record.state.value if before else "NOT_STARTED",
                "after": record.state.value,
                "done_on": record.done_on.isoformat() if record.done_on else None,
            },
        )
        await publications.changed(conn)
    return await get(ctx, ods_code)
