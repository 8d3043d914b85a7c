"""The problem catalogue at ``/problems``: every ``type`` URL resolves, to JSON or to a page for people."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.service.problems import NotFound
from passport_shared.wire.problems import Problem

_FIXED_BY = {
    "caller": "the calling program",
    "organisation": "the organisation's own staff",
    "registry_operator": "the registry operator",
    "service_operator": "whoever runs this service",
}


def problem_routes(entries: Mapping[str, Problem], public_url: str) -> list[Route]:
    """``/problems`` and ``/problems/{slug}``, rendered once."""
    documents = {slug: _document(problem, public_url) for slug, problem in sorted(entries.items())}
    everything = {"items": list(documents.values()), "next": None}

    async def index(request: Request) -> Response:
        return _negotiated(request, everything, lambda: _index_page(documents))

    async def entry(request: Request) -> Response:
        slug = request.path_params["slug"]
        if slug not in documents:
            raise NotFound("The catalogue has no such problem.")
        return _negotiated(request, documents[slug], lambda: _entry_page(documents[slug]))

    return [
        Route("/problems", index, include_in_schema=False),
        Route("/problems/{slug}", entry, include_in_schema=False),
    ]


def _document(problem: Problem, public_url: str) -> dict[str, object]:
    return {
        "type": f"{public_url}/problems/{problem.slug}",
        "code": problem.slug,
        "title": problem.title,
        "status": problem.status,
        "retryable": problem.retryable,
        "who_can_fix": problem.who_can_fix.value,
        "explanation": problem.explanation,
    }


def _negotiated(request: Request, document: Mapping[str, object], page: object) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    content = page() if wants_page and callable(page) else json.dumps(document, ensure_ascii=False).encode()
    headers = {"Cache-Control": "public, max-age=3600", "Vary": "Accept"}
    if wants_page:
        headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri "
            f"'none'; form-action 'none'"
        )
    return Response(content, media_type="text/html" if wants_page else "application/json", headers=headers)


_STYLE = (
    "body{font:1rem/1.5 Arial,sans-serif;margin:2rem auto;max-width:42rem;padding:0 1rem}"
    "code{background:#f0f4f5;overflow-wrap:anywhere}"
)


def _hash_of(text: str) -> str:
    import base64

    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_STYLE_HASH = _hash_of(_STYLE)


def _page(title: str, body: str) -> bytes:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    return (
        f'<!doctype html><html lang="en-GB"><head>{head}<title>{html.escape(title)}</title></head>'
        f"<body><main>{body}</main></body></html>"
    ).encode()


def _index_page(documents: Mapping[str, Mapping[str, object]]) -> bytes:
    rows = "".join(
        f'<li><a href="/problems/{slug}"><code>{slug}</code></a> ({entry["status"]}): '
        f"{html.escape(str(entry['title']))}</li>"
        for slug, entry in documents.items()
    )
    return _page("Problems", f"<h1>Problems this service reports</h1><ul>{rows}</ul>")


def _entry_page(entry: Mapping[str, object]) -> bytes:
    again = (
        "The same request can succeed later." if entry["retryable"] else "The same request will fail again."
    )
    body = (
        f"<h1>{html.escape(str(entry['title']))}</h1><p>Code <code>{entry['code']}</code>, HTTP status "
        f"{entry['status']}.</p>"
        f"<p>{html.escape(str(entry['explanation']))}</p><p>{again} It can be put right by "
        f"{_FIXED_BY[str(entry['who_can_fix'])]}.</p>"
        '<p><a href="/problems">All problems</a></p>'
    )
    return _page(str(entry["title"]), body)
