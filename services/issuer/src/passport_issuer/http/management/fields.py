"""Kinds of fields the management models share."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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
