"""Temporary placements at the host's issuer: idempotent, for one key, held, reinstated, ended, erased."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select

from passport_issuer.operations import placements
from passport_issuer.store import tables as t
from passport_shared.formats import sd_jwt
from passport_shared.formats.jose import SigningKey, parse
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID
from passport_shared.wire.scopes import scopes_of
from passport_testkit.apps import problem, protocol_error
from passport_testkit.clients import api_client
from passport_testkit.issuers import ENTITY, IssuerBench, other_trust
from passport_testkit.network import vct
from passport_testkit.placements import MOVEMENT_ID, POST, VISITOR, placement_body

PATH = f"/placements/{MOVEMENT_ID}"
CONFIGURATION = "TemporaryPlacement_1"


async def put(issuer: IssuerBench, body: dict[str, Any], status: int = 200) -> dict[str, Any]:
    answer = await issuer.call("PUT", PATH, body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def step(issuer: IssuerBench, name: str, revision: int) -> dict[str, Any]:
    answer = await issuer.call("POST", f"{PATH}/{name}", {"revision": revision})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def collected(issuer: IssuerBench, told: dict[str, Any], key: SigningKey) -> str:
    """The record in the wallet of the key's holder."""
    offer = told["offer"]
    pin = (await issuer.call("POST", f"/offers/{offer['id']}/pin", {"actor": "hr-1"})).json()["tx_code"]
    wallet = issuer.wallet()
    wallet.key = key
    got = await wallet.collect(offer["credential_offer_uri"], pin)
    [credential] = got.credentials[CONFIGURATION]
    return credential


async def status_of(issuer: IssuerBench, credential: str) -> int:
    claims: dict[str, Any] = parse(credential.partition("~")[0]).claims
    entry = claims["status"]["status_list"]
    await issuer.publish()
    return (await issuer.status(entry["uri"])).list.get(entry["idx"])


async def test_a_placement_is_offered_to_the_key_and_says_exactly_its_days(issuer: IssuerBench):
    key = SigningKey.generate()
    told = await put(issuer, placement_body(key.public))
    assert (told["state"], told["on_hold"], told["collected_at"]) == ("OFFERED", False, None)
    credential = await collected(issuer, told, key)
    claims = parse(credential.partition("~")[0]).claims
    assert claims["vct"] == vct("TemporaryPlacement")
    # 2 September 00:00 and 22 September 00:00 in London, which is an hour ahead of UTC.
    assert claims["nbf"] == int(datetime(2026, 9, 1, 23, tzinfo=UTC).timestamp())
    assert claims["exp"] == int(datetime(2026, 9, 21, 23, tzinfo=UTC).timestamp())
    whole = sd_jwt.process(sd_jwt.parse(credential))
    assert {name: whole[name] for name in POST} == POST
    assert {name: whole[name] for name in VISITOR} == VISITOR
    assert (whole["host_ods"], whole["provenance"]["provider"]["role"]) == ("RBV", "HOST")
    again = (await issuer.call("GET", PATH)).json()
    assert again["state"] == "COLLECTED"


async def test_the_same_again_is_answered_alike_and_makes_nothing(issuer: IssuerBench):
    body = placement_body(SigningKey.generate().public)
    first = await put(issuer, body)
    assert await put(issuer, body) == first
    assert await put(issuer, {name: value for name, value in body.items() if name != "person"}) == first
    async with issuer.ctx.db.read() as conn:
        assert len((await conn.execute(select(t.credential_offers))).all()) == 1


async def test_many_at_once_make_one(issuer: IssuerBench):
    body = placement_body(SigningKey.generate().public)
    answers = await asyncio.gather(*(issuer.call("PUT", PATH, body) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.json()["offer"]["id"] for answer in answers}) == 1
    async with issuer.ctx.db.read() as conn:
        assert len((await conn.execute(select(t.passports))).all()) == 1
        assert len((await conn.execute(select(t.staff))).all()) == 1


async def test_another_key_is_refused_and_the_right_one_still_collects(issuer: IssuerBench):
    key = SigningKey.generate()
    told = await put(issuer, placement_body(key.public))
    link = told["offer"]["credential_offer_uri"]
    pin = (await issuer.call("POST", f"/offers/{told['offer']['id']}/pin", {"actor": "hr-1"})).json()[
        "tx_code"
    ]
    wallet = issuer.wallet()
    offer = await wallet.read_offer(link)
    assert offer["staff_passport_holder_jkt"] == key.public.thumbprint
    token = await wallet.token(offer, pin)
    protocol_error(await wallet.request(ENTITY, token, CONFIGURATION), 400, "invalid_proof")
    both = await wallet.request(ENTITY, token, CONFIGURATION, keys=[key, SigningKey.generate()])
    protocol_error(both, 400, "invalid_proof")
    right = await wallet.request(ENTITY, token, CONFIGURATION, keys=[key])
    assert right.status_code == 200, right.text


async def test_an_extension_is_offered_anew_and_takes_the_old_records_place(issuer: IssuerBench):
    key = SigningKey.generate()
    old = await collected(issuer, await put(issuer, placement_body(key.public)), key)
    longer = placement_body(key.public, person=False, revision=2, end="2026-09-30")
    told = await put(issuer, longer)
    assert told["end"] == "2026-09-30"
    assert await status_of(issuer, old) == VALID
    new = await collected(issuer, told, key)
    assert (await status_of(issuer, old), await status_of(issuer, new)) == (INVALID, VALID)


async def test_an_offer_that_was_not_collected_is_replaced(issuer: IssuerBench):
    key = SigningKey.generate()
    first = await put(issuer, placement_body(key.public))
    shorter = await put(issuer, placement_body(key.public, revision=2, end="2026-09-10"))
    assert shorter["offer"]["id"] != first["offer"]["id"]
    gone = await issuer.http.get(f"{ENTITY}/offers/{first['offer']['id']}")
    assert gone.status_code == 404
    again = (await issuer.call("POST", f"{PATH}/offer")).json()
    assert again["offer"]["id"] != shorter["offer"]["id"]


async def test_another_key_after_a_lost_phone_ends_the_old_record_at_once(issuer: IssuerBench):
    key, new = SigningKey.generate(), SigningKey.generate()
    old = await collected(issuer, await put(issuer, placement_body(key.public)), key)
    told = await put(issuer, placement_body(new.public, person=False, revision=2))
    assert await status_of(issuer, old) == INVALID
    assert await status_of(issuer, await collected(issuer, told, new)) == VALID


async def test_what_contradicts_is_refused_and_what_is_late_changes_nothing(issuer: IssuerBench):
    key = SigningKey.generate()
    await put(issuer, placement_body(key.public, revision=3))
    problem(
        await issuer.call("PUT", PATH, placement_body(key.public, revision=3, end="2026-09-30")),
        409,
        "conflict",
    )
    somebody = {**placement_body(key.public, revision=4), "person": {**VISITOR, "given_name": "Ngozi"}}
    problem(await issuer.call("PUT", PATH, somebody), 409, "conflict")
    late = await put(issuer, placement_body(key.public, revision=2, end="2026-09-30"))
    assert (late["end"], late["revision"]) == ("2026-09-21", 3)
    await step(issuer, "hold", 5)
    assert (await step(issuer, "reinstate", 4))["on_hold"] is True


async def test_hold_and_reinstate_reach_the_status_list(issuer: IssuerBench):
    key = SigningKey.generate()
    credential = await collected(issuer, await put(issuer, placement_body(key.public)), key)
    assert (await step(issuer, "hold", 2))["on_hold"] is True
    assert (await step(issuer, "hold", 2))["on_hold"] is True
    assert await status_of(issuer, credential) == SUSPENDED
    assert (await step(issuer, "reinstate", 3))["on_hold"] is False
    assert await status_of(issuer, credential) == VALID


async def test_nothing_is_collected_while_it_is_on_hold(issuer: IssuerBench):
    key = SigningKey.generate()
    told = await put(issuer, placement_body(key.public))
    await step(issuer, "hold", 2)
    problem(await issuer.call("POST", f"{PATH}/offer"), 409, "wrong_state")
    pin = (await issuer.call("POST", f"/offers/{told['offer']['id']}/pin", {"actor": "hr-1"})).json()[
        "tx_code"
    ]
    wallet = issuer.wallet()
    offer = await wallet.read_offer(told["offer"]["credential_offer_uri"])
    token = await wallet.token(offer, pin)
    refused = await wallet.request(ENTITY, token, CONFIGURATION, keys=[key])
    protocol_error(refused, 400, "credential_request_denied")


async def test_the_end_is_for_ever(issuer: IssuerBench):
    key = SigningKey.generate()
    credential = await collected(issuer, await put(issuer, placement_body(key.public)), key)
    ended = await step(issuer, "end", 2)
    assert (ended["state"], ended["offer"]) == ("ENDED", None)
    assert await step(issuer, "end", 2) == ended
    assert await status_of(issuer, credential) == INVALID
    assert (await step(issuer, "reinstate", 3))["state"] == "ENDED"
    assert await status_of(issuer, credential) == INVALID
    longer = placement_body(key.public, revision=4, end="2026-09-30")
    problem(await issuer.call("PUT", PATH, longer), 409, "wrong_state")
    problem(await issuer.call("POST", f"{PATH}/offer"), 409, "wrong_state")


async def test_hold_and_end_at_once_leave_it_ended(issuer: IssuerBench):
    key = SigningKey.generate()
    credential = await collected(issuer, await put(issuer, placement_body(key.public)), key)
    names = ["hold", "end", "hold", "reinstate", "end"]
    await asyncio.gather(*(step(issuer, name, number) for number, name in enumerate(names, start=2)))
    assert (await issuer.call("GET", PATH)).json()["state"] == "ENDED"
    assert await status_of(issuer, credential) == INVALID


async def test_it_ends_by_itself_after_its_last_day_and_the_person_is_forgotten(issuer: IssuerBench):
    key = SigningKey.generate()
    credential = await collected(issuer, await put(issuer, placement_body(key.public)), key)
    issuer.clock.set(datetime(2026, 9, 21, 22, 59, tzinfo=UTC))
    assert await placements.tidy(issuer.ctx) == 0
    issuer.clock.advance(timedelta(minutes=2))
    assert await placements.tidy(issuer.ctx) == 1
    await issuer.refresh()
    assert (await issuer.call("GET", PATH)).json()["state"] == "ENDED"
    assert await status_of(issuer, credential) == INVALID
    issuer.clock.advance(timedelta(days=91))
    assert await placements.tidy(issuer.ctx) == 1
    assert await placements.tidy(issuer.ctx) == 0
    async with issuer.ctx.db.read() as conn:
        [row] = (await conn.execute(select(t.staff))).mappings()
        datasets = (await conn.execute(select(t.offer_datasets.c.claims))).scalars().all()
    assert (row["legal_given"], row["legal_family"], row["birthdate"]) == ("", "", date(1, 1, 1))
    await issuer.sweep()
    async with issuer.ctx.db.read() as conn:
        datasets = (await conn.execute(select(t.offer_datasets.c.claims))).scalars().all()
    assert datasets == [None]


async def test_a_visitor_is_none_of_the_trusts_staff(issuer: IssuerBench):
    await put(issuer, placement_body(SigningKey.generate().public))
    assert (await issuer.call("GET", "/staff")).json()["items"] == []
    async with issuer.ctx.db.read() as conn:
        visitor = (await conn.execute(select(t.staff.c.id))).scalar_one()
    problem(await issuer.call("GET", f"/staff/{visitor}"), 404, "not_found")
    problem(await issuer.call("POST", f"/staff/{visitor}/offers", {"actor": "hr-1"}), 404, "not_found")


async def test_other_hosts_see_nothing_and_the_scope_is_needed(issuer: IssuerBench):
    body = placement_body(SigningKey.generate().public)
    problem(await issuer.call("PUT", PATH, body, client=other_trust(issuer)), 404, "not_found")
    reader = api_client("rbv-reader", organisation="RBV", scopes=scopes_of("issuer") - {"placements:write"})
    issuer.clients.put(reader)
    problem(await issuer.call("PUT", PATH, body, client=reader), 403, "forbidden")
    problem(await issuer.call("GET", PATH), 404, "not_found")
    problem(await issuer.call("POST", f"{PATH}/end", {"revision": 1}), 404, "not_found")


async def test_a_host_whose_mark_does_not_name_the_type_issues_none(issuer: IssuerBench):
    grants = [issuer.registry.authorization("issue", vct("CoreSkills"), max_validity_s=86_400)]
    issuer.registry.grant(ENTITY, grants)
    issuer.clock.advance(timedelta(seconds=31))
    await issuer.refresh()
    body = placement_body(SigningKey.generate().public)
    problem(await issuer.call("PUT", PATH, body), 409, "not_authorised_to_issue")


async def test_what_does_not_fit_is_named(issuer: IssuerBench):
    key = SigningKey.generate().public
    nobody = problem(
        await issuer.call("PUT", PATH, placement_body(key, person=False)), 422, "invalid_request"
    )
    assert nobody["field"] == "/person"
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("/start", {"start": 20_000}),
        ("/holder_jkt", {"holder_jkt": "short"}),
        ("/revision", {"revision": 0}),
        ("/post/site", {"post": {"site": ""}}),
        ("/post/licence_to_attend", {"post": {"licence_to_attend": "yes"}}),
    ]
    for pointer, changes in wrong:
        refused = problem(
            await issuer.call("PUT", PATH, placement_body(key, **changes)), 422, "invalid_request"
        )
        assert pointer in {error["pointer"] for error in refused["errors"]}, pointer
    backwards = placement_body(key, start="2026-09-03", end="2026-09-02")
    problem(await issuer.call("PUT", PATH, backwards), 422, "invalid_request")
