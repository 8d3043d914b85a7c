"""What a decision is judged from: facts taken from claims, the standing of each credential, the look-up.

``facts_of`` keeps of a credential only what its rules must judge again later (a date, a level, a boolean, an
organisation's code); a registration number becomes a keyed commitment, so that the host's look-up can be
compared with it and nobody can read it. Facts are stored encrypted; nothing else of a claim is. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from passport_verifier.rules.outcome import Reason, Result
from passport_verifier.rules.policies import READS, HostPolicy

Facts = Mapping[str, Mapping[str, Any]]
"""Facts by credential type. For CoreSkills the members are subjects, each ``{"level", "completed_on"}``."""

NUMBER_COMMITMENT = "number_commitment"


class RegisterStatus(StrEnum):  # PERSISTED
    """A practitioner's standing on a regulator's register."""

    REGISTERED = "REGISTERED"
    REGISTERED_WITHOUT_LICENCE = "REGISTERED_WITHOUT_LICENCE"
    PROVISIONAL = "PROVISIONAL"
    REGISTERED_WITH_CONDITIONS = "REGISTERED_WITH_CONDITIONS"
    INTERIM_CONDITIONS = "INTERIM_CONDITIONS"
    INTERIM_SUSPENSION = "INTERIM_SUSPENSION"
    SUSPENDED = "SUSPENDED"
    LAPSED = "LAPSED"
    REMOVED = "REMOVED"
    NOT_FOUND = "NOT_FOUND"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What trust or status says of one credential: PASS, UNKNOWN or FAIL, and why."""

    result: Result
    reason: Reason | None = None


@dataclass(frozen=True, kw_only=True)
class CredentialStanding:
    """One credential of a presentation, apart from its claims."""

    trust: Standing
    status: Standing
    issuer_ods: str | None


@dataclass(frozen=True, kw_only=True)
class RegisterLookUp:
    """The host's own look-up of a register; ``number_commitment`` as in the facts."""

    regulator: str
    number_commitment: str
    status: RegisterStatus
    licence: bool | None
    checked_at: datetime


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything one decision is judged from.

    ``first_day`` and ``last_day`` are days in Europe/London; ``decided_at`` is UTC.
    """

    policy: HostPolicy
    first_day: date
    last_day: date
    employing_ods: str | None
    decided_at: datetime
    facts: Facts
    credentials: Mapping[str, CredentialStanding]
    look_ups: tuple[RegisterLookUp, ...] = field(default=())


def facts_of(
    credential: str, claims: Mapping[str, Any], policy: HostPolicy, commit: Callable[[str], str]
) -> dict[str, Any]:
    """The facts of one credential that the policy's rules judge; claims nobody asked for are dropped.

    ``commit`` turns text into a keyed commitment under the movement's data key.
    """
    facts: dict[str, Any] = {}
    for row in policy.rows_for(credential):
        if row.subject is not None:
            skill = claims.get("skills", {}).get(row.subject)
            if isinstance(skill, Mapping):
                facts[row.subject] = {key: skill.get(key) for key in ("level", "completed_on")}
            continue
        facts.update({name: claims[name] for name in READS[row.rule][1] if name in claims})
    if "number" in facts:
        facts[NUMBER_COMMITMENT] = commit(number_text(str(facts.get("regulator")), str(facts.pop("number"))))
    return facts


def number_text(regulator: str, number: str) -> str:
    """A registration number as it is committed to: regulator and number, upper case, without spaces."""
    return f"{regulator.upper()}|{''.join(number.split()).upper()}"
