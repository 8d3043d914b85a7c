"""Employee linking: who of our staff is whom in a workforce system.

Searching creates nothing and picks nobody: it lists candidates with what differs from our record. A named
person chooses one; the system is asked again at that moment, what it says then is compared and kept, and a
difference in name or birthdate needs a reason in words. One person there is one person here: a second link is
refused and both are told (an audit entry each, and a mark on the link that stands).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.clients.workforce import Wanted, WorkforceError, WorkforceReason
from passport_issuer.context import Context
from passport_issuer.errors import (
    CONNECTION_PAUSED,
    DIFFERENCES_NOT_ACCEPTED,
    LINK_TAKEN,
    WORKFORCE_SYSTEM_FAILED,
)
from passport_issuer.operations import connections
from passport_issuer.operations import staff as staff_operations
from passport_issuer.rules.records import ExternalId, Source, StaffMember
from passport_issuer.rules.validity import london_day
from passport_issuer.rules.workforce import (
    KIND_OF_ID,
    ConnectionState,
    ForeignPerson,
    Refusal,
    SystemType,
    source_of,
)
from passport_issuer.rules.workforce_names import HARMLESS, Comparison, Difference, compare
from passport_issuer.store import connection_links as store
from passport_issuer.store import staff as staff_store
from passport_issuer.store.connection_links import Link
from passport_issuer.store.connections import Connection
from passport_issuer.store.rows import Duplicate, VersionChanged
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.problems import (
    FieldError,
    Invalid,
    NotFound,
    PassportError,
    PreconditionFailed,
)
from passport_shared.service.tenancy import Tenant

DIFFERENCE_WORDS = {
    Difference.PREVIOUS_NAME: "The other system has ours as an earlier family name.",
    Difference.PREFERRED_NAME: "One of the two records uses the preferred name.",
    Difference.NOT_GIVEN: "The other system does not say.",
    Difference.DIFFERENT: "The two records differ.",
}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Somebody who could be the person, what differs, and who is linked to them already."""

    person: ForeignPerson
    comparison: Comparison | None
    linked_to: str | None


async def search(
    ctx: Context, tenant: Tenant, connection: Connection, staff_id: str | None, wanted: Wanted
) -> list[Candidate]:
    """Candidates for a person, best first; nobody is chosen and nothing is kept.

    Args:
        ctx: the issuer's means.
        tenant: the trust.
        connection: where to look.
        staff_id: whose record to compare with, and to search by where ``wanted`` is empty.
        wanted: details or a known identifier.

    Raises:
        NotFound: no such member of staff.
        Invalid: nothing to search by.
        PassportError: connection_paused, workforce_system_failed.
    """
    usable(connection)
    staff = await staff_operations.get(ctx, tenant, staff_id) if staff_id else None
    if staff is not None and wanted == Wanted():
        wanted = Wanted(
            given_name=staff.legal_given,
            family_name=staff.legal_family,
            birthdate=staff.birthdate.isoformat(),
        )
    if not ((wanted.family_name or "").strip() or wanted.person_id or wanted.assignment_number):
        raise Invalid("Name a member of staff, a family name, or an identifier that is known.")
    if wanted.assignment_number and connection.system_type is not SystemType.ESR:
        raise Invalid("Only ESR knows assignment numbers.", field="/assignment_number")
    try:
        async with connections.opened(ctx, connection) as system:
            people = await system.search(wanted)
    except WorkforceError as error:
        raise system_failed(error) from None
    found = []
    async with ctx.db.read() as conn:
        for person in people:
            link = await store.link_of_person(conn, connection.id, person.person_id)
            found.append(
                Candidate(
                    person=person,
                    comparison=compare(staff, person) if staff else None,
                    linked_to=link.staff_id if link else None,
                )
            )
    return sorted(found, key=_closeness)


def _closeness(candidate: Candidate) -> tuple[int, str]:
    if candidate.comparison is None:
        return 0, candidate.person.person_id
    kinds = list(Difference)
    fields = (
        candidate.comparison.birthdate,
        candidate.comparison.family_name,
        candidate.comparison.given_name,
    )
    return sum(kinds.index(kind) for kind in fields), candidate.person.person_id


async def links_of(ctx: Context, tenant: Tenant, staff_id: str) -> list[Link]:
    """All links of a person.

    Raises:
        NotFound.
    """
    await staff_operations.get(ctx, tenant, staff_id)
    async with ctx.db.read() as conn:
        return await store.links_of_staff(conn, tenant.ods, staff_id)


async def find(ctx: Context, tenant: Tenant, staff_id: str, connection_id: str) -> Link | None:
    """A person's link through one connection, None when there is none.

    Raises:
        NotFound: no such person or connection.
    """
    await staff_operations.get(ctx, tenant, staff_id)
    await connections.get(ctx, tenant, connection_id)
    async with ctx.db.read() as conn:
        return await store.get_link(conn, tenant.ods, staff_id, connection_id)


async def choose(
    ctx: Context,
    tenant: Tenant,
    staff_id: str,
    connection_id: str,
    person_id: str,
    *,
    accepted: str | None,
    read: Link | None,
    actor: Actor,
) -> Link:
    """Link a member of staff to the person somebody chose, anew or in the place of the link that was read.

    Raises:
        NotFound, PreconditionFailed.
        Invalid: the system knows no such person.
        PassportError: connection_paused, workforce_system_failed, differences_not_accepted, link_taken.
    """
    staff = await staff_operations.get(ctx, tenant, staff_id)
    connection = await connections.get(ctx, tenant, connection_id)
    usable(connection)
    person = await _asked_again(ctx, tenant, connection, person_id)
    comparison = compare(staff, person)
    if comparison.needs_reason and not accepted:
        raise PassportError(
            DIFFERENCES_NOT_ACCEPTED,
            "The other system's record differs from yours.",
            errors=_differences(comparison),
        )
    link = _link(ctx, staff, connection, person, comparison, accepted, read, actor)
    try:
        async with ctx.db.write() as conn:
            await store.write_link(conn, link, replaces=read)
            await _know_by(ctx, conn, staff, connection, person_id, read)
            await ctx.audit.record(
                conn,
                kind="staff.linked" if read is None else "staff.relinked",
                subject_ref=staff.id,
                actor=actor.as_dict(),
                organisation=tenant.ods,
                details={
                    "connection": connection.id,
                    "link": link.id,
                    "differences": comparison.as_dict(),
                    "reason_given": accepted is not None,
                },
            )
    except (VersionChanged, Duplicate) as error:
        await _refuse_second(ctx, tenant, staff, connection, person_id, actor)
        if isinstance(error, VersionChanged):
            raise PreconditionFailed from None
        raise _taken(staff.id, None) from None
    return link


async def unlink(ctx: Context, read: Link, actor: Actor) -> None:
    """Take a link away; what was gathered through it stays, with its source.

    Raises:
        PreconditionFailed.
    """
    async with ctx.db.write() as conn:
        if not await store.remove_link(conn, read):
            raise PreconditionFailed
        staff = await staff_store.get_staff(conn, read.ods, read.staff_id)
        if staff is not None:
            await _forget_id(ctx, conn, staff, read.person_id)
        await ctx.audit.record(
            conn,
            kind="staff.unlinked",
            subject_ref=read.staff_id,
            actor=actor.as_dict(),
            organisation=read.ods,
            details={"connection": read.connection_id, "link": read.id},
        )


def usable(connection: Connection) -> None:
    """Refuse to use a paused connection.

    Raises:
        PassportError: connection_paused.
    """
    if connection.state is not ConnectionState.ACTIVE:
        raise PassportError(CONNECTION_PAUSED, "The connection is paused.")


def system_failed(error: WorkforceError) -> PassportError:
    """A system's failure as a problem: what failed, never what it sent."""
    reason, words = connections.explained(error)
    return PassportError(WORKFORCE_SYSTEM_FAILED, f"{words} ({reason})", retry_after=connections.RETRY_AFTER)


async def _asked_again(ctx: Context, tenant: Tenant, connection: Connection, person_id: str) -> ForeignPerson:
    try:
        async with connections.opened(ctx, connection) as system:
            person = await system.person(person_id)
    except WorkforceError as error:
        if error.reason is WorkforceReason.NOT_FOUND:
            raise Invalid("The system knows no such person.", field="/person_id") from None
        raise system_failed(error) from None
    refusal = None
    if person.person_id != person_id:
        refusal = Refusal.OTHER_PERSON
    elif person.organisation not in (None, tenant.ods):
        refusal = Refusal.OTHER_ORGANISATION
    if refusal is not None:
        await connections.suspect(ctx, connection, refusal)
        raise PassportError(
            WORKFORCE_SYSTEM_FAILED,
            f"The system answered about somebody else ({refusal.value}). Nobody was linked.",
            retry_after=connections.RETRY_AFTER,
        )
    return person


def _differences(comparison: Comparison) -> list[FieldError]:
    return [
        FieldError(pointer=f"/{field}", code=code.lower(), detail=DIFFERENCE_WORDS[Difference(code)])
        for field, code in comparison.as_dict().items()
        if Difference(code) not in HARMLESS
    ]


def _link(
    ctx: Context,
    staff: StaffMember,
    connection: Connection,
    person: ForeignPerson,
    comparison: Comparison,
    accepted: str | None,
    read: Link | None,
    actor: Actor,
) -> Link:
    now = ctx.clock.now()
    return Link(
        id=read.id if read else new_id(),
        ods=staff.ods,
        staff_id=staff.id,
        connection_id=connection.id,
        person_id=person.person_id,
        given_name=person.given_name,
        family_name=person.family_name,
        previous_family_names=person.previous_family_names,
        birthdate=person.birthdate,
        differences=comparison.as_dict(),
        differences_accepted=accepted if comparison.needs_reason else None,
        chosen_by=actor.ref,
        chosen_at=now,
        contested_at=None,
        due_at=None,
        last_gathered_at=None,
        version=read.version + 1 if read else 1,
    )


async def _know_by(
    ctx: Context,
    conn: AsyncConnection,
    staff: StaffMember,
    connection: Connection,
    person_id: str,
    read: Link | None,
) -> None:
    """Put the system's identifier on the member of staff, so that they are found by it.

    An ESR person is one person within a trust: if another member of staff has the identifier, that is a
    second link. Identifiers of other systems are unique within their system only, of which there may be more.
    """
    kind = KIND_OF_ID[connection.system_type]
    found = await staff_store.get_staff(conn, staff.ods, staff.id)
    if found is None:
        raise NotFound
    kept = _without(found, read.person_id) if read else found.external_ids
    if any(item.kind is kind and item.value == person_id for item in found.external_ids):
        return
    owner = await staff_store.owner_of_external_id(conn, staff.ods, kind, person_id)
    if owner not in (None, staff.id):
        if connection.system_type is SystemType.ESR:
            raise Duplicate
        return
    new = ExternalId(
        system=connection.name,
        kind=kind,
        value=person_id,
        source=source_of(connection.system_type),
        since=london_day(ctx.clock.now()),
    )
    await _with_ids(ctx, conn, found, (*kept, new))


async def _forget_id(ctx: Context, conn: AsyncConnection, staff: StaffMember, person_id: str) -> None:
    """Take away the identifier that linking put there; one that was recorded by hand stays."""
    kept = _without(staff, person_id)
    if len(kept) != len(staff.external_ids):
        await _with_ids(ctx, conn, staff, kept)


def _without(staff: StaffMember, person_id: str) -> tuple[ExternalId, ...]:
    linked = (Source.ESR, Source.DSP_API)
    return tuple(i for i in staff.external_ids if i.value != person_id or i.source not in linked)


async def _with_ids(
    ctx: Context, conn: AsyncConnection, staff: StaffMember, ids: tuple[ExternalId, ...]
) -> None:
    changed = replace(staff, external_ids=ids, version=staff.version + 1, updated_at=ctx.clock.now())
    await staff_store.replace_staff(conn, changed, expected_version=staff.version)


async def _refuse_second(
    ctx: Context,
    tenant: Tenant,
    staff: StaffMember,
    connection: Connection,
    person_id: str,
    actor: Actor,
) -> None:
    """If the person is somebody else's already, tell both sides and refuse; nothing is moved.

    Raises:
        PassportError: link_taken.
    """
    async with ctx.db.write() as conn:
        standing = await store.link_of_person(conn, connection.id, person_id)
        owner = standing.staff_id if standing else None
        if owner is None:
            kind = KIND_OF_ID[connection.system_type]
            owner = await staff_store.owner_of_external_id(conn, tenant.ods, kind, person_id)
        if owner in (None, staff.id):
            return
        if standing is not None:
            await store.contest(conn, standing, ctx.clock.now())
        for subject, other in ((staff.id, owner), (str(owner), staff.id)):
            await ctx.audit.record(
                conn,
                kind="staff.link_contested",
                subject_ref=subject,
                actor=actor.as_dict(),
                organisation=tenant.ods,
                details={"connection": connection.id, "other": other},
            )
    raise _taken(staff.id, owner)


def _taken(staff_id: str, owner: str | None) -> PassportError:
    whom = f"Member of staff {owner}" if owner else "Another member of staff"
    return PassportError(
        LINK_TAKEN, f"{whom} is linked to this person; member of staff {staff_id} was not linked."
    )
