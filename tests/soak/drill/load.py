"""The load: passports issued and revoked, presentations decided, placements told, whole moves made.

Every coroutine is one caller that never stops for long. It notes what it was told; what it was not told it
asks for again, as people and programs do, or leaves and notes as tried. Some repeat what must happen once.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from deploy.demo.trusts import CHRISTIE, MANCHESTER
from passport_shared.formats import jose
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.jose import SigningKey, sign
from passport_shared.service.clock import SystemClock
from passport_testkit.by_hand import issuing, people
from passport_testkit.placements import placement_body
from passport_testkit.presenter import Held, Presenter
from tests.soak.drill.api import Api, GaveUp, Told
from tests.soak.drill.ledger import Ledger
from tests.soak.drill.network import Network

HOME, HOST = f"/api/v1/organisations/{CHRISTIE.ods}", f"/api/v1/organisations/{MANCHESTER.ods}"
HR = "hr-drill-1"
TYPE, CONFIGURATION = "OccupationalHealth", "OccupationalHealth_1"
PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
PER_PERSON = 12
REPEATS = 0.2
"""How often a caller repeats what must be taken once."""


@dataclass
class Load:
    """Callers of one network."""

    network: Network
    api: Api
    ledger: Ledger
    ended: asyncio.Event
    chance: random.Random
    faults: list[str] = field(default_factory=list)

    @property
    def entity(self) -> str:
        """The Christie as an issuer."""
        return f"{self.network.url('issuer')}/{CHRISTIE.ods}"

    async def run(self, callers: int) -> None:
        """Call until told to end."""
        visitor = await self.passport()
        acts: list[Callable[[], Awaitable[None]]] = []
        acts += [self.issue] * max(2, callers // 2)
        acts += [self.revoke, self.place]
        acts += [lambda: self.present(visitor)] * max(1, callers // 4)
        acts += [lambda: self.move(visitor)]
        await asyncio.gather(*(self._again(act) for act in acts))

    async def issue_until_ended(self, callers: int) -> None:
        """Only issue."""
        await asyncio.gather(*(self._again(self.issue) for _ in range(callers)))

    async def _again(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self.ended.is_set():
            try:
                await act()
            except GaveUp as gave:
                self.ledger.note("gave_up", what=str(gave))
            except Exception as fault:
                self.faults.append(f"{type(fault).__name__}: {str(fault)[:300]}")
                await asyncio.sleep(0.5)

    # -- issuing ------------------------------------------------------------------------------------------

    async def person(self, given: str) -> str:
        """A new member of staff with one check and a confirmed identity."""
        esr = str(self.chance.randrange(10**7, 10**8))
        body = people.staff(people.Colleague(given, "Invented", "1980-01-01", esr, "7000000"))
        staff_id = _made(await self.api.manage("POST", "issuer", f"{HOME}/staff", body, key=_key()))["id"]
        check = next(one for one in people.checks(people.OTHER) if one["check_type"] == "OH")
        own = f"{HOME}/staff/{staff_id}"
        _made(await self.api.manage("POST", "issuer", f"{own}/checks", check, key=_key()))
        await self._identity(own)
        return str(staff_id)

    async def _identity(self, own: str) -> None:
        session = _made(
            await self.api.manage(
                "POST",
                "issuer",
                f"{own}/identity-sessions",
                {"channel": "FACE_TO_FACE", "actor": HR},
                key=_key(),
            )
        )
        result = {
            "result": "CONFIRMED",
            "face_matched": True,
            "documents": [{"kind": "PASSPORT", "last_four": "4821", "expires_on": "2031-05-01"}],
            "originals_seen_in_person_on": people.days_ago(0),
            "actor": HR,
        }
        told = await self.api.manage(
            "POST", "issuer", f"{own}/identity-sessions/{session['id']}/result", result
        )
        if not told.good and told.tries == 1:
            raise AssertionError(f"identity: {told.status} {told.body}")

    async def issue(self) -> None:
        """A person who is offered one record after the other; each is collected by a new key."""
        staff_id = await self.person("Drill")
        for _ in range(PER_PERSON):
            if self.ended.is_set():
                return
            await self.collect(staff_id)

    async def collect(self, staff_id: str) -> None:
        """Offer, code and PIN, nonce and proof, credential; then sometimes everything once more."""
        key = _key()
        path = f"{HOME}/staff/{staff_id}/offers"
        told = await self.api.manage("POST", "issuer", path, {"actor": HR, "types": [TYPE]}, key=key)
        offer = _made(told)
        self.ledger.note("offer", key=key, id=offer["id"], staff=staff_id)
        if self.chance.random() < REPEATS:
            again = await self.api.manage("POST", "issuer", path, {"actor": HR, "types": [TYPE]}, key=key)
            if again.good:
                self.ledger.note("offer", key=key, id=again.body["id"], staff=staff_id)
        code = await self._code(offer["credential_offer"])
        token = await self._redeem(code, offer["tx_code"])
        if token is None:
            return
        holder = SigningKey.generate()
        got = await self._credential(token, holder, staff_id)
        if got and self.chance.random() < REPEATS:
            # A code that was redeemed is refused, whatever died in between.
            await self._redeem(code, offer["tx_code"])

    async def _code(self, link: str) -> str:
        query = parse_qs(urlsplit(link).query)
        if "credential_offer" in query:
            content = json.loads(query["credential_offer"][0])
        else:
            content = _made(await self.api.send("GET", query["credential_offer_uri"][0]))
        return str(content["grants"][PRE_AUTHORIZED]["pre-authorized_code"])

    async def _redeem(self, code: str, tx_code: str) -> str | None:
        form = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, "tx_code": tx_code}
        told = await self.api.send("POST", f"{self.entity}/token", data=form)
        if not told.good:
            return None
        self.ledger.note("code", code=code)
        return str(told.body["access_token"])

    async def _credential(self, token: str, holder: SigningKey, staff_id: str) -> dict[str, Any] | None:
        for _ in range(4):
            nonce = _made(await self.api.send("POST", f"{self.entity}/nonce"))["c_nonce"]
            told = await self._request(token, nonce, holder, CONFIGURATION)
            if told.good:
                if self.chance.random() < REPEATS:
                    await self._replay(token, nonce, holder)
                    return None  # the repetition may have been taken for a retry: this one is not counted
                return self._keep(told.body, staff_id)
            if told.body.get("error") != "invalid_nonce":
                return None
        return None

    async def _request(self, token: str, nonce: str, holder: SigningKey, configuration: str) -> Told:
        claims = {"aud": self.entity, "iat": epoch_s(SystemClock().now()), "nonce": nonce}
        headers = {"jwk": holder.public.jwk}
        proof = sign(claims, holder, typ="openid4vci-proof+jwt", kid=False, headers=headers)
        told = await self.api.send(
            "POST",
            f"{self.entity}/credential",
            json={"credential_configuration_id": configuration, "proofs": {"jwt": [proof]}},
            headers={"authorization": f"Bearer {token}"},
        )
        if told.good:
            self.ledger.note("nonce", nonce=nonce)
        return told

    async def _replay(self, token: str, nonce: str, holder: SigningKey) -> None:
        await self._request(token, nonce, holder, CONFIGURATION)

    def _keep(self, body: dict[str, Any], staff_id: str) -> dict[str, Any]:
        claims = jose.parse(body["credentials"][0]["credential"].partition("~")[0]).claims
        entry: dict[str, Any] = dict(claims["status"]["status_list"])
        self.ledger.note("credential", staff=staff_id, uri=entry["uri"], idx=entry["idx"])
        return entry

    # -- revoking -----------------------------------------------------------------------------------------

    async def revoke(self) -> None:
        """Revoke one that was acknowledged."""
        tried = {fact.said["idx"] for fact in self.ledger.of("revoking")}
        known = [fact for fact in self.ledger.of("credential") if fact.said["idx"] not in tried]
        if len(known) < 4:
            await asyncio.sleep(0.5)
            return
        chosen = self.chance.choice(known).said
        page = await self.api.manage(
            "GET", "issuer", f"{HOME}/credentials?staff_id={chosen['staff']}&limit=100"
        )
        found = [
            one
            for one in _made(page)["items"]
            if (one["status_list"], one["status_index"]) == (chosen["uri"], chosen["idx"])
        ]
        if not found:
            self.ledger.note("not_found", **chosen)
            return
        self.ledger.note("revoking", uri=chosen["uri"], idx=chosen["idx"])
        path = f"{HOME}/credentials/{found[0]['id']}/revoke"
        told = await self.api.manage("POST", "issuer", path, {"reason_code": "ISSUED_IN_ERROR", "actor": HR})
        # A second try that is told "it is revoked" was told so by the first.
        if told.good or (told.tries > 1 and told.status == 409):
            self.ledger.note("revoked", uri=chosen["uri"], idx=chosen["idx"])
        elif told.status != 409:
            raise AssertionError(f"revoke: {told.status} {told.body}")

    # -- presenting ---------------------------------------------------------------------------------------

    async def passport(self) -> Presenter:
        """A surgeon with a whole passport, collected with one key."""
        number = self.chance.randrange(10**7, 10**8)
        surgeon = people.Colleague("Adaeze", "Drill-Surgeon", "1981-03-09", str(number), "7099991")
        hr, stack = self.network.clients.machine, self.network.stack

        staff_id = await asyncio.to_thread(issuing.record, stack, hr, surgeon)
        offer = await asyncio.to_thread(issuing.offer, stack, hr, staff_id)
        token = await self._redeem(await self._code(offer["credential_offer"]), offer["tx_code"])
        assert token is not None
        key, presenter = SigningKey.generate(), Presenter(None)  # type: ignore[arg-type]
        for configuration in offer["credential_configuration_ids"]:
            nonce = _made(await self.api.send("POST", f"{self.entity}/nonce"))["c_nonce"]
            got = _made(await self._request(token, nonce, key, configuration))
            name = configuration.rpartition("_")[0]
            presenter.held[name] = Held(name, got["credentials"][0]["credential"], key, 0)
        presenter.person["staff_id"] = staff_id
        return presenter

    async def movement(self) -> str:
        """A movement with its look-up of the register."""
        body = {
            "type": "SERVICE_NEED_URGENT",
            "role_profile": "UROLOGY_SURGEON",
            "employing_ods": CHRISTIE.ods,
            "start": people.today().isoformat(),
            "end": people.today().isoformat(),
            "sites": ["Manchester Royal Infirmary"],
            "department": "Urology",
            "duties": "One urgent operating list, hands-on",
            "supervisor": "Clinical director of urology",
            "sessions": ["Whole day"],
            "out_of_hours_contact": "Site manager on call",
            "use_case": "SERVICE_NEED",
            "workforce_group": "Clinicians",
            "would_have_needed": "HONORARY_CONTRACT",
            "actor": HR,
        }
        made = _made(await self.api.manage("POST", "verifier", f"{HOST}/movements", body, key=_key()))
        self.ledger.note("movement", id=made["id"])
        look_up = {
            "movement_id": made["id"],
            "regulator": "GMC",
            "number": "7099991",
            "status": "REGISTERED",
            "licence": True,
            "checked_at": SystemClock().now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "actor": HR,
        }
        _made(await self.api.manage("POST", "verifier", f"{HOST}/register-checks", look_up, key=_key()))
        return str(made["id"])

    async def present(self, visitor: Presenter) -> None:
        """Ask, answer, and answer again: the second answer is refused."""
        movement_id = await self.movement()
        for _ in range(PER_PERSON):
            if self.ended.is_set():
                return
            await self.answer(visitor, movement_id)

    async def answer(self, visitor: Presenter, movement_id: str) -> str | None:
        """One request and its answer; the request's id once the answer was taken."""
        body = {"movement_id": movement_id, "actor": HR}
        told = await self.api.manage("POST", "verifier", f"{HOST}/presentation-requests", body, key=_key())
        request = _made(told)
        self.ledger.note("request", id=request["id"])
        fetched = await self.api.send("GET", request["links"]["request_uri"])
        if not fetched.good:
            return None
        claims = dict(jose.parse(str(fetched.body)).claims)
        token = visitor.answer(claims, SystemClock().now()).token()
        url = f"{self.network.url('verifier')}/{MANCHESTER.ods}/oid4vp/response"
        taken = await self.api.send("POST", url, data={"response": token})
        if taken.good:
            self.ledger.note("answer", request=request["id"])
        elif taken.tries == 1:
            raise AssertionError(f"answer: {taken.status} {taken.body}")
        if taken.good and self.chance.random() < REPEATS:
            again = await self.api.send("POST", url, data={"response": token})
            if again.good:
                self.ledger.note("answer", request=request["id"])
        return str(request["id"])

    # -- placing ------------------------------------------------------------------------------------------

    async def place(self) -> None:
        """A placement as its verifier would tell of it: recorded, held, taken off hold, ended."""
        movement_id, holder = str(uuid.uuid4()), SigningKey.generate()
        start = people.today().isoformat()
        path = f"{HOST}/placements/{movement_id}"
        body = placement_body(holder.public, start=start, end=start)
        await self._tell(path, "PUT", body, 1, "running")
        for revision, step in enumerate(("hold", "reinstate", "end"), start=2):
            if self.ended.is_set():
                return
            await self._tell(f"{path}/{step}", "POST", {"revision": revision}, revision, step)

    async def _tell(self, path: str, method: str, body: dict[str, Any], revision: int, step: str) -> None:
        movement_id = path.split("/placements/")[1].split("/")[0]
        self.ledger.note("placing", id=movement_id, revision=revision, step=step)
        told = await self.api.manage(method, "issuer", path, body)
        _made(told)
        self.ledger.note("placed", id=movement_id, revision=revision, step=step)

    # -- a whole move -------------------------------------------------------------------------------------

    async def move(self, visitor: Presenter) -> None:
        """Movement, release by two people, answer, confirmation, placement, and its record offered."""
        movement_id = await self.movement()
        below = f"{HOST}/movements/{movement_id}"
        person = {"given_name": "Adaeze", "family_name": "Drill-Surgeon"}
        asked = await self.api.manage(
            "POST", "verifier", f"{below}/release-request", {"person": person, "actor": HR}, key=_key()
        )
        _made(asked)
        await self._release(movement_id, visitor.person["staff_id"])
        request_id = await self.answer(visitor, movement_id)
        if request_id is None:
            return
        decision = await self._decision(request_id)
        confirming = {"method": "FACE_TO_FACE", "actor": HR}
        shown = await self.api.manage(
            "POST", "verifier", f"{HOST}/decisions/{decision}/person-confirmation", confirming
        )
        if shown.good:
            self.ledger.note("confirmed", decision=decision)
        approval = {"kind": "HOST_DEPARTMENT", "decision": "AGREED", "actor": "ward-12"}
        await self.api.manage("POST", "verifier", f"{below}/approvals", approval, key=_key())
        await self._until(lambda: self._state(below), {"READY"}, "a movement that is ready")
        start = {
            "position_title": "Visiting consultant urologist",
            "department_contact": "Urology ward office",
            "approved_by": "Clinical director of surgery",
            "hr_contact": "Medical staffing",
            "actor": HR,
        }
        told = await self.api.manage("POST", "verifier", f"{below}/placement", start, key=_key())
        if told.good:
            self.ledger.note("started", movement=movement_id)
            await self._until(lambda: self._offered(below), {"yes"}, "a placement that was told")

    async def _release(self, movement_id: str, staff_id: str) -> None:
        case: dict[str, Any] = {}

        async def arrived() -> str:
            page = await self.api.manage("GET", "issuer", f"{HOME}/releases?state=REQUESTED&limit=100")
            found = [one for one in _made(page)["items"] if one["movement"]["id"] == movement_id]
            case.update(found[0] if found else {})
            return "yes" if found else "no"

        await self._until(arrived, {"yes"}, "a release request")
        below = f"{HOME}/releases/{case['id']}"
        chosen = {"staff_id": staff_id, "actor": "hr-second"}
        await self.api.manage("POST", "issuer", f"{below}/person", chosen)
        agreed: dict[str, Any] = {"decision": "AGREED", "actor": "line-manager-9"}
        await self.api.manage("POST", "issuer", f"{below}/line-manager", agreed)
        agreed = {"decision": "AGREED", "statement": "NO_CURRENT_RESTRICTION_KNOWN", "actor": "hr-second"}
        told = await self.api.manage("POST", "issuer", f"{below}/hr", agreed)
        if told.good:
            self.ledger.note("released", movement=movement_id)

    async def _decision(self, request_id: str) -> str:
        found: dict[str, Any] = {}

        async def settled() -> str:
            told = await self.api.manage("GET", "verifier", f"{HOST}/presentation-requests/{request_id}")
            found["id"] = _made(told)["decision_id"]
            if found["id"] is None:
                return "no"
            decision = _made(await self.api.manage("GET", "verifier", f"{HOST}/decisions/{found['id']}"))
            return "no" if decision["awaits_status"] else "yes"

        await self._until(settled, {"yes"}, "a decision")
        return str(found["id"])

    async def _state(self, below: str) -> str:
        return str(_made(await self.api.manage("GET", "verifier", below))["state"])

    async def _offered(self, below: str) -> str:
        placement = _made(await self.api.manage("GET", "verifier", f"{below}/placement"))
        return "yes" if placement["offer"] is not None else "no"

    async def _until(self, look: Callable[[], Awaitable[str]], wanted: set[str], what: str) -> None:
        for _ in range(240):
            if await look() in wanted:
                return
            if self.ended.is_set():
                raise GaveUp(f"{what}: the drill ended")
            await asyncio.sleep(0.5)
        raise AssertionError(f"{what} did not come within two minutes")


def _made(told: Told) -> Any:
    if not told.good:
        raise AssertionError(f"{told.status} after {told.tries}: {str(told.body)[:300]}")
    return told.body


def _key() -> str:
    return uuid.uuid4().hex
