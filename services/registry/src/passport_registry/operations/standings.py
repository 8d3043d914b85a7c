"""Everything recorded about the network read together, with the gates and standings that follow.

Used by publishing, by the public register and by the management views: one derivation for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.rules.authorisations import Action
from passport_registry.rules.entities import Role, Standing, Suspension, standing
from passport_registry.rules.marks import Granted, MarkContent, active_issuing_key, mark_content
from passport_registry.rules.onboarding import (
    LONDON,
    Gates,
    OnboardingState,
    Step,
    StepRecord,
    gates,
    london_day,
    satisfied,
    state,
)
from passport_registry.store import authorisations, entities, fingerprints, organisations
from passport_registry.store.authorisations import Authorisation
from passport_registry.store.entities import Certificate, Entity
from passport_registry.store.fingerprints import Fingerprint
from passport_registry.store.organisations import Organisation
from passport_shared.formats import trust_mark
from passport_shared.service.db import Database

PAGE = 50

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class EntityView:
    """An entity with its leaves, its authorisations and what of its authority is in force."""

    entity: Entity
    certificates: Sequence[Certificate]
    authorisations: Sequence[Authorisation]
    standing: Standing

    @property
    def enrolled(self) -> bool:
        """Whether its keys are known."""
        return self.entity.federation_jwks is not None


@dataclass(frozen=True, kw_only=True)
class TrustView:
    """An organisation as of one instant, with what is derived about it."""

    organisation: Organisation
    steps: Mapping[Step, StepRecord]
    gates: Gates
    state: OnboardingState
    entities: Mapping[Role, EntityView]
    at: datetime

    def live(self, role: Role) -> bool:
        """Whether the trust does this for real: entity in force, something granted, its test done."""
        view = self.entities.get(role)
        if view is None or not view.enrolled or not view.standing.live:
            return False
        if not any(_in_force(item, self.at) for item in view.authorisations):
            return False
        test = self.steps.get(Step.TEST_VERIFY if role is Role.VERIFIER else Step.TEST_ISSUE)
        return test is not None and satisfied(test, london_day(self.at))


def _in_force(item: Authorisation, at: datetime) -> bool:
    return item.withdrawn_at is None and not item.test and item.valid_from <= at < item.valid_until


def pins(certificates: Sequence[Certificate]) -> list[trust_mark.PinnedKey]:
    """Return the signed leaves as pins of a mark."""
    return [
        trust_mark.PinnedKey(
            use=item.use,
            x5t_s256=item.x5t_s256,
            jkt=item.jkt,
            not_before=item.not_before,
            not_after_signing=item.not_after_signing,
            state=item.state,
        )
        for item in certificates
        if item.x5t_s256 is not None
    ]


def _granted(items: Sequence[Authorisation]) -> list[Granted]:
    """Return what marks may carry; a withdrawn permission to issue stays, closed from that moment on."""
    return [
        Granted(
            authorization=trust_mark.Authorization(
                id=item.id,
                action=item.action,
                vct=item.vct,
                valid_from=item.valid_from,
                valid_until=item.valid_until,
                territory=tuple(item.territory),
                max_validity_s=item.max_validity_s,
                claims=tuple(tuple(path) for path in item.claims),
                purposes=tuple(item.purposes),
                issue_until=item.withdrawn_at,
            ),
            test=item.test,
        )
        for item in items
        if item.withdrawn_at is None or item.action == Action.ISSUE
    ]


def content(view: TrustView, role: Role) -> MarkContent:
    """Return what the mark of the trust's entity in this role must say now."""
    entity = view.entities[role]
    return mark_content(
        entity_id=entity.entity.entity_id,
        role=role,
        organisation=trust_mark.Organisation(
            ods_code=view.organisation.ods_code,
            name=view.organisation.name,
            sandbox=view.organisation.sandbox,
        ),
        granted=_granted(entity.authorisations),
        pins=pins(entity.certificates),
        standing=entity.standing,
        now=view.at,
    )


def trust_view(
    organisation: Organisation,
    steps: Mapping[Step, StepRecord],
    held: Sequence[tuple[Entity, Sequence[Certificate], Sequence[Authorisation]]],
    now: datetime,
) -> TrustView:
    """Derive everything about one organisation."""
    today = london_day(now)
    issuing = any(
        active_issuing_key(pins(certificates), now)
        for entity, certificates, _ in held
        if entity.role == Role.ISSUER
    )
    derived = gates(
        steps,
        today=today,
        hrd_named=bool(organisation.contacts.get("hrd")),
        active_issuing_key=issuing,
    )
    views = {
        Role(entity.role): EntityView(
            entity=entity,
            certificates=certificates,
            authorisations=granted,
            standing=standing(
                Role(entity.role),
                derived,
                suspension=Suspension(entity.suspension) if entity.suspension else None,
                live_since=entity.live_since,
                issuing_closed_at=entity.issuing_closed_at,
                now=now,
            ),
        )
        for entity, certificates, granted in held
    }
    suspended = any(entity.suspension is not None for entity, _, _ in held)
    return TrustView(
        organisation=organisation,
        steps=steps,
        gates=derived,
        state=state(steps, derived, today=today, suspended=suspended),
        entities=views,
        at=now,
    )


async def one(conn: AsyncConnection, organisation: Organisation, now: datetime) -> TrustView:
    """Return one organisation's view."""
    return (await of(conn, [organisation], now))[0]


async def of(conn: AsyncConnection, those: Sequence[Organisation], now: datetime) -> list[TrustView]:
    """Return the views of these organisations, in their order, with a handful of queries."""
    codes = [organisation.ods_code for organisation in those]
    steps = await organisations.steps_of(conn, codes)
    found = await entities.of_organisations(conn, codes)
    entity_ids = [entity.entity_id for entity in found]
    certificates: dict[str, list[Certificate]] = {}
    for certificate in await entities.certificates(conn, entity_ids=entity_ids):
        certificates.setdefault(certificate.entity_id, []).append(certificate)
    granted: dict[str, list[Authorisation]] = {}
    for item in await authorisations.granted(conn, entity_ids):
        granted.setdefault(item.entity_id, []).append(item)
    held: dict[str, list[tuple[Entity, Sequence[Certificate], Sequence[Authorisation]]]] = {}
    for entity in found:
        own = (entity, certificates.get(entity.entity_id, ()), granted.get(entity.entity_id, ()))
        held.setdefault(entity.ods_code, []).append(own)
    return [
        trust_view(item, steps.get(item.ods_code, {}), held.get(item.ods_code, ()), now) for item in those
    ]


async def every(db: Database, now: datetime) -> AsyncIterator[list[TrustView]]:
    """Give the views of all organisations, a page at a time by ODS code: nobody holds a whole network."""
    after: str | None = None
    while True:
        async with db.read() as conn:
            page = await organisations.page(conn, after=after, limit=PAGE)
            views = await of(conn, page, now)
        if views:
            yield views
        if len(page) < PAGE:
            return
        after = page[-1].ods_code


class Derived(Generic[T]):
    """Something small made of every organisation's view, made again only where it can be another one.

    That is where something was recorded about the organisation, or an instant has come at which time alone
    changes what is derived. One for each process: what another replica recorded is seen by its fingerprint.
    """

    def __init__(self, make: Callable[[TrustView], T]) -> None:
        self._make = make
        self._made: dict[str, tuple[Fingerprint, datetime, datetime, T]] = {}

    async def every(self, db: Database, now: datetime) -> list[T]:
        """Return it for every organisation, by ODS code."""
        async with db.read() as conn:
            recorded = await fingerprints.every(conn)
        stale = [ods for ods, said in recorded.items() if not self._stands(ods, said, now)]
        for start in range(0, len(stale), PAGE):
            codes = stale[start : start + PAGE]
            async with db.read() as conn:
                views = await of(conn, await organisations.those(conn, codes), now)
            for view in views:
                ods = view.organisation.ods_code
                self._made[ods] = (recorded[ods], now, changes_at(view), self._make(view))
        return [self._made[ods][3] for ods in recorded if ods in self._made]

    def _stands(self, ods: str, said: Fingerprint, now: datetime) -> bool:
        if ods not in self._made:
            return False
        before, made_at, until, _ = self._made[ods]
        return before == said and made_at <= now < until


def changes_at(view: TrustView) -> datetime:
    """Return the next instant at which time alone changes what is derived about an organisation."""
    tomorrow = datetime.combine(london_day(view.at) + timedelta(days=1), time(), LONDON)
    instants = [tomorrow]
    for entity in view.entities.values():
        for granted in entity.authorisations:
            instants += [granted.valid_from, granted.valid_until]
        for leaf in entity.certificates:
            instants += [leaf.not_before, leaf.not_after, leaf.not_after_signing]
    return min(instant for instant in instants if instant > view.at)
