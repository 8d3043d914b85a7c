"""The two tables of the pilot's report: F1, trusts and their passports, and F2, use cases (domain.md §10f).

Columns, their order and the names of trusts are as printed; what stands in them is derived. *Registration
complete*, *training completed* and *ESR API set up* come from onboarding steps, passports from facts. The
printed report says that all trusts issued and verified; the table shows that they did not, and that more was
verified than issued, because one passport can be verified by several hosts and in several years.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from passport_registry.rules import report_words
from passport_registry.rules.activity import Count
from passport_registry.rules.reports import (
    Bar,
    Chart,
    Column,
    Figure,
    Kind,
    Material,
    Note,
    Report,
    ReportName,
    Step,
    Trust,
    Value,
    column,
    data,
    grouped,
    in_printed_order,
    percent,
    printed_name,
    report,
    split,
    split_columns,
    total,
)
from passport_shared.wire.activity import EventType

NOT_A_STEP = Step(state="NOT_STARTED")
API = "API"
F1_PRINTED = (
    "locality",
    "organisation",
    "registration_complete",
    "hr_training",
    "esr_api",
    "issued",
    "verified",
)
F2_PRINTED = ("workforce_group", "role", "method", "employing_trust", "host_trust", "use_case")
HONORARY_CONTRACT = "HONORARY_CONTRACT"


def f1(material: Material) -> Report:
    """Trusts that have registered and finished their governance, with what they issued and verified."""
    counts = material.of(EventType.ISSUED, EventType.VERIFIED)
    by_trust = grouped(counts, lambda count: count.key.ods)
    listed = [
        trust for trust in in_printed_order(material.trusts) if trust.ods in by_trust or _has_joined(trust)
    ]
    rows = [_f1_row(trust, by_trust.get(trust.ods, [])) for trust in listed]
    return report(
        material,
        ReportName.F1,
        counts,
        columns=(
            column("locality", Kind.TEXT),
            column("organisation", Kind.TEXT),
            column("registration_complete", Kind.DAY),
            column("hr_training", Kind.YES_NO),
            column("esr_api", Kind.YES_NO),
            *split_columns("issued"),
            *split_columns("verified"),
        ),
        rows=tuple(rows),
        totals=tuple(_f1_totals(rows)),
        figures=tuple(_f1_figures(rows)),
        definitions=("issued", "verified", "sources", "registration_complete", "hr_training", "esr_api"),
        notes=(Note(key="verified_and_issued", facts={}),),
        chart=Chart(
            series=("issued", "verified"),
            bars=tuple(
                Bar(label=str(row["organisation"]), values=(_int(row["issued"]), _int(row["verified"])))
                for row in rows
            ),
        ),
    )


def _has_joined(trust: Trust) -> bool:
    """Registered, assessed and on its terms: a trust that waits for one of them is in R1 only."""
    steps = [trust.steps.get(name, NOT_A_STEP) for name in ("REGISTRATION", "DPIA", "TERMS_OF_USE")]
    return all(step.passed or step.done_on is not None for step in steps)


def _f1_row(trust: Trust, counts: Sequence[Count]) -> dict[str, Value]:
    training = trust.steps.get("HR_TRAINING", NOT_A_STEP)
    esr = trust.steps.get("ESR_LINK", NOT_A_STEP)
    return {
        "locality": trust.locality,
        "organisation": printed_name(trust, ReportName.F1),
        "registration_complete": trust.steps.get("REGISTRATION", NOT_A_STEP).done_on,
        "hr_training": training.passed,
        "esr_api": esr.passed and esr.method == API,
        **split([count for count in counts if count.key.kind == EventType.ISSUED], "issued"),
        **split([count for count in counts if count.key.kind == EventType.VERIFIED], "verified"),
    }


def _f1_totals(rows: Sequence[dict[str, Value]]) -> list[dict[str, Value]]:
    """One line per locality, and one for all."""
    names = [one.key for name in ("issued", "verified") for one in split_columns(name)]
    totals: list[dict[str, Value]] = []
    for locality in dict.fromkeys(str(row["locality"]) for row in rows):
        of_it = [row for row in rows if row["locality"] == locality]
        sums = {name: sum(_int(row[name]) for row in of_it) for name in names}
        totals.append({"locality": locality, "organisation": None, **sums})
    everything = {name: sum(_int(row[name]) for row in rows) for name in names}
    return [*totals, {"locality": None, "organisation": None, **everything}]


def _f1_figures(rows: Sequence[dict[str, Value]]) -> list[Figure]:
    figures = [
        Figure(key="trusts", value=len(rows)),
        Figure(key="issued", value=sum(_int(row["issued"]) for row in rows)),
        Figure(key="verified", value=sum(_int(row["verified"]) for row in rows)),
        Figure(key="trusts_issuing", value=sum(_int(row["issued"]) > 0 for row in rows)),
        Figure(key="trusts_verifying", value=sum(_int(row["verified"]) > 0 for row in rows)),
        Figure(key="trusts_trained", value=sum(row["hr_training"] is True for row in rows)),
        Figure(key="trusts_with_esr_api", value=sum(row["esr_api"] is True for row in rows)),
    ]
    days = sorted(day for row in rows if isinstance(day := row["registration_complete"], date))
    if days:
        figures += [
            Figure(key="first_registration", value=days[0], kind=Kind.DAY),
            Figure(key="last_registration", value=days[-1], kind=Kind.DAY),
            Figure(key="registration_days", value=(days[-1] - days[0]).days),
        ]
    return figures


def f2(material: Material) -> Report:
    """What passports were verified for: one line per group, role, way, employing and host trust."""
    counts = [count for count in material.of(EventType.VERIFIED) if count.key.movement_type]
    groups = grouped(counts, _f2_group)
    ordered = sorted(groups, key=lambda group: (_f2_place(group), group))
    rows = [_f2_row(material, group, groups[group]) for group in ordered]
    return report(
        material,
        ReportName.F2,
        counts,
        columns=(
            column("workforce_group", Kind.TEXT),
            column("role", Kind.TEXT),
            column("method", Kind.TEXT),
            column("employing_trust", Kind.TEXT),
            column("host_trust", Kind.TEXT),
            column("use_case", Kind.TEXT),
            *split_columns("passports"),
        ),
        rows=tuple(rows),
        totals=({"workforce_group": None, **split(counts, "passports")},),
        figures=tuple(_f2_figures(material, counts)),
        definitions=("verified", "sources", "share_of_issued", "would_have_needed"),
        chart=Chart(
            series=("passports",),
            bars=tuple(
                Bar(label=f"{row['workforce_group']}: {row['role']}", values=(_int(row["passports"]),))
                for row in rows
            ),
        ),
    )


def _f2_group(count: Count) -> tuple[str, ...]:
    key = count.key
    return (
        key.movement_type,
        key.role_profile,
        key.workforce_group,
        key.channel,
        key.employing_ods,
        key.host_ods,
        key.use_case,
    )


def _f2_place(group: tuple[str, ...]) -> int:
    """Where the pilot's table prints this use case; the others follow."""
    known: list[tuple[str, ...]] = [
        (case["movement_type"], case["role_profile"]) for case in data("use_cases")
    ]
    return known.index(group[:2]) if group[:2] in known else len(known)


def _f2_row(material: Material, group: tuple[str, ...], counts: Sequence[Count]) -> dict[str, Value]:
    movement_type, role, workforce_group, channel, employing, host, use_case = group
    n, locale = total(counts), material.locale
    methods: dict[str, str] = data("printed")["f2"]["methods"]
    return {
        "workforce_group": report_words.group(workforce_group, locale),
        "role": report_words.role(role, locale, many=n != 1),
        "method": methods.get(channel) or report_words.code("channel", channel, locale),
        "employing_trust": _named(material, employing),
        "host_trust": _named(material, host),
        "use_case": report_words.use_case(movement_type, role, use_case, n, locale),
        **split(counts, "passports"),
    }


def _named(material: Material, ods: str) -> str:
    if not ods:
        return report_words.say("word.not_recorded", material.locale)
    trust = next((one for one in material.trusts if one.ods == ods), None)
    return printed_name(trust, ReportName.F2) if trust else ods


def _f2_figures(material: Material, counts: Sequence[Count]) -> list[Figure]:
    locale = material.locale
    n, issued = total(counts), total(material.of(EventType.ISSUED))
    avoided = [count for count in counts if count.key.would_have_needed == HONORARY_CONTRACT]
    figures = [
        Figure(key="passports", value=n),
        Figure(key="workforce_groups", value=len({count.key.workforce_group for count in counts})),
        Figure(key="issued", value=issued),
        Figure(key="share_of_issued", value=percent(n, issued), kind=Kind.PERCENT),
        Figure(key="honorary_contracts", value=total(avoided)),
    ]
    parts: tuple[tuple[str, Any, Any], ...] = (
        ("by_employing_trust", lambda c: c.key.employing_ods, lambda ods: _named(material, ods)),
        ("by_host_trust", lambda c: c.key.host_ods, lambda ods: _named(material, ods)),
        ("by_use_case", lambda c: c.key.use_case, lambda code: report_words.code("use_case", code, locale)),
        ("by_method", lambda c: c.key.channel, lambda code: report_words.code("channel", code, locale)),
    )
    for key, of, name in parts:
        groups = grouped(counts, of)
        figures += [Figure(key=key, value=total(groups[part]), of=name(part)) for part in sorted(groups)]
    return figures


def printed_columns(made: Report) -> tuple[tuple[Column, str], ...] | None:
    """The columns of a report's printed form with their headings, or None for one that was never printed."""
    printed = data("printed").get(made.name.value)
    if printed is None:
        return None
    keys = F1_PRINTED if made.name is ReportName.F1 else F2_PRINTED
    by_key = {one.key: one for one in made.columns}
    return tuple((by_key[key], heading) for key, heading in zip(keys, printed["header"], strict=True))


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0
