"""The record of a temporary placement, and when the host's issuer may change or end it. Pure.

What the verifier sends is taken as it is: the host decided. Here it becomes a TemporaryPlacement's claims,
and here stands what counts as the same placement told again, as a change, and as something that came late.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Any

from passport_shared.wire.placements import PlacementBody, PlacementPerson

TYPE = "TemporaryPlacement"
RECORDED = "DECISION_RECORDED"


class Telling(StrEnum):
    """What a body means for a placement that exists."""

    SAME = "SAME"
    NEWER = "NEWER"
    CHANGED = "CHANGED"
    LATE = "LATE"
    CONTRADICTS = "CONTRADICTS"


def content_of(body: PlacementBody) -> dict[str, Any]:
    """What a body says of the placement, apart from who it is and the count of changes."""
    return body.model_dump(mode="json", exclude={"revision", "person"})


def telling(
    body: PlacementBody,
    *,
    content: Mapping[str, Any],
    revision: int,
    person: PlacementPerson | None,
) -> Telling:
    """Compare a body with what is stored.

    Args:
        body: what came.
        content: what is stored, as ``content_of`` makes it.
        revision: the stored count of changes.
        person: the stored person; None once erased.
    """
    if body.person is not None and person is not None and body.person != person:
        return Telling.CONTRADICTS
    if body.revision < revision:
        return Telling.LATE
    if content_of(body) == dict(content):
        return Telling.SAME if body.revision == revision else Telling.NEWER
    return Telling.CHANGED if body.revision > revision else Telling.CONTRADICTS


def claims(
    body: Mapping[str, Any], person: PlacementPerson, *, host_ods: str, holder_ref: str, today: date
) -> dict[str, Any]:
    """The Credential Dataset of a placement; ``body`` as ``content_of`` makes it."""
    return {
        "movement_type": body["movement_type"],
        "start": body["start"],
        "end": body["end"],
        **body["post"],
        "host_ods": host_ods,
        "holder_ref": holder_ref,
        "family_name": person.family_name,
        "given_name": person.given_name,
        "birthdate": person.birthdate.isoformat(),
        "provenance": {
            "origin": "MANUAL",
            "assurance_policy": "Host's decision on a temporary move",
            "assurance_outcome": "READY",
            "provider": {"ods_code": host_ods, "role": "HOST"},
            "verifier": {"ods_code": host_ods, "role": "HUMAN_RESOURCES"},
            "verification_method": RECORDED,
            "pedigree": "FIRST_HAND",
            "last_refresh": today.isoformat(),
        },
    }
