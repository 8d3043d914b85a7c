"""What a person does and sees in a session of their staff app at a host they have shared with (design §6).

A credential whose key something was shared with opens a session for that key. It must be genuine, of an
issuer this host relies on, and still stand; one on hold may look: only the employing trust knows why. Moves,
agreement and withdrawal, and the sharing history are the person's own; what was decided is not told here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from passport_shared.formats import trust
from passport_shared.formats.credential_rejected import CredentialRejected
from passport_shared.formats.freshness import Freshness
from passport_shared.formats.key_binding import KeyBindingPolicy
from passport_shared.formats.sd_jwt_vc import VerifiedCredential, verify_credential
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID, StatusListError
from passport_shared.service.holder_sessions import HolderSession, OpenedSession, Presented, refused
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.problems import PassportError
from passport_shared.service.tenancy import Tenant
from passport_verifier.context import Context
from passport_verifier.errors import Conflict, NotFound
from passport_verifier.operations import staff_agreements
from passport_verifier.operations.staff_agreements import Said
from passport_verifier.rules.movement_state import Answer
from passport_verifier.rules.movement_types import ApprovalKind, ApprovalMethod
from passport_verifier.rules.outcome import Result
from passport_verifier.rules.trust_findings import TRUST
from passport_verifier.store import approvals
from passport_verifier.store import holder as store
from passport_verifier.store.approvals import Approval
from passport_verifier.store.holder import Sharing
from passport_verifier.store.movements import Movement

HOLDER = {"ref": "holder", "client_id": "", "kind": "HOLDER", "asserted": False}
"""The actor of what a person does in their app."""
RETRY = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True)
class OwnMove:
    """A move, and what its person said to its terms last."""

    movement: Movement
    said: Approval | None


async def open_session(
    ctx: Context, tenant: Tenant, presentation: str, presented: Presented
) -> OpenedSession:
    """A session for the key of the credential that was presented.

    Raises:
        ProtocolError: ``invalid_grant``: not genuine, of an issuer that is not relied on, no longer valid, or
            nothing was shared with this key; ``temporarily_unavailable``: that cannot be said now.
    """
    snapshot = await _snapshot(ctx)
    policy = KeyBindingPolicy(aud=tenant.entity_id, nonce=presented.challenge, now=ctx.clock.now())
    try:
        credential = verify_credential(
            presentation, roots=snapshot.roots, at=ctx.clock.now(), key_binding=policy
        )
    except CredentialRejected as error:
        raise refused(f"the credential is refused ({error.reason.value})") from None
    async with ctx.db.read() as conn:
        known = await store.is_known(conn, tenant.ods, presented.holder.thumbprint)
    if not known:
        raise refused("nothing was shared with this trust under this key")
    _check_issuer(ctx, tenant, snapshot, credential)
    await _check_status(ctx, snapshot, credential)
    return await ctx.holders.open(tenant.ods, presented, presented.holder.thumbprint)


async def _snapshot(ctx: Context) -> Snapshot:
    snapshot = await ctx.snapshots.latest()
    if snapshot is None or snapshot.freshness(ctx.clock.now()) is Freshness.REFUSE:
        raise _later("the network register has not been read recently enough")
    return snapshot


def _check_issuer(ctx: Context, tenant: Tenant, snapshot: Snapshot, credential: VerifiedCredential) -> None:
    """Refuse what counts for nothing in a decision: what was shared is kept, whoever signed it."""
    now = ctx.clock.now()
    found = trust.authority(
        snapshot,
        credential.leaf,
        iss=credential.iss,
        use="credential",
        action="issue",
        vct=credential.vct,
        iat=credential.iat,
        at=now,
        exp=credential.exp,
        sandbox=trust.of_sandbox(snapshot, tenant.entity_id, now=now),
    )
    if TRUST[found.finding].result is Result.FAIL or found.mark is None:
        raise refused(f"the credential's issuer is not relied on ({found.detail.value})")
    if not trust.status_uri_allowed(found.mark, credential.status.uri):
        raise refused("the credential names a status list that is not its issuer's")


async def _check_status(ctx: Context, snapshot: Snapshot, credential: VerifiedCredential) -> None:
    """Refuse what is no longer valid; on hold may look, and what nobody can say opens nothing."""
    token = await ctx.statuses.get(credential.status.uri, snapshot.roots)
    if token is None or token.exp is None or ctx.clock.now() >= token.exp:
        raise _later("the status of the credential is not known now")
    try:
        value = token.list.get(credential.status.idx)
    except (StatusListError, IndexError):
        value = INVALID
    # A value we do not know counts as no longer valid, as in every decision.
    if value not in {VALID, SUSPENDED}:
        raise refused("the credential is no longer valid")


async def own_moves(ctx: Context, session: HolderSession) -> list[OwnMove]:
    """The person's moves at this host, newest first."""
    async with ctx.db.read() as conn:
        found = await store.moves(conn, session.ods, session.subject)
        said = await approvals.newest_of_many(conn, [movement.id for movement in found])
    return [
        OwnMove(movement=movement, said=said.get(movement.id, {}).get(ApprovalKind.STAFF))
        for movement in found
    ]


async def own_move(ctx: Context, session: HolderSession, movement_id: str) -> OwnMove:
    """One of them.

    Raises:
        ProtocolError: ``not_found``: there is none, or it is another person's.
    """
    async with ctx.db.read() as conn:
        movement = await store.move(conn, session.ods, session.subject, movement_id)
        if movement is None:
            raise ProtocolError("not_found", "there is nothing under this address for you", status=404)
        said = (await approvals.newest_of(conn, movement_id)).get(ApprovalKind.STAFF)
    return OwnMove(movement=movement, said=said)


async def answer(
    ctx: Context,
    session: HolderSession,
    movement_id: str,
    given: Answer,
    *,
    terms_version: int | None,
    cover_opt_in: bool | None,
) -> OwnMove:
    """Agree, decline or take an agreement back; nobody is told why, and saying it again changes nothing.

    Raises:
        ProtocolError: ``not_found``; ``conflict``: over, not agreed, or the terms are others by now.
    """
    own = await own_move(ctx, session, movement_id)
    if own.said is not None and own.said.decision is given and cover_opt_in is None:
        of_these = own.said.terms_version == own.movement.terms_version
        if of_these and terms_version in {None, own.said.terms_version}:
            return own
    said = Said(method=ApprovalMethod.HOLDER_SESSION, terms_version=terms_version, cover_opt_in=cover_opt_in)
    act = {
        Answer.AGREED: staff_agreements.agree,
        Answer.DECLINED: staff_agreements.decline,
        Answer.WITHDRAWN: staff_agreements.withdraw,
    }[given]
    try:
        await act(ctx, session.ods, movement_id, said, HOLDER)
    except NotFound:
        raise ProtocolError("not_found", "there is nothing under this address for you", status=404) from None
    except Conflict as error:
        raise _conflict(error) from None
    return await own_move(ctx, session, movement_id)


async def sharing(ctx: Context, session: HolderSession) -> list[Sharing]:
    """What the person shared with this host, newest first."""
    async with ctx.db.read() as conn:
        return await store.shared(conn, session.ods, session.subject)


def _conflict(error: PassportError) -> ProtocolError:
    return ProtocolError("conflict", error.detail, status=409)


def _later(description: str) -> ProtocolError:
    return ProtocolError(
        "temporarily_unavailable",
        description,
        status=503,
        headers={"Retry-After": str(int(RETRY.total_seconds()))},
    )
