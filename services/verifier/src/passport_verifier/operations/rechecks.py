"""Judging a decision again: from the sealed facts, today's register, today's status lists, today's look-up.

A re-check makes a new decision that names the one before; the old one is never changed. It happens because
somebody asks, or by itself when a status list arrives that a decision was waiting for. Certificates are
evaluated again from the chain that was kept, so a suspended issuer or a compromised key is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats import trust, x5c
from passport_shared.formats.freshness import Freshness
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.status_list import StatusListError, StatusToken
from passport_shared.service import metric_names as m
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.wire.clients import ClientKind
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, RegisterTooOld, WasRechecked
from passport_verifier.operations import activity, failpoints, policies, status_lists
from passport_verifier.operations.deciding import HOLDER_REF, Basis, Occasion, carried, decide
from passport_verifier.operations.movement_progress import refresh
from passport_verifier.operations.sealing import DataKey, Unreadable
from passport_verifier.rules.dated_checks import in_grace
from passport_verifier.rules.decision import TOLD_OF_A_CAP
from passport_verifier.rules.evidence import CredentialStanding
from passport_verifier.rules.presentation import status_at, verdict_of
from passport_verifier.rules.trust_findings import StatusFinding, standing
from passport_verifier.rules.watching import same_status
from passport_verifier.store import decisions, movements, register_checks, requests
from passport_verifier.store.decisions import Cause, Decision, Listed, Reliance, Whole

BY_ITSELF = Actor(ref="verifier", client_id="verifier", kind=ClientKind.MACHINE, asserted=False)
"""The actor of what this service does by itself."""

log = structlog.get_logger(__name__)


async def recheck(
    ctx: Context,
    ods: str,
    decision_id: str,
    actor: Actor,
    claim: Claim | None = None,
    *,
    cause: Cause = Cause.ASKED,
) -> str:
    """Judge a decision again; the id of the new one.

    Raises:
        NotFound: no such decision of this organisation.
        WasRechecked: a newer decision exists; that one is to be re-checked.
        RegisterTooOld: there is no usable snapshot of the network register.
        Conflict: the facts are gone with the movement's data key.
    """
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        before = await decisions.get(conn, ods, decision_id)
    if before is None:
        raise NotFound
    if before.superseded_by is not None:
        raise WasRechecked
    snapshot = await ctx.snapshots.latest()
    if snapshot is None or snapshot.freshness(now) is Freshness.REFUSE:
        raise RegisterTooOld
    whole = await _judged_again(ctx, before, snapshot, now, cause)
    async with ctx.db.write() as conn:
        if whole.decision.movement_id is not None:
            # The movement before its decisions, as who ends a placement does: else each could wait.
            await movements.held(conn, whole.decision.movement_id)
        held = await decisions.hold(conn, ods, decision_id)
        if held is None or held.superseded_by is not None:
            raise WasRechecked
        # What people recorded while this was judged: read where nobody can add to it any more.
        whole = carried(whole, held.decision, await decisions.conditions_of(conn, decision_id))
        if not await decisions.add_recheck(conn, whole):
            raise WasRechecked
        await ctx.audit.record(
            conn,
            kind="decision.rechecked",
            subject_ref=whole.decision.id,
            actor=actor.as_dict(),
            organisation=ods,
            details={"recheck_of": decision_id, "cause": cause},
        )
        await activity.emit_recheck(ctx, conn, whole.decision)
        if whole.decision.movement_id is not None:
            await refresh(ctx, conn, whole.decision.movement_id, actor=actor)
        await _tell_of_a_cap(ctx, conn, before.decision, whole.decision)
        if claim is not None:
            await claim.complete(conn, whole.decision.id)
    failpoints.hit(failpoints.AFTER_RECHECKED)
    ctx.counts.add(m.DECISIONS, whole.decision.outcome)
    log.info("decision.rechecked", decision=whole.decision.id, recheck_of=decision_id, cause=cause)
    return whole.decision.id


async def _tell_of_a_cap(ctx: Context, conn: AsyncConnection, before: Decision, now: Decision) -> None:
    """Tell both HR teams when the employing trust's word has brought the last day in (W8)."""
    if now.last_day < before.last_day:
        await ctx.outbox.emit(
            conn,
            type="decision.end_capped",
            subject=now.id,
            organisation=now.ods,
            data={
                "movement": now.movement_id,
                "ends_on": now.last_day.isoformat(),
                "to": [str(party) for party in TOLD_OF_A_CAP],
            },
        )


async def _judged_again(
    ctx: Context, before: Listed, snapshot: Snapshot, now: datetime, cause: Cause
) -> Whole:
    decision = before.decision
    async with ctx.db.read() as conn:
        session = await requests.session_by_id(conn, decision.ods, decision.request_id)
        reliances = await decisions.reliances_of(conn, decision.id)
        look_ups = await register_checks.of_case(conn, decision.case_id)
        chains = await decisions.chains(conn, [one.x5t_s256 for one in reliances])
    if session is None:
        raise NotFound
    if not session.data_key:
        raise Conflict("The facts of this decision have been deleted with the movement's data key.")
    key = DataKey.unwrap(ctx.kek, session.data_key, decision.case_id)
    try:
        sealed = key.open(decision.sealed, decision_id=decision.id)
    except Unreadable:
        raise Conflict("The facts of this decision cannot be read any more.") from None
    policy = await policies.pinned(ctx, session.request.policy_version)
    uris = [one.status_uri for one in reliances]
    lists = await ctx.statuses.get_many(uris, snapshot.roots, as_stored=True)
    sandbox = trust.of_sandbox(snapshot, ctx.tenants.entity_id(decision.ods), now=now)
    again = _stood_again(
        reliances, chains, lists, snapshot, now, first_day=decision.first_day, sandbox=sandbox
    )
    whole = decide(
        Basis(
            request=session.request,
            key=key,
            facts=sealed["facts"],
            person=sealed["person"],
            holder_ref=sealed.get(HOLDER_REF),
            standings={one.credential: found for one, found in again},
            reliances=[one for one, _ in again],
            look_ups=look_ups,
            registry_sequence=snapshot.sequence,
            registry_age_s=int(snapshot.age(now).total_seconds()),
            status_times={
                uri: token.iat.isoformat().replace("+00:00", "Z") for uri, token in lists.items() if token
            },
            released_until=session.released_until,
            # The host looks the register up when it decides, not every day after: what was recent enough to
            # start on stays so. Who asks by hand asks the whole question anew.
            look_ups_as_at=None if cause is Cause.ASKED else decision.received_at,
        ),
        policy,
        Occasion(cause=cause, received_at=decision.received_at, decided_at=now, recheck_of=decision.id),
    )
    return whole


def _stood_again(
    reliances: Sequence[Reliance],
    chains: Mapping[str, Sequence[str]],
    lists: Mapping[str, StatusToken | None],
    snapshot: Snapshot,
    now: datetime,
    *,
    first_day: date,
    sandbox: bool,
) -> list[tuple[Reliance, CredentialStanding]]:
    found = []
    for one in reliances:
        finding = authority_now(one, chains.get(one.x5t_s256), snapshot, now, sandbox=sandbox)
        status = _status(one, lists.get(one.status_uri), snapshot, now, first_day)
        current = replace(
            one,
            trust_finding=finding,
            status_finding=status,
            verdict=verdict_of(finding, status, expired=status is StatusFinding.EXPIRED).as_dict(),
        )
        found.append((current, standing(finding, status, one.issuer_ods)))
    return found


class Card(Protocol):
    """What the authority behind a credential is judged from."""

    @property
    def issuer(self) -> str: ...  # noqa: D102
    @property
    def vct(self) -> str: ...  # noqa: D102
    @property
    def iat(self) -> datetime: ...  # noqa: D102
    @property
    def exp(self) -> datetime: ...  # noqa: D102


def authority_now(
    one: Card, chain: Sequence[str] | None, snapshot: Snapshot, now: datetime, *, sandbox: bool
) -> trust.Finding:
    """The issuer's authority now; the chain as at the credential's time, for it may have run out since."""
    if chain is None:
        return trust.Finding.NOT_AUTHORISED
    try:
        leaf = x5c.verify_chain(chain, snapshot.roots, at=min(now, one.exp))
    except x5c.ChainError:
        return trust.Finding.NOT_AUTHORISED
    return trust.authority(
        snapshot,
        leaf,
        iss=one.issuer,
        use="credential",
        action="issue",
        vct=one.vct,
        iat=one.iat,
        at=now,
        exp=one.exp,
        sandbox=sandbox,
    ).finding


def _status(
    one: Reliance, token: StatusToken | None, snapshot: Snapshot, now: datetime, first_day: date
) -> StatusFinding:
    """The status now; a card that ran out during the movement has a fortnight to be renewed."""
    in_time = now < one.exp
    if not in_time and not in_grace(one.exp, first_day=first_day, now=now):
        return StatusFinding.EXPIRED
    if token is None:
        return StatusFinding.UNAVAILABLE
    try:
        status = status_at(snapshot, token, issuer=one.issuer, idx=one.status_idx, now=now)
    except StatusListError:
        return StatusFinding.UNAVAILABLE
    return StatusFinding.IN_GRACE if status is StatusFinding.ACTIVE and not in_time else status


async def stands_otherwise(
    ctx: Context, decision: Decision, reliances: Sequence[Reliance], snapshot: Snapshot
) -> bool:
    """Whether what a decision relied on stands otherwise now than when it was judged."""
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        chains = await decisions.chains(conn, [one.x5t_s256 for one in reliances])
    uris = [one.status_uri for one in reliances]
    lists = await ctx.statuses.get_many(uris, snapshot.roots, as_stored=True)
    sandbox = trust.of_sandbox(snapshot, ctx.tenants.entity_id(decision.ods), now=now)
    again = _stood_again(
        reliances, chains, lists, snapshot, now, first_day=decision.first_day, sandbox=sandbox
    )
    return any(
        found.trust_finding != before.trust_finding
        or not same_status(before.status_finding, StatusFinding(found.status_finding))
        for before, (found, _) in zip(reliances, again, strict=True)
    )


async def refresh_and_recheck(ctx: Context) -> int:
    """Fetch the status lists that are due, then judge again what was waiting for one; how many were."""
    await status_lists.refresh(ctx)
    return await recheck_waiting(ctx)


async def recheck_waiting(ctx: Context) -> int:
    """Judge again every decision that waits for a status list which is fresh now; how many were."""
    async with ctx.db.read() as conn:
        waiting = await decisions.awaiting(conn, fresh_since=ctx.clock.now())
    done = 0
    for ods, decision_id in waiting:
        try:
            await recheck(ctx, ods, decision_id, BY_ITSELF, cause=Cause.STATUS_ARRIVED)
            done += 1
        except (WasRechecked, RegisterTooOld, Conflict, NotFound) as error:
            log.info("decision.recheck_skipped", decision=decision_id, reason=error.code)
        except Exception as fault:
            # One that cannot be judged holds up nobody else's.
            log.exception("decision.recheck_failed", decision=decision_id, reason=type(fault).__name__)
    return done
