"""A policy: what one movement type and role profile needs, as versioned data (domain model §10d, the matrix).

The network's defaults are files in ``policy_data``; a host's own versions have the same form and are kept in
its database. A policy is rows: each names a rule (and for core skills a subject), whether the host relies on
it for safety or as assurance, and the conditions it accepts. Another movement type is another file; nothing
here knows a role by name. The thresholds are proposals; ``note`` beside a row says where one comes from. A
version is never edited: what replaces it is another version. What a host may change is in ``policy_checks``.
Pure: no database, no clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

from passport_verifier.rules.outcome import ConditionTemplate, Due, Need, Party

ANY_REASON = "*"

READS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "R-05": ("StaffIdentity", ("identity_scheme", "gpg45_level", "originals_seen_in_person_on")),
    "R-06": ("Employment", ("employer_ods", "contract_end")),
    "R-07": ("RightToWork", ("permission", "permission_expires", "work_restriction")),
    "R-08": ("DbsOutcome", ("level", "workforce")),
    "R-09": (
        "ProfessionalRegistration",
        ("regulator", "number", "registration_status", "checked_on", "renewal_due"),
    ),
    "R-10": ("OccupationalHealth", ("outcome", "role_category")),
    "R-12": ("CoreSkills", ()),
}
"""What each rule reads: the credential type and the claims it always needs; ``HostPolicy.reads`` adds what a
profile makes it need. R-12 reads one subject per row."""


@dataclass(frozen=True, kw_only=True)
class NeedRow:
    """One row of a policy."""

    rule: str
    need: Need
    subject: str | None = None
    levels: tuple[str, ...] = ()
    months: int | None = None
    conditions: Mapping[str, ConditionTemplate]

    @property
    def credential(self) -> str:
        """The credential type the rule reads."""
        return READS[self.rule][0]

    def template(self, reason: str | None) -> ConditionTemplate | None:
        """The condition named for a reason, or for any reason."""
        named = self.conditions.get(reason) if reason else None
        return named or self.conditions.get(ANY_REASON)


@dataclass(frozen=True, kw_only=True)
class RoleProfile:
    """What a role does at the host, and so what its holder must show."""

    name: str
    labels: Mapping[str, str]
    patient_contact: str
    regulated_activity: bool
    epp: bool
    gpg45_minimum: str
    dbs_level: str
    dbs_workforce: frozenset[str]
    barred_lists: frozenset[str]
    dbs_max_age_months: int | None
    regulators: tuple[str, ...]
    licence_required: bool
    provisional_allowed: bool
    look_up_max_age_hours: Mapping[str, int]
    oh_role_categories: tuple[str, ...]

    @property
    def barred_lists_needed(self) -> frozenset[str]:
        """The barred lists that must have been checked: only for regulated activity."""
        return self.barred_lists if self.regulated_activity else frozenset()


@dataclass(frozen=True, kw_only=True)
class HostPolicy:
    """A policy: its key, its version and digest (both stand in every decision), its profile and rows.

    ``urgent`` lets the approver's own look-up of the register count on the day it was made. Whose approval a
    movement needs beside the decision is its type's business (``movement_types``).
    """

    movement_type: str
    version: str
    effective: date
    labels: Mapping[str, str]
    purpose: Mapping[str, str]
    urgent: bool
    profile: RoleProfile
    rows: tuple[NeedRow, ...]
    digest: str
    document: Mapping[str, Any] = field(repr=False)

    @property
    def id(self) -> str:
        """``<movement type>.<role profile>``."""
        return f"{self.movement_type}.{self.profile.name}"

    @property
    def version_id(self) -> str:
        """``<id>@<version>``."""
        return f"{self.id}@{self.version}"

    @property
    def credentials(self) -> tuple[str, ...]:
        """The credential types its rows read, in order, each once."""
        return tuple(dict.fromkeys(row.credential for row in self.rows))

    def reads(self, rule: str) -> tuple[str, ...]:
        """The claims a rule reads under this profile: no more is asked for, no more is kept."""
        profile = self.profile
        more = {
            "R-08": (
                ("barred_lists",) * bool(profile.barred_lists_needed)
                + ("certificate_issued_on",) * (profile.dbs_max_age_months is not None)
            ),
            "R-09": ("licence_to_practise",) * profile.licence_required,
            "R-10": ("epp_cleared",) * profile.epp,
        }
        return READS[rule][1] + more.get(rule, ())

    def rows_for(self, credential: str) -> tuple[NeedRow, ...]:
        """The rows that read a credential type."""
        return tuple(row for row in self.rows if row.credential == credential)

    def need_for(self, credential: str) -> Need:
        """SAFETY when any row that reads the type is."""
        safety = any(row.need is Need.SAFETY for row in self.rows_for(credential))
        return Need.SAFETY if safety else Need.ASSURANCE


def _condition(data: Mapping[str, Any]) -> ConditionTemplate:
    due = data["due"]
    hours = None if due == "FIRST_DAY" else int(due["hours"])
    return ConditionTemplate(text=data["text"], due=Due(hours=hours), owner=Party(data["owner"]))


def _row(data: Mapping[str, Any]) -> NeedRow:
    return NeedRow(
        rule=data["rule"],
        need=Need(data["need"]),
        subject=data.get("subject"),
        levels=tuple(data.get("levels", ())),
        months=data.get("months"),
        conditions={reason: _condition(entry) for reason, entry in data.get("conditions", {}).items()},
    )


def _profile(data: Mapping[str, Any]) -> RoleProfile:
    return RoleProfile(
        name=data["name"],
        labels=data["labels"],
        patient_contact=data["patient_contact"],
        regulated_activity=data["regulated_activity"],
        epp=data["epp"],
        gpg45_minimum=data["gpg45_minimum"],
        dbs_level=data["dbs"]["level"],
        dbs_workforce=frozenset(data["dbs"]["workforce"]),
        barred_lists=frozenset(data["dbs"]["barred_lists"]),
        dbs_max_age_months=data["dbs"]["max_age_months"],
        regulators=tuple(data["regulators"]),
        licence_required=data["licence_required"],
        provisional_allowed=data["provisional_allowed"],
        look_up_max_age_hours=data["look_up_max_age_hours"],
        oh_role_categories=tuple(data["oh_role_categories"]),
    )


def compiled(data: Mapping[str, Any]) -> HostPolicy:
    """A policy from its document.

    Raises:
        KeyError, ValueError: for data that is not a policy (a fault of the data, found when it is loaded).
    """
    rows = tuple(_row(entry) for entry in data["rows"])
    for row in rows:
        if row.rule not in READS:
            raise ValueError(f"a policy names {row.rule}, which is no readiness rule")
        if row.rule == "R-12" and not (row.subject and row.levels):
            raise ValueError("a core skill row names its subject and the levels that satisfy it")
    return HostPolicy(
        movement_type=data["movement_type"],
        version=data["version"],
        effective=date.fromisoformat(data["effective"]),
        labels=data["labels"],
        purpose=data["purpose"],
        urgent=data["urgent"],
        profile=_profile(data["profile"]),
        rows=rows,
        digest=digest_of(data),
        document=data,
    )


def parse(text: str) -> HostPolicy:
    """A policy from the text of its document; errors as ``compiled``."""
    return compiled(json.loads(text))


def digest_of(data: Mapping[str, Any]) -> str:
    """SHA-256 of a policy's document, in hex: what a decision says it was judged by."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def documents() -> Mapping[str, Mapping[str, Any]]:
    """The documents of every default version this software carries, by version id."""
    folder = resources.files(__package__).joinpath("policy_data")
    entries = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=str)
    found = [json.loads(entry.read_text("utf-8")) for entry in entries]
    return {f"{one['movement_type']}.{one['profile']['name']}@{one['version']}": one for one in found}


@lru_cache(maxsize=1)
def default_versions() -> Mapping[str, HostPolicy]:
    """Every version of every default, by version id: a decision is judged again by the one it names."""
    return {version_id: compiled(one) for version_id, one in documents().items()}


@lru_cache(maxsize=64)
def defaults_on(day: date) -> Mapping[str, HostPolicy]:
    """The network's default for each policy id on a day: the newest in effect, or the first there will be."""
    found: dict[str, HostPolicy] = {}
    ordered = sorted(default_versions().values(), key=lambda one: (one.effective, one.version))
    for policy in ordered:
        if policy.effective <= day or policy.id not in found:
            found[policy.id] = policy
    return dict(sorted(found.items()))


def policies() -> Mapping[str, HostPolicy]:
    """The newest default of each policy id, whatever its day: which ids there are, and words for them."""
    return defaults_on(date.max)


def policy_for(movement_type: str, role_profile: str) -> HostPolicy | None:
    """The newest default of a movement type and role profile, or None."""
    return policies().get(f"{movement_type}.{role_profile}")
