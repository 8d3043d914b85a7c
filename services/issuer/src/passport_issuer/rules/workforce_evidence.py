"""What both contracts' mappings share: dates that can be, evidence references, checks as rows hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

from passport_issuer.rules.records import CheckOutcome, CheckType
from passport_issuer.rules.workforce import Reading, Refusal, source_of
from passport_shared.formats.strict import canonical

# Nobody's employment check or training is older than the health service.
FIRST_DAY = date(1948, 7, 5)


def date_fault(day: date, reading: Reading) -> Refusal | None:
    """Why something cannot have been done that day; None if it can."""
    if day > reading.today:
        return Refusal.FUTURE_DATE
    if day < max(FIRST_DAY, reading.birthdate):
        return Refusal.IMPOSSIBLE_VALUE
    return None


def evidence_ref(reading: Reading, values: Mapping[str, Any], theirs: str | None = None) -> str:
    """Where the evidence is: the other system's own reference, else which connection gave it and a digest."""
    if theirs and len(theirs) <= 80 and theirs.isascii() and theirs.isprintable() and " " not in theirs:
        return f"{reading.connection_id}/{theirs}"
    digest = hashlib.sha256(canonical(dict(values))).hexdigest()[:16]
    return f"{reading.connection_id}/{digest}"


def check_values(
    check_type: CheckType,
    outcome: CheckOutcome,
    performed_on: date,
    fields: Mapping[str, Any],
    reading: Reading,
    performed_by: str,
    theirs: str | None = None,
) -> dict[str, Any]:
    """A check as a gathering's item holds it: JSON values, with its provenance and evidence."""
    values: dict[str, Any] = {
        "check_type": check_type.value,
        "outcome": outcome.value,
        "performed_on": performed_on.isoformat(),
        "performed_by": performed_by,
        "fields": dict(fields),
    }
    values["evidence_ref"] = evidence_ref(reading, values, theirs)
    values["provenance"] = {
        "origin": source_of(reading.system_type).value,
        "provider": {"ods_code": reading.ods, "role": "EMPLOYER"},
        "verification_method": "SYSTEM_FEED",
        "pedigree": "FIRST_HAND",
        "last_refresh": reading.today.isoformat(),
    }
    return values
