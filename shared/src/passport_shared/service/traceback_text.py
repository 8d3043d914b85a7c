"""A traceback that a library logs as text, as facts: the exception's type and the last frames.

Text in a line is bounded from its beginning, and a traceback says what happened at its end. Its source lines
and its message are left out: they may quote values, and without the exception itself nobody knows the rules
for its message. Whoever has the exception logs it with ``exc_info`` (``redaction.describe_exception``).
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

HEAD = "Traceback (most recent call last):"
MAX_FRAMES = 12
_FRAME = re.compile(r'^(?:[ |+-]*)File "([^"\n]{1,400})", line (\d{1,9}), in ([^\n]{1,200})$', re.MULTILINE)
# The line of the exception itself is not indented, and begins with a dotted name.
_TYPE = re.compile(r"^([A-Za-z_][\w.]{0,200})(?::.*)?$", re.MULTILINE)


def explain_traceback(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The structlog processor: takes the place of a text that is a traceback."""
    text = event.get("event")
    if isinstance(text, str) and text.startswith(HEAD):
        event["event"] = "exception.logged_as_text"
        event.setdefault("exception", describe_traceback(text))
    return event


def describe_traceback(text: str) -> dict[str, Any]:
    """Type and last frames of the exception that a traceback ends with; of a chain, the last one's."""
    last = text[text.rindex(HEAD) + len(HEAD) :] if HEAD in text else text
    frames = [f"{found[1]}:{found[2]} {found[3]}" for found in _FRAME.finditer(last)]
    # A message may have lines that look like an exception's: the first one after the frames is its own.
    ends = [found.end() for found in _FRAME.finditer(last)]
    named = _TYPE.search(last, ends[-1] if ends else 0)
    described: dict[str, Any] = {"frames": frames[-MAX_FRAMES:]}
    if named is not None:
        described["type"] = named[1]
    return described
