"""Authorisations: what an entity may issue or ask for, proposed by one and approved by another.

Proposing and approving are two acts with two actors, both kept. Whether a granted authorisation reaches the
mark depends on the entity's standing, which nobody types (`rules.entities`). Withdrawing takes one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_registry.errors import Conflict, NotFound, SecondPersonNeeded, fields
from passport_registry.operations import entities
from passport_registry.rules.authorisations import Grant, GrantState, grant_faults
from passport_registry.rules.entities import Role
from passport_registry.store import authorisations as store
from passport_registry.store import publications
from passport_registry.store.authorisations import Authorisation
from passport_registry.store.entities import Entity
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.wire import catalogue
from passport_shared.wire.four_eyes import FourEyes, Voice, four_eyes


def claim_paths(vct_base: str) -> dict[str, frozenset[tuple[str, ...]]]:
    """Return the claim paths of every credential type of this network, by `vct`."""
    return {
        catalogue.vct(vct_base, kind.name, kind.version): frozenset(claim.path for claim in kind.claims)
        for kind in catalogue.TYPES.values()
    }


async def propose(
    ctx: Context, ods_code: str, role: Role, grant: Grant, actor: Actor, claim: Claim | None = None
) -> Authorisation:
    """Propose an authorisation; it counts once somebody else approves it.

    Raises:
        NotFound: the organisation has no entity in this role.
        Invalid: it contradicts itself or the role, or names an unknown type or claim.
    """
    faults = grant_faults(grant, role=role, claim_paths=claim_paths(ctx.vct_base))
    if faults:
        raise fields(faults)
    async with ctx.db.write() as conn:
        entity = await entities.by_role(conn, ods_code, role)
        authorisation = Authorisation(
            id=new_id(),
            entity_id=entity.entity_id,
            action=grant.action.value,
            vct=grant.vct,
            territory=list(grant.territory),
            valid_from=grant.valid_from,
            valid_until=grant.valid_until,
            max_validity_s=grant.max_validity_s,
            claims=[list(path) for path in grant.claims],
            purposes=list(grant.purposes),
            test=grant.test,
            state=GrantState.PROPOSED.value,
            proposed_at=ctx.clock.now(),
            proposed_by=actor.as_dict(),
        )
        await store.add(conn, authorisation)
        await _record(
            ctx, conn, "authorisation.proposed", entity, authorisation.id, actor, {"vct": grant.vct}
        )
        if claim is not None:
            await claim.complete(conn, authorisation.id)
    return authorisation


async def _record(
    ctx: Context,
    conn: AsyncConnection,
    kind: str,
    entity: Entity,
    authorisation_id: str,
    actor: Actor,
    details: Mapping[str, Any],
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=authorisation_id,
        organisation=entity.ods_code,
        actor=actor.as_dict(),
        details={"entity_id": entity.entity_id, **details},
    )


async def get(ctx: Context, ods_code: str, role: Role, authorisation_id: str) -> Authorisation:
    """Return an authorisation.

    Raises:
        NotFound: the entity has none with this id.
    """
    async with ctx.db.read() as conn:
        entity = await entities.by_role(conn, ods_code, role)
        return await _get(conn, entity, authorisation_id)


async def _get(conn: AsyncConnection, entity: Entity, authorisation_id: str) -> Authorisation:
    found = await store.get(conn, entity.entity_id, authorisation_id)
    if found is None:
        raise NotFound
    return found


async def page(
    ctx: Context, ods_code: str, role: Role, *, after: str | None, limit: int
) -> list[Authorisation]:
    """Return the entity's authorisations by id, after a cursor.

    Raises:
        NotFound: the organisation has no entity in this role.
    """
    async with ctx.db.read() as conn:
        entity = await entities.by_role(conn, ods_code, role)
        return await store.page(conn, entity.entity_id, after=after, limit=limit)


async def approve(
    ctx: Context, ods_code: str, role: Role, authorisation_id: str, actor: Actor
) -> Authorisation:
    """Approve what somebody else proposed.

    Raises:
        NotFound: the entity has no such authorisation.
        SecondPersonNeeded: proposer and approver are not two people, as this network counts them.
        Conflict: it is no proposal any more.
    """
    async with ctx.db.write() as conn:
        entity = await entities.by_role(conn, ods_code, role)
        proposal = await _get(conn, entity, authorisation_id)
        if proposal.state != GrantState.PROPOSED:
            raise Conflict("The authorisation has been approved or withdrawn.")
        eyes = four_eyes(Voice.of(proposal.proposed_by), Voice.of(actor.as_dict()))
        if eyes is None or (eyes is FourEyes.ASSERTED and not ctx.settings.asserted_four_eyes):
            raise SecondPersonNeeded
        approved = await store.approve(
            conn,
            authorisation_id,
            approved_by=actor.as_dict(),
            four_eyes=eyes.value,
            now=ctx.clock.now(),
        )
        if not approved:
            raise Conflict("The authorisation has been approved or withdrawn.")
        details = {"vct": proposal.vct, "four_eyes": eyes.value, "proposed_by": dict(proposal.proposed_by)}
        await _record(ctx, conn, "authorisation.granted", entity, authorisation_id, actor, details)
        await publications.changed(conn)
        return await _get(conn, entity, authorisation_id)


async def withdraw(
    ctx: Context, ods_code: str, role: Role, authorisation_id: str, actor: Actor, *, reason: str
) -> Authorisation:
    """Withdraw an authorisation; what was issued under it stays usable until its own end.

    Raises:
        NotFound: the entity has no such authorisation.
        Conflict: it has been withdrawn.
    """
    async with ctx.db.write() as conn:
        entity = await entities.by_role(conn, ods_code, role)
        await _get(conn, entity, authorisation_id)
        withdrawn = await store.withdraw(
            conn, authorisation_id, withdrawn_by=actor.as_dict(), reason=reason, now=ctx.clock.now()
        )
        if not withdrawn:
            raise Conflict("The authorisation has been withdrawn.")
        await _record(
            ctx, conn, "authorisation.withdrawn", entity, authorisation_id, actor, {"reason": reason}
        )
        await publications.changed(conn)
        return await _get(conn, entity, authorisation_id)
