"""One round of every race for a value that is used once, whoever asks whichever process (R5).

A round prepares something, sends many requests for it at once, and asserts that exactly one came through,
that the others got the refusal that is promised, and that what is stored has happened once. The rounds know
services by their interfaces only: the same ones run against one process and against several.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import text

from passport_testkit.apps import protocol_error
from passport_testkit.contract_worlds import EVERYTHING, World
from passport_testkit.issuers import ENTITY, HR, IssuerBench, check_body
from passport_testkit.verifiers import VERIFIER, VerifierBench
from passport_testkit.wallet import WalletSimulator

TYPE, CONFIGURATION = "OccupationalHealth", "OccupationalHealth_1"
HOST_HR = "hr-0815"
PERSON = {"given_name": "Morgan", "family_name": "Invented"}
TRIES = 5


@dataclass
class Field:
    """Three services to race at, and people at the issuer whom nothing else touches."""

    worlds: dict[str, World]
    people: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> IssuerBench:
        """The issuer."""
        bench: IssuerBench = self.worlds["issuer"].bench
        return bench

    @property
    def verifier(self) -> VerifierBench:
        """The verifier."""
        bench: VerifierBench = self.worlds["verifier"].bench
        return bench

    async def person(self) -> str:
        """Somebody who may be offered one record, and has no offer that is open."""
        staff_id = await self.issuer.staff(external_ids=[])
        await self.issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
        await self.issuer.confirm_identity(staff_id)
        return staff_id

    async def offered(self) -> Offered:
        """An open offer of one record."""
        staff_id = await self.person()
        made = await self.issuer.offer(staff_id, [TYPE])
        wallet = self.issuer.wallet()
        return Offered(staff_id, made, wallet, await wallet.read_offer(made["credential_offer"]))

    async def rows(self, service: str, query: str, **values: Any) -> list[Any]:
        """Rows of a service's database, in one of the dialects' common words."""
        async with self.worlds[service].app.state.context.db.read() as conn:
            return list(await conn.execute(text(query), values))

    async def audited(self, service: str, subject: str) -> Counter[str]:
        """What the audit log has about a subject, by kind."""
        found = await self.rows(
            service, "SELECT kind FROM audit_entries WHERE subject_ref = :subject", subject=subject
        )
        return Counter(row.kind for row in found)


@dataclass(frozen=True)
class Offered:
    """An offer as HR made it and a wallet read it."""

    staff_id: str
    made: dict[str, Any]
    wallet: WalletSimulator
    offer: dict[str, Any]

    @property
    def pin(self) -> str:
        """The PIN that HR tells the person."""
        return str(self.made["tx_code"])

    def other_pin(self, step: int) -> str:
        """A wrong one."""
        return f"{(int(self.pin) + 1 + step) % 1_000_000:06d}"


Round = Callable[[Field, int], Coroutine[Any, Any, None]]


async def at_once(count: int, act: Callable[[int], Awaitable[Any]]) -> list[Any]:
    """What ``act(i)`` gave in tasks that start together; a fault of one is raised."""
    return list(await asyncio.gather(*(act(number) for number in range(count))))


def statuses(answers: list[httpx.Response]) -> dict[int, int]:
    """How often each status was answered."""
    return dict(Counter(answer.status_code for answer in answers))


async def code(field: Field, count: int) -> None:
    """A pre-authorized code with the right PIN is redeemed once."""
    one = await field.offered()
    answers = await at_once(count, lambda _: one.wallet.request_token(one.offer, one.pin))
    assert statuses(answers) == {200: 1, 400: count - 1}
    for answer in answers:
        if answer.status_code == 400:
            protocol_error(answer, 400, "invalid_grant")
    tokens = await field.rows(
        "issuer", "SELECT token_hash FROM wallet_access_tokens WHERE offer_id = :id", id=one.made["id"]
    )
    assert len(tokens) == 1
    assert (await field.audited("issuer", one.made["id"]))["credential_offer.redeemed"] == 1


async def tx_code(field: Field, count: int) -> None:
    """Of many guesses of a PIN five are looked at, and then the offer is dead for the right one too."""
    one, another = await field.offered(), await field.offered()
    answers = await at_once(count, lambda n: one.wallet.request_token(one.offer, one.other_pin(n)))
    for answer in answers:
        protocol_error(answer, 400, "invalid_grant")
    kinds = await field.audited("issuer", one.made["id"])
    assert kinds["credential_offer.tx_code_wrong"] == min(count, TRIES)
    assert kinds["credential_offer.tx_code_exhausted"] == (count >= TRIES), "the alarm is raised once"
    if count >= TRIES:
        assert (await field.issuer.call("GET", f"/offers/{one.made['id']}")).json()["pin_tries_left"] == 0
        protocol_error(await one.wallet.request_token(one.offer, one.pin), 400, "invalid_grant")
    assert (await another.wallet.request_token(another.offer, another.pin)).status_code == 200


async def nonce(field: Field, count: int) -> None:
    """One proof over one nonce gives one credential."""
    one = await field.offered()
    token = await one.wallet.token(one.offer, one.pin)
    proof = one.wallet.proof(ENTITY, await one.wallet.nonce(ENTITY))
    body = {"credential_configuration_id": CONFIGURATION, "proofs": {"jwt": [proof]}}
    answers = await at_once(count, lambda _: one.wallet.request_credential(ENTITY, token, body))
    assert statuses(answers) == {200: 1, 400: count - 1}
    for answer in answers:
        if answer.status_code == 400:
            protocol_error(answer, 400, "invalid_nonce")
    assert len(await _credentials(field, one)) == 1


async def dataset(field: Field, count: int) -> None:
    """Many right requests for one record leave one that lives, and no index twice."""
    one = await field.offered()
    token = await one.wallet.token(one.offer, one.pin)
    nonces = [await one.wallet.nonce(ENTITY) for _ in range(count)]
    answers = await at_once(
        count, lambda n: one.wallet.request(ENTITY, token, CONFIGURATION, nonce=nonces[n])
    )
    found = statuses(answers)
    assert set(found) <= {200, 400}, found
    assert found[200] >= 1
    made = await _credentials(field, one)
    assert len([row for row in made if row.state in ("PREPARED", "ISSUED", "ACTIVE")]) == 1
    assert len({(row.status_list_id, row.status_idx) for row in made}) == len(made)


async def _credentials(field: Field, one: Offered) -> list[Any]:
    query = (
        "SELECT c.state, c.status_list_id, c.status_idx FROM credentials c "
        "JOIN passports p ON p.id = c.passport_id WHERE p.staff_id = :id"
    )
    return await field.rows("issuer", query, id=one.staff_id)


async def notification(field: Field, count: int) -> None:
    """What a wallet tells many times is recorded once and answered alike."""
    one = await field.offered()
    token = await one.wallet.token(one.offer, one.pin)
    told = (await one.wallet.request(ENTITY, token, CONFIGURATION)).json()["notification_id"]
    answers = await at_once(count, lambda _: one.wallet.notify(ENTITY, token, told, "credential_accepted"))
    assert statuses(answers) == {204: count}
    query = "SELECT event FROM wallet_notifications WHERE notification_id = :id"
    assert [row.event for row in await field.rows("issuer", query, id=told)] == ["credential_accepted"]


async def withdrawn_or_redeemed(field: Field, count: int) -> None:
    """An offer that HR withdraws while the wallet redeems it is one or the other."""
    one = await field.offered()
    path = f"/offers/{one.made['id']}/withdraw"

    async def act(number: int) -> httpx.Response:
        if number % 2:
            return await field.issuer.call("POST", path, {"actor": HR})
        return await one.wallet.request_token(one.offer, one.pin)

    answers = await at_once(count, act)
    won = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    assert len(won) == 1, statuses(answers)
    state = (await field.issuer.call("GET", f"/offers/{one.made['id']}")).json()["state"]
    assert state == ("WITHDRAWN" if won[0] % 2 else "ACCEPTED")
    kinds = await field.audited("issuer", one.made["id"])
    assert kinds["credential_offer.withdrawn"] + kinds["credential_offer.redeemed"] == 1


async def held_or_reinstated(field: Field, count: int) -> None:
    """Holds and reinstatements at once: each that counts undoes the one before, and the last one stands."""
    one = await field.offered()
    await one.wallet.collect(one.made["credential_offer"], one.pin)
    below = f"/staff/{one.staff_id}/passport"
    bodies = ({"actor": HR}, {"reason_code": "EMPLOYMENT_ON_HOLD", "actor": HR})

    async def act(number: int) -> httpx.Response:
        name = "hold" if number % 2 else "reinstate"
        return await field.issuer.call("POST", f"{below}/{name}", bodies[number % 2])

    answers = await at_once(count, act)
    assert set(statuses(answers)) <= {200, 409}, [answer.text for answer in answers]
    shown = (await field.issuer.call("GET", below)).json()
    kinds = await field.audited("issuer", shown["id"])
    held = kinds["passport.held"] - kinds["passport.reinstated"]
    assert held in (0, 1), kinds
    assert shown["state"] == ("ON_HOLD" if held else "ACTIVE")
    assert kinds["passport.held"] == sum(one.status_code == 200 for one in answers[1::2])


async def assertion(field: Field, count: int) -> None:
    """One client assertion gives one access token."""
    issuer = field.issuer
    form = issuer.client.token_request("https://issuer.example", issuer.clock.now())
    answers = await at_once(count, lambda _: issuer.http.post("/oauth2/token", data=form))
    found = statuses(answers)
    assert found[200] == 1
    # The limit on failures may answer for some of them.
    assert found.get(401, 0) + found.get(429, 0) == count - 1, found


async def idempotency_key(field: Field, count: int) -> None:
    """One Idempotency-Key makes one person, however many send it."""
    issuer, headers = field.issuer, {"Idempotency-Key": uuid.uuid4().hex}
    family = f"Invented-{uuid.uuid4().hex[:8]}"
    body = {"legal_given": "Sam", "legal_family": family, "birthdate": "1990-01-01"}
    answers = await at_once(count, lambda _: issuer.call("POST", "/staff", body, headers=headers))
    found = statuses(answers)
    assert set(found) <= {201, 409}, found
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "request_in_progress"
    }
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    rows = await field.rows("issuer", "SELECT id FROM staff WHERE legal_family = :name", name=family)
    assert len(rows) == 1


async def external_id(field: Field, count: int) -> None:
    """An identifier of another system is one person's."""
    value = str(uuid.uuid4().int % 10**9)
    body = {
        "legal_given": "Sam",
        "legal_family": "Invented",
        "birthdate": "1990-01-01",
        "external_ids": [{"system": "ESR", "kind": "ESR_PERSON", "value": value}],
    }
    answers = await at_once(count, lambda _: field.issuer.call("POST", "/staff", body))
    assert statuses(answers) == {201: 1, 409: count - 1}
    rows = await field.rows("issuer", "SELECT staff_id FROM staff_external_ids WHERE value = :v", v=value)
    assert len(rows) == 1


async def presentation(field: Field, count: int) -> None:
    """One answer to one request is one decision."""
    verifier = field.verifier
    asked = await verifier.ask()
    token = (await verifier.answer(asked, verifier.surgeon())).token()
    answers = await at_once(count, lambda _: verifier.send(token))
    assert statuses(answers) == {200: 1, 400: count - 1}
    assert len(await _decisions(field, asked["id"])) == 1


async def _decisions(field: Field, request_id: str) -> list[Any]:
    return await field.rows("verifier", "SELECT id FROM decisions WHERE request_id = :id", id=request_id)


async def cancelled_or_answered(field: Field, count: int) -> None:
    """A request that is cancelled while it is answered is one or the other."""
    verifier = field.verifier
    asked = await verifier.ask()
    token = (await verifier.answer(asked, verifier.surgeon())).token()

    async def act(number: int) -> httpx.Response:
        if number % 2:
            path = f"/presentation-requests/{asked['id']}/cancel"
            return await verifier.call("POST", path, {"actor": HOST_HR})
        return await verifier.send(token)

    answers = await at_once(count, act)
    answered = sum(answer.status_code == 200 for answer in answers[::2])
    cancelled = sum(answer.status_code == 200 for answer in answers[1::2])
    shown = await verifier.read(f"/presentation-requests/{asked['id']}")
    assert set(statuses(answers)) <= {200, 400, 409}
    assert answered <= 1
    assert bool(answered) != bool(cancelled), statuses(answers)
    assert shown["state"] == ("ANSWERED" if answered else "CANCELLED")
    assert len(await _decisions(field, asked["id"])) == answered


async def response_code(field: Field, count: int) -> None:
    """The code of a same-device answer counts in the browser that began, and for no other at any moment."""
    verifier = field.verifier
    movement = await verifier.movement()
    await verifier.look_up(movement["id"])
    asked = await verifier.ask(movement["id"], flow="same_device")
    page = await verifier.http.get(asked["links"]["page"])
    own = re.search(r"__Host-request=([^;]+)", page.headers["set-cookie"])
    assert own is not None
    redirect = (await verifier.present(asked, verifier.surgeon())).json()["redirect_uri"]

    async def come_back(number: int) -> int:
        browser = own[1] if number % 2 else f"a-browser-of-somebody-else-{number}"
        verifier.http.cookies.clear()
        headers = {"Cookie": f"__Host-request={browser}"}
        return (await verifier.http.get(redirect, headers=headers)).status_code

    found = await at_once(count, come_back)
    assert set(found[::2]) == {403}
    assert set(found[1::2]) <= {200}
    kinds = await field.audited("verifier", asked["id"])
    assert max(kinds.values()) == 1, kinds


async def person_confirmed(field: Field, count: int) -> None:
    """A person is confirmed once, and the movement follows once."""
    verifier = field.verifier
    asked = await verifier.ask()
    answered = await verifier.present(asked, verifier.surgeon())
    assert answered.status_code == 200, answered.text
    decision = (await verifier.read(f"/presentation-requests/{asked['id']}"))["decision_id"]
    path = f"/decisions/{decision}/person-confirmation"
    body = {"method": "FACE_TO_FACE", "actor": HOST_HR}
    answers = await at_once(count, lambda _: verifier.call("POST", path, body))
    assert statuses(answers) == {200: count}
    assert (await field.audited("verifier", decision))["person.confirmed"] == 1


async def agreement_link(field: Field, count: int) -> None:
    """A one-time link is answered once, with whichever answer came first."""
    verifier = field.verifier
    movement = (await verifier.movement())["id"]
    made = await verifier.made(f"/movements/{movement}/agreement-links", {"actor": HOST_HR})
    path = made["page"].removeprefix(VERIFIER)
    shown = await verifier.http.get(path)
    csrf = re.search(r'name="csrf" value="([^"]+)"', shown.text)
    assert csrf is not None
    cookie = shown.headers["set-cookie"].partition(";")[0]

    async def answer(number: int) -> int:
        form = {"csrf": csrf[1], "answer": "yes" if number % 2 else "no"}
        headers = {"Cookie": cookie, "Origin": VERIFIER}
        return (await verifier.http.post(path, data=form, headers=headers)).status_code

    found = await at_once(count, answer)
    assert found.count(303) == 1, found
    rows = await field.rows("verifier", "SELECT decision FROM approvals WHERE movement_id = :id", id=movement)
    assert len(rows) == 1
    state = (await verifier.read(f"/movements/{movement}"))["state"]
    assert state == {"AGREED": "AGREED", "DECLINED": "DECLINED"}[rows[0].decision]


async def everything(field: Field, count: int) -> None:
    """All that a movement's state follows from, at once: no fault of ours, and the state it follows to."""
    verifier = field.verifier
    movement = (await verifier.movement())["id"]
    await verifier.look_up(movement)
    asked = await verifier.ask(movement)
    token = (await verifier.answer(asked, verifier.surgeon())).token()
    path = f"/movements/{movement}"
    said = {"channel": "PHONE", "at": verifier.clock.now().isoformat(), "actor": HOST_HR}
    kinds = ("HOST_DEPARTMENT", "FINANCE", "EDUCATOR")
    acts: list[Callable[[int], Awaitable[httpx.Response]]] = [
        lambda _: verifier.send(token),
        lambda n: verifier.call(
            "POST",
            f"{path}/approvals",
            {"kind": kinds[n % 3], "decision": "AGREED", "actor": f"ward-{n % 3}"},
        ),
        lambda _: verifier.call("POST", f"{path}/staff-agreement", {"decision": "AGREED", **said}),
        lambda _: verifier.call("POST", f"{path}/agreement-links", {"actor": HOST_HR}),
        lambda _: verifier.call("POST", f"{path}/induction", {"on": "2026-09-01", "actor": HOST_HR}),
        lambda _: verifier.call("POST", "/presentation-requests", {"movement_id": movement}),
        lambda _: verifier.call(
            "POST",
            f"{path}/release-request",
            {"person": {"given_name": "A", "family_name": "B"}, "actor": HR},
        ),
    ]
    answers = await at_once(count, lambda n: acts[n % len(acts)](n))
    found = statuses(answers)
    assert max(found) < 500, found
    shown = await verifier.read(path)
    assert shown["state"] == "AGREED", shown["state"]


async def graver_suspension(field: Field, count: int) -> None:
    """A suspension for integrity is taken whatever lighter one comes at the same moment, and it stands."""
    world = field.worlds["registry"]
    token = await _token(world)
    below = "/api/v1/organisations/RBV/entities/ISSUER"
    why = {"reason": "a reason to give", "actor": "op-1"}
    await world.http.post(f"{below}/reinstate", json=why, headers=token)

    async def act(number: int) -> httpx.Response:
        kind = "INTEGRITY" if number % 2 else "ADMINISTRATIVE"
        body = {"kind": kind, "review_on": "2026-12-01", **why}
        return await world.http.post(f"{below}/suspend", json=body, headers=token)

    answers = await at_once(count, act)
    assert {answer.status_code for answer in answers[1::2]} <= {200}, [one.text for one in answers[1::2]]
    assert {answer.status_code for answer in answers[::2]} <= {200, 409}
    shown = (await world.http.get(below, headers=token)).json()
    assert shown["suspension"] == "INTEGRITY", shown
    again = await at_once(count, lambda _: world.http.post(f"{below}/reinstate", json=why, headers=token))
    assert statuses(again) == {200: 1, 409: count - 1}


async def _token(world: World) -> dict[str, str]:
    kit = world.kits[EVERYTHING]
    answer = await world.http.post("/oauth2/token", data=kit.token_request(world.base_url, world.clock.now()))
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


ROUNDS: dict[str, Round] = {
    "code": code,
    "tx_code": tx_code,
    "nonce": nonce,
    "dataset": dataset,
    "notification": notification,
    "withdrawn_or_redeemed": withdrawn_or_redeemed,
    "held_or_reinstated": held_or_reinstated,
    "assertion": assertion,
    "idempotency_key": idempotency_key,
    "external_id": external_id,
    "presentation": presentation,
    "cancelled_or_answered": cancelled_or_answered,
    "response_code": response_code,
    "person_confirmed": person_confirmed,
    "agreement_link": agreement_link,
    "everything": everything,
    "graver_suspension": graver_suspension,
}
