"""Pages for staff members: what is asked and by whom, the return of a same-device answer, the privacy notice.

They work without script, in English and Welsh, under the content security policy of the kit. The request page
shows the button and the QR code; a same-device request is bound to the first browser that opens it, by a
``__Host-`` cookie, and its answer counts only when it comes back to that browser (HAIP 1.0 §5.1).
"""

from __future__ import annotations

import html

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.formats.ids import random_token
from passport_shared.service.pages import Pages, choose_locale, qr_svg
from passport_shared.service.tenancy import Tenant
from passport_verifier.context import Context
from passport_verifier.operations import policies, returning
from passport_verifier.operations.presentation_requests import by_link, links, purpose_text
from passport_verifier.rules import wording
from passport_verifier.rules.asking import in_words
from passport_verifier.rules.policies import HostPolicy
from passport_verifier.store.requests import Flow, PresentationRequest, RequestState

PACKAGE = "passport_verifier"
BROWSER_COOKIE = "__Host-request"
LOGO_HEADERS = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
LOGO_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def routes() -> list[Route]:
    """The page routes of every tenant, and the style sheet."""
    return [
        Route("/{ods}/r/{link}", request_page, methods=["GET"]),
        Route("/{ods}/r/{link}/return", return_page, methods=["GET"]),
        Route("/{ods}/privacy", privacy_page, methods=["GET"]),
        Route("/{ods}/logo.svg", logo, methods=["GET"]),
        # The style sheet needs none of the pages' secret.
        *Pages(package=PACKAGE, secret=bytes(16), public_url="").routes(),
    ]


async def request_page(request: Request) -> Response:
    """What is asked, by whom, and how to answer."""
    pages, ctx, tenant = await _opened(request)
    found = await by_link(ctx, tenant.ods, request.path_params["link"]) if tenant else None
    if tenant is None or found is None:
        return pages.not_found(request)
    if not found.open_at(ctx.clock.now()):
        return _closed(pages, request, tenant, found)
    browser = request.cookies.get(BROWSER_COOKIE) or random_token(24)
    if found.flow is Flow.SAME_DEVICE and not await returning.start(ctx, found, browser):
        return pages.message(request, "elsewhere", status=409, host=tenant.name)
    policy = await policies.pinned(ctx, found.policy_version)
    response = _request_page(pages, request, ctx, tenant, found, policy)
    if found.flow is Flow.SAME_DEVICE:
        # Lax, not Strict: the wallet's redirect is a navigation from another application.
        response.set_cookie(
            BROWSER_COOKIE, browser, secure=True, httponly=True, samesite="lax", path="/", max_age=900
        )
    return response


async def return_page(request: Request) -> Response:
    """Where the wallet sends the browser after a same-device answer."""
    pages, ctx, tenant = await _opened(request)
    found = await by_link(ctx, tenant.ods, request.path_params["link"]) if tenant else None
    if tenant is None or found is None:
        return pages.not_found(request)
    browser = request.cookies.get(BROWSER_COOKIE, "")
    # A reload, or the page in the other language, brings nothing to redeem and is told the same.
    returned = returning.came_back(found, browser) or await returning.redeem(
        ctx,
        found,
        response_code=request.query_params.get("response_code", ""),
        browser=browser,
    )
    if not returned:
        return pages.message(request, "not_returned", status=403, host=tenant.name)
    return pages.message(request, "shared", host=tenant.name)


async def privacy_page(request: Request) -> Response:
    """The tenant's ``policy_uri``."""
    pages, _, tenant = await _opened(request)
    if tenant is None:
        return pages.not_found(request)
    return pages.render(request, "privacy.html", host=tenant.name or tenant.ods)


async def logo(request: Request) -> Response:
    """The tenant's ``logo_uri``."""
    pages, _, tenant = await _opened(request)
    if tenant is None:
        return pages.not_found(request)
    return Response(_logo(tenant), media_type="image/svg+xml", headers={**LOGO_HEADERS, **LOGO_POLICY})


def _request_page(
    pages: Pages,
    request: Request,
    ctx: Context,
    tenant: Tenant,
    found: PresentationRequest,
    policy: HostPolicy,
) -> Response:
    locale = choose_locale(request)
    where = links(ctx, found)
    same_day = found.first_day == found.last_day
    days = [wording.day(found.first_day, locale)]
    if not same_day:
        days.append(wording.day(found.last_day, locale))
    return pages.render(
        request,
        "request.html",
        host=tenant.name or tenant.ods,
        purpose=purpose_text(tenant, found)[locale],
        days=days,
        sections=in_words(policy, locale),
        deep_link=where.deep_link,
        qr=qr_svg(where.deep_link),
        same_device=found.flow is Flow.SAME_DEVICE,
        privacy=f"/{tenant.ods}/privacy",
        until=wording.moment(found.expires_at, locale),
    )


def _closed(pages: Pages, request: Request, tenant: Tenant, found: PresentationRequest) -> Response:
    """What became of a request that cannot be answered any more; never what was decided."""
    key = {
        RequestState.ANSWERED: "answered",
        RequestState.DECLINED: "declined",
        RequestState.CANCELLED: "cancelled",
    }.get(found.state, "ran_out")
    return pages.message(request, key, status=410, host=tenant.name or tenant.ods)


async def _opened(request: Request) -> tuple[Pages, Context, Tenant | None]:
    ctx: Context = request.app.state.context
    pages: Pages = request.app.state.pages
    return pages, ctx, await ctx.tenants.get(request.path_params["ods"])


def _logo(tenant: Tenant) -> str:
    """A plain mark with the organisation's code: a stand-in that claims nobody's trade mark."""
    code = html.escape(tenant.ods)
    title = html.escape(tenant.name or tenant.ods)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128" role="img">'
        f"<title>{title}</title>"
        '<rect width="128" height="128" rx="12" fill="#005eb8"/>'
        '<text x="64" y="78" font-family="Arial, sans-serif" font-size="38" font-weight="700" '
        f'text-anchor="middle" fill="#fff">{code}</text></svg>'
    )
