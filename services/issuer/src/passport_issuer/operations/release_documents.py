"""Signed Releases: reserved with the decision, signed after it is committed, kept, served (security.md D1).

The claims of a Release stand in its row before anything is signed, so a crash at any moment leaves either no
Release or one that can be signed again; the first signature that is recorded is the one every host sees. The
key is the tenant's federation key, its own voice (ADR-0017).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.operations import failpoints
from passport_issuer.rules.releases import CaseState
from passport_issuer.store import releases as store
from passport_issuer.store.releases import Case, Document
from passport_shared.formats import jose
from passport_shared.service.tenancy import FEDERATION, Tenant
from passport_shared.wire.release import (
    RELEASE_TYP,
    Answer,
    AnswerDecision,
    DeclineCode,
    Limit,
    MovementReleased,
    Release,
    ReleaseState,
    Statement,
    as_claims,
    new_jti,
    release_expiry,
    text_sha256,
)

log = structlog.get_logger(__name__)

_DAYS = ("id", "version", "type", "role_profile", "host_ods", "employing_ods")


async def reserve(
    ctx: Context,
    conn: AsyncConnection,
    tenant: Tenant,
    case: Case,
    *,
    limits: tuple[Limit, ...],
    holder_ref: str | None,
) -> None:
    """Write what the Release of this case, at its serial, will say; in the transaction that decides it."""
    now = ctx.clock.now().replace(microsecond=0)
    declined = case.state is CaseState.DECLINED
    claims = Release(
        iss=tenant.entity_id,
        aud=case.requester,
        iat=now,
        exp=release_expiry(now, case.end),
        jti=new_jti(),
        release_request=case.request_jti,
        request_sha256=case.request_sha256,
        serial=case.serial,
        movement=_movement(case),
        state=ReleaseState(case.state.value),
        limits=[] if declined else list(limits),
        end=None if declined else case.released_end,
        statement=None if declined or case.statement is None else Statement(case.statement),
        decline_code=DeclineCode(case.decline_code) if declined and case.decline_code else None,
        line_manager=_answer(case.line_manager_decision, case.line_manager_at),
        hr=_answer(case.hr_decision, case.hr_at),
        overlap_warning=case.overlap_warning,
        holder_ref=None if declined else holder_ref,
    )
    document = Document(
        release_id=case.id,
        serial=case.serial,
        ods=case.ods,
        claims=as_claims(claims),
        token=None,
        reserved_at=now,
        signed_at=None,
    )
    await store.reserve(conn, document)


def _movement(case: Case) -> MovementReleased:
    days: dict[str, Any] = {name: case.movement[name] for name in _DAYS}
    return MovementReleased(
        **days, start=case.start, end=case.end, duties_sha256=text_sha256(case.movement["duties"])
    )


def _answer(decision: str | None, at: datetime | None) -> Answer | None:
    if decision is None or at is None:
        return None
    return Answer(decision=AnswerDecision(decision), at=at)


async def sign(ctx: Context, document: Document) -> None:
    """Sign a reserved Release and record it; whoever does so first decides the token."""
    key = await ctx.keys.active(FEDERATION, document.ods)
    token = jose.sign(document.claims, key, typ=RELEASE_TYP)
    failpoints.hit(failpoints.AFTER_RELEASE_SIGNED)
    async with ctx.db.write() as conn:
        await store.record_signature(conn, document, token, ctx.clock.now())


async def newest(ctx: Context, ods: str, release_id: str) -> Document | None:
    """The newest Release of a case, signed now if a crash left it unsigned."""
    document = await _newest(ctx, ods, release_id)
    if document is not None and document.token is None:
        await sign(ctx, document)
        document = await _newest(ctx, ods, release_id)
    return document


async def sign_waiting(ctx: Context) -> int:
    """Sign what is reserved and unsigned, whatever happened to who reserved it; how many."""
    async with ctx.db.read() as conn:
        waiting = await store.unsigned(conn)
    signed = 0
    for document in waiting:
        try:
            await sign(ctx, document)
            signed += 1
        except Exception as fault:
            # One trust whose key is not to be had holds up no other's.
            log.exception("release.not_signed", release=document.release_id, reason=type(fault).__name__)
    return signed


async def _newest(ctx: Context, ods: str, release_id: str) -> Document | None:
    async with ctx.db.read() as conn:
        return await store.newest_document(conn, ods, release_id)
