"""Four eyes: whether two acts are two people's (design §6 "Actor", ADR-0015).

Two person clients are four eyes proper; for machine clients the two asserted actors must differ, and the
record says that they were asserted. Whether asserted ones count is a setting of the deployment. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from passport_shared.wire.clients import ClientKind


class FourEyes(StrEnum):
    """How two people stand behind an act. PERSISTED."""

    PERSONS = "PERSONS"
    ASSERTED = "ASSERTED"


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Whose word it is: the API client, whether it is a person's own, and the person's opaque reference."""

    client_id: str
    person: bool
    ref: str

    @classmethod
    def of(cls, actor: Mapping[str, Any]) -> Self:
        """The voice of a recorded actor."""
        return cls(
            client_id=str(actor["client_id"]),
            person=actor["kind"] == ClientKind.PERSON,
            ref=str(actor["ref"]),
        )


def four_eyes(first: Voice, second: Voice) -> FourEyes | None:
    """How the two stand behind an act, or None if they are not two.

    Two person clients are told apart by their client; with a machine among them, by the references it
    asserts, because one person could speak through both.
    """
    if first.person and second.person:
        return FourEyes.PERSONS if first.client_id != second.client_id else None
    return FourEyes.ASSERTED if first.ref != second.ref else None
