"""The trusts of the Greater Manchester pilot with the dates its report prints, and one invented ninth.

Names as printed in the report's table F1 are aliases, kept to the letter, its slips included; the names
themselves are those of the Organisation Data Service.
"""

from __future__ import annotations

from dataclasses import dataclass

GM, CM = "GM Integrated Care", "Cheshire & Merseyside Integrated Care"
STUCK_DAYS = 34
"""How long the ninth trust's data protection assessment has been waiting; the network asks for 30 days."""
SLA_DAYS = 30


@dataclass(frozen=True)
class Trust:
    """A trust of the pilot.

    `printed` is its name in table F1; `registered` the day of its registration; `issued` and `verified` what
    the table prints; `imported_*` the part of that which was before the demonstration, as imported history.
    """

    ods: str
    name: str
    printed: str
    registered: str
    locality: str
    icb: str
    issued: int
    verified: int
    imported_issued: int
    imported_verified: int
    also: tuple[str, ...] = ()
    """Other names the report prints for it, as in table F2."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every name the report prints for it that is not its own."""
        return tuple(name for name in (self.printed, *self.also) if name != self.name)


CHRISTIE = Trust(
    "RBV", "The Christie NHS Foundation Trust", "The Christie NHS Foundation Trust", "2021-07-20",
    GM, "QOP", 12, 10, 10, 10, ("The Christie",),
)  # fmt: skip
MANCHESTER = Trust(
    "R0A", "Manchester University NHS Foundation Trust", "Manchester University Foundation Trust (MFT)",
    "2021-11-08", GM, "QOP", 14, 6, 7, 5, ("Manchester Foundation Trust",),
)  # fmt: skip
NORTHERN_CARE = Trust(
    "RM3", "Northern Care Alliance NHS Foundation Trust", "Northern Care Alliance (NCA)", "2021-09-03",
    GM, "QOP", 1, 10, 1, 2, ("Northern Care Alliance",),
)  # fmt: skip

PILOT: tuple[Trust, ...] = (
    MANCHESTER,
    NORTHERN_CARE,
    CHRISTIE,
    Trust("RWJ", "Stockport NHS Foundation Trust", "Stockport NHS Foundation Trust", "2021-08-20",
          GM, "QOP", 2, 5, 2, 5),
    Trust("RMP", "Tameside and Glossop Integrated Care NHS Foundation Trust",
          "Tameside and Glossop Integrated Care NHS Foundation Trust", "2021-08-05", GM, "QOP", 7, 3, 7, 3),
    Trust("RMC", "Bolton NHS Foundation Trust", "Bolton NHS Foundation Trust", "2022-02-17",
          GM, "QOP", 0, 3, 0, 3),
    Trust("RRF", "Wrightington, Wigan and Leigh NHS Foundation Trust",
          "Wigan, Wrightington and Leigh NHS Foundation Trust", "2021-07-13", GM, "QOP", 2, 3, 2, 3),
    Trust("RJN", "East Cheshire NHS Trust", "East Cheshire NHS Trust", "2021-10-28",
          CM, "QYG", 0, 0, 0, 0),
)  # fmt: skip
"""The eight, in the order of the printed table."""

NINTH = Trust(
    "RXZ", "Heron Vale NHS Trust (invented)", "Heron Vale NHS Trust", "2026-09-01", GM, "QOP", 0, 0, 0, 0
)
"""Stuck on its data protection assessment."""

SANDBOX_TRUSTS = (
    Trust(
        "SBX01",
        "Sandbox Employing Trust",
        "Sandbox Employing Trust",
        "2026-09-01",
        "Sandbox",
        "QOP",
        0,
        0,
        0,
        0,
    ),
    Trust("SBX02", "Sandbox Host Trust", "Sandbox Host Trust", "2026-09-01", "Sandbox", "QOP", 0, 0, 0, 0),
)
"""For practice: one employs the people of fixed outcomes, the other receives them (docs/sandbox.md)."""

F1_HEADER = (
    "Integrated Care Locality,Organisation Name,Registration Complete,HR User Training completed,"
    "ESR API set up,No. of Passports Issued,No. of Passports Verified"
)


def printed_f1() -> list[list[str]]:
    """Table F1 of the pilot's report, row by row as printed."""
    return [
        [
            trust.locality,
            trust.printed,
            "/".join(reversed(trust.registered.split("-"))),
            "Yes",
            "Yes",
            str(trust.issued),
            str(trust.verified),
        ]
        for trust in PILOT
    ]


PRINTED_F2: tuple[tuple[str, ...], ...] = (
    (
        "Clinicians", "Urology Surgeon", "MS Teams", "The Christie", "Manchester Foundation Trust",
        "1 x DSP issued in response to urgent service need to perform an operating list",
    ),
    (
        "Nursing", "Clinical Nurse Specialists", "MS Teams", "Manchester Foundation Trust",
        "Northern Care Alliance",
        "3 x DSPs issued to support the induction period of newly appointed Clinical Nurse Specialists by "
        "visiting other Acute Oncology teams",
    ),
    (
        "Imaging", "Radiologists", "MS Teams", "Manchester Foundation Trust", "Northern Care Alliance",
        "4 x DSPs issued to replace previous honorary contracts to support cross-Trust working",
    ),
    (
        "Trainees", "Trainee Advanced Clinical Practitioner (Dietetics)", "MS Teams", "The Christie",
        "Northern Care Alliance",
        "1 x DSP issued for a two-month placement, two days per week at Salford Royal Intestinal Failure "
        "Unit for upskilling and educational development",
    ),
)  # fmt: skip
F2_HEADER = (
    "Workforce Group", "Role", "Passport issuing and verification method", "Employing Trust", "Host Trust",
    "Use case",
)  # fmt: skip
