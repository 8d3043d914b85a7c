"""Asking the employing trust to release somebody: composed, signed once, delivered by a job (ADR-0018).

A request is reserved and recorded, then signed outside the transaction, recorded again and sent; a retry
sends the same bytes. The host's words for the person are sealed under the movement's data key until the
employer has them, or delivery is given up, and erased in that same statement. Where the person has presented
already, the request names their passport instead of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats import trust
from passport_shared.formats.freshness import Freshness
from passport_shared.formats.ids import new_id
from passport_shared.formats.snapshot import MarkStanding, Snapshot, SnapshotEntity, SnapshotError
from passport_shared.formats.trust_mark import MarkRole
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.jobs import JobQueue, JobRun
from passport_shared.service.tenancy import FEDERATION, Tenant
from passport_shared.wire import release as wire
from passport_shared.wire.release import ByHolderRef, ByName, MovementAsked, ReleaseRequest
from passport_verifier.clients import issuer_releases
from passport_verifier.clients.issuer_releases import Accepted, Refused
from passport_verifier.context import Context
from passport_verifier.errors import (
    Conflict,
    EmployerNotFound,
    NotFound,
    RegisterTooOld,
    one_field,
)
from passport_verifier.operations import failpoints, gates
from passport_verifier.operations.deciding import HOLDER_REF
from passport_verifier.operations.movement_progress import ITSELF
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules.gates import Step
from passport_verifier.rules.movement_state import OVER
from passport_verifier.rules.movement_types import movement_type
from passport_verifier.rules.readiness import london_day
from passport_verifier.store import movements, release_requests, releases, shown_decisions, tables
from passport_verifier.store.movements import Movement
from passport_verifier.store.release_requests import LIVE, ReleaseRequestState, StoredRequest

DELIVER = "release_request.deliver"
MAX_ATTEMPTS = 60
GIVE_UP_AFTER = timedelta(hours=23)
"""An employer takes a request up to 24 hours after it was signed."""
FIRST_PULL = timedelta(seconds=5)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Person:
    """The host's words for the person, for the employer's HR to find them by."""

    given_name: str
    family_name: str
    note: str | None = None


async def ask(
    ctx: Context, tenant: Tenant, movement_id: str, person: Person | None, actor: Actor, claim: Claim
) -> str:
    """Compose a release request and have it delivered; its id.

    Args:
        ctx: the verifier.
        tenant: the host.
        movement_id: the movement.
        person: who is meant; None where the movement's decision says it.
        actor: who asks.
        claim: of the call.

    Raises:
        NotFound, Conflict: no such movement, it is over, needs no release, or is asked for already.
        GateNotPassed: no agreement covers it (G-A).
        EmployerNotFound: the register knows no issuer of the employing trust that may answer.
        RegisterTooOld: there is no usable snapshot of the network register.
        Invalid: nobody is named and nothing else says who is meant, or a text cannot be sent.
    """
    async with ctx.db.read() as conn:
        movement = await movements.get(conn, tenant.ods, movement_id)
    if movement is None:
        raise NotFound
    _check_may_be_asked(ctx, movement)
    movement = await gates.check_step(ctx, movement, Step.REQUEST_RELEASE, actor=actor)
    snapshot, now = await usable_snapshot(ctx), ctx.clock.now()
    issuer = employers_issuer(snapshot, movement.employing_ods, now, host=tenant.entity_id)
    if issuer is None:
        raise EmployerNotFound
    subject = await _subject(ctx, movement, person)
    claims = _claims(tenant, movement, issuer.entity_id, subject, now)
    request = _composed(ctx, movement, claims, actor, now)
    async with ctx.db.write() as conn:
        await _reserve(conn, movement, request)
        await movements.touch(conn, movement.id, at=now)
        await JobQueue(ctx.db, tables.jobs, ctx.clock).enqueue(
            DELIVER,
            {"release_request": request.id},
            owner=movement.ods,
            unique_key=f"{DELIVER}:{request.id}",
            max_attempts=MAX_ATTEMPTS,
            conn=conn,
        )
        await _audit(ctx, conn, "release_request.composed", request, actor.as_dict())
        await claim.complete(conn, request.id)
    return request.id


def _check_may_be_asked(ctx: Context, movement: Movement) -> None:
    if movement.state in OVER or movement.end < london_day(ctx.clock.now()):
        raise Conflict("The movement is over: nobody can be released for it.")
    if not movement_type(movement.type).release:
        raise Conflict("This type of move needs no release.")


async def usable_snapshot(ctx: Context) -> Snapshot:
    """The network register as it is known now.

    Raises:
        RegisterTooOld: it cannot be relied on.
    """
    snapshot = await ctx.snapshots.latest()
    if snapshot is None or snapshot.freshness(ctx.clock.now()) not in {Freshness.FRESH, Freshness.AGED}:
        raise RegisterTooOld
    return snapshot


def employers_issuer(snapshot: Snapshot, ods: str, now: datetime, *, host: str) -> SnapshotEntity | None:
    """The issuer entity of an organisation that may speak for it to this host now, or None."""
    for entity_id in snapshot.entities_of(ods):
        if issuer_standing(snapshot, entity_id, ods, now, host=host) is None:
            return snapshot.entity(entity_id, now=now)
    return None


def issuer_standing(snapshot: Snapshot, entity_id: str, ods: str, now: datetime, *, host: str) -> str | None:
    """Why an issuer may not speak for an organisation to a host now, as a code; None where it may.

    ``host`` is the host's own entity: the sandbox and real trusts release nobody to each other.
    """
    try:
        entity = snapshot.entity(entity_id, now=now)
        mark = snapshot.mark_for(entity_id, roles=(MarkRole.CREDENTIAL_ISSUER,), now=now)
    except SnapshotError:
        return "issuer_not_in_register"
    if entity is None or mark is None:
        return "issuer_not_in_register"
    if (entity.organisation.ods_code, mark.organisation.ods_code) != (ods, ods):
        return "issuer_of_another_trust"
    if mark.organisation.sandbox is not trust.of_sandbox(snapshot, host, now=now):
        return "issuer_across_sandbox"
    standing = snapshot.mark_status(mark, now=now)
    if standing is MarkStanding.VALID:
        return None
    return "issuer_suspended" if standing is MarkStanding.SUSPENDED else "issuer_not_authorised"


async def _subject(ctx: Context, movement: Movement, person: Person | None) -> ByHolderRef | ByName:
    if person is not None:
        try:
            return ByName(given_name=person.given_name, family_name=person.family_name, note=person.note)
        except ValidationError:
            raise one_field(
                "/person", "not_sendable", "A name holds characters that cannot be sent."
            ) from None
    async with ctx.db.read() as conn:
        shown = await shown_decisions.newest_of(conn, movement.id)
    reference = None
    if shown is not None:
        key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
        try:
            reference = key.open(shown.sealed, decision_id=shown.id).get(HOLDER_REF)
        except Unreadable:
            reference = None
    if reference is None:
        raise one_field(
            "/person", "needed", "Say who is meant: nobody of that trust has shared for this move."
        )
    return ByHolderRef(holder_ref=reference)


def _claims(
    tenant: Tenant, movement: Movement, issuer: str, subject: ByHolderRef | ByName, now: datetime
) -> ReleaseRequest:
    details = movement.details
    iat = now.replace(microsecond=0)
    try:
        asked = MovementAsked(
            id=movement.id,
            version=movement.terms_version,
            type=movement.type,
            role_profile=movement.role_profile,
            host_ods=movement.ods,
            employing_ods=movement.employing_ods,
            host_name=tenant.name or tenant.ods,
            sites=list(details["sites"]),
            department=details["department"],
            duties=details["duties"],
            supervisor=details["supervisor"],
            sessions=list(details["sessions"]),
            start=movement.start,
            end=movement.end,
            use_case=details["use_case"],
            workforce_group=details["workforce_group"],
            cover_reason=details["cover_reason"],
            out_of_hours_contact=details["out_of_hours_contact"],
        )
    except ValidationError as error:
        member = str(error.errors(include_url=False, include_input=False)[0]["loc"][0])
        detail = "The movement holds characters that cannot be sent: change it first."
        raise Conflict(detail, field=f"/{member}") from None
    return ReleaseRequest(
        iss=tenant.entity_id,
        aud=issuer,
        iat=iat,
        exp=min(iat + wire.REQUEST_MAX_LIFETIME, wire.day_after(movement.end)),
        jti=wire.new_jti(),
        movement=asked,
        subject=subject,
        urgent=movement_type(movement.type).recorded_agreement,
    )


def _composed(
    ctx: Context, movement: Movement, claims: ReleaseRequest, actor: Actor, now: datetime
) -> StoredRequest:
    request_id = new_id()
    key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
    return StoredRequest(
        id=request_id,
        ods=movement.ods,
        movement_id=movement.id,
        terms_version=movement.terms_version,
        employing_ods=movement.employing_ods,
        jti=claims.jti,
        issuer=claims.aud,
        by_holder_ref=isinstance(claims.subject, ByHolderRef),
        duties_sha256=wire.text_sha256(claims.movement.duties),
        last_day=movement.end,
        sealed_claims=key.seal(claims.model_dump(mode="json"), decision_id=request_id),
        sealed_message=None,
        request_sha256=None,
        state=ReleaseRequestState.COMPOSED,
        refusal=None,
        created_at=now,
        created_by=actor.as_dict(),
        answer_by=claims.exp,
        delivered_at=None,
        release_uri=None,
        etag=None,
        next_pull_at=None,
        pulls=0,
        pulled_at=None,
        last_refusal=None,
        last_refusal_sha256=None,
        last_refusal_at=None,
    )


async def _reserve(conn: AsyncConnection, movement: Movement, request: StoredRequest) -> None:
    """Store a request as the one that counts, unless one for these very terms waits or was answered."""
    held = await movements.held(conn, movement.id)
    if held is None or held.terms_version != movement.terms_version or held.state in OVER:
        raise Conflict("The movement has changed meanwhile: read it, and ask again.")
    before = await release_requests.newest_of(conn, movement.id)
    if before is not None and before.state in LIVE and before.terms_version == held.terms_version:
        newest = await releases.newest_of_request(conn, before.id)
        if newest is None or newest.state is not wire.ReleaseState.WITHDRAWN:
            raise Conflict("The employing trust has been asked already: read its answer.")
    await release_requests.replace_live(conn, movement.id)
    await release_requests.add(conn, request)


class NotDelivered(Exception):
    """The employing trust could not be reached now; the job is tried again. Carries a code only."""


async def deliver(ctx: Context, run: JobRun) -> None:
    """The job: sign what is not signed yet, send it, record what became of it.

    Raises:
        NotDelivered: it is to be tried again.
    """
    request_id = str(run.job.payload["release_request"])
    async with ctx.db.read() as conn:
        request = await release_requests.get(conn, request_id)
        movement = await movements.get(conn, request.ods, request.movement_id) if request else None
    if request is None or movement is None or request.state is not ReleaseRequestState.COMPOSED:
        return
    now = ctx.clock.now()
    if movement.state in OVER:
        await _give_up(ctx, request, ReleaseRequestState.REPLACED, "movement_over")
        return
    if now >= min(request.answer_by, request.created_at + GIVE_UP_AFTER):
        await _give_up(ctx, request, ReleaseRequestState.UNDELIVERED, "not_reached_in_time")
        return
    await _send(ctx, request, movement)


async def _send(ctx: Context, request: StoredRequest, movement: Movement) -> None:
    snapshot = await usable_snapshot(ctx)
    host = ctx.tenants.entity_id(request.ods)
    reason = issuer_standing(snapshot, request.issuer, request.employing_ods, ctx.clock.now(), host=host)
    if reason is not None:
        await _give_up(ctx, request, ReleaseRequestState.REFUSED, reason)
        return
    issuer = snapshot.entity(request.issuer, now=ctx.clock.now())
    assert issuer is not None  # noqa: S101 - it stands
    key = DataKey.unwrap(ctx.kek, movement.data_key, movement.id)
    message = await _message(ctx, request, key)
    if message is None:
        return
    failpoints.hit(failpoints.AFTER_MESSAGE_KEPT)
    answer = await issuer_releases.post_request(
        ctx.outbound,
        issuer=request.issuer,
        endpoint=issuer_releases.request_endpoint(issuer),
        jti=request.jti,
        message=message,
    )
    failpoints.hit(failpoints.AFTER_MESSAGE_POSTED)
    if isinstance(answer, Accepted):
        await _delivered(ctx, request, answer.release_uri)
    elif isinstance(answer, Refused):
        await _give_up(ctx, request, ReleaseRequestState.REFUSED, answer.reason)
    else:
        raise NotDelivered(answer.reason)


async def _message(ctx: Context, request: StoredRequest, key: DataKey) -> str | None:
    """The signed message: signed and kept by the first attempt, the same bytes in every later one."""
    if request.sealed_message is not None:
        return str(key.open(request.sealed_message, decision_id=request.id))
    if request.sealed_claims is None:
        return None
    claims = _read_claims(key.open(request.sealed_claims, decision_id=request.id))
    signing = await ctx.keys.active(FEDERATION, request.ods)
    message = wire.release_request(claims, signing)
    failpoints.hit(failpoints.AFTER_MESSAGE_SIGNED)
    async with ctx.db.write() as conn:
        kept = await release_requests.keep_message(
            conn,
            request.id,
            sealed_message=key.seal(message, decision_id=request.id),
            request_sha256=wire.text_sha256(message),
        )
    # Another replica that took the job over has signed it: its bytes are the ones that count.
    return message if kept else None


def _read_claims(sealed: Mapping[str, Any]) -> ReleaseRequest:
    instants = {name: datetime.fromisoformat(sealed[name]) for name in ("iat", "exp")}
    return ReleaseRequest.model_validate({**sealed, **instants})


async def _delivered(ctx: Context, request: StoredRequest, release_uri: str) -> None:
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        # The movement before its requests, as who asks anew does: else each could wait for the other.
        await movements.held(conn, request.movement_id)
        if await release_requests.delivered(
            conn, request.id, release_uri=release_uri, at=now, next_pull_at=now + FIRST_PULL
        ):
            await movements.touch(conn, request.movement_id, at=now)
            await _audit(ctx, conn, "release_request.delivered", request, ITSELF)
    log.info("release_request.delivered", release_request=request.id, organisation=request.ods)


async def _give_up(ctx: Context, request: StoredRequest, state: ReleaseRequestState, reason: str) -> None:
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        await movements.held(conn, request.movement_id)
        if not await release_requests.given_up(conn, request.id, state, refusal=reason):
            return
        await movements.touch(conn, request.movement_id, at=now)
        await _audit(ctx, conn, f"release_request.{state.lower()}", request, ITSELF, reason=reason)
        await ctx.outbox.emit(
            conn,
            type=f"release_request.{state.lower()}",
            subject=request.movement_id,
            organisation=request.ods,
            data={"employing_ods": request.employing_ods, "reason": reason},
        )
    log.info("release_request.given_up", release_request=request.id, reason=reason)


async def _audit(
    ctx: Context,
    conn: AsyncConnection,
    kind: str,
    request: StoredRequest,
    actor: Mapping[str, Any],
    **details: str,
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=request.movement_id,
        actor=actor,
        organisation=request.ods,
        details={"release_request": request.id, "issuer": request.issuer, **details},
    )
