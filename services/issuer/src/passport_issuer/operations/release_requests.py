"""Release requests of other trusts: judged, kept once, and answered with the newest Release.

The request proves itself: it is signed with the federation key that the registry states for the host's
verifier, whose mark must be current and not suspended. Everything is read from the snapshot; nothing is
fetched. What is refused leaves no trace here but the refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from passport_issuer.context import Context
from passport_issuer.errors import (
    REGISTER_TOO_OLD,
    RELEASE_REQUEST_EXPIRED,
    RELEASE_REQUEST_REFUSED,
    RELEASE_REQUEST_REUSED,
    REQUESTER_NOT_AUTHORISED,
)
from passport_issuer.operations import failpoints, release_documents
from passport_issuer.operations.offers import REGISTER_RETRY
from passport_issuer.rules.releases import CaseState
from passport_issuer.store import releases as store
from passport_issuer.store.releases import Case
from passport_shared.formats.ids import random_token
from passport_shared.formats.snapshot import MarkStanding, Snapshot, SnapshotEntity, SnapshotError
from passport_shared.formats.trust import Freshness, of_sandbox
from passport_shared.formats.trust_mark import MarkRole
from passport_shared.service.limits import Rate
from passport_shared.service.problems import FieldError, NotFound, PassportError
from passport_shared.service.tenancy import Tenant
from passport_shared.wire.release import (
    ByHolderRef,
    ReleaseError,
    ReleaseReason,
    ReleaseRequest,
    answer_by,
    read_release_request,
    stated_issuer,
    text_sha256,
)

# A host that moves a whole rotation at once sends hundreds; beyond that a program has gone wild.
PER_ADDRESS = Rate(name="issuer.release_requests.address", limit=600, per=timedelta(minutes=1))
PER_REQUESTER = Rate(name="issuer.release_requests.requester", limit=600, per=timedelta(minutes=1))


@dataclass(frozen=True, kw_only=True)
class Received:
    """What a request became; ``created`` is False for one that was here already."""

    case: Case
    release_uri: str
    created: bool


@dataclass(frozen=True, kw_only=True)
class Served:
    """What a host reads at the release URI: the newest Release, or only the state while there is none."""

    state: CaseState
    token: str | None
    serial: int


def release_uri(tenant: Tenant, release_id: str) -> str:
    """Where the host reads the answer."""
    return f"{tenant.entity_id}/releases/{release_id}"


async def receive(ctx: Context, tenant: Tenant, token: str) -> Received:
    """Take a release request, once.

    Raises:
        PassportError: release_request_refused (400), requester_not_authorised (403), release_request_reused
            (409), register_too_old (503), too_many_requests.
    """
    try:
        requester = stated_issuer(token)
        entity = await _requester(ctx, tenant, requester)
        request = read_release_request(
            token,
            entity.statement.jwks,
            iss=requester,
            iss_ods=entity.organisation.ods_code,
            aud=tenant.entity_id,
            aud_ods=tenant.ods,
            now=ctx.clock.now(),
        )
    except ReleaseError as error:
        raise _refused(error) from None
    await ctx.limiter.spend(PER_REQUESTER, f"{tenant.ods} {requester}")
    return await _keep(ctx, tenant, request, text_sha256(token))


async def _requester(ctx: Context, tenant: Tenant, entity_id: str) -> SnapshotEntity:
    """The verifier that asks, if the registry lets it ask now."""
    now, snapshot = ctx.clock.now(), await ctx.snapshots.latest()
    if snapshot is None or snapshot.freshness(now) not in (Freshness.FRESH, Freshness.AGED):
        raise PassportError(
            REGISTER_TOO_OLD,
            "The network register has not been read recently enough.",
            retry_after=REGISTER_RETRY,
        )
    try:
        entity = snapshot.entity(entity_id, now=now)
        mark = snapshot.mark_for(entity_id, roles=(MarkRole.CREDENTIAL_VERIFIER,), now=now)
    except SnapshotError:
        raise _not_authorised("The register's statement about the requester does not hold.") from None
    if entity is None:
        raise _not_authorised("The register does not know the requester.")
    if mark is None or mark.organisation.ods_code != entity.organisation.ods_code:
        raise _not_authorised("The requester has no current mark as a verifier.")
    if mark.organisation.sandbox is not of_sandbox(snapshot, tenant.entity_id, now=now):
        raise _not_authorised("The sandbox and trusts that work ask nothing of each other.")
    _check_standing(snapshot.mark_status(mark, now=now))
    return entity


def _check_standing(standing: MarkStanding) -> None:
    if standing is MarkStanding.UNAVAILABLE:
        raise PassportError(
            REGISTER_TOO_OLD,
            "The register does not say now whether the requester is suspended.",
            retry_after=REGISTER_RETRY,
        )
    if standing is MarkStanding.SUSPENDED:
        raise _not_authorised("The requester is suspended.")
    if standing is not MarkStanding.VALID:
        raise _not_authorised("The requester's mark was taken back.")


def _not_authorised(detail: str) -> PassportError:
    return PassportError(REQUESTER_NOT_AUTHORISED, detail)


def _refused(error: ReleaseError) -> PassportError:
    claim = error.detail if error.reason in _NAMES_A_CLAIM else ""
    pointer = "/" + claim.replace(".", "/") if claim else ""
    detail = f"The release request is refused: {error.reason.value}."
    fault = FieldError(pointer=pointer, code=error.reason.value, detail=detail)
    return PassportError(RELEASE_REQUEST_REFUSED, detail, errors=[fault])


_NAMES_A_CLAIM = frozenset({ReleaseReason.MISSING_CLAIM, ReleaseReason.BAD_CLAIM})


async def _keep(ctx: Context, tenant: Tenant, request: ReleaseRequest, sha256: str) -> Received:
    async with ctx.db.read() as conn:
        known = await store.case_of_request(conn, tenant.ods, request.iss, request.jti)
        staff_id = await _named_person(conn, tenant, request)
    if known is None:
        case = _case(tenant, request, sha256, staff_id, ctx.clock.now())
        async with ctx.db.write() as conn:
            created = await store.add_case(conn, case)
            if created:
                await _record(ctx, conn, case)
        failpoints.hit(failpoints.AFTER_RELEASE_ASKED)
        if created:
            return Received(case=case, release_uri=release_uri(tenant, case.id), created=True)
        async with ctx.db.read() as conn:
            known = await store.case_of_request(conn, tenant.ods, request.iss, request.jti)
        assert known is not None  # noqa: S101 - a unique key said so
    if known.request_sha256 != sha256:
        raise PassportError(RELEASE_REQUEST_REUSED, "The id belongs to a request with another content.")
    return Received(case=known, release_uri=release_uri(tenant, known.id), created=False)


async def _named_person(conn: Any, tenant: Tenant, request: ReleaseRequest) -> str | None:
    """Who a holder_ref names; words for a person name nobody."""
    if not isinstance(request.subject, ByHolderRef):
        return None
    staff_id = await store.passport_of_reference(conn, tenant.ods, request.subject.holder_ref)
    if staff_id is None:
        raise _refused(ReleaseError(ReleaseReason.UNKNOWN_HOLDER_REF, "subject.holder_ref"))
    return staff_id


def _case(tenant: Tenant, request: ReleaseRequest, sha256: str, staff_id: str | None, now: datetime) -> Case:
    movement = request.movement
    subject = None if staff_id else request.subject.model_dump(mode="json")
    return Case(
        id=random_token(16),
        ods=tenant.ods,
        requester=request.iss,
        request_jti=request.jti,
        request_sha256=sha256,
        host_ods=movement.host_ods,
        movement_id=movement.id,
        movement_version=movement.version,
        movement=movement.model_dump(mode="json"),
        start=movement.start,
        end=movement.end,
        urgent=request.urgent,
        subject=subject,
        staff_id=staff_id,
        linked_by="holder_ref" if staff_id else None,
        linked_at=now if staff_id else None,
        state=CaseState.REQUESTED,
        received_at=now,
        answer_by=answer_by(request),
        line_manager_decision=None,
        line_manager_at=None,
        line_manager_by=None,
        hr_decision=None,
        hr_at=None,
        hr_by=None,
        staff_decision=None,
        staff_at=None,
        limits=(),
        statement=None,
        decline_code=None,
        agreed_end=None,
        released_end=None,
        overlap_warning=False,
        serial=0,
        version=1,
    )


async def _record(ctx: Context, conn: Any, case: Case) -> None:
    actor = {"system": "release_request", "entity": case.requester}
    await ctx.audit.record(
        conn,
        kind="release_request.received",
        subject_ref=case.id,
        actor=actor,
        organisation=case.ods,
        details={
            "host": case.host_ods,
            "movement": case.movement_id,
            "movement_version": case.movement_version,
            "request_sha256": case.request_sha256,
        },
    )
    for ods, release_id in await store.supersede(conn, case):
        await ctx.audit.record(
            conn,
            kind="release_request.superseded",
            subject_ref=release_id,
            actor=actor,
            organisation=ods,
            details={"by": case.id},
        )


async def serve(ctx: Context, tenant: Tenant, release_id: str) -> Served:
    """What the release URI says now.

    Raises:
        NotFound: no such release.
        PassportError: release_request_expired (410).
    """
    async with ctx.db.read() as conn:
        case = await store.get_case(conn, tenant.ods, release_id)
    if case is None:
        raise NotFound
    state = case.shown_state(ctx.clock.now())
    if state is CaseState.EXPIRED:
        raise PassportError(RELEASE_REQUEST_EXPIRED, "The request was not answered in time.")
    document = None
    if state is not CaseState.REQUESTED:
        document = await release_documents.newest(ctx, tenant.ods, release_id)
    return Served(
        state=state,
        token=document.token if document else None,
        serial=document.serial if document else 0,
    )


def agreements_of(snapshot: Snapshot | None, case: Case) -> list[dict[str, Any]]:
    """The agreements in force on the first day between the two trusts: shown to who answers, not required."""
    if snapshot is None:
        return []
    return [
        {"id": found.id, "type": found.type, "covers_type": case.movement["type"] in found.movement_types}
        for found in snapshot.agreements_between(case.host_ods, case.ods, case.start)
    ]
