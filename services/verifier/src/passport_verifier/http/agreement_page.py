"""The page of a one-time link, ``{EID}/a/{token}``: a staff member agrees to a move, or does not.

It works without script, in English and Welsh. Opening it changes nothing, so that a mail filter that follows
links answers for nobody. It names host, days and duties and no person, and asks for no reason.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.pages import PAGE_HEADERS, ForgedForm, Pages, choose_locale
from passport_shared.service.routes import form_body
from passport_shared.service.tenancy import Tenant
from passport_verifier.context import Context
from passport_verifier.errors import Conflict
from passport_verifier.operations import agreement_links
from passport_verifier.operations.agreement_links import Opened
from passport_verifier.rules import wording
from passport_verifier.rules.gates import COVER_NEEDS_OPT_IN


def routes() -> list[BaseRoute]:
    """The routes of every tenant."""
    return [
        Route("/{ods}/a/{token}", show, methods=["GET"]),
        Route("/{ods}/a/{token}", act, methods=["POST"]),
    ]


async def show(request: Request) -> Response:
    """What is asked, or what became of it; looking changes nothing."""
    pages, ctx, tenant, found = await _found(request)
    if tenant is None or found is None:
        return pages.not_found(request)
    if not agreement_links.answerable(ctx, found):
        return _closed(pages, request, tenant, found)
    return _form(pages, request, tenant, found)


async def act(request: Request) -> Response:
    """The answer."""
    pages, ctx, tenant, found = await _found(request)
    if tenant is None or found is None:
        return pages.not_found(request)
    try:
        form = await form_body(request)
        pages.check_form(request, form.get("csrf"))
    except (ForgedForm, ProtocolError):
        return pages.message(request, "kit.problem", text="kit.forged", status=400)
    answer = form.get("answer")
    if answer not in {"yes", "no"}:
        return _form(pages, request, tenant, found, error="agreement.choose", status=422)
    if not agreement_links.answerable(ctx, found):
        return _closed(pages, request, tenant, found)
    opt_in = form.get("cover") == "yes" if _asks_cover(found) else None
    try:
        used = await agreement_links.answer(ctx, found, agrees=answer == "yes", cover_opt_in=opt_in)
    except Conflict:
        used = False
    if not used:
        return _closed(pages, request, tenant, found)
    # A reload of what follows answers nothing a second time.
    return RedirectResponse(request.url.path, status_code=303, headers=PAGE_HEADERS)


def _form(
    pages: Pages,
    request: Request,
    tenant: Tenant,
    found: Opened,
    *,
    error: str | None = None,
    status: int = 200,
) -> Response:
    movement, locale = found.movement, choose_locale(request)
    days = [wording.day(movement.start, locale)]
    if movement.end != movement.start:
        days.append(wording.day(movement.end, locale))
    return pages.render(
        request,
        "agreement.html",
        status=status,
        host=tenant.name or tenant.ods,
        days=days,
        sites=", ".join(movement.details["sites"]),
        department=movement.details["department"],
        duties=movement.details["duties"],
        supervisor=movement.details["supervisor"],
        sessions=movement.details["sessions"],
        asks_cover=_asks_cover(found),
        agreed=found.agreed,
        error=error,
        until=wording.moment(found.link.expires_at, locale),
        privacy=f"/{tenant.ods}/privacy",
    )


def _asks_cover(found: Opened) -> bool:
    return found.movement.details.get("cover_reason") in COVER_NEEDS_OPT_IN


def _closed(pages: Pages, request: Request, tenant: Tenant, found: Opened) -> Response:
    """What became of a link that cannot be used any more."""
    host = tenant.name or tenant.ods
    if found.link.used_at is not None:
        key = "agreement.agreed" if found.agreed else "agreement.answered"
        return pages.message(request, key, host=host)
    return pages.message(request, "agreement.over", status=410, host=host)


async def _found(request: Request) -> tuple[Pages, Context, Tenant | None, Opened | None]:
    ctx: Context = request.app.state.context
    pages: Pages = request.app.state.pages
    tenant = await ctx.tenants.get(request.path_params["ods"])
    if tenant is None:
        return pages, ctx, None, None
    return pages, ctx, tenant, await agreement_links.opened(ctx, tenant.ods, request.path_params["token"])
