"""Addresses nobody may be made to call, in the spellings attackers use, and a spy that sees every attempt.

`{port}` in a spelling is the port of a listener that must stay silent. Names among them are answered with
addresses inside by `NetworkSpy`, which is also what a hostile name server does.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

SPELLINGS = (
    # this machine by address, in every notation
    "https://127.0.0.1:{port}/x",
    "https://127.0.0.1/x",
    "https://127.1/x",
    "https://127.0.1/x",
    "https://2130706433/x",
    "https://0x7f000001/x",
    "https://0x7f.0.0.1/x",
    "https://0177.0.0.1/x",
    "https://017700000001/x",
    "https://127.0.0.1./x",
    "https://0/x",
    "https://0.0.0.0:{port}/x",
    "https://[::1]:{port}/x",
    "https://[::]:{port}/x",
    "https://[0:0:0:0:0:0:0:1]/x",
    "https://[::ffff:127.0.0.1]:{port}/x",
    "https://[::ffff:7f00:1]/x",
    "https://[::127.0.0.1]/x",
    "https://[::1%25lo]/x",
    # private, shared, special and cloud addresses
    "https://10.0.0.1/x",
    "https://172.16.0.1/x",
    "https://192.168.0.1/x",
    "https://100.64.0.1/x",
    "https://169.254.169.254/latest/meta-data",
    "https://[fd00:ec2::254]/latest/meta-data",
    "https://100.100.100.200/x",
    "https://[fe80::1%25eth0]/x",
    "https://[fd00::1]/x",
    "https://[64:ff9b::7f00:1]/x",
    "https://[2002:7f00:1::1]/x",
    "https://[2001:0:7f00:1::1]/x",
    "https://224.0.0.1/x",
    "https://255.255.255.255/x",
    "https://198.18.0.1/x",
    # names of this machine and names that lead inside
    "https://localhost:{port}/x",
    "https://localhost/x",
    "https://LOCALHOST./x",
    "https://localhost.localdomain/x",
    "https://ip6-localhost/x",
    "https://metadata.google.internal/x",
    "https://metadata/x",
    "https://inside.attacker.example/x",
    "https://127.0.0.1.nip.example/x",
    "https://xn--lcalhost-b4a.example/x",
    # characters that two parsers read differently
    "https://user:secret@localhost:{port}/x",
    "https://registry.example@127.0.0.1:{port}/x",
    "https://registry.example:443@127.0.0.1/x",
    "https://registry.example\\@127.0.0.1/x",
    "https://127.0.0.1\\.registry.example/x",
    "https://registry.example#@127.0.0.1/x",
    "https://registry.example?@127.0.0.1/x\\",
    "https:\\\\127.0.0.1\\x",
    "https:127.0.0.1/x",
    "https:///127.0.0.1/x",
    "//127.0.0.1:{port}/x",
    "https://127.0.0.1%00.registry.example/x",
    "https://127.0.0.1%2f@registry.example/x",
    "https://%6c%6f%63alhost/x",
    "https://１２７.０.０.１/x",
    "https://①②⑦.⓪.⓪.①/x",
    "https://localhost。/x",
    "https://127。0。0。1/x",
    "https://127.0.0.1\t/x",
    "https://127.0.0.1\n.registry.example/x",
    " https://127.0.0.1/x",
    # ports and schemes
    "https://registry.example:{port}/x",
    "https://registry.example:22/x",
    "https://registry.example:0443/x",
    "http://127.0.0.1:{port}/x",
    "http://registry.example/x",
    "HTTP://localhost:{port}/x",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "unix:/run/x.sock",
    "data:application/json,{{}}",
    "javascript:alert(1)",
)


@dataclass
class NetworkSpy:
    """Everything that was connected to, and every name that was looked up and answered with this machine."""

    connected: list[tuple[Any, ...]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)


@contextmanager
def network_spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkSpy]:
    """Answer every look-up with 127.0.0.1 and refuse, but remember, every connection of the client."""
    spy = NetworkSpy()

    def look_up(host: Any, port: Any, *_: Any, **__: Any) -> Sequence[Any]:
        spy.looked_up.append(str(host))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port or 0)))]

    async def connect(remote_host: Any, remote_port: Any, **_: Any) -> Any:
        spy.connected.append((remote_host, remote_port))
        raise OSError("nobody connects in this test")

    with monkeypatch.context() as patched:
        patched.setattr("socket.getaddrinfo", look_up)
        patched.setattr("anyio.connect_tcp", connect)
        yield spy
