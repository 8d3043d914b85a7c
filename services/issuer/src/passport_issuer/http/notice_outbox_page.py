"""The development outbox, ``https://issuer.example/notices``: every notice as its reader would see it.

It is there only where the settings say development twice; anywhere else it is a page that does not exist.
"""

from __future__ import annotations

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from passport_issuer.http.access import context_of
from passport_issuer.operations import notice_outbox
from passport_issuer.rules.notices import say_day
from passport_issuer.rules.validity import LONDON
from passport_shared.service.pages import Pages, choose_locale


def routes() -> list[BaseRoute]:
    """The route."""
    return [Route("/notices", show, methods=["GET"], include_in_schema=False)]


async def show(request: Request) -> Response:
    """What was sent, newest first."""
    pages: Pages = request.app.state.pages
    ctx = context_of(request)
    if not ctx.notices.outbox_page:
        return pages.not_found(request)
    locale = choose_locale(request)
    items = [
        {
            "id": item.id,
            "channel": item.channel.value,
            "language": "cy" if item.language == "cy" else "en",
            "to": item.to_address,
            "subject": item.subject,
            "paragraphs": [paragraph.splitlines() for paragraph in item.body.split("\n\n")],
            "at": _said(item.sent_at, locale),
        }
        for item in await notice_outbox.read(ctx)
    ]
    return pages.render(request, "notice_outbox.html", items=items, links=f"{ctx.public_url}/")


def _said(at: datetime, locale: str) -> str:
    local = at.astimezone(LONDON)
    return f"{say_day(local.date(), locale)}, {local:%H:%M}"
