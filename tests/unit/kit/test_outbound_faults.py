"""Outbound calls against servers that misbehave: each fault has its reason, and costs little."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from passport_shared.outbound import Limits, Outbound, OutboundError, OutboundReason
from passport_shared.outbound.breaker import OPEN_FOR_S, THRESHOLD
from passport_testkit.servers import (
    Behaviour,
    MisbehavingServer,
    TlsAuthority,
    answer,
    endless,
    raw,
    reset,
    stalled,
    tls_server,
    truncated,
)

R = OutboundReason
JSON = "application/json"
SHORT = timedelta(milliseconds=200)


@asynccontextmanager
async def world(
    folder: Path, routes: dict[str, Behaviour], **more: object
) -> AsyncIterator[tuple[MisbehavingServer, Outbound]]:
    authority = TlsAuthority(folder)
    async with tls_server(authority.server_context("localhost"), routes) as server:
        allow = [f"localhost:{server.port}"]
        async with Outbound(ca_file=authority.ca_file, allow=allow, **more) as outbound:  # type: ignore[arg-type]
            yield server, outbound


def chunked(*parts: bytes) -> bytes:
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


BOMB = gzip.compress(bytes(50_000_000))
FAULTS: dict[str, tuple[Behaviour, OutboundReason]] = {
    "reset": (reset(), R.CONNECTION_BROKEN),
    "truncated": (truncated(), R.CONNECTION_BROKEN),
    "endless": (endless(), R.TOO_LARGE),
    "announced too large": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 262145\r\n\r\n"),
        R.TOO_LARGE,
    ),
    "one byte too much": (answer(b"x" * 262_145), R.TOO_LARGE),
    "not HTTP": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), R.CONNECTION_BROKEN),
    "huge header": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"), R.CONNECTION_BROKEN),
    "two lengths": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        R.CONNECTION_BROKEN,
    ),
    "broken chunks": (
        raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        R.CONNECTION_BROKEN,
    ),
    "HTML": (answer(b"<html>", content_type="text/html"), R.WRONG_CONTENT_TYPE),
    "HTML that calls itself +json": (answer(content_type="application/problem+json"), R.WRONG_CONTENT_TYPE),
    "longer type": (answer(content_type="application/jsonp"), R.WRONG_CONTENT_TYPE),
    "two types": (answer(content_type="application/json, text/html"), R.WRONG_CONTENT_TYPE),
    "no type": (answer(content_type=None), R.WRONG_CONTENT_TYPE),
    "redirect": (answer(b"", status=302, location="https://registry.example/"), R.REDIRECT),
    "304 that nobody asked for": (answer(b"", status=304), R.REDIRECT),
    "gzip bomb": (answer(BOMB, content_encoding="gzip"), R.TOO_LARGE),
    "gzip cut short": (answer(gzip.compress(b"{}" * 100)[:-4], content_encoding="gzip"), R.CONTENT_ENCODING),
    "not gzip": (answer(b"{}", content_encoding="gzip"), R.CONTENT_ENCODING),
    "deflate": (answer(zlib.compress(b"{}"), content_encoding="deflate"), R.CONTENT_ENCODING),
    "brotli": (answer(b"{}", content_encoding="br"), R.CONTENT_ENCODING),
    "gzip twice": (
        answer(gzip.compress(gzip.compress(b"{}")), content_encoding="gzip, gzip"),
        R.CONTENT_ENCODING,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_misbehaving_server_is_an_error_with_its_reason(tmp_path: Path, fault: str) -> None:
    behaviour, reason = FAULTS[fault]
    async with world(tmp_path, {"/": behaviour}) as (server, outbound):
        with pytest.raises(OutboundError) as refusal:
            await outbound.get(server.url("/"), accept=JSON)
        assert refusal.value.reason is reason
        assert refusal.value.host == f"localhost:{server.port}"
        assert len(server.requests) == 1, "nothing is tried twice"


def test_every_reason_is_shown_by_a_test() -> None:
    here = {reason for _, reason in FAULTS.values()}
    elsewhere = {  # test_outbound_ssrf, and below
        R.URL_MALFORMED,
        R.SCHEME_NOT_HTTPS,
        R.USERINFO,
        R.IP_LITERAL,
        R.HOST_MALFORMED,
        R.PORT_NOT_ALLOWED,
        R.NAME_NOT_RESOLVED,
        R.ADDRESS_NOT_GLOBAL,
        R.CONNECT_FAILED,
        R.TLS_FAILED,
        R.TIMED_OUT,
        R.HEADER_MALFORMED,
        R.BREAKER_OPEN,
    }
    assert here | elsewhere == set(R)


async def test_a_slow_server_is_given_up_whenever_it_stalls(tmp_path: Path) -> None:
    release = asyncio.Event()
    routes = {"/never": stalled(release, then=answer()), "/half": stalled(release)}
    async with world(tmp_path, routes) as (server, outbound):
        for path in routes:
            with pytest.raises(OutboundError) as refusal:
                await outbound.get(server.url(path), accept=JSON, timeout=SHORT)
            assert refusal.value.reason is R.TIMED_OUT
        release.set()


async def test_a_dripping_server_is_stopped_by_the_total_time(tmp_path: Path) -> None:
    """Every byte arrives in time, the whole does not."""

    async def drip(_: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while not writer.transport.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with world(tmp_path, {"/": drip}) as (server, outbound):
        with pytest.raises(OutboundError) as refusal:
            await outbound.get(server.url("/"), accept=JSON, timeout=SHORT)
        assert refusal.value.reason is R.TIMED_OUT


async def test_a_slow_name_server_counts_as_well() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    async with Outbound(resolver=resolve) as outbound:
        with pytest.raises(OutboundError) as refusal:
            await outbound.get("https://registry.example/", accept=JSON, timeout=SHORT)
        assert refusal.value.reason is R.TIMED_OUT


async def test_certificates_are_checked(tmp_path: Path) -> None:
    ours, theirs = TlsAuthority(tmp_path / "a"), TlsAuthority(tmp_path / "b")
    wrong = {
        "other name": ours.server_context("registry.example"),
        "other authority": theirs.server_context("localhost"),
        "expired": ours.server_context("localhost", expired=True),
    }
    for case, context in wrong.items():
        async with tls_server(context, {"/": answer()}) as server:
            async with Outbound(ca_file=ours.ca_file, allow=[f"localhost:{server.port}"]) as outbound:
                with pytest.raises(OutboundError) as refusal:
                    await outbound.get(server.url("/"), accept=JSON)
            assert refusal.value.reason is R.TLS_FAILED, case
            assert server.requests == [], case


async def test_a_server_without_tls_is_not_spoken_to(tmp_path: Path) -> None:
    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with Outbound(allow=[f"localhost:{port}"]) as outbound:
        with pytest.raises(OutboundError) as refusal:
            await outbound.get(f"https://localhost:{port}/", accept=JSON)
    assert refusal.value.reason in (R.TLS_FAILED, R.CONNECT_FAILED)
    listening.close()


async def test_two_names_on_one_address_do_not_share_a_connection(tmp_path: Path) -> None:
    """A connection that was opened, and checked, for one name is not used for another."""
    authority = TlsAuthority(tmp_path)

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    async with tls_server(authority.server_context("a.example"), {"/": answer()}) as server:
        allow = [f"a.example:{server.port}", f"b.example:{server.port}"]
        async with Outbound(ca_file=authority.ca_file, allow=allow, resolver=resolve) as outbound:
            for _ in range(2):
                assert (await outbound.get(server.url("/", "a.example"), accept=JSON)).ok
            with pytest.raises(OutboundError) as refusal:
                await outbound.get(server.url("/", "b.example"), accept=JSON)
        assert refusal.value.reason is R.TLS_FAILED
        assert server.server_names == ["a.example", "b.example"]
        assert len(server.requests) == 2


async def test_the_second_address_is_tried_when_the_first_does_not_answer(tmp_path: Path) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async with world(tmp_path, {"/": answer()}, resolver=resolve) as (server, outbound):
        assert (await outbound.get(server.url("/"), accept=JSON)).ok


async def test_a_good_answer_comes_back_whole(tmp_path: Path) -> None:
    routes = {"/a?b=c&d=%7B": answer(b'{"a":1}', etag='"v1"', content_type="Application/JSON; charset=utf-8")}
    async with world(tmp_path, routes) as (server, outbound):
        url = server.url("/a?b=c&d=%7B")
        response = await outbound.get(url, accept=JSON, headers={"Authorization": "Bearer x"})
        assert (response.status, response.body, response.url, response.etag) == (200, b'{"a":1}', url, '"v1"')
        assert response.ok
        assert not response.not_modified
        [request] = server.requests
        assert request.headers == {
            "host": f"localhost:{server.port}",
            "accept": JSON,
            "accept-encoding": "identity",
            "user-agent": "staff-passport",
            "authorization": "Bearer x",
        }


async def test_a_body_of_exactly_the_limit_and_gzip_within_it_are_accepted(tmp_path: Path) -> None:
    routes = {
        "/": answer(b"x" * 1_000),
        "/gzip": answer(gzip.compress(b"x" * 1_000), content_encoding="gzip"),
    }
    async with world(tmp_path, routes) as (server, outbound):
        for path in routes:
            assert (await outbound.get(server.url(path), accept=JSON, max_bytes=1_000)).body == b"x" * 1_000
            with pytest.raises(OutboundError) as refusal:
                await outbound.get(server.url(path), accept=JSON, max_bytes=999)
            assert refusal.value.reason is R.TOO_LARGE


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500, 503])
async def test_refusals_are_answers(tmp_path: Path, status: int) -> None:
    behaviour = answer(b"no", status=status, content_type="text/plain")
    async with world(tmp_path, {"/": behaviour}) as (server, outbound):
        response = await outbound.get(server.url("/"), accept=JSON)
        assert (response.status, response.body, response.ok) == (status, b"no", False)


async def test_conditional_requests(tmp_path: Path) -> None:
    async with world(tmp_path, {"/": answer(b"", status=304, content_type=None, etag='"v1"')}) as (
        server,
        outbound,
    ):
        response = await outbound.get(server.url("/"), accept=JSON, etag='"v1"')
        assert response.not_modified
        assert server.requests[0].headers["if-none-match"] == '"v1"'


async def test_posts_carry_one_body_of_one_kind(tmp_path: Path) -> None:
    async with world(tmp_path, {"/": answer(b"", status=204, content_type=None)}) as (server, outbound):
        url = server.url("/")
        assert (await outbound.post(url, json={"é": [1]})).status == 204
        await outbound.post(url, form={"a": "x y&z", "b": "é"})
        await outbound.post(url, content=b"<x/>", content_type="application/xml")
        first, second, third = server.requests
        assert (json.loads(first.body), first.headers["content-type"]) == ({"é": [1]}, JSON)
        assert parse_qs(second.body.decode()) == {"a": ["x y&z"], "b": ["é"]}
        assert second.headers["content-type"] == "application/x-www-form-urlencoded"
        assert (third.body, third.headers["content-type"]) == (b"<x/>", "application/xml")
        wrong: tuple[dict[str, Any], ...] = (
            {},
            {"json": {}, "form": {}},
            {"content": b""},
            {"json": {}, "content_type": "a/b"},
            {"json": {}, "content": b"", "content_type": "a/b"},
        )
        for bodies in wrong:
            with pytest.raises(ValueError, match="exactly one"):
                await outbound.post(url, **bodies)


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nHost: localhost"},
        {"X": "a\nb"},
        {"X": "é"},
        {"X": ""},
        {"X": " a"},
        {"X y": "a"},
        {"X:": "a"},
        {"Host": "registry.example"},
        {"transfer-encoding": "chunked"},
        {"Content-Length": "0"},
        {"Accept-Encoding": "gzip"},
    ],
)
async def test_headers_that_could_split_or_change_the_request_are_refused(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with world(tmp_path, {"/": answer()}) as (server, outbound):
        for call in (
            outbound.get(server.url("/"), accept=JSON, headers=headers),
            outbound.post(server.url("/"), json={}, headers=headers),
        ):
            with pytest.raises(OutboundError) as refusal:
                await call
            assert refusal.value.reason is R.HEADER_MALFORMED
        assert server.connections == 0


async def test_a_hundred_identical_gets_are_one_request(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with world(tmp_path, {"/": stalled(release, then=answer(b"{}"))}) as (server, outbound):
        waiting = [asyncio.create_task(outbound.get(server.url("/"), accept=JSON)) for _ in range(100)]
        await server.received(1)
        waiting[0].cancel()
        release.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert {response.body for response in results[1:] if not isinstance(response, BaseException)} == {
            b"{}"
        }
        assert len(server.requests) == 1
        await outbound.get(server.url("/"), accept=JSON)
        assert len(server.requests) == 2, "only calls under way are shared"


async def test_posts_and_different_gets_are_not_shared(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with world(tmp_path, {"/": stalled(release, then=answer(b"{}"))}) as (server, outbound):
        url = server.url("/")
        waiting = [
            asyncio.create_task(call)
            for call in (
                outbound.get(url, accept=JSON),
                outbound.get(url, accept=(JSON, "application/jwt")),
                outbound.get(url, accept=JSON, headers={"Authorization": "Bearer a"}),
                outbound.get(url, accept=JSON, headers={"Authorization": "Bearer b"}),
                outbound.post(url, json={}),
                outbound.post(url, json={}),
            )
        ]
        await server.received(6)
        release.set()
        await asyncio.gather(*waiting)


async def test_one_host_gets_no_more_than_its_share_of_connections(tmp_path: Path) -> None:
    release = asyncio.Event()
    limits = Limits(per_host=3)
    async with world(tmp_path, {"/": stalled(release, then=answer(b"{}"))}, limits=limits) as (
        server,
        outbound,
    ):
        waiting = [asyncio.create_task(outbound.post(server.url("/"), json={})) for _ in range(10)]
        await server.received(3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(server.requests) == 3
        release.set()
        assert all(response.ok for response in await asyncio.gather(*waiting))
        assert server.connections <= 3


class Monotonic:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("behaviour", [reset(), answer(b"{}", status=500)], ids=["reset", "500"])
async def test_the_breaker_opens_probes_and_closes(tmp_path: Path, behaviour: Behaviour) -> None:
    clock = Monotonic()
    async with world(tmp_path, {"/": behaviour}, monotonic=clock) as (server, outbound):
        url = server.url("/")

        async def reason() -> OutboundReason | int:
            try:
                return (await outbound.post(url, json={})).status
            except OutboundError as error:
                return error.reason

        fault = await reason()
        assert [await reason() for _ in range(THRESHOLD)] == [fault] * (THRESHOLD - 1) + [R.BREAKER_OPEN]
        assert len(server.requests) == THRESHOLD
        clock.seconds += OPEN_FOR_S - 0.1
        assert await reason() is R.BREAKER_OPEN
        clock.seconds += 0.1
        assert [await reason(), await reason()] == [fault, R.BREAKER_OPEN], "one probe, then left alone again"
        clock.seconds += OPEN_FOR_S
        server.routes["/"] = answer(b"{}")
        assert [await reason(), await reason()] == [200, 200]


async def test_one_probe_at_a_time_and_a_cancelled_one_frees_the_way(tmp_path: Path) -> None:
    clock, release = Monotonic(), asyncio.Event()
    async with world(tmp_path, {"/": reset()}, monotonic=clock) as (server, outbound):
        url = server.url("/")
        for _ in range(THRESHOLD):
            with pytest.raises(OutboundError):
                await outbound.post(url, json={})
        clock.seconds += OPEN_FOR_S
        server.routes["/"] = stalled(release, then=answer(b"{}"))
        probe = asyncio.create_task(outbound.post(url, json={}))
        await server.received(THRESHOLD + 1)
        with pytest.raises(OutboundError) as refusal:
            await outbound.post(url, json={})
        assert refusal.value.reason is R.BREAKER_OPEN
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        release.set()
        assert (await outbound.post(url, json={})).ok


async def test_what_a_healthy_host_says_wrong_does_not_open_the_breaker(tmp_path: Path) -> None:
    routes = {"/": answer(b"<html>", content_type="text/html"), "/404": answer(b"", status=404)}
    async with world(tmp_path, routes) as (server, outbound):
        for _ in range(THRESHOLD + 1):
            with pytest.raises(OutboundError) as refusal:
                await outbound.get(server.url("/"), accept=JSON)
            assert refusal.value.reason is R.WRONG_CONTENT_TYPE
            assert (await outbound.get(server.url("/404"), accept=JSON)).status == 404


async def test_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with world(tmp_path, {"/": stalled(release)}) as (server, outbound):
        waiting = asyncio.create_task(outbound.get(server.url("/"), accept=JSON))
        await server.received(1)
        await outbound.close()
        with pytest.raises(OutboundError) as refusal:
            await waiting
        assert refusal.value.reason is R.CONNECTION_BROKEN


async def test_an_application_can_stand_in_for_the_network() -> None:
    async def app(scope: dict[str, object], _receive: object, send: object) -> None:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": str(scope["path"]).encode()})  # type: ignore[operator]

    async with Outbound(transport=httpx.ASGITransport(app=app)) as outbound:  # type: ignore[arg-type]
        assert (await outbound.get("https://registry.example/x", accept=JSON)).body == b"/x"
        with pytest.raises(OutboundError):
            await outbound.get("http://registry.example/x", accept=JSON)
