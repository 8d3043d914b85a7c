"""Liveness and readiness (style.md §4.7): is the process running, and should it get requests.

Liveness does no I/O. Readiness runs the service's own checks, its database and its keys, never other
services, or one outage would stop them all. What is wrong goes to the log and the metric; the answer only
names the check.

All of it is for whoever stands beside the service. What a proxy passes on comes from elsewhere and finds
nothing here, however its path was spelt to get past the proxy's own rule.
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
_FORWARDED = ("x-forwarded-for", "forwarded")

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

    async def live(request: Request) -> Response:
        _refuse_forwarded(request)
        return _json({"status": "live"}, 200)

    async def ready(request: Request) -> Response:
        _refuse_forwarded(request)
        results = dict(
            zip((c.name for c in checks), await asyncio.gather(*map(_passes, checks)), strict=True)
        )
        for name, passed in results.items():
            metrics.ready.labels(name).set(int(passed))
        good = all(results.values())
        states = {name: "ok" if passed else "failed" for name, passed in results.items()}
        return _json({"status": "ready" if good else "not_ready", "checks": states}, 200 if good else 503)

    async def exposition(request: Request) -> Response:
        _refuse_forwarded(request)
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


def _refuse_forwarded(request: Request) -> None:
    """Every proxy says for whom it asks, and nobody in front of it can take that away."""
    if any(header in request.headers for header in _FORWARDED):
        raise NotFound


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
