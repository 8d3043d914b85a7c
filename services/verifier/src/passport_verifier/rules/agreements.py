"""Which agreement between two trusts covers a movement (gate G-A; domain model §5, §10c J3 step 2). Pure.

It has to be of a type that covers moves, name both organisations, the movement type and the staff group, and
be in force on every day. An agreement that names no movement types or no staff groups covers all of them. A
movement's workforce group is matched by its own label or by a staff group it belongs to, which is data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

from passport_shared.formats.snapshot_parts import Agreement
from passport_verifier.rules.movement_types import movement_type


@dataclass(frozen=True, kw_only=True)
class Move:
    """What of a movement an agreement is chosen by; days are both inclusive."""

    type: str
    host_ods: str
    employing_ods: str
    workforce_group: str
    start: date
    end: date


@lru_cache(maxsize=1)
def _staff_groups() -> Mapping[str, tuple[str, ...]]:
    text = resources.files(__package__).joinpath("movement_type_data", "staff_groups.json").read_text("utf-8")
    return {group.casefold(): tuple(names) for group, names in json.loads(text).items()}


def covering(agreements: Iterable[Agreement], move: Move) -> Agreement | None:
    """The agreement that covers a move; of several the one that came into force last."""
    found = [agreement for agreement in agreements if covers(agreement, move)]
    return max(found, key=lambda one: (one.effective, one.id), default=None)


def covers(agreement: Agreement, move: Move) -> bool:
    """Whether an agreement covers a move."""
    return (
        agreement.type in movement_type(move.type).agreements
        and move.host_ods in agreement.parties
        and move.employing_ods in agreement.parties
        and (not agreement.movement_types or move.type in agreement.movement_types)
        and _covers_group(agreement, move.workforce_group)
        and agreement.effective <= move.start
        and (agreement.expires is None or move.end <= agreement.expires)
    )


def _covers_group(agreement: Agreement, group: str) -> bool:
    if not agreement.staff_groups:
        return True
    named = {name.casefold() for name in agreement.staff_groups}
    mine = {group.casefold(), *(name.casefold() for name in _staff_groups().get(group.casefold(), ()))}
    return not named.isdisjoint(mine)


def as_stored(agreement: Agreement) -> dict[str, Any]:
    """What is kept of it with the movement that rests on it."""
    return {
        "id": agreement.id,
        "type": agreement.type,
        "version": agreement.version,
        "max_days": agreement.max_days,
        "effective": agreement.effective.isoformat(),
        "expires": agreement.expires.isoformat() if agreement.expires else None,
    }
