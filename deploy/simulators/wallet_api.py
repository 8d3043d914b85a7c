"""The virtual wallet's HTTP interface (docs/sandbox.md): problem+json where the wallet refuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.simulators import wallets
from deploy.simulators.answers import Refusal, json_response, read_object
from deploy.simulators.wallets import LOCALES, VirtualWallets, one_act

MAX_PIN_CHARS = 32

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(all_wallets: VirtualWallets) -> list[Route]:
    """The routes of the virtual wallets."""
    one = "/wallet/wallets/{wallet_id}"
    return [
        Route("/wallet/wallets", _wallets(all_wallets), methods=["GET", "POST"]),
        Route(one, _wallet(all_wallets), methods=["GET", "DELETE"]),
        Route(f"{one}/accept", _accept(all_wallets), methods=["POST"]),
        Route(f"{one}/present", _present(all_wallets), methods=["POST"]),
        Route(f"{one}/credentials", _credentials(all_wallets), methods=["GET"]),
        Route(f"{one}/credentials/{{credential_id}}", _credential(all_wallets), methods=["GET", "DELETE"]),
    ]


def _wallets(all_wallets: VirtualWallets) -> Endpoint:
    async def wallets_(request: Request) -> Response:
        if request.method == "GET":
            return json_response({"items": [all_wallets.get(one).shown() for one in all_wallets.ids()]})
        body = await _members(request, "name", "person")
        name, person = body.get("name"), body.get("person")
        if not isinstance(name, str) or not (person is None or isinstance(person, str)):
            raise Refusal(422, "invalid_request", "name is text; person, if given, is the key of one.")
        return json_response((await all_wallets.create(name, person)).shown(), 201)

    return wallets_


def _wallet(all_wallets: VirtualWallets) -> Endpoint:
    async def wallet(request: Request) -> Response:
        wallet_id = request.path_params["wallet_id"]
        found = all_wallets.get(wallet_id)
        if request.method == "DELETE":
            async with found.lock:
                all_wallets.delete(wallet_id)
            return Response(status_code=204)
        return json_response(found.shown())

    return wallet


def _accept(all_wallets: VirtualWallets) -> Endpoint:
    async def accept(request: Request) -> Response:
        found = all_wallets.get(request.path_params["wallet_id"])
        body = await _members(request, "credential_offer_uri", "credential_offer", "tx_code")
        tx_code = body.get("tx_code")
        if not (tx_code is None or (isinstance(tx_code, str) and len(tx_code) <= MAX_PIN_CHARS)):
            raise Refusal(422, "invalid_request", "tx_code is the PIN, as text.")
        return json_response(await wallets.accept(found, wallets.offer_link(body), tx_code))

    return accept


def _present(all_wallets: VirtualWallets) -> Endpoint:
    async def present(request: Request) -> Response:
        found = all_wallets.get(request.path_params["wallet_id"])
        body = await _members(request, "request_uri", "client_id", "agree", "withhold", "language")
        agree, withhold = body.get("agree"), body.get("withhold", [])
        language = body.get("language", LOCALES[0])
        if not (agree is None or isinstance(agree, bool)):
            raise Refusal(422, "invalid_request", "agree is true or false.")
        if not isinstance(withhold, list) or not all(isinstance(one, str) for one in withhold):
            raise Refusal(422, "invalid_request", "withhold is a list of record types.")
        if language not in LOCALES:
            raise Refusal(422, "invalid_request", f"language is one of {', '.join(LOCALES)}.")
        link = wallets.request_link(body)
        return json_response(
            await wallets.present(found, link, agree=agree, withhold=withhold, locale=language)
        )

    return present


def _credentials(all_wallets: VirtualWallets) -> Endpoint:
    async def credentials(request: Request) -> Response:
        found = all_wallets.get(request.path_params["wallet_id"])
        return json_response({"items": [wallets.credential(one) for one in found.wallet.held()]})

    return credentials


def _credential(all_wallets: VirtualWallets) -> Endpoint:
    async def credential(request: Request) -> Response:
        found = all_wallets.get(request.path_params["wallet_id"])
        wanted = request.path_params["credential_id"]
        async with one_act(found) as wallet:
            details = wallet.details(wanted)
            if request.method == "DELETE":
                wallet.remove(wanted)
                return Response(status_code=204)
            held = next(one for one in wallet.held() if one.id == wanted)
        return json_response({**wallets.credential(held), "details": details})

    return credential


async def _members(request: Request, *known: str) -> dict[str, Any]:
    body = await read_object(request)
    if body.keys() - set(known):
        raise Refusal(422, "invalid_request", f"Known members are {', '.join(known)}.")
    return body
