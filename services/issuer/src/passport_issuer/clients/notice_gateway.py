"""Sending by a message gateway over HTTPS: one JSON document per message, for e-mail and text messages.

The gateway is the deployment's: a small service in front of GOV.UK Notify, say. docs/notices.md is the
contract. `Idempotency-Key` and `reference` are the notice's id, the same for every try. What the gateway
answers is never kept: a status is all that is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from passport_issuer.clients.mail import Letter, NotSent, mail_address
from passport_issuer.rules.notices import NoticeChannel
from passport_shared.outbound import Outbound, OutboundError

MAX_ANSWER_BYTES = 65_536
_TRY_AGAIN = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""What a deployment can put right while the message waits; every other 4xx is about the message."""


@dataclass(frozen=True, kw_only=True)
class GatewayCourier:
    """Messages through an HTTPS gateway.

    Args:
        url: where to POST.
        headers: what carries the key.
        total: how long one message may take.
    """

    outbound: Outbound
    url: str
    headers: dict[str, str]
    total: timedelta

    async def send(self, letter: Letter) -> None:
        """As ``Courier.send``."""
        is_mail = letter.channel is NoticeChannel.EMAIL
        if is_mail:
            mail_address(letter.to)
        document = {
            "reference": letter.id,
            "channel": letter.channel.value,
            "to": letter.to,
            "language": letter.language,
            "template": letter.kind,
            "body": letter.text,
            **({"subject": letter.subject, "from_name": letter.from_name} if is_mail else {}),
        }
        try:
            answer = await self.outbound.post(
                self.url,
                json=document,
                accept="*/*",
                headers={**self.headers, "Idempotency-Key": letter.id},
                max_bytes=MAX_ANSWER_BYTES,
                timeout=self.total,
            )
        except OutboundError as error:
            raise NotSent(f"gateway_{error.reason.value}") from None
        if answer.ok:
            return
        refused = 400 <= answer.status < 500 and answer.status not in _TRY_AGAIN
        raise NotSent(f"gateway_status_{answer.status}", permanent=refused)
