"""Liveness and readiness (style.md §4.7): is the process running, and should it get requests.

Liveness does no I/O. Readiness runs the service's own checks, its database and its keys, never other
services, or one outage would stop them all. What is wrong goes to the log and the metric; the answer only
names the check.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.service import log_keys
from passport_shared.service.db import Database
from passport_shared.service.observability import METRICS_MEDIA_TYPE, Metrics
from passport_shared.service.problems import NotFound, Unauthenticated
from passport_shared.service.settings import MetricsAccess

CHECK_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Check:
    """One condition of readiness: returns when it holds, raises when it does not."""

    name: str
    run: Callable[[], Awaitable[None]]


def database_check(db: Database) -> Check:
    """The database answers."""
    return Check("database", db.ping)


def health_routes(checks: Sequence[Check], metrics: Metrics, access: MetricsAccess) -> list[Route]:
    """``/health/live``, ``/health/ready`` and ``/metrics``."""

    async def live(_: Request) -> Response:
        return _json({"status": "live"}, 200)

    async def ready(_: Request) -> Response:
        results = dict(
            zip((c.name for c in checks), await asyncio.gather(*map(_passes, checks)), strict=True)
        )
        for name, passed in results.items():
            metrics.ready.labels(name).set(int(passed))
        good = all(results.values())
        states = {name: "ok" if passed else "failed" for name, passed in results.items()}
        return _json({"status": "ready" if good else "not_ready", "checks": states}, 200 if good else 503)

    async def exposition(request: Request) -> Response:
        if not access.allows(request.headers.get("authorization", "")):
            # Without a token configured there is nothing here; with one, it is asked for.
            raise NotFound if access.token is None else Unauthenticated("Metrics are read with their token.")
        await metrics.refresh()
        return Response(metrics.render(), media_type=METRICS_MEDIA_TYPE)

    return [
        Route("/health/live", live, include_in_schema=False),
        Route("/health/ready", ready, include_in_schema=False),
        Route("/metrics", exposition, include_in_schema=False),
    ]


async def _passes(check: Check) -> bool:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check.run()
    except Exception:
        log.warning("readiness_check.failed", exc_info=True, **{log_keys.JOB: check.name})
        return False
    return True


def _json(value: object, status: int) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(
        json.dumps(value).encode(), status_code=status, media_type="application/json", headers=headers
    )
