"""How the demonstration speaks: numbered steps in plain words, and expectations that end it if they fail."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager

WIDTH = 100


class Unexpected(Exception):
    """The demonstration did not go as it must; the text says what was expected."""


class Story:
    """Prints what happens and counts what was expected."""

    def __init__(self) -> None:
        self._chapter = 0
        self._started = time.monotonic()
        self.expected = 0

    def chapter(self, title: str) -> None:
        """Begin a new part."""
        self._chapter += 1
        sys.stdout.write(f"\n{self._chapter}. {title}\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """Tell something, indented and wrapped."""
        for line in text.splitlines() or [""]:
            sys.stdout.write(
                textwrap.fill(line, WIDTH, initial_indent="   ", subsequent_indent="     ") + "\n"
            )
        sys.stdout.flush()

    def expect(self, condition: object, text: str) -> None:
        """Say that something holds, or end the demonstration."""
        if not condition:
            raise Unexpected(text)
        self.expected += 1
        self.say(f"✓ {text}")

    @contextmanager
    def refused(self, kind: type[Exception], text: str) -> Iterator[list[Exception]]:
        """Expect that what is done inside is refused with this kind of error."""
        caught: list[Exception] = []
        try:
            yield caught
        except kind as error:
            caught.append(error)
            self.expect(True, text)
            return
        raise Unexpected(f"{text}: nothing refused it")

    def end(self) -> None:
        """Say how it went."""
        seconds = time.monotonic() - self._started
        sys.stdout.write(f"\nAll {self.expected} expectations held, in {seconds:.0f} seconds.\n")
