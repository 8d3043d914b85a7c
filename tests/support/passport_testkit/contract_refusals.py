"""The form a refusal must have: which one, the operation says."""

from __future__ import annotations

from typing import Any

import httpx

from passport_testkit.apps import PROBLEM_MEMBERS
from passport_testkit.contract_worlds import Operation


def is_page(operation: Operation) -> bool:
    """Whether an operation answers people: its refusals are pages too."""
    answers = operation.spec.get("responses", {}).values()
    return any("text/html" in answer.get("content", {}) for answer in answers)


def fault(operation: Operation, answer: httpx.Response) -> str | None:
    """What is wrong with the form of an answer to bad input; None if it is as promised.

    Success is as promised: whether an answer had to be a refusal is for the test to say.
    """
    status = answer.status_code
    if status >= 500 and status not in (501, 503):
        return f"{status}: {answer.text[:300]}"
    if status < 400:
        return None
    if str(status) not in operation.spec["responses"]:
        return f"{status} is not documented: {answer.text[:300]}"
    if status in (429, 503) and not answer.headers.get("retry-after", "").isdigit():
        return f"{status} without Retry-After"
    # A client that did not try the Authorization header is told nothing of schemes (RFC 6749 §5.2).
    if status == 401 and "www-authenticate" not in answer.headers and not operation.takes_form:
        return "401 without WWW-Authenticate"
    if operation.answers_problems:
        return _problem_fault(answer)
    if operation.path.startswith("/dsp-api/"):
        return _outcome_fault(answer)
    if is_page(operation) and answer.headers["content-type"].startswith("text/html"):
        return None
    return _protocol_fault(answer)


def _problem_fault(answer: httpx.Response) -> str | None:
    if answer.headers["content-type"] != "application/problem+json":
        return f"{answer.status_code} as {answer.headers['content-type']}"
    body: dict[str, Any] = answer.json()
    members = set(body)
    if not PROBLEM_MEMBERS <= members <= PROBLEM_MEMBERS | {"field", "errors"}:
        return f"{answer.status_code} with the members {sorted(members)}"
    if body["status"] != answer.status_code or body["correlation_id"] != answer.headers["x-request-id"]:
        return f"{answer.status_code} says {body['status']}, {body['correlation_id']}"
    if answer.headers.get("cache-control") != "no-store":
        return f"{answer.status_code} may be cached"
    return None


def _protocol_fault(answer: httpx.Response) -> str | None:
    if answer.headers["content-type"] != "application/json":
        return f"{answer.status_code} as {answer.headers['content-type']}"
    body: dict[str, Any] = answer.json()
    if not isinstance(body.get("error"), str) or not isinstance(body.get("error_description"), str):
        return f"{answer.status_code} without error and error_description: {body}"
    if answer.headers.get("cache-control") != "no-store":
        return f"{answer.status_code} may be cached"
    return None


def _outcome_fault(answer: httpx.Response) -> str | None:
    if answer.headers["content-type"] != "application/json":
        return f"{answer.status_code} as {answer.headers['content-type']}"
    body: dict[str, Any] = answer.json()
    if body.get("resourceType") != "OperationOutcome" or not body.get("issue"):
        return f"{answer.status_code} is no OperationOutcome: {body}"
    if answer.headers.get("cache-control") != "no-store":
        return f"{answer.status_code} may be cached"
    return None
