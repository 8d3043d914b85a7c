"""The address a request is counted under where attempts are limited; never an identifier, never shown.

Behind a proxy every request comes from the proxy, and all its callers would share one allowance. A deployment
names its proxies (``…_TRUSTED_PROXIES``); only from those is ``X-Forwarded-For`` read, from its right end,
past every proxy that was named. What stands left of the first address that is not ours was written by the
caller and is not believed. Nothing else of a request is taken from such a header.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.requests import Request

Network = IPv4Network | IPv6Network
UNKNOWN = "unknown"
MAX_HOPS = 16
IPV6_SITE_BITS = 64
"""A customer of a network is given that much; who may choose the rest would have endless allowances."""


def proxies(value: str) -> frozenset[Network]:
    """Read comma-separated addresses and networks of proxies.

    Raises:
        ValueError: one is neither, or a network of everybody.
    """
    found = frozenset(ip_network(part.strip()) for part in value.split(",") if part.strip())
    if any(network.prefixlen == 0 for network in found):
        raise ValueError("a network of every address would believe what any caller writes")
    return found


def peer_of(request: Request) -> str:
    """The address that a request's attempts are counted under; ``unknown`` where there is none."""
    trusted: Collection[Network] = getattr(request.app.state, "trusted_proxies", ())
    host = request.client.host if request.client else ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")) if trusted else ""
    return counted_address(host, forwarded, trusted)


def counted_address(host: str, forwarded: str, trusted: Collection[Network]) -> str:
    """The address to count under.

    Args:
        host: the address the connection comes from.
        forwarded: what ``X-Forwarded-For`` holds, all its fields joined by commas.
        trusted: the networks of our proxies.
    """
    nearest = _address(host)
    if nearest is None:
        return UNKNOWN
    hops = forwarded.split(",")[-MAX_HOPS:] if forwarded else []
    for hop in reversed(hops):
        if not _is_one_of(nearest, trusted):
            break
        before = _address(hop.strip())
        if before is None:
            break
        nearest = before
    return _site(nearest)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_one_of(address: IPv4Address | IPv6Address, networks: Collection[Network]) -> bool:
    return any(address in network for network in networks)


def _site(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((int(address), IPV6_SITE_BITS), strict=False))
