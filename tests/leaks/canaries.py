"""The canary values, and how they are looked for: as they are, and in the codings that services use.

Each value stands nowhere else in the project, so that finding it means that it leaked.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

ABOUT_A_PERSON: Mapping[str, str] = {
    "given name": "Quillonbeth",
    "family name": "Zaffrewick-Ombersley",
    "preferred name": "Zaffykins",
    "birthdate": "1967-11-23",
    "e-mail": "q.zaffrewick@canary-post.invalid",
    "mobile": "+44 7700 900917",
    "ESR person": "88173355",
    "assignment number": "30498117",
    "registration number": "7313377",
    "document digits": "X9Q7",
    "DBS body": "Ombersley Vale Vetting Body",
    "evidence": "evidence/canary-9f21",
    "post": "Consultant lorikeetologist",
    "department at home": "Department of Plumage Medicine",
    "place of appointment": "Room 417, Canary Wharf House",
    "link to the appointment": "https://video.invalid/canary-room-417",
    "problem report": "My plumage subspeciality is wrong",
    "holder reference": "CANARYrefAAECAwQFBgcIw",
    "competency": "NHS|CSTF|Canary handling",
}
ABOUT_A_MOVEMENT: Mapping[str, str] = {
    "duties": "Perform a canary operating list",
    "supervisor": "Professor Barnabine Oxlip",
    "department at the host": "Aviary Theatre Nine",
    "site": "Budgerigar Pavilion",
    "sessions": "2026-09-02 dawn chorus",
    "out of hours contact": "Aviary bleep 7717",
    "roster id": "roster-canary-5520",
}
WRITTEN_BY_HR: Mapping[str, str] = {
    "post at the host": "Visiting lorikeetologist",
    "post number at the host": "POST-canary-6641",
    "contact in the department": "Aviary front desk, ring twice",
    "approved by": "Dame Perpetua Wrenfield",
    "HR contact of the placement": "Millicent of medical plumage",
    "reason of an override": "Her fire drill certificate fell behind the nest box.",
    "note on a policy": "Fire drills after moulting",
    "limit of a release": "No nocturnal owl handling",
    "note on the person": "She whistles in theatre",
    "whom notices name": "the Plumage People team",
    "telephone that notices name": "+44 161 496 0717",
    "e-mail that notices name": "plumage-people@canary-post.invalid",
}
OF_WHOEVER_ACTS: Mapping[str, str] = {
    "HR at home": "hr-canary-0611",
    "HR at the host": "hr-canary-9924",
    "line manager": "manager-canary-3307",
    "department of the host": "ward-canary-1203",
}


def encodings(value: str | bytes) -> set[bytes]:
    """The value as it may stand in bytes: plain, JSON, percent-encoded, hex, base64 at any offset."""
    raw = value.encode() if isinstance(value, str) else value
    found = {raw, raw.hex().encode()}
    if isinstance(value, str):
        found |= {quote(value).encode(), quote_plus(value).encode(), value.replace('"', '\\"').encode()}
    if len(raw) >= 9:  # shorter ones are found by chance
        for lead in range(3):
            text = base64.b64encode(b"\0" * lead + raw)
            start, tail = (0, 2, 3)[lead], (len(raw) + lead) % 3
            core = text.rstrip(b"=")[start + bool(lead) : len(text.rstrip(b"=")) - bool(tail)]
            found |= {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


class Canaries:
    """Values by what they are; looks for all of them at once."""

    def __init__(self, values: Mapping[str, str | bytes]) -> None:
        self.values = dict(values)
        self._names: dict[bytes, str] = {
            coded: name for name, value in values.items() for coded in encodings(value)
        }
        longest_first = sorted(self._names, key=len, reverse=True)
        # A PIN or a number counts only where it is not part of a longer one.
        self._pattern = re.compile(b"|".join(_bounded(coded) for coded in longest_first))

    def within(self, data: bytes | str) -> set[str]:
        """What of them stands in some bytes, also inside base64url segments and zlib streams of it."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        return {self._names[match] for match in self._pattern.findall(raw)}

    def within_any(self, texts: Iterable[bytes | str]) -> set[str]:
        """What of them stands in any of many texts."""
        return set().union(*(self.within(text) for text in texts))


def _bounded(coded: bytes) -> bytes:
    escaped = re.escape(coded)
    return rb"(?<![0-9])" + escaped + rb"(?![0-9])" if coded.isdigit() else escaped


def unpacked(token: str) -> bytes:
    """Every segment of a compact token, decoded, and inflated where it is a status list."""
    found = b""
    for part in re.split(r"[.~]", token):
        try:
            raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        except (binascii.Error, ValueError):
            continue
        found += raw + b"\n"
        for inner in re.findall(rb'"lst":"([A-Za-z0-9_-]+)"', raw):
            found += zlib.decompress(base64.urlsafe_b64decode(inner + b"=" * (-len(inner) % 4)))
    return found
