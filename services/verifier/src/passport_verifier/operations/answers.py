"""What a wallet posts to the response URI: decrypted, checked, judged, and recorded exactly once.

OpenID4VP 1.0 §8.3, HAIP 1.0 §5.1, in the order of cost: 1 size and shape; 2 the JWE header and its ``kid``;
3 the session; 4 decryption; 5 strict JSON and ``state``; 6 the network register's age; 7 every credential; 8
authority, status, query, one person; 9 the rules; 10 one statement that takes the request and stores the
decision. Nothing is fetched on the way. The wallet learns that its answer was processed, never what was
decided (design §4.4).
"""

from __future__ import annotations

import asyncio
import functools
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog

from passport_shared.formats import jwe, strict
from passport_shared.formats.freshness import RETRY_WINDOW, Freshness
from passport_shared.formats.ids import random_token
from passport_shared.formats.jwe import JweError
from passport_shared.formats.sd_jwt_vc import KeyBindingPolicy
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.status_list import StatusToken
from passport_shared.formats.strict import StrictError
from passport_shared.service import metric_names as m
from passport_verifier.context import Context
from passport_verifier.operations import activity, failpoints, policies, status_lists
from passport_verifier.operations.deciding import (
    HOLDER_REF,
    Basis,
    Occasion,
    decide,
    person_commitments,
)
from passport_verifier.operations.movement_progress import refresh
from passport_verifier.operations.presentation_requests import encryption_key
from passport_verifier.operations.sealing import DataKey, hashed
from passport_verifier.operations.staff_agreements import agreement_by_presenting
from passport_verifier.rules.evidence import facts_of
from passport_verifier.rules.parts import PART_OF_QUERY, part_rows, type_of
from passport_verifier.rules.policies import HostPolicy
from passport_verifier.rules.presentation import (
    Checked,
    Examined,
    PresentationRefused,
    each_card_once,
    examine,
    parse_vp_token,
    verify_each,
)
from passport_verifier.store import decisions, held, hot, requests
from passport_verifier.store.decisions import Cause, Reliance
from passport_verifier.store.register_checks import RegisterCheck
from passport_verifier.store.requests import Flow, PresentationRequest, RequestState, Session

MAX_RESPONSE_CHARS = 196_608
MAX_PLAINTEXT_BYTES = 131_072
IDENTITY_CLAIMS = ("family_name", "given_name", "birthdate")
IN_ONE_GO = 3
"""Up to so many credentials are verified on the event loop; more in one call to a thread."""

WALLET = {"ref": "wallet", "client_id": "wallet", "kind": "WALLET", "asserted": False}
"""The actor of what a staff member's wallet does."""

WALLET_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_scope",
        "invalid_client",
        "access_denied",
        "unauthorized_client",
        "unsupported_response_type",
        "server_error",
        "temporarily_unavailable",
        "vp_formats_not_supported",
        "invalid_request_uri_method",
        "invalid_transaction_data",
        "wallet_unavailable",
    }
)
"""OpenID4VP 1.0 §8.5 and, since it builds on that, RFC 6749 §4.1.2.1."""

# What random_token makes; anything else is nobody's, and need not be stored anywhere to be looked for.
_OUR_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = structlog.get_logger(__name__)


class AnswerRefusal(StrEnum):
    """Why an answer is refused before its credentials are looked at."""

    RESPONSE_MALFORMED = "response_malformed"
    UNKNOWN_SESSION = "unknown_session"
    REQUEST_CLOSED = "request_closed"
    DECRYPTION_FAILED = "decryption_failed"
    PAYLOAD_MALFORMED = "payload_malformed"
    WRONG_STATE = "wrong_state"
    ANSWERED_ALREADY = "answered_already"


class AnswerRefused(Exception):
    """400 ``invalid_request`` to the wallet. ``reason`` is for the host and the log, not for the wallet."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HeldForRetry(Exception):
    """503: the network register's copy is too old; the answer is kept, encrypted, for ten minutes."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """An answer was processed; where the wallet sends the browser, for a request on the same device."""

    redirect_uri: str | None


async def receive(ctx: Context, ods: str, response: str) -> Received:
    """Process a posted ``response``, a JWE.

    Raises:
        AnswerRefused: anything is wrong with it; nothing of it is kept.
        HeldForRetry: it cannot be judged now.
    """
    received_at = ctx.clock.now()
    if len(response) > MAX_RESPONSE_CHARS:  # 1
        raise AnswerRefused(AnswerRefusal.RESPONSE_MALFORMED)
    session = await _session(ctx, ods, response)  # 2, 3
    if not session.request.open_at(received_at):
        raise AnswerRefused(AnswerRefusal.REQUEST_CLOSED)
    return await _process(ctx, session, response, received_at)


async def _session(ctx: Context, ods: str, response: str) -> Session:
    try:
        kid = jwe.peek_header(response, max_bytes=MAX_RESPONSE_CHARS).get("kid")
    except JweError as error:
        raise AnswerRefused(error.reason) from None
    if not isinstance(kid, str) or _OUR_KID.fullmatch(kid) is None:
        raise AnswerRefused(AnswerRefusal.UNKNOWN_SESSION)
    async with ctx.db.read() as conn:
        session = await requests.session_by_kid(conn, ods, kid)
    if session is None:
        raise AnswerRefused(AnswerRefusal.UNKNOWN_SESSION)
    return session


async def _process(ctx: Context, session: Session, response: str, received_at: datetime) -> Received:
    try:
        payload = _opened(ctx, session.request, response)  # 4, 5
        if "vp_token" not in payload:
            return await _declined(ctx, session.request, payload["error"], received_at)
        vp_token = payload["vp_token"]
        snapshot = await ctx.snapshots.latest()  # 6
        if snapshot is None or snapshot.freshness(ctx.clock.now()) is Freshness.REFUSE:
            await _hold(ctx, session.request, response, received_at)
            raise HeldForRetry
        examined, lists = await _examined(ctx, session.request, vp_token, snapshot, received_at)  # 7, 8
    except AnswerRefused as refused:
        await _refused(ctx, session.request, refused.reason, received_at)
        raise
    except PresentationRefused as refused:
        await _refused(ctx, session.request, refused.reason, received_at, check=refused.check)
        raise AnswerRefused(refused.reason) from None
    return await _record(ctx, session, examined, lists, snapshot, received_at)  # 9, 10


def _opened(ctx: Context, request: PresentationRequest, response: str) -> dict[str, Any]:
    """The decrypted payload with this request's ``state`` and a ``vp_token``, or else an ``error``."""
    try:
        key = encryption_key(ctx, request)
    except LookupError:
        raise AnswerRefused(AnswerRefusal.REQUEST_CLOSED) from None
    try:
        plaintext = jwe.decrypt(response, key, max_bytes=MAX_RESPONSE_CHARS).plaintext
    except JweError as error:
        raise AnswerRefused(error.reason) from None
    try:
        payload = strict.loads_object(plaintext, max_bytes=MAX_PLAINTEXT_BYTES)
    except StrictError:
        raise AnswerRefused(AnswerRefusal.PAYLOAD_MALFORMED) from None
    state = payload.get("state")
    if not isinstance(state, str) or not hmac.compare_digest(state.encode(), request.oauth_state.encode()):
        raise AnswerRefused(AnswerRefusal.WRONG_STATE)
    if ("vp_token" in payload) == ("error" in payload):
        raise AnswerRefused(AnswerRefusal.PAYLOAD_MALFORMED)
    return payload


async def _examined(
    ctx: Context, request: PresentationRequest, vp_token: object, snapshot: Snapshot, received_at: datetime
) -> tuple[tuple[Examined, ...], Mapping[str, StatusToken | None]]:
    """The answer judged as at now; only its key bindings are judged as at when it came."""
    now = ctx.clock.now()
    presentations = parse_vp_token(vp_token)
    checked = await _verified(request, presentations, snapshot, now, received_at)
    uris = [one.verified.status.uri for one in checked]
    lists = await ctx.statuses.get_many(uris, snapshot.roots)
    examined = examine(
        checked,
        query=request.dcql_query,
        snapshot=snapshot,
        lists=lists,
        now=now,
        verifier=ctx.tenants.entity_id(request.ods),
    )
    return examined, lists


async def _verified(
    request: PresentationRequest,
    presentations: Mapping[str, str],
    snapshot: Snapshot,
    now: datetime,
    received_at: datetime,
) -> tuple[Checked, ...]:
    work = functools.partial(
        verify_each,
        presentations,
        vcts=_vcts(request.dcql_query),
        roots=snapshot.roots,
        at=now,
        binding=KeyBindingPolicy(aud=request.client_id, nonce=request.nonce, now=received_at),
    )
    return work() if len(presentations) <= IN_ONE_GO else await asyncio.to_thread(work)


def _vcts(query: Mapping[str, Any]) -> dict[str, str]:
    """The one exact type of each credential query, by the part of the policy it asks for."""
    return {PART_OF_QUERY[entry["id"]]: entry["meta"]["vct_values"][0] for entry in query["credentials"]}


async def _record(
    ctx: Context,
    session: Session,
    examined: Sequence[Examined],
    lists: Mapping[str, StatusToken | None],
    snapshot: Snapshot,
    received_at: datetime,
) -> Received:
    request = session.request
    decided_at = ctx.clock.now()
    policy = await policies.pinned(ctx, request.policy_version)
    basis = _basis(ctx, session, examined, lists, snapshot, policy, decided_at)
    whole = decide(
        basis,
        policy,
        Occasion(cause=Cause.PRESENTATION, received_at=received_at, decided_at=decided_at),
    )
    code = random_token() if request.flow is Flow.SAME_DEVICE else None
    await _keep_chains(ctx, examined, decided_at)
    failpoints.hit(failpoints.AFTER_CHAINS_KEPT)
    taken = await hot.record_answer(
        ctx.db,
        whole,
        audit_entry=ctx.audit.values(
            kind="decision.recorded",
            subject_ref=whole.decision.id,
            actor=WALLET,
            organisation=request.ods,
            details={"request": request.id, "policy": whole.decision.policy_version},
        ),
        response_code_hash=hashed(code) if code else None,
        now=received_at,
        approval=agreement_by_presenting(request, received_at),
    )
    if not taken:
        raise AnswerRefused(AnswerRefusal.ANSWERED_ALREADY)
    failpoints.hit(failpoints.AFTER_DECIDED)
    if request.movement_id is not None:
        async with ctx.db.write() as conn:
            await refresh(ctx, conn, request.movement_id, actor=WALLET)
    failpoints.hit(failpoints.AFTER_FOLLOWED)
    ctx.counts.add(m.PRESENTATIONS_VERIFIED, str(whole.decision.verified).lower())
    ctx.counts.add(m.DECISIONS, whole.decision.outcome)
    log.info(
        "decision.recorded",
        decision=whole.decision.id,
        request=request.id,
        organisation=request.ods,
        verified=whole.decision.verified,
    )
    if whole.decision.awaits_status:
        await status_lists.want(
            ctx,
            {
                one.verified.status.uri: one.verified.iss
                for one in examined
                if one.standing.status.reason is not None
            },
        )
    entity_id = ctx.tenants.entity_id(request.ods)
    redirect = f"{entity_id}/r/{request.link}/return?response_code={code}" if code else None
    return Received(redirect_uri=redirect)


def _basis(
    ctx: Context,
    session: Session,
    examined: Sequence[Examined],
    lists: Mapping[str, StatusToken | None],
    snapshot: Snapshot,
    policy: HostPolicy,
    now: datetime,
) -> Basis:
    request = session.request
    key = DataKey.unwrap(ctx.kek, session.data_key, request.case_id)
    person = next(one for one in examined if one.credential == "StaffIdentity")
    relied_on = each_card_once(examined)
    return Basis(
        request=request,
        key=key,
        facts=_facts(examined, policy, key),
        person=person_commitments(key, person.verified.claims),
        holder_ref=_holder_ref(request, person),
        standings={one.credential: one.standing for one in relied_on},
        reliances=[reliance_of(one) for one in relied_on],
        look_ups=[RegisterCheck(**row) for row in session.look_ups],
        registry_sequence=snapshot.sequence,
        registry_age_s=int(snapshot.age(now).total_seconds()),
        status_times={
            uri: token.iat.isoformat().replace("+00:00", "Z") for uri, token in lists.items() if token
        },
        released_until=session.released_until,
        identity=_identity(person) if request.movement_id is not None else None,
    )


def _identity(person: Examined) -> dict[str, str] | None:
    """Names and birthdate, if all of them were shared: what a placement's record needs."""
    found = {name: person.verified.claims.get(name) for name in IDENTITY_CLAIMS}
    whole = {name: value for name, value in found.items() if isinstance(value, str)}
    return whole if len(whole) == len(found) else None


def _facts(examined: Sequence[Examined], policy: HostPolicy, key: DataKey) -> dict[str, dict[str, Any]]:
    """The facts by credential type; of each card only what the part it answers asks for."""
    facts: dict[str, dict[str, Any]] = {}
    for one in examined:
        credential, rows = type_of(one.credential), part_rows(policy, one.credential)
        found = facts_of(credential, one.verified.claims, policy, key.commit, rows=rows)
        facts.setdefault(credential, {}).update(found)
    return facts


def _holder_ref(request: PresentationRequest, person: Examined) -> str | None:
    """The passport's reference for a movement, where it is a passport of the trust the movement is from."""
    if request.movement_id is None or person.issuer_ods != request.employing_ods:
        return None
    value = person.verified.claims.get(HOLDER_REF)
    return value if isinstance(value, str) else None


def reliance_of(one: Examined) -> Reliance:
    """What is kept of a credential: where it came from and how to ask about it again."""
    verified = one.verified
    return Reliance(
        credential=one.credential,
        vct=verified.vct,
        issuer=verified.iss,
        issuer_ods=one.issuer_ods,
        x5t_s256=verified.leaf.thumbprint,
        status_uri=verified.status.uri,
        status_idx=verified.status.idx,
        iat=verified.iat,
        exp=verified.exp,
        issuer_jwt_sha256=verified.issuer_jwt_sha256,
        holder_thumbprint=verified.holder_thumbprint,
        trust_finding=one.authority.finding,
        status_finding=one.status,
        verdict=one.verdict.as_dict(),
    )


async def _keep_chains(ctx: Context, examined: Sequence[Examined], now: datetime) -> None:
    """Keep certificate chains that were not seen before: once per issuer's certificate, not per answer."""
    new = {
        one.verified.leaf.thumbprint: one.verified.x5c
        for one in examined
        if one.verified.leaf.thumbprint not in ctx.known_chains
    }
    if not new:
        return
    async with ctx.db.write() as conn:
        for thumbprint, x5c in new.items():
            await decisions.keep_chain(conn, thumbprint, x5c, now)
    ctx.known_chains.update(new)


async def _hold(ctx: Context, request: PresentationRequest, response: str, now: datetime) -> None:
    async with ctx.db.write() as conn:
        await held.keep(
            conn,
            request_id=request.id,
            token=response,
            received_at=now,
            expires_at=now + RETRY_WINDOW,
        )


async def _refused(
    ctx: Context, request: PresentationRequest, reason: str, now: datetime, *, check: str | None = None
) -> None:
    ctx.counts.add(m.PRESENTATIONS_REFUSED, reason)
    log.info("presentation.refused", request=request.id, organisation=request.ods, reason=reason, check=check)
    async with ctx.db.write() as conn:
        refused = await requests.refuse(conn, request.id, reason, now)
        if refused.counted:
            await activity.emit_refused(ctx, conn, request, reason, now)
        if refused.closed:
            await ctx.audit.record(
                conn,
                kind="presentation_request.refused",
                subject_ref=request.id,
                actor=WALLET,
                organisation=request.ods,
                details={"reason": reason},
            )


async def decline(ctx: Context, ods: str, *, oauth_state: str, error: str) -> Received:
    """The wallet answers with an error in the clear, as OpenID4VP 1.0 §8.3.1 allows: the request is closed.

    Raises:
        AnswerRefused: there is no open request with this state, or the error is none of the specification's.
    """
    now = ctx.clock.now()
    async with ctx.db.read() as conn:
        request = await requests.by_oauth_state(conn, ods, oauth_state)
    if request is None or not request.open_at(now):
        raise AnswerRefused(AnswerRefusal.UNKNOWN_SESSION)
    return await _declined(ctx, request, error, now)


async def _declined(ctx: Context, request: PresentationRequest, error: object, now: datetime) -> Received:
    """Close a request with the wallet's error (OpenID4VP 1.0 §8.5)."""
    if not isinstance(error, str) or error not in WALLET_ERRORS:
        raise AnswerRefused(AnswerRefusal.RESPONSE_MALFORMED)
    async with ctx.db.write() as conn:
        if not await requests.close(conn, request.id, RequestState.DECLINED, reason=error, now=now):
            raise AnswerRefused(AnswerRefusal.REQUEST_CLOSED)
        await ctx.audit.record(
            conn,
            kind="presentation_request.declined",
            subject_ref=request.id,
            actor=WALLET,
            organisation=request.ods,
            details={"error": error},
        )
    page = f"{ctx.tenants.entity_id(request.ods)}/r/{request.link}"
    return Received(redirect_uri=page if request.flow is Flow.SAME_DEVICE else None)


async def retry_held(ctx: Context) -> int:
    """Judge what was held while the register's copy was too old; how many were judged."""
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        await held.forget_expired(conn, now)
    snapshot = await ctx.snapshots.latest()
    if snapshot is None or snapshot.freshness(now) is Freshness.REFUSE:
        return 0
    async with ctx.db.read() as conn:
        waiting = await held.waiting(conn, now)
    done = 0
    for one in waiting:
        async with ctx.db.read() as conn:
            session = await requests.session_by_id(conn, one.ods, one.request_id)
        try:
            if session is not None:
                await _process(ctx, session, one.token, one.received_at)
        except AnswerRefused as refused:
            log.info("held_presentation.refused", request=one.request_id, reason=refused.reason)
        except HeldForRetry:
            continue
        except Exception as fault:
            # One that cannot be judged holds up nobody else's, and is forgotten when its time is over.
            log.exception("held_presentation.failed", request=one.request_id, reason=type(fault).__name__)
            continue
        failpoints.hit(failpoints.AFTER_HELD_JUDGED)
        async with ctx.db.write() as conn:
            await held.forget(conn, one.request_id)
        done += 1
    return done
