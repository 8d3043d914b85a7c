"""Reports made: what the register holds and what facts add up to, read together and handed to the rules.

Sandbox trusts are never mixed with real ones: they are reported only where a register holds nothing else, and
the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from passport_registry.context import Context
from passport_registry.errors import NotFound, PreconditionFailed, fields
from passport_registry.operations.standings import Derived, TrustView
from passport_registry.rules import network_reports, pilot_reports
from passport_registry.rules.activity import CountKey
from passport_registry.rules.onboarding import Step as OnboardingStep
from passport_registry.rules.onboarding import effective_state, london_day, satisfied
from passport_registry.rules.reports import (
    PERCENTILES,
    Baseline,
    Material,
    Missing,
    Note,
    Report,
    ReportName,
    Step,
    Trust,
)
from passport_registry.store import activity, baselines, organisations
from passport_registry.store.baselines import BaselineRow
from passport_registry.store.rows import VersionChanged
from passport_shared.service.auth import Actor
from passport_shared.wire.activity import EventType
from passport_shared.wire.clients import EVERY_ORGANISATION

MADE: Mapping[ReportName, Callable[[Material], Report]] = MappingProxyType(
    {
        ReportName.F1: pilot_reports.f1,
        ReportName.F2: pilot_reports.f2,
        ReportName.R1: network_reports.r1,
        ReportName.R2: network_reports.r2,
        ReportName.R3: network_reports.r3,
        ReportName.R4: network_reports.r4,
        ReportName.R5: network_reports.r5,
    }
)
_TRUSTS = frozenset({"kind", "source", "ods"})
NEEDS: Mapping[ReportName, frozenset[str]] = MappingProxyType(
    {
        ReportName.F1: _TRUSTS,
        ReportName.F2: frozenset(CountKey.__dataclass_fields__) - {"month", "outcome", "reason"},
        ReportName.R1: _TRUSTS,
        ReportName.R2: _TRUSTS | {"month"},
        ReportName.R3: _TRUSTS | {"employing_ods", "host_ods"},
        ReportName.R4: _TRUSTS,
        ReportName.R5: _TRUSTS | {"host_ods", "would_have_needed"},
    }
)
"""What of a count's key each report looks at; the database adds up the rest."""
_COUNTED = (EventType.ISSUED, EventType.VERIFIED)
_COUNTED_APART = (EventType.REISSUED, EventType.RECHECKED, EventType.REFUSED)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which report, of which months (`YYYY-MM`, both included; None for no bound), in which language."""

    name: ReportName
    first: str | None = None
    last: str | None = None
    locale: str = "en-GB"


async def make(ctx: Context, asked: Asked) -> Report:
    """Make a report as at now.

    Raises:
        Invalid: the first month is after the last.
    """
    if asked.first and asked.last and asked.first > asked.last:
        raise fields([("to", "lies before `from`")], under="query")
    material, sandbox = await _material(ctx, asked)
    made = MADE[asked.name](material)
    if sandbox:
        made = replace(made, notes=(Note(key="sandbox", facts={}), *made.notes))
    return made


async def _material(ctx: Context, asked: Asked) -> tuple[Material, bool]:
    kinds = (*_COUNTED, *_COUNTED_APART) if asked.name is ReportName.R2 else _COUNTED
    now = ctx.clock.now()
    period = {"first": asked.first, "last": asked.last}
    every: list[Trust] = await ctx.derived.setdefault("reports", Derived(_trust)).every(ctx.db, now)
    async with ctx.db.read() as conn:
        counts = await activity.counts(conn, kinds, **period, by=NEEDS[asked.name])
        timed = asked.name is ReportName.R4
        timings = await activity.timings(conn, PERCENTILES, **period) if timed else []
        entered = await baselines.every(conn) if asked.name is ReportName.R5 else []
    trusts = tuple(trust for trust in every if not trust.sandbox) or tuple(every)
    codes = {trust.ods for trust in trusts}
    material = Material(
        trusts=trusts,
        counts=tuple(count for count in counts if count.key.ods in codes),
        as_at=london_day(now),
        locale=asked.locale,
        asked=(asked.first, asked.last),
        timings=tuple(timing for timing in timings if timing.ods in codes),
        baselines=tuple(_baseline(row) for row in entered),
    )
    return material, any(trust.sandbox for trust in trusts)


def _trust(view: TrustView) -> Trust:
    held, today = view.organisation, london_day(view.at)
    steps = {}
    for name in OnboardingStep:
        record = view.steps.get(name)
        if record is not None:
            method = record.details.get("method")
            steps[name.value] = Step(
                state=effective_state(record, today).value,
                done_on=record.done_on,
                passed=satisfied(record, today),
                method=method if isinstance(method, str) else None,
            )
    return Trust(
        ods=held.ods_code,
        name=held.name,
        aliases=tuple(held.aliases),
        locality=held.locality or "",
        state=view.state.value,
        steps=steps,
        missing=tuple(
            Missing(code=item.code, text=item.text, who_can_fix=item.who_can_fix)
            for item in view.gates.g3.missing
        ),
        sandbox=held.sandbox,
    )


def _baseline(row: BaselineRow) -> Baseline:
    return Baseline(document=row.document, ods=row.ods, minutes=row.minutes, citation=row.citation)


async def every_baseline(ctx: Context) -> list[BaselineRow]:
    """Return what was entered."""
    async with ctx.db.read() as conn:
        return await baselines.every(conn)


async def baseline_version(ctx: Context, document: str, ods: str) -> int:
    """Return the version of what was entered, 0 if nobody has.

    Raises:
        NotFound: no organisation of this network.
    """
    async with ctx.db.read() as conn:
        if ods != EVERY_ORGANISATION and await organisations.get(conn, ods) is None:
            raise NotFound
        row = await baselines.get(conn, document, ods)
    return row.version if row else 0


async def enter_baseline(
    ctx: Context,
    *,
    document: str,
    ods: str,
    minutes: int,
    citation: str,
    actor: Actor,
    expected_version: int,
) -> BaselineRow:
    """Enter what a document used to take; the newest entry counts, the audit log keeps the older ones.

    Raises:
        NotFound: no organisation of this network.
        PreconditionFailed: somebody has entered another meanwhile.
    """
    row = BaselineRow(
        document=document,
        ods=ods,
        minutes=minutes,
        citation=citation,
        entered_by=actor.as_dict(),
        entered_at=ctx.clock.now(),
        version=expected_version + 1,
    )
    async with ctx.db.write() as conn:
        if ods != EVERY_ORGANISATION and await organisations.get(conn, ods) is None:
            raise NotFound
        try:
            await baselines.put(conn, row, expected_version=expected_version)
        except VersionChanged:
            raise PreconditionFailed from None
        await ctx.audit.record(
            conn,
            kind="report_baseline.entered",
            subject_ref=f"{document}/{ods}",
            actor=actor.as_dict(),
            details={"minutes": minutes},
        )
    return row
