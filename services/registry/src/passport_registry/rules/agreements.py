"""What an agreement between organisations may say (domain.md §10a, minimal form).

Whether an agreement covers a movement is the host's to judge; the registry records and publishes it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from passport_registry.rules.identifiers import MOVEMENT_TYPE, is_ods_code


class AgreementType(StrEnum):
    """Kinds of agreement. PERSISTED."""

    MOU = "MOU"
    WSA = "WSA"
    TERMS_OF_USE = "TERMS_OF_USE"
    DPIA = "DPIA"
    STATMAND_MOU = "STATMAND_MOU"
    SECONDMENT = "SECONDMENT"
    SLA = "SLA"
    SWAP = "SWAP"


class AgreementState(StrEnum):
    """Whether an agreement was ended by decision. PERSISTED."""

    IN_FORCE = "IN_FORCE"
    ENDED = "ENDED"


LONGEST_STAY_DAYS = 3 * 365


@dataclass(frozen=True, kw_only=True)
class AgreementTerms:
    """The terms of an agreement; no staff groups means all of them."""

    parties: Sequence[str]
    movement_types: Sequence[str]
    staff_groups: Sequence[str]
    max_days: int | None
    effective: date
    expires: date | None


def terms_faults(terms: AgreementTerms, members: Collection[str]) -> list[tuple[str, str]]:
    """Return what is wrong with the terms as (field, sentence) pairs; `members` are the known ODS codes."""
    faults = [
        (f"parties/{index}", "is not an organisation of this network")
        for index, party in enumerate(terms.parties)
        if not is_ods_code(party) or party not in members
    ]
    if len(set(terms.parties)) < 2:
        faults.append(("parties", "names at least two different organisations"))
    faults += [
        (f"movement_types/{index}", "is a movement type in capitals, such as URGENT_LIST")
        for index, name in enumerate(terms.movement_types)
        if not MOVEMENT_TYPE.fullmatch(name)
    ]
    if terms.max_days is not None and not 1 <= terms.max_days <= LONGEST_STAY_DAYS:
        faults.append(("max_days", f"is from 1 to {LONGEST_STAY_DAYS} days"))
    if terms.expires is not None and terms.expires < terms.effective:
        faults.append(("expires", "lies before effective"))
    return faults
