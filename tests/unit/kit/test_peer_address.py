"""Whom attempts are counted under: the connection's address, or what a named proxy of ours says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.service.peer_address import MAX_HOPS, UNKNOWN, counted_address, proxies

OURS = proxies("10.0.3.0/24, 10.0.4.9,2001:db8:1::/64")

CASES = [
    ("no proxy: the connection", "192.0.2.7", "", "192.0.2.7"),
    ("a stranger's word is not taken", "192.0.2.7", "198.51.100.1", "192.0.2.7"),
    ("our proxy says who called", "10.0.3.4", "198.51.100.1", "198.51.100.1"),
    ("what the caller wrote before is not believed", "10.0.3.4", "203.0.113.9, 198.51.100.1", "198.51.100.1"),
    ("past both of our proxies", "10.0.3.4", "203.0.113.9, 198.51.100.1, 10.0.4.9", "198.51.100.1"),
    ("our proxy that says nothing", "10.0.3.4", "", "10.0.3.4"),
    ("our proxy that says nonsense", "10.0.3.4", "198.51.100.1, ?", "10.0.3.4"),
    ("a port is no address", "10.0.3.4", "198.51.100.1:4444", "10.0.3.4"),
    ("every hop is ours", "10.0.3.4", "10.0.3.5, 10.0.4.9", "10.0.3.5"),
    ("brackets", "10.0.3.4", "[2001:db8:ffff:1::9]", "2001:db8:ffff:1::/64"),
    ("IPv6 counts by its site", "2001:db8:ffff:1::9", "", "2001:db8:ffff:1::/64"),
    ("another address of the site", "2001:db8:ffff:1:8000::1", "", "2001:db8:ffff:1::/64"),
    ("IPv6 proxy", "2001:db8:1::2", "198.51.100.1", "198.51.100.1"),
    ("IPv4 in IPv6 is IPv4", "::ffff:192.0.2.7", "", "192.0.2.7"),
    ("IPv4 proxy in IPv6", "::ffff:10.0.3.4", "198.51.100.1", "198.51.100.1"),
    ("a socket without an address", "", "198.51.100.1", UNKNOWN),
    ("a name", "localhost", "198.51.100.1", UNKNOWN),
]


@pytest.mark.parametrize(
    ("host", "forwarded", "counted"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_whom_attempts_are_counted_under(host: str, forwarded: str, counted: str) -> None:
    assert counted_address(host, forwarded, OURS) == counted


def test_without_named_proxies_nothing_is_read() -> None:
    assert counted_address("10.0.3.4", "198.51.100.1", ()) == "10.0.3.4"


@given(forged=st.lists(st.ip_addresses().map(str) | st.text(max_size=8), max_size=2 * MAX_HOPS))
@settings(max_examples=60)
def test_nothing_a_caller_writes_changes_whom_they_are_counted_under(forged: list[str]) -> None:
    written = ",".join([*forged, "198.51.100.1"])
    assert counted_address("10.0.3.4", written, OURS) == "198.51.100.1"
    assert counted_address("198.51.100.1", written, OURS) == "198.51.100.1"


@pytest.mark.parametrize("value", ["0.0.0.0/0", "::/0", "10.0.3.0/33", "proxy.example", "10.0.3.4/24", "*"])
def test_what_is_no_proxy_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"network|address|appear|bits"):
        proxies(value)


def test_none_is_none() -> None:
    assert proxies("") == proxies(" , ") == frozenset()
