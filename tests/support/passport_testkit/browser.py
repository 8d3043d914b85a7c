"""A real browser on the pages people read: how a page is to its reader, its keyboard and its checker.

Chromium comes from the machine (`apt-get install chromium`), never from a download; axe-core from the npm
peers (`make peers`). A `Tab` remembers everything its pages complained about or reached for, so that a test
may end with `assert tab.complaints == []`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from passport_testkit.node import PEERS

if TYPE_CHECKING:
    from playwright.async_api import Browser, ConsoleMessage, Page, Request

AXE = PEERS / "node_modules" / "axe-core" / "axe.min.js"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NARROW, WIDE = 320, 1280
HEIGHT = 900
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def why_not() -> str | None:
    """The reason no browser can run here, or None when one can."""
    try:
        import playwright.async_api  # noqa: F401
    except ImportError:
        return "the package playwright is not installed (make setup)"
    if find_chromium() is None:
        return "no Chromium on this machine (Debian: apt-get install chromium)"
    if not AXE.exists():
        return "the npm peers are not installed (make peers)"
    return None


def find_chromium() -> str | None:
    """The machine's own Chromium."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium that ends with the block."""
    from playwright.async_api import async_playwright

    # a sandbox needs rights that root in a container does not have
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Tab:
    """One reader's window: a page, its own cookies, and what went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    @classmethod
    async def open(
        cls, browser: Browser, *, width: int = WIDE, locale: str = "en-GB", script: bool = True
    ) -> Tab:
        """A fresh reader; the development TLS authority is nobody a browser knows."""
        context = await browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            locale=locale,
            java_script_enabled=script,
            ignore_https_errors=True,
        )
        tab = cls(await context.new_page())
        tab.page.on("console", tab._said)
        tab.page.on("pageerror", lambda error: tab.complaints.append(f"error: {error}"))
        tab.page.on("request", tab._asked)
        return tab

    def _said(self, message: ConsoleMessage) -> None:
        # Chromium logs every answer that is no success, also those a test is about.
        if "Failed to load resource" in message.text:
            return
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        if request.url.startswith("data:"):
            return
        if urlsplit(request.url).hostname != "localhost":
            self.complaints.append(f"reached for {request.url}")

    async def visit(self, url: str) -> int:
        """Open a link; the status of the answer."""
        answer = await self.page.goto(url)
        assert answer is not None
        return answer.status

    async def text(self) -> str:
        """What is on the page to read."""
        return await self.page.inner_text("body")

    async def violations(self) -> list[str]:
        """What axe-core finds wrong, one line per rule and element."""
        await self.page.evaluate(AXE.read_text("utf-8"))
        found = await self.page.evaluate(
            "async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations",
            list(RULES),
        )
        return [f"{one['id']}: {node['target']} {one['help']}" for one in found for node in one["nodes"]]

    async def overflow(self) -> int:
        """By how many CSS pixels the page is wider than its window."""
        wider: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wider

    async def focused(self) -> dict[str, Any]:
        """What has the focus: tag, name, and whether its look differs from the unfocused one."""
        found: dict[str, Any] = await self.page.evaluate(
            """() => {
              const at = document.activeElement;
              const look = () => {
                const s = getComputedStyle(at);
                return [s.outlineStyle, s.outlineColor, s.backgroundColor, s.boxShadow, s.left].join();
              };
              const now = look();
              at.blur();
              const before = look();
              at.focus();
              const name = (at.labels?.[0] ?? at).innerText || at.value || '';
              return {tag: at.tagName, name, visible: now !== before};
            }"""
        )
        return found

    async def screenshot(self, path: Path) -> None:
        """The whole page as a picture."""
        await self.page.screenshot(path=path, full_page=True)

    async def close(self) -> None:
        """Close the window and forget its cookies."""
        await self.page.context.close()
