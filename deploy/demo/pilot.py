"""The pilot: nine people, four kinds of move, from records in systems to the first shift."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

from deploy.demo import actors, collecting, gathering, moves, placing, travelling
from deploy.demo.collecting import Passport
from deploy.demo.gathering import Employer
from deploy.demo.story import Story
from deploy.demo.tour.record import MovementTale, PersonTale, Tour
from deploy.demo.travelling import Journey
from deploy.demo.trusts import PILOT as TRUSTS
from deploy.demo.wallets import AnyWallet, OwnWallet, PersonWallet
from deploy.dev.clients import Clients
from deploy.dev.deployment import Deployment
from deploy.simulators.people import PILOT, PilotPerson
from passport_shared.wire import catalogue

TYPES = 7
OWN_WALLETS = ("surgeon", "dietitian")
TRUST_NAMES = {trust.ods: trust.name for trust in TRUSTS}


@dataclass
class Pilot:
    """Everything the chapters share."""

    story: Story
    stack: Deployment
    clients: Clients
    tour: Tour
    today: date
    people: tuple[PilotPerson, ...] = PILOT
    """Whose journeys are told."""
    employers: dict[str, Employer] = field(default_factory=dict)
    wallets: dict[str, AnyWallet] = field(default_factory=dict)
    staff: dict[str, str] = field(default_factory=dict)
    passports: dict[str, Passport] = field(default_factory=dict)
    tales: dict[str, PersonTale] = field(default_factory=dict)
    journeys: dict[str, Journey] = field(default_factory=dict)


def gather(pilot: Pilot) -> None:
    """Connect, enter, link, gather, accept; what nobody holds is listed and never issued."""
    machine = pilot.clients.machine
    for ods in sorted({person.employing_ods for person in pilot.people}):
        pilot.employers[ods] = gathering.connect(pilot.stack, machine, ods)
    pilot.story.say("Employing trusts are connected to their staff record and their learning system.")
    complete = 0
    for person in pilot.people:
        employer = pilot.employers[person.employing_ods]
        staff_id = gathering.enter(employer, person)
        gathering.link(pilot.story, employer, staff_id, person)
        record = gathering.gather(employer, staff_id)
        pilot.staff[person.key] = staff_id
        complete += record.not_held == ["StaffIdentity"] or not record.not_held
        name = f"{person.hire.given_name} {person.hire.family_name}, {TRUST_NAMES[person.employing_ods]}"
        lines = [f"{record.applied} records read from staff record and learning system, accepted by HR"]
        lines += [
            f"Not used, {count} of what was read: {why}" for why, count in Counter(record.not_usable).items()
        ]
        lines += [
            f"Not held yet: {catalogue.TYPES[kind].display['en-GB']['name']}; it takes the appointment"
            for kind in record.not_held
        ]
        pilot.tour.gathered.append((name, lines))
    pilot.story.expect(
        complete == len(pilot.people), "they all lack nothing but the appointment at which they are seen"
    )


def issue(pilot: Pilot) -> None:
    """A passport for everybody, each with one offer, one PIN, one acceptance."""
    for person in pilot.people:
        employer = pilot.employers[person.employing_ods]
        staff_id = pilot.staff[person.key]
        tale = PersonTale(f"{person.hire.given_name} {person.hire.family_name}")
        pilot.tales[person.key] = tale
        wallet = _wallet(pilot, person)
        pilot.wallets[person.key] = wallet
        collecting.invite(employer, staff_id)
        collecting.appointment(employer, staff_id, today=pilot.today.isoformat())
        pilot.passports[person.key] = collecting.collect(employer, wallet, staff_id, tale)
    counts = {len(one.collected.said["credentials"]) for one in pilot.passports.values()}
    pilot.story.expect(
        counts == {TYPES},
        f"passports of {TYPES} records, each with one offer and one PIN: {len(pilot.passports)}",
    )


def move(pilot: Pilot) -> None:
    """All four movements; the first person's way is told in full, the others' in one line each."""
    for kind in moves.MOVES:
        people = [person for person in kind.people if person in pilot.people]
        if not people:
            continue
        tale = _tale(pilot, kind)
        pilot.tour.movements.append(tale)
        pilot.story.say(f"{kind.title}: {tale.employing} to {tale.host}.")
        for person in people:
            journey = _journey(pilot, kind, person)
            tale.people.append(journey.tale)
            _travel(pilot, journey, tale)
    active = [travelling.state(journey) for journey in pilot.journeys.values()]
    pilot.story.expect(
        active == ["ACTIVE"] * len(pilot.people),
        f"they have all started, in movements of the pilot's kinds: {len(pilot.tour.movements)}",
    )


def _travel(pilot: Pilot, journey: Journey, tale: MovementTale) -> None:
    urgent = journey.move.anchor == "urgent-list"
    travelling.begin(journey, pilot.today)
    if urgent:
        travelling.ask_release(journey, by_name=True)
        _released(pilot, journey)
    travelling.look_up(journey)
    decision = travelling.show(journey, tale)
    pilot.story.expect(
        decision["result"] is None and decision["withheld"] == "AWAITING_PERSON",
        f"{journey.full_name}: the answer is withheld until somebody has made sure of the person",
    )
    shown = travelling.confirm(journey, decision, tale)
    outcome = shown["result"]["outcome"]
    pilot.story.say(f"{journey.full_name}: {shown['result']['text']['en-GB']}.")
    if journey.person.key == "radiologist_3":
        outcome = _put_right(pilot, journey, tale)
    wanted = "READY_WITH_CONDITIONS" if urgent else "READY"
    pilot.story.expect(outcome == wanted, f"{journey.full_name}: the outcome is {wanted}")
    if not urgent:
        travelling.ask_release(journey, by_name=False)
        _released(pilot, journey)
    travelling.approve(journey)
    pilot.story.expect(
        travelling.state(journey) == "READY", f"{journey.full_name}: agreed, released and ready"
    )
    placement = placing.start(journey)
    pilot.story.expect(
        placing.collect(journey, placement) == 1,
        f"{journey.full_name}: the placement record is in the same wallet",
    )
    travelling.induct(journey, pilot.today)


def _released(pilot: Pilot, journey: Journey) -> None:
    request = travelling.release_request(journey)
    known = request["staff_id"] is not None
    journey.tale.steps.append(
        "The employing trust was asked by the passport that had been shown."
        if known
        else "The employing trust was asked by name; its HR chose who was meant."
    )
    travelling.answer_release(journey, request, pilot.staff[journey.person.key])


def _put_right(pilot: Pilot, journey: Journey, tale: MovementTale) -> str:
    """First *not ready yet*; the named person puts it right; then *ready*, and nothing is issued twice."""
    first = journey.decision["result"]
    at_fault = [finding for finding in first["findings"] if finding["outcome"] == "NOT_READY"]
    pilot.story.expect(first["outcome"] == "NOT_READY", f"{journey.full_name}: the first answer is NOT_READY")
    pilot.story.expect(
        [(one["rule"], one["reason"]) for one in at_fault] == [("R-08", "DBS_LEVEL")],
        "because a standard DBS check is on record, and nothing else",
    )
    pilot.story.expect(
        at_fault[0]["who_can_fix"]["party"] == "EMPLOYING_HR",
        "and it says who can put it right: the employing trust's HR",
    )
    employer = pilot.employers[journey.person.employing_ods]
    switch = f"{pilot.stack.simulators.url}/control/{employer.ods}/persons/{journey.person.person_id}"
    pilot.clients.machine.http.put(switch, json={"dbs_level": "ENHANCED"}).raise_for_status()
    staff_id = pilot.staff[journey.person.key]
    gathering.gather(employer, staff_id)
    again = collecting.collect(employer, journey.wallet, staff_id, journey.tale, types=["DbsOutcome"])
    pilot.story.expect(
        len(again.collected.said["credentials"]) == 1,
        "the new check is read, and the one record it changes is issued again",
    )
    journey.tale.steps.append("Employing HR read the new DBS check and issued that one record again.")
    decision = travelling.show(journey, tale)
    shown = travelling.confirm(journey, decision, tale)
    held = [one["type"] for one in journey.wallet.held()] if isinstance(journey.wallet, PersonWallet) else []
    pilot.story.expect(
        sorted(set(held)) == sorted(held), "the wallet holds every record once: nothing was issued twice"
    )
    return str(shown["result"]["outcome"])


def _journey(pilot: Pilot, kind: moves.Move, person: PilotPerson) -> Journey:
    journey = Journey(
        pilot.stack,
        pilot.clients.machine,
        kind,
        person,
        pilot.wallets[person.key],
        pilot.tales[person.key],
    )
    pilot.journeys[person.key] = journey
    return journey


def _tale(pilot: Pilot, kind: moves.Move) -> MovementTale:
    first = kind.people[0]
    until = "" if kind.days == 1 else f", {kind.days} days"
    needed = {"NONE": "nothing else", "LETTER_OF_AUTHORITY": "a letter of authority"}
    return MovementTale(
        anchor=kind.anchor,
        title=kind.title,
        employing=TRUST_NAMES[first.employing_ods],
        host=TRUST_NAMES[first.host_ods],
        dates=f"from {pilot.today:%d %B %Y}{until}",
        duties=kind.duties,
        purpose="",
        would_have_needed=needed.get(kind.would_have_needed, "an honorary contract"),
    )


def _wallet(pilot: Pilot, person: PilotPerson) -> AnyWallet:
    if person.key in OWN_WALLETS:
        return OwnWallet.open(pilot.stack, person.key)
    return PersonWallet.create(pilot.stack, pilot.clients.machine.http, person.key)


def prepare_hosts(pilot: Pilot) -> None:
    """Every host says where its own issuer is; every trust names its HR users."""
    for ods in sorted({person.host_ods for person in pilot.people}):
        placing.name_issuer(pilot.stack, pilot.clients.machine, ods)
    actor_count = sum(len(actors.named(trust.ods)) for trust in TRUSTS)
    pilot.story.say(f"{actor_count} HR users are named in the register, with roles and training.")
