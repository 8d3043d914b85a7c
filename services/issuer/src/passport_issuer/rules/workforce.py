"""Workforce systems as the rules see them: kinds, what was read, what may become of it.

The vocabulary of connections, links and gatherings; enumerations marked PERSISTED stand in rows. Mapping from
the wire is in ``workforce_dsp`` and ``workforce_esr``, comparing with what the trust holds in
``workforce_preview``, comparing people in ``workforce_names``. Nothing here calls anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from passport_issuer.rules.records import ExternalIdKind, Source


class SystemType(StrEnum):
    """PERSISTED. What a connection leads to: ESR, or a kind of system behind the DSP API standard."""

    ESR = "ESR"
    LMS = "LMS"
    RECRUITMENT = "RECRUITMENT"
    OCCUPATIONAL_HEALTH = "OCCUPATIONAL_HEALTH"


class ConnectionKind(StrEnum):
    """The contract a connection speaks; it follows from the system type."""

    ESR = "ESR"
    DSP_API = "DSP_API"


class Authentication(StrEnum):
    """PERSISTED. How we prove who we are to the system."""

    PRIVATE_KEY_JWT = "PRIVATE_KEY_JWT"
    API_KEY = "API_KEY"  # a header, stored wrapped


class ConnectionState(StrEnum):
    """PERSISTED. Whether a connection is used."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


class OnRegistrationChange(StrEnum):
    """PERSISTED. What a change that ends or limits practice does to the passport."""

    HOLD = "HOLD"
    ASK = "ASK"


class Cause(StrEnum):
    """PERSISTED. Why something was gathered."""

    HR = "HR"
    EVENT = "EVENT"
    CHANGES = "CHANGES"


class ItemKind(StrEnum):
    """PERSISTED. What one item of a gathering is about."""

    PERSON = "PERSON"
    EMPLOYMENT_STATUS = "EMPLOYMENT_STATUS"
    ASSIGNMENT = "ASSIGNMENT"
    CHECK = "CHECK"
    TRAINING = "TRAINING"
    SCREENING = "SCREENING"


class ItemState(StrEnum):
    """PERSISTED. An item beside what the trust holds."""

    NEW = "NEW"
    CHANGED = "CHANGED"
    SAME = "SAME"
    NOT_USABLE = "NOT_USABLE"


class Refusal(StrEnum):
    """PERSISTED. Why something that was read is not usable."""

    OTHER_PERSON = "OTHER_PERSON"
    OTHER_ORGANISATION = "OTHER_ORGANISATION"
    NAME_CHANGED = "NAME_CHANGED"
    FUTURE_DATE = "FUTURE_DATE"
    IMPOSSIBLE_VALUE = "IMPOSSIBLE_VALUE"
    MALFORMED = "MALFORMED"
    NUMBER_MALFORMED = "NUMBER_MALFORMED"
    NOT_MAPPED = "NOT_MAPPED"
    NOT_FROM_THIS_SYSTEM = "NOT_FROM_THIS_SYSTEM"
    DECISION_NEEDED = "DECISION_NEEDED"
    DUPLICATE = "DUPLICATE"
    OLDER_THAN_HELD = "OLDER_THAN_HELD"
    TOO_MANY = "TOO_MANY"


WORDS: Mapping[Refusal, str] = {
    Refusal.OTHER_PERSON: "It is about another person: an identifier, a name or the date of birth differs "
    "from the one that was chosen. Ask the system's owner, and choose the person again.",
    Refusal.OTHER_ORGANISATION: "It is another organisation's. Ask the system's owner.",
    Refusal.NAME_CHANGED: "The other system uses another family name now. Choose the person again, and say "
    "why the difference is in order.",
    Refusal.FUTURE_DATE: "It is dated in the future. Ask the system's owner to correct it.",
    Refusal.IMPOSSIBLE_VALUE: "It contradicts itself or cannot be true. Ask the system's owner.",
    Refusal.MALFORMED: "It does not have the form its contract promises. Record it by hand with evidence.",
    Refusal.NUMBER_MALFORMED: "The registration number does not have its regulator's form. Look the "
    "register up and record the check by hand.",
    Refusal.NOT_MAPPED: "It is nothing a passport carries.",
    Refusal.NOT_FROM_THIS_SYSTEM: "A system of this type does not answer for records of this kind.",
    Refusal.DECISION_NEEDED: "It does not carry your trust's decision. Record the check by hand.",
    Refusal.DUPLICATE: "The same record was sent twice.",
    Refusal.OLDER_THAN_HELD: "What your trust holds is newer.",
    Refusal.TOO_MANY: "The system sent more records than one person can have.",
}
"""What each refusal means to HR, and what to do."""

LIES = frozenset(
    {Refusal.OTHER_PERSON, Refusal.OTHER_ORGANISATION, Refusal.FUTURE_DATE, Refusal.IMPOSSIBLE_VALUE}
)
"""Refusals after which a connection is not believed by itself until a person has looked at it."""

MAX_ITEMS = 500
"""Records of one person from one system beyond which something is wrong."""

KIND_OF_ID: Mapping[SystemType, ExternalIdKind] = {
    SystemType.ESR: ExternalIdKind.ESR_PERSON,
    SystemType.LMS: ExternalIdKind.LMS,
    SystemType.RECRUITMENT: ExternalIdKind.RECRUITMENT,
    SystemType.OCCUPATIONAL_HEALTH: ExternalIdKind.OH,
}
"""The external identifier a link puts on the member of staff."""

# What the GMC, the NMC and the others say when somebody may not practise, whatever else is recorded.
ENDS_PRACTICE = frozenset(
    {"REGISTERED_WITHOUT_LICENCE", "INTERIM_SUSPENSION", "SUSPENDED", "LAPSED", "REMOVED", "NOT_FOUND"}
)
LIMITS_PRACTICE = frozenset({"REGISTERED_WITH_CONDITIONS", "INTERIM_CONDITIONS"})
UNLIMITED_PRACTICE = frozenset({"REGISTERED", "PROVISIONAL", "NOT_REQUIRED"})


def kind_of(system_type: SystemType) -> ConnectionKind:
    """The contract a system of this type speaks."""
    return ConnectionKind.ESR if system_type is SystemType.ESR else ConnectionKind.DSP_API


def source_of(system_type: SystemType) -> Source:
    """The source that stands on records from a system of this type."""
    return Source.ESR if system_type is SystemType.ESR else Source.DSP_API


def worse_for_practice(before: str | None, after: str) -> bool:
    """Whether a registration's new status ends or newly limits practice, compared with what was held.

    A status that ends practice counts whatever was held before, unless it is the same; a limit counts unless
    it was known.
    """
    if after == before:
        return False
    return after in ENDS_PRACTICE or (after in LIMITS_PRACTICE and before not in LIMITS_PRACTICE)


@dataclass(frozen=True, kw_only=True)
class ForeignPerson:
    """A person as another system describes them. ``given_name`` holds all given names in order."""

    person_id: str
    given_name: str
    family_name: str
    birthdate: date | None
    previous_family_names: tuple[str, ...] = ()
    preferred_name: str | None = None
    work_email: str | None = None
    further_information: str | None = None
    esr_person_id: str | None = None
    organisation: str | None = None
    employment_status: str | None = None
    leaving_date: date | None = None


@dataclass(frozen=True, kw_only=True)
class ForeignRecords:
    """Everything one system answered about one person, the records still as JSON objects by their list."""

    person: ForeignPerson
    answered_id: str
    records: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thin entry of a feed of changes."""

    cursor: str
    kind: str
    person_id: str


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One record of ours that could be made from what was read; ``values`` are JSON values."""

    kind: ItemKind
    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """Something that was read and cannot be used; nothing of its content is kept."""

    kind: ItemKind
    key: str
    reason: Refusal


Finding = Proposal | Unusable


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What mapping needs to know beside the records: whose they are, when and through what they were read.

    ``known_family_names`` are the names under which this person may appear in older records.
    """

    ods: str
    given_name: str
    family_name: str
    birthdate: date
    known_family_names: tuple[str, ...]
    known_given_names: tuple[str, ...]
    connection_id: str
    system_type: SystemType
    today: date
