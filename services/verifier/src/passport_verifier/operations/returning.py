"""A same-device request is bound to the browser it was started in, and its answer must come back there.

HAIP 1.0 §5.1 and OpenID4VP 1.0 §13.3: the response code in the redirect is redeemed once, with the cookie
that was set when the request was opened. An answer that does not come back is never shown.
"""

from __future__ import annotations

import hmac

from passport_verifier.context import Context
from passport_verifier.operations.sealing import hashed
from passport_verifier.store import requests
from passport_verifier.store.requests import PresentationRequest

MAX_TOKEN_CHARS = 128


async def start(ctx: Context, request: PresentationRequest, browser: str) -> bool:
    """Bind a request to a browser by its cookie; False if it was started in another one."""
    if not 0 < len(browser) <= MAX_TOKEN_CHARS:
        return False
    async with ctx.db.write() as conn:
        return await requests.bind_browser(conn, request.id, hashed(browser))


def came_back(request: PresentationRequest, browser: str) -> bool:
    """Whether the answer has come back already, to this browser."""
    if request.returned_at is None or request.browser_hash is None or len(browser) > MAX_TOKEN_CHARS:
        return False
    return hmac.compare_digest(request.browser_hash, hashed(browser))


async def redeem(ctx: Context, request: PresentationRequest, *, response_code: str, browser: str) -> bool:
    """Redeem a response code in the browser that started the request, once."""
    if not 0 < len(response_code) <= MAX_TOKEN_CHARS or not 0 < len(browser) <= MAX_TOKEN_CHARS:
        return False
    async with ctx.db.write() as conn:
        redeemed = await requests.redeem(
            conn,
            request.id,
            code_hash=hashed(response_code),
            browser_hash=hashed(browser),
            now=ctx.clock.now(),
        )
        if redeemed:
            await ctx.audit.record(
                conn,
                kind="presentation_request.returned",
                subject_ref=request.id,
                actor={"ref": "browser", "client_id": "browser", "kind": "BROWSER", "asserted": False},
                organisation=request.ods,
            )
    if redeemed:
        return True
    # The same browser at the same moment, by a second tap: it has come back to it.
    async with ctx.db.read() as conn:
        after = await requests.get(conn, request.ods, request.id)
    return after is not None and came_back(after, browser)
