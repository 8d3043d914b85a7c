"""One person's move, from the host's need to the first day: asked, released, shown, decided, placed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from deploy.demo import actors, moves
from deploy.demo.moves import Move
from deploy.demo.tour.record import MEASURED, SIMULATED, Answer, Asked, MovementTale, PersonTale, Rule, Span
from deploy.demo.wallets import AnyWallet
from deploy.dev import register
from deploy.dev.deployment import Deployment
from deploy.dev.management import ManagementClient
from deploy.simulators.people import PilotPerson

STANDING_RULES = ("R-01", "R-02", "R-03")
CONFIRM_S, READ_AND_AGREE_S, INDUCTION_S = 35, 50, 40 * 60


@dataclass
class Journey:
    """One person's move as it goes, with what the tour will tell of it."""

    stack: Deployment
    hr: ManagementClient
    move: Move
    person: PilotPerson
    wallet: AnyWallet
    tale: PersonTale
    movement_id: str = ""
    decision: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """Management path of the host at the verifier."""
        return f"/api/v1/organisations/{self.person.host_ods}"

    @property
    def home(self) -> str:
        """Management path of the employing trust at the issuer."""
        return f"/api/v1/organisations/{self.person.employing_ods}"

    @property
    def verifier(self) -> str:
        """Base URL of the verifier."""
        return self.stack.services["verifier"].url

    @property
    def issuer(self) -> str:
        """Base URL of the issuer."""
        return self.stack.services["issuer"].url

    @property
    def full_name(self) -> str:
        """As people say it."""
        return f"{self.person.hire.given_name} {self.person.hire.family_name}"

    def get(self, path: str) -> Any:
        """Read something of this movement at the host."""
        return self.hr.get(self.verifier, f"{self.host}/movements/{self.movement_id}{path}")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Do something to this movement at the host."""
        return self.hr.post(self.verifier, f"{self.host}/movements/{self.movement_id}{path}", body)

    def took(self, label: str, seconds: float, kind: str = MEASURED) -> None:
        """Note where time went."""
        self.tale.spans.append(Span(label, seconds, kind))

    def measured(self, label: str, act: Callable[[], Any]) -> Any:
        """Do something the system does, and note how long it took."""
        began = time.monotonic()
        done = act()
        self.took(label, time.monotonic() - began)
        return done


def begin(journey: Journey, today: date) -> None:
    """The host writes the movement down."""
    made = journey.hr.post(
        journey.verifier, f"{journey.host}/movements", moves.body(journey.move, journey.person, today)
    )
    journey.movement_id = made["id"]


def look_up(journey: Journey) -> str:
    """Host HR looks the registration up in the regulator's public register; what it says."""
    hire = journey.person.hire
    regulator = hire.post.regulator
    said = journey.hr.http.get(
        f"{journey.stack.simulators.url}/register/{regulator}/{hire.registration_number}"
    ).json()
    journey.hr.post(
        journey.verifier,
        f"{journey.host}/register-checks",
        {
            "movement_id": journey.movement_id,
            "regulator": regulator,
            "number": hire.registration_number,
            "status": said["status"],
            "licence": said["licence_to_practise"],
            "checked_at": said["looked_up_at"],
            "actor": actors.hr(journey.person.host_ods),
        },
    )
    return str(said["status"])


def show(journey: Journey, tale: MovementTale) -> dict[str, Any]:
    """Ask, let the person share, and wait for the decision; it is withheld until the person is confirmed."""
    began = time.monotonic()
    request = journey.hr.post(
        journey.verifier,
        f"{journey.host}/presentation-requests",
        {
            "movement_id": journey.movement_id,
            "channel": "VIDEO",
            "actor": actors.hr(journey.person.host_ods),
        },
    )
    journey.took("The host's system makes the request", time.monotonic() - began)
    journey.took("Reads who asks for what, and says yes", READ_AND_AGREE_S, SIMULATED)
    shared = journey.wallet.present(request["links"]["deep_link"])
    journey.took("Wallet and verifier: shown, checked, decided", shared.seconds)
    decision = settled(journey, request["id"])
    if not tale.purpose:
        tale.purpose = request["purpose_text"]["en-GB"]
    journey.shared = shared.said
    return decision


def settled(journey: Journey, request_id: str) -> dict[str, Any]:
    """The newest decision on a request, once no status list is waited for."""
    found: dict[str, Any] = {}

    def arrived() -> bool:
        seen = journey.hr.get(journey.verifier, f"{journey.host}/presentation-requests/{request_id}")
        if seen["decision_id"] is None:
            return False
        found.update(journey.hr.get(journey.verifier, f"{journey.host}/decisions/{seen['decision_id']}"))
        return not found["awaits_status"]

    register.wait_until(arrived, "the decision")
    return found


def confirm(journey: Journey, decision: dict[str, Any], tale: MovementTale) -> dict[str, Any]:
    """Host HR confirms on the call that this is the person; only now the answer is shown."""
    journey.took("Host HR makes sure of the person on the call", CONFIRM_S, SIMULATED)
    shown: dict[str, Any] = journey.hr.post(
        journey.verifier,
        f"{journey.host}/decisions/{decision['id']}/person-confirmation",
        {"method": "DOCUMENT_ON_CALL", "actor": actors.hr(journey.person.host_ods)},
    )
    journey.decision = shown
    journey.tale.answers.append(told(shown))
    if not tale.asked:
        tale.asked = _asked(journey.shared, shown["result"])
    return shown


def told(decision: dict[str, Any]) -> Answer:
    """A decision as the tour tells it."""
    result = decision["result"]
    rules = [
        Rule(
            name=finding["name"]["en-GB"],
            result=finding["result"],
            text=finding["text"]["en-GB"],
            who_can_fix=finding["who_can_fix"]["name"]["en-GB"] if finding["who_can_fix"] else None,
        )
        for finding in result["findings"]
    ]
    conditions = [
        f"{one['text']['en-GB']} Due {datetime.fromisoformat(one['due']):%d %B %Y, %H:%M} UTC; up to: "
        f"{one['owner_name']['en-GB']}."
        for one in result["conditions"]
    ]
    return Answer(result["outcome"], result["text"]["en-GB"], rules, conditions)


def ask_release(journey: Journey, *, by_name: bool) -> None:
    """The host's verifier asks the employing trust, signed; by passport where one was shown, else by name."""
    hire = journey.person.hire
    named = {"given_name": hire.given_name, "family_name": hire.family_name, "note": hire.post.title}
    body: dict[str, Any] = {"actor": actors.hr(journey.person.host_ods)}
    if by_name:
        body["person"] = named
    journey.post("/release-request", body)


def release_request(journey: Journey) -> dict[str, Any]:
    """The request as it lies in the employing trust's own tenant."""
    found: dict[str, Any] = {}

    def arrived() -> bool:
        page = journey.hr.get(journey.issuer, f"{journey.home}/releases?state=REQUESTED&limit=100")
        for one in page["items"]:
            if one["movement"]["id"] == journey.movement_id:
                found.update(one)
        return bool(found)

    journey.measured(
        "Signed request travels to the employing trust",
        lambda: register.wait_until(arrived, "the release request"),
    )
    return found


def answer_release(journey: Journey, request: dict[str, Any], staff_id: str) -> None:
    """Line manager and HR of the employing trust answer in their own tenant; the host reads the Release."""
    ods = journey.person.employing_ods
    below = f"{journey.home}/releases/{request['id']}"
    if request["staff_id"] is None:
        journey.hr.get(journey.issuer, f"{below}/candidates")
        chosen = {"staff_id": staff_id, "actor": actors.hr_second(ods)}
        journey.hr.post(journey.issuer, f"{below}/person", chosen)
    manager_minutes, hr_minutes = journey.move.release_minutes
    journey.took("Line manager answers", manager_minutes * 60, SIMULATED)
    journey.hr.post(
        journey.issuer, f"{below}/line-manager", {"decision": "AGREED", "actor": actors.line_manager(ods)}
    )
    journey.took("Employing HR answers", hr_minutes * 60, SIMULATED)
    agreed = {"decision": "AGREED", "statement": "NO_CURRENT_RESTRICTION_KNOWN"}
    journey.hr.post(journey.issuer, f"{below}/hr", {**agreed, "actor": actors.hr_second(ods)})

    def released() -> bool:
        seen = journey.post("/release/refresh", {})
        return seen["release"] is not None

    journey.measured(
        "Signed Release travels back", lambda: register.wait_until(released, "the signed Release")
    )


def approve(journey: Journey) -> None:
    """The host's own people agree."""
    ods = journey.person.host_ods
    who = {"HOST_DEPARTMENT": actors.department(ods), "HOST_HR": actors.hr_second(ods)}
    if journey.move.educator:
        who["EDUCATOR"] = actors.educator(ods)
    for kind, actor in who.items():
        journey.post("/approvals", {"kind": kind, "decision": "AGREED", "actor": actor})


def induct(journey: Journey, today: date) -> None:
    """The local induction, before the first shift."""
    journey.took("Local induction", INDUCTION_S, SIMULATED)
    journey.post("/induction", {"on": today.isoformat(), "actor": actors.department(journey.person.host_ods)})


def state(journey: Journey) -> str:
    """Where the movement stands."""
    return str(journey.get("")["state"])


def _asked(shared: dict[str, Any], decision: dict[str, Any]) -> list[Asked]:
    """What the wallet said was asked, one line a record, with what the host needs it for."""
    needs: dict[str, set[str]] = {}
    for finding in decision["findings"]:
        if finding["rule"] not in STANDING_RULES and finding["credential"]:
            needs.setdefault(finding["credential"], set()).add(finding["need"])
    lines: dict[str, Asked] = {}
    for one in shared["asked"]:
        before = lines.get(one["type"])
        lines[one["type"]] = Asked(
            record=one["name"],
            details=list(dict.fromkeys([*(before.details if before else ()), *one["details"]])),
            needed=_needed(needs.get(one["type"], set())),
            shown=bool(one["shared"]) or bool(before and before.shown),
        )
    return list(lines.values())


def _needed(needs: set[str]) -> str:
    if needs == {"ASSURANCE"}:
        return "may follow after the start, as a condition"
    if "ASSURANCE" in needs:
        return "the start; some of it may follow as a condition"
    return "the start"


def today() -> date:
    """The day of the demonstration, in the services' time."""
    return datetime.now(UTC).date()  # noqa: TID251  a program of its own
