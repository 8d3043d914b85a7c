"""What each movement type needs besides readiness: approvals, agreement, length (domain model §5).

The matrix is data in ``movement_type_data``; a type without a row of its own is held to the default row,
which asks for everybody. Lengths are proposals of the domain model; an agreement's own ``max_days`` goes
before them. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources

DEFAULT = "default"


class ApprovalKind(StrEnum):  # PERSISTED
    """Whose word it is. The employer's two arrive with its signed Release, never typed by the host."""

    STAFF = "STAFF"
    LINE_MANAGER = "LINE_MANAGER"
    EMPLOYING_HR = "EMPLOYING_HR"
    HOST_DEPARTMENT = "HOST_DEPARTMENT"
    HOST_HR = "HOST_HR"
    FINANCE = "FINANCE"
    EDUCATOR = "EDUCATOR"


class ApprovalMethod(StrEnum):  # PERSISTED
    """How it was said."""

    PRESENTATION = "PRESENTATION"
    ONE_TIME_LINK = "ONE_TIME_LINK"
    RECORDED = "RECORDED"
    HOLDER_SESSION = "HOLDER_SESSION"
    RELEASE = "RELEASE"


HOST_KINDS = frozenset(
    {ApprovalKind.HOST_DEPARTMENT, ApprovalKind.HOST_HR, ApprovalKind.FINANCE, ApprovalKind.EDUCATOR}
)
"""What people at the host say themselves, each of them another person (G-C)."""

EMPLOYER_KINDS = frozenset({ApprovalKind.LINE_MANAGER, ApprovalKind.EMPLOYING_HR})


@dataclass(frozen=True, kw_only=True)
class MovementType:
    """One row of the matrix.

    Args:
        approvals: whose approval is needed.
        agreements: types of agreement between the trusts that cover it.
        max_days: longest stay in days, both ends counted, where the agreement names none.
        release: whether the employing trust has to release the person.
        recorded_agreement: whether HR may record what the staff member said (urgent moves only).
    """

    approvals: frozenset[ApprovalKind]
    agreements: frozenset[str]
    max_days: int
    release: bool
    recorded_agreement: bool

    @property
    def host_approvals(self) -> frozenset[ApprovalKind]:
        """What people at the host have to say."""
        return self.approvals & HOST_KINDS


@lru_cache(maxsize=1)
def _rows() -> Mapping[str, MovementType]:
    text = (
        resources.files(__package__).joinpath("movement_type_data", "movement_types.json").read_text("utf-8")
    )
    return {
        name: MovementType(
            approvals=frozenset(ApprovalKind(kind) for kind in row["approvals"]),
            agreements=frozenset(row["agreements"]),
            max_days=row["max_days"],
            release=row["release"],
            recorded_agreement=row["recorded_agreement"],
        )
        for name, row in json.loads(text).items()
    }


def movement_type(name: str) -> MovementType:
    """The row of a type, or the default row."""
    rows = _rows()
    return rows.get(name, rows[DEFAULT])
