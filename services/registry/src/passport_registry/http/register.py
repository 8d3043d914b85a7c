"""`GET /register`: the public register of trusts, as JSON and as a page for people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_registry.http.serving import context_of, made_document, public
from passport_registry.operations.register import RegisterEntry, public_register
from passport_shared.formats import strict
from passport_shared.service.pages import Pages
from passport_shared.service.routes import protocol_route

READ = ("GET", "HEAD")
SERVED_FOR = timedelta(seconds=60)


def _entry(entry: RegisterEntry) -> dict[str, Any]:
    return {
        "ods_code": entry.ods_code,
        "name": entry.name,
        "aliases": list(entry.aliases),
        "locality": entry.locality,
        "sandbox": entry.sandbox,
        "state": entry.state.value,
        "live_to_issue": entry.live_to_issue,
        "live_to_verify": entry.live_to_verify,
        "contacts": entry.contacts,
        "steps": [
            {
                "step": line.step.value,
                "state": line.state.value,
                "done_on": line.done_on.isoformat() if line.done_on else None,
            }
            for line in entry.steps
        ],
    }


async def register(request: Request) -> Response:
    """Serve the register: a page to whoever asks for HTML first, JSON to everybody else."""
    ctx = context_of(request)
    entries = await public_register(ctx)
    if _wants_page(request.headers.get("accept", "")):
        pages: Pages = request.app.state.pages
        return pages.render(
            request, "register.html", entries=entries, headers={"Vary": "Accept, Accept-Language, Cookie"}
        )
    body = strict.dumps({"items": [_entry(entry) for entry in entries]})
    document = made_document(
        "register", body, media_type="application/json", max_age=SERVED_FOR, at=ctx.clock.now()
    )
    response = public(request, document, "")
    response.headers["Vary"] = "Accept, Accept-Encoding"
    return response


def _wants_page(accept: str) -> bool:
    """Return whether HTML is named before JSON; a client that names neither is a program."""
    html, json = accept.find("text/html"), accept.find("application/json")
    return html >= 0 and (json < 0 or html < json)


def routes() -> list[Route]:
    """Return the route of the register."""
    return [protocol_route("/register", register, methods=READ)]
