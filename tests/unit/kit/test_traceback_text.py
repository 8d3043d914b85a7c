"""A traceback that a library logs as text: its end is what somebody needs, and its message may quote."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.service.app import create_app
from passport_shared.service.observability import configure_logging
from passport_shared.service.redaction import MAX_TEXT
from passport_shared.service.traceback_text import HEAD, MAX_FRAMES, describe_traceback

CANARY = "Cañary-Bloggs-7761"


class KeyFileUnusable(RuntimeError):
    """As ours are: the message is for the operator."""


KeyFileUnusable.__module__ = "passport_shared.service.kek"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The real pipeline, into a string."""
    stream = io.StringIO()
    configure_logging("issuer", "1.0", level="info", stream=stream)
    yield stream
    configure_logging("test", "0", level="warning", stream=io.StringIO())


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _deep(left: int) -> None:
    if left == 0:
        try:
            float(CANARY)
        except ValueError as error:
            raise KeyFileUnusable("the key file is empty: make one") from error
    _down(left - 1)


def _down(left: int) -> None:
    _deep(left)


def _text(depth: int) -> str:
    try:
        _deep(depth)
    except KeyFileUnusable:
        return traceback.format_exc()
    raise AssertionError


def test_the_end_is_kept_and_what_may_quote_is_not(log: io.StringIO) -> None:
    text = _text(30)
    assert len(text) > 2 * MAX_TEXT
    logging.getLogger("uvicorn.error").error(text)
    (line,) = _lines(log)
    assert line["event"] == "exception.logged_as_text"
    assert line["exception"]["type"] == "passport_shared.service.kek.KeyFileUnusable"
    assert len(line["exception"]["frames"]) == MAX_FRAMES
    assert line["exception"]["frames"][-1].endswith(" _deep")
    assert "test_traceback_text.py:" in line["exception"]["frames"][-1]
    assert CANARY not in log.getvalue()


@pytest.mark.parametrize(
    "text", [HEAD, f"{HEAD}\n", f"{HEAD}\n  File x\n", f"{HEAD}\nValueError", "no traceback"]
)
def test_half_a_traceback_is_described_as_far_as_it_goes(text: str) -> None:
    described = describe_traceback(text)
    assert described["frames"] == []
    assert described.get("type", "ValueError") in ("ValueError",)


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_whatever_follows_the_head_is_described(rest: str) -> None:
    json.dumps(describe_traceback(HEAD + rest))


async def test_a_service_that_cannot_start_says_why(log: io.StringIO) -> None:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _deep(30)
        yield

    app = create_app(service="kit", version="1.0", public_url="https://service.example", lifespan=lifespan)
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="on", log_config=None, ws="none"))
    with pytest.raises(SystemExit):  # uvicorn's own answer; `serve` makes one plain line of it
        await server.serve()
    lines = _lines(log)
    (told,) = [line for line in lines if line["event"] == "service.not_started"]
    assert told["level"] == "error"
    assert told["exception"]["type"] == "passport_shared.service.kek.KeyFileUnusable"
    assert told["exception"]["message"] == "the key file is empty: make one"
    assert told["exception"]["frames"][-1].endswith(" _deep")
    assert told["exception"]["caused_by"] == "builtins.ValueError"
    # The server's own line is the same exception as text, and no longer cut before it says what happened.
    (text,) = [line for line in lines if line["event"] == "exception.logged_as_text"]
    assert text["exception"]["type"] == told["exception"]["type"]
    assert CANARY not in log.getvalue()
