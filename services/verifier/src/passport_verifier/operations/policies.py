"""Policies as a host judges by them: the network's defaults, and the host's own versions in their place.

A version is proposed, approved by a second person, and in effect from its day; it is never edited, and a
request pins the one it was made under, so that its answer and every re-check are judged by that (ADR-0019).
A host's version counts only while it asks for no less than the network's default of the day: when the
network raises its own, a laxer version of a host falls back to it. Compiled versions are kept in memory; what
is approved never changes, so nothing has to be told of a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.exc import IntegrityError

from passport_shared.formats.ids import new_id
from passport_shared.service.auth import Actor
from passport_shared.service.db import is_unique_violation
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.service.problems import FieldError, Invalid
from passport_shared.wire.four_eyes import FourEyes, Voice, four_eyes
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound, SecondPersonNeeded, one_field
from passport_verifier.rules import policy_checks
from passport_verifier.rules.policies import (
    HostPolicy,
    compiled,
    default_versions,
    defaults_on,
    digest_of,
    documents,
)
from passport_verifier.rules.policy_checks import Fault
from passport_verifier.rules.readiness import london_day
from passport_verifier.store import policies as store
from passport_verifier.store.policies import PolicyVersion, VersionState

KEPT_COMPILED = 512
NUMBERS_TRIED = 5


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A version as a host proposes it: its profile and rows, and from which day."""

    effective: date
    profile: Mapping[str, Any]
    rows: tuple[Mapping[str, Any], ...]
    note: str | None


async def in_force(ctx: Context, ods: str, policy_id: str, *, day: date | None = None) -> HostPolicy | None:
    """The policy an organisation judges by on a day (today by default), or None for an unknown id."""
    on = day or london_day(ctx.clock.now())
    default = defaults_on(on).get(policy_id)
    if default is None:
        return None
    async with ctx.db.read() as conn:
        own = (await store.newest_approved(conn, ods, on, policy_id)).get(policy_id)
    return _own_or_default(ctx, own, default)


async def all_in_force(ctx: Context, ods: str) -> list[HostPolicy]:
    """Every policy an organisation judges by today."""
    on = london_day(ctx.clock.now())
    async with ctx.db.read() as conn:
        own = await store.newest_approved(conn, ods, on)
    return [
        _own_or_default(ctx, own.get(policy_id), default) for policy_id, default in defaults_on(on).items()
    ]


async def pinned(ctx: Context, version_id: str) -> HostPolicy:
    """The version that a request or a decision names, whatever is in force today.

    Raises:
        Conflict: neither this software nor the database carries it any more.
    """
    found = default_versions().get(version_id) or ctx.compiled_policies.get(version_id)
    if found is not None:
        return found
    async with ctx.db.read() as conn:
        version = await store.by_version_id(conn, version_id)
    if version is None:
        raise Conflict("The policy this was judged by is not known here any more.")
    return _compiled(ctx, version)


def _own_or_default(ctx: Context, own: PolicyVersion | None, default: HostPolicy) -> HostPolicy:
    if own is None or not counts(own, default):
        return default
    return _compiled(ctx, own)


def counts(version: PolicyVersion, default: HostPolicy) -> bool:
    """Whether a version still asks for no less than the network's default."""
    if version.base_version == default.version_id:
        return True  # compared when it was proposed, and approved
    return not policy_checks.lowered(documents()[default.version_id], version.document)


def _compiled(ctx: Context, version: PolicyVersion) -> HostPolicy:
    kept = ctx.compiled_policies
    found = kept.get(version.version_id)
    if found is None:
        found = compiled(version.document)
        if version.state is VersionState.APPROVED:
            if len(kept) >= KEPT_COMPILED:
                kept.pop(next(iter(kept)), None)
            kept[version.version_id] = found
    return found


async def propose(
    ctx: Context, ods: str, policy_id: str, new: Proposal, actor: Actor, claim: Claim
) -> PolicyVersion:
    """Propose a version of a policy; it counts once a second person approves it, from its day on.

    Raises:
        NotFound: there is no such policy.
        Invalid: it contradicts itself or asks for less than the network's default; each fault by pointer.
        Conflict: too many people propose at once.
    """
    now = ctx.clock.now()
    today = london_day(now)
    default = defaults_on(max(today, new.effective)).get(policy_id)
    if default is None:
        raise NotFound
    if new.effective < today:
        raise one_field("/effective", "in_past", "A version is in effect from today at the earliest.")
    base = documents()[default.version_id]
    rules = {
        "profile": {**base["profile"], **new.profile},
        "rows": [dict(row) for row in new.rows],
    }
    _refuse([*policy_checks.faults(rules), *policy_checks.lowered(base, rules)])
    for _ in range(NUMBERS_TRIED):
        version = await _numbered(ctx, ods, default, {**base, **rules}, new, actor)
        try:
            async with ctx.db.write() as conn:
                await store.add(conn, version)
                await _audit(ctx, conn, "policy.proposed", version, actor)
                await claim.complete(conn, _resource(version))
            return version
        except IntegrityError as error:
            if not is_unique_violation(error):
                raise
    raise Conflict("Somebody else proposes versions of this policy at the same time: try again.")


def _refuse(found: list[Fault]) -> None:
    if found:
        raise Invalid(
            "The policy is not sound, or asks for less than the network's default.",
            [FieldError(pointer=one.pointer, code=one.code, detail=one.detail) for one in found],
            field=found[0].pointer,
        )


def _resource(version: PolicyVersion) -> str:
    return str(version.number)


async def _numbered(
    ctx: Context,
    ods: str,
    default: HostPolicy,
    document: Mapping[str, Any],
    new: Proposal,
    actor: Actor,
) -> PolicyVersion:
    async with ctx.db.read() as conn:
        number = await store.next_number(conn, ods, default.id)
    whole = {**document, "version": f"{ods}-{number}", "effective": new.effective.isoformat()}
    return PolicyVersion(
        id=new_id(),
        ods=ods,
        policy_id=default.id,
        number=number,
        version_id=compiled(whole).version_id,
        state=VersionState.PROPOSED,
        effective=new.effective,
        document=whole,
        digest=digest_of(whole),
        base_version=default.version_id,
        note=new.note,
        proposed_at=ctx.clock.now(),
        proposed_by=actor.as_dict(),
        approved_at=None,
        approved_by=None,
        four_eyes=None,
        withdrawn_at=None,
        withdrawn_by=None,
    )


async def get(ctx: Context, ods: str, policy_id: str, number: int) -> PolicyVersion:
    """One version; NotFound for an unknown one or another organisation's."""
    async with ctx.db.read() as conn:
        found = await store.get(conn, ods, policy_id, number)
    if found is None:
        raise NotFound
    return found


async def versions(
    ctx: Context, ods: str, policy_id: str, query: PageQuery
) -> tuple[list[PolicyVersion], str | None]:
    """A page of an organisation's versions of a policy, newest first; NotFound for an unknown policy."""
    if policy_id not in defaults_on(date.max):
        raise NotFound
    async with ctx.db.read() as conn:
        return await store.page(conn, ods, policy_id, query)


async def approve(ctx: Context, ods: str, policy_id: str, number: int, actor: Actor) -> PolicyVersion:
    """Approve what somebody else proposed.

    Raises:
        NotFound: no such version.
        Conflict: it is no proposal any more, or the network asks for more than it by now.
        SecondPersonNeeded: proposer and approver are not two people, as this deployment counts them.
    """
    found = await get(ctx, ods, policy_id, number)
    if found.state is not VersionState.PROPOSED:
        raise Conflict("This version has been approved or withdrawn.")
    eyes = second_person(ctx, found.proposed_by, actor)
    now = ctx.clock.now()
    default = defaults_on(max(london_day(now), found.effective)).get(policy_id)
    if default is None or not counts(found, default):
        raise Conflict("The network's default asks for more than this by now: propose another version.")
    async with ctx.db.write() as conn:
        if not await store.approve(conn, found.version_id, by=actor.as_dict(), four_eyes=eyes.value, at=now):
            raise Conflict("This version has been approved or withdrawn.")
        await _audit(ctx, conn, "policy.approved", found, actor, four_eyes=eyes.value)
    return await get(ctx, ods, policy_id, number)


async def withdraw(ctx: Context, ods: str, policy_id: str, number: int, actor: Actor) -> PolicyVersion:
    """Take a proposal back; what has been approved is replaced by another version instead.

    Raises:
        NotFound: no such version.
        Conflict: it has been approved.
    """
    found = await get(ctx, ods, policy_id, number)
    if found.state is VersionState.WITHDRAWN:
        return found
    async with ctx.db.write() as conn:
        withdrawn = await store.withdraw(conn, found.version_id, by=actor.as_dict(), at=ctx.clock.now())
        if withdrawn:
            await _audit(ctx, conn, "policy.withdrawn", found, actor)
    after = await get(ctx, ods, policy_id, number)
    # Somebody else may have taken it back at the same moment: that is what was asked for.
    if after.state is not VersionState.WITHDRAWN:
        raise Conflict("This version is approved: propose another one that takes its place.")
    return after


def second_person(ctx: Context, first: Mapping[str, Any], second: Actor) -> FourEyes:
    """How two acts are two people's; SecondPersonNeeded if they are not, as this deployment counts them."""
    eyes = four_eyes(Voice.of(first), Voice.of(second.as_dict()))
    if eyes is None or (eyes is FourEyes.ASSERTED and not ctx.settings.asserted_four_eyes):
        raise SecondPersonNeeded
    return eyes


async def _audit(
    ctx: Context, conn: Any, kind: str, version: PolicyVersion, actor: Actor, **details: str
) -> None:
    await ctx.audit.record(
        conn,
        kind=kind,
        subject_ref=version.id,
        actor=actor.as_dict(),
        organisation=version.ods,
        details={"version": version.version_id, "digest": version.digest, **details},
    )
