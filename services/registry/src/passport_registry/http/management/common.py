"""What the management routes share: the registry of a request, the acting person, lists and versions."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from passport_registry.context import Context
from passport_registry.errors import Forbidden
from passport_registry.rules.entities import Role
from passport_shared.service.auth import Actor, Caller, actor_of
from passport_shared.service.idempotency import Claim, Outcome, call_of
from passport_shared.service.paging import PageQuery, decode_cursor, encode_cursor
from passport_shared.wire.clients import EVERY_ORGANISATION

T = TypeVar("T")

# Outside these years instants overflow when they are converted, or mean a slip of the pen.
FIRST_YEAR, LAST_YEAR = 2000, 2100

ActorRef = Annotated[
    str | None,
    Field(
        default=None,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@|-]{0,99}$",
        description=(
            "The person who acts, as an opaque reference of the calling system, never a name. Machine "
            "clients must give it; a person client is its own actor and must not."
        ),
        examples=["hr-7f31"],
    ),
]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=5, max_length=500)]


def _this_century(at: datetime) -> datetime:
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return at.astimezone(UTC)


Instant = Annotated[
    AwareDatetime, AfterValidator(_this_century), Field(description="RFC 3339 with an offset, or Z.")
]
OdsPath = Annotated[
    str,
    Path(pattern=r"^[A-Z0-9]{3,6}$", description="ODS code in upper case.", examples=["RBV"]),
]
RolePath = Annotated[Role, Path(description="`ISSUER` or `VERIFIER`.")]


class ApiModel(BaseModel):
    """Base of request and response models: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Acted(ApiModel):
    """A request about which nothing is to be said but who acts."""

    actor: ActorRef


class ActedWithReason(ApiModel):
    """A request with a reason and the person who acts."""

    reason: Reason
    actor: ActorRef


def context_of(request: Request) -> Context:
    """Return the registry this request is for."""
    ctx: Context = request.app.state.context
    return ctx


Ctx = Annotated[Context, Depends(context_of)]


def operator(caller: Caller) -> None:
    """Refuse a client of a single organisation: the network's register is its operator's to write.

    Raises:
        Forbidden: the client does not act for the whole network.
    """
    if caller.organisation != EVERY_ORGANISATION:
        raise Forbidden("Only clients of the network's operator may do this.")


def acting(caller: Caller, asserted: str | None) -> Actor:
    """Return who acts; see `passport_shared.service.auth.actor_of`."""
    return actor_of(caller, asserted)


async def once(
    ctx: Context, request: Request, caller: Caller, work: Callable[[Claim], Awaitable[str]]
) -> Outcome:
    """Do the work of a POST, or find what the first one with its Idempotency-Key made."""
    return await ctx.idempotency.once(await call_of(request, caller.client_id), work)


def cursor_of(query: PageQuery, list_name: str) -> str | None:
    """Return the id after which the page begins."""
    if query.cursor is None:
        return None
    (after,) = decode_cursor(list_name, query.cursor, [str])
    return str(after)


def page_of(
    items: list[T], query: PageQuery, list_name: str, key: Callable[[T], str]
) -> tuple[list[T], str | None]:
    """Cut a list that was read one item too long, and return the cursor of the next page."""
    if len(items) <= query.limit:
        return items, None
    kept = items[: query.limit]
    return kept, encode_cursor(list_name, [key(kept[-1])])
