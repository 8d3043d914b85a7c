"""Revoking everything a trust has issued, as a job: after its key was compromised, say (security.md R7).

A job goes by id through what was issued until it was ordered, a page and its progress in one transaction;
killed at any moment it goes on where it was, and what is revoked already stays as it is. The lists that a
page touches are published while the next page is read. Every passport concerned has its own audit entry in
the transaction that revokes. It is asked for by the operator at the service's own machine; nobody can by
HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passport_issuer.context import Context
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.store import credentials, passports, tables
from passport_shared.formats.freshness import CLOCK_LEEWAY
from passport_shared.service.job_queue import JobHandler, JobQueue, JobRun
from passport_shared.service.tenancy import Tenant

KIND = "credentials.revoke_all"
PAGE = 2_000
BY_OPERATOR = {"system": "operator"}


async def order(ctx: Context, tenant: Tenant, reason: ReasonCode) -> str:
    """Order the revocation of everything a trust has issued until now; the job's id."""
    queue = JobQueue(ctx.db, tables.jobs, ctx.clock)
    async with ctx.db.write() as conn:
        job_id = await queue.enqueue(
            KIND, {"ods": tenant.ods, "reason_code": reason.value}, owner=tenant.ods, conn=conn
        )
        await ctx.audit.record(
            conn,
            kind="revocation.ordered",
            subject_ref=job_id,
            actor=BY_OPERATOR,
            organisation=tenant.ods,
            details={"reason_code": reason.value},
        )
    return job_id


def handlers(ctx: Context) -> Mapping[str, JobHandler]:
    """The job by its kind."""

    async def run(job: JobRun) -> None:
        await _revoke_all(ctx, job)

    return {KIND: run}


async def _revoke_all(ctx: Context, job: JobRun) -> None:
    ods, reason = job.job.payload["ods"], ReasonCode(job.job.payload["reason_code"])
    after, done = job.job.progress.get("after", ""), job.job.progress.get("revoked", 0)
    # What staff collect anew after the order stands; replicas' clocks may differ by so much.
    until = job.job.created_at + CLOCK_LEEWAY
    while True:
        async with ctx.db.read() as conn:
            page = await credentials.revocable(conn, ods, until=until, after=after, limit=PAGE)
        if not page and not after:
            return
        if not page:
            # From the start until nothing is left: a credential has its id before it is committed.
            after = ""
            continue
        after = page[-1][0]
        async with ctx.db.write() as conn:
            # As everybody who changes a passport's credentials.
            await passports.hold_rows(conn, {passport_id for _, passport_id in page})
            ended = await credentials.revoke_each(conn, [one for one, _ in page], reason, ctx.clock.now())
            entries = _entries(ctx, ods, job.job.id, reason, ended)
            if entries:
                await conn.execute(ctx.audit.tables.entries.insert(), entries)
            done += len(ended)
            await job.save({"after": after, "revoked": done}, conn=conn)


def _entries(
    ctx: Context, ods: str, job_id: str, reason: ReasonCode, ended: list[credentials.Ended]
) -> list[dict[str, Any]]:
    """One audit entry per credential, as for one that a person revokes."""
    return [
        ctx.audit.values(
            kind="credential.revoked",
            subject_ref=one.passport_id,
            actor=BY_OPERATOR,
            organisation=ods,
            details={"credential": one.id, "reason_code": reason.value, "order": job_id},
        )
        for one in ended
    ]
