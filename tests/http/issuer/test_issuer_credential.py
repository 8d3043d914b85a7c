"""The credential endpoint: every error row leaves nothing behind, and a nonce works once whatever happens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from passport_issuer.store import tables
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.sd_jwt_vc import inspect
from passport_shared.formats.status_list import INVALID, VALID
from passport_testkit.apps import protocol_error
from passport_testkit.databases import at_once, both_databases
from passport_testkit.issuers import ENTITY, HR, IssuerBench, check_body
from passport_testkit.keys import key, private_jwk
from passport_testkit.wallet import WalletSimulator

CONFIGURATION = "OccupationalHealth_1"


@dataclass
class Session:
    """A wallet that has a token for one type."""

    issuer: IssuerBench
    wallet: WalletSimulator
    token: str
    staff_id: str

    async def ask(self, **body: Any) -> Any:
        """A credential request with a right proof, unless `proofs` is given."""
        if "proofs" not in body:
            nonce = await self.wallet.nonce(ENTITY)
            body["proofs"] = {"jwt": [self.wallet.proof(ENTITY, nonce)]}
        sent = {name: value for name, value in body.items() if value is not ...}
        return await self.wallet.request_credential(ENTITY, self.token, sent)

    async def count(self) -> int:
        """How many credentials are recorded."""
        async with self.issuer.ctx.db.read() as conn:
            return int(
                (await conn.execute(select(func.count()).select_from(tables.credentials))).scalar_one()
            )


async def _session(issuer: IssuerBench) -> Session:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    offer = await wallet.read_offer(made["credential_offer"])
    return Session(issuer, wallet, await wallet.token(offer, made["tx_code"]), staff_id)


async def test_every_malformed_request_has_its_code_and_stores_nothing(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "invalid_credential_request"),
        (
            {"credential_configuration_id": CONFIGURATION, "credential_identifier": "x"},
            "invalid_credential_request",
        ),
        ({"credential_configuration_id": 7}, "invalid_credential_request"),
        ({"credential_configuration_id": ""}, "invalid_credential_request"),
        ({"credential_configuration_id": "StaffIdentity_1"}, "unknown_credential_configuration"),
        ({"credential_configuration_id": "Nothing_1"}, "unknown_credential_configuration"),
        ({"credential_identifier": "unknown"}, "unknown_credential_identifier"),
        ({"credential_configuration_id": CONFIGURATION, "proofs": ...}, "invalid_proof"),
        ({"credential_configuration_id": CONFIGURATION, "proofs": {}}, "invalid_proof"),
        ({"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": []}}, "invalid_proof"),
        ({"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": [1]}}, "invalid_proof"),
        ({"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": "x"}}, "invalid_proof"),
        ({"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": ["x"] * 6}}, "invalid_proof"),
        ({"credential_configuration_id": CONFIGURATION, "proofs": {"attestation": ["x"]}}, "invalid_proof"),
        (
            {"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": ["x"], "ldp_vp": [{}]}},
            "invalid_proof",
        ),
        ({"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": ["a.b.c"]}}, "invalid_proof"),
        (
            {"credential_configuration_id": CONFIGURATION, "credential_response_encryption": {"enc": "x"}},
            "invalid_encryption_parameters",
        ),
    ]
    for body, error in cases:
        protocol_error(await session.ask(**body), 400, error)
    for raw in (b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b'{"x":NaN}', b"[" * 100_000):
        answer = await session.wallet.request_credential(ENTITY, session.token, raw)
        assert answer.status_code in (400, 413), raw[:20]
        if answer.status_code == 400:
            protocol_error(answer, 400, "invalid_credential_request")
    encrypted = await session.wallet.request_credential(
        ENTITY, session.token, b"x.y.z", **{"Content-Type": "application/jwt"}
    )
    protocol_error(encrypted, 400, "invalid_encryption_parameters")
    assert await session.count() == 0


async def test_every_bad_proof_is_refused_and_burns_no_index(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    wallet, now = session.wallet, epoch_s(issuer.clock.now())
    other = key("another holder")

    def spoiled(nonce: str) -> list[tuple[str, str]]:
        return [
            (wallet.proof(ENTITY, nonce, typ="JWT"), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, typ="kb+jwt"), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, aud=[ENTITY]), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, aud=f"{ENTITY}/"), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, aud="https://issuer.example/R0A"), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, aud=None), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, iat=None), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, iat=True), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, iat=now - 301), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, iat=now + 3600), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, exp=now - 1), "invalid_proof"),
            (wallet.proof(ENTITY, None), "invalid_nonce"),
            (wallet.proof(ENTITY, "made-up"), "invalid_nonce"),
            (wallet.proof(ENTITY, nonce.swapcase()), "invalid_nonce"),
            (wallet.proof(ENTITY, nonce, headers={}), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, headers={"kid": "did:example:1"}), "invalid_proof"),
            (
                wallet.proof(ENTITY, nonce, headers={"jwk": wallet.key.public.jwk, "kid": "x"}),
                "invalid_proof",
            ),
            (wallet.proof(ENTITY, nonce, headers={"jwk": other.public.jwk}), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, headers={"jwk": private_jwk(wallet.key)}), "invalid_proof"),
            (wallet.proof(ENTITY, nonce, headers={"jwk": {"kty": "oct", "k": "AA"}}), "invalid_proof"),
            (
                wallet.proof(ENTITY, nonce, headers={"jwk": {**wallet.key.public.jwk, "x": "A" * 43}}),
                "invalid_proof",
            ),
        ]

    nonce = await wallet.nonce(ENTITY)
    for proof, error in spoiled(nonce):
        answer = await session.ask(credential_configuration_id=CONFIGURATION, proofs={"jwt": [proof]})
        protocol_error(answer, 400, error)
    tampered = wallet.proof(ENTITY, nonce)
    unsigned = ".".join([*tampered.split(".")[:2], ""])
    for proof in (unsigned, tampered[:-2] + "AA", tampered + "=", tampered.replace(".", " ")):
        answer = await session.ask(credential_configuration_id=CONFIGURATION, proofs={"jwt": [proof]})
        protocol_error(answer, 400, "invalid_proof")
    twice = [wallet.proof(ENTITY, nonce), wallet.proof(ENTITY, nonce)]
    protocol_error(
        await session.ask(credential_configuration_id=CONFIGURATION, proofs={"jwt": twice}),
        400,
        "invalid_proof",
    )
    mixed = [wallet.proof(ENTITY, nonce), wallet.proof(ENTITY, await wallet.nonce(ENTITY), key=other)]
    protocol_error(
        await session.ask(credential_configuration_id=CONFIGURATION, proofs={"jwt": mixed}),
        400,
        "invalid_nonce",
    )
    assert await session.count() == 0
    # The nonce itself was never used up by a proof that did not verify.
    good = await wallet.request(ENTITY, session.token, CONFIGURATION, nonce=nonce)
    assert good.status_code == 200, good.text


async def test_a_nonce_lives_five_minutes_and_belongs_to_one_tenant(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    await issuer.ctx.tenants.enrol(
        "R0A", "a-one-time-code", registry_url=issuer.registry.anchor, outbound=issuer.ctx.outbound
    )
    foreign = await session.wallet.nonce("https://issuer.example/R0A")
    answer = await session.wallet.request(ENTITY, session.token, CONFIGURATION, nonce=foreign)
    protocol_error(answer, 400, "invalid_nonce")
    stale = await session.wallet.nonce(ENTITY)
    issuer.clock.advance(timedelta(minutes=5))
    answer = await session.wallet.request(ENTITY, session.token, CONFIGURATION, nonce=stale)
    protocol_error(answer, 400, "invalid_nonce")
    assert (await session.wallet.request(ENTITY, session.token, CONFIGURATION)).status_code == 200


@both_databases
async def test_one_proof_sent_fifty_times_at_once_gives_exactly_one_credential(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    nonce = await session.wallet.nonce(ENTITY)
    body = {
        "credential_configuration_id": CONFIGURATION,
        "proofs": {"jwt": [session.wallet.proof(ENTITY, nonce)]},
    }
    answers: list[Any] = await at_once(
        50, lambda _: session.wallet.request_credential(ENTITY, session.token, body)
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 49
    for answer in answers:
        if answer.status_code == 400:
            protocol_error(answer, 400, "invalid_nonce")
    assert await session.count() == 1


@both_databases
async def test_parallel_requests_for_one_dataset_leave_one_live_credential(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    answers: list[Any] = await at_once(
        12, lambda _: session.wallet.request(ENTITY, session.token, CONFIGURATION)
    )
    good = [answer for answer in answers if answer.status_code == 200]
    assert good
    assert {answer.status_code for answer in answers} <= {200, 400}
    page = (await issuer.call("GET", f"/credentials?staff_id={session.staff_id}&limit=200")).json()["items"]
    live = [item for item in page if item["state"] in ("ISSUED", "ACTIVE", "PREPARED")]
    assert len(live) == 1
    assert len({item["status_index"] for item in page}) == len(page)
    await issuer.publish()
    status = await issuer.status(live[0]["status_list"])
    for item in page:
        assert status.list.get(item["status_index"]) == (VALID if item in live else INVALID)


async def test_several_keys_give_one_credential_each_with_its_own_index(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    keys = [key(f"batch {index}") for index in range(3)]
    answer = await session.wallet.request(ENTITY, session.token, CONFIGURATION, keys=keys)
    tokens = [item["credential"] for item in answer.json()["credentials"]]
    held = [inspect(token, roots=issuer.registry.authority.roots, at=issuer.clock.now()) for token in tokens]
    assert [item.holder_thumbprint for item in held] == [item.kid for item in keys]
    indices = sorted(item.status.idx for item in held)
    assert len(set(indices)) == 3
    assert indices[2] - indices[1] != indices[1] - indices[0]


async def test_at_most_a_batch_of_one_dataset_is_live(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    for index in range(2):
        keys = [key(f"batch {index} {number}") for number in range(3)]
        answer = await session.wallet.request(ENTITY, session.token, CONFIGURATION, keys=keys)
        if index == 0:
            told = await session.wallet.notify(
                ENTITY, session.token, answer.json()["notification_id"], "credential_accepted"
            )
            assert told.status_code == 204
        else:
            protocol_error(answer, 400, "credential_request_denied")
    assert await session.count() == 3


TOKENS = [None, "", "nonsense", "x" * 500]


async def test_the_endpoint_needs_a_current_token_of_this_tenant_in_the_header(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    nonce = await session.wallet.nonce(ENTITY)
    body = {
        "credential_configuration_id": CONFIGURATION,
        "proofs": {"jwt": [session.wallet.proof(ENTITY, nonce)]},
    }
    for token in TOKENS:
        answer = await session.wallet.request_credential(ENTITY, token, body)
        protocol_error(answer, 401, "invalid_token")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    management = await issuer.headers()
    answer = await issuer.http.post(f"{ENTITY}/credential", json=body, headers=management)
    protocol_error(answer, 401, "invalid_token")
    answer = await issuer.http.post(f"{ENTITY}/credential?access_token={session.token}", json=body)
    protocol_error(answer, 401, "invalid_token")
    # and a wallet's token opens nothing else
    refused = await issuer.http.get(
        "/api/v1/organisations/RBV/staff", headers={"Authorization": f"Bearer {session.token}"}
    )
    assert refused.status_code == 401
    issuer.clock.advance(timedelta(minutes=15))
    fresh = await session.wallet.request(ENTITY, session.token, CONFIGURATION)
    protocol_error(fresh, 401, "invalid_token")


async def test_a_passport_on_hold_issues_nothing(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    held = await issuer.call(
        "POST",
        f"/staff/{session.staff_id}/passport/hold",
        {"reason_code": "EMPLOYMENT_ON_HOLD", "actor": HR},
    )
    assert held.status_code == 200, held.text
    answer = await session.wallet.request(ENTITY, session.token, CONFIGURATION)
    protocol_error(answer, 400, "credential_request_denied")
    refused = await issuer.call("POST", f"/staff/{session.staff_id}/offers", {"actor": HR})
    assert refused.json()["code"] == "wrong_state"


async def test_validity_never_exceeds_record_mark_and_type(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    await issuer.made(
        f"/staff/{staff_id}/checks",
        check_body(
            "RTW",
            performed_on="2026-08-30",
            fields={"permission": "UNTIL", "permission_expires": "2026-12-31", "route": "SHARE_CODE"},
        ),
    )
    offer = await issuer.offer(staff_id)
    collected = await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"])
    ends = {
        name: inspect(tokens[0], roots=issuer.registry.authority.roots, at=issuer.clock.now()).exp
        for name, tokens in collected.credentials.items()
    }
    assert ends["RightToWork_1"].isoformat() == "2027-01-01T00:00:00+00:00"
    # the mark of the simulator allows a year, less than the 24 months of the type
    assert ends["CoreSkills_1"] - issuer.clock.now() == timedelta(days=365)
    assert all(end - issuer.clock.now() <= timedelta(days=731) for end in ends.values())


async def test_a_new_passport_replaces_the_old_one_when_it_has_arrived(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    first = await session.wallet.request(ENTITY, session.token, CONFIGURATION)
    await session.wallet.notify(ENTITY, session.token, first.json()["notification_id"], "credential_accepted")
    offer = await issuer.offer(session.staff_id, ["OccupationalHealth"])
    await issuer.wallet().collect(offer["credential_offer"], offer["tx_code"], accept=False)
    before = (await issuer.call("GET", f"/credentials?staff_id={session.staff_id}")).json()["items"]
    assert [item["state"] for item in before] == ["ACTIVE", "ISSUED"]
    assert before[1]["supersedes"] == before[0]["id"]
    third = await issuer.offer(session.staff_id, ["OccupationalHealth"])
    await issuer.wallet().collect(third["credential_offer"], third["tx_code"])
    after = (await issuer.call("GET", f"/credentials?staff_id={session.staff_id}")).json()["items"]
    assert [item["state"] for item in after] == ["SUPERSEDED", "SUPERSEDED", "ACTIVE"]


@pytest.mark.parametrize(
    ("event", "state"),
    [("credential_accepted", "ACTIVE"), ("credential_failure", "REVOKED"), ("credential_deleted", "REVOKED")],
)
async def test_notifications_are_idempotent(issuer: IssuerBench, event: str, state: str) -> None:
    session = await _session(issuer)
    answer = await session.wallet.request(ENTITY, session.token, CONFIGURATION)
    told = answer.json()["notification_id"]
    for _ in range(3):
        again = await session.wallet.notify(ENTITY, session.token, told, event)
        assert (again.status_code, again.content) == (204, b"")
    (item,) = (await issuer.call("GET", f"/credentials?staff_id={session.staff_id}")).json()["items"]
    assert item["state"] == state


async def test_every_bad_notification_has_its_code(issuer: IssuerBench) -> None:
    session = await _session(issuer)
    other = await _session_of_another(issuer)
    answer = await session.wallet.request(ENTITY, session.token, CONFIGURATION)
    told = answer.json()["notification_id"]
    url = f"{ENTITY}/notification"
    headers = {"Authorization": f"Bearer {session.token}"}
    bodies: list[Any] = [
        {},
        {"notification_id": told},
        {"notification_id": told, "event": "credential_lost"},
        {"notification_id": 7, "event": "credential_accepted"},
        [],
    ]
    for body in bodies:
        protocol_error(
            await issuer.http.post(url, json=body, headers=headers), 400, "invalid_notification_request"
        )
    protocol_error(
        await session.wallet.notify(ENTITY, session.token, "unknown", "credential_accepted"),
        400,
        "invalid_notification_id",
    )
    # another wallet's id reads the same as no id at all
    protocol_error(
        await session.wallet.notify(ENTITY, other, told, "credential_deleted"), 400, "invalid_notification_id"
    )
    protocol_error(
        await session.wallet.notify(ENTITY, "nonsense", told, "credential_accepted"), 401, "invalid_token"
    )


async def _session_of_another(issuer: IssuerBench) -> str:
    staff_id = await issuer.staff(external_ids=[])
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    return await wallet.token(await wallet.read_offer(made["credential_offer"]), made["tx_code"])
