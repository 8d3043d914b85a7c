"""A placement's post, the pauses between tries to tell its issuer, and who has to act meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from passport_verifier.rules.outcome import Need, Party, Result

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
LONGEST_PATTERN = 1_000
LONGEST_CONDITION = 500
PERSON_KEPT_FOR = timedelta(days=10)
"""How long names are kept, sealed, for an issuer that cannot be reached (design §6; ADR-0020)."""


@dataclass(frozen=True, kw_only=True)
class NewPost:
    """What HR adds to the movement to say what the post is."""

    position_title: str
    position_number: str
    site: str | None
    department_contact: str
    approved_by: str
    hr_contact: str
    licence_to_attend: bool


def post(new: NewPost, details: Mapping[str, Any], conditions: Sequence[str]) -> dict[str, Any] | None:
    """The post as the credential says it; None where the movement has several sites and none is named."""
    sites = details["sites"]
    site = new.site or (sites[0] if len(sites) == 1 else None)
    if site is None:
        return None
    pattern = "; ".join(details.get("sessions") or ()) or "As arranged with the department"
    return {
        "position_title": new.position_title,
        "position_number": new.position_number,
        "work_pattern": _shortened(_one_line(pattern), LONGEST_PATTERN),
        "site": _one_line(site),
        "department": _one_line(details["department"]),
        "department_contact": new.department_contact,
        "approved_by": new.approved_by,
        "hr_contact": new.hr_contact,
        "licence_to_attend": new.licence_to_attend,
        "conditions": [_shortened(text, LONGEST_CONDITION) for text in conditions],
    }


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def pause_after(attempts: int, *, soon: bool) -> timedelta:
    """How long to wait after so many failed tries: growing, and at once the longest where people must act."""
    if not soon:
        return LONGEST_PAUSE
    doublings: int = 2 ** min(max(attempts, 0), 20)
    return min(LONGEST_PAUSE, FIRST_PAUSE * doublings)


def who_acts(code: str) -> Party:
    """Who has to do something about an issuer that does not take a placement."""
    if code in {"not_authorised_to_issue", "forbidden", "token_invalid_scope", "not_our_issuer"}:
        return Party.NETWORK_LEAD
    return Party.HOST_HR


def stops(findings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a decision stops a placement that is running: a safety rule fails on the evidence of today."""
    return any(one["need"] == Need.SAFETY and one["result"] == Result.FAIL for one in findings)
