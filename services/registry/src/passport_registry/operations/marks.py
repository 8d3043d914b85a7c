"""Issuing trust marks: one current mark per entity, replaced when what it says changes (standards.md §1.8).

The order is that of every signature here: reserve (id, status index and the exact content) and commit; sign;
make current, which sets the old index INVALID in the same transaction. A crash leaves at most a burnt index.
"""

from __future__ import annotations

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
from passport_shared.formats.status_list import SUSPENDED, VALID
from passport_shared.formats.trust_mark import MarkStatusReference, mark_type, trust_mark

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
        fresh = mark is not None and view.at - mark.issued_at < STATEMENT_RENEWAL
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
    prepared = []
    async with ctx.db.write() as conn:
        await turn(conn)
        # Counted once a batch: a list takes a batch more than it needs to, never more than it has.
        list_id = (await _open_list(ctx, conn)).id
        for item in batch:
            entity_id = item.view.entity.entity_id
            await entities.hold(conn, entity_id)
            await marks.abandon_prepared(conn, entity_id)
            mark = Mark(
                jti=new_id(),
                entity_id=entity_id,
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
            prepared.append((await _with_index(conn, mark), item))
            standing = item.view.standing
            await entities.set_standing(
                conn,
                entity_id,
                live_since=standing.live_since,
                issuing_closed_at=standing.issuing_closed_at,
            )
    return prepared


async def _with_index(conn: AsyncConnection, mark: Mark) -> Mark:
    """Insert the mark under a random free index; the unique constraint decides whether it was free."""
    for _ in range(INDEX_DRAWS):
        drawn = Mark(**{**vars(mark), "status_idx": marks.random_index()})
        try:
            await marks.prepare(conn, drawn)
        except Duplicate:
            continue
        return drawn
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
    issued = 0
    async with ctx.db.write() as conn:
        await turn(conn)
        for mark, item in prepared:
            # Read again here: a suspension since the preparation must stand on the new index.
            entity = await entities.hold(conn, mark.entity_id)
            suspended = entity is not None and entity.suspension == Suspension.INTEGRITY
            status = SUSPENDED if suspended else VALID
            made = await marks.make_current(
                conn, mark.jti, mark.entity_id, jwt=signed[mark.jti], status=status, now=now
            )
            if not made:
                continue
            issued += 1
            await ctx.audit.record(
                conn,
                kind="trust_mark.issued",
                subject_ref=mark.entity_id,
                actor={"system": "publish"},
                details={"jti": mark.jti, "content": mark.content_digest, "role": item.role.value},
            )
    return issued
