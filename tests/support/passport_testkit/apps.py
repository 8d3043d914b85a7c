"""An application in the test's own process: its lifespan runs, and a client speaks to it without a socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
from fastapi import FastAPI

PROBLEM_MEMBERS = {
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "code",
    "retryable",
    "who_can_fix",
    "correlation_id",
}


@contextlib.asynccontextmanager
async def client_of(
    app: FastAPI, *, base_url: str | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running application; what the application raises fails the test."""
    url = base_url or str(getattr(app.state, "public_url", "https://service.example"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=url, headers=headers) as client:
            yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is this problem in the promised form, and give its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert PROBLEM_MEMBERS <= set(body) <= PROBLEM_MEMBERS | {"field", "errors"}
    assert (body["status"], body["code"]) == (status, code), body
    assert body["type"].startswith("https://")
    assert body["type"].endswith(f"/problems/{code}")
    assert body["correlation_id"] == answer.headers["x-request-id"]
    return body


def protocol_error(answer: httpx.Response, status: int, error: str) -> dict[str, Any]:
    """Check that an answer is this protocol error in the promised form, and give its members."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json", answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert body["error"] == error, body
    assert isinstance(body["error_description"], str)
    return body
