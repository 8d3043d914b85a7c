"""Stored bytes over HTTP: entity tags, caching, compression, conditional requests."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.service.documents import Document, document_response
from passport_testkit.clock import NOON

LARGE = b'{"keys":[' + b'"same thing again",' * 200 + b'""]}'
SMALL = b"{}"


def document(body: bytes) -> Document:
    return Document(
        name="d",
        version=1,
        body=body,
        media_type="application/jwt",
        etag="abc_-1",
        source_etag=None,
        max_age=timedelta(seconds=60),
        fetched_at=NOON,
        checked_at=NOON,
    )


async def ask(doc: Document, method: str = "GET", **headers: str) -> httpx.Response:
    async def serve(request: Request) -> Response:
        return document_response(request, doc)

    app = Starlette(routes=[Route("/d", serve, methods=["GET", "HEAD"])])
    transport = httpx.ASGITransport(app=app)
    sent = {"accept-encoding": "identity"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    async with httpx.AsyncClient(transport=transport, base_url="https://service.example") as client:
        return await client.request(method, "/d", headers=sent)


async def test_the_bytes_are_served_as_stored() -> None:
    answer = await ask(document(SMALL))
    assert (answer.status_code, answer.content) == (200, SMALL)
    assert answer.headers["content-type"] == "application/jwt"
    assert answer.headers["etag"] == '"abc_-1"'
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["content-length"] == "2"
    assert "vary" not in answer.headers
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    "header",
    ["gzip", "gzip, br", "br;q=1.0, gzip;q=0.8", "*", "GZIP", "deflate, gzip;q=1", "gzip; q=0.001", "x-gzip"],
)
async def test_clients_that_take_gzip_get_it(header: str) -> None:
    answer = await ask(document(LARGE), accept_encoding=header)
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.content == LARGE
    assert int(answer.headers["content-length"]) < len(LARGE)
    assert answer.headers["etag"] == '"abc_-1-gzip"'
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("header", ["identity", "", "br", "gzip;q=0", "gzip;q=0.000", "gzippy", "deflate"])
async def test_clients_that_do_not_take_gzip_do_not_get_it(header: str) -> None:
    answer = await ask(document(LARGE), accept_encoding=header)
    assert "content-encoding" not in answer.headers
    assert answer.content == LARGE
    assert answer.headers["etag"] == '"abc_-1"'
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "header",
    ['"abc_-1"', 'W/"abc_-1"', '"abc_-1-gzip"', '"x", "abc_-1"', '"x","abc_-1","y"', "*", ' "abc_-1" '],
)
async def test_what_the_client_has_is_not_sent_again(header: str) -> None:
    for encoding in ("identity", "gzip"):
        answer = await ask(document(LARGE), accept_encoding=encoding, if_none_match=header)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"].startswith('"abc_-1')
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert "content-encoding" not in answer.headers
        assert "content-type" not in answer.headers


@pytest.mark.parametrize("header", ['"other"', '"abc"', '"abc_-1x"', "", ",", '"' + "x" * 10_000])
async def test_other_tags_get_the_bytes(header: str) -> None:
    answer = await ask(document(SMALL), if_none_match=header)
    assert (answer.status_code, answer.content) == (200, SMALL)


async def test_head_says_what_get_would() -> None:
    for encoding in ("identity", "gzip"):
        get = await ask(document(LARGE), accept_encoding=encoding)
        head = await ask(document(LARGE), "HEAD", accept_encoding=encoding)
        assert head.content == b""
        assert dict(head.headers) == dict(get.headers)
