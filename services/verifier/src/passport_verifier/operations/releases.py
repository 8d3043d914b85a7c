"""Reading the employing trust's Release: pulled, verified, taken or refused by name (ADR-0018).

The host asks soon after sending, then less and less often, and at least hourly while the person is there; it
never waits to be called. What is not exactly the next answer to the request that was sent (another signer,
another request or movement, an older serial, another content under a known serial, a first answer after the
time for it) is recorded as refused and changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats.ids import new_id
from passport_shared.wire import release as wire
from passport_shared.wire.release import ExpectedRelease, Release, ReleaseError, ReleaseState
from passport_verifier.clients import issuer_releases
from passport_verifier.clients.issuer_releases import Read, Unanswered
from passport_verifier.context import Context
from passport_verifier.errors import NotFound, RegisterTooOld
from passport_verifier.operations import deciding, failpoints
from passport_verifier.operations.movement_progress import ITSELF, refresh
from passport_verifier.operations.release_requests import issuer_standing, usable_snapshot
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules.movement_state import OVER, Answer
from passport_verifier.rules.movement_types import ApprovalKind, ApprovalMethod
from passport_verifier.rules.readiness import london_day
from passport_verifier.store import approvals, movements, release_requests, releases
from passport_verifier.store.approvals import Approval
from passport_verifier.store.movements import Movement
from passport_verifier.store.release_requests import ARRIVED, LONGEST_PAUSE, StoredRequest
from passport_verifier.store.releases import StoredRelease

PULL_EVERY = timedelta(seconds=5)
FIRST_PAUSE = timedelta(seconds=5)
GROWTH = 1.5
AFTER_ANSWER = 10
"""Once there is an answer, pauses go on from about five minutes."""
AT_ONCE = 8

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class ReleaseView:
    """The employing trust's side of a movement as the host knows it.

    ``limits`` are those of the newest Release with their words, None once the data key is gone.
    """

    movement: Movement
    request: StoredRequest | None
    release: StoredRelease | None
    limits: tuple[Mapping[str, Any], ...] | None


async def view(ctx: Context, ods: str, movement_id: str) -> ReleaseView:
    """Request and newest Release of a movement; NotFound for another host's."""
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, ods, movement_id)
        if movement is None:
            raise NotFound
        request = await release_requests.newest_of(conn, movement_id)
        release = await releases.newest_of(conn, movement_id)
    return ReleaseView(
        movement=movement, request=request, release=release, limits=_limits(ctx, movement, release)
    )


def _limits(
    ctx: Context, movement: Movement, release: StoredRelease | None
) -> tuple[Mapping[str, Any], ...] | None:
    if release is None:
        return ()
    key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
    try:
        return tuple(key.open(release.sealed, decision_id=release.id)["limits"])
    except Unreadable:
        return None


async def pull_due(ctx: Context) -> int:
    """Look at every Release that is due; how many were looked at."""
    async with ctx.db.read() as conn:
        due = await release_requests.due(conn, ctx.clock.now())
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(request_id: str) -> bool:
        async with turns:
            try:
                return await pull(ctx, request_id, due_only=True)
            except Exception as fault:
                # One that cannot be looked at holds up no other; it is due again when its claim is over.
                log.exception("release.not_pulled", release_request=request_id, reason=type(fault).__name__)
                return False

    return sum(await asyncio.gather(*map(one, due)))


async def pull_now(ctx: Context, ods: str, movement_id: str) -> ReleaseView:
    """Look at a movement's Release at once, then say how it stands; NotFound for another host's movement."""
    found = await view(ctx, ods, movement_id)
    if found.request is not None and found.request.state in ARRIVED:
        await pull(ctx, found.request.id, due_only=False)
    return await view(ctx, ods, movement_id)


async def pull(ctx: Context, request_id: str, *, due_only: bool) -> bool:
    """Look at the Release of one request; False where another replica does, or it is not due."""
    async with ctx.db.write() as conn:
        request = await release_requests.take_pull(conn, request_id, ctx.clock.now(), due_only=due_only)
    if request is None or request.release_uri is None:
        return False
    answer = await issuer_releases.read_release(ctx.outbound, request.release_uri, etag=request.etag)
    failpoints.hit(failpoints.AFTER_RELEASE_READ)
    etag, pulls = request.etag, request.pulls + 1
    if isinstance(answer, Read):
        taken = await receive(ctx, request, answer.message)
        # What was refused is read again in full, so that its refusal does not hide behind an entity tag.
        etag = answer.etag if taken is not None else None
        pulls = AFTER_ANSWER if taken else pulls
    elif isinstance(answer, Unanswered):
        log.info("release.not_read", release_request=request.id, reason=answer.reason)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        await release_requests.pulled(
            conn, request.id, at=now, pulls=pulls, next_pull_at=next_pull(request, pulls, now), etag=etag
        )
    return True


def next_pull(request: StoredRequest, pulls: int, now: datetime) -> datetime | None:
    """When to look again: pauses grow from 5 s to an hour; None once the movement's last day is over."""
    if now >= wire.day_after(request.last_day):
        return None
    grown = FIRST_PAUSE.total_seconds() * GROWTH ** min(pulls, 40)
    return now + min(timedelta(seconds=grown), LONGEST_PAUSE)


async def receive(ctx: Context, request: StoredRequest, message: str) -> bool | None:
    """Judge what was read; True for a new Release, False for the known one, None where it is refused."""
    try:
        snapshot = await usable_snapshot(ctx)
    except RegisterTooOld as error:
        # The message may be in order: it is judged when the register can be read again.
        log.info("release.not_judged", release_request=request.id, reason=error.code)
        return None
    now = ctx.clock.now()
    sha256 = wire.text_sha256(message)
    try:
        release = await _verified(ctx, snapshot, request, message, now)
        return await _take(ctx, request, release, message, sha256)
    except _Refused as refused:
        await _record_refusal(ctx, request, refused.reason, sha256)
        return None


class _Refused(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def _verified(
    ctx: Context, snapshot: Any, request: StoredRequest, message: str, now: datetime
) -> Release:
    host = ctx.tenants.entity_id(request.ods)
    standing = issuer_standing(snapshot, request.issuer, request.employing_ods, now, host=host)
    if standing is not None:
        raise _Refused(standing)
    async with ctx.db.read() as conn:
        newest = await releases.newest_of_request(conn, request.id)
    try:
        release = wire.read_release(
            message,
            snapshot.entity(request.issuer, now=now).statement.jwks,
            iss=request.issuer,
            aud=host,
            now=now,
            expected=ExpectedRelease(
                release_request=request.jti,
                request_sha256=request.request_sha256 or "",
                movement_id=request.movement_id,
                movement_version=request.terms_version,
                host_ods=request.ods,
                employing_ods=request.employing_ods,
                duties_sha256=request.duties_sha256,
                after_serial=newest.serial if newest else 0,
            ),
        )
    except ReleaseError as error:
        raise _Refused(error.reason) from None
    if newest is None and release.iat > request.answer_by + wire.LEEWAY:
        raise _Refused("answered_late")
    return release


async def _take(ctx: Context, request: StoredRequest, release: Release, message: str, sha256: str) -> bool:
    """Store a verified Release in order of its serial, with all that follows from it."""
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        movement = await movements.held(conn, request.movement_id)
        if movement is None or not await release_requests.answered(conn, request.id):
            raise _Refused("request_replaced")
        newest = await releases.newest_of_request(conn, request.id)
        if newest is not None and release.serial <= newest.serial:
            if newest.message_sha256 == sha256:
                return False
            reused = release.serial == newest.serial
            raise _Refused("serial_reused" if reused else wire.ReleaseReason.SERIAL_WENT_BACK)
        if movement.state in OVER:
            raise _Refused("movement_over")
        stored = _stored(ctx, movement, request, release, message, sha256, now)
        await releases.add(conn, stored)
        await movements.touch(conn, movement.id, at=now)
        await _approvals(conn, stored, release, now)
        await ctx.audit.record(
            conn,
            kind="release.received",
            subject_ref=movement.id,
            actor=ITSELF,
            organisation=movement.ods,
            details={"release": stored.id, "serial": stored.serial, "state": stored.state},
        )
        await _bound(ctx, conn, movement, stored, now)
        await refresh(ctx, conn, movement.id, actor=ITSELF)
    failpoints.hit(failpoints.AFTER_RELEASE_TAKEN)
    log.info("release.received", movement=request.movement_id, serial=release.serial, state=release.state)
    return True


def _stored(
    ctx: Context,
    movement: Movement,
    request: StoredRequest,
    release: Release,
    message: str,
    sha256: str,
    now: datetime,
) -> StoredRelease:
    release_id = new_id()
    key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
    limits = [limit.model_dump(mode="json") for limit in release.limits]
    return StoredRelease(
        id=release_id,
        ods=movement.ods,
        movement_id=movement.id,
        request_id=request.id,
        terms_version=request.terms_version,
        serial=release.serial,
        state=release.state,
        end=release.end,
        statement=release.statement,
        decline_code=release.decline_code,
        limits=[{"code": limit["code"], "date": limit["date"]} for limit in limits],
        overlap_warning=release.overlap_warning,
        line_manager_at=release.line_manager.at if release.line_manager else None,
        hr_at=release.hr.at if release.hr else None,
        holder_commitment=(
            deciding.person_commitment(key, deciding.HOLDER_REF, release.holder_ref)
            if release.holder_ref
            else None
        ),
        message_sha256=sha256,
        sealed=key.seal({"message": message, "limits": limits}, decision_id=release_id),
        signed_at=release.iat,
        expires_at=release.exp,
        received_at=now,
    )


_ANSWERS = {
    wire.AnswerDecision.AGREED: Answer.AGREED,
    wire.AnswerDecision.DECLINED: Answer.DECLINED,
}


async def _approvals(conn: AsyncConnection, stored: StoredRelease, release: Release, now: datetime) -> None:
    """Write down the employer's two approvals as its Release states them; no person is named in it."""
    withdrawn = release.state is ReleaseState.WITHDRAWN
    for kind, answer in (
        (ApprovalKind.LINE_MANAGER, release.line_manager),
        (ApprovalKind.EMPLOYING_HR, release.hr),
    ):
        if answer is None:
            continue
        approval = Approval(
            id=new_id(),
            ods=stored.ods,
            movement_id=stored.movement_id,
            terms_version=stored.terms_version,
            kind=kind,
            decision=Answer.WITHDRAWN if withdrawn else _ANSWERS[answer.decision],
            method=ApprovalMethod.RELEASE,
            at=answer.at,
            actor={"ref": release.iss, "client_id": release.iss, "kind": "ENTITY", "asserted": False},
            channel=None,
            cover_opt_in=None,
            staff_ref=None,
            source_id=stored.id,
            recorded_at=now,
        )
        await approvals.add(conn, approval)


async def _bound(
    ctx: Context, conn: AsyncConnection, movement: Movement, stored: StoredRelease, now: datetime
) -> None:
    """Cap the last day at the one that is released; both HR teams are told when that shortens the move."""
    if stored.terms_version != movement.terms_version or stored.end is None:
        return
    cap = stored.end if stored.end < movement.end else None
    before, after = movement.last_day, stored.end
    if stored.state is ReleaseState.WITHDRAWN or not await releases.cap_end(conn, movement.id, cap, now):
        return
    if after < before:
        await _shortened(ctx, conn, movement, stored, before=before, after=after)


async def _shortened(
    ctx: Context,
    conn: AsyncConnection,
    movement: Movement,
    stored: StoredRelease,
    *,
    before: date,
    after: date,
) -> None:
    codes = [limit["code"] for limit in stored.limits]
    facts = {"from": before.isoformat(), "to": after.isoformat(), "limits": codes}
    await ctx.audit.record(
        conn,
        kind="movement.shortened",
        subject_ref=movement.id,
        actor=ITSELF,
        organisation=movement.ods,
        details={**facts, "release": stored.id, "serial": stored.serial},
    )
    await ctx.outbox.emit(
        conn,
        type="movement.shortened",
        subject=movement.id,
        organisation=movement.ods,
        data={
            **facts,
            "host_ods": movement.ods,
            "employing_ods": movement.employing_ods,
            "tell": ["HOST_HR", "EMPLOYING_HR"],
            "running": movement.start <= london_day(ctx.clock.now()),
        },
    )


async def _record_refusal(ctx: Context, request: StoredRequest, reason: str, sha256: str) -> None:
    log.info("release.refused", release_request=request.id, organisation=request.ods, reason=reason)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        # The movement before its request, as who takes a Release does: else each could wait for the other.
        await movements.held(conn, request.movement_id)
        if await release_requests.refused(conn, request.id, reason=reason, message_sha256=sha256, at=now):
            await movements.touch(conn, request.movement_id, at=now)
            await ctx.audit.record(
                conn,
                kind="release.refused",
                subject_ref=request.movement_id,
                actor=ITSELF,
                organisation=request.ods,
                details={"release_request": request.id, "reason": reason, "message_sha256": sha256},
            )
