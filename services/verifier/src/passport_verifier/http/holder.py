"""Holder sessions of staff apps below ``<EID>/holder`` (design §6), and a host's requirements for everybody.

Plain protocol routes with OAuth errors; `docs/openapi/staff-app.json` describes them for app makers. Every
resource of a session needs a DPoP-bound token (RFC 9449) and is never cached; the requirements know no person
and are cached, so that an app works out on the phone what is missing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from passport_shared.formats import strict
from passport_shared.service.holder_sessions import CHALLENGE_LIFE, MAX_PRESENTATION_BYTES, HolderSession
from passport_shared.service.limits import Rate
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.peer_address import peer_of
from passport_shared.service.routes import json_body, protocol_route
from passport_shared.service.tenancy import Tenant
from passport_shared.wire import catalogue
from passport_verifier.context import Context
from passport_verifier.operations import holder as operations
from passport_verifier.operations import policies
from passport_verifier.operations.holder import OwnMove
from passport_verifier.rules.movement_state import Answer
from passport_verifier.rules.requirements import requirements_of
from passport_verifier.store.holder import Sharing

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
# A hospital's phones share an address; a phone opens a session every few minutes at most.
PER_ADDRESS = Rate(name="verifier.holder.address", limit=1_200, per=timedelta(minutes=1))
PER_KEY = Rate(name="verifier.holder.key", limit=20, per=timedelta(minutes=1))
MAX_BODY = 4_096
_ODS = re.compile(r"[A-Z0-9]{3,10}")


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
    below = "/{ods}/holder"
    one = f"{below}/moves/{{movement_id:handle}}"
    return [
        protocol_route(f"{below}/challenge", challenge, methods=["POST"], name="holder_challenge"),
        protocol_route(f"{below}/sessions", open_session, methods=["POST"], name="holder_session"),
        protocol_route(f"{below}/moves", _own(moves), methods=["GET"], name="holder_moves"),
        protocol_route(one, _own(move), methods=["GET"], name="holder_move"),
        protocol_route(f"{one}/agree", _own(_say(Answer.AGREED)), methods=["POST"], name="holder_agree"),
        protocol_route(
            f"{one}/decline", _own(_say(Answer.DECLINED)), methods=["POST"], name="holder_decline"
        ),
        protocol_route(
            f"{one}/withdraw", _own(_say(Answer.WITHDRAWN)), methods=["POST"], name="holder_withdraw"
        ),
        protocol_route(f"{below}/sharing", _own(sharing), methods=["GET"], name="holder_sharing"),
        protocol_route("/{ods}/requirements/{movement_type}", requirements, methods=["GET"]),
    ]


async def challenge(request: Request) -> Response:
    """``POST <EID>/holder/challenge``: a fresh challenge; nothing is stored until it is used."""
    ctx, tenant = await _tenant(request)
    life = int(CHALLENGE_LIFE.total_seconds())
    return _json({"challenge": await ctx.holders.challenge(tenant.ods), "expires_in": life})


async def open_session(request: Request) -> Response:
    """``POST <EID>/holder/sessions``: a presentation over the challenge for a token of 15 minutes."""
    ctx, tenant = await _tenant(request)
    proof = ctx.holders.proof_of(request, status=400)
    body = await json_body(request, max_bytes=MAX_PRESENTATION_BYTES + 1_024)
    presentation = body.get("presentation")
    if not isinstance(presentation, str):
        raise ProtocolError("invalid_request", "presentation is missing")
    presented = await ctx.holders.presented(tenant.ods, tenant.entity_id, presentation, proof)
    await ctx.limiter.spend(PER_KEY, presented.holder.thumbprint)
    opened = await operations.open_session(ctx, tenant, presentation, presented)
    return _json({"access_token": opened.access_token, "token_type": "DPoP", "expires_in": opened.expires_in})


async def moves(holder: Holder) -> Response:
    """``GET <EID>/holder/moves``: my moves here with their state, newest first."""
    found = await operations.own_moves(holder.ctx, holder.session)
    return _json({"items": [_move(holder, own) for own in found]})


async def move(holder: Holder) -> Response:
    """``GET <EID>/holder/moves/{id}``."""
    return _json(_move(holder, await operations.own_move(holder.ctx, holder.session, _id(holder))))


def _say(given: Answer) -> Act:
    async def say(holder: Holder) -> Response:
        terms_version, cover_opt_in = await _terms(holder.request)
        own = await operations.answer(
            holder.ctx,
            holder.session,
            _id(holder),
            given,
            terms_version=terms_version,
            cover_opt_in=cover_opt_in,
        )
        return _json(_move(holder, own))

    return say


async def _terms(request: Request) -> tuple[int | None, bool | None]:
    """Which terms were read, and whether covering an absence is right; a body is optional."""
    if not await request.body():
        return None, None
    body = await json_body(request, max_bytes=MAX_BODY)
    version, cover = body.get("terms_version"), body.get("cover_opt_in")
    is_number = isinstance(version, int) and not isinstance(version, bool) and 0 < version < 2**31
    if version is not None and not is_number:
        raise ProtocolError("invalid_request", "terms_version is a whole number")
    if cover is not None and not isinstance(cover, bool):
        raise ProtocolError("invalid_request", "cover_opt_in is true or false")
    return version, cover


async def sharing(holder: Holder) -> Response:
    """``GET <EID>/holder/sharing``: what I shared here, when and for what; never what was decided."""
    found = await operations.sharing(holder.ctx, holder.session)
    return _json({"items": [_sharing(holder, one) for one in found]})


async def requirements(request: Request) -> Response:
    """``GET <EID>/../requirements/{movement_type}?role=``: what this host asks for; public, cacheable."""
    ctx, tenant = await _tenant(request)
    wanted, role = request.path_params["movement_type"], request.query_params.get("role")
    found = [
        policy
        for policy in await policies.all_in_force(ctx, tenant.ods)
        if policy.movement_type == wanted and role in {None, policy.profile.name}
    ]
    if not found:
        raise ProtocolError("not_found", "there are no requirements for this move and role", status=404)
    body = strict.dumps(
        {
            "host": {"ods_code": tenant.ods, "name": tenant.name},
            "movement_type": wanted,
            "roles": [requirements_of(policy, tenant.name) for policy in found],
        }
    )
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": "public, max-age=300", "ETag": etag}
    if etag in {given.strip() for given in request.headers.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def _own(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def in_session(request: Request) -> Response:
        ctx, tenant = await _tenant(request)
        session = await ctx.holders.session_of(request, tenant.ods)
        return await act(Holder(ctx=ctx, tenant=tenant, session=session, request=request))

    return in_session


async def _tenant(request: Request) -> tuple[Context, Tenant]:
    ctx: Context = request.app.state.context
    await ctx.limiter.spend(PER_ADDRESS, peer_of(request))
    ods = request.path_params["ods"]
    tenant = await ctx.tenants.get(ods) if _ODS.fullmatch(ods) else None
    if tenant is None:
        raise ProtocolError("not_found", "there is no verifier under this identifier", status=404)
    return ctx, tenant


def _id(holder: Holder) -> str:
    return str(holder.request.path_params["movement_id"])


def _json(body: object) -> Response:
    return Response(strict.dumps(body), media_type="application/json", headers=NO_STORE)


def _move(holder: Holder, own: OwnMove) -> dict[str, Any]:
    movement, said = own.movement, own.said
    answered = None
    if said is not None:
        answered = {
            "decision": said.decision.value,
            "at": _instant(said.at),
            "method": said.method.value,
            # What was said to other days or duties has to be said again.
            "of_these_terms": said.terms_version == movement.terms_version,
        }
    return {
        "id": movement.id,
        "host": {"ods_code": holder.tenant.ods, "name": holder.tenant.name},
        "employing_ods": movement.employing_ods,
        "movement_type": movement.type,
        "role_profile": movement.role_profile,
        "start": movement.start.isoformat(),
        "end": movement.end.isoformat(),
        "last_day": movement.last_day.isoformat(),
        "sites": movement.details["sites"],
        "department": movement.details["department"],
        "duties": movement.details["duties"],
        "state": movement.state.value,
        "terms_version": movement.terms_version,
        "my_answer": answered,
    }


def _sharing(holder: Holder, one: Sharing) -> dict[str, Any]:
    asked = {
        vct: query
        for query in one.dcql_query.get("credentials", ())
        for vct in query.get("meta", {}).get("vct_values", ())
    }
    return {
        "id": one.decision_id,
        "shared_at": _instant(one.received_at),
        "with": {"ods_code": holder.tenant.ods, "name": holder.tenant.name},
        "purpose": one.purpose,
        "move": one.movement_id,
        "movement_type": one.movement_type,
        "first_day": one.first_day.isoformat(),
        "last_day": one.last_day.isoformat(),
        "records": [
            {
                "type": _type(holder.ctx, vct),
                "vct": vct,
                "from": issuer_ods,
                "details_asked": _details(asked.get(vct, {})),
            }
            for vct, issuer_ods in one.credentials
        ],
    }


def _type(ctx: Context, vct: str) -> str | None:
    kind = catalogue.type_for_vct(vct, ctx.trust_file.vct_base)
    return kind.name if kind else None


def _details(query: Mapping[str, Any]) -> list[list[str | int | None]]:
    return [list(claim["path"]) for claim in query.get("claims", ())]


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
