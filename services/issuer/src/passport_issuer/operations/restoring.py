"""What the issuer does once after its database was restored to an older moment, before it serves (ADR-0031).

Credentials were issued and revoked in the lost time that no row here tells of. Two rules keep the promise
that every signature can be revoked and that no revocation is taken back:

* no index of an older list is given again, and every index that no row accounts for counts as ended: whoever
  collected in the lost time collects again;
* what the last published lists said of indices that rows do account for is put into effect again. Those lists
  come from whoever kept them: a host's verifier (``passport-verifier status-list``), a proxy's cache.

Run with the service stopped. It may be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select

from passport_issuer.context import Context
from passport_issuer.operations.status_lists import list_uri, publish
from passport_issuer.rules.passports import CredentialState, PassportState, ReasonCode
from passport_issuer.store import credentials, passports
from passport_issuer.store import status_lists as lists
from passport_issuer.store import tables as t
from passport_issuer.store.status_lists import StatusListRow
from passport_shared.formats.clock import from_epoch_s
from passport_shared.formats.status_list import SUSPENDED, VALID, StatusListError, StatusToken, read_token
from passport_shared.formats.strict import StrictError, b64url_decode, numeric_date
from passport_shared.formats.trust_file import TrustFile
from passport_shared.service.backup import RESTORER, leave_the_past
from passport_shared.service.doctor import ServiceTables
from passport_shared.service.tenancy import TenantState

LIVE = (CredentialState.ISSUED.value, CredentialState.ACTIVE.value, CredentialState.PREPARED.value)
MAX_TOKEN_BYTES = 1_048_576


class ListUnusable(Exception):
    """A file that was given is no published list of this issuer; the message says why."""


class ListsMissing(Exception):
    """Some published lists were not given: their addresses, for the operator to ask hosts for."""

    def __init__(self, uris: Sequence[str]) -> None:
        super().__init__(", ".join(uris))
        self.uris = tuple(uris)


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What was done: lists that are closed, credentials revoked again, passports put on hold again."""

    closed: int
    revoked: tuple[str, ...]
    held: tuple[str, ...]


async def restored(
    ctx: Context,
    tables: ServiceTables,
    trust_file: TrustFile,
    tokens: Sequence[str],
    *,
    without: bool = False,
) -> Restored:
    """Bring a restored database into a state that may be served.

    Args:
        ctx: the issuer, opened while it does not run.
        tables: its shared tables.
        trust_file: whose roots the lists' certificates lead to.
        tokens: the last published status list tokens, as far as somebody kept them.
        without: go on although some are missing: revocations of the lost time have to be made again by hand.

    Raises:
        ListUnusable: a token is none of this issuer's.
        ListsMissing: a list of this database is not among the tokens.
    """
    async with ctx.db.read() as conn:
        rows = [row for tenant in await ctx.tenants.every() for row in await lists.lists_of(conn, tenant.ods)]
    uris = {await _uri(ctx, row): row for row in rows}
    said = {token.uri: token for token in (_read(text, uris, trust_file) for text in tokens)}
    missing = sorted(uri for uri, row in uris.items() if row.published_at is not None and uri not in said)
    if missing and not without:
        raise ListsMissing(missing)
    revoked, held = await _apply(ctx, uris, said)
    async with ctx.db.write() as conn:
        closed = await lists.close_all(conn)
        # Wallets ask for new tokens; what these allowed may have been used up in the lost time.
        await conn.execute(delete(t.access_tokens_table))
        await conn.execute(delete(t.holder_tables.holders.sessions))
        await leave_the_past(conn, tables, ctx.audit)
    for row in rows:
        tenant = await ctx.tenants.get(row.ods)
        if tenant is not None and tenant.state is TenantState.ACTIVE:
            await publish(ctx, tenant, row)
    return Restored(closed=closed, revoked=tuple(revoked), held=tuple(held))


async def _uri(ctx: Context, row: StatusListRow) -> str:
    tenant = await ctx.tenants.get(row.ods)
    assert tenant is not None  # noqa: S101 - the list names its tenant
    return list_uri(tenant, row.id)


def _read(text: str, uris: Mapping[str, StatusListRow], trust_file: TrustFile) -> StatusToken:
    """Verify a token as at the moment it was signed: one that has ended still says who was revoked."""
    try:
        claims = json.loads(b64url_decode(text.strip().split(".")[1], max_bytes=MAX_TOKEN_BYTES))
        uri, signed_at = str(claims["sub"]), from_epoch_s(numeric_date(claims["iat"]))
        token = read_token(
            text.strip(), uri=uri, roots=trust_file.roots, now=signed_at + timedelta(seconds=1)
        )
    except (StatusListError, StrictError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ListUnusable(f"this is no status list of the network ({type(error).__name__})") from None
    if uri not in uris or token.leaf is None or token.leaf.san_uri != uri.rsplit("/statuslists/", 1)[0]:
        raise ListUnusable(f"{uri} is no list of this database, or was not signed by its trust")
    return token


async def _apply(
    ctx: Context, uris: Mapping[str, StatusListRow], said: Mapping[str, StatusToken]
) -> tuple[list[str], list[str]]:
    """Revoke and hold again what the published lists say and the rows do not."""
    revoked: list[str] = []
    held: list[str] = []
    table, now = t.credentials, ctx.clock.now()
    for uri, token in said.items():
        live = select(table).where(table.c.status_list_id == uris[uri].id, table.c.state.in_(LIVE))
        async with ctx.db.read() as conn:
            rows = (await conn.execute(live)).all()
        for row in rows:
            value = token.list.get(row.status_idx)
            if value == VALID:
                continue
            async with ctx.db.write() as conn:
                if value == SUSPENDED:
                    changed = await passports.change_state(
                        conn,
                        row.passport_id,
                        come_from=(PassportState.ACTIVE, PassportState.INVITED),
                        to=PassportState.ON_HOLD,
                        reason=ReasonCode.EMPLOYMENT_ON_HOLD,
                    )
                    if changed:
                        held.append(row.passport_id)
                        await credentials.touch_passport(conn, row.passport_id)
                elif await credentials.revoke(conn, [row.id], None, now):
                    revoked.append(row.id)
                    changed = True
                else:
                    changed = False
                if changed:
                    await ctx.audit.record(
                        conn,
                        kind="passport.held" if value == SUSPENDED else "credential.revoked",
                        subject_ref=row.passport_id,
                        actor=RESTORER,
                        organisation=row.ods,
                        details={"credential": row.id, "published": value},
                    )
    return revoked, held
