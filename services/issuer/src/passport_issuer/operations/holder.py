"""What a person does and sees in a session of their staff app at their own trust (design §6).

Any credential this trust issued and that still stands opens a session for its passport. A passport on hold
may still be seen, and a problem reported; a lost phone's keys open nothing. Everything is the person's own:
what belongs to others does not exist here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from passport_issuer.context import Context
from passport_issuer.operations import passports as passport_operations
from passport_issuer.operations import releases as release_operations
from passport_issuer.operations.offers import HOLDER
from passport_issuer.rules.passports import LIVE, CredentialState, PassportState, ReasonCode, shown_state
from passport_issuer.rules.releases import AGREED, CaseState, StaffDecision
from passport_issuer.store import credentials, passports
from passport_issuer.store import problem_reports as store
from passport_issuer.store import releases as release_store
from passport_issuer.store.credentials import Credential
from passport_issuer.store.offers import Offer
from passport_issuer.store.passports import Passport
from passport_issuer.store.problem_reports import MAX_OPEN, ProblemKind, ProblemReport, ProblemState
from passport_issuer.store.releases import Case
from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.holder_sessions import (
    HolderSession,
    OpenedSession,
    Presented,
    refused,
    session_over,
)
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import NotFound
from passport_shared.service.tenancy import Tenant


@dataclass(frozen=True, kw_only=True)
class OwnPassport:
    """A person's passport with the records in it, by the state people are shown."""

    passport: Passport
    records: tuple[tuple[Credential, CredentialState], ...]


async def open_session(ctx: Context, tenant: Tenant, presented: Presented) -> OpenedSession:
    """A session for the person whose credential was presented.

    Raises:
        ProtocolError: ``invalid_grant``: not ours, over, bound to another key, or of a lost phone.
    """
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        credential = await store.credential_of_digest(conn, tenant.ods, presented.issuer_jwt_sha256)
        if credential is None or credential.holder_jkt != presented.holder.thumbprint:
            raise refused("the credential was not issued here")
        passport = await passports.get_passport(conn, tenant.ods, credential.passport_id)
        lost = await store.phone_is_lost(conn, credential.passport_id)
    assert passport is not None  # noqa: S101 - a foreign key says so
    if credential.state not in LIVE or passport.state is PassportState.CLOSED or now >= credential.expires_at:
        raise refused("the credential is no longer valid")
    if lost or passport.reason_code == ReasonCode.HOLDER_KEY_LOST.value:
        raise refused("the key is blocked")
    return await ctx.holders.open(tenant.ods, presented, passport.id)


async def check_stands(ctx: Context, session: HolderSession) -> None:
    """A session is over as soon as what opened it is: its key's records ended, or its phone lost.

    Raises:
        ProtocolError: ``invalid_token``.
    """
    async with ctx.db.read() as conn:
        passport = await _passport(conn, session)
        stands = await store.key_stands(conn, session.subject, session.jkt, ctx.clock.now())
    blocked = passport.reason_code == ReasonCode.HOLDER_KEY_LOST.value
    if not stands or blocked or passport.state is PassportState.CLOSED:
        raise session_over("no record under this key counts any more")


async def own_passport(ctx: Context, session: HolderSession) -> OwnPassport:
    """The passport of the session, with what is in it and was not replaced."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        passport = await _passport(conn, session)
        held = await credentials.of_passport(conn, passport.id)
    hidden = (CredentialState.PREPARED, CredentialState.ABANDONED, CredentialState.SUPERSEDED)
    records = tuple(
        (one, shown_state(one.state, passport.state, expired=now >= one.expires_at))
        for one in held
        if one.state not in hidden
    )
    return OwnPassport(passport=passport, records=records)


async def own_offers(ctx: Context, session: HolderSession) -> list[Offer]:
    """Offers of the person that wait to be collected."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        found = await store.open_offers(conn, session.ods, session.subject, now)
    return [offer for offer in found if offer.open_at(now)]


async def own_releases(ctx: Context, session: HolderSession) -> list[Case]:
    """What other trusts asked for the person, newest first."""
    async with ctx.db.read() as conn:
        passport = await _passport(conn, session)
        return await release_store.of_person(conn, session.ods, passport.staff_id)


async def own_release(ctx: Context, session: HolderSession, release_id: str) -> Case:
    """One of them.

    Raises:
        ProtocolError: ``not_found``: there is none, or it is another person's.
    """
    async with ctx.db.read() as conn:
        passport = await _passport(conn, session)
        case = await release_store.get_case(conn, session.ods, release_id)
    if case is None or case.staff_id != passport.staff_id:
        raise not_found()
    return case


async def agree(ctx: Context, session: HolderSession, release_id: str) -> Case:
    """Say yes to a move that is asked for or released; saying it again changes nothing.

    Raises:
        ProtocolError: ``not_found``, ``conflict``.
    """
    case = await own_release(ctx, session, release_id)
    async with ctx.db.write() as conn:
        kept = await release_store.say(
            conn,
            case,
            StaffDecision.AGREED,
            in_states=(CaseState.REQUESTED, *AGREED),
            now=ctx.clock.now(),
        )
        if kept:
            await _record(ctx, conn, case, "release.agreed_by_staff")
    if not kept:
        raise await _conflict(ctx, session, release_id)
    return await own_release(ctx, session, release_id)


async def withdraw(ctx: Context, tenant: Tenant, session: HolderSession, release_id: str) -> Case:
    """Say no: while it is asked for, nobody can agree to it any more; once released, it is taken back.

    Nobody is told why. Saying it again changes nothing.

    Raises:
        ProtocolError: ``not_found``, ``conflict``.
    """
    case = await own_release(ctx, session, release_id)
    if case.state is CaseState.WITHDRAWN:
        return case
    ended: Case | None = None
    async with ctx.db.write() as conn:
        kept = await release_store.say(
            conn,
            case,
            StaffDecision.WITHDRAWN,
            in_states=(CaseState.REQUESTED, *AGREED),
            now=ctx.clock.now(),
        )
        if kept:
            # As it is under the lock: it may have been agreed to since it was read.
            now_case = await release_store.get_case(conn, session.ods, release_id)
            assert now_case is not None  # noqa: S101 - it was changed above
            if now_case.state in AGREED:
                ended = await release_operations.end_release(ctx, conn, tenant, now_case)
            await _record(ctx, conn, case, "release.withdrawn_by_staff")
    if not kept:
        raise await _conflict(ctx, session, release_id)
    if ended is not None:
        await release_operations.sign_now(ctx, ended)
    return await own_release(ctx, session, release_id)


async def report(
    ctx: Context, session: HolderSession, kind: ProblemKind, about: str | None, text: str | None
) -> ProblemReport:
    """Report a problem to HR; a lost phone puts the passport on hold at once and ends its sessions (J4).

    Raises:
        ProtocolError: ``conflict``: too many reports are open already.
    """
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        passport = await _passport(conn, session)
        before = await store.of_passport(conn, passport.id)
    if kind is not ProblemKind.LOST_PHONE and _open(before) >= MAX_OPEN:
        raise ProtocolError("conflict", "enough problems are open: HR sees them all", status=409)
    made = ProblemReport(
        id=new_id(),
        ods=session.ods,
        passport_id=passport.id,
        staff_id=passport.staff_id,
        kind=kind,
        about=about,
        text=text,
        state=ProblemState.OPEN,
        reported_at=now,
        closed_at=None,
        closed_by=None,
    )
    async with ctx.db.write() as conn:
        await store.add(conn, made)
        await ctx.audit.record(
            conn,
            kind="problem.reported",
            subject_ref=passport.id,
            actor=HOLDER,
            organisation=session.ods,
            details={"report": made.id, "kind": kind.value},
        )
        if kind is ProblemKind.LOST_PHONE:
            await passport_operations.hold_in(
                ctx, conn, passport, ReasonCode.HOLDER_KEY_LOST, "holder", HOLDER
            )
            await ctx.holders.end_all(conn, session.ods, session.subject)
    return made


def _open(reports: list[ProblemReport]) -> int:
    return sum(report.state is ProblemState.OPEN for report in reports)


async def own_reports(ctx: Context, session: HolderSession) -> list[ProblemReport]:
    """The person's own reports, newest first."""
    async with ctx.db.read() as conn:
        return await store.of_passport(conn, session.subject)


async def list_reports(
    ctx: Context, tenant: Tenant, page: PageQuery, state: ProblemState | None
) -> tuple[list[ProblemReport], str | None]:
    """A page of what the trust's people reported, for HR."""
    async with ctx.db.read() as conn:
        return await store.page(conn, tenant.ods, page, state)


async def get_report(ctx: Context, tenant: Tenant, report_id: str) -> ProblemReport:
    """One report, for HR.

    Raises:
        NotFound.
    """
    async with ctx.db.read() as conn:
        found = await store.get(conn, tenant.ods, report_id)
    if found is None:
        raise NotFound
    return found


async def close_report(ctx: Context, tenant: Tenant, report_id: str, actor: Actor) -> None:
    """Close a report; closing it again changes nothing. A hold stays until HR takes the passport off hold.

    Raises:
        NotFound.
    """
    found = await get_report(ctx, tenant, report_id)
    async with ctx.db.write() as conn:
        if await store.close(conn, tenant.ods, report_id, by=actor.ref, now=ctx.clock.now()):
            await ctx.audit.record(
                conn,
                kind="problem.closed",
                subject_ref=found.passport_id,
                actor=actor.as_dict(),
                organisation=tenant.ods,
                details={"report": report_id},
            )


def not_found() -> ProtocolError:
    """Unknown, or another person's; the two are never told apart."""
    return ProtocolError("not_found", "there is nothing under this address for you", status=404)


async def _passport(conn: Any, session: HolderSession) -> Passport:
    passport = await passports.get_passport(conn, session.ods, session.subject)
    assert passport is not None  # noqa: S101 - passports are never deleted
    return passport


async def _record(ctx: Context, conn: Any, case: Case, kind: str) -> None:
    await ctx.audit.record(conn, kind=kind, subject_ref=case.id, actor=HOLDER, organisation=case.ods)


async def _conflict(ctx: Context, session: HolderSession, release_id: str) -> ProtocolError:
    case = await own_release(ctx, session, release_id)
    state = case.shown_state(ctx.clock.now()).value
    return ProtocolError("conflict", f"the release is {state}", status=409)
