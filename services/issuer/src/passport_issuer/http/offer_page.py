"""The page of an offer, ``https://issuer.example/RBV/o/{id}``: collect it, check it first, or send it back.

It works without script. Before the PIN it says which trust, and nothing about anybody; after it a cookie
bound to this offer shows what will be issued. The PIN typed here counts among the five tries in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from passport_issuer.context import Context
from passport_issuer.errors import WrongState
from passport_issuer.http import offer_contents
from passport_issuer.http.access import context_of
from passport_issuer.operations import offers
from passport_issuer.rules import codes
from passport_issuer.rules.passports import OfferState, RejectionReason
from passport_issuer.store.offers import MAX_WRONG_TX_CODES, Offer
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.pages import PAGE_HEADERS, ForgedForm, Pages, choose_locale, qr_svg
from passport_shared.service.routes import form_body
from passport_shared.service.tenancy import Tenant, TenantState

REVIEW_COOKIE = "__Host-offer"


@dataclass(frozen=True)
class _Found:
    ctx: Context
    tenant: Tenant
    offer: Offer


def routes() -> list[BaseRoute]:
    """The routes."""
    return [
        Route("/{ods:ods}/o/{offer_id}", show, methods=["GET"], include_in_schema=False),
        Route("/{ods:ods}/o/{offer_id}", act, methods=["POST"], include_in_schema=False),
    ]


async def show(request: Request) -> Response:
    """The page as it is now."""
    pages, found = _pages(request), await _find(request)
    if found is None:
        return pages.not_found(request)
    return await _render(request, found)


async def act(request: Request) -> Response:
    """A form of the page: the PIN, "this is right", or "something is wrong" with its reason."""
    pages, found = _pages(request), await _find(request)
    if found is None:
        return pages.not_found(request)
    try:
        form = await form_body(request)
        pages.check_form(request, form.get("csrf"))
    except (ForgedForm, ProtocolError):
        return pages.message(request, "kit.problem", text="kit.forged", status=400)
    match form.get("act"):
        case "pin":
            return await _give_pin(request, found, form)
        case "right" if _may_review(request, found):
            await offers.confirm_review(found.ctx, found.tenant, found.offer.id)
            return _back(found, "collect")
        case "wrong" if _may_review(request, found):
            return await _send_back(request, found, form)
        case _:
            return _back(found)


async def _give_pin(request: Request, found: _Found, form: Mapping[str, str]) -> Response:
    given = "".join(form.get("pin", "").split())
    if not codes.is_tx_code(given):
        return await _render(request, found, error="offer.pin_form", status=422)
    if not await offers.give_tx_code(found.ctx, found.tenant, found.offer.id, given):
        fresh = await _find(request)
        return await _render(request, fresh or found, error="offer.pin_wrong", status=422)
    answer = _back(found, "contents")
    cookie = codes.review_cookie(found.ctx.secrets.pages, found.offer.id, found.ctx.clock.now())
    answer.set_cookie(
        REVIEW_COOKIE,
        cookie,
        secure=True,
        httponly=True,
        samesite="strict",
        path="/",
        max_age=int(codes.REVIEW_LIFE.total_seconds()),
    )
    return answer


async def _send_back(request: Request, found: _Found, form: Mapping[str, str]) -> Response:
    reason = form.get("reason", "")
    if reason not in {known.value for known in RejectionReason}:
        return await _render(request, found, error="offer.reason_missing", status=422)
    try:
        await offers.reject(found.ctx, found.tenant, found.offer.id, RejectionReason(reason))
    except WrongState:
        return _back(found)
    return _back(found)


async def _render(
    request: Request, found: _Found, *, error: str | None = None, status: int = 200
) -> Response:
    ctx, offer = found.ctx, found.offer
    pages = _pages(request)
    state = offers.shown_state(offer, ctx.clock.now())
    if not offer.open_at(ctx.clock.now()):
        key = "LOCKED" if state is OfferState.OFFERED else state.value
        return pages.render(
            request, "offer_over.html", status=200, state=key.lower(), trust=found.tenant.name
        )
    links = offers.links(ctx, found.tenant, offer)
    return pages.render(
        request,
        "offer.html",
        status=status,
        trust=found.tenant.name,
        wallet_link=links.by_reference,
        qr=qr_svg(links.by_reference),
        sections=await _sections(request, found) if _may_review(request, found) else None,
        reviewed=offer.reviewed,
        tries_left=MAX_WRONG_TX_CODES - offer.wrong_tx_codes,
        error=error,
        reasons=[reason.value for reason in RejectionReason],
    )


async def _sections(request: Request, found: _Found) -> list[offer_contents.Section]:
    """What will be issued, in plain words: one section per record."""
    pages, locale = _pages(request), choose_locale(request)
    records = [(item.type, item.claims or {}) for item in await offers.review(found.ctx, found.offer)]
    return offer_contents.sections(records, locale, lambda value: pages.say_day(value, locale))


def _may_review(request: Request, found: _Found) -> bool:
    cookie = request.cookies.get(REVIEW_COOKIE, "")
    reviewed = codes.reviewed_offer(found.ctx.secrets.pages, cookie, found.ctx.clock.now())
    return reviewed == found.offer.id


def _back(found: _Found, part: str = "") -> RedirectResponse:
    """Show the page again, at one of its parts, so that a reload does nothing twice."""
    address = f"/{found.tenant.ods}/o/{found.offer.id}{f'#{part}' if part else ''}"
    return RedirectResponse(address, status_code=303, headers=PAGE_HEADERS)


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


async def _find(request: Request) -> _Found | None:
    ctx = context_of(request)
    tenant = await ctx.tenants.get(request.path_params["ods"])
    if tenant is None or tenant.state is not TenantState.ACTIVE:
        return None
    offer = await offers.find(ctx, tenant, request.path_params["offer_id"])
    return None if offer is None else _Found(ctx, tenant, offer)
