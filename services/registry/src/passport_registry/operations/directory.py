"""Publishing the client directory: which API clients every service of the network accepts (design.md §6)."""

from __future__ import annotations

import hashlib

from passport_registry.context import Context
from passport_registry.operations import anchor, chain
from passport_registry.operations.clients import api_clients
from passport_registry.operations.hr_users import for_directory
from passport_registry.operations.turn import Turn, always
from passport_registry.store.publications import Kind, Publication
from passport_shared.formats import strict
from passport_shared.formats.freshness import (
    CLIENT_DIRECTORY_LIFETIME,
    SNAPSHOT_HTTP_MAX_AGE,
    SNAPSHOT_RENEWAL,
)
from passport_shared.wire import clients as wire
from passport_shared.wire.hr_users import as_claims

DIRECTORY_DOCUMENT = "client-directory"


async def publish(ctx: Context, turn: Turn = always) -> Publication | None:
    """Publish the directory if a client or HR user changed or an hour has passed; None if neither."""
    clients = await api_clients(ctx)
    hr_users, keepers = await for_directory(ctx)
    told = [_content(client) for client in clients]
    people = [as_claims(user) for user in hr_users]
    digest = hashlib.sha256(strict.canonical([told, people, list(keepers)])).hexdigest()
    if not await chain.due(ctx, Kind.CLIENT_DIRECTORY, digest, SNAPSHOT_RENEWAL):
        return None
    key = await anchor.signing_key(ctx, anchor.CLIENT_DIRECTORY)

    def sign(item: Publication, _prev: str | None) -> bytes:
        token = wire.build_directory(
            clients,
            iss=ctx.anchor,
            sequence=item.sequence,
            iat=item.issued_at,
            key=key,
            hr_users=hr_users,
            keep_hr_users=keepers,
        )
        return token.encode("ascii")

    return await chain.publish(
        ctx,
        chain.Link(
            kind=Kind.CLIENT_DIRECTORY,
            document=DIRECTORY_DOCUMENT,
            media_type=wire.DIRECTORY_MEDIA_TYPE,
            life=CLIENT_DIRECTORY_LIFETIME,
            max_age=SNAPSHOT_HTTP_MAX_AGE,
            content_digest=digest,
        ),
        sign,
        turn,
    )


def _content(client: wire.ApiClient) -> dict[str, strict.JsonValue]:
    return {
        "client_id": client.client_id,
        "kind": client.kind.value,
        "organisation": client.organisation,
        "scopes": sorted(client.scopes),
        "jwks": [dict(jwk) for jwk in client.jwks],
        "state": client.state.value,
        "name": client.name,
    }
