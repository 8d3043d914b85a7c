"""What a host says about its entity: the entity configuration at its Entity Identifier."""

from __future__ import annotations

from passport_registry.errors import HostKeysDiffer, HostNotReachable
from passport_shared.formats.federation import ENTITY_STATEMENT_MEDIA_TYPE
from passport_shared.outbound import Outbound, OutboundError

WELL_KNOWN = "/.well-known/openid-federation"
MAX_BYTES = 65_536
NOT_FOUND = 404


async def entity_configuration(outbound: Outbound, entity_id: str) -> str:
    """Fetch an entity's configuration; its content is unverified.

    Raises:
        HostNotReachable: no usable answer, for now.
        HostKeysDiffer: the host answers and has no configuration there.
    """
    try:
        response = await outbound.get(
            f"{entity_id}{WELL_KNOWN}", accept=ENTITY_STATEMENT_MEDIA_TYPE, max_bytes=MAX_BYTES
        )
    except OutboundError as error:
        raise HostNotReachable(
            f"The entity configuration could not be fetched from the Entity Identifier ({error.reason})."
        ) from error
    if response.status == NOT_FOUND:
        raise HostKeysDiffer("The host serves no entity configuration at the Entity Identifier.")
    if not response.ok:
        raise HostNotReachable(f"The host answered with status {response.status}.")
    return response.body.decode("ascii", errors="replace")
