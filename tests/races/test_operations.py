"""Every operation, many times at once: what wins, what is refused, and one effect, on one process and four.

What an operation comes to is in `race_catalogue.OPERATIONS`; the audit log and the outbox say what it did. No
answer is ever a fault of ours, and no two calls are both told that they did what can be done once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from passport_testkit import contract_examples
from passport_testkit.contract_worlds import Operation, World, operations
from passport_testkit.race_catalogue import OPERATIONS, Outcome

pytestmark = pytest.mark.xdist_group("races")

AT_ONCE = 6
CHANGING = [one for one in operations() if str(one) in OPERATIONS]
_CONNECTION = "issuer POST /api/v1/organisations/{ods}/connections/{connection_id}"
# A key that is shown once cannot be told again: who repeats the call wants another. A trial is a trial.
UNKEYED = {f"{_CONNECTION}/event-key", f"{_CONNECTION}/test"}
KEYED = [
    one
    for one in CHANGING
    if OPERATIONS[str(one)].outcome is Outcome.EACH and one.managed and str(one) not in UNKEYED
]
EFFECTS = (
    "SELECT 'audit ' || kind AS effect FROM audit_entries "
    "UNION ALL SELECT 'event ' || type FROM outbox_events"
)


def request_of(world: World, operation: Operation) -> dict[str, Any]:
    """A whole request of an operation on what exists."""
    url, headers = world.path(operation), world.headers(operation)
    options: dict[str, Any] = {}
    if operation.takes_json:
        options["json"] = contract_examples.body(operation) if _has_body(operation) else None
    elif operation.takes_form:
        options["data"] = contract_examples.form(operation)
    if operation.guarded_by_version:
        headers["If-Match"] = world.version_of(operation, url, headers)
    return {"method": operation.method, "url": url, "headers": headers, **options}


def _has_body(operation: Operation) -> bool:
    return str(operation) in contract_examples.BODIES


async def effects(world: World) -> Counter[str]:
    """What the audit log and the outbox hold, by kind."""
    async with world.app.state.context.db.read() as conn:
        return Counter(row.effect for row in await conn.execute(text(EFFECTS)))


async def volley(world: World, request: Mapping[str, Any]) -> tuple[list[httpx.Response], Counter[str]]:
    """Send one request many times at once; the answers, and what they left."""
    before = await effects(world)
    answers = await asyncio.gather(*(world.http.request(**request) for _ in range(AT_ONCE)))
    return list(answers), await effects(world) - before


def fault(outcome: Outcome, answers: list[httpx.Response], left: Counter[str]) -> str | None:
    """What is wrong with the answers to identical requests; None if nothing is."""
    statuses = Counter(answer.status_code for answer in answers)
    won = sum(count for status, count in statuses.items() if status < 300)
    most = max(left.values(), default=0)
    audited = max((count for effect, count in left.items() if effect.startswith("audit ")), default=0)
    if any(status >= 500 for status in statuses):
        wrong = "a fault of ours"
    elif outcome is Outcome.ONE:
        wrong = "" if (won, audited, most) == (1, 1, 1) else "not exactly one wins"
    elif outcome is Outcome.ALIKE:
        wrong = "" if (won, audited, most) == (AT_ONCE, 1, 1) else "not one effect, told alike"
    elif outcome is Outcome.EACH:
        wrong = "" if won and audited == won else "not as many effects as were told"
    else:
        wrong = "" if not left else "something changed"
    return f"{wrong}: {dict(statuses)} left {dict(left)}" if wrong else None


def race(worlds: Callable[[str], World]) -> list[str]:
    faults = []
    for operation in CHANGING:
        world = worlds(operation.service)
        answers, left = world.runner.run(volley(world, request_of(world, operation)))
        found = fault(OPERATIONS[str(operation)].outcome, answers, left)
        faults += [f"{operation}: {found}"] if found else []
    return faults


def race_with_a_key(worlds: Callable[[str], World]) -> list[str]:
    """What every call would do counts once where all carry one Idempotency-Key."""
    faults = []
    for operation in KEYED:
        world = worlds(operation.service)
        request = request_of(world, operation)
        request["headers"] = {**request["headers"], "Idempotency-Key": uuid.uuid4().hex}
        answers, left = world.runner.run(volley(world, request))
        statuses = Counter(answer.status_code for answer in answers)
        again = [answer for answer in answers if answer.status_code == 409]
        running = all(answer.json()["code"] == "request_in_progress" for answer in again)
        kept = {answer.json().get("id") for answer in answers if answer.status_code < 300 and answer.content}
        if max(left.values(), default=0) != 1 or len(kept) != 1 or not running or max(statuses) >= 500:
            faults.append(f"{operation}: {dict(statuses)} made {kept}, left {dict(left)}")
    return faults


each_way = pytest.mark.parametrize("processes", ["one", pytest.param("four", marks=pytest.mark.postgres)])


@each_way
def test_one_idempotency_key_is_one_effect(processes: str, request: pytest.FixtureRequest) -> None:
    assert not race_with_a_key(worlds_of(processes, request))


@each_way
def test_every_operation_many_times_at_once(processes: str, request: pytest.FixtureRequest) -> None:
    assert not race(worlds_of(processes, request))


def worlds_of(processes: str, request: pytest.FixtureRequest) -> Callable[[str], World]:
    """The worlds of one process on SQLite, or those of four on PostgreSQL."""
    if processes == "one":
        found: Callable[[str], World] = request.getfixturevalue("on_sqlite")
        return found
    beside: dict[str, World] = request.getfixturevalue("beside")
    return beside.__getitem__
