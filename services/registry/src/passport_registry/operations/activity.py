"""Activity facts as they arrive: from outboxes, signed, one by one; or imported, by hand, all or nothing.

Either way a fact counts once by its event id, in one transaction with the sums that reports read. A known id
with the same content changes nothing, with other content it is refused. Who may report for a trust is an API
client with ``activity:write`` for that trust or for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.context import Context
from passport_registry.errors import (
    BadRequest,
    EventIdReused,
    Forbidden,
    Invalid,
    NotFound,
    SignatureRefused,
    fields,
)
from passport_registry.operations import failpoints
from passport_registry.rules.activity import Event, FactRefused, accepted, counted, durations
from passport_registry.rules.onboarding import london_day
from passport_registry.store import activity as store
from passport_registry.store import clients, organisations
from passport_registry.store.activity import FactRow, ImportRow, Provenance
from passport_shared.formats import strict
from passport_shared.formats.ids import new_id
from passport_shared.formats.jose import PublicKey
from passport_shared.service.auth import Actor
from passport_shared.service.http_signatures import SignatureRefused as Refused
from passport_shared.service.http_signatures import signing_key_id, verify_request
from passport_shared.service.idempotency import Claim
from passport_shared.service.validation import field_errors
from passport_shared.wire.activity import (
    EVENTS_PATH,
    MAX_EVENT_BYTES,
    ActivityEvent,
    EventType,
    Fact,
    Source,
)
from passport_shared.wire.clients import EVERY_ORGANISATION, ClientState

SCOPE = "activity:write"
MAX_IMPORT = 1_000


class Taken(StrEnum):
    """What became of an event."""

    NEW = "NEW"
    KNOWN = "KNOWN"


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """A client that may report; ``organisation`` is an ODS code or ``*``."""

    client_id: str
    organisation: str

    def covers(self, ods: str) -> bool:
        """Whether it may report for a trust."""
        return self.organisation in (EVERY_ORGANISATION, ods)


@dataclass(frozen=True, kw_only=True)
class ImportedFact:
    """One fact of an import, with the id that makes it count once."""

    id: str
    kind: EventType
    fact: Fact


async def receive(ctx: Context, headers: Mapping[str, str], body: bytes) -> Taken:
    """Take one posted CloudEvent.

    Args:
        ctx: the registry.
        headers: of the request, with lower-case names.
        body: as received; it is signed.

    Raises:
        SignatureRefused: no signature of a client of ours.
        Forbidden: of a client that is suspended, lacks the scope, or is another trust's.
        BadRequest, Invalid: not an event of ours.
        EventIdReused: its id is known with other content.
    """
    reporter = await _signed_by(ctx, headers, body)
    event = _read(ctx, body)
    if not reporter.covers(event.ods):
        raise Forbidden("This client may not report for this organisation.", scope=SCOPE)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        await _members(conn, {event.ods: "/organisation"})
        provenance = Provenance(client=reporter.client_id, received_at=now)
        new = await _add(conn, [event], provenance, [None])
    failpoints.hit(failpoints.AFTER_INGESTED)
    return Taken.NEW if new else Taken.KNOWN


async def _signed_by(ctx: Context, headers: Mapping[str, str], body: bytes) -> Reporter:
    try:
        kid = signing_key_id(headers)
        async with ctx.db.read() as conn:
            found = await clients.key_of(conn, kid)
        keys = {} if found is None else {kid: PublicKey.from_jwk(found[1].jwk)}
        verify_request(
            method="POST",
            url=f"{ctx.settings.public_url}{EVENTS_PATH}",
            headers=headers,
            body=body,
            keys=keys,
            now=ctx.clock.now(),
        )
    except Refused as refused:
        raise SignatureRefused(refused.reason.value) from None
    if found is None or found[0].state != ClientState.ACTIVE or SCOPE not in found[0].scopes:
        raise Forbidden("This client may not report activity now.", scope=SCOPE)
    return Reporter(client_id=found[0].client_id, organisation=found[0].organisation)


def _read(ctx: Context, body: bytes) -> Event:
    """The event in a body that is signed by somebody we know."""
    try:
        content = strict.loads_object(body, max_bytes=MAX_EVENT_BYTES)
    except strict.StrictError as error:
        raise BadRequest(f"The body is not acceptable JSON: {error}.") from None
    try:
        sent = ActivityEvent.model_validate(content)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise Invalid("This is no activity event.", field_errors(faults, content)) from None
    return _accepted(ctx, sent.id, sent.type, sent.data, Source.LIVE, "data")


def _accepted(ctx: Context, event_id: str, kind: EventType, fact: Fact, source: Source, field: str) -> Event:
    try:
        return accepted(event_id, kind, fact, source=source, today=london_day(ctx.clock.now()))
    except FactRefused as refused:
        raise fields([(field, str(refused))]) from None


async def _members(conn: AsyncConnection, reporters: Mapping[str, str]) -> None:
    """Refuse facts of organisations that are not in the network; ``reporters`` to where they stand."""
    unknown = [
        (pointer.removeprefix("/"), "is no organisation of this network")
        for ods, pointer in reporters.items()
        if await organisations.get(conn, ods) is None
    ]
    if unknown:
        raise fields(unknown)


async def _add(
    conn: AsyncConnection, events: Sequence[Event], provenance: Provenance, where: Sequence[str | None]
) -> int:
    """Write what is new of these events, with its sums; how many are new.

    Facts are written in the order of their ids, the same for everybody, so that two imports of the same facts
    wait for each other and not in a circle.
    """
    placed = sorted(zip(events, where, strict=True), key=lambda item: item[0].id)
    new = []
    for event, field in placed:
        if await store.add(conn, event, provenance):
            new.append(event)
        elif (await store.digests(conn, [event.id])).get(event.id) != event.digest:
            raise EventIdReused(field)
    await store.add_counts(conn, counted(new))
    await store.add_durations(conn, durations(new))
    return len(new)


async def import_facts(
    ctx: Context,
    facts: Sequence[ImportedFact],
    source_note: str,
    reporter: Reporter,
    actor: Actor,
    claim: Claim | None = None,
) -> str:
    """Count facts that were counted elsewhere before, all or none of them; the import's id.

    Args:
        ctx: the registry.
        facts: at most a thousand.
        source_note: where they are from, for whoever reads a report.
        reporter: the client.
        actor: who types them in.
        claim: of an Idempotency-Key.

    Raises:
        Invalid: a fact that cannot be counted, an unknown organisation, an id twice.
        Forbidden: another trust's fact.
        EventIdReused: a known id with other content.
    """
    events = [
        _accepted(ctx, one.id, one.kind, one.fact, Source.IMPORTED, f"facts/{place}/data")
        for place, one in enumerate(facts)
    ]
    _each_once(events)
    if not all(reporter.covers(event.ods) for event in events):
        raise Forbidden("This client may not report for every organisation in these facts.", scope=SCOPE)
    now, import_id = ctx.clock.now(), new_id()
    async with ctx.db.write() as conn:
        await _members(conn, {event.ods: f"/facts/{place}/data" for place, event in enumerate(events)})
        row = ImportRow(
            id=import_id,
            source_note=source_note,
            imported=0,
            known=0,
            actor=actor.as_dict(),
            created_at=now,
        )
        await store.add_import(conn, row)
        provenance = Provenance(client=reporter.client_id, received_at=now, import_id=import_id)
        where = [f"/facts/{place}/id" for place in range(len(events))]
        imported = await _add(conn, events, provenance, where)
        known = len(events) - imported
        await store.count_import(conn, import_id, imported=imported, known=known)
        await ctx.audit.record(
            conn,
            kind="activity.imported",
            subject_ref=import_id,
            actor=actor.as_dict(),
            details={"imported": imported, "known": known},
        )
        if claim is not None:
            await claim.complete(conn, import_id)
    failpoints.hit(failpoints.AFTER_IMPORTED)
    return import_id


def _each_once(events: Sequence[Event]) -> None:
    seen: set[str] = set()
    for place, event in enumerate(events):
        if event.id in seen:
            raise fields([(f"facts/{place}/id", "stands twice in this import")])
        seen.add(event.id)


async def get_import(ctx: Context, import_id: str) -> ImportRow:
    """An import.

    Raises:
        NotFound: there is none.
    """
    async with ctx.db.read() as conn:
        row = await store.get_import(conn, import_id)
    if row is None:
        raise NotFound
    return row


async def page(ctx: Context, *, ods: str | None, after: str | None, limit: int) -> list[FactRow]:
    """Facts by event id, after a cursor; of one reporting trust if `ods` names it."""
    async with ctx.db.read() as conn:
        return await store.facts_page(conn, ods=ods, after=after, limit=limit)
