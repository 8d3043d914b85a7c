"""What a wallet tells about the credentials of one answer (OpenID4VCI 1.0 §11), at most once per event.

Accepted: the credentials count as held, and what they replace ends. Failed or deleted: nobody holds them, so
they are revoked.
"""

from __future__ import annotations

from enum import StrEnum

from passport_issuer.context import Context
from passport_issuer.operations import failpoints
from passport_issuer.operations.offers import HOLDER
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.store import credentials, notifications, passports
from passport_issuer.store.offers import Grant
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.tenancy import Tenant


class NotificationEvent(StrEnum):
    """The events of the specification. PERSISTED."""

    ACCEPTED = "credential_accepted"
    FAILURE = "credential_failure"
    DELETED = "credential_deleted"


async def notify(
    ctx: Context, tenant: Tenant, grant: Grant, notification_id: str, event: NotificationEvent
) -> None:
    """Record an event; a repetition changes nothing.

    Raises:
        ProtocolError: invalid_notification_id for an id this token was not given.
    """
    now = ctx.clock.now()
    superseded: list[str] = []
    async with ctx.db.write() as conn:
        await passports.hold_row(conn, grant.passport_id)
        concerned = await credentials.of_notification(conn, grant.offer_id, notification_id)
        if not concerned:
            raise ProtocolError("invalid_notification_id", "the token was given no such notification_id")
        if not await notifications.first(conn, notification_id, event.value, now):
            return
        if event is NotificationEvent.ACCEPTED:
            kept = await credentials.acknowledge(conn, notification_id, now)
            # What was ended meanwhile replaces nothing: a newer one may have ended it.
            for credential in [credential for credential in concerned if credential.id in kept]:
                ended = await credentials.supersede_earlier(conn, credential, now)
                superseded += [one.id for one in ended]
        else:
            ids = [credential.id for credential in concerned]
            await credentials.revoke(conn, ids, ReasonCode.HOLDER_REQUEST, now)
        await ctx.audit.record(
            conn,
            kind=f"credential.{event.name.lower()}",
            subject_ref=grant.passport_id,
            actor=HOLDER,
            organisation=tenant.ods,
            details={
                "credentials": [credential.id for credential in concerned],
                "superseded": superseded,
            },
        )
    failpoints.hit(failpoints.AFTER_ACKNOWLEDGED)
