"""Issuing trust marks: one current mark per entity, replaced when what it says changes (standards.md §1.8).

The order is that of every signature here: reserve (id, status index and the exact content) and commit; sign;
make current, which sets the old index INVALID in the same transaction. A crash leaves at most a burnt index.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_registry.operations import anchor, failpoints
from passport_registry.operations.standings import EntityView, TrustView, content
from passport_registry.operations.turn import Turn, always
from passport_registry.rules.entities import Role, Suspension
from passport_registry.rules.marks import MarkContent
from passport_registry.store import entities, marks
from passport_registry.store.marks import CurrentMark, Mark, StatusListRow
from passport_registry.store.rows import Duplicate
from passport_shared.formats.freshness import STATEMENT_LIFETIME, STATEMENT_RENEWAL
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.status_list import VALID
from passport_shared.formats.trust_mark import MarkStatusReference, mark_type, trust_mark
from passport_shared.service.schedule import is_younger

# So many marks share the two transactions of a renewal; a daily renewal of thousands stays short.
BATCH = 100
INDEX_DRAWS = 64


@dataclass(frozen=True, kw_only=True)
class Due:
    """An entity whose mark must be issued, with what it has to say."""

    view: EntityView
    role: Role
    content: MarkContent
    digest: str


async def renew(ctx: Context, views: Sequence[TrustView], turn: Turn = always) -> int:
    """Issue every mark that is due; return how many became current."""
    enrolled = [entity for view in views for entity in view.entities.values() if entity.enrolled]
    async with ctx.db.read() as conn:
        current = await marks.current_of(conn, [item.entity.entity_id for item in enrolled])
    key = await anchor.signing_key(ctx, anchor.FEDERATION)
    due = [item for view in views for item in _due(view, current, key.kid)]
    issued = 0
    for batch in _batches(due):
        prepared = await _prepare(ctx, batch, turn)
        failpoints.hit(failpoints.AFTER_MARKS_PREPARED)
        signed = {mark.jti: _sign(ctx, mark, item, key) for mark, item in prepared}
        failpoints.hit(failpoints.AFTER_MARKS_SIGNED)
        issued += await _make_current(ctx, prepared, signed, turn)
        failpoints.hit(failpoints.AFTER_MARKS_CURRENT)
    return issued


def _due(view: TrustView, current: Mapping[str, CurrentMark], kid: str) -> Iterator[Due]:
    for role, entity in view.entities.items():
        if not entity.enrolled:
            continue
        said = content(view, role)
        mark = current.get(entity.entity.entity_id)
        fresh = mark is not None and is_younger(mark.issued_at, view.at, STATEMENT_RENEWAL)
        # With the signing key in it: marks follow a roll of the anchor's key at once.
        digest = f"{said.digest()}.{kid}"
        if mark is None or not fresh or mark.content_digest != digest:
            yield Due(view=entity, role=role, content=said, digest=digest)


def _batches(due: Sequence[Due]) -> Iterator[Sequence[Due]]:
    for start in range(0, len(due), BATCH):
        yield due[start : start + BATCH]


async def _prepare(ctx: Context, batch: Sequence[Due], turn: Turn) -> list[tuple[Mark, Due]]:
    """Record the intention: nothing is signed that could not be taken back by its status index."""
    now = ctx.clock.now().replace(microsecond=0)
    entity_ids = [item.view.entity.entity_id for item in batch]
    async with ctx.db.write() as conn:
        await turn(conn)
        await entities.hold_many(conn, entity_ids)
        await marks.abandon_prepared(conn, entity_ids)
        # Counted once a batch: a list takes a batch more than it needs to, never more than it has.
        list_id = (await _open_list(ctx, conn)).id
        made = [
            Mark(
                jti=new_id(),
                entity_id=item.view.entity.entity_id,
                trust_mark_type=mark_type(ctx.anchor, item.content.role),
                content_digest=item.digest,
                content=item.content.as_claims(),
                issued_at=now,
                expires_at=now + STATEMENT_LIFETIME,
                status_list_id=list_id,
                status_idx=0,
                status=VALID,
                state="PREPARED",
            )
            for item in batch
        ]
        drawn = await _with_indices(conn, made)
        for item in batch:
            await _keep_standing(conn, item.view)
    return list(zip(drawn, batch, strict=True))


async def _keep_standing(conn: AsyncConnection, view: EntityView) -> None:
    """Keep what was derived, where it is something new."""
    entity, derived = view.entity, view.standing
    if (entity.live_since, entity.issuing_closed_at) != (derived.live_since, derived.issuing_closed_at):
        await entities.set_standing(
            conn,
            entity.entity_id,
            live_since=derived.live_since,
            issuing_closed_at=derived.issuing_closed_at,
        )


async def _with_indices(conn: AsyncConnection, made: Sequence[Mark]) -> list[Mark]:
    """Insert marks under random free indices of one list; the unique constraint decides who was first."""
    for _ in range(INDEX_DRAWS):
        # Most of a list may be taken: some more are drawn than are needed.
        drawn = {marks.random_index() for _ in range(4 * len(made) + 8)}
        free = sorted(drawn - await marks.taken(conn, made[0].status_list_id, drawn))
        if len(free) < len(made):
            continue
        chosen = secrets.SystemRandom().sample(free, len(made))
        rows = [Mark(**{**vars(mark), "status_idx": index}) for mark, index in zip(made, chosen, strict=True)]
        try:
            await marks.prepare(conn, rows)
        except Duplicate:
            continue
        return rows
    raise RuntimeError("no free status index was drawn from an open list")


async def _open_list(ctx: Context, conn: AsyncConnection) -> StatusListRow:
    row = await marks.open_list(conn)
    if row is not None:
        if await marks.fill(conn, row.id) < marks.FULL_AT:
            return row
        await marks.mark_full(conn, row.id)
    list_id = random_token(16)
    row = StatusListRow(
        id=list_id,
        uri=f"{ctx.anchor}/statuslists/{list_id}",
        bits=marks.BITS,
        size=marks.SIZE,
        created_at=ctx.clock.now(),
        full=False,
    )
    await marks.add_list(conn, row)
    return row


def _sign(ctx: Context, mark: Mark, item: Due, key: SigningKey) -> str:
    said = item.content
    return trust_mark(
        iss=ctx.anchor,
        sub=mark.entity_id,
        role=said.role,
        organisation=said.organisation,
        authorizations=said.authorizations,
        keys=said.keys,
        status=MarkStatusReference(
            uri=f"{ctx.anchor}/statuslists/{mark.status_list_id}", idx=mark.status_idx
        ),
        iat=mark.issued_at,
        exp=mark.expires_at,
        jti=mark.jti,
        key=key,
        status_lists=said.status_lists,
    )


async def _make_current(
    ctx: Context, prepared: Sequence[tuple[Mark, Due]], signed: dict[str, str], turn: Turn
) -> int:
    now = ctx.clock.now()
    items = {mark.jti: item for mark, item in prepared}
    entity_ids = [mark.entity_id for mark, _ in prepared]
    async with ctx.db.write() as conn:
        await turn(conn)
        await entities.hold_many(conn, entity_ids)
        # Read again here: a suspension since the preparation must stand on the new index.
        suspended = await entities.suspended(conn, entity_ids, Suspension.INTEGRITY)
        made = await marks.make_current(conn, signed, suspended=suspended, now=now)
        for mark in made:
            await ctx.audit.record(
                conn,
                kind="trust_mark.issued",
                subject_ref=mark.entity_id,
                actor={"system": "publish"},
                details={
                    "jti": mark.jti,
                    "content": mark.content_digest,
                    "role": items[mark.jti].role.value,
                },
            )
    return len(made)
