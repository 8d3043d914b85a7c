"""Cases of the readiness rules.

The surgeon of the pilot as she stands, and changes to make to her evidence.
"""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime, timedelta
from typing import Any

from passport_shared.formats.trust import Finding as TrustFinding
from passport_testkit.datasets import dataset, skill
from passport_verifier.rules.evidence import (
    Case,
    CredentialStanding,
    RegisterLookUp,
    RegisterStatus,
    facts_of,
)
from passport_verifier.rules.policies import HostPolicy, policy_for
from passport_verifier.rules.trust_findings import StatusFinding, standing

DECIDED_AT = datetime(2026, 5, 1, 7, 30, tzinfo=UTC)
THE_DAY = date(2026, 5, 1)
GMC_NUMBER = "7099999"
COMPLETED = "2026-01-15"


def urgent_policy() -> HostPolicy:
    """The policy of the urgent operating list for a urology surgeon."""
    policy = policy_for("SERVICE_NEED_URGENT", "UROLOGY_SURGEON")
    assert policy is not None
    return policy


def commit(text: str) -> str:
    """Stands for the keyed commitment under a movement's data key."""
    return f"committed:{text}"


def all_skills(**changes: dict[str, Any] | None) -> dict[str, Any]:
    """Every subject the urgent list asks for, up to date; a change replaces a subject, None removes it."""
    skills: dict[str, Any] = {
        "IPC": skill("2", COMPLETED),
        "RES": skill("2_ADULT", COMPLETED),
        "PR": skill("BASIC", COMPLETED),
        "SA": skill("2", COMPLETED),
        "SC": skill("2", COMPLETED),
        **{subject: skill("1", COMPLETED) for subject in ("CR", "EDHR", "FS", "HSW", "IG", "MH")},
    }
    skills.update({subject: change for subject, change in changes.items() if change is not None})
    return {subject: value for subject, value in skills.items() if changes.get(subject, value) is not None}


def surgeon(**changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The surgeon's datasets by type; a change is ``Type={claim: value}``, merged into that dataset."""
    found = {
        name: dataset(name)
        for name in (
            "StaffIdentity",
            "Employment",
            "RightToWork",
            "DbsOutcome",
            "ProfessionalRegistration",
            "OccupationalHealth",
        )
    }
    found["CoreSkills"] = {**dataset("CoreSkills"), "skills": all_skills()}
    for name, claims in changes.items():
        found[name] = {**found[name], **claims}
    return found


NUMBERS = {"GMC": GMC_NUMBER, "NMC": "12A3456E", "HCPC": "DT012345"}
"""An invented registration number of each regulator the defaults name."""


def evidence_for(policy: HostPolicy, **changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Datasets that meet a policy in everything; a change is merged into its type's dataset."""
    profile = policy.profile
    regulator = profile.regulators[0]
    found = surgeon(
        DbsOutcome={
            "level": profile.dbs_level,
            "workforce": "BOTH",
            "barred_lists": sorted(profile.barred_lists_needed),
            "certificate_issued_on": "2025-02-11",
        },
        ProfessionalRegistration={
            "regulator": regulator,
            "number": NUMBERS[regulator],
            "licence_to_practise": True if profile.licence_required else "NA",
        },
        OccupationalHealth={
            "role_category": profile.oh_role_categories[0],
            "epp_cleared": "YES" if profile.epp else "NA",
        },
        CoreSkills={
            "skills": {
                row.subject: skill(row.levels[0], COMPLETED) for row in policy.rows if row.subject is not None
            }
        },
    )
    for name, claims in changes.items():
        found[name] = {**found[name], **claims}
    return found


def look_up_for(policy: HostPolicy, status: str = "REGISTERED", **more: Any) -> RegisterLookUp:
    """The host's look-up of the number `evidence_for` shows."""
    regulator = policy.profile.regulators[0]
    values = {"regulator": regulator, "number_commitment": commit(f"{regulator}|{NUMBERS[regulator]}")}
    return look_up(status, **{**values, **more})


def look_up(status: str = "REGISTERED", *, hours: float = 3, **more: Any) -> RegisterLookUp:
    """The host's look-up, some hours before the decision."""
    values: dict[str, Any] = {
        "regulator": "GMC",
        "number_commitment": commit(f"GMC|{GMC_NUMBER}"),
        "status": RegisterStatus(status),
        "licence": status != "REGISTERED_WITHOUT_LICENCE",
        "checked_at": DECIDED_AT - timedelta(hours=hours),
    }
    return RegisterLookUp(**{**values, **more})


def good_standing(ods: str | None = "RBV") -> CredentialStanding:
    """Authorised and active."""
    return standing(TrustFinding.AUTHORISED, StatusFinding.ACTIVE, ods)


def case(
    datasets: dict[str, dict[str, Any]] | None = None,
    *,
    look_ups: tuple[RegisterLookUp, ...] | None = None,
    first_day: date = THE_DAY,
    last_day: date | None = None,
    standings: dict[str, CredentialStanding] | None = None,
    policy: HostPolicy | None = None,
    employing_ods: str | None = "RBV",
    decided_at: datetime = DECIDED_AT,
    released_until: date | None = None,
) -> Case:
    """A case from datasets as a wallet would disclose them."""
    policy = policy or urgent_policy()
    shown = copy.deepcopy(evidence_for(policy) if datasets is None else datasets)
    return Case(
        policy=policy,
        first_day=first_day,
        last_day=last_day or first_day,
        employing_ods=employing_ods,
        decided_at=decided_at,
        facts={name: facts_of(name, claims, policy, commit) for name, claims in shown.items()},
        credentials={**{name: good_standing() for name in shown}, **(standings or {})},
        look_ups=(look_up_for(policy),) if look_ups is None else look_ups,
        released_until=released_until,
    )
