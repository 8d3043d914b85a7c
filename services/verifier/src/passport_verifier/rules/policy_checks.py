"""What a policy may say, and what a host may change of the network's default (ADR-0019).

``faults`` finds what makes a document no sound policy: conditions on safety needs, conditions that would make
worse evidence count for more, a barred list without regulated activity. ``lowered`` finds where a host's
document asks for less than the network's default: it may ask for more, sooner, and in other periods where the
network itself relies on assurance only, but what the network needs for safety stays. Both speak in JSON
pointers into the document. Shapes are the interface's business. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from passport_shared.wire import catalogue
from passport_verifier.rules.outcome import Need
from passport_verifier.rules.policies import ANY_REASON, READS
from passport_verifier.rules.readiness import DBS_LEVELS, DEFAULT_LOOK_UP_HOURS, GPG45_LEVELS

Document = Mapping[str, Any]

NAMED_WARNINGS: Mapping[str, frozenset[str]] = {
    "R-05": frozenset({"ORIGINALS_NOT_SEEN"}),
    "R-07": frozenset({"SPONSORED"}),
}
"""The only conditions a safety need may have: the two warnings the domain model names."""
CONDITION_TEXTS = frozenset(
    {
        "SEE_ORIGINALS",
        "SPONSOR_CONFIRMS_SITE",
        "COMPLETE_TRAINING",
        "NO_HANDS_ON",
        "WORK_SUPERVISED",
        "SHARE_AGAIN",
    }
)
"""Sentences a condition can be: each is there in both languages."""
LONGEST_LOOK_UP_HOURS = {"HCPC": 168}
SUBJECTS = frozenset(
    claim.path[1]
    for claim in catalogue.TYPES["CoreSkills"].claims
    if len(claim.path) == 2 and claim.path[0] == "skills"
)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong: where (a JSON pointer), a code, and a sentence."""

    pointer: str
    code: str
    detail: str


def faults(document: Document) -> list[Fault]:
    """What is wrong with a policy's document, which has the right shape."""
    return [*_profile_faults(document), *_row_faults(document["rows"])]


def _profile_faults(document: Document) -> Iterator[Fault]:
    profile, dbs = document["profile"], document["profile"]["dbs"]
    rules = {row["rule"] for row in document["rows"]}
    enhanced = _at_least(DBS_LEVELS, dbs["level"], "ENHANCED")
    if enhanced and not _at_least(GPG45_LEVELS, profile["gpg45_minimum"], "HIGH"):
        yield _fault("/profile/gpg45_minimum", "too_low", "An enhanced DBS check rests on HIGH at least.")
    if profile["regulated_activity"] and (dbs["level"] != "ENHANCED_BARRED" or not dbs["barred_lists"]):
        yield _fault("/profile/dbs", "barred_lists_needed", "Regulated activity needs a barred list check.")
    if dbs["barred_lists"] and not profile["regulated_activity"]:
        yield _fault(
            "/profile/dbs/barred_lists",
            "not_regulated_activity",
            "Barred lists are asked about for regulated activity alone.",
        )
    for rule, name in (("R-09", "regulators"), ("R-10", "oh_role_categories")):
        if rule in rules and not profile[name]:
            yield _fault(f"/profile/{name}", "missing", f"{rule} needs at least one.")
    for regulator, hours in profile["look_up_max_age_hours"].items():
        if hours > LONGEST_LOOK_UP_HOURS.get(regulator, DEFAULT_LOOK_UP_HOURS):
            pointer = f"/profile/look_up_max_age_hours/{_escaped(regulator)}"
            yield _fault(pointer, "too_old", "A look-up counts for 24 hours, HCPC's for 7 days.")


def _row_faults(rows: Sequence[Document]) -> Iterator[Fault]:
    seen: set[tuple[str, str | None]] = set()
    for index, row in enumerate(rows):
        pointer = f"/rows/{index}"
        if row["rule"] not in READS:
            yield _fault(f"{pointer}/rule", "unknown_rule", "This is no rule of readiness.")
        if _key(row) in seen:
            yield _fault(pointer, "repeated", "There is a row for this already.")
        seen.add(_key(row))
        yield from _skill_faults(row, pointer)
        yield from _condition_faults(row, pointer)


def _skill_faults(row: Document, pointer: str) -> Iterator[Fault]:
    given = [name for name in ("subject", "levels", "months") if row.get(name) is not None]
    if row["rule"] != "R-12":
        for name in given:
            yield _fault(f"{pointer}/{name}", "not_core_skills", "Only a row of R-12 has this.")
        return
    if row.get("subject") not in SUBJECTS:
        yield _fault(f"{pointer}/subject", "unknown_subject", "This is no subject of the core skills card.")
    if not row.get("levels"):
        yield _fault(f"{pointer}/levels", "missing", "A core skill row names the levels that satisfy it.")


def _condition_faults(row: Document, pointer: str) -> Iterator[Fault]:
    conditions = row.get("conditions", {})
    for reason, condition in conditions.items():
        at = f"{pointer}/conditions/{_escaped(reason)}"
        if condition["text"] not in CONDITION_TEXTS:
            yield _fault(f"{at}/text", "unknown_text", f"One of {', '.join(sorted(CONDITION_TEXTS))}.")
        if row["need"] == Need.SAFETY and reason not in NAMED_WARNINGS.get(row["rule"], ()):
            yield _fault(at, "safety_has_no_condition", "What is needed for safety is not made a condition.")
    if row["need"] == Need.ASSURANCE and conditions and ANY_REASON not in conditions:
        # A condition for one reason alone would let a worse reason, or a withheld detail, count for more.
        detail = 'Name a condition for every reason ("*"), or none.'
        yield _fault(f"{pointer}/conditions", "any_reason_missing", detail)


def lowered(default: Document, document: Document) -> list[Fault]:
    """Where a document asks for less than the network's default of the same policy."""
    return [*_lowered_profile(default["profile"], document["profile"]), *_lowered_rows(default, document)]


def _lowered_profile(default: Document, profile: Document) -> Iterator[Fault]:
    for name, holds in _PROFILE_ORDER.items():
        if not holds(default[name], profile[name]):
            yield _less(f"/profile/{name}")
    for name, holds in _DBS_ORDER.items():
        if not holds(default["dbs"][name], profile["dbs"][name]):
            yield _less(f"/profile/dbs/{name}")
    for regulator, hours in profile["look_up_max_age_hours"].items():
        if hours > default["look_up_max_age_hours"].get(regulator, DEFAULT_LOOK_UP_HOURS):
            yield _less(f"/profile/look_up_max_age_hours/{_escaped(regulator)}")


def _at_least(order: Sequence[str], value: str, least: str) -> bool:
    return order.index(value) >= order.index(least)


def _still(before: bool, now: bool) -> bool:
    return now or not before


def _no_longer(before: int | None, now: int | None) -> bool:
    return before is None or (now is not None and now <= before)


_PROFILE_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "regulated_activity": _still,
    "epp": _still,
    "gpg45_minimum": lambda before, now: _at_least(GPG45_LEVELS, now, before),
    "regulators": lambda before, now: set(now) <= set(before),
    "licence_required": _still,
    "provisional_allowed": lambda before, now: before or not now,
    "oh_role_categories": lambda before, now: set(now) <= set(before),
}
_DBS_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "level": lambda before, now: _at_least(DBS_LEVELS, now, before),
    "workforce": lambda before, now: set(before) <= set(now),
    "barred_lists": lambda before, now: set(before) <= set(now),
    "max_age_months": _no_longer,
}
"""For each member whether a host's value asks for as much as the network's."""


def _lowered_rows(default: Document, document: Document) -> Iterator[Fault]:
    found = {_key(row): (index, row) for index, row in enumerate(document["rows"])}
    for before in default["rows"]:
        index, row = found.get(_key(before), (-1, None))
        if row is None:
            what = " ".join(part for part in _key(before) if part)
            yield _fault("/rows", "row_missing", f"The network's default has a row for {what}.")
            continue
        pointer = f"/rows/{index}"
        if not set(row.get("levels", ())) <= set(before.get("levels", ())):
            yield _less(f"{pointer}/levels")
        if before["need"] == Need.SAFETY:
            yield from _lowered_safety(before, row, pointer)


def _lowered_safety(before: Document, row: Document, pointer: str) -> Iterator[Fault]:
    if row["need"] != Need.SAFETY:
        yield _less(f"{pointer}/need")
    if not _no_longer(before.get("months"), row.get("months")):
        yield _less(f"{pointer}/months")
    for reason in row.get("conditions", {}).keys() - before.get("conditions", {}).keys():
        yield _less(f"{pointer}/conditions/{_escaped(reason)}")


def _key(row: Document) -> tuple[str, str | None]:
    return row["rule"], row.get("subject")


def _less(pointer: str) -> Fault:
    return _fault(pointer, "below_network", "This asks for less than the network's default.")


def _fault(pointer: str, code: str, detail: str) -> Fault:
    return Fault(pointer=pointer, code=code, detail=detail)


def _escaped(name: str) -> str:
    """A member's name in a JSON pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")
