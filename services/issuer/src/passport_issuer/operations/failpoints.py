"""Named places between the steps of issuing, releasing and telling, where a test can stop the process.

In a running service nothing is armed and `hit` is one dictionary look-up. Only tests arm one (security.md
D1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

AFTER_RESERVE = "credential.after_reserve"
AFTER_SIGN = "credential.after_sign"
AFTER_MARK_ISSUED = "credential.after_mark_issued"
AFTER_RELEASE_RESERVED = "release.after_reserve"
AFTER_RELEASE_SIGNED = "release.after_sign"
AFTER_NOTICE_SENT = "notice.after_sent"
CREDENTIAL = (AFTER_RESERVE, AFTER_SIGN, AFTER_MARK_ISSUED)
RELEASE = (AFTER_RELEASE_RESERVED, AFTER_RELEASE_SIGNED)
NOTICE = (AFTER_NOTICE_SENT,)
ALL = (*CREDENTIAL, *RELEASE, *NOTICE)

_armed: dict[str, Callable[[], None]] = {}


def hit(name: str) -> None:
    """Run what a test armed at this place, if anything."""
    action = _armed.get(name)
    if action is not None:
        action()


@contextmanager
def armed(name: str, action: Callable[[], None]) -> Iterator[None]:
    """Arm a place for the length of the block.

    Raises:
        KeyError: there is no such place.
    """
    if name not in ALL:
        raise KeyError(name)
    _armed[name] = action
    try:
        yield
    finally:
        del _armed[name]
