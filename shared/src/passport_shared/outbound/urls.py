"""Which URLs may be called at all (security.md B2 "SSRF"): decided on the text, before any look-up.

A URL is refused rather than repaired: whatever two parsers could read differently (userinfo, backslash,
percent signs in the host, an address in any notation, a port of its own) is not a URL one of our peers
publishes. The host is normalised once, to lower case; internationalised names are accepted in their A-label
form (punycode) only.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from passport_shared.outbound.errors import OutboundError, OutboundReason

MAX_URL_CHARACTERS = 2_048
MAX_HOST_CHARACTERS = 253
HTTPS_PORT = 443

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PARTS = re.compile(r"https://([^/?#]*)((?:/[^?#]*)?(?:\?[^#]*)?)\Z")
# RFC 3986 characters; a backslash, a quote or a brace is read as a separator by some parser somewhere.
_TEXT = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+\Z")
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
# The WHATWG URL rule: a host whose last label is a number is an IPv4 address in one of its many notations.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A URL that may be called: `excepted` when the operator's exception list names `host:port`."""

    url: str
    host: str
    port: int
    excepted: bool

    @property
    def name(self) -> str:
        """`host:port`, the key of budgets, breakers and the exception list."""
        return f"{self.host}:{self.port}"


def _refuse(reason: OutboundReason, detail: str) -> OutboundError:
    return OutboundError(reason, detail)


def check_url(url: str, allow: Collection[str] = frozenset()) -> Target:
    """Decide whether `url` may be called; `allow` is the exception list of `host:port`.

    Raises:
        OutboundError: url_malformed, scheme_not_https, userinfo, ip_literal, host_malformed or
            port_not_allowed.
    """
    if not isinstance(url, str) or len(url) > MAX_URL_CHARACTERS or not _TEXT.match(url):
        raise _refuse(OutboundReason.URL_MALFORMED, "not a URL of printable ASCII of reasonable length")
    if not url.startswith("https://"):
        if _SCHEME.match(url):
            raise _refuse(OutboundReason.SCHEME_NOT_HTTPS, "only https is called")
        raise _refuse(OutboundReason.URL_MALFORMED, "not an absolute URL")
    parts = _PARTS.match(url)
    if parts is None:
        raise _refuse(OutboundReason.URL_MALFORMED, "a fragment is never sent")
    authority = parts[1]
    if "@" in authority:
        raise _refuse(OutboundReason.USERINFO, "no user name or password in a URL")
    host, port = _split(authority)
    name = f"{host}:{port}"
    excepted = name in allow
    if not excepted:
        _check_host(host)
        if port != HTTPS_PORT:
            raise _refuse(OutboundReason.PORT_NOT_ALLOWED, f"port {port} is not in the exception list")
    return Target(url=url, host=host.strip("[]"), port=port, excepted=excepted)


def _split(authority: str) -> tuple[str, int]:
    host, port = authority, str(HTTPS_PORT)
    if authority.startswith("["):
        literal, closing, rest = authority.partition("]")
        host = literal + closing
        if rest:
            port = rest.removeprefix(":") if rest.startswith(":") else ""
    elif ":" in authority:
        host, _, port = authority.partition(":")
    if not _PORT.match(port) or int(port) > 65_535:
        raise _refuse(OutboundReason.URL_MALFORMED, "the port is not a number")
    return host.lower(), int(port)


def _check_host(host: str) -> None:
    if "[" in host or "]" in host:
        raise _refuse(OutboundReason.IP_LITERAL, "addresses are not called, only names")
    labels = host.split(".")
    last = labels[-1] or (labels[-2] if len(labels) > 1 else "")
    if _NUMBER.match(last):
        raise _refuse(OutboundReason.IP_LITERAL, "addresses are not called, only names")
    if len(host) > MAX_HOST_CHARACTERS or not all(_LABEL.match(label) for label in labels):
        raise _refuse(OutboundReason.HOST_MALFORMED, "not a host name")
    if len(labels) == 1:
        raise _refuse(
            OutboundReason.HOST_MALFORMED, "a single label is a private name; add it to the exception list"
        )
