"""What a notice is and says: kinds, channels, words from data, when it is due (domain §10a, §10h). Pure.

A notice carries a first name, never why, and a link only where the person needs one to go on. What may stand
in one is closed: a template names its placeholders, and the only facts that are kept with a notice are days
and version numbers. Values are filled in once and never read again as a template.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

LANGUAGES = ("en-GB", "cy")
MILESTONES = (1, 7, 14, 30)
"""Days before the last day on which a renewal is announced."""
CATCH_UP_DAYS = 3
"""How late an announcement may be: the task was not running, or the day fell between two runs."""
AT_APPOINTMENT = timedelta(hours=1)
MAX_VALUE = 200
MAX_FIRST_NAME = 60
_FACTS: Mapping[str, type] = {"day": date, "version": int}
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_IN_NAMES = "'’-"


class NoticeKind(StrEnum):
    """PERSISTED. What a notice is about."""

    INVITE = "INVITE"
    APPOINTMENT = "APPOINTMENT"
    OFFER_WAITING = "OFFER_WAITING"
    ON_HOLD = "ON_HOLD"
    RENEWAL_DUE = "RENEWAL_DUE"
    PLACEMENT_ENDS = "PLACEMENT_ENDS"


class NoticeState(StrEnum):
    """PERSISTED. QUEUED waits for its turn or its next try; the others are ends."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class NoticeChannel(StrEnum):
    """PERSISTED. The way a notice goes."""

    EMAIL = "EMAIL"
    SMS = "SMS"


class InvitationChannel(StrEnum):
    """PERSISTED. How a person gets their link: in a notice, or printed and handed over."""

    EMAIL = "EMAIL"
    SMS = "SMS"
    PRINT = "PRINT"


class InvitationState(StrEnum):
    """PERSISTED. The life of a one-time link; RESENT means that a newer one has taken its place."""

    DRAFT = "DRAFT"
    SENT = "SENT"
    OPENED = "OPENED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"
    RESENT = "RESENT"


@dataclass(frozen=True)
class Words:
    """A composed notice: ``body`` for e-mail, ``text`` for a text message."""

    subject: str
    body: str
    text: str


PLACEHOLDERS: Mapping[str, frozenset[str]] = {
    "INVITE": frozenset({"trust", "link", "day"}),
    "APPOINTMENT.VIDEO": frozenset({"trust", "day", "hour", "link"}),
    "APPOINTMENT.PLACE": frozenset({"trust", "day", "hour", "place"}),
    "APPOINTMENT.PLAIN": frozenset({"trust", "day", "hour", "contact"}),
    "OFFER_WAITING": frozenset({"trust", "link"}),
    "ON_HOLD": frozenset({"trust", "contact"}),
    "RENEWAL_DUE": frozenset({"trust", "day", "contact"}),
    "PLACEMENT_ENDS": frozenset({"trust", "day", "contact"}),
}
"""What each template says besides the greeting: all of it, and nothing else."""


def despite_pause(kind: NoticeKind) -> bool:
    """Whether a person who paused offers is told all the same: only that their passport is on hold."""
    return kind is NoticeKind.ON_HOLD


def is_paused(preferences: Mapping[str, Any], kind: NoticeKind) -> bool:
    """Whether the person's preferences keep this kind from them."""
    return preferences.get("pause_offers") is True and not despite_pause(kind)


def language_of(preferences: Mapping[str, Any]) -> str:
    """The language a person reads: English unless they chose Welsh."""
    asked = preferences.get("language")
    return asked if isinstance(asked, str) and asked in LANGUAGES else LANGUAGES[0]


def channel_of(
    preferences: Mapping[str, Any], *, has_email: bool, has_mobile: bool, sms_offered: bool
) -> NoticeChannel:
    """The channel for a person: a text message where they chose it and it can be done, else e-mail.

    Without an e-mail address a text message is the way that is left.
    """
    chosen = str(preferences.get("channel") or "").strip().upper()
    can_text = has_mobile and sms_offered
    if can_text and (chosen in ("SMS", "TEXT") or not has_email):
        return NoticeChannel.SMS
    return NoticeChannel.EMAIL


def checked_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as they are kept: days in ISO form and numbers.

    Raises:
        ValueError: another name or another kind of value, so that nothing about a person slips in.
    """
    kept: dict[str, Any] = {}
    for name, value in facts.items():
        wanted = _FACTS.get(name)
        if type(value) is not wanted:
            raise ValueError(f"a notice keeps no fact {name!r} of this kind")
        kept[name] = value.isoformat() if isinstance(value, date) else value
    return kept


def fact_day(facts: Mapping[str, Any]) -> date | None:
    """The day among a notice's facts."""
    value = facts.get("day")
    return date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None


def milestone(days_left: int) -> int | None:
    """Which announcement of an end that many days away is due: 30, 14, 7 or 1; None for none."""
    for days in MILESTONES:
        if max(0, days - CATCH_UP_DAYS) <= days_left <= days:
            return days
    return None


def made_at_appointment(seen_at: datetime | None, now: datetime) -> bool:
    """Whether an offer is made while the person sits there, shown the link and told the PIN."""
    return seen_at is not None and now - seen_at < AT_APPOINTMENT


def first_name(preferred: str | None, legal_given: str) -> str:
    """The first word of the name a person goes by: letters, apostrophes and hyphens, nothing to click on."""
    for name in (preferred or "", legal_given):
        for word in unicodedata.normalize("NFC", name).split():
            kept = "".join(
                c for c in word if c.isalpha() or unicodedata.category(c)[0] == "M" or c in _IN_NAMES
            )
            if any(c.isalpha() for c in kept):
                return kept[:MAX_FIRST_NAME]
    return ""


def one_line(value: str, limit: int = MAX_VALUE) -> str:
    """A value as one line of visible text: no control, format or separator characters."""
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Zs") else c for c in value)
    visible = "".join(c for c in spaced if unicodedata.category(c) not in ("Cf", "Cs", "Co", "Cn"))
    return " ".join(visible.split())[:limit]


def say_day(day: date, language: str) -> str:
    """A day as people write it: 3 May 2026."""
    return f"{day.day} {_data(language)['months'][day.month - 1]} {day.year}"


def say_contact(language: str, trust: str, *, name: str | None, phone: str | None, email: str | None) -> str:
    """Whom to ask: the trust's own words for its HR team with the ways to reach it, or just that team."""
    team = name or _filled(_data(language)["hr_team"], {"trust": trust})
    return ", ".join(part for part in (team, phone, email) if part)


def compose(template: str, language: str, name: str, values: Mapping[str, str]) -> Words:
    """Fill a template in.

    Args:
        template: a name of ``PLACEHOLDERS``.
        language: ``en-GB`` or ``cy``.
        name: the person's first name, or nothing.
        values: one value for each placeholder of the template; links may be long, the rest is cut.

    Raises:
        KeyError: the template does not exist or a value is missing.
    """
    data = _data(language)
    words = data["templates"][template]
    clean = {
        key: one_line(values[key], 2_000 if key == "link" else MAX_VALUE) for key in PLACEHOLDERS[template]
    }
    greeting = _filled(data["greeting"], {"first_name": name}) if name else data["greeting_without_name"]
    closing = "\n".join(_filled(line, clean) for line in data["closing"])
    paragraphs = [greeting, *(_filled(paragraph, clean) for paragraph in words["paragraphs"]), closing]
    return Words(
        subject=_filled(words["subject"], clean),
        body="\n\n".join(paragraphs) + "\n",
        text=_filled(words["text"], clean),
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


@cache
def _data(language: str) -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("notice_data", f"{language}.json").read_text("utf-8")
    data: Mapping[str, Any] = json.loads(text)
    return data
