"""Answers of the federation endpoints, from what has been signed and from the rows of the marks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from passport_registry.context import Context
from passport_registry.operations import anchor
from passport_registry.rules.entities import Role
from passport_registry.store import entities, marks, publications
from passport_registry.store.marks import Mark
from passport_registry.store.publications import Statement
from passport_shared.formats import jose
from passport_shared.formats.federation import (
    TRUST_MARK_TYP,
    TrustMarkStatus,
    trust_mark_status_response,
)
from passport_shared.formats.jose import JoseError, ParsedJws
from passport_shared.formats.status_list import SUSPENDED, VALID
from passport_shared.service.oauth_errors import ProtocolError

MAX_MARK_BYTES = 65_536


async def statement(ctx: Context, sub: str) -> Statement | None:
    """Return the current statement about a subject, or None; one that has ended is not served."""
    async with ctx.db.read() as conn:
        found = await publications.statement(conn, sub)
    return found if found is not None and found.expires_at > ctx.clock.now() else None


async def subordinates(ctx: Context, roles: Collection[Role]) -> Sequence[str]:
    """Return the EIDs of the entities with these roles about which the anchor states something."""
    async with ctx.db.read() as conn:
        return await entities.stated(conn, [role.value for role in roles])


async def current_mark(ctx: Context, sub: str, kind: str) -> Mark | None:
    """Return the subject's current mark if it is of this type."""
    async with ctx.db.read() as conn:
        mark = await marks.current(conn, sub)
    return mark if mark is not None and mark.trust_mark_type == kind else None


async def mark_status(ctx: Context, token: str) -> str:
    """Return the signed standing of a mark: the row that the status list is made from.

    Raises:
        ProtocolError: `invalid_request` for what is no trust mark, `not_found` for one of somebody else.
    """
    try:
        parsed = jose.parse(token, max_bytes=MAX_MARK_BYTES)
    except JoseError as error:
        raise ProtocolError("invalid_request", "trust_mark is no compact JWS") from error
    jti, kid = parsed.claims.get("jti"), parsed.header.get("kid")
    if parsed.header.get("typ") != TRUST_MARK_TYP or not isinstance(jti, str) or not isinstance(kid, str):
        raise ProtocolError("invalid_request", "trust_mark is no trust mark of this profile")
    async with ctx.db.read() as conn:
        mark = await marks.by_jti(conn, jti) if len(jti) <= 64 and "\x00" not in jti else None
    if mark is None or mark.jwt is None:
        raise ProtocolError("not_found", "this anchor has issued no such trust mark", 404)
    return trust_mark_status_response(
        iss=ctx.anchor,
        trust_mark=token,
        status=await _standing(ctx, parsed, kid, mark),
        iat=ctx.clock.now(),
        key=await anchor.signing_key(ctx, anchor.FEDERATION),
    )


async def _standing(ctx: Context, parsed: ParsedJws, kid: str, mark: Mark) -> TrustMarkStatus:
    """Judge the posted mark: ours and unchanged, then revoked before expired before suspended."""
    published = {stored.kid: stored.public for stored in await ctx.keys.published(anchor.FEDERATION)}
    key = published.get(kid)
    try:
        if key is None:
            return TrustMarkStatus.INVALID
        jose.verify(parsed, key, typ=TRUST_MARK_TYP)
    except JoseError:
        return TrustMarkStatus.INVALID
    if mark.status == SUSPENDED:
        return TrustMarkStatus.SUSPENDED
    if mark.status != VALID:
        return TrustMarkStatus.REVOKED
    return TrustMarkStatus.EXPIRED if mark.expires_at <= ctx.clock.now() else TrustMarkStatus.ACTIVE
