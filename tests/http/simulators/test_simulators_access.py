"""Who may call the simulated systems: private key JWT, API keys, and everybody else refused."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deploy.simulators import clients
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.ids import random_token
from passport_shared.formats.jose import SigningKey, sign
from passport_shared.wire.clients import ASSERTION_TYP, ASSERTION_TYPE, client_assertion

URL = "https://localhost:9003"
STATUS = "/esr/R0A/persons?family_name=x"
SEARCH = "/dsp/organisations/R0A/employees?surname=x"
KEY = SigningKey.generate()
NOBODY = {"x-api-key": ""}


@pytest.fixture
def issuer(bench):
    jwks = {"keys": [KEY_JWK]}
    clients.register(bench.settings.clients_file, "issuer-r0a", organisations=["R0A"], jwks=jwks)
    return bench


def jwk_of(key: SigningKey) -> dict[str, object]:
    return key.public.as_jwk(kid=key.kid, alg="ES256", use="sig")


KEY_JWK = jwk_of(KEY)


async def ask(bench, assertion: str, **changes):
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **changes,
    }
    return await bench.http.post("/oauth2/token", data=form, headers=NOBODY)


async def token(bench, **changes) -> dict[str, str]:
    now = bench.world.clock.now()
    answer = await ask(bench, client_assertion("issuer-r0a", KEY, audience=URL, now=now), **changes)
    assert answer.status_code == 200, answer.text
    assert answer.json()["expires_in"] == 300
    assert answer.headers["cache-control"] == "no-store"
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def assertion(bench, key=KEY, typ=ASSERTION_TYP, **changes) -> str:
    now = bench.world.clock.now()
    claims = {
        "iss": "issuer-r0a",
        "sub": "issuer-r0a",
        "aud": f"{URL}/oauth2/token",
        "exp": epoch_s(now + timedelta(minutes=4)),
        "jti": random_token(),
        **changes,
    }
    return sign({name: value for name, value in claims.items() if value is not None}, key, typ=typ)


async def call(bench, path: str, headers):
    """A call with these credentials and no others."""
    del bench.http.headers["x-api-key"]
    try:
        return await bench.http.get(path, headers=headers)
    finally:
        bench.http.headers["x-api-key"] = "test-only-key-of-a-client"


async def test_a_token_opens_both_ports_for_its_own_organisation_only(issuer):
    bearer = await token(issuer)
    for path in (STATUS, SEARCH):
        assert (await call(issuer, path, bearer)).status_code == 200
        refused = await call(issuer, path.replace("R0A", "RBV"), bearer)
        assert refused.status_code == 403
    assert refused.json()["issue"][0]["code"] == "forbidden"


async def test_an_assertion_for_the_token_endpoint_is_as_good(issuer):
    assert (await ask(issuer, assertion(issuer))).status_code == 200
    assert (await ask(issuer, assertion(issuer, typ="JWT"))).status_code == 200


async def test_a_token_ends_after_five_minutes(issuer):
    bearer = await token(issuer)
    issuer.world.clock.advance(299)
    assert (await call(issuer, STATUS, bearer)).status_code == 200
    issuer.world.clock.advance(2)
    refused = await call(issuer, STATUS, bearer)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_token_dies_with_its_client(issuer):
    bearer = await token(issuer)
    clients.register(
        issuer.settings.clients_file, "issuer-r0a", organisations=["RBV"], jwks={"keys": [KEY_JWK]}
    )
    assert (await call(issuer, STATUS, bearer)).status_code == 403
    issuer.settings.clients_file.write_text("{}")
    assert (await call(issuer, STATUS, bearer)).status_code == 401


STRANGER = SigningKey.generate()
BAD_ASSERTIONS = {
    "of nobody": lambda b: assertion(b, iss="nobody", sub="nobody"),
    "of another issuer than subject": lambda b: assertion(b, iss="tests"),
    "without a subject": lambda b: assertion(b, sub=None),
    "under another key": lambda b: assertion(b, key=STRANGER),
    "for another audience": lambda b: assertion(b, aud="https://issuer.example"),
    "for a list of audiences": lambda b: assertion(b, aud=[URL]),
    "that has expired": lambda b: assertion(b, exp=epoch_s(b.world.clock.now()) - 31),
    "that lives too long": lambda b: assertion(b, exp=epoch_s(b.world.clock.now()) + 400),
    "that never ends": lambda b: assertion(b, exp=None),
    "with an end beyond all years": lambda b: assertion(b, exp=10**15),
    "without an id": lambda b: assertion(b, jti=None),
    "with an id that is no text": lambda b: assertion(b, jti=7),
    "of another type": lambda b: assertion(b, typ="at+jwt"),
    "that is no token": lambda _: "nonsense",
}


@pytest.mark.parametrize("case", BAD_ASSERTIONS)
async def test_an_assertion_is_refused(issuer, case):
    answer = await ask(issuer, BAD_ASSERTIONS[case](issuer))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_an_assertion_is_good_once(issuer):
    once = assertion(issuer)
    assert [(await ask(issuer, once)).status_code for _ in range(2)] == [200, 401]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "x"}, "invalid_request"),
    ],
)
async def test_a_request_for_something_else(issuer, changes, error):
    answer = await ask(issuer, assertion(issuer), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"grant_type=a&grant_type=b", "application/x-www-form-urlencoded", 400),
        (b"\xff=\xff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a%d=1" % n for n in range(99)), "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 20_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 400),
    ],
)
async def test_a_form_that_is_none(bench, content, content_type, status):
    answer = await bench.http.post("/oauth2/token", content=content, headers={"content-type": content_type})
    assert answer.status_code == status
    assert answer.json().keys() == {"error", "error_description"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "wrong-but-long-enough"},
        {"authorization": "Bearer nonsense"},
        {"authorization": "Bearer"},
        {"authorization": "Basic dGVzdHM6eA=="},
    ],
)
@pytest.mark.parametrize("path", [STATUS, SEARCH, "/esr/ZZZ/changes", "/dsp/organisations/ZZZ/employees"])
async def test_without_credentials_nobody_learns_even_which_organisations_there_are(bench, path, headers):
    assert (await call(bench, path, headers)).status_code == 401


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"a": 1}', '{"a": {"organisations": []}}', '{"a b": {"organisations": ["R0A"]}}'],
)
async def test_a_clients_file_that_cannot_be_read_admits_nobody(bench, content):
    bench.settings.clients_file.write_text(content)
    assert (await bench.http.get(STATUS)).status_code == 401


@pytest.mark.parametrize(
    "entry",
    [
        {"organisations": ["R0A"]},
        {"organisations": ["R0A"], "api_key": "short"},
        {"organisations": [], "api_key": "k" * 20},
        {"organisations": ["R0A"], "jwks": {"keys": ["x"]}},
    ],
)
def test_a_client_that_is_none_is_not_registered(tmp_path, entry):
    with pytest.raises(ValueError, match=r"client|API key|jwks"):
        clients.register(tmp_path / "clients.json", "somebody", **entry)
    assert not (tmp_path / "clients.json").exists()
