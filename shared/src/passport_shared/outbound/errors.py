"""Why an outbound call did not give an answer: one closed list of reasons."""

from __future__ import annotations

from enum import StrEnum


class OutboundReason(StrEnum):
    """Every way in which an outbound call fails, refused before or broken during the call."""

    URL_MALFORMED = "url_malformed"
    SCHEME_NOT_HTTPS = "scheme_not_https"
    USERINFO = "userinfo"
    IP_LITERAL = "ip_literal"
    HOST_MALFORMED = "host_malformed"
    PORT_NOT_ALLOWED = "port_not_allowed"
    NAME_NOT_RESOLVED = "name_not_resolved"
    ADDRESS_NOT_GLOBAL = "address_not_global"
    CONNECT_FAILED = "connect_failed"
    TLS_FAILED = "tls_failed"
    CONNECTION_BROKEN = "connection_broken"
    TIMED_OUT = "timed_out"
    TOO_LARGE = "too_large"
    REDIRECT = "redirect"
    WRONG_CONTENT_TYPE = "wrong_content_type"
    CONTENT_ENCODING = "content_encoding"
    HEADER_MALFORMED = "header_malformed"
    BREAKER_OPEN = "breaker_open"


REFUSED_BEFORE_CONNECTING = frozenset(
    {
        OutboundReason.URL_MALFORMED,
        OutboundReason.SCHEME_NOT_HTTPS,
        OutboundReason.USERINFO,
        OutboundReason.IP_LITERAL,
        OutboundReason.HOST_MALFORMED,
        OutboundReason.PORT_NOT_ALLOWED,
        OutboundReason.ADDRESS_NOT_GLOBAL,
    }
)
"""Reasons that are the URL's own fault: trying again cannot help."""


class OutboundError(Exception):
    """An outbound call was refused or failed; `reason` says how, `host` where (never the path)."""

    def __init__(self, reason: OutboundReason, detail: str = "", *, host: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail
        self.host = host

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return self.reason not in REFUSED_BEFORE_CONNECTING
