"""Activity facts: what issuers and verifiers tell the registry, the only input of every report (design §3.9).

A fact says that something happened on a day between two organisations, in codes: no person, no free text. It
travels as the ``data`` of a CloudEvent whose ``organisation`` is the trust that reports it; events are told
apart by their id, so a fact counts once however often it arrives. Definitions are those of domain.md §10a:
*issued* is the first acceptance by a person at one employing trust, *verified* the first confirmed decision
of a movement (or of a request without one) at one host; what comes later is ``reissued`` or ``rechecked``,
and refusals are counted apart.

Sender and receiver read the same models here. Who may report for whom is the receiver's to check.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, model_validator

EVENTS_PATH = "/api/v1/activity/events"
"""Below the registry: where issuers and verifiers post facts, one signed CloudEvent each."""
MAX_EVENT_BYTES = 16_384
MAX_DURATION_S = 366 * 24 * 60 * 60
MAX_STEPS = 12
OTHER_GROUP = "OTHER"
LONDON = ZoneInfo("Europe/London")


class EventType(StrEnum):
    """PERSISTED. What can happen."""

    ISSUED = "passport.issued"
    REISSUED = "passport.reissued"
    VERIFIED = "passport.verified"
    RECHECKED = "passport.rechecked"
    REFUSED = "presentation.refused"
    RELEASE_ANSWERED = "release.answered"
    PLACEMENT_STARTED = "placement.started"
    PLACEMENT_ENDED = "placement.ended"


ACTIVITY_TYPES = frozenset(kind.value for kind in EventType)
REPORTED_BY_HOST = frozenset(
    {
        EventType.VERIFIED,
        EventType.RECHECKED,
        EventType.REFUSED,
        EventType.PLACEMENT_STARTED,
        EventType.PLACEMENT_ENDED,
    }
)
"""Facts of the host trust; every other one is the employing trust's."""


class Source(StrEnum):
    """PERSISTED. Whether this suite saw it happen, or somebody typed in what happened elsewhere before."""

    LIVE = "live"
    IMPORTED = "imported"


class Step(StrEnum):
    """Names of durations. PERSISTED. ``time_to_*`` are whole, the others are their parts in order."""

    APPOINTMENT_TO_OFFER = "appointment_to_offer"
    OFFER_TO_PIN = "offer_to_pin"
    PIN_TO_COLLECTED = "pin_to_collected"
    TIME_TO_ISSUE = "time_to_issue"
    REQUEST_TO_PRESENTED = "request_to_presented"
    PRESENTED_TO_DECIDED = "presented_to_decided"
    DECIDED_TO_CONFIRMED = "decided_to_confirmed"
    TIME_TO_VERIFY = "time_to_verify"
    REQUEST_TO_LINE_MANAGER = "request_to_line_manager"
    LINE_MANAGER_TO_HR = "line_manager_to_hr"
    TIME_TO_RELEASE = "time_to_release"


_PLAIN_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def _plain_date(value: object) -> object:
    """A date as ``YYYY-MM-DD`` and nothing that merely means one."""
    plain = isinstance(value, date) and not isinstance(value, datetime)
    if plain or (isinstance(value, str) and _PLAIN_DATE.match(value)):
        return value
    raise ValueError("a day is written YYYY-MM-DD")


Ods = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,10}$", examples=["RBV"])]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Reason = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
StepName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Seconds = Annotated[StrictInt, Field(ge=0, le=MAX_DURATION_S)]
Day = Annotated[date, BeforeValidator(_plain_date), Field(ge=date(2000, 1, 1), le=date(2200, 1, 1))]
EventId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


class Fact(BaseModel):
    """One fact: the ``data`` of an activity event."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    day: Day = Field(description="Business day in Europe/London.")
    employing_ods: Ods | None = Field(default=None, description="Null where the host does not know it.")
    host_ods: Ods | None = None
    movement_type: Code | None = Field(default=None, examples=["SERVICE_NEED_URGENT"])
    workforce_group: Code | None = Field(default=None, examples=["CLINICIANS"])
    role_profile: Code | None = Field(default=None, examples=["UROLOGY_SURGEON"])
    use_case: Code | None = Field(default=None, examples=["SERVICE_NEED"])
    channel: Code | None = Field(default=None, examples=["VIDEO"])
    would_have_needed: Literal["HONORARY_CONTRACT", "LETTER_OF_AUTHORITY", "SECONDMENT", "NONE"] | None = None
    outcome: Code | None = Field(default=None, examples=["READY"])
    reason: Reason | None = None
    durations_s: Annotated[dict[StepName, Seconds], Field(max_length=MAX_STEPS)] = Field(
        default_factory=dict, description="Seconds by step.", examples=[{"time_to_verify": 170}]
    )
    source: Source


class ActivityEvent(BaseModel):
    """A fact in its CloudEvents 1.0 envelope, as the registry receives it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    specversion: Literal["1.0"]
    id: EventId
    source: Annotated[str, Field(pattern=r"^https://[\x21-\x7e]{1,247}$")]
    type: EventType
    subject: Annotated[str, Field(pattern=r"^[\x21-\x7e]{0,256}$")] | None = Field(
        default=None, description="Not kept: the registry does not want to know whom a fact is about."
    )
    time: AwareDatetime
    datacontenttype: Literal["application/json"] = "application/json"
    organisation: Ods = Field(description="The trust that reports the fact.")
    data: Fact

    @model_validator(mode="after")
    def _reported_by_its_own(self) -> Self:
        if self.organisation != reporter(self.type, self.data):
            raise ValueError(f"a fact {self.type} is reported by its {side(self.type)} trust")
        return self


def side(kind: EventType) -> str:
    """Which of a fact's two trusts reports it: ``host`` or ``employing``."""
    return "host" if kind in REPORTED_BY_HOST else "employing"


def reporter(kind: EventType, fact: Fact) -> str | None:
    """The ODS code of the trust that reports this fact; None where its host is missing."""
    return fact.host_ods if kind in REPORTED_BY_HOST else fact.employing_ods


def fact(
    *,
    at: datetime,
    employing_ods: str | None,
    host_ods: str | None = None,
    movement_type: str | None = None,
    workforce_group: str | None = None,
    role_profile: str | None = None,
    use_case: str | None = None,
    channel: str | None = None,
    would_have_needed: str | None = None,
    outcome: str | None = None,
    reason: str | None = None,
    durations_s: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """A live fact, ready to be the ``data`` of ``Outbox.emit``.

    Args:
        at: when it happened; the fact carries its business day in Europe/London.
        employing_ods: who employs the person; None only where a host asked without knowing.
        host_ods: where the person goes.
        movement_type: of the movement.
        workforce_group: a code or any label of it; what is none of them is told as OTHER, never as typed.
        role_profile: of the movement.
        use_case: of the movement.
        channel: of the appointment or of the presentation request.
        would_have_needed: of the movement.
        outcome: of the decision or the release.
        reason: code of a refusal.
        durations_s: from ``durations``.

    Raises:
        ValueError: something is no code; a fault of the caller, never of a person.
    """
    made = Fact(
        day=at.astimezone(LONDON).date(),
        employing_ods=employing_ods,
        host_ods=host_ods,
        movement_type=movement_type,
        workforce_group=group_code(workforce_group) if workforce_group is not None else None,
        role_profile=role_profile,
        use_case=use_case,
        channel=channel,
        would_have_needed=would_have_needed,
        outcome=outcome,
        reason=reason,
        durations_s=dict(durations_s or {}),
        source=Source.LIVE,
    )
    return made.model_dump(mode="json")


def durations(steps: Mapping[str, tuple[datetime | None, datetime | None]]) -> dict[str, int]:
    """Whole seconds by step, from the two instants of each; a step that was not seen whole is left out."""
    found: dict[str, int] = {}
    for name, (begun, ended) in steps.items():
        if begun is None or ended is None:
            continue
        seconds = int((ended - begun).total_seconds())
        if 0 <= seconds <= MAX_DURATION_S:
            found[name] = seconds
    return found


@lru_cache(maxsize=1)
def workforce_groups() -> Mapping[str, Mapping[str, Any]]:
    """Workforce groups by code: a label by language, and ``aliases`` as others print them."""
    text = resources.files("passport_shared.wire").joinpath("workforce_groups.json").read_text("utf-8")
    return MappingProxyType(json.loads(text))


@lru_cache(maxsize=1)
def _group_codes() -> Mapping[str, str]:
    known: dict[str, str] = {}
    for code, group in workforce_groups().items():
        for name in (code, group["en-GB"], group["cy"], *group["aliases"]):
            known.setdefault(name.casefold(), code)
    return known


def group_code(text: str) -> str:
    """The code of a workforce group by its code, label or alias; OTHER for everything else."""
    return _group_codes().get(text.strip().casefold(), OTHER_GROUP)
