"""What a host's verifier tells the host's issuer about a placement (design §6 "TemporaryPlacement").

``PUT {issuer}/api/v1/organisations/{host}/placements/{movement_id}`` carries a ``PlacementBody``; ``…/end``,
``…/hold``, ``…/reinstate`` a ``PlacementStep``, ``…/offer`` nothing; each is answered by a ``PlacementView``.
``revision`` grows with every change on the verifier's side: what arrives late, with a lower one, changes
nothing. The person is named once, in the first body; the issuer keeps the names, the verifier erases them.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, model_validator

PLACEMENTS_SCOPE = "placements:write"
MAX_REVISION = 1_000_000

_PLAIN_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _plain_date(value: object) -> object:
    """A date as ``YYYY-MM-DD`` and nothing that merely means one."""
    if type(value) is date or (isinstance(value, str) and _PLAIN_DATE.fullmatch(value)):
        return value
    raise ValueError("a day is written YYYY-MM-DD")


Day = Annotated[date, BeforeValidator(_plain_date), Field(ge=date(1900, 1, 1), le=date(2199, 12, 31))]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Lines = Annotated[str, Field(min_length=1, max_length=1_000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Revision = Annotated[StrictInt, Field(ge=1, le=MAX_REVISION)]


class PlacementCredentialState(StrEnum):  # PERSISTED
    """The placement at the host's issuer: waiting to be collected, in a wallet, or over."""

    OFFERED = "OFFERED"
    COLLECTED = "COLLECTED"
    ENDED = "ENDED"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


class PlacementPerson(_Model):
    """Whose placement it is, as shared with the host and confirmed by it."""

    given_name: Line
    family_name: Line
    birthdate: Day


class PlacementPost(_Model):
    """What the credential says of the post; nothing here is about the person."""

    position_title: Line
    position_number: Line = "NONE"
    work_pattern: Lines
    site: Line
    department: Line
    department_contact: Line
    approved_by: Line
    hr_contact: Line
    licence_to_attend: StrictBool
    conditions: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=50)] = (
        Field(default_factory=list)
    )


class PlacementBody(_Model):
    """A placement as it shall be; ``person`` is needed the first time only."""

    revision: Revision
    movement_type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
    start: Day
    end: Day
    post: PlacementPost
    holder_jkt: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9_-]{43}$",
            description="RFC 7638 thumbprint of the key that the shared identity record is bound to.",
        ),
    ]
    person: PlacementPerson | None = None

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> Self:
        if self.end < self.start:
            raise ValueError("end must not lie before start")
        if (self.end - self.start).days > 1_100:
            raise ValueError("a placement is at most three years")
        return self


class PlacementStep(_Model):
    """A placement is held, reinstated or ended."""

    revision: Revision


class PlacementOffer(BaseModel):
    """The offer the staff member collects the record by."""

    model_config = ConfigDict(extra="forbid")

    id: str
    page_url: str = Field(description="The link for the person.")
    credential_offer_uri: str = Field(description="The offer by reference, for a wallet.")
    state: str
    expires_at: datetime


class PlacementView(BaseModel):
    """A placement as the host's issuer has it."""

    model_config = ConfigDict(extra="forbid")

    movement_id: str
    state: PlacementCredentialState
    on_hold: bool
    revision: int
    start: date
    end: date
    collected_at: datetime | None
    ended_at: datetime | None
    offer: PlacementOffer | None = Field(description="Null once the placement is over.")
