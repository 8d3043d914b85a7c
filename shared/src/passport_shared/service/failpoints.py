"""Failpoints: named places between two durable acts, where a test or a drill can end the process.

Every service registers a closed set of names (`step`), the kit registers its own below. In a running service
nothing is armed and `hit` is one look at an empty dictionary. A test arms a place in its own process; a real
process arms one by a setting that is refused outside development (`arm_setting`). The kit's two steps around
a commit are hit by every durable act there is, so that arming the n-th of them visits every gap between two.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KIT = "kit"

_SETTING = re.compile(r"([a-z_]+(?:\.[a-z_]+)+)=(kill|raise|hang)(?:@([1-9][0-9]{0,5}))?")
_steps: dict[str, str] = {}
_armed: dict[str, Callable[[], None]] = {}


class Crash(BaseException):
    """The process ends here, as far as the code is concerned: nothing may catch it."""


def step(service: str, name: str) -> str:
    """Register a named step of a service and give its name back, for a constant.

    Raises:
        ValueError: another step has the name.
    """
    if name in _steps:
        raise ValueError(f"{name} is a step already")
    _steps[name] = service
    return name


def steps(service: str) -> tuple[str, ...]:
    """The closed set of a service's steps, in the order of registration."""
    return tuple(name for name, owner in _steps.items() if owner == service)


BEFORE_COMMIT = step(KIT, "database.before_commit")
AFTER_COMMIT = step(KIT, "database.after_commit")
AFTER_SEALED = step(KIT, "audit.after_sealed")
AFTER_CHECKPOINT_SIGNED = step(KIT, "audit.after_checkpoint_signed")
AFTER_EVENTS_PLACED = step(KIT, "outbox.after_placed")
AFTER_EVENT_POSTED = step(KIT, "outbox.after_posted")
AFTER_JOB_LEASED = step(KIT, "job.after_leased")
AFTER_JOB_WORKED = step(KIT, "job.after_worked")
AFTER_KEY_CREATED = step(KIT, "key.after_created")
AFTER_KEYS_MADE = step(KIT, "tenant.after_keys")
AFTER_CERTIFICATES_FETCHED = step(KIT, "tenant.after_certificates")
AFTER_WORK_CLAIMED = step(KIT, "idempotency.after_claimed")
AFTER_ASSERTION_USED = step(KIT, "token.after_assertion")


def hit(name: str) -> None:
    """Do what is armed at this place, if anything is."""
    if _armed:
        action = _armed.get(name)
        if action is not None:
            action()


@contextmanager
def armed(name: str, action: Callable[[], None]) -> Iterator[None]:
    """Arm a place for the length of the block.

    Raises:
        KeyError: there is no such place.
    """
    _known(name)
    _armed[name] = action
    try:
        yield
    finally:
        _armed.pop(name, None)


def arm(name: str, action: Callable[[], None], *, at: int = 1) -> None:
    """Arm a place for the rest of this process, from the `at`-th time it is reached on.

    Raises:
        KeyError: there is no such place.
    """
    _known(name)
    left = at

    def counted() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            action()

    _armed[name] = counted


def arm_setting(text: str) -> None:
    """Arm what a setting says: ``credential.after_sign=kill``, ``…=raise``, ``…=hang@3`` (from the third).

    Raises:
        ValueError: not that form, or there is no such step.
    """
    found = _SETTING.fullmatch(text)
    if found is None:
        raise ValueError("a failpoint reads step=kill, step=raise or step=hang, with @n for the n-th time")
    name, action, at = found.groups()
    try:
        arm(name, ACTIONS[action], at=int(at or 1))
    except KeyError:
        raise ValueError(f"no step is called {name}") from None


def kill() -> None:
    """End this process as `kill -9` does: no cleaning up, nothing flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> None:
    """Raise what nothing catches."""
    raise Crash


def hang() -> None:
    """Stop for good, so that leases run out and somebody has to kill the process."""
    while True:
        signal.pause()


ACTIONS: dict[str, Callable[[], None]] = {"kill": kill, "raise": crash, "hang": hang}


def _known(name: str) -> None:
    if name not in _steps:
        raise KeyError(name)
