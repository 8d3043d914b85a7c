"""Host names of a trial, for this process only: what `curl --resolve` does, with no line in /etc/hosts."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Any

LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def resolved_here(hosts: Sequence[str]) -> Iterator[None]:
    """Within the block, these names are this machine; every other name is asked for as ever."""
    asked = socket.getaddrinfo

    def answer(host: Any, *arguments: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return asked(LOOPBACK if name in hosts else host, *arguments, **named)

    socket.getaddrinfo = answer
    try:
        yield
    finally:
        socket.getaddrinfo = asked
