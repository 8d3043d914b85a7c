"""What must not go well: each ends in an answer that somebody can act on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from deploy.demo import actors, gathering, travelling
from deploy.demo.onboarding import OPERATOR
from deploy.demo.pilot import Pilot
from deploy.demo.tour.record import Problem
from deploy.demo.wallets import OwnWallet, PersonWallet, WalletSaysNo
from deploy.dev import register
from deploy.dev.management import Refused
from deploy.simulators.people import TWICE
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.wallet import Wallet

AGAIN = 5


def nobody_is_merged(pilot: Pilot) -> None:
    """Two records under one name and one birthdate: the service finds both and chooses neither."""
    hire = TWICE[0]
    employer = pilot.employers[hire.ods]
    body = {
        "legal_given": hire.given_name,
        "legal_family": hire.family_name,
        "birthdate": hire.birthdate.isoformat(),
    }
    staff_id = employer.hr.post(employer.issuer, f"{employer.base}/staff", body)["id"]
    connection = employer.connections[gathering.ESR]
    found = employer.post(f"/connections/{connection}/search", {"staff_id": staff_id})["candidates"]
    links = employer.hr.get(employer.issuer, f"{employer.base}/staff/{staff_id}/links")["items"]
    pilot.story.expect(
        len(found) == 2 and not links,
        "two people of one name and birthdate are both shown, and nobody is linked",
    )
    _tell(
        pilot,
        "Two people, one name and one birthdate",
        "HR searches the staff record for a nurse; two records match in every detail.",
        [
            f"{one['given_name']} {one['family_name']}, {one['further_information'] or one['person_id']}"
            for one in found
        ],
        "HR chooses by what it knows of the two posts. Nothing is linked until then.",
    )


def a_system_is_down(pilot: Pilot) -> None:
    """The learning system is down: the staff record is read all the same, and nothing held is lost."""
    person = pilot.journeys["dietitian"].person
    employer = pilot.employers[person.employing_ods]
    http, control = (
        pilot.clients.machine.http,
        f"{pilot.stack.simulators.url}/control/{employer.ods}/systems/dsp",
    )
    http.put(control, json={"mode": "down"}).raise_for_status()
    read = employer.post(f"/staff/{pilot.staff[person.key]}/gather")
    http.put(control, json={"mode": "up"}).raise_for_status()
    outcomes = {one["system_type"]: one["outcome"] for one in read["sources"]}
    pilot.story.expect(
        outcomes == {gathering.ESR: "READ", gathering.LEARNING: "FAILED"},
        "a learning system that is down delays only itself",
    )
    failed = next(one for one in read["sources"] if one["outcome"] == "FAILED")
    _tell(
        pilot,
        "A workforce system is down",
        "The learning system of an employing trust does not answer while records are read.",
        [
            f"{failed['name']}: {failed['detail']}",
            "The staff record was read; what was held before is still held.",
        ],
        "The connection is asked again by itself; HR sees since when it has failed.",
    )


def stranger(pilot: Pilot) -> None:
    """Somebody outside the network asks, and somebody at a known address whom the network does not list."""
    wallet = next(one for one in pilot.wallets.values() if isinstance(one, PersonWallet))
    said = []
    for where in ("https://staff-passport.example/R0A", f"{pilot.stack.services['verifier'].url}/RXZ"):
        link = "openid4vp://?client_id=x509_hash%3A" + "A" * 43 + "&request_uri="
        try:
            wallet.present(link + f"{where}/oid4vp/requests/1".replace(":", "%3A").replace("/", "%2F"))
        except WalletSaysNo as refusal:
            said.append(str(refusal.body.get("detail")))
    pilot.story.expect(len(said) == 2, "strangers are refused by the wallet before anything is sent to them")
    _tell(
        pilot,
        "A stranger asks",
        "Two links ask a nurse for her records: one from outside the network, one from a trust not in it.",
        said,
        "Nothing was sent. She can report the link to her own HR.",
    )


def two_people(pilot: Pilot) -> None:
    """Records of two colleagues are shown as one person's."""
    surgeon, other = pilot.wallets["surgeon"], pilot.wallets["dietitian"]
    assert isinstance(surgeon, OwnWallet)  # noqa: S101 - the two whose files are at hand
    assert isinstance(other, OwnWallet)  # noqa: S101
    journey = pilot.journeys["surgeon"]
    request = _ask(pilot, "surgeon")
    vault = other.vault()
    theirs = vault.contents
    vault.close()

    async def mixed(wallet: Wallet) -> None:
        contents = wallet._vault.contents
        mine = [one for one in contents.credentials if one.configuration_id != "OccupationalHealth_1"]
        added = [one for one in theirs.credentials if one.configuration_id == "OccupationalHealth_1"]
        wallet._vault.contents = replace(
            contents, credentials=(*mine, *added), keys={**contents.keys, **theirs.keys}
        )
        await wallet.share(await wallet.read_request(request["links"]["deep_link"]))

    code = None
    try:
        asyncio.run(surgeon.act(mixed))
    except WalletError as refusal:
        code = refusal.code if refusal.reason is Refusal.VERIFIER_ANSWERED else None
    seen = journey.hr.get(journey.verifier, f"{journey.host}/presentation-requests/{request['id']}")
    pilot.story.expect(code == "invalid_request", "two people's records in one answer are refused")
    pilot.story.expect(
        (seen["last_refusal"], seen["decision_id"]) == ("identity_mismatch", None),
        "host HR learns why: identity mismatch; nothing is decided or kept",
    )
    _tell(
        pilot,
        "Two people's records in one answer",
        "Somebody puts a colleague's clearance among the surgeon's records and shows all as one person's.",
        [
            "Refused: the records are not shown to be one person's (identity mismatch).",
            "Nothing of either was kept.",
        ],
        "Host HR speaks to the person; the employing trust's HR is told.",
    )


def registration_lapses(pilot: Pilot, who: str = "radiologist_1") -> None:
    """A registration lapses at home, and the host knows: the passport goes on hold, the placement with it."""
    journey = pilot.journeys[who]
    http = pilot.clients.machine.http
    home, person_id = journey.person.employing_ods, journey.person.person_id
    person = f"{pilot.stack.simulators.url}/control/{home}/persons/{person_id}"
    http.put(person, json={"registration": "LAPSED"}).raise_for_status()
    pilot.story.say("At home the registration lapses; nobody tells the host. An hour passes.")
    http.post(f"{pilot.stack.simulators.url}/control/clock", json={"advance_s": 3_700}).raise_for_status()

    def held() -> bool:
        return bool(journey.get("/placement")["on_hold"])

    register.wait_until(held, "the hold of the placement")
    pilot.story.expect(held(), "the host's own checks find it: the placement is on hold")
    alerts = f"{journey.host}/alerts?acknowledged=false&movement_id={journey.movement_id}"
    told = [one for one in journey.hr.get(journey.verifier, alerts)["items"] if one["urgent"]]
    pilot.story.expect(told, "and the host is alerted, with what to do now")
    words = [alert["text"]["en-GB"] for alert in told if alert["text"]]
    findings = [finding["en-GB"] for alert in told for finding in alert["findings"]]
    pilot.story.expect(
        not any("laps" in line.lower() for line in (*words, *findings)),
        "the host learns that it is on hold, never why",
    )
    seen = {"actor": actors.hr(journey.person.host_ods)}
    journey.hr.post(journey.verifier, f"{journey.host}/alerts/{told[0]['id']}/acknowledge", seen)
    _tell(
        pilot,
        "A registration lapses at home",
        "While a radiologist works at both trusts, the regulator's register changes. The employing trust's "
        "system reads it; the passport goes on hold as a whole.",
        [*words, *findings],
        "Host HR takes the person off the list and asks the employing trust; a named person has seen it.",
    )


def issuer_in_doubt(pilot: Pilot) -> None:
    """An integrity suspension: what relies on the trust's records needs a person's decision meanwhile."""
    registry = pilot.stack.services["registry"].url
    journey, operator = pilot.journeys["surgeon"], pilot.clients.machine
    entity = f"/api/v1/organisations/{journey.person.employing_ods}/entities/ISSUER"
    body = {
        "kind": "INTEGRITY",
        "reason": "Invented: a signing machine was found open",
        "review_on": pilot.today.isoformat(),
        "actor": OPERATOR,
    }
    operator.post(registry, f"{entity}/suspend", body)
    register.published(pilot.stack, operator)
    newest = _newest_decision(pilot, "surgeon")
    again = operator.post(
        journey.verifier,
        f"{journey.host}/decisions/{newest}/recheck",
        {"actor": actors.hr(journey.person.host_ods)},
    )
    pilot.story.expect(
        again["result"]["outcome"] == "REFER", "while The Christie is in doubt, its records need a decision"
    )
    lift = {"reason": "Invented: nothing was touched", "actor": OPERATOR}
    operator.post(registry, f"{entity}/reinstate", lift)
    register.published(pilot.stack, operator)
    answer = travelling.told(again)
    _tell(
        pilot,
        "An employing trust is in doubt",
        "The network suspends The Christie for its integrity while a signing machine is examined.",
        [answer.text, *dict.fromkeys(rule.text for rule in answer.rules if rule.result == "UNKNOWN")],
        "A named role decides; the suspension was lifted afterwards.",
    )


def over_asking(pilot: Pilot) -> None:
    """The network takes an authority back after a request was made: the wallet itself refuses it."""
    registry = pilot.stack.services["registry"].url
    journey, operator = pilot.journeys["radiologist_4"], pilot.clients.machine
    request = _ask(pilot, "radiologist_4")
    grants = f"/api/v1/organisations/{journey.person.host_ods}/entities/VERIFIER/authorisations"
    wanted = next(
        one for one in operator.get(registry, grants)["items"] if one["vct"].endswith("/OccupationalHealth/1")
    )
    body = {"reason": "Invented: no longer agreed", "actor": OPERATOR}
    operator.post(registry, f"{grants}/{wanted['id']}/withdraw", body)
    register.published(pilot.stack, operator)
    refused: list[WalletSaysNo] = []
    try:
        journey.wallet.present(request["links"]["deep_link"])
    except WalletSaysNo as refusal:
        refused.append(refusal)
    pilot.story.expect(
        refused and refused[0].body.get("code") == "over_asking",
        "a host that asks for more than the network allows is refused by the wallet",
    )
    _tell(
        pilot,
        "A host asks for too much",
        "The network no longer allows Northern Care Alliance to ask for occupational health clearance; a "
        "request made before still does.",
        [str(refused[0].body.get("detail"))],
        "The host asks again, for what it may ask; the person does not have to know the rules.",
    )


def _ask(pilot: Pilot, key: str) -> dict[str, Any]:
    journey = pilot.journeys[key]
    body = {
        "movement_id": journey.movement_id,
        "channel": "VIDEO",
        "actor": actors.hr(journey.person.host_ods),
    }
    path = f"{journey.host}/presentation-requests"
    for _ in range(AGAIN):
        try:
            return dict(journey.hr.post(journey.verifier, path, body))
        except Refused as refusal:
            # The ongoing checks may be looking at the movement at this very moment.
            if refusal.code != "conflict":
                raise
            time.sleep(1)
    return dict(journey.hr.post(journey.verifier, path, body))


def _newest_decision(pilot: Pilot, key: str) -> str:
    journey = pilot.journeys[key]
    page = journey.hr.get(
        journey.verifier, f"{journey.host}/decisions?movement_id={journey.movement_id}&limit=1"
    )
    return str(page["items"][0]["id"])


def _tell(pilot: Pilot, title: str, happened: str, answered: list[str], next_step: str) -> None:
    pilot.tour.problems.append(Problem(title, happened, answered, next_step))
