"""Which addresses may be connected to: those the IANA registries call globally reachable (RFC 6890).

Written out because `ipaddress.is_global` differs between the Python versions we run on and counts multicast
as global. IPv6 is the other way round: only 2000::/3 is handed out, so everything outside it is refused, and
inside it the forms that carry an IPv4 address in their bits (6to4, Teredo). Mapped and translated forms lie
outside anyway.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from passport_shared.outbound.errors import OutboundError, OutboundReason
from passport_shared.outbound.urls import Target

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text; raises OSError if the name has none."""

MAX_ADDRESSES = 8

_NOT_GLOBAL_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared address space of carriers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local, where clouds keep their metadata service
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays, deprecated
        "192.168.0.0/16",  # private use
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved and broadcast
    )
)
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 carries an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


def is_global(address: str) -> bool:
    """Whether `address` is one that anybody may offer a service on; text that is no address is not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _NOT_GLOBAL_IPV4)
    if parsed.scope_id is not None or parsed not in _GLOBAL_IPV6:
        return False
    return not any(parsed in network for network in _NOT_GLOBAL_IPV6)


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Addresses of `host` from the operating system."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _family, _type, _proto, _name, sockaddr in found]


async def checked_addresses(target: Target, resolve: Resolver, *, allow_private: bool) -> tuple[str, ...]:
    """Resolve the target once and return the addresses that may be connected to.

    One address that is not global refuses the name: an honest public name has none, and a mixed answer is how
    a rebinding attack hides.

    Raises:
        OutboundError: name_not_resolved or address_not_global.
    """
    try:
        addresses = tuple(dict.fromkeys(await resolve(target.host, target.port)))[:MAX_ADDRESSES]
    except (OSError, UnicodeError):
        addresses = ()
    if not addresses:
        raise OutboundError(OutboundReason.NAME_NOT_RESOLVED, "the name has no address", host=target.name)
    if target.excepted and allow_private:
        return addresses
    if not all(is_global(address) for address in addresses):
        raise OutboundError(
            OutboundReason.ADDRESS_NOT_GLOBAL,
            "the name leads to an address that is not public",
            host=target.name,
        )
    return addresses
