"""Facts and their sums on both databases: once by id, all or none, in any order, by many writers."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_registry.errors import EventIdReused, Forbidden, Invalid, NotFound, PreconditionFailed
from passport_registry.http.report_forms import Layout, as_csv
from passport_registry.operations import activity, organisations, reports
from passport_registry.operations.activity import ImportedFact, Reporter
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.operations.reports import Asked
from passport_registry.rules.activity import Event, counted
from passport_registry.rules.onboarding import Step
from passport_registry.rules.reports import PERCENTILES, Report, ReportName
from passport_registry.store import activity as store
from passport_registry.store.activity import Provenance
from passport_registry.store.activity_tables import activity_counts, activity_facts
from passport_shared.wire.activity import EventType, Fact, Source
from passport_testkit.databases import FreshDatabases, at_once, both_databases
from passport_testkit.pilot_activity import (
    F1_PRINTED,
    F2_PRINTED,
    PILOT_TRUSTS,
    TODAY,
    imported,
    live,
)
from passport_testkit.registries import ANN, RBV, RegistryBench, done, join_pilot, registry_bench

pytestmark = both_databases
OPERATOR = Reporter(client_id="ops", organisation="*")
NOTE = "GM pilot report, table 4.2"


@pytest.fixture
async def bench(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[RegistryBench]:
    """A registry with the pilot's eight trusts."""
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as made:
        await join_pilot(made, with_steps=False)
        yield made


def as_imported(events: Sequence[Event]) -> list[ImportedFact]:
    return [ImportedFact(id=event.id, kind=event.kind, fact=event.fact) for event in events]


async def bring_in(bench: RegistryBench, events: Sequence[Event], by: Reporter = OPERATOR) -> tuple[int, int]:
    """Import facts; how many were new and how many known."""
    import_id = await activity.import_facts(bench.ctx, as_imported(events), NOTE, by, ANN)
    row = await activity.get_import(bench.ctx, import_id)
    return row.imported, row.known


async def take(bench: RegistryBench, *events: Event) -> int:
    """Take live facts as the receiver does once a signature is checked; how many were new."""
    provenance = Provenance(client="issuer", received_at=bench.clock.now())
    async with bench.ctx.db.write() as conn:
        return await activity._add(conn, events, provenance, [None] * len(events))


async def report(bench: RegistryBench, name: ReportName, **asked: Any) -> Report:
    return await reports.make(bench.ctx, Asked(name=name, **asked))


async def test_imported_and_live_facts_give_the_printed_tables(bench: RegistryBench):
    for trust in PILOT_TRUSTS:
        await bench.record(trust.ods, *(done(step, trust.registered) for step in Step))
    assert await bring_in(bench, imported()) == (60, 0)
    for event in live():
        assert await take(bench, event) == 1
    f1, f2 = await report(bench, ReportName.F1), await report(bench, ReportName.F2)
    assert as_csv(f1, Layout.PRINTED).decode() == F1_PRINTED.replace("\n", "\r\n")
    assert as_csv(f2, Layout.PRINTED).decode() == F2_PRINTED.replace("\n", "\r\n")
    assert (f1.n, f1.live, f1.imported) == (78, 18, 60)
    honorary = next(
        one for one in (await report(bench, ReportName.R5)).figures if one.key == "honorary_contracts"
    )
    assert honorary.value == 4


async def test_order_repetitions_and_batches_change_no_report(bench: RegistryBench):
    events = [*imported(), *live()]
    random.Random(7).shuffle(events)  # noqa: S311 - an order, no secret
    before = events[:50]
    await take(bench, *before)
    assert await take(bench, *before) == 0
    await take(bench, *events)
    async with bench.ctx.db.read() as conn:
        kept = await store.counts(conn, [EventType.ISSUED, EventType.VERIFIED], first=None, last=None)
    assert kept == counted(events)


async def test_a_known_import_changes_nothing_and_says_so(bench: RegistryBench):
    assert await bring_in(bench, imported()) == (60, 0)
    again = imported()
    again.append(replace(again[0], id="one-more"))
    assert await bring_in(bench, again) == (1, 60)
    assert (await report(bench, ReportName.F1)).imported == 61


async def test_an_id_with_other_content_is_refused_and_nothing_is_counted(bench: RegistryBench):
    await bring_in(bench, imported()[:1])
    other = imported()[:5]
    other[0] = replace(other[0], fact=other[0].fact.model_copy(update={"day": TODAY}))
    random.Random(3).shuffle(other)  # noqa: S311 - an order, no secret
    with pytest.raises(EventIdReused) as refused:
        await bring_in(bench, other)
    place = next(n for n, event in enumerate(other) if event.fact.day == TODAY)
    assert refused.value.field == f"/facts/{place}/id"
    assert (await report(bench, ReportName.F1)).imported == 1


async def test_an_import_is_all_or_nothing(bench: RegistryBench):
    good = imported()[:3]
    stranger = replace(
        good[0],
        id="stranger",
        fact=Fact(day=TODAY, employing_ods="RX9", source=Source.IMPORTED),
    )
    to_come = replace(
        good[0],
        id="tomorrow",
        fact=Fact(day=TODAY + timedelta(days=2), employing_ods=RBV, source=Source.IMPORTED),
    )
    not_imported = replace(good[0], id="live", fact=good[0].fact.model_copy(update={"source": Source.LIVE}))
    nobodys = replace(
        good[0], id="nobody", kind=EventType.VERIFIED, fact=Fact(day=TODAY, source=Source.IMPORTED)
    )
    for bad in (stranger, to_come, not_imported, nobodys, good[0]):
        with pytest.raises(Invalid):
            await bring_in(bench, [*good, bad])
    own = Reporter(client_id="rbv", organisation=RBV)
    with pytest.raises(Forbidden):
        await bring_in(bench, imported(), own)
    async with bench.ctx.db.read() as conn:
        assert (await conn.execute(select(func.count()).select_from(activity_facts))).scalar() == 0
        assert (await conn.execute(select(func.count()).select_from(activity_counts))).scalar() == 0
    mine = [event for event in imported() if event.ods == RBV]
    assert await bring_in(bench, mine, own) == (20, 0)


async def test_writers_at_the_same_time_lose_and_double_nothing(bench: RegistryBench):
    events = live()
    rivals = [events[place % len(events)] for place in range(4 * len(events))]
    batches = [[*reversed(imported())], imported(), [*imported()[20:], *imported()[:20]]]
    works: list[Callable[[], object]] = [
        *(partial(take, bench, event) for event in rivals),
        *(partial(bring_in, bench, b) for b in batches),
    ]
    results = await at_once(len(works), lambda index: works[index]())
    assert not [result for result in results if isinstance(result, BaseException)]
    assert sum(result for result in results if isinstance(result, int)) == len(events)
    assert sum(result[0] for result in results if isinstance(result, tuple)) == 60
    async with bench.ctx.db.read() as conn:
        kept = await store.counts(conn, [EventType.ISSUED, EventType.VERIFIED], first=None, last=None)
    assert kept == counted([*imported(), *events])


async def test_months_bound_a_report(bench: RegistryBench):
    await bring_in(bench, imported())
    await take(bench, *live())
    assert (await report(bench, ReportName.F1, first="2026-01")).n == 18
    assert (await report(bench, ReportName.F1, last="2021-07")).n == 25
    both = await report(bench, ReportName.F1, first="2021-08", last="2021-08")
    assert (both.n, both.asked) == (17, ("2021-08", "2021-08"))
    assert both.covers is not None
    assert both.covers[0].month == both.covers[1].month == 8
    with pytest.raises(Invalid):
        await report(bench, ReportName.F1, first="2026-02", last="2026-01")


def nearest_rank(values: Sequence[int], percent: int) -> int:
    """The textbook's nearest rank: the ⌈p·n/100⌉-th of the sorted values."""
    ordered = sorted(values)
    return ordered[-(-percent * len(ordered) // 100) - 1]


async def test_percentiles_are_the_nearest_ranks(bench: RegistryBench):
    seed = random.Random(11)  # noqa: S311 - numbers for a test
    times: dict[tuple[str, str], list[int]] = {}
    events = []
    for number in range(180):
        ods, channel = seed.choice(["R0A", "RM3"]), seed.choice(["VIDEO", "SAME_ROOM"])
        seconds = seed.choice([seed.randrange(30, 300), 170])
        times.setdefault((ods, channel), []).append(seconds)
        fact = Fact(
            day=TODAY - timedelta(days=seed.randrange(90)),
            employing_ods=RBV,
            host_ods=ods,
            channel=channel,
            durations_s={"time_to_verify": seconds},
            source=Source.LIVE,
        )
        events.append(Event(id=f"timed-{number}", kind=EventType.VERIFIED, ods=ods, fact=fact))
    for begin in range(0, len(events), 45):
        await take(bench, *events[begin : begin + 45])
    # Imported times are not measured, whatever they say.
    slow = events[0].fact.model_copy(
        update={"source": Source.IMPORTED, "durations_s": {"time_to_verify": 9_999}}
    )
    await take(bench, Event(id="slow", kind=EventType.VERIFIED, ods=events[0].ods, fact=slow))
    async with bench.ctx.db.read() as conn:
        found = await store.timings(conn, PERCENTILES, first=None, last=None)
    assert {(one.ods, one.channel): (one.n, one.seconds) for one in found} == {
        key: (len(values), tuple(nearest_rank(values, percent) for percent in PERCENTILES))
        for key, values in times.items()
    }
    assert len((await report(bench, ReportName.R4)).rows) == len(times)


async def test_rechecks_and_refusals_are_in_r2_only(bench: RegistryBench):
    await take(bench, *live())
    apart = [
        Event(
            id=kind.value,
            kind=kind,
            ods="RM3",
            fact=Fact(day=TODAY, employing_ods=RBV, host_ods="RM3", source=Source.LIVE),
        )
        for kind in (EventType.RECHECKED, EventType.REFUSED, EventType.PLACEMENT_STARTED)
    ]
    await take(bench, *apart)
    assert (await report(bench, ReportName.F1)).n == 18
    assert (await report(bench, ReportName.R3)).n == 9
    [total] = (await report(bench, ReportName.R2)).totals
    assert (total["verified"], total["rechecked"], total["refused"]) == (9, 1, 1)


async def test_a_baseline_is_entered_over_the_version_that_was_read(bench: RegistryBench):
    async def enter(minutes: int, version: int, ods: str = "*") -> None:
        await reports.enter_baseline(
            bench.ctx,
            document="HONORARY_CONTRACT",
            ods=ods,
            minutes=minutes,
            citation="Time study, invented",
            actor=ANN,
            expected_version=version,
        )

    await take(bench, *live())
    results = await at_once(5, lambda place: enter(60 + place, 0))
    assert sum(isinstance(result, PreconditionFailed) for result in results) == 4
    await enter(60, 1)
    with pytest.raises(PreconditionFailed):
        await enter(61, 1)
    with pytest.raises(NotFound):
        await enter(60, 0, "RX9")
    saved = next(one for one in (await report(bench, ReportName.R5)).figures if one.key == "saved_minutes")
    assert saved.value == 228


async def test_sandbox_trusts_are_never_mixed_with_real_ones(bench: RegistryBench):
    details = OrganisationDetails(name="Sandbox Trust", contacts={"hrd": "hrd@trust.invalid"})
    await organisations.invite(bench.ctx, "RX9", details, ANN, sandbox=True)
    fact = Fact(day=TODAY, employing_ods="RX9", source=Source.LIVE)
    await take(bench, Event(id="play", kind=EventType.ISSUED, ods="RX9", fact=fact))
    made = await report(bench, ReportName.F1)
    assert made.n == 0
    assert [note.key for note in made.notes] == ["verified_and_issued"]


async def test_a_network_of_sandbox_trusts_says_that_it_is_one(databases: FreshDatabases, tmp_path: Path):
    async with registry_bench(await databases.url("passport_registry"), tmp_path) as alone:
        details = OrganisationDetails(name="Sandbox Trust", contacts={"hrd": "hrd@trust.invalid"})
        await organisations.invite(alone.ctx, "RX9", details, ANN, sandbox=True)
        fact = Fact(day=TODAY, employing_ods="RX9", source=Source.LIVE)
        await take(alone, Event(id="play", kind=EventType.ISSUED, ods="RX9", fact=fact))
        made = await report(alone, ReportName.F1)
        assert made.n == 1
        assert made.notes[0].key == "sandbox"
