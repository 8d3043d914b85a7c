"""Federation endpoints and everything else the registry publishes, over HTTP (standards.md §1.8)."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from passport_registry.app import Parts, build, sealer
from passport_shared.formats import jose
from passport_shared.formats.federation import (
    verify_entity_configuration,
    verify_subordinate_statement,
    verify_trust_mark,
)
from passport_shared.formats.snapshot import Snapshot, TrustFile, verify_manifest
from passport_shared.formats.status_list import read_token
from passport_shared.wire.clients import read_directory
from passport_testkit.apps import client_of, problem, protocol_error
from passport_testkit.clock import FrozenClock
from passport_testkit.databases import POSTGRESQL, SQLITE, FreshDatabases, Templates
from passport_testkit.keys import key
from passport_testkit.registries import PUBLIC_URL, registry_bench, registry_settings

ISSUER = "https://issuer.example/RBV"
VERIFIER = "https://verifier.example/R0A"
ISSUER_MARK = f"{PUBLIC_URL}/tm/credential-issuer"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Service:
    """A running registry of one issuer and one verifier; tests of this file only read it."""

    http: httpx.AsyncClient
    clock: FrozenClock
    trust_file: TrustFile


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.postgres)]
)
async def service(
    request: pytest.FixtureRequest, database_templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("registry")
    databases = FreshDatabases(request.param, folder, database_templates)
    url = await databases.url("passport_registry")
    async with registry_bench(url, folder) as bench:
        await bench.live_issuer()
        await bench.live_verifier()
        await sealer(bench.ctx).seal()
    app = build(registry_settings(url, folder), Parts(clock=bench.clock, background=False))
    async with client_of(app, base_url=PUBLIC_URL) as http:
        yield Service(http, bench.clock, bench.trust_file)
    await databases.close()


@pytest.fixture
def http(service: Service) -> httpx.AsyncClient:
    return service.http


@pytest.fixture
def clock(service: Service) -> FrozenClock:
    return service.clock


async def anchor_keys(http: httpx.AsyncClient, clock: FrozenClock) -> Any:
    return verify_entity_configuration(
        (await http.get("/.well-known/openid-federation")).text, now=clock.now(), expected_entity=PUBLIC_URL
    )


PUBLISHED: list[tuple[str, str, str]] = [
    ("/.well-known/openid-federation", "application/entity-statement+jwt", "public, max-age=300"),
    (f"/federation/fetch?sub={ISSUER}", "application/entity-statement+jwt", "public, max-age=300"),
    ("/federation/list", "application/json", "public, max-age=300"),
    (
        f"/federation/trust_mark?trust_mark_type={ISSUER_MARK}&sub={ISSUER}",
        "application/trust-mark+jwt",
        "public, max-age=300",
    ),
    ("/federation/snapshot", "application/staff-passport-snapshot+jwt", "public, max-age=15"),
    ("/statuslists", "application/json", "public, max-age=15"),
    ("/vct/StaffIdentity/1", "application/json", "public, max-age=86400"),
    ("/client-directory", "application/staff-passport-client-directory+jwt", "public, max-age=15"),
    ("/register", "application/json", "public, max-age=60"),
]


@pytest.mark.parametrize(("path", "media_type", "cache"), PUBLISHED)
async def test_what_is_published_is_cacheable_by_everybody(http: httpx.AsyncClient, path, media_type, cache):
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == cache
    assert answer.headers["access-control-allow-origin"] == "*"
    again = await http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    plain = await http.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content


async def test_jwts_are_compressed_for_who_takes_it(http: httpx.AsyncClient):
    path = f"/federation/trust_mark?trust_mark_type={ISSUER_MARK}&sub={ISSUER}"
    async with http.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == (await http.get(path, headers={"Accept-Encoding": "identity"})).content


async def test_statements_and_marks_verify(http: httpx.AsyncClient, clock: FrozenClock):
    anchor = await anchor_keys(http, clock)
    assert "authority_hints" not in anchor.claims
    assert all(issuers == [PUBLIC_URL] for issuers in anchor.trust_mark_issuers.values())
    statement = verify_subordinate_statement(
        (await http.get("/federation/fetch", params={"sub": ISSUER})).text,
        anchor.jwks,
        clock.now(),
        sub=ISSUER,
    )
    assert set(statement.claims) == {
        "iss",
        "sub",
        "iat",
        "exp",
        "jwks",
        "metadata",
        "metadata_policy",
        "source_endpoint",
    }
    assert len(statement.metadata["openid_credential_issuer"]["jwks"]["keys"]) == 1
    verifier = verify_subordinate_statement(
        (await http.get("/federation/fetch", params={"sub": VERIFIER})).text,
        anchor.jwks,
        clock.now(),
        sub=VERIFIER,
    )
    metadata = verifier.metadata["openid_credential_verifier"]
    assert metadata == {
        "client_registration_types": ["automatic"],
        "response_uris": [f"{VERIFIER}/oid4vp/response"],
    }
    answer = await http.get("/federation/trust_mark", params={"trust_mark_type": ISSUER_MARK, "sub": ISSUER})
    mark = verify_trust_mark(
        answer.text, anchor.jwks, clock.now(), sub=ISSUER, trust_mark_issuers=anchor.trust_mark_issuers
    )
    assert jose.parse(answer.text).claims["id"] == ISSUER_MARK
    assert {pin.use for pin in mark.keys} == {"credential", "status"}


async def test_the_list_of_subordinates_may_be_filtered_by_type(http: httpx.AsyncClient):
    assert (await http.get("/federation/list")).json() == [ISSUER, VERIFIER]
    wanted = {
        "openid_credential_issuer": [ISSUER],
        "openid_credential_verifier": [VERIFIER],
        "openid_provider": [],
    }
    for entity_type, expected in wanted.items():
        answer = await http.get("/federation/list", params={"entity_type": entity_type})
        assert answer.json() == expected
    both = await http.get(
        "/federation/list?entity_type=openid_credential_issuer&entity_type=openid_credential_verifier"
    )
    assert both.json() == [ISSUER, VERIFIER]
    # Unknown parameters are ignored, as the specification asks.
    assert (await http.get("/federation/list?iss=https://registry.example&x=1")).status_code == 200


REFUSED: list[tuple[str, str, int, str]] = [
    ("fetch without sub", "/federation/fetch", 400, "invalid_request"),
    ("fetch with an empty sub", "/federation/fetch?sub=", 400, "invalid_request"),
    ("fetch with two", f"/federation/fetch?sub={ISSUER}&sub={VERIFIER}", 400, "invalid_request"),
    ("fetch with a NUL", "/federation/fetch?sub=https://a%00b", 400, "invalid_request"),
    ("fetch of the anchor itself", f"/federation/fetch?sub={PUBLIC_URL}", 400, "invalid_request"),
    ("fetch of a stranger", "/federation/fetch?sub=https://stranger.example/RBV", 404, "not_found"),
    ("fetch of a lower-case code", "/federation/fetch?sub=https://issuer.example/rbv", 404, "not_found"),
    ("list by mark", "/federation/list?trust_marked=true", 400, "unsupported_parameter"),
    ("list by mark type", f"/federation/list?trust_mark_type={ISSUER_MARK}", 400, "unsupported_parameter"),
    ("list intermediates", "/federation/list?intermediate=true", 400, "unsupported_parameter"),
    ("mark without type", f"/federation/trust_mark?sub={ISSUER}", 400, "invalid_request"),
    ("mark without sub", f"/federation/trust_mark?trust_mark_type={ISSUER_MARK}", 400, "invalid_request"),
    (
        "mark of a stranger",
        f"/federation/trust_mark?trust_mark_type={ISSUER_MARK}&sub=https://stranger.example/RBV",
        404,
        "not_found",
    ),
    (
        "mark of another type",
        f"/federation/trust_mark?trust_mark_type={PUBLIC_URL}/tm/credential-verifier&sub={ISSUER}",
        404,
        "not_found",
    ),
    ("part by another name", "/federation/parts/latest", 404, "not_found"),
    ("part in capitals", f"/federation/parts/{'A' * 64}", 404, "not_found"),
    ("unknown part", f"/federation/parts/{'a' * 64}", 404, "not_found"),
    ("unknown status list", f"/statuslists/{'a' * 22}", 404, "not_found"),
    ("status list by another name", "/statuslists/1", 404, "not_found"),
    ("unknown type", "/vct/Nothing/1", 404, "not_found"),
    ("unknown major", "/vct/StaffIdentity/2", 404, "not_found"),
    ("a path nobody knows", "/federation/nothing", 404, "not_found"),
]


@pytest.mark.parametrize(
    ("path", "status", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_what_is_refused_gets_its_code(http: httpx.AsyncClient, path, status, error):
    protocol_error(await http.get(path), status, error)


@pytest.mark.parametrize("path", ["/federation/trust_mark_status", "/federation/fetch"])
async def test_other_methods_are_refused(http: httpx.AsyncClient, path):
    method = "GET" if path.endswith("status") else "DELETE"
    answer = await http.request(method, path)
    assert answer.status_code == 405
    assert answer.json()["error"] == "invalid_request"


STATUS_REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("nothing", {"data": {}}, 400, "invalid_request"),
    ("empty", {"data": {"trust_mark": ""}}, 400, "invalid_request"),
    ("no JWS", {"data": {"trust_mark": "a mark"}}, 400, "invalid_request"),
    ("JSON", {"json": {"trust_mark": "x"}}, 400, "invalid_request"),
    (
        "twice",
        {
            "content": "trust_mark=a&trust_mark=b",
            "headers": {"content-type": "application/x-www-form-urlencoded"},
        },
        400,
        "invalid_request",
    ),
    (
        "another object",
        {"data": {"trust_mark": jose.sign({"jti": "x"}, key("s"), typ="entity-statement+jwt")}},
        400,
        "invalid_request",
    ),
    (
        "no id",
        {"data": {"trust_mark": jose.sign({"sub": "x"}, key("s"), typ="trust-mark+jwt")}},
        400,
        "invalid_request",
    ),
    (
        "somebody else's",
        {"data": {"trust_mark": jose.sign({"jti": "0198-unknown"}, key("s"), typ="trust-mark+jwt")}},
        404,
        "not_found",
    ),
    ("large", {"data": {"trust_mark": "x" * 300_000}}, 413, "invalid_request"),
]


@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [row[1:] for row in STATUS_REFUSED],
    ids=[row[0] for row in STATUS_REFUSED],
)
async def test_marks_that_cannot_be_asked_about(http: httpx.AsyncClient, request_, status, error):
    protocol_error(await http.post("/federation/trust_mark_status", **request_), status, error)


async def test_a_consumer_builds_the_snapshot_from_http_alone(
    http: httpx.AsyncClient, clock: FrozenClock, service: Service
):
    trust_file = service.trust_file
    manifest = verify_manifest((await http.get("/federation/snapshot")).text, trust_file, now=clock.now())
    parts = {}
    for part in manifest.parts:
        assert part.uri.startswith(f"{PUBLIC_URL}/federation/parts/")
        answer = await http.get(part.uri.removeprefix(PUBLIC_URL))
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        parts[part.name] = answer.content
    snap = Snapshot.load(manifest, parts, trust_file)
    mark = snap.mark_for(ISSUER)
    assert mark is not None
    served = await http.get(mark.status.uri.removeprefix(PUBLIC_URL))
    assert served.headers["content-type"] == "application/statuslist+jwt"
    token = read_token(served.text, uri=mark.status.uri, roots=snap.roots, now=clock.now())
    assert token.list.get(mark.status.idx) == 0
    assert len(token.list) == 131_072
    lists = (await http.get("/statuslists")).json()
    assert lists == {"status_lists": [mark.status.uri]}
    for vct, sha256 in snap.types.items():
        metadata = await http.get(vct.removeprefix(PUBLIC_URL))
        assert hashlib.sha256(metadata.content).hexdigest() == sha256
        assert metadata.json()["vct"] == vct


async def test_the_client_directory_is_signed_by_the_key_the_anchor_names(
    http: httpx.AsyncClient, clock: FrozenClock
):
    anchor = await anchor_keys(http, clock)
    named = anchor.metadata["federation_entity"]["staff_passport_client_directory"]
    assert named["uri"] == f"{PUBLIC_URL}/client-directory"
    read = read_directory(
        (await http.get("/client-directory")).content, named["jwks"]["keys"], iss=PUBLIC_URL, now=clock.now()
    )
    assert read.clients == {}


async def test_the_register_is_a_page_for_people(http: httpx.AsyncClient):
    items = (await http.get("/register")).json()["items"]
    assert [(i["ods_code"], i["live_to_issue"], i["live_to_verify"]) for i in items] == [
        ("R0A", False, True),
        ("RBV", True, False),
    ]
    assert items[1]["contacts"] == {"hr_team": "hr@trust.invalid"}
    assert "hrd@" not in (await http.get("/register")).text
    page = await http.get("/register", headers={"Accept": "text/html,application/xhtml+xml"})
    assert page.headers["content-type"].startswith("text/html")
    assert "The Christie NHS Foundation Trust (RBV)" in page.text
    assert '<html lang="en">' in page.text
    welsh = await http.get("/register?lang=cy", headers={"Accept": "text/html"})
    assert "Ymddiriedolaeth" in welsh.text
    assert (await http.get("/assets/passport.css")).status_code == 200


async def test_health_and_catalogue(http: httpx.AsyncClient):
    assert (await http.get("/health/live")).json() == {"status": "live"}
    ready = await http.get("/health/ready")
    checks = {"database": "ok", "clock": "ok", "anchor": "ok", "audit": "ok"}
    assert ready.json() == {"status": "ready", "checks": checks}
    for slug in ("enrolment_code_refused", "second_person_needed", "host_not_reachable"):
        assert (await http.get(f"/problems/{slug}")).status_code == 200
    problem(await http.get("/api/v1/nothing"), 404, "not_found")


async def test_openapi_names_every_route(http: httpx.AsyncClient):
    document = (await http.get("/openapi.json")).json()
    paths = set(document["paths"])
    assert {"/federation/snapshot", "/vct/{name}/{major}", "/api/v1/enrolments", "/oauth2/token"} <= paths
    assert document["paths"]["/api/v1/enrolments"]["post"]["security"] == []
    transport: Any = http._transport
    own = {"/health/live", "/health/ready", "/metrics", "/openapi.json", "/assets/passport.css"}
    # Pages for people, there only where the operator publishes them.
    own |= {"/reports", "/reports/{name}"}
    served = {
        route.path
        for route in transport.app.routes
        if hasattr(route, "path") and not route.path.startswith("/problems")
    }
    assert served - own <= paths
