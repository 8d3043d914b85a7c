"""The reports of a network, R1 to R5 (domain.md §10f F6): readiness, months, flows, times, what was avoided.

An organisation's activity is shown in full: suppression of small numbers is for people's characteristics
(domain.md §7), of which facts hold none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passport_registry.rules import report_words
from passport_registry.rules.activity import Count
from passport_registry.rules.reports import (
    PERCENTILES,
    Bar,
    Baseline,
    Chart,
    Column,
    Figure,
    Kind,
    Material,
    Note,
    Report,
    ReportName,
    Step,
    Timing,
    Trust,
    Value,
    column,
    grouped,
    in_printed_order,
    report,
    split,
    split_columns,
    total,
)
from passport_shared.wire.activity import EventType, Source
from passport_shared.wire.activity import Step as TimedStep
from passport_shared.wire.clients import EVERY_ORGANISATION

STEPS = (
    "REGISTRATION",
    "DPIA",
    "TERMS_OF_USE",
    "MOU",
    "HR_TRAINING",
    "ESR_LINK",
    "TEST_ISSUE",
    "TEST_VERIFY",
)
GOVERNANCE = ("DPIA", "TERMS_OF_USE", "MOU")
DOCUMENTS = ("HONORARY_CONTRACT", "LETTER_OF_AUTHORITY", "SECONDMENT")
NOT_A_STEP = Step(state="NOT_STARTED")


def r1(material: Material) -> Report:
    """How far every trust has come, what is missing, and who can put it right."""
    counts = material.of(EventType.ISSUED, EventType.VERIFIED)
    by_trust = grouped(counts, lambda count: count.key.ods)
    listed = in_printed_order(material.trusts)
    states = grouped_states(listed)
    return report(
        material,
        ReportName.R1,
        counts,
        columns=(
            column("locality", Kind.TEXT),
            column("organisation", Kind.TEXT),
            column("state", Kind.CODE),
            *(column(f"step_{name.lower()}", Kind.TEXT) for name in STEPS),
            column("governance_days", Kind.NUMBER),
            column("missing", Kind.TEXT),
            column("who_can_fix", Kind.TEXT),
            column("issued", Kind.NUMBER),
            column("verified", Kind.NUMBER),
        ),
        rows=tuple(_r1_row(material, trust, by_trust.get(trust.ods, [])) for trust in listed),
        figures=(
            Figure(key="trusts", value=len(listed)),
            *(
                Figure(key="by_state", value=n, of=report_words.code("state", state, material.locale))
                for state, n in states.items()
            ),
        ),
        definitions=("readiness", "governance_days", "issued", "verified", "sources"),
        chart=Chart(
            series=("trusts",),
            bars=tuple(
                Bar(label=report_words.code("state", state, material.locale), values=(n,))
                for state, n in states.items()
            ),
        ),
    )


def grouped_states(trusts: Sequence[Trust]) -> dict[str, int]:
    """How many trusts are in each state, in the order in which the trusts come."""
    found: dict[str, int] = {}
    for trust in trusts:
        found[trust.state] = found.get(trust.state, 0) + 1
    return found


def _r1_row(material: Material, trust: Trust, counts: Sequence[Count]) -> dict[str, Value]:
    locale = material.locale
    steps = {f"step_{name.lower()}": _step_said(trust.steps.get(name, NOT_A_STEP), locale) for name in STEPS}
    return {
        "locality": trust.locality,
        "organisation": trust.name,
        "state": trust.state,
        **steps,
        "governance_days": _governance_days(trust, material),
        "missing": "; ".join(
            report_words.known("missing", item.code, item.text, locale) for item in trust.missing
        ),
        "who_can_fix": ", ".join(
            dict.fromkeys(
                report_words.known("fixer", item.who_can_fix, item.who_can_fix, locale)
                for item in trust.missing
            )
        ),
        "issued": total([count for count in counts if count.key.kind == EventType.ISSUED]),
        "verified": total([count for count in counts if count.key.kind == EventType.VERIFIED]),
    }


def _step_said(step: Step, locale: str) -> str:
    said = report_words.code("step_state", step.state, locale)
    return f"{said} {step.done_on:%d/%m/%Y}" if step.done_on else said


def _governance_days(trust: Trust, material: Material) -> int | None:
    """Days from registration to the last governance step, or to today while one is not done."""
    registered = trust.steps.get("REGISTRATION", NOT_A_STEP).done_on
    if registered is None:
        return None
    steps = [trust.steps.get(name, NOT_A_STEP) for name in GOVERNANCE]
    waiting = any(not step.passed and step.done_on is None for step in steps)
    ends = [step.done_on for step in steps if step.done_on is not None]
    end = material.as_at if waiting else max(ends, default=registered)
    return max((end - registered).days, 0)


def r2(material: Material) -> Report:
    """Issued and verified by trust and month, with what was done again and what was refused beside them."""
    apart = (
        (EventType.REISSUED, "reissued"),
        (EventType.RECHECKED, "rechecked"),
        (EventType.REFUSED, "refused"),
    )
    counts = material.of(EventType.ISSUED, EventType.VERIFIED, *(kind for kind, _ in apart))
    order = {trust.ods: place for place, trust in enumerate(in_printed_order(material.trusts))}
    groups = grouped(counts, lambda count: (count.key.month, count.key.ods))
    rows = []
    for month, ods in sorted(groups, key=lambda group: (group[0], order.get(group[1], len(order)), group[1])):
        row = {"month": month, "organisation": _name(material, ods), **_r2_numbers(groups[month, ods], apart)}
        rows.append(row)
    months = grouped(counts, lambda count: count.key.month)
    return report(
        material,
        ReportName.R2,
        counts,
        columns=(
            column("month", Kind.MONTH),
            column("organisation", Kind.TEXT),
            *split_columns("issued"),
            *split_columns("verified"),
            *(column(name, Kind.NUMBER) for _, name in apart),
        ),
        rows=tuple(rows),
        totals=({"month": None, "organisation": None, **_r2_numbers(counts, apart)},),
        definitions=("issued", "verified", "reissued", "rechecked", "refused", "sources"),
        chart=Chart(
            series=("issued", "verified"),
            bars=tuple(
                Bar(
                    label=month,
                    values=tuple(
                        total([count for count in months[month] if count.key.kind == kind])
                        for kind in (EventType.ISSUED, EventType.VERIFIED)
                    ),
                )
                for month in sorted(months)
            ),
        ),
    )


def _r2_numbers(counts: Sequence[Count], apart: Sequence[tuple[EventType, str]]) -> dict[str, Value]:
    by_kind = grouped(counts, lambda count: count.key.kind)
    return {
        **split(by_kind.get(EventType.ISSUED, []), "issued"),
        **split(by_kind.get(EventType.VERIFIED, []), "verified"),
        **{name: total(by_kind.get(kind, [])) for kind, name in apart},
    }


def r3(material: Material) -> Report:
    """Who goes where: verified passports by employing trust (lines) and host trust (columns)."""
    counts = material.of(EventType.VERIFIED)
    employers = _ordered(material, {count.key.employing_ods for count in counts})
    hosts = _ordered(material, {count.key.host_ods for count in counts})
    cells = grouped(counts, lambda count: (count.key.employing_ods, count.key.host_ods))
    rows = [
        {
            "employing_trust": _name(material, employer),
            **{_host(host): total(cells.get((employer, host), [])) for host in hosts},
            **split([count for count in counts if count.key.employing_ods == employer], "verified"),
        }
        for employer in employers
    ]
    sums = {_host(host): total(c for c in counts if c.key.host_ods == host) for host in hosts}
    return report(
        material,
        ReportName.R3,
        counts,
        columns=(
            column("employing_trust", Kind.TEXT),
            *(Column(key=_host(host), kind=Kind.NUMBER, text=_name(material, host)) for host in hosts),
            *split_columns("verified"),
        ),
        rows=tuple(rows),
        totals=({"employing_trust": None, **sums, **split(counts, "verified")},),
        definitions=("verified", "matrix", "sources"),
        chart=Chart(
            series=("verified",),
            bars=tuple(
                Bar(
                    label=f"{_name(material, employer)} → {_name(material, host)}",
                    values=(total(cells[employer, host]),),
                )
                for employer in employers
                for host in hosts
                if (employer, host) in cells
            ),
        ),
    )


def _host(ods: str) -> str:
    return f"host_{ods or 'not_recorded'}"


def _ordered(material: Material, codes: set[str]) -> list[str]:
    known = [trust.ods for trust in in_printed_order(material.trusts) if trust.ods in codes]
    others = sorted(code for code in codes if code and code not in known)
    return [*known, *others, *([""] if "" in codes else [])]


def _name(material: Material, ods: str) -> str:
    if not ods:
        return report_words.say("word.not_recorded", material.locale)
    return next((trust.name for trust in material.trusts if trust.ods == ods), ods)


def r4(material: Material) -> Report:
    """How long issuing and verifying took, by step, trust and channel: percentiles by nearest rank."""
    steps = [step.value for step in TimedStep]
    order = {trust.ods: place for place, trust in enumerate(in_printed_order(material.trusts))}

    def place(timing: Timing) -> tuple[int, str, int, str, str]:
        known = steps.index(timing.step) if timing.step in steps else len(steps)
        return known, timing.step, order.get(timing.ods, len(order)), timing.ods, timing.channel

    timings = sorted(material.timings, key=place)
    live = [count for count in material.of(EventType.ISSUED, EventType.VERIFIED) if _is_live(count)]
    return report(
        material,
        ReportName.R4,
        live,
        columns=(
            column("step", Kind.CODE),
            column("organisation", Kind.TEXT),
            column("channel", Kind.TEXT),
            column("n", Kind.NUMBER),
            *(column(f"p{percent}", Kind.SECONDS) for percent in PERCENTILES),
        ),
        rows=tuple(_r4_row(material, timing) for timing in timings),
        definitions=("time_to_issue", "time_to_verify", "nearest_rank", "measured_only"),
        chart=Chart(
            series=tuple(f"p{percent}" for percent in PERCENTILES),
            bars=tuple(
                Bar(label=_r4_label(material, timing), values=timing.seconds)
                for timing in timings
                if timing.step in (TimedStep.TIME_TO_ISSUE, TimedStep.TIME_TO_VERIFY)
            ),
            unit=Kind.SECONDS,
        ),
    )


def _is_live(count: Count) -> bool:
    return count.key.source == Source.LIVE


def _r4_row(material: Material, timing: Timing) -> dict[str, Value]:
    return {
        "step": timing.step,
        "organisation": _name(material, timing.ods),
        "channel": report_words.code("channel", timing.channel, material.locale),
        "n": timing.n,
        **{f"p{percent}": value for percent, value in zip(PERCENTILES, timing.seconds, strict=True)},
    }


def _r4_label(material: Material, timing: Timing) -> str:
    step = report_words.code("step", timing.step, material.locale)
    channel = report_words.code("channel", timing.channel, material.locale)
    return f"{step}: {_name(material, timing.ods)}, {channel} (n = {timing.n})"


def r5(material: Material) -> Report:
    """Documents that were not needed, by host trust, and HR's time saved as an estimate."""
    counts = [count for count in material.of(EventType.VERIFIED) if count.key.would_have_needed in DOCUMENTS]
    groups = grouped(counts, lambda count: (count.key.would_have_needed, count.key.host_ods))
    hosts = _ordered(material, {host for _, host in groups})
    baselines = {(one.document, one.ods): one for one in material.baselines}
    rows, used = [], {}
    for document in DOCUMENTS:
        for host in (host for host in hosts if (document, host) in groups):
            baseline = baselines.get((document, host)) or baselines.get((document, EVERY_ORGANISATION))
            rows.append(_r5_row(material, document, host, groups[document, host], baseline))
            if baseline:
                used[baseline.document, baseline.ods] = baseline
    by_document = {name: total(c for c in counts if c.key.would_have_needed == name) for name in DOCUMENTS}
    saved = [row["saved_minutes"] for row in rows if isinstance(row["saved_minutes"], int)]
    return report(
        material,
        ReportName.R5,
        counts,
        columns=(
            column("document", Kind.CODE),
            column("host_trust", Kind.TEXT),
            *split_columns("avoided"),
            column("baseline_minutes", Kind.MINUTES),
            column("timed", Kind.NUMBER),
            column("actual_seconds", Kind.SECONDS),
            column("saved_minutes", Kind.MINUTES),
        ),
        rows=tuple(rows),
        totals=(
            {
                "document": None,
                "host_trust": None,
                **split(counts, "avoided"),
                "saved_minutes": sum(saved) if saved else None,
            },
        ),
        figures=(
            Figure(key="honorary_contracts", value=by_document["HONORARY_CONTRACT"]),
            Figure(key="letters_of_authority", value=by_document["LETTER_OF_AUTHORITY"]),
            Figure(key="secondments", value=by_document["SECONDMENT"]),
            Figure(key="saved_minutes", value=sum(saved) if saved else None, kind=Kind.MINUTES),
        ),
        definitions=("would_have_needed", "estimate", "sources"),
        notes=_r5_notes(material, used),
        chart=Chart(
            series=("avoided",),
            bars=tuple(
                Bar(label=report_words.code("document", name, material.locale), values=(n,))
                for name, n in by_document.items()
            ),
        ),
    )


def _r5_row(
    material: Material, document: str, host: str, counts: Sequence[Count], baseline: Baseline | None
) -> dict[str, Value]:
    timed, seconds = sum(count.timed for count in counts), sum(count.seconds for count in counts)
    saved = (timed * baseline.minutes * 60 - seconds + 30) // 60 if baseline and timed else None
    return {
        "document": document,
        "host_trust": _name(material, host),
        **split(counts, "avoided"),
        "baseline_minutes": baseline.minutes if baseline else None,
        "timed": timed,
        "actual_seconds": (seconds + timed // 2) // timed if timed else None,
        "saved_minutes": saved,
    }


def _r5_notes(material: Material, used: Mapping[tuple[str, str], Baseline]) -> tuple[Note, ...]:
    """Where each baseline is from; or that none was entered, so that nothing is estimated."""
    if not used:
        return (Note(key="no_baseline", facts={}),)
    return tuple(
        Note(
            key="baseline",
            facts={
                "document": report_words.code("document", one.document, material.locale),
                "minutes": str(one.minutes),
                "citation": one.citation,
            },
        )
        for _, one in sorted(used.items())
    )
