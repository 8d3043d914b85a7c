"""The benchmarks do what they say: percentiles, the load's counting, and floors that refuse what is wrong."""

from __future__ import annotations

import asyncio
import base64
import gc
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import func, select
from starlette.applications import Starlette

from passport_shared.formats import jwe
from passport_shared.formats.jose import PublicKey, SigningKey
from passport_shared.service.server import YOUNG_OBJECTS, settle_collector
from passport_testkit.cases import surgeon
from tests.bench import floor, floor_apps, in_process, load, measure, presentations
from tests.bench.floor import ALGORITHM, MESSAGE
from tests.bench.measure import Ratio


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([float(n) for n in range(1, 101)], 0.99, 99.0),
        ([float(n) for n in range(1, 101)], 1, 100.0),
        ([float(n) for n in range(1, 11)], 0.99, 10.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert measure.percentile(values, share) == expected


@pytest.mark.parametrize(("values", "share"), [([], 0.5), ([1.0], 0), ([1.0], 1.1)])
def test_percentile_of_nothing_is_refused(values: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        measure.percentile(values, share)


def test_a_ratio_tells_median_and_range() -> None:
    assert str(Ratio.of([0.5, 0.25, 0.75])) == "0.50 (0.25 to 0.75)"


def test_ratios_call_every_side_alike() -> None:
    counts = {"floor": 0, "a": 0, "b": 0}

    def counting(name: str) -> Any:
        def act() -> None:
            counts[name] += 1
            sum(range(200))

        return act

    found = measure.ratios(
        counting("floor"), {"a": counting("a"), "b": counting("b")}, calls=300, repetitions=3
    )
    assert counts == {"floor": 900, "a": 900, "b": 900}
    assert found.keys() == {"a", "b"}


def test_the_floor_in_process_verifies_and_signs() -> None:
    least = floor.build(10)
    least.verify()
    least.issue()


def test_what_is_verified_in_process_has_ten_disclosures() -> None:
    holder = SigningKey.generate()
    assert len(in_process.HIDDEN) == 10
    assert {name for (name,) in in_process.HIDDEN} <= in_process.claims_for(holder).keys()
    assert in_process.claims_for(holder)["cnf"]["jwk"] == holder.public.jwk


def test_a_measured_presentation_has_ten_disclosures() -> None:
    assert len(set(presentations.DISCLOSED)) == 10
    assert set(presentations.DISCLOSED[:5]) <= surgeon()["StaffIdentity"].keys()


async def test_the_load_sends_every_request_once_and_counts_answers() -> None:
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                got.append(head.split(b" ")[1])
                status = b"404 Not Found" if b"/wrong" in head else b"200 OK"
                # The body follows its head in another write, as it may.
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 3\r\n\r\n")
                await writer.drain()
                writer.write(b"yes")
                await writer.drain()
        except asyncio.IncompleteReadError:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        run = await load.send(
            port, [load.get(f"/{n}") for n in range(20)] + [load.get("/wrong")], connections=3
        )
    assert sorted(got) == sorted([*(f"/{n}".encode() for n in range(20)), b"/wrong"])
    assert run.statuses == {200: 20, 404: 1}
    assert len(run.latencies_s) == 21
    assert run.last_body == b"yes"
    assert run.rate > 0


async def test_the_load_says_when_a_server_hangs_up() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionError):
            await load.send(port, [load.get("/")], connections=1)


def _der(key: ec.EllipticCurvePrivateKey) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(public).decode()


def _client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://floor")


async def _rows(url: str) -> int:
    engine = floor_apps.engine_of(url)
    async with engine.connect() as conn:
        count = (await conn.execute(select(func.count()).select_from(floor_apps.FLOOR))).scalar_one()
    await engine.dispose()
    return int(count)


def _signed(*keys: ec.EllipticCurvePrivateKey, message: bytes = MESSAGE) -> bytes:
    return b".".join(base64.urlsafe_b64encode(key.sign(message, ALGORITHM)) for key in keys) + b".rest"


async def test_the_presentation_floor_stores_what_verifies_and_refuses_the_rest(tmp_path: Path) -> None:
    recipient, issuer, holder = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    url = f"sqlite:///{tmp_path / 'floor.db'}"
    app = floor_apps.presentation(
        {
            "database_url": url,
            "recipient_der": base64.b64encode(SigningKey.from_private(recipient).to_der()).decode(),
            "issuer_der": _der(issuer),
            "holder_der": _der(holder),
        }
    )
    to = PublicKey.from_key(recipient.public_key())
    tokens = {
        "right": (200, jwe.encrypt(_signed(issuer, holder), to, kid="floor")),
        "wrong issuer": (400, jwe.encrypt(_signed(holder, holder), to, kid="floor")),
        "wrong holder": (400, jwe.encrypt(_signed(issuer, issuer), to, kid="floor")),
        "another message": (400, jwe.encrypt(_signed(issuer, holder, message=b"y"), to, kid="floor")),
        "one signature": (400, jwe.encrypt(_signed(issuer), to, kid="floor")),
        "another key": (400, jwe.encrypt(_signed(issuer, holder), SigningKey.generate().public, kid="floor")),
        "no token": (400, "nothing"),
    }
    async with app.router.lifespan_context(app), _client(app) as http:
        answers = {
            name: (await http.post("/response", data={"response": token})).status_code
            for name, (_, token) in tokens.items()
        }
    assert answers == {name: expected for name, (expected, _) in tokens.items()}
    assert await _rows(url) == 1


async def test_the_credential_floor_makes_two_commits_for_a_right_proof_only(tmp_path: Path) -> None:
    holder, issuer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    url = f"sqlite:///{tmp_path / 'floor.db'}"
    app = floor_apps.credential(
        {
            "database_url": url,
            "holder_der": _der(holder),
            "issuer_private_der": base64.b64encode(SigningKey.from_private(issuer).to_der()).decode(),
        }
    )
    right = base64.urlsafe_b64encode(holder.sign(MESSAGE, ALGORITHM)).decode()
    wrong = base64.urlsafe_b64encode(issuer.sign(MESSAGE, ALGORITHM)).decode()
    async with app.router.lifespan_context(app), _client(app) as http:
        issued = await http.post("/credential", json={"proof": right})
        refused = await http.post("/credential", json={"proof": wrong})
    assert (issued.status_code, refused.status_code) == (200, 400)
    signature = base64.urlsafe_b64decode(issued.json()["credential"])
    issuer.public_key().verify(signature, MESSAGE, ALGORITHM)
    assert await _rows(url) == 2


async def test_the_floor_of_stored_bytes_answers_with_its_entity_tag(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"stored")
    app: Starlette = floor_apps.stored({"file": str(tmp_path / "list"), "etag": '"one"'})
    async with _client(app) as http:
        whole = await http.get("/list")
        same = await http.get("/list", headers={"If-None-Match": whole.headers["ETag"]})
        other = await http.get("/list", headers={"If-None-Match": '"two"'})
    assert (whole.status_code, whole.content) == (200, b"stored")
    assert (same.status_code, same.content) == (304, b"")
    assert other.content == b"stored"


def test_a_request_is_whole() -> None:
    body = urlencode({"response": "token"}).encode()
    head, _, rest = load.post("/x", body, "text/plain", "Authorization: Bearer y").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /x HTTP/1.1"
    assert b"Content-Length: %d" % len(body) in lines
    assert b"Authorization: Bearer y" in lines
    assert rest == body


def test_what_a_service_made_at_its_start_is_left_alone_by_the_collector() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        settle_collector()
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold() == (YOUNG_OBJECTS, *before[1:])
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
