"""The issuer's own clients against the simulated systems: do both sides mean the same contracts?"""

from __future__ import annotations

from datetime import date, timedelta

import httpx
import pytest

from deploy.simulators import clients, people
from passport_issuer.clients.dsp_api import DspApi
from passport_issuer.clients.esr_port import EsrPort
from passport_issuer.clients.workforce import Line, Wanted, WorkforceError, WorkforceReason
from passport_issuer.clients.workforce_credentials import ApiKey, PrivateKeyJwt, TokenRequest, Tokens
from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import Outbound

URL = "https://localhost:9003"
KEY = SigningKey.generate()
TIMEOUT = timedelta(seconds=30)


@pytest.fixture
async def line(bench):
    """`line("/esr")`: a connection of Manchester University's that signs for its tokens."""
    jwks = {"keys": [KEY.public.as_jwk(kid=KEY.kid, alg="ES256", use="sig")]}
    clients.register(bench.settings.clients_file, "issuer-r0a", organisations=["R0A"], jwks=jwks)
    outbound = Outbound(allow={"localhost:9003"}, transport=httpx.ASGITransport(app=bench.app))
    asked = TokenRequest(
        token_url=f"{URL}/oauth2/token", client_id="issuer-r0a", audience=URL, timeout=TIMEOUT
    )
    signed = PrivateKeyJwt(("connection", 1), asked, KEY, Tokens(), bench.world.clock)

    def connect(path: str, credentials=signed, ods="R0A") -> Line:
        return Line(
            base_url=f"{URL}{path}",
            ods=ods,
            timeout=TIMEOUT,
            max_pages=10,
            outbound=outbound,
            credentials=credentials,
        )

    yield connect
    await outbound.close()


def wanted(key: str) -> Wanted:
    employee = people.pilot(key).hire
    return Wanted(
        given_name=employee.given_name,
        family_name=employee.family_name,
        birthdate=employee.birthdate.isoformat(),
    )


MANCHESTER = [one for one in people.PILOT if one.employing_ods == "R0A"]


@pytest.mark.parametrize("pilot", MANCHESTER, ids=lambda one: one.key)
async def test_everybody_of_the_pilot_is_found_and_read_in_both(pilot, line):
    esr, dsp = EsrPort(line("/esr")), DspApi(line("/dsp-learning"))
    assert pilot.person_id in [one.person_id for one in await esr.search(wanted(pilot.key))]
    assert pilot.dsp_id in [one.person_id for one in await dsp.search(wanted(pilot.key))]
    records = await esr.records(pilot.person_id)
    assert {name: len(found) for name, found in records.records.items()} == {
        "assignments": 1,
        "registrations": 1,
        "checks": 4,
    }
    assert records.person.organisation == "R0A"
    learnt = await dsp.records(pilot.dsp_id)
    assert learnt.answered_id == pilot.dsp_id
    assert len(learnt.records["records"]) == len(pilot.employee(date(2026, 5, 1)).skills)


async def test_two_of_one_name_and_birthdate_are_both_candidates(line):
    twins = Wanted(given_name="Róisín", family_name="Quillerby", birthdate="1994-05-19")
    assert len(await EsrPort(line("/esr")).search(twins)) == 2
    assert len(await DspApi(line("/dsp")).search(twins)) == 2


async def test_the_feed_is_read_from_where_it_was_left(bench, line):
    esr = EsrPort(line("/esr"))
    for status in ("LAPSED", "REGISTERED") * 30:
        await bench.switch("R0A/persons/20400201", {"registration": status})
    pages = [page async for page in esr.changes(None)]
    assert [len(page) for page in pages] == [50, 10]
    cursor = pages[-1][-1].cursor
    assert [page async for page in esr.changes(cursor)] == []
    await bench.switch("R0A/persons/20400202", {"leaver_on": "2040-01-01"})
    [[change]] = [page async for page in esr.changes(cursor)]
    assert (change.kind, change.person_id) == ("leaver.notified", "20400202")


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("down", WorkforceReason.FAILED),
        ("garbage", WorkforceReason.GARBAGE),
    ],
)
async def test_a_bad_day_has_a_name(bench, line, mode, reason):
    for system, client, person in (
        ("esr", EsrPort(line("/esr")), "20400203"),
        ("dsp", DspApi(line("/dsp")), "E400203"),
    ):
        await bench.switch(f"R0A/systems/{system}", {"mode": mode})
        with pytest.raises(WorkforceError) as caught:
            await client.person(person)
        assert caught.value.reason is reason


async def test_a_system_that_is_down_says_so_when_it_is_asked_how_it_is(bench, line):
    for client in (EsrPort(line("/esr")), DspApi(line("/dsp"))):
        await client.status()
    for system in ("esr", "dsp"):
        await bench.switch(f"R0A/systems/{system}", {"mode": "down"})
    with pytest.raises(WorkforceError) as caught:
        await EsrPort(line("/esr")).status()
    assert caught.value.reason is WorkforceReason.FAILED
    with pytest.raises(WorkforceError) as caught:
        await DspApi(line("/dsp")).status()
    assert caught.value.reason is WorkforceReason.UNHEALTHY


async def test_another_trust_s_people_and_a_wrong_key_are_not_for_us(line):
    for connection in (line("/esr", ods="RBV"), line("/esr", ApiKey("wrong-but-long-enough"))):
        with pytest.raises(WorkforceError) as caught:
            await EsrPort(connection).person("20391234")
        assert caught.value.reason is WorkforceReason.NOT_AUTHORISED
