"""Kinds of fields the management models share."""

import re
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
)

T = TypeVar("T", bound=date)


# Pydantic would read numbers, and text of digits, as seconds since 1970; the wire form is ISO 8601 only.
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.+")
# Beyond these a date is a mistake, and arithmetic on it would leave the calendar.
_FIRST_YEAR, _LAST_YEAR = 1900, 2199


def _written_as(pattern: re.Pattern[str]) -> BeforeValidator:
    def check(value: Any) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError("must be text in ISO 8601 form")
        return value

    return BeforeValidator(check)


def _in_our_time(value: T) -> T:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise ValueError(f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return value


Day = Annotated[date, _written_as(_DAY), AfterValidator(_in_our_time)]
Instant = Annotated[AwareDatetime, _written_as(_INSTANT), AfterValidator(_in_our_time)]
Flag = StrictBool

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
OdsCode = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{3,10}$")]
None_ = Literal["NONE"]

ActorField = Annotated[
    str | None,
    Field(
        default=None,
        min_length=1,
        max_length=128,
        pattern="^[A-Za-z0-9][A-Za-z0-9._:/-]*$",
        description="The person who acts, by an opaque id; needed from machine clients.",
        examples=["hr-4711"],
    ),
]


class Received(BaseModel):
    """A request body: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Sent(BaseModel):
    """A response body: every member is always there."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class ByPerson(Received):
    """A body that says only who acts."""

    actor: ActorField
