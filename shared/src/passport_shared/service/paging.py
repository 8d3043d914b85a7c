"""Cursor paging of management lists: ``{"items": […], "next": "…" | null}`` (design §6).

A cursor holds the sort key of the last item seen and the list it belongs to, so a list may grow while it is
read without an item shown twice or left out. Clients treat it as opaque; a cursor that was altered or belongs
to another list is refused, never guessed at.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Row, Select, literal, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats import strict
from passport_shared.service.problems import BadRequest

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR = 1_024

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    model_config = ConfigDict(extra="forbid")

    items: list[T]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


@dataclass(frozen=True)
class PageQuery:
    """What a client asks of a list."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None


def _page_query(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items per page.")] = DEFAULT_LIMIT,
    cursor: Annotated[
        str | None, Query(min_length=1, max_length=MAX_CURSOR, description="`next` of the page before.")
    ] = None,
) -> PageQuery:
    return PageQuery(limit, cursor)


Paging = Annotated[PageQuery, Depends(_page_query)]


def encode_cursor(list_name: str, values: Sequence[Any]) -> str:
    """The cursor after an item with these sort values (text, whole numbers or instants)."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return strict.b64url_encode(strict.dumps([_tag(list_name), *plain]))


def decode_cursor(list_name: str, cursor: str, kinds: Sequence[type]) -> list[Any]:
    """The sort values in a cursor of this list.

    Raises:
        BadRequest: not a cursor of this list.
    """
    try:
        tag, *values = strict.loads(strict.b64url_decode(cursor, max_bytes=MAX_CURSOR))
        if tag != _tag(list_name) or len(values) != len(kinds):
            raise ValueError
        return [_typed(value, kind) for value, kind in zip(values, kinds, strict=True)]
    except (ValueError, TypeError, OverflowError):
        raise BadRequest("The cursor does not belong to this list.", field="query/cursor") from None


async def fetch_page(
    conn: AsyncConnection,
    statement: Select[Any],
    *,
    list_name: str,
    order_by: Sequence[ColumnElement[Any]],
    query: PageQuery,
    descending: bool = False,
) -> tuple[list[Row[Any]], str | None]:
    """The rows of one page and the cursor of the next.

    Args:
        conn: a connection of ``db.read()``.
        statement: a select without order or limit, whose columns include those it is ordered by.
        list_name: constant name of the list, with its filters if they matter.
        order_by: columns that are unique together.
        query: what the client asks for.
        descending: newest first.
    """
    key = tuple_(*order_by)
    if query.cursor is not None:
        values = decode_cursor(list_name, query.cursor, [_kind(column) for column in order_by])
        bound = tuple_(*(literal(value, column.type) for column, value in zip(order_by, values, strict=True)))
        statement = statement.where(key < bound if descending else key > bound)
    order = [column.desc() if descending else column.asc() for column in order_by]
    rows = list((await conn.execute(statement.order_by(*order).limit(query.limit + 1))).all())
    if len(rows) <= query.limit:
        return rows, None
    last = rows[query.limit - 1]
    return rows[: query.limit], encode_cursor(list_name, [last._mapping[column] for column in order_by])


def _kind(column: ColumnElement[Any]) -> type:
    return column.type.python_type


def _typed(value: Any, kind: type) -> Any:
    if kind is datetime and isinstance(value, str):
        at = datetime.fromisoformat(value)
        if at.tzinfo is None:
            raise ValueError
        return at.astimezone(UTC)  # an offset can lead beyond the calendar
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return value
    if kind is str and isinstance(value, str) and "\x00" not in value:
        return value
    raise ValueError


def _tag(list_name: str) -> str:
    return hashlib.sha256(list_name.encode()).hexdigest()[:12]
