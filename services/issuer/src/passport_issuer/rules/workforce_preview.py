"""What was read beside what the trust holds: new, changed, the same, not usable and why; and what is missing.

The same comparison is made again when items are applied, so that applying anything twice, in any order, from
any number of gatherings, changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from passport_issuer.rules.datasets import Assessment, assess
from passport_issuer.rules.records import (
    Assignment,
    AssignmentStatus,
    CheckOutcome,
    CheckRecord,
    CheckType,
    EmploymentStatus,
    Framework,
    Source,
    StaffRecords,
    TrainingEntry,
)
from passport_issuer.rules.workforce import (
    Finding,
    ItemKind,
    ItemState,
    Proposal,
    Refusal,
    Unusable,
)

# Beside these a check may say more by hand than a system sends.
_DBS_COMPARED = ("level", "workforce", "barred_lists", "certificate_issued_on")
_PERSON_FIELDS = ("legal_given", "legal_family", "preferred_name", "work_email")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A finding beside what is held; ``differs`` are names of details, never their values."""

    kind: ItemKind
    key: str
    state: ItemState
    reason: Refusal | None = None
    values: Mapping[str, Any] | None = None
    differs: tuple[str, ...] = ()


def judge(
    finding: Finding, records: StaffRecords, screening: frozenset[tuple[str, str, str]] = frozenset()
) -> Judged:
    """Compare one finding with what is held.

    Args:
        finding: from a mapping.
        records: everything the trust holds about the person.
        screening: (record type, code, date) of the screening records that are held.
    """
    if isinstance(finding, Unusable):
        return Judged(kind=finding.kind, key=finding.key, state=ItemState.NOT_USABLE, reason=finding.reason)
    if finding.kind is ItemKind.SCREENING:
        values = finding.values
        held = (values["record_type"], values["code"], values["date"]) in screening
        return _judged(finding, ItemState.SAME if held else ItemState.NEW)
    return _JUDGES[finding.kind](finding, records)


def _judged(
    proposal: Proposal, state: ItemState, differs: Iterable[str] = (), reason: Refusal | None = None
) -> Judged:
    usable = state in (ItemState.NEW, ItemState.CHANGED)
    return Judged(
        kind=proposal.kind,
        key=proposal.key,
        state=state,
        reason=reason,
        values=proposal.values if usable else None,
        differs=tuple(differs),
    )


def _differing(held: Mapping[str, Any], proposed: Mapping[str, Any]) -> list[str]:
    return [name for name, value in proposed.items() if _plain(held.get(name)) != _plain(value)]


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return sorted(value, key=str)
    return value


def _judge_person(proposal: Proposal, records: StaffRecords) -> Judged:
    held = {name: getattr(records.staff, name) for name in _PERSON_FIELDS}
    differs = _differing(held, proposal.values)
    return _judged(proposal, ItemState.CHANGED if differs else ItemState.SAME, differs)


def _judge_employment(proposal: Proposal, records: StaffRecords) -> Judged:
    staff = records.staff
    held = {"employment_status": staff.employment_status.value, "leaving_date": staff.leaving_date}
    differs = _differing(held, proposal.values)
    return _judged(proposal, ItemState.CHANGED if differs else ItemState.SAME, differs)


def _judge_assignment(proposal: Proposal, records: StaffRecords) -> Judged:
    held = next((post for post in records.assignments if post.ref == proposal.values["ref"]), None)
    if held is None:
        return _judged(proposal, ItemState.NEW)
    differs = _differing({name: getattr(held, name) for name in proposal.values}, proposal.values)
    return _judged(proposal, ItemState.CHANGED if differs else ItemState.SAME, differs)


def _judge_check(proposal: Proposal, records: StaffRecords) -> Judged:
    held = held_check(proposal.values, records)
    if held is None:
        return _judged(proposal, ItemState.NEW)
    performed_on, fields = date.fromisoformat(proposal.values["performed_on"]), proposal.values["fields"]
    compared = {name: fields[name] for name in _DBS_COMPARED} if proposal.key == "DBS" else fields
    differs = _differing(held.fields, compared)
    if held.outcome.value != proposal.values["outcome"]:
        differs.append("outcome")
    same_certificate = proposal.key == "DBS" and not differs
    if same_certificate or (not differs and held.performed_on == performed_on):
        return _judged(proposal, ItemState.SAME)
    if performed_on < held.performed_on:
        return _judged(proposal, ItemState.NOT_USABLE, reason=Refusal.OLDER_THAN_HELD)
    if held.performed_on != performed_on:
        differs.append("performed_on")
    return _judged(proposal, ItemState.CHANGED, differs)


def held_check(values: Mapping[str, Any], records: StaffRecords) -> CheckRecord | None:
    """The newest check that is held of the kind of a proposed one; of registrations, of the same number."""
    wanted = CheckType(values["check_type"])
    found = [check for check in records.checks if check.check_type is wanted]
    if wanted is CheckType.REGISTRATION:
        number = (values["fields"]["regulator"], values["fields"]["number"])
        found = [c for c in found if (c.fields.get("regulator"), c.fields.get("number")) == number]
    return max(found, key=lambda check: (check.performed_on, check.created_at, check.id), default=None)


def _judge_training(proposal: Proposal, records: StaffRecords) -> Judged:
    values = proposal.values
    completed = date.fromisoformat(values["completed_on"])
    alike = [
        entry
        for entry in records.training
        if entry.subject_code == values["subject_code"] and entry.level == values["level"]
    ]
    if not alike:
        return _judged(proposal, ItemState.NEW)
    newest = max(entry.completed_on for entry in alike)
    if completed > newest:
        return _judged(proposal, ItemState.CHANGED, ["completed_on"])
    if any(entry.completed_on == completed for entry in alike):
        return _judged(proposal, ItemState.SAME)
    return _judged(proposal, ItemState.NOT_USABLE, reason=Refusal.OLDER_THAN_HELD)


_JUDGES = {
    ItemKind.PERSON: _judge_person,
    ItemKind.EMPLOYMENT_STATUS: _judge_employment,
    ItemKind.ASSIGNMENT: _judge_assignment,
    ItemKind.CHECK: _judge_check,
    ItemKind.TRAINING: _judge_training,
}


@dataclass(frozen=True, kw_only=True)
class Making:
    """Who makes a record, when and from what."""

    ods: str
    staff_id: str
    record_id: str
    source: Source
    at: datetime
    by: str


def check_from(values: Mapping[str, Any], making: Making) -> CheckRecord:
    """The check an item becomes."""
    return CheckRecord(
        id=making.record_id,
        ods=making.ods,
        staff_id=making.staff_id,
        check_type=CheckType(values["check_type"]),
        outcome=CheckOutcome(values["outcome"]),
        performed_on=date.fromisoformat(values["performed_on"]),
        performed_by=values["performed_by"],
        source=making.source,
        evidence_ref=values["evidence_ref"],
        fields=values["fields"],
        provenance=values["provenance"],
        next_due=None,
        created_at=making.at,
        created_by=making.by,
    )


def training_from(values: Mapping[str, Any], making: Making) -> TrainingEntry:
    """The training entry an item becomes."""
    dated = {"completed_on": date.fromisoformat(values["completed_on"])}
    return TrainingEntry(
        id=making.record_id,
        ods=making.ods,
        staff_id=making.staff_id,
        source=making.source,
        created_at=making.at,
        created_by=making.by,
        **{**values, **dated, "framework": Framework(values["framework"])},
    )


def assignment_from(values: Mapping[str, Any], making: Making, held: Assignment | None) -> Assignment:
    """The post an item becomes: a new one, or the next version of the one that is held."""
    end = values["projected_end"]
    own = {
        **values,
        "start": date.fromisoformat(values["start"]),
        "projected_end": date.fromisoformat(end) if end else None,
        "status": AssignmentStatus(values["status"]),
        "source": making.source,
        "updated_at": making.at,
    }
    if held is not None:
        return replace(held, **own, version=held.version + 1)
    return Assignment(
        id=making.record_id,
        ods=making.ods,
        staff_id=making.staff_id,
        version=1,
        created_at=making.at,
        created_by=making.by,
        **own,
    )


def details_from(values: Mapping[str, Any]) -> dict[str, Any]:
    """Details of a member of staff an item changes."""
    changes = dict(values)
    if "employment_status" in changes:
        leaving = changes["leaving_date"]
        changes["employment_status"] = EmploymentStatus(changes["employment_status"])
        changes["leaving_date"] = date.fromisoformat(leaving) if leaving else None
    return changes


def gaps(
    records: StaffRecords,
    judged: Iterable[tuple[Judged, Source]],
    holder_ref: str,
    types: Iterable[str],
    today: date,
    at: datetime,
) -> Assessment:
    """What could be issued if every usable item were accepted, and what would still be missing."""
    staff = records.staff
    checks, training, posts = list(records.checks), list(records.training), list(records.assignments)
    for number, (item, source) in enumerate(judged):
        if item.values is None:
            continue
        making = Making(
            ods=staff.ods, staff_id=staff.id, record_id=f"item-{number}", source=source, at=at, by="preview"
        )
        if item.kind is ItemKind.CHECK:
            checks.append(check_from(item.values, making))
        elif item.kind is ItemKind.TRAINING:
            training.append(training_from(item.values, making))
        elif item.kind is ItemKind.ASSIGNMENT:
            held = next((post for post in posts if post.ref == item.values["ref"]), None)
            posts = [post for post in posts if post is not held]
            posts.append(assignment_from(item.values, making, held))
        elif item.kind in (ItemKind.PERSON, ItemKind.EMPLOYMENT_STATUS):
            staff = replace(staff, **details_from(item.values))
    supposed = replace(
        records, staff=staff, checks=tuple(checks), training=tuple(training), assignments=tuple(posts)
    )
    return assess(supposed, holder_ref, types, today)
