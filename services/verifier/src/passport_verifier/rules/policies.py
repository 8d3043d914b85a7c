"""A host's policies: what one movement type and role profile needs, as versioned data.

One file per policy in ``policy_data``. A policy is rows: each row names a rule (and for core skills a
subject), whether the host relies on it for safety or as assurance, and the conditions it accepts. Another
movement type is another file; nothing here knows a role by name. The thresholds are proposals a host may
change; each stands beside its row. Pure: no database, no clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
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
    "R-08": ("DbsOutcome", ("level", "workforce", "barred_lists", "certificate_issued_on")),
    "R-09": (
        "ProfessionalRegistration",
        ("regulator", "number", "registration_status", "licence_to_practise", "checked_on"),
    ),
    "R-10": ("OccupationalHealth", ("outcome", "role_category", "epp_cleared")),
    "R-12": ("CoreSkills", ()),
}
"""What each rule reads: the credential type and the claims; R-12 reads one subject per row."""


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


@dataclass(frozen=True, kw_only=True)
class HostPolicy:
    """A policy: its key, its version and digest (both stand in every decision), its profile and rows."""

    movement_type: str
    version: str
    effective: date
    labels: Mapping[str, str]
    purpose: Mapping[str, str]
    profile: RoleProfile
    rows: tuple[NeedRow, ...]
    digest: str

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


def parse(text: str) -> HostPolicy:
    """A policy from its JSON text.

    Raises:
        KeyError, ValueError: for data that is not a policy (a fault of the data, found when it is loaded).
    """
    data = json.loads(text)
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
        profile=_profile(data["profile"]),
        rows=rows,
        digest=hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest(),
    )


@lru_cache(maxsize=1)
def policies() -> Mapping[str, HostPolicy]:
    """Every policy this version carries, by id."""
    folder = resources.files(__package__).joinpath("policy_data")
    texts = (entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".json"))
    found = [parse(text) for text in texts]
    return {policy.id: policy for policy in sorted(found, key=lambda policy: policy.id)}


def policy_for(movement_type: str, role_profile: str) -> HostPolicy | None:
    """The policy of a movement type and role profile, or None."""
    return policies().get(f"{movement_type}.{role_profile}")
