"""The simulators as the process that runs beside the services: over TLS, on a bad day, and stopped again."""

from __future__ import annotations

import json
import ssl
import subprocess
from datetime import timedelta

import httpx
import pytest

from deploy.dev.stack import Stack, free_ports
from deploy.simulators import clients
from passport_shared.formats import strict
from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import Limits, Outbound, OutboundError, OutboundReason
from passport_shared.service.clock import SystemClock
from passport_shared.wire.clients import ASSERTION_TYPE, client_assertion

API_KEY = "test-only-key-of-a-client"
CALLER = {"X-API-Key": API_KEY}


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """Only the simulators of a stack are started: they need none of the others."""
    made = Stack.prepare(tmp_path_factory.mktemp("stack"), ports=free_ports())
    folder = made.folder / "simulators"
    clients.register(folder / "clients.json", "tests", organisations=["*"], api_key=API_KEY)
    made.simulators.start()
    try:
        made.wait_ready("simulators")
        yield made
    finally:
        made.stop()


@pytest.fixture
async def outbound(stack):
    limits = Limits(total=timedelta(seconds=20), max_bytes=262_144)
    async with Outbound(
        ca_file=stack.tls.ca, allow={f"localhost:{stack.simulators.port}"}, limits=limits
    ) as way_out:
        yield way_out


@pytest.fixture
def switch(stack):
    context = ssl.create_default_context(cafile=str(stack.tls.ca))
    with httpx.Client(verify=context, base_url=stack.simulators.url) as http:

        def turn(path, body):
            answer = http.put(f"/control/{path}", json=body)
            assert answer.status_code == 200, answer.text

        yield turn
        http.post("/control/reset", json={})


PATHS = ("/esr/R0A/persons/20400203", "/dsp/organisations/R0A/employees/E400203")
SYSTEMS = {"/esr": "R0A/systems/esr", "/dsp": "R0A/systems/dsp"}


def system_of(path: str) -> str:
    return next(system for prefix, system in SYSTEMS.items() if path.startswith(prefix))


@pytest.mark.parametrize("path", PATHS)
async def test_it_answers_our_own_client(stack, outbound, path):
    answer = await outbound.get(stack.simulators.url + path, accept="application/json", headers=CALLER)
    assert answer.ok
    assert "Trần" in answer.body.decode()


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_never_ends_is_cut_off(stack, outbound, switch, path):
    switch(system_of(path), {"mode": "endless"})
    with pytest.raises(OutboundError) as caught:
        await outbound.get(stack.simulators.url + path, accept="application/json", headers=CALLER)
    assert caught.value.reason is OutboundReason.TOO_LARGE


@pytest.mark.parametrize("path", PATHS)
async def test_a_slow_one_keeps_nobody_but_its_own_caller(stack, outbound, switch, path):
    switch(system_of(path), {"mode": "slow", "delay_s": 600})
    with pytest.raises(OutboundError) as caught:
        await outbound.get(
            stack.simulators.url + path,
            accept="application/json",
            headers=CALLER,
            timeout=timedelta(milliseconds=300),
        )
    assert caught.value.reason is OutboundReason.TIMED_OUT
    other = path.replace("R0A", "RBV").replace("20400203", "20391234").replace("E400203", "E391234")
    assert (await outbound.get(stack.simulators.url + other, accept="application/json", headers=CALLER)).ok


@pytest.mark.parametrize("path", PATHS)
async def test_garbage_is_not_json(stack, outbound, switch, path):
    switch(system_of(path), {"mode": "garbage"})
    answer = await outbound.get(stack.simulators.url + path, accept="application/json", headers=CALLER)
    with pytest.raises(strict.StrictError):
        strict.loads(answer.body)


async def test_a_client_whose_keys_were_put_in_from_the_command_line_gets_a_token(stack, outbound, tmp_path):
    key = SigningKey.generate()
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [key.public.as_jwk(kid=key.kid, alg="ES256")]}))
    assert "may call" in stack.simulators.command("client", "issuer-rbv", str(keys), "RBV")
    now = SystemClock().now()
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client_assertion("issuer-rbv", key, audience=stack.simulators.url, now=now),
    }
    answer = await outbound.post(f"{stack.simulators.url}/oauth2/token", form=form)
    bearer = {"Authorization": f"Bearer {json.loads(answer.body)['access_token']}"}
    for ods, ok in (("RBV", True), ("R0A", False)):
        url = f"{stack.simulators.url}/esr/{ods}/changes"
        assert (await outbound.get(url, accept="*/*", headers=bearer)).ok is ok


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"PASSPORT_SIMULATORS_TLS_KEY_FILE": ""}, "no http mode"),
        ({"PASSPORT_SIMULATORS_BIND": "127.0.0.1:{port}"}, "cannot listen"),
    ],
)
def test_it_refuses_to_start(stack, changes, said):
    port = stack.simulators.port
    environment = stack.simulators.environment | {
        name: value.format(port=port) for name, value in changes.items()
    }
    done = subprocess.run(
        [*stack.simulators.program, "serve"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr
