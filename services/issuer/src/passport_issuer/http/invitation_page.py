"""The page of an invitation, ``https://issuer.example/RBV/i/{token}``: what it is, a button, what comes next.

Looking changes nothing, so a mail scanner may look; pressing the button opens the link once, for this
browser. Then it leads to the person's open offer, or says what happens next. It works without script, and
says nothing about anybody before it is opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from passport_issuer.context import Context
from passport_issuer.http.access import context_of
from passport_issuer.operations import invitations
from passport_issuer.operations.invitations import Opening
from passport_issuer.operations.next_steps import NextSteps, next_steps
from passport_issuer.operations.notices import whom_to_ask
from passport_issuer.rules.notices import InvitationState, say_day
from passport_issuer.rules.validity import LONDON, london_day
from passport_shared.formats.ids import random_token
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.pages import PAGE_HEADERS, ForgedForm, Pages, choose_locale
from passport_shared.service.routes import form_body
from passport_shared.service.tenancy import Tenant, TenantState

BROWSER_COOKIE = "__Host-invitation"
_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")
_OVER = {
    InvitationState.OPENED: HTTPStatus.FORBIDDEN,
    InvitationState.EXPIRED: HTTPStatus.GONE,
    InvitationState.WITHDRAWN: HTTPStatus.GONE,
    InvitationState.RESENT: HTTPStatus.GONE,
}


@dataclass(frozen=True)
class _Found:
    ctx: Context
    tenant: Tenant
    token: str
    browser: str
    opening: Opening

    @property
    def state(self) -> InvitationState:
        return invitations.shown_state(self.opening.invitation, self.ctx.clock.now())


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        Route("/{ods:ods}/i/{token}", show, methods=["GET"], include_in_schema=False),
        Route("/{ods:ods}/i/{token}", act, methods=["POST"], include_in_schema=False),
    ]


async def show(request: Request) -> Response:
    """The page as it is now, for this browser."""
    found = await _find(request)
    if found is None:
        return _pages(request).not_found(request)
    if found.state is InvitationState.SENT:
        return await _closed(request, found)
    if found.state is InvitationState.OPENED and found.opening.ours:
        return await _opened(request, found)
    return await _over(request, found)


async def act(request: Request) -> Response:
    """The button: open the link for this browser, once."""
    pages, found = _pages(request), await _find(request)
    if found is None:
        return pages.not_found(request)
    try:
        form = await form_body(request)
        pages.check_form(request, form.get("csrf"))
    except (ForgedForm, ProtocolError):
        return pages.message(request, "kit.problem", text="kit.forged", status=400)
    if form.get("act") == "open" and _BROWSER.fullmatch(request.cookies.get(BROWSER_COOKIE, "")):
        await invitations.open_link(found.ctx, found.tenant, found.token, found.browser)
    # Whoever was not first sees why on the page itself.
    address = f"/{found.tenant.ods}/i/{found.token}"
    return RedirectResponse(address, status_code=303, headers=PAGE_HEADERS)


async def _closed(request: Request, found: _Found) -> Response:
    locale = choose_locale(request)
    expires_at = found.opening.invitation.expires_at
    answer = _pages(request).render(
        request,
        "invitation.html",
        trust=found.tenant.name,
        day=say_day(london_day(expires_at), locale) if expires_at else "",
        hour=f"{expires_at.astimezone(LONDON):%H:%M}" if expires_at else "",
    )
    # The browser has its name before the button is pressed: pressed twice, it is still the same one. Lax,
    # because people come back from their mail in a browser, which is another site.
    answer.set_cookie(
        BROWSER_COOKIE,
        found.browser,
        secure=True,
        httponly=True,
        samesite="lax",
        path="/",
        max_age=int((invitations.FOLLOWED_FOR + timedelta(days=60)).total_seconds()),
    )
    return answer


async def _opened(request: Request, found: _Found) -> Response:
    steps = await next_steps(found.ctx, found.tenant, found.opening.invitation.staff_id)
    if steps.offer_id is not None:
        address = f"/{found.tenant.ods}/o/{steps.offer_id}"
        return RedirectResponse(address, status_code=303, headers=PAGE_HEADERS)
    locale = choose_locale(request)
    return _pages(request).render(
        request,
        "invitation_next.html",
        trust=found.tenant.name,
        contact=await whom_to_ask(found.ctx, found.tenant, locale),
        app_page=found.ctx.notices.app_page,
        collected=steps.collected,
        appointment=_appointment(steps, locale),
    )


def _appointment(steps: NextSteps, locale: str) -> dict[str, str | bool | None] | None:
    if steps.at is None:
        return None
    at = steps.at.astimezone(LONDON)
    return {
        "day": say_day(at.date(), locale),
        "hour": f"{at:%H:%M}",
        "video": steps.by_video,
        "join_url": steps.join_url,
        "place": steps.place,
    }


async def _over(request: Request, found: _Found) -> Response:
    contact = await whom_to_ask(found.ctx, found.tenant, choose_locale(request))
    return _pages(request).render(
        request,
        "invitation_over.html",
        status=_OVER[found.state],
        state=found.state.value.lower(),
        contact=contact,
    )


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


async def _find(request: Request) -> _Found | None:
    ctx = context_of(request)
    tenant = await ctx.tenants.get(request.path_params["ods"])
    if tenant is None or tenant.state is not TenantState.ACTIVE:
        return None
    kept = request.cookies.get(BROWSER_COOKIE, "")
    browser = kept if _BROWSER.fullmatch(kept) else random_token(32)
    token = request.path_params["token"]
    opening = await invitations.find(ctx, tenant, token, browser)
    return None if opening is None else _Found(ctx, tenant, token, browser, opening)
