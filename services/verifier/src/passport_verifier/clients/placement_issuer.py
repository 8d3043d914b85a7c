"""The host's own issuer, as its verifier calls it: with this service's token, below the host's own ODS code.

Every call can be made again. What comes back is read with limits; whatever else comes is a `NotTaken` with a
code that says who has to do something.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from passport_shared.formats import strict
from passport_shared.outbound import Outbound, OutboundError, Response
from passport_shared.service.service_client import NoClientId, ServiceClient, TokenRefused
from passport_shared.wire.placements import PLACEMENTS_SCOPE, PlacementBody, PlacementStep, PlacementView

MAX_ANSWER_BYTES = 65_536
PATIENCE = timedelta(seconds=5)
ACCEPTED = ("application/json", "application/problem+json")
TRY_AGAIN = frozenset({401, 408, 425, 429})
_CODE_CHARS = 64


class NotTaken(Exception):
    """The issuer has not taken what it was told.

    ``code`` is the issuer's own problem code, or ours: ``no_client_id``, ``token_…``, ``outbound_…``,
    ``malformed_answer``. ``soon``: the same call may succeed without anybody doing anything.
    """

    def __init__(self, code: str, *, soon: bool) -> None:
        super().__init__(code)
        self.code = code
        self.soon = soon


class PlacementIssuerClient:
    """Tells issuers of placements."""

    def __init__(self, outbound: Outbound, client: ServiceClient) -> None:
        self._outbound = outbound
        self._client = client

    async def put(self, base: str, ods: str, movement_id: str, body: PlacementBody) -> PlacementView:
        """Record a placement.

        Raises:
            NotTaken.
        """
        return await self._call(base, ods, movement_id, "", body.model_dump(mode="json"))

    async def step(self, base: str, ods: str, movement_id: str, name: str, revision: int) -> PlacementView:
        """``hold``, ``reinstate`` or ``end`` a placement.

        Raises:
            NotTaken.
        """
        step = PlacementStep(revision=revision).model_dump(mode="json")
        return await self._call(base, ods, movement_id, f"/{name}", step)

    async def offer(self, base: str, ods: str, movement_id: str) -> PlacementView:
        """Offer a placement's record again.

        Raises:
            NotTaken.
        """
        return await self._call(base, ods, movement_id, "/offer", {})

    async def _call(self, base: str, ods: str, movement_id: str, act: str, body: Any) -> PlacementView:
        try:
            token = await self._client.token(base, PLACEMENTS_SCOPE)
            url = f"{base}/api/v1/organisations/{ods}/placements/{movement_id}{act}"
            send = self._outbound.post if act else self._outbound.put
            answer = await send(
                url,
                json=body,
                accept=ACCEPTED,
                headers={"Authorization": f"Bearer {token}"},
                max_bytes=MAX_ANSWER_BYTES,
                timeout=PATIENCE,
            )
        except NoClientId:
            raise NotTaken("no_client_id", soon=False) from None
        except TokenRefused as refused:
            raise NotTaken(f"token_{refused.error}", soon=refused.error.startswith("http_")) from None
        except OutboundError as error:
            raise NotTaken(f"outbound_{error.reason.value}", soon=error.retryable) from None
        if answer.status == 401:
            self._client.forget(base, PLACEMENTS_SCOPE)
        return _read(answer)


def _read(answer: Response) -> PlacementView:
    try:
        document = strict.loads_object(answer.body, max_bytes=MAX_ANSWER_BYTES)
    except strict.StrictError:
        document = {}
    if not answer.ok:
        code = document.get("code")
        named = isinstance(code, str) and code.replace("_", "").isalnum() and len(code) <= _CODE_CHARS
        soon = answer.status >= 500 or answer.status in TRY_AGAIN
        raise NotTaken(str(code) if named else f"http_{answer.status}", soon=soon)
    try:
        return PlacementView.model_validate(document)
    except ValidationError:
        raise NotTaken("malformed_answer", soon=False) from None
