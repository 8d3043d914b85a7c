"""A small kit for pages people read: templates, one style sheet, two languages, and what keeps a form honest.

Pages work without script and follow WCAG 2.2 AA: landmarks, labels, visible focus, error summary, language
of the page. They carry the content security policy of security.md D3 and are never cached. The kit holds no
words of a service: each passes its own templates and words, and the kit none of theirs.
Forms are guarded twice: a token derived from a ``__Host-`` cookie, and the browser's own Origin or
Sec-Fetch-Site header.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

import segno
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

LOCALES = ("en-GB", "cy")
QUIET_ZONE = 4
"""Modules of white around a QR code (ISO/IEC 18004)."""
LANGUAGE_COOKIE = "__Host-language"
FORGERY_COOKIE = "__Host-csrf"
STYLESHEET_PATH = "/assets/passport.css"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "Accept-Language, Cookie",
}

Words = Mapping[str, Mapping[str, str]]


class ForgedForm(ValueError):
    """A form came from elsewhere, or without the token of the page it belongs to."""


def load_words(package: str, folder: str = "templates") -> dict[str, dict[str, str]]:
    """The words of a package's pages: ``<folder>/words.json``, key to locale to text."""
    text = resources.files(package).joinpath(folder, "words.json").read_text("utf-8")
    words: dict[str, dict[str, str]] = json.loads(text)
    return words


def choose_locale(request: Request) -> str:
    """The page's language: asked for in ``?lang=``, kept in a cookie, else the browser's, else English."""
    asked = request.query_params.get("lang")
    if asked in LOCALES:
        return asked
    kept = request.cookies.get(LANGUAGE_COOKIE)
    if kept in LOCALES:
        return kept
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tag = part.split(";")[0].strip().lower()
        if tag == "cy" or tag.startswith("cy-"):
            return "cy"
        if tag == "en" or tag.startswith("en-"):
            return "en-GB"
    return "en-GB"


def is_reader(request: Request) -> bool:
    """Whether a person's browser asks for a page, rather than a program for a document."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", "")


def qr_svg(text: str) -> str:
    """A QR code of ``text`` as a ``data:`` URL of an SVG image, for an ``img`` element."""
    return segno.make(text, error="m", micro=False).svg_data_uri(
        border=QUIET_ZONE, light="white", svgclass=None, lineclass=None
    )


def qr_image(text: str, kind: str, *, scale: int = 8) -> bytes:
    """A QR code of ``text`` as ``svg`` or ``png`` bytes."""
    import io

    buffer = io.BytesIO()
    segno.make(text, error="m", micro=False).save(buffer, kind=kind, scale=scale, border=QUIET_ZONE)
    return buffer.getvalue()


def stylesheet_routes() -> list[Route]:
    """The route of the style sheet, which needs nothing of a running service."""
    css = resources.files(__package__).joinpath("templates", "passport.css").read_bytes()
    etag = f'"{hashlib.sha256(css).hexdigest()[:32]}"'

    async def stylesheet(request: Request) -> Response:
        headers = {"ETag": etag, "Cache-Control": "public, max-age=3600"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(css, media_type="text/css", headers=headers)

    return [Route(STYLESHEET_PATH, stylesheet, methods=["GET"], include_in_schema=False)]


@dataclass(frozen=True)
class Forgery:
    """The anti-forgery pair of one browser: the cookie's value and the token its forms carry."""

    cookie: str
    token: str
    fresh: bool


class Pages:
    """Renders a service's pages.

    Args:
        package: the service's package with a ``templates`` folder and its ``words.json``.
        secret: at least 16 bytes, for anti-forgery tokens; the same on every replica.
        public_url: the service's base URL, the only Origin forms are accepted from.
    """

    def __init__(self, *, package: str, secret: bytes, public_url: str) -> None:
        self._secret = secret
        self._origin = public_url
        self.words: dict[str, dict[str, str]] = {**load_words(__package__), **load_words(package)}
        self._environment = Environment(
            loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def say(self, key: str, locale: str, **facts: object) -> str:
        """The words for ``key`` in one language, with ``{facts}`` filled in."""
        return self.words[key][locale].format(**facts)

    def say_day(self, value: date, locale: str) -> str:
        """A day as people write it: 3 May 2026."""
        months = self.words["kit.months"][locale].split()
        return f"{value.day} {months[value.month - 1]} {value.year}"

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """A page in the reader's language, with its anti-forgery token as ``csrf`` in the context."""
        locale = choose_locale(request)
        forgery = self._forgery(request)

        def translate(key: str, **facts: object) -> str:
            return self.say(key, locale, **facts)

        body = self._environment.get_template(template).render(
            locale=locale,
            language="cy" if locale == "cy" else "en",
            t=translate,
            csrf=forgery.token,
            stylesheet=STYLESHEET_PATH,
            **context,
        )
        response = HTMLResponse(body, status_code=status, headers={**PAGE_HEADERS, **(headers or {})})
        self._set_cookies(request, response, forgery)
        return response

    def message(
        self, request: Request, key: str, *, text: str | None = None, status: int = 200, **facts: object
    ) -> HTMLResponse:
        """A page that only says something: the heading ``key`` and the words of ``text`` (``key_text``)."""
        locale = choose_locale(request)
        return self.render(
            request,
            "message.html",
            status=status,
            heading=self.say(key, locale, **facts),
            paragraphs=[self.say(text or f"{key}_text", locale, **facts)],
        )

    def not_found(self, request: Request) -> HTMLResponse:
        """The page for a link that leads nowhere."""
        return self.message(request, "kit.not_found", status=404)

    def check_form(self, request: Request, token: object) -> None:
        """Refuse a form that another site could have sent.

        Raises:
            ForgedForm: foreign Origin or Sec-Fetch-Site, no cookie, or a token that does not belong to it.
        """
        origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
        # Under our own Referrer-Policy a browser's Origin is "null" even from our own pages: then only
        # Sec-Fetch-Site, which no page can write, says where the form was.
        ours = site == "same-origin" if origin == "null" else origin in (None, self._origin)
        if not ours or site not in (None, "same-origin"):
            raise ForgedForm("the form came from another site")
        cookie = request.cookies.get(FORGERY_COOKIE, "")
        given = token if isinstance(token, str) and token.isascii() else ""
        if not cookie or not hmac.compare_digest(self._token(cookie), given):
            raise ForgedForm("the form's token does not belong to this browser")

    def routes(self) -> Sequence[Route]:
        """The route of the style sheet."""
        return stylesheet_routes()

    def _token(self, cookie: str) -> str:
        digest = hmac.new(self._secret, b"csrf|" + cookie.encode("utf-8", "replace"), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")

    def _forgery(self, request: Request) -> Forgery:
        cookie = request.cookies.get(FORGERY_COOKIE, "")
        fresh = not (20 <= len(cookie) <= 64 and cookie.isascii())
        if fresh:
            cookie = secrets.token_urlsafe(24)
        return Forgery(cookie=cookie, token=self._token(cookie), fresh=fresh)

    def _set_cookies(self, request: Request, response: Response, forgery: Forgery) -> None:
        if forgery.fresh:
            response.set_cookie(
                FORGERY_COOKIE, forgery.cookie, secure=True, httponly=True, samesite="strict", path="/"
            )
        asked = request.query_params.get("lang")
        if asked in LOCALES:
            response.set_cookie(
                LANGUAGE_COOKIE,
                asked,
                secure=True,
                httponly=True,
                samesite="lax",
                path="/",
                max_age=31_536_000,
            )
