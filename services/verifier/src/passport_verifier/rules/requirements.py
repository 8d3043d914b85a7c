"""What a host asks for a type of move and a role, as an app can work with it (design §6, "Holder sessions").

From the policy in force, without its thresholds for HR: which records, for safety or as a condition, which
details, and for core skills which subject, level and how recent. Nothing here is about a person. Pure.
"""

from __future__ import annotations

from typing import Any

from passport_shared.wire import catalogue
from passport_verifier.rules.policies import HostPolicy, NeedRow

SKILLS = "CoreSkills"


def requirements_of(policy: HostPolicy, host: str) -> dict[str, Any]:
    """The requirements of one policy at a host, by its name, as plain JSON in the order of its rows."""
    return {
        "role_profile": policy.profile.name,
        "labels": dict(policy.profile.labels),
        "purpose": {locale: text.format(host=host) for locale, text in policy.purpose.items()},
        "version": policy.version,
        "effective": policy.effective.isoformat(),
        "records": [_record(policy, credential) for credential in policy.credentials],
    }


def _record(policy: HostPolicy, credential: str) -> dict[str, Any]:
    kind = catalogue.TYPES[credential]
    rows = policy.rows_for(credential)
    details = [claim for row in rows for claim in policy.reads(row.rule)]
    return {
        "type": credential,
        "label": {locale: kind.display[locale]["name"] for locale in catalogue.LOCALES},
        "need": policy.need_for(credential).value,
        "details": list(dict.fromkeys(details)),
        "skills": [_skill(row) for row in rows if row.subject] if credential == SKILLS else [],
    }


def _skill(row: NeedRow) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "levels": list(row.levels),
        "need": row.need.value,
        "completed_within_months": row.months,
    }
