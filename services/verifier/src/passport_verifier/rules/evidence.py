"""What a decision is judged from: facts taken from claims, the standing of each credential, the look-up.

``facts_of`` keeps of a credential only what its rules must judge again later (a date, a level, a boolean, an
organisation's code); a registration number becomes a keyed commitment, so that the host's look-up can be
compared with it and nobody can read it. Facts are stored encrypted; nothing else of a claim is. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from passport_shared.wire.regulators import number_has_form
from passport_verifier.rules.outcome import Reason, Result
from passport_verifier.rules.policies import HostPolicy, NeedRow

Facts = Mapping[str, Mapping[str, Any]]
"""Facts by credential type. For CoreSkills the members are subjects, each ``{"level", "completed_on"}``."""

NUMBER_COMMITMENT = "number_commitment"
NUMBER_HAS_FORM = "number_has_form"
APPROVER = "APPROVER"
"""The source of a look-up made by the approver of an urgent movement, such as the duty manager at night."""


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
    """What trust or status says of one credential: PASS, UNKNOWN or FAIL, and why.

    ``words`` is the key of a sentence of its own for a PASS that has something to say.
    """

    result: Result
    reason: Reason | None = None
    words: str | None = None


@dataclass(frozen=True, kw_only=True)
class CredentialStanding:
    """One credential of a presentation, apart from its claims."""

    trust: Standing
    status: Standing
    issuer_ods: str | None


@dataclass(frozen=True, kw_only=True)
class RegisterLookUp:
    """The host's own look-up of a register; ``number_commitment`` as in the facts.

    ``by_approver``: made by the approver of an urgent movement rather than by the host's HR.
    """

    regulator: str
    number_commitment: str
    status: RegisterStatus
    licence: bool | None
    checked_at: datetime
    by_approver: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything one decision is judged from.

    ``first_day`` and ``last_day`` are days in Europe/London; ``decided_at`` is UTC. ``credentials`` has the
    standing of every card by the part of the policy it answers (``asking.Part``), which is the type's name
    but for a card that is asked for in several parts. ``released_until`` is the last day the employing trust
    released the person for, as its newest Release says: nobody is judged, or placed, beyond it.
    ``look_ups_as_at`` is when the start was decided, for a case that is judged again while the movement is
    watched: a look-up that was recent then does not grow old afterwards. None judges it as at ``decided_at``.
    """

    policy: HostPolicy
    first_day: date
    last_day: date
    employing_ods: str | None
    decided_at: datetime
    facts: Facts
    credentials: Mapping[str, CredentialStanding]
    look_ups: tuple[RegisterLookUp, ...] = field(default=())
    released_until: date | None = None
    look_ups_as_at: datetime | None = None

    @property
    def ends_on(self) -> date:
        """The last day that is judged: the movement's, or an earlier one the Release ends on."""
        if self.released_until is None:
            return self.last_day
        return max(self.first_day, min(self.last_day, self.released_until))


def facts_of(
    credential: str,
    claims: Mapping[str, Any],
    policy: HostPolicy,
    commit: Callable[[str], str],
    *,
    rows: Iterable[NeedRow] | None = None,
) -> dict[str, Any]:
    """The facts of one credential that the policy's rules judge; claims nobody asked for are dropped.

    Args:
        credential: its type.
        claims: what was disclosed.
        policy: what is judged by.
        commit: turns text into a keyed commitment under the movement's data key.
        rows: the rows this card answers, where it is not all of its type's.
    """
    facts: dict[str, Any] = {}
    for row in policy.rows_for(credential) if rows is None else rows:
        if row.subject is not None:
            skills = claims.get("skills")
            skill = skills.get(row.subject) if isinstance(skills, Mapping) else None
            if isinstance(skill, Mapping):
                facts[row.subject] = {key: skill.get(key) for key in ("level", "completed_on")}
            continue
        facts.update({name: claims[name] for name in policy.reads(row.rule) if name in claims})
    if "number" in facts:
        regulator, number = str(facts.get("regulator")), str(facts.pop("number"))
        facts[NUMBER_COMMITMENT] = commit(number_text(regulator, number))
        facts[NUMBER_HAS_FORM] = number_has_form(regulator, number)
    return facts


def number_text(regulator: str, number: str) -> str:
    """A registration number as it is committed to: regulator and number, upper case, without spaces."""
    return f"{regulator.upper()}|{''.join(number.split()).upper()}"
