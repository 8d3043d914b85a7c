"""Content of an entity's one trust mark, from its authorisations, pins and standing (standards.md §1.8).

Content is everything in a mark but its times, its id and its status index; a mark is published anew when its
content changes or its time comes. Signing and status indices are the operation's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from passport_registry.rules.entities import MARK_ROLE, Carries, Role, Standing
from passport_shared.formats.strict import canonical
from passport_shared.formats.trust_mark import (
    Authorization,
    KeyUse,
    MarkRole,
    Organisation,
    PinnedKey,
    PinState,
    StatusLists,
)


@dataclass(frozen=True, kw_only=True)
class MarkContent:
    """What a mark says about an entity."""

    role: MarkRole
    organisation: Organisation
    authorizations: tuple[Authorization, ...]
    keys: tuple[PinnedKey, ...]
    status_lists: StatusLists | None

    def as_claims(self) -> dict[str, Any]:
        """Return the claims this content becomes."""
        return {
            "role": self.role.value,
            "organisation": self.organisation.as_claims(),
            "authorizations": [entry.as_claims() for entry in self.authorizations],
            "keys": [pin.as_claims() for pin in self.keys],
            "status_lists": self.status_lists.as_claims() if self.status_lists else None,
        }

    def digest(self) -> str:
        """Return the SHA-256 of the content in hexadecimal: equal content, equal digest."""
        return hashlib.sha256(canonical(self.as_claims())).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Granted:
    """A granted authorisation as it stands in the records; `test` serves the test issue only."""

    authorization: Authorization
    test: bool


def mark_content(
    *,
    entity_id: str,
    role: Role,
    organisation: Organisation,
    granted: Iterable[Granted],
    pins: Iterable[PinnedKey],
    standing: Standing,
    now: datetime,
) -> MarkContent:
    """Build the content: authorisations the standing lets through, and every pin the past still needs.

    Authorisations that have ended are left out, because nothing is judged before now.
    """
    carried = [
        _closed(item.authorization, standing.issuing_closed_at)
        for item in granted
        if _carried(item, standing.carries) and item.authorization.valid_until > now
    ]
    return MarkContent(
        role=MARK_ROLE[role],
        organisation=organisation,
        authorizations=tuple(sorted(carried, key=lambda entry: entry.id)),
        keys=tuple(sorted(pins, key=lambda pin: (pin.use, pin.not_before, pin.x5t_s256))),
        status_lists=status_lists(entity_id) if role is Role.ISSUER else None,
    )


def status_lists(entity_id: str) -> StatusLists:
    """Return where an issuer's status lists live; fixed by its EID (design.md §2)."""
    aggregation = f"{entity_id}/statuslists"
    return StatusLists(aggregation=aggregation, prefix=f"{aggregation}/")


def _carried(item: Granted, carries: Carries) -> bool:
    if carries is Carries.NONE:
        return False
    return carries is Carries.ALL or item.test


def _closed(entry: Authorization, closed_at: datetime | None) -> Authorization:
    if closed_at is None or (entry.issue_until is not None and entry.issue_until <= closed_at):
        return entry
    return replace(entry, issue_until=closed_at)


def active_issuing_key(pins: Iterable[PinnedKey], now: datetime) -> bool:
    """Return whether one of the pins may sign credentials now."""
    return any(
        pin.use == KeyUse.CREDENTIAL and pin.state == PinState.ACTIVE and pin.may_have_signed(now)
        for pin in pins
    )
