"""One person's journey through a real issuer and a real verifier, with a canary in every claim and field.

What is learnt on the way that is secret (PIN, codes, tokens, keys, links) is collected as canaries too.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from passport_shared.wire.release import ByName, new_jti
from passport_testkit.cases import all_skills
from passport_testkit.clients import api_client
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import CHECKS, ENTITY, IssuerBench, check_body, running_issuer, training_body
from passport_testkit.notices import READABLE
from passport_testkit.notices import sent as sent_notices
from passport_testkit.placing import CLIENT_ID, Host, running_host
from passport_testkit.releases import HostSimulator, request_claims
from passport_testkit.staff_app import StaffApp
from passport_testkit.verifiers import VerifierBench
from tests.leaks.canaries import ABOUT_A_MOVEMENT as MOVEMENT
from tests.leaks.canaries import ABOUT_A_PERSON as PERSON
from tests.leaks.canaries import OF_WHOEVER_ACTS as ACTORS
from tests.leaks.canaries import WRITTEN_BY_HR as WRITTEN
from tests.leaks.canaries import unpacked
from tests.leaks.receiving import Registry

API_KEY = "canary-api-key-of-a-supplier-0000"
REPORTER = api_client("careless", organisation="*", scopes=["activity:write"])
HOME_HR, HOST_HR = ACTORS["HR at home"], ACTORS["HR at the host"]
POLICY = "/policies/SERVICE_NEED_URGENT.UROLOGY_SURGEON"


@dataclass
class Issued:
    """An issuer after the journey, with what became known on the way."""

    bench: IssuerBench
    staff_id: str
    secrets: dict[str, str | bytes] = field(default_factory=dict)
    refused: list[httpx.Response] = field(default_factory=list)


@dataclass
class Relied:
    """A verifier after the journey, and the issuer of the same host.

    `sealed` is what stands in its database, and can only be read by asking the verifier or the wallet.
    """

    bench: VerifierBench
    host: Host
    sealed: str = ""
    secrets: dict[str, str | bytes] = field(default_factory=dict)
    refused: list[httpx.Response] = field(default_factory=list)


def _private(key: Any) -> bytes:
    number: int = key.private.private_numbers().private_value
    return number.to_bytes(32, "big")


@contextlib.asynccontextmanager
async def issued(folder: Path, url: str, registry: Registry) -> AsyncIterator[Issued]:
    """Recorded, invited, seen, offered, collected, reported, revoked; and the registry was told."""
    settings = {**READABLE, "log_level": "debug", "client_id": "rbv-issuer"}
    async with running_issuer(folder, url, settings=settings, way_out=registry.way_out) as bench:
        await registry.knows("rbv-issuer", "RBV", bench.ctx.keys)
        await _contact_named(bench)
        staff_id = await _recorded(bench)
        found = Issued(bench, staff_id)
        await _collected(found)
        await _asked_for(found)
        await _refused_by_the_issuer(found)
        assert {item.channel for item in await sent_notices(bench)} == {"EMAIL"}
        await bench.publish()
        await registry.hears(bench.ctx.outbox, bench.clock.now())
        found.secrets["KEK"] = (folder / "kek").read_bytes().strip()
        yield found


async def _contact_named(bench: IssuerBench) -> None:
    body = {
        "name": WRITTEN["whom notices name"],
        "phone": WRITTEN["telephone that notices name"],
        "email": WRITTEN["e-mail that notices name"],
        "actor": HOME_HR,
    }
    answer = await bench.call("PUT", "/notice-contact", body, headers={"If-Match": '"0"'})
    assert answer.status_code == 200, answer.text


async def _recorded(bench: IssuerBench) -> str:
    staff_id = await bench.staff(
        legal_given=PERSON["given name"],
        legal_family=PERSON["family name"],
        preferred_name=PERSON["preferred name"],
        birthdate=PERSON["birthdate"],
        work_email=PERSON["e-mail"],
        mobile=PERSON["mobile"],
        external_ids=[{"system": "ESR", "kind": "ESR_PERSON", "value": PERSON["ESR person"]}],
    )
    below = f"/staff/{staff_id}"
    await bench.made(
        f"{below}/assignments",
        {
            "ref": PERSON["assignment number"],
            "type": "PERMANENT",
            "fte": 1.0,
            "title": PERSON["post"],
            "staff_group": "Medical and Dental",
            "job_role": "Consultant",
            "grade": "YC72",
            "department": PERSON["department at home"],
            "start": "2015-08-05",
        },
    )
    changed = {
        "DBS": {"registered_body": PERSON["DBS body"]},
        "REGISTRATION": {"number": PERSON["registration number"]},
    }
    for kind, fields in CHECKS.items():
        body = check_body(
            kind, fields={**fields, **changed.get(kind, {})}, evidence_ref=PERSON["evidence"], actor=HOME_HR
        )
        await bench.made(f"{below}/checks", body)
    await bench.made(f"{below}/training", training_body("FS", competency_name=PERSON["competency"]))
    await bench.confirm_identity(
        staff_id,
        documents=[{"kind": "PASSPORT", "last_four": PERSON["document digits"], "expires_on": "2031-01-01"}],
        actor=HOME_HR,
    )
    coming = {
        "channel": "VIDEO",
        "scheduled_for": "2026-09-02T09:00:00Z",
        "join_url": PERSON["link to the appointment"],
        "place": PERSON["place of appointment"],
        "actor": HOME_HR,
    }
    await bench.made(f"{below}/identity-sessions", coming)
    return staff_id


async def _collected(found: Issued) -> None:
    bench, below, secrets = found.bench, f"/staff/{found.staff_id}", found.secrets
    invitation = await bench.made(f"{below}/invitations", {"channel": "PRINT", "actor": HOME_HR})
    secrets["invitation link"] = str(invitation["link"]).rpartition("/")[2]
    offer = await bench.offer(found.staff_id)
    secrets["PIN"] = str(offer["tx_code"])
    wallet = bench.wallet()
    read = await wallet.read_offer(offer["credential_offer"])
    secrets["pre-authorized code"] = next(iter(read["grants"].values()))["pre-authorized_code"]
    collected = await wallet.collect(offer["credential_offer"], offer["tx_code"])
    [credential, *_] = next(iter(collected.credentials.values()))
    secrets["credential"] = credential.partition("~")[0].rpartition(".")[2]
    secrets["disclosure"] = credential.split("~")[1]
    secrets["holder's private key"] = _private(wallet.key)
    app = StaffApp(bench.http, bench.clock, ENTITY, credential, wallet.key)
    opened = await app.open()
    secrets["holder session token"] = opened.json()["access_token"]
    told = await app.call("POST", "problems", {"kind": "OTHER", "text": PERSON["problem report"]})
    assert told.status_code == 201, told.text
    headers = await bench.headers()
    secrets["management token"] = headers["Authorization"].partition(" ")[2]
    await bench.made(
        "/connections",
        {
            "name": "Employee records",
            "system_type": "LMS",
            "base_url": "https://systems.invalid/lms",
            "authentication": "API_KEY",
            "api_key": API_KEY,
            "actor": HOME_HR,
        },
    )
    secrets["API key"] = API_KEY
    [listed, *_] = (await bench.call("GET", "/credentials")).json()["items"]
    revoked = {"reason_code": "ISSUED_IN_ERROR", "actor": HOME_HR}
    answer = await bench.call("POST", f"/credentials/{listed['id']}/revoke", revoked)
    assert answer.status_code in (200, 202), answer.text


async def _asked_for(found: Issued) -> None:
    """Another trust asks for the person's release, by name and with the duties."""
    bench = found.bench
    entity = bench.registry.enrol_verifier()
    await bench.refresh()
    host = HostSimulator(bench.http, bench.clock, entity.federation_key)
    who = ByName(
        given_name=PERSON["given name"],
        family_name=PERSON["family name"],
        note=WRITTEN["note on the person"],
    )
    claims = request_claims(bench.clock.now(), who)
    movement = claims.movement.model_copy(
        update={"duties": MOVEMENT["duties"], "department": MOVEMENT["department at the host"]}
    )
    asked = await host.ask(claims.model_copy(update={"movement": movement}))
    below = "/releases/" + asked["release_uri"].rpartition("/")[2]
    manager = {
        "decision": "AGREED",
        "limits": [{"code": "DUTIES", "text": WRITTEN["limit of a release"]}],
        "actor": ACTORS["line manager"],
    }
    for path, body in (
        (f"{below}/person", {"staff_id": found.staff_id, "actor": HOME_HR}),
        (f"{below}/line-manager", manager),
    ):
        answer = await bench.call("POST", path, body)
        assert answer.status_code == 200, answer.text
    # Another request stays open, for an answer ends what was said of the person.
    await host.ask(claims.model_copy(update={"jti": new_jti(), "movement": movement}))


async def _refused_by_the_issuer(found: Issued) -> None:
    """Requests with the person's data in places where they are wrong."""
    bench = found.bench
    name, email = PERSON["family name"], PERSON["e-mail"]
    spoiled: list[tuple[str, Any]] = [
        ("/staff", {"legal_given": name, "legal_family": 7, "birthdate": email}),
        ("/staff", {"legal_given": name * 400, "legal_family": name, "birthdate": PERSON["birthdate"]}),
        ("/staff", [name]),
        (
            f"/staff/{found.staff_id}/checks",
            {"check_type": name, "outcome": email, "fields": {"number": email}},
        ),
        (f"/staff/{found.staff_id}/assignments", {"ref": email * 30, "title": {"a": name}}),
        (f"/staff/{found.staff_id}/offers", {"types": [name], "actor": name * 90}),
        (f"/staff/{found.staff_id}/training", {"subject_code": name, "completed_on": email}),
    ]
    for path, body in spoiled:
        found.refused.append(await bench.call("POST", path, body))
    headers = {**await bench.headers(), "Content-Type": "application/json"}
    below = f"{ENTITY.replace('/RBV', '')}/api/v1/organisations/RBV"
    for content in (
        f'{{"legal_given":"{name}",',
        f'{{"legal_given":"{name}","legal_given":"{email}"}}',
        f'"{name}"',
    ):
        found.refused.append(
            await bench.http.post(f"{below}/staff", content=content.encode(), headers=headers)
        )
    for query in (f"?cursor={name}", f"?limit={name}", f"?external_id={email}"):
        found.refused.append(await bench.call("GET", f"/staff{query}"))
    found.refused.append(await bench.call("GET", f"/staff/{name}"))
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "pre-authorized_code": name}
    found.refused.append(await bench.http.post("/RBV/token", data={**form, "tx_code": email}))
    for token in (name, f"{email} x"):
        wrong = {"Authorization": f"Bearer {token}"}
        found.refused.append(await bench.http.post("/RBV/credential", json={"proofs": name}, headers=wrong))


@contextlib.asynccontextmanager
async def relied(folder: Path, urls: FreshDatabases, registry: Registry) -> AsyncIterator[Relied]:
    """Asked, shared, looked up, released, decided, approved, placed, overridden; and the registry was told.

    Answers that must be refused come in between.
    """
    async with running_host(folder, urls, log_level="debug", way_out=registry.way_out) as host:
        bench = host.verifier
        await registry.knows(CLIENT_ID, "R0A", bench.ctx.keys)
        found = Relied(bench, host)
        presenter = bench.surgeon(
            CoreSkills={"skills": all_skills()},
            Employment={"position_title": PERSON["post"], "department": PERSON["department at home"]},
            ProfessionalRegistration={"number": PERSON["registration number"]},
            DbsOutcome={"registered_body": PERSON["DBS body"]},
        )
        for name in list(presenter.held):
            presenter.hold(name, **_claims(name))
        movement = await bench.movement(
            duties=MOVEMENT["duties"],
            supervisor=MOVEMENT["supervisor"],
            department=MOVEMENT["department at the host"],
            sites=[MOVEMENT["site"]],
            sessions=[MOVEMENT["sessions"]],
            out_of_hours_contact=MOVEMENT["out of hours contact"],
            external_id=MOVEMENT["roster id"],
            actor=HOST_HR,
        )
        await bench.look_up(movement["id"], number=PERSON["registration number"], actor=HOST_HR)
        person = {"given_name": PERSON["given name"], "family_name": PERSON["family name"]}
        case = await bench.ask_release(movement["id"], person=person)
        bench.desk.agree(case, holder_ref=PERSON["holder reference"])
        await bench.look(movement["id"])
        request = await bench.ask(movement["id"], actor=HOST_HR)
        found.secrets["request link"] = str(request["links"]["page"]).rpartition("/")[2]
        answer = await bench.answer(request, presenter)
        found.secrets["nonce"] = str(answer.request["nonce"])
        found.secrets["presented credential"] = presenter.held["StaffIdentity"].token.split("~")[1]
        found.secrets["holder's private key"] = _private(presenter.held["StaffIdentity"].key)
        sent = await bench.send(answer)
        assert sent.status_code == 200, sent.text
        read = await bench.read(f"/presentation-requests/{request['id']}")
        await bench.confirm(read["decision_id"], actor=HOST_HR)
        await bench.approve(movement["id"], actor=ACTORS["department of the host"])
        await _placed(host, movement["id"])
        link = await bench.made(f"/movements/{movement['id']}/agreement-links", {"actor": HOST_HR})
        found.secrets["agreement link"] = str(link["page"]).rpartition("/")[2]
        headers = await bench.headers()
        found.secrets["management token"] = headers["Authorization"].partition(" ")[2]
        found.sealed = await _overridden(bench)
        found.sealed += unpacked(presenter.held["StaffIdentity"].token).decode("utf-8", "replace")
        await _refused_by_the_verifier(found, presenter)
        await registry.hears(bench.ctx.outbox, bench.clock.now())
        found.secrets["KEK"] = (folder / "verifier-kek").read_bytes().strip()
        yield found


async def _placed(host: Host, movement_id: str) -> None:
    """The placement is begun, and the host's own issuer told of it."""
    body = {
        "position_title": WRITTEN["post at the host"],
        "position_number": WRITTEN["post number at the host"],
        "department_contact": WRITTEN["contact in the department"],
        "approved_by": WRITTEN["approved by"],
        "hr_contact": WRITTEN["HR contact of the placement"],
        "actor": HOST_HR,
    }
    await host.verifier.made(f"/movements/{movement_id}/placement", body)
    await host.round()
    assert (await host.placement(movement_id))["offer"] is not None


async def _overridden(bench: VerifierBench) -> str:
    """Two people accept that a certificate is still missing, with a reason; what HR reads of it."""
    rules = (await bench.read(POLICY))["rules"]
    for row in rules["rows"]:
        row["conditions"] = {} if row["subject"] == "FS" else row["conditions"]
    body = {**rules, "effective": "2026-09-01", "note": WRITTEN["note on a policy"]}
    ann, bea = bench.person("ann"), bench.person("bea")
    made = (await bench.call("POST", f"{POLICY}/versions", body, client=ann)).json()
    await bench.call("POST", f"{POLICY}/versions/{made['number']}/approve", {}, client=bea)
    decision = await bench.decided(bench.surgeon(CoreSkills={"skills": all_skills(FS=None)}))
    accepted = {
        "decision_id": decision["id"],
        "findings": [{"rule": "R-12", "subject": "FS"}],
        "reason": WRITTEN["reason of an override"],
    }
    proposed = await bench.call("POST", "/overrides", accepted, client=ann)
    assert proposed.status_code == 201, proposed.text
    done = await bench.call("POST", f"/overrides/{proposed.json()['id']}/approve", {}, client=bea)
    assert done.status_code == 200, done.text
    return done.text


def _claims(name: str) -> dict[str, Any]:
    """A canary for every claim of a type that may hold any text."""
    common = {
        "given_name": PERSON["given name"],
        "family_name": PERSON["family name"],
        "birthdate": PERSON["birthdate"],
        "holder_ref": PERSON["holder reference"],
    }
    own: dict[str, dict[str, Any]] = {
        "Employment": {"position_title": PERSON["post"], "department": PERSON["department at home"]},
        "ProfessionalRegistration": {"number": PERSON["registration number"]},
        "DbsOutcome": {"registered_body": PERSON["DBS body"]},
    }
    return {**common, **own.get(name, {})}


async def _refused_by_the_verifier(found: Relied, presenter: Any) -> None:
    bench, name, email = found.bench, PERSON["family name"], PERSON["e-mail"]
    request = await bench.ask()
    spoiled = await bench.answer(request, presenter)
    spoiled.vp_token = {query: [f"{email}~{name}"] for query in spoiled.vp_token}
    found.refused.append(await bench.send(spoiled))
    request = await bench.ask()
    whole = await bench.answer(request, presenter)
    whole.state = name
    found.refused.append(await bench.send(whole))
    request = await bench.ask()
    whole = await bench.answer(request, presenter)
    whole.vp_token = {query: [token[:-4] + "AAAA"] for query, [token] in whole.vp_token.items()}
    found.refused.append(await bench.send(whole))
    form = {"error": name, "error_description": email, "state": name}
    found.refused.append(await bench.http.post("/R0A/oid4vp/response", data=form))
    found.refused.append(await bench.http.post("/R0A/oid4vp/response", data={"response": email}))
    for path, body in (
        ("/movements", {"type": name, "duties": 7, "start": email}),
        ("/movements", {"duties": name * 400, "supervisor": {"a": email}}),
        ("/register-checks", {"regulator": name, "number": email, "status": name, "checked_at": email}),
        ("/presentation-requests", {"movement_id": name, "policy": email}),
    ):
        found.refused.append(await bench.call("POST", path, body))
    found.refused.append(await bench.call("GET", f"/movements/{name}"))
    found.refused.append(await bench.call("GET", f"/movements?cursor={name}&external_id={email}"))


async def misreported(registry: Registry) -> None:
    """Events under a right signature that say whom they are about; one of them where it is not kept."""
    now = registry.bench.clock.now()
    fact = {"day": now.date().isoformat(), "employing_ods": "RBV", "source": "live"}
    event = {
        "specversion": "1.0",
        "id": "misreported-1",
        "source": "https://issuer.example",
        "type": "passport.reissued",
        "time": now.isoformat().replace("+00:00", "Z"),
        "organisation": "RBV",
        "data": fact,
    }
    name, email, key = PERSON["family name"], PERSON["e-mail"], REPORTER.key
    await registry.registered(REPORTER)
    taken = await registry.sent({**event, "subject": email}, key)
    assert taken.status_code == 201, taken.text
    for spoiled in (
        {**event, "id": "misreported-2", "name": name},
        {**event, "id": "misreported-3", "data": {**fact, "person": name}},
        {**event, "id": "misreported-4", "data": {**fact, "workforce_group": name}},
        {**event, "id": "misreported-5", "data": {**fact, "durations_s": {name: email}}},
        {**event, "id": "misreported-6", "type": name},
        {**event, "id": "misreported-7", "data": {**fact, "use_case": name, "outcome": email}},
        {**event, "id": "misreported-8", "organisation": name},
    ):
        registry.refused.append(await registry.sent(spoiled, key))
