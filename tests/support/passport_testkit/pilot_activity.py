"""The pilot's tables as facts: its trusts, what was done before, and the nine passports that are shown.

What is imported is the printed table less what the demonstration makes (issue of the second foundation): so
both together must give the printed numbers, and nothing here holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from passport_registry.rules.activity import Event, accepted
from passport_registry.rules.reports import Step, Trust
from passport_shared.wire.activity import EventType, Fact, Source

TODAY = date(2026, 9, 1)
GM, CM = "GM Integrated Care", "Cheshire & Merseyside Integrated Care"


@dataclass(frozen=True, kw_only=True)
class PilotTrust:
    """A trust of the pilot: how its names were printed, when it registered, what was done before."""

    ods: str
    name: str
    aliases: tuple[str, ...]
    locality: str
    registered: date
    issued_before: int
    verified_before: int


def _trust(
    ods: str,
    name: str,
    aliases: Sequence[str],
    registered: str,
    issued: int,
    verified: int,
    locality: str = GM,
) -> PilotTrust:
    return PilotTrust(
        ods=ods,
        name=name,
        aliases=tuple(aliases),
        locality=locality,
        registered=date.fromisoformat(registered),
        issued_before=issued,
        verified_before=verified,
    )


PILOT_TRUSTS = (
    _trust(
        "RRF",
        "Wrightington, Wigan and Leigh Teaching Hospitals NHS Foundation Trust",
        ["Wigan, Wrightington and Leigh NHS Foundation Trust"],
        "2021-07-13",
        2,
        3,
    ),
    _trust("RBV", "The Christie NHS Foundation Trust", ["The Christie"], "2021-07-20", 10, 10),
    _trust("RMP", "Tameside and Glossop Integrated Care NHS Foundation Trust", [], "2021-08-05", 7, 3),
    _trust("RWJ", "Stockport NHS Foundation Trust", [], "2021-08-20", 2, 5),
    _trust(
        "RM3",
        "Northern Care Alliance NHS Foundation Trust",
        ["Northern Care Alliance (NCA)", "Northern Care Alliance"],
        "2021-09-03",
        1,
        2,
    ),
    _trust("RJN", "East Cheshire NHS Trust", [], "2021-10-28", 0, 0, CM),
    _trust(
        "R0A",
        "Manchester University NHS Foundation Trust",
        ["Manchester University Foundation Trust (MFT)", "Manchester Foundation Trust"],
        "2021-11-08",
        7,
        5,
    ),
    _trust("RMC", "Bolton NHS Foundation Trust", [], "2022-02-17", 0, 3),
)

# employing, host, movement type, role profile, group, use case, what would have been needed, how many
MOVES = (
    (
        "RBV",
        "R0A",
        "SERVICE_NEED_URGENT",
        "UROLOGY_SURGEON",
        "CLINICIANS",
        "SERVICE_NEED",
        "LETTER_OF_AUTHORITY",
        1,
    ),
    (
        "R0A",
        "RM3",
        "INDUCTION_VISIT",
        "CLINICAL_NURSE_SPECIALIST",
        "NURSING",
        "INDUCTION",
        "LETTER_OF_AUTHORITY",
        3,
    ),
    ("R0A", "RM3", "CROSS_TRUST_WORKING", "RADIOLOGIST", "IMAGING", "CROSS_TRUST", "HONORARY_CONTRACT", 4),
    (
        "RBV",
        "RM3",
        "PLACEMENT_DEVELOPMENT",
        "TRAINEE_ACP_DIETETICS",
        "TRAINEES",
        "EDUCATION_DEVELOPMENT",
        "SECONDMENT",
        1,
    ),
)

F1_PRINTED = """\
Integrated Care Locality,Organisation Name,Registration Complete,HR User Training completed,ESR API set up,\
No. of Passports Issued,No. of Passports Verified
GM Integrated Care,Manchester University Foundation Trust (MFT),08/11/2021,Yes,Yes,14,6
GM Integrated Care,Northern Care Alliance (NCA),03/09/2021,Yes,Yes,1,10
GM Integrated Care,The Christie NHS Foundation Trust,20/07/2021,Yes,Yes,12,10
GM Integrated Care,Stockport NHS Foundation Trust,20/08/2021,Yes,Yes,2,5
GM Integrated Care,Tameside and Glossop Integrated Care NHS Foundation Trust,05/08/2021,Yes,Yes,7,3
GM Integrated Care,Bolton NHS Foundation Trust,17/02/2022,Yes,Yes,0,3
GM Integrated Care,"Wigan, Wrightington and Leigh NHS Foundation Trust",13/07/2021,Yes,Yes,2,3
Cheshire & Merseyside Integrated Care,East Cheshire NHS Trust,28/10/2021,Yes,Yes,0,0
"""
F2_PRINTED = """\
Workforce Group,Role,Passport issuing and verification method,Employing Trust,Host Trust,Use case
Clinicians,Urology Surgeon,MS Teams,The Christie,Manchester Foundation Trust,1 x DSP issued in response \
to urgent service need to perform an operating list
Nursing,Clinical Nurse Specialists,MS Teams,Manchester Foundation Trust,Northern Care Alliance,3 x DSPs \
issued to support the induction period of newly appointed Clinical Nurse Specialists by visiting other \
Acute Oncology teams
Imaging,Radiologists,MS Teams,Manchester Foundation Trust,Northern Care Alliance,4 x DSPs issued to \
replace previous honorary contracts to support cross-Trust working
Trainees,Trainee Advanced Clinical Practitioner (Dietetics),MS Teams,The Christie,Northern Care \
Alliance,"1 x DSP issued for a two-month placement, two days per week at Salford Royal Intestinal \
Failure Unit for upskilling and educational development"
"""


def imported() -> list[Event]:
    """What was issued and verified before, fact by fact."""
    events = []
    for trust in PILOT_TRUSTS:
        for number in range(trust.issued_before):
            fact = Fact(day=trust.registered, employing_ods=trust.ods, source=Source.IMPORTED)
            events.append(_event(f"pilot-issued-{trust.ods}-{number}", EventType.ISSUED, fact))
        for number in range(trust.verified_before):
            fact = Fact(day=trust.registered, host_ods=trust.ods, source=Source.IMPORTED)
            events.append(_event(f"pilot-verified-{trust.ods}-{number}", EventType.VERIFIED, fact))
    return events


def live(day: date = TODAY) -> list[Event]:
    """Nine passports issued by their employers and verified by their hosts, over video calls."""
    events = []
    for employing, host, movement_type, role, group, use_case, needed, many in MOVES:
        for number in range(many):
            issued = Fact(
                day=day - timedelta(days=1),
                employing_ods=employing,
                workforce_group=group,
                channel="VIDEO",
                durations_s={"time_to_issue": 600 + number, "pin_to_collected": 30},
                source=Source.LIVE,
            )
            verified = Fact(
                day=day,
                employing_ods=employing,
                host_ods=host,
                movement_type=movement_type,
                role_profile=role,
                workforce_group=group,
                use_case=use_case,
                channel="VIDEO",
                would_have_needed=needed,
                outcome="READY",
                durations_s={"time_to_verify": 160 + 10 * number},
                source=Source.LIVE,
            )
            events.append(_event(f"live-issued-{role}-{number}", EventType.ISSUED, issued))
            events.append(_event(f"live-verified-{role}-{number}", EventType.VERIFIED, verified))
    return events


def _event(event_id: str, kind: EventType, fact: Fact) -> Event:
    return accepted(event_id, kind, fact, source=fact.source, today=TODAY)


def report_trusts() -> tuple[Trust, ...]:
    """The trusts as a report needs them: every step done on the printed day."""
    return tuple(
        Trust(
            ods=trust.ods,
            name=trust.name,
            aliases=trust.aliases,
            locality=trust.locality,
            state="LIVE",
            steps={
                name: Step(
                    state="DONE",
                    done_on=trust.registered,
                    passed=True,
                    method="API" if name == "ESR_LINK" else None,
                )
                for name in ("REGISTRATION", "DPIA", "TERMS_OF_USE", "MOU", "HR_TRAINING", "ESR_LINK")
            },
        )
        for trust in PILOT_TRUSTS
    )
