"""Signing what the anchor says in its own name: its entity configuration and one statement per entity.

Both are re-issued daily and on change, and live 96 hours (design.md §4.2). Re-signing takes nothing away and
needs no record before it: an older statement stays true until it ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from passport_registry.context import Context
from passport_registry.operations import anchor
from passport_registry.operations.standings import EntityView, TrustView
from passport_registry.operations.turn import Turn, always
from passport_registry.rules.entities import Role
from passport_registry.store import publications
from passport_registry.store.publications import StatedDigest, Statement
from passport_shared.formats import federation
from passport_shared.formats.freshness import STATEMENT_LIFETIME, STATEMENT_RENEWAL
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.formats.strict import canonical
from passport_shared.formats.trust_mark import KeyUse, PinState
from passport_shared.service.schedule import is_younger

FETCH_PATH = "/federation/fetch"


async def renew(ctx: Context, views: Sequence[TrustView], turn: Turn = always) -> int:
    """Sign every statement about these organisations' entities that has changed or is due; how many."""
    enrolled = [(role, entity) for view in views for role, entity in view.entities.items() if entity.enrolled]
    async with ctx.db.read() as conn:
        kept = await publications.stated(conn, [entity.entity.entity_id for _, entity in enrolled])
    key = await anchor.signing_key(ctx, anchor.FEDERATION)
    made = [
        _subordinate(ctx, role, entity, kept.get(entity.entity.entity_id), key) for role, entity in enrolled
    ]
    return await _store(ctx, [item for item in made if item is not None], turn)


async def renew_configuration(ctx: Context, turn: Turn = always) -> int:
    """Sign the anchor's own entity configuration if it has changed or is due; how many: one or none."""
    async with ctx.db.read() as conn:
        kept = await publications.stated(conn, [ctx.anchor])
    key = await anchor.signing_key(ctx, anchor.FEDERATION)
    made = await _configuration(ctx, kept.get(ctx.anchor), key)
    return await _store(ctx, [made] if made is not None else [], turn)


async def _store(ctx: Context, signed: Sequence[Statement], turn: Turn) -> int:
    if signed:
        async with ctx.db.write() as conn:
            await turn(conn)
            for statement in signed:
                await publications.store_statement(conn, statement)
    return len(signed)


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(dict(content))).hexdigest()


def _current(ctx: Context, kept: StatedDigest | None, digest: str) -> bool:
    if kept is None or kept.content_digest != digest:
        return False
    return is_younger(kept.issued_at, ctx.clock.now(), STATEMENT_RENEWAL)


async def _configuration(ctx: Context, kept: StatedDigest | None, key: SigningKey) -> Statement | None:
    """Sign the anchor's entity configuration if it is due."""
    status = (await ctx.keys.published(anchor.STATUS))[0].public
    directory = (await ctx.keys.published(anchor.CLIENT_DIRECTORY))[0].public
    published = await ctx.keys.published(anchor.FEDERATION)
    others = [stored.public for stored in published if stored.kid != key.kid]
    extra = {
        "staff_passport_vct_base": ctx.vct_base,
        "staff_passport_status_lists": f"{ctx.anchor}/statuslists",
    }
    digest = _digest(
        {
            "keys": [key.kid, *(public.thumbprint for public in others)],
            "status": status.thumbprint,
            "directory": directory.thumbprint,
            "name": ctx.settings.operator_name,
            "contact": ctx.settings.operator_contact,
            "extra": extra,
        }
    )
    if _current(ctx, kept, digest):
        return None
    now = ctx.clock.now().replace(microsecond=0)
    token = federation.anchor_configuration(
        entity_id=ctx.anchor,
        iat=now,
        exp=now + STATEMENT_LIFETIME,
        key=key,
        organization_name=ctx.settings.operator_name,
        contacts=[ctx.settings.operator_contact],
        status_key=status,
        client_directory_key=directory,
        next_keys=others,
        federation_entity=extra,
    )
    return Statement(
        sub=ctx.anchor, content_digest=digest, issued_at=now, expires_at=now + STATEMENT_LIFETIME, jwt=token
    )


def _subordinate(
    ctx: Context, role: Role, view: EntityView, kept: StatedDigest | None, key: SigningKey
) -> Statement | None:
    """Sign the statement about one entity if it is due."""
    entity = view.entity
    jwks = dict(entity.federation_jwks or {})
    metadata, policy = _metadata(role, view)
    digest = _digest({"jwks": jwks, "metadata": metadata, "policy": policy, "kid": key.kid})
    if _current(ctx, kept, digest):
        return None
    now = ctx.clock.now().replace(microsecond=0)
    token = federation.subordinate_statement(
        iss=ctx.anchor,
        sub=entity.entity_id,
        iat=now,
        exp=now + STATEMENT_LIFETIME,
        jwks=jwks,
        key=key,
        source_endpoint=f"{ctx.anchor}{FETCH_PATH}",
        metadata=metadata,
        metadata_policy=policy,
    )
    return Statement(
        sub=entity.entity_id,
        content_digest=digest,
        issued_at=now,
        expires_at=now + STATEMENT_LIFETIME,
        jwt=token,
    )


def _metadata(role: Role, view: EntityView) -> tuple[dict[str, Any], dict[str, Any]]:
    if role is Role.VERIFIER:
        return federation.verifier_metadata(view.entity.entity_id), {}
    # A compromised key vanishes from here; a retired one stays, because what it signed is still judged.
    keys = [
        PublicKey.from_jwk(item.public_jwk)
        for item in view.certificates
        if item.use == KeyUse.CREDENTIAL and item.x5t_s256 is not None and item.state != PinState.COMPROMISED
    ]
    return federation.issuer_metadata(keys), federation.issuer_policy(view.entity.entity_id)
