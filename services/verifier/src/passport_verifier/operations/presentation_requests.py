"""Asking: a presentation request made from a policy, and the signed request object a wallet fetches.

OpenID4VP 1.0 §5, HAIP 1.0 §5.1. Every request has its own nonce, state, encryption key and links; the request
object is signed at each fetch, so a wallet may fetch it again while the request is open, and it always says
the same. What may be asked is decided by the trust's own mark in the network register.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.ext.asyncio import AsyncConnection

from passport_shared.formats import jose, trust
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.jose import SigningKey
from passport_shared.service.auth import Actor
from passport_shared.service.idempotency import Claim
from passport_shared.service.paging import PageQuery
from passport_shared.service.tenancy import Tenant, TenantCertificate
from passport_shared.wire import catalogue
from passport_verifier.context import Context
from passport_verifier.errors import (
    AskingTooMuch,
    Conflict,
    NotEnrolled,
    NotFound,
    RegisterTooOld,
    TooManyRequests,
    UnknownPolicy,
    one_field,
)
from passport_verifier.operations import failpoints, gates, policies
from passport_verifier.operations.sealing import DataKey
from passport_verifier.rules.asking import Asked, asked, dcql_query
from passport_verifier.rules.gates import Step
from passport_verifier.rules.movement_state import OVER, MovementState
from passport_verifier.rules.policies import HostPolicy
from passport_verifier.rules.policies import policies as defaults
from passport_verifier.rules.purpose_words import duties_summary, for_move
from passport_verifier.rules.readiness import london_day
from passport_verifier.store import movements, requests
from passport_verifier.store.requests import Flow, PresentationRequest, RequestState

REQUEST_USE = "request"
REQUEST_OBJECT_TYP = "oauth-authz-req+jwt"
REQUEST_OBJECT_MEDIA_TYPE = "application/oauth-authz-req+jwt"
STATIC_DISCOVERY_AUDIENCE = "https://self-issued.me/v2"
ENCRYPTION_ALGS = ("A128GCM", "A256GCM")
PURPOSE_FORMAT = "staff_passport_purpose"
SCHEME = "openid4vp://"


@dataclass(frozen=True, kw_only=True)
class NewRequest:
    """What a host's system asks for: a movement, or a policy with its own days (a standalone request)."""

    movement_id: str | None
    policy: str | None
    employing_ods: str | None
    start: date | None
    end: date | None
    flow: Flow
    channel: str


@dataclass(frozen=True, kw_only=True)
class Links:
    """Where a request is: for wallets (``request_uri``, ``deep_link``) and for people (``page``)."""

    request_uri: str
    deep_link: str
    page: str


def links(ctx: Context, request: PresentationRequest) -> Links:
    """The links of a request."""
    entity_id = ctx.tenants.entity_id(request.ods)
    request_uri = f"{entity_id}/oid4vp/requests/{request.link}"
    query = urlencode({"client_id": request.client_id, "request_uri": request_uri})
    return Links(request_uri=request_uri, deep_link=f"{SCHEME}?{query}", page=f"{entity_id}/r/{request.link}")


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What a request is about: its case, days and policy."""

    case_id: str
    movement_id: str | None
    policy: HostPolicy
    employing_ods: str | None
    first_day: date
    last_day: date
    duties: str | None = None
    terms_version: int | None = None


async def create(ctx: Context, ods: str, new: NewRequest, actor: Actor, claim: Claim) -> str:
    """Make a request; its id.

    Raises:
        NotFound, UnknownPolicy, Conflict, Invalid: what it is about is unknown, over, or said twice.
        GateNotPassed: no agreement covers the movement (G-A).
        NotEnrolled: the tenant cannot sign requests.
        RegisterTooOld: there is no usable snapshot of the network register.
        AskingTooMuch: the trust's mark does not cover the policy.
        TooManyRequests: the client has too many open requests.
    """
    now = ctx.clock.now()
    request_id = new_id()
    tenant = await ctx.tenants.get(ods)
    if tenant is None:
        raise NotFound
    certificate = request_certificate(ctx, tenant)
    subject = await _subject(ctx, ods, new, request_id)
    await _check_may_ask(ctx, tenant, subject.policy)
    async with ctx.db.read() as conn:
        if await requests.count_open(conn, actor.client_id, now) >= ctx.settings.open_requests:
            raise TooManyRequests(timedelta(minutes=1), "Too many requests of this client are open.")
    key = SigningKey.generate()
    kid = random_token()
    request = PresentationRequest(
        id=request_id,
        ods=ods,
        case_id=subject.case_id,
        movement_id=subject.movement_id,
        policy_id=subject.policy.id,
        policy_version=subject.policy.version_id,
        purpose=subject.policy.movement_type,
        flow=new.flow,
        channel=new.channel,
        employing_ods=subject.employing_ods,
        first_day=subject.first_day,
        last_day=subject.last_day,
        data_key=None if subject.movement_id else DataKey.create(ctx.kek, subject.case_id),
        link=random_token(),
        kid=kid,
        oauth_state=random_token(),
        nonce=random_token(),
        client_id=f"x509_hash:{certificate.x5t_s256}",
        dcql_query=dcql_query(
            subject.policy, vct_base=ctx.trust_file.vct_base, employing_ods=subject.employing_ods
        ),
        encryption_jwk={**key.public.jwk, "kid": kid, "use": "enc", "alg": "ECDH-ES"},
        encryption_key=ctx.kek.wrap(key.to_der(), context=key_context(request_id)),
        state=RequestState.OPEN,
        attempts=0,
        last_refusal=None,
        last_refusal_at=None,
        browser_hash=None,
        response_code_hash=None,
        returned_at=None,
        created_at=now,
        created_by=actor.as_dict(),
        client=actor.client_id,
        expires_at=now + ctx.settings.request_life,
        answered_at=None,
        duties=subject.duties,
        terms_version=subject.terms_version,
    )
    async with ctx.db.write() as conn:
        if subject.movement_id is not None:
            await _hold_terms(conn, subject.movement_id, subject.terms_version)
        await requests.add(conn, request)
        await ctx.audit.record(
            conn,
            kind="presentation_request.created",
            subject_ref=request_id,
            actor=actor.as_dict(),
            organisation=ods,
            details={"policy": request.policy_version, "movement": subject.movement_id or "none"},
        )
        await claim.complete(conn, request_id)
    failpoints.hit(failpoints.AFTER_ASKED)
    return request_id


async def _hold_terms(conn: AsyncConnection, movement_id: str, terms_version: int | None) -> None:
    """Hold a movement whose days and duties are still those that are asked about; another version may be."""
    held = await movements.held(conn, movement_id)
    if held is None or held.terms_version != terms_version or held.state in OVER:
        raise Conflict("The movement has changed meanwhile: read it, and ask again.")


async def _subject(ctx: Context, ods: str, new: NewRequest, request_id: str) -> _Subject:
    if new.movement_id is not None:
        async with ctx.db.read() as conn:
            movement = await movements.get(conn, ods, new.movement_id)
        if movement is None:
            raise NotFound("There is no such movement of this trust.", field="/movement_id")
        if movement.state in {MovementState.CANCELLED, MovementState.DECLINED, MovementState.ENDED}:
            raise Conflict("The movement is over: nothing can be asked for it.")
        movement = await gates.check_step(ctx, movement, Step.ASK)
        policy = await policies.in_force(ctx, ods, f"{movement.type}.{movement.role_profile}")
        if policy is None:
            raise UnknownPolicy
        return _Subject(
            case_id=movement.id,
            movement_id=movement.id,
            policy=policy,
            employing_ods=movement.employing_ods,
            first_day=movement.start,
            last_day=movement.end,
            duties=duties_summary(movement.details["duties"]),
            terms_version=movement.terms_version,
        )
    policy = await policies.in_force(ctx, ods, new.policy or "")
    if policy is None:
        raise UnknownPolicy
    first_day = new.start or london_day(ctx.clock.now())
    last_day = new.end or first_day
    if last_day < first_day:
        raise one_field("/end", "before_start", "The last day lies before the first.")
    return _Subject(
        case_id=request_id,
        movement_id=None,
        policy=policy,
        employing_ods=new.employing_ods,
        first_day=first_day,
        last_day=last_day,
    )


def request_certificate(ctx: Context, tenant: Tenant) -> TenantCertificate:
    """The certificate a tenant signs requests under.

    Raises:
        NotEnrolled: none, or its signing time is over.
    """
    certificate = tenant.certificates.get(REQUEST_USE)
    if certificate is None or ctx.clock.now() >= certificate.not_after_signing:
        raise NotEnrolled
    return certificate


async def _check_may_ask(ctx: Context, tenant: Tenant, policy: HostPolicy) -> None:
    """Refuse to ask for more than the trust's own mark covers: a wallet would refuse it anyway."""
    snapshot = await ctx.snapshots.latest()
    now = ctx.clock.now()
    if snapshot is None or snapshot.freshness(now) is trust.Freshness.REFUSE:
        raise RegisterTooOld
    for entry in asked(policy):
        finding = trust.may_ask(
            snapshot,
            tenant.entity_id,
            _vct(ctx, entry),
            entry.paths,
            policy.movement_type,
            now,
        )
        if finding.finding in {trust.Finding.AUTHORISED, trust.Finding.REGISTRY_STALE}:
            continue
        label = catalogue.TYPES[entry.credential].display["en-GB"]["name"]
        beyond = ", ".join(".".join(map(str, path)) for path in finding.too_much)
        what = f" beyond the entry: {beyond}" if beyond else f" ({finding.detail.value})"
        raise AskingTooMuch(f"The network register does not let this trust ask for {label}{what}.")


def _vct(ctx: Context, entry: Asked) -> str:
    kind = catalogue.TYPES[entry.credential]
    return catalogue.vct(ctx.trust_file.vct_base, kind.name, kind.version)


async def get(ctx: Context, ods: str, request_id: str) -> PresentationRequest:
    """One request; NotFound for an unknown one or another organisation's."""
    async with ctx.db.read() as conn:
        request = await requests.get(conn, ods, request_id)
    if request is None:
        raise NotFound
    return request


async def find(
    ctx: Context, ods: str, query: PageQuery, *, movement_id: str | None
) -> tuple[list[tuple[PresentationRequest, str | None]], str | None]:
    """A page of requests, newest first, each with its newest decision's id."""
    async with ctx.db.read() as conn:
        return await requests.page(conn, ods, query, movement_id=movement_id)


async def cancel(ctx: Context, request: PresentationRequest, actor: Actor) -> PresentationRequest:
    """Withdraw a request that nobody has answered; its key goes.

    Raises:
        Conflict: it is closed already.
    """
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        if not await requests.close(conn, request.id, RequestState.CANCELLED, reason=None, now=now):
            raise Conflict("The request is closed already.")
        await ctx.audit.record(
            conn,
            kind="presentation_request.cancelled",
            subject_ref=request.id,
            actor=actor.as_dict(),
            organisation=request.ods,
        )
    return await get(ctx, request.ods, request.id)


async def open_by_link(ctx: Context, ods: str, link: str) -> PresentationRequest | None:
    """The request behind a link, while it can be answered."""
    request = await by_link(ctx, ods, link)
    return request if request is not None and request.open_at(ctx.clock.now()) else None


async def by_link(ctx: Context, ods: str, link: str) -> PresentationRequest | None:
    """The request behind a link, whatever its state."""
    async with ctx.db.read() as conn:
        return await requests.by_link(conn, ods, link)


async def request_object(
    ctx: Context, tenant: Tenant, request: PresentationRequest, *, wallet_nonce: str | None
) -> str:
    """The signed request object of an open request.

    Raises:
        NotFound: the certificate the request was made under may sign no more.
    """
    # Not the one in use now: a roll of the key must not end the requests that are open.
    certificate = tenant.certificate(request.client_id.removeprefix("x509_hash:"))
    if certificate is None or ctx.clock.now() >= certificate.not_after_signing:
        raise NotFound
    claims: dict[str, Any] = {
        "iss": request.client_id,
        "aud": STATIC_DISCOVERY_AUDIENCE,
        "iat": epoch_s(request.created_at),
        "exp": epoch_s(request.expires_at),
        "client_id": request.client_id,
        "response_type": "vp_token",
        "response_mode": "direct_post.jwt",
        "response_uri": response_uri(ctx, request.ods),
        "nonce": request.nonce,
        "state": request.oauth_state,
        "dcql_query": request.dcql_query,
        "client_metadata": client_metadata(ctx, tenant, request),
        "verifier_info": [{"format": PURPOSE_FORMAT, "data": purpose_data(tenant, request)}],
    }
    if wallet_nonce is not None:
        claims["wallet_nonce"] = wallet_nonce
    key = await ctx.keys.load(certificate.kid)
    return jose.sign(claims, key, typ=REQUEST_OBJECT_TYP, kid=False, headers={"x5c": list(certificate.x5c)})


def response_uri(ctx: Context, ods: str) -> str:
    """The one response endpoint of a tenant."""
    return f"{ctx.tenants.entity_id(ods)}/oid4vp/response"


def client_metadata(ctx: Context, tenant: Tenant, request: PresentationRequest) -> dict[str, Any]:
    """Who asks and how to answer: the per-request encryption key, formats, name, logo, privacy notice."""
    entity_id = ctx.tenants.entity_id(request.ods)
    return {
        "client_name": tenant.name,
        "client_name#cy": tenant.name,
        "logo_uri": f"{entity_id}/logo.svg",
        "policy_uri": f"{entity_id}/privacy",
        "jwks": {"keys": [dict(request.encryption_jwk)]},
        "encrypted_response_enc_values_supported": list(ENCRYPTION_ALGS),
        "vp_formats_supported": {
            "dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}
        },
    }


def purpose_text(tenant: Tenant, request: PresentationRequest) -> dict[str, str]:
    """Why the host asks, in both languages.

    For a movement with its days and duties, so that it says what somebody agrees to who shares.
    """
    # A host's own version keeps the network's words for the purpose.
    policy = defaults()[request.policy_id]
    host = tenant.name or tenant.ods
    texts = {locale: text.format(host=host) for locale, text in policy.purpose.items()}
    if request.duties is None:
        return texts
    return {
        locale: for_move(
            text, first=request.first_day, last=request.last_day, duties=request.duties, locale=locale
        )
        for locale, text in texts.items()
    }


def purpose_data(tenant: Tenant, request: PresentationRequest) -> dict[str, Any]:
    """The purpose as our own ``verifier_info`` format (OpenID4VP 1.0 §5.11; it has no member of its own).

    Wallets ignore formats they do not know.
    """
    return {
        "purpose": request.purpose,
        "first_day": request.first_day.isoformat(),
        "last_day": request.last_day.isoformat(),
        "text": purpose_text(tenant, request),
        **({} if request.duties is None else {"host": tenant.name or tenant.ods, "duties": request.duties}),
    }


def encryption_key(ctx: Context, request: PresentationRequest) -> SigningKey:
    """The request's private encryption key; LookupError when it is gone with the request."""
    if request.encryption_key is None:
        raise LookupError("the request is closed")
    return SigningKey.from_der(ctx.kek.unwrap(request.encryption_key, context=key_context(request.id)))


def key_context(request_id: str) -> str:
    """What the wrapping of a request's private key is bound to."""
    return f"presentation-key\x1f{request_id}"


async def sweep(ctx: Context) -> int:
    """Close requests that ran out and forget their keys; how many."""
    async with ctx.db.write() as conn:
        return await requests.sweep(conn, ctx.clock.now())
