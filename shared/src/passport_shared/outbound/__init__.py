"""The one way out: every HTTP call a service or a wallet makes goes through `Outbound`."""

from passport_shared.outbound.client import Limits, Outbound, Response
from passport_shared.outbound.errors import OutboundError, OutboundReason

__all__ = ["Limits", "Outbound", "OutboundError", "OutboundReason", "Response"]
