"""Holder sessions of staff apps below ``<EID>/holder`` (design §6): challenge, session, what is one's own.

Plain protocol routes with OAuth errors; `docs/openapi/staff-app.json` describes them for app makers. Nothing
is cached, every resource needs a DPoP-bound token (RFC 9449), and what is another person's is 404.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from passport_issuer.context import Context
from passport_issuer.http.access import context_of
from passport_issuer.http.oid4vci import NO_STORE, json_response
from passport_issuer.operations import holder as operations
from passport_issuer.operations.offers import offer_page
from passport_issuer.operations.tenants import protocol_tenant
from passport_issuer.rules import holder_words
from passport_issuer.store.problem_reports import ProblemKind, ProblemReport
from passport_issuer.store.releases import Case
from passport_shared.service.holder_sessions import CHALLENGE_LIFE, MAX_PRESENTATION_BYTES, HolderSession
from passport_shared.service.limits import Rate
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.peer_address import peer_of
from passport_shared.service.routes import json_body, protocol_route
from passport_shared.service.tenancy import Tenant
from passport_shared.wire import catalogue

# A hospital's phones share an address; a phone opens a session every few minutes at most.
PER_ADDRESS = Rate(name="issuer.holder.address", limit=1_200, per=timedelta(minutes=1))
PER_KEY = Rate(name="issuer.holder.key", limit=20, per=timedelta(minutes=1))
REPORTS = Rate(name="issuer.holder.reports", limit=20, per=timedelta(hours=1))
MAX_TEXT = 1_000
MAX_BODY = 16_384


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A request in a session."""

    ctx: Context
    tenant: Tenant
    session: HolderSession
    request: Request


Act = Callable[[Holder], Awaitable[Response]]


def routes() -> list[BaseRoute]:
    """The routes."""
    below = "/{ods:ods}/holder"
    return [
        protocol_route(f"{below}/challenge", challenge, methods=["POST"], name="holder_challenge"),
        protocol_route(f"{below}/sessions", open_session, methods=["POST"], name="holder_session"),
        protocol_route(f"{below}/passport", _own(passport), methods=["GET"], name="holder_passport"),
        protocol_route(f"{below}/offers", _own(offers), methods=["GET"], name="holder_offers"),
        protocol_route(f"{below}/releases", _own(releases), methods=["GET"], name="holder_releases"),
        protocol_route(
            f"{below}/releases/{{release_id:handle}}", _own(release), methods=["GET"], name="holder_release"
        ),
        protocol_route(
            f"{below}/releases/{{release_id:handle}}/agree",
            _own(agree),
            methods=["POST"],
            name="holder_agree",
        ),
        protocol_route(
            f"{below}/releases/{{release_id:handle}}/withdraw",
            _own(withdraw),
            methods=["POST"],
            name="holder_withdraw",
        ),
        protocol_route(f"{below}/problems", _own(problems), methods=["GET"], name="holder_problems"),
        protocol_route(f"{below}/problems", _own(report), methods=["POST"], name="holder_report"),
    ]


async def challenge(request: Request) -> Response:
    """``POST <EID>/holder/challenge``: a fresh challenge; nothing is stored until it is used."""
    ctx, tenant = await _tenant(request)
    body = {
        "challenge": await ctx.holders.challenge(tenant.ods),
        "expires_in": int(CHALLENGE_LIFE.total_seconds()),
    }
    return json_response(body, NO_STORE)


async def open_session(request: Request) -> Response:
    """``POST <EID>/holder/sessions``: a presentation over the challenge for a token of 15 minutes."""
    ctx, tenant = await _tenant(request)
    proof = ctx.holders.proof_of(request, status=400)
    body = await json_body(request, max_bytes=MAX_PRESENTATION_BYTES + 1_024)
    presentation = body.get("presentation")
    if not isinstance(presentation, str):
        raise ProtocolError("invalid_request", "presentation is missing")
    presented = await ctx.holders.presented(tenant.ods, tenant.entity_id, presentation, proof)
    await _spend(ctx, PER_KEY, presented.holder.thumbprint)
    opened = await operations.open_session(ctx, tenant, presented)
    answer = {"access_token": opened.access_token, "token_type": "DPoP", "expires_in": opened.expires_in}
    return json_response(answer, NO_STORE)


async def passport(holder: Holder) -> Response:
    """``GET <EID>/holder/passport``: its state in plain words, the reason code, and its records."""
    own = await operations.own_passport(holder.ctx, holder.session)
    words = holder_words.PASSPORT[own.passport.state]
    records = [
        {
            "type": credential.type,
            "label": _labels(credential.type),
            "state": state.value,
            "issued_on": _instant(credential.issued_at),
            "expires_on": _instant(credential.expires_at),
        }
        for credential, state in own.records
    ]
    body = {
        "trust": {"ods_code": holder.tenant.ods, "name": holder.tenant.name},
        "state": own.passport.state.value,
        "words": holder_words.said(words, trust=holder.tenant.name),
        "reason_code": own.passport.reason_code,
        "records": records,
    }
    return json_response(body, NO_STORE)


async def offers(holder: Holder) -> Response:
    """``GET <EID>/holder/offers``: what waits to be collected; the PIN comes from HR alone."""
    found = await operations.own_offers(holder.ctx, holder.session)
    types = {kind.configuration_id: name for name, kind in catalogue.TYPES.items()}
    items = [
        {
            "id": offer.id,
            "page": offer_page(holder.tenant, offer.id),
            "types": [types[configuration] for configuration in offer.configuration_ids],
            "expires_at": _instant(offer.expires_at),
        }
        for offer in found
    ]
    return json_response({"items": items}, NO_STORE)


async def releases(holder: Holder) -> Response:
    """``GET <EID>/holder/releases``: which trusts asked for me, for when and what, and what became of it."""
    found = await operations.own_releases(holder.ctx, holder.session)
    return json_response({"items": [_release(holder, case) for case in found]}, NO_STORE)


async def release(holder: Holder) -> Response:
    """``GET <EID>/holder/releases/{id}``."""
    return _answer(holder, await operations.own_release(holder.ctx, holder.session, _id(holder)))


async def agree(holder: Holder) -> Response:
    """``POST <EID>/holder/releases/{id}/agree``."""
    return _answer(holder, await operations.agree(holder.ctx, holder.session, _id(holder)))


async def withdraw(holder: Holder) -> Response:
    """``POST <EID>/holder/releases/{id}/withdraw``."""
    case = await operations.withdraw(holder.ctx, holder.tenant, holder.session, _id(holder))
    return _answer(holder, case)


async def problems(holder: Holder) -> Response:
    """``GET <EID>/holder/problems``: what I reported."""
    found = await operations.own_reports(holder.ctx, holder.session)
    return json_response({"items": [_problem(report) for report in found]}, NO_STORE)


async def report(holder: Holder) -> Response:
    """``POST <EID>/holder/problems``: report one; a lost phone puts the passport on hold at once."""
    body = await json_body(holder.request, max_bytes=MAX_BODY)
    kind, about, text = body.get("kind"), body.get("about"), body.get("text")
    if kind not in {known.value for known in ProblemKind}:
        raise ProtocolError("invalid_request", "kind is none of those that can be reported")
    if about is not None and about not in catalogue.TYPES:
        raise ProtocolError("invalid_request", "about names no type of record")
    if text is not None and not (isinstance(text, str) and 0 < len(text) <= MAX_TEXT):
        raise ProtocolError("invalid_request", f"text has 1 to {MAX_TEXT} characters")
    await _spend(holder.ctx, REPORTS, holder.session.subject)
    made = await operations.report(holder.ctx, holder.session, ProblemKind(kind), about, text)
    return json_response(_problem(made), NO_STORE, status=201)


def _own(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def in_session(request: Request) -> Response:
        ctx, tenant = await _tenant(request)
        session = await ctx.holders.session_of(request, tenant.ods)
        await operations.check_stands(ctx, session)
        return await act(Holder(ctx=ctx, tenant=tenant, session=session, request=request))

    return in_session


async def _tenant(request: Request) -> tuple[Context, Tenant]:
    ctx = context_of(request)
    await _spend(ctx, PER_ADDRESS, peer_of(request))
    return ctx, await protocol_tenant(ctx, request.path_params["ods"])


async def _spend(ctx: Context, rate: Rate, subject: str) -> None:
    await ctx.limiter.spend(rate, subject)


def _id(holder: Holder) -> str:
    return str(holder.request.path_params["release_id"])


def _answer(holder: Holder, case: Case) -> Response:
    return json_response(_release(holder, case), NO_STORE)


def _release(holder: Holder, case: Case) -> dict[str, Any]:
    state, host = case.shown_state(holder.ctx.clock.now()), str(case.movement["host_name"])
    return {
        "id": case.id,
        "host": {"ods_code": case.host_ods, "name": host},
        "movement_type": case.movement["type"],
        "start": case.start.isoformat(),
        "end": case.end.isoformat(),
        "released_until": case.released_end.isoformat() if case.released_end else None,
        "sites": case.movement["sites"],
        "department": case.movement["department"],
        "duties": case.movement["duties"],
        "limits": list(case.limits),
        "state": state.value,
        "words": holder_words.said(holder_words.RELEASE[state], host=host),
        "my_answer": case.staff_decision,
        "asked_at": _instant(case.received_at),
        "answer_by": _instant(case.answer_by),
    }


def _problem(report: ProblemReport) -> dict[str, Any]:
    return {
        "id": report.id,
        "kind": report.kind.value,
        "about": report.about,
        "text": report.text,
        "state": report.state.value,
        "reported_at": _instant(report.reported_at),
    }


def _labels(name: str) -> dict[str, str]:
    kind = catalogue.TYPES[name]
    return {locale: kind.display[locale]["name"] for locale in catalogue.LOCALES}


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
