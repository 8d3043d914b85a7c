"""Names of core skills subjects as learning systems write them, by subject code and level of the house.

The national naming convention for competencies is `Subject - Level - Rest - Period`; the DSP API standard
sends the first part as `subjectName`, the first and third joined as `competencyName`, and level 1 where the
subject has none (domain model, sections 1 and 3).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Subject:
    """One subject at one level; `years` is the usual refresh, None for a subject done once."""

    code: str
    level: str
    framework: str
    subject_name: str
    rest: str
    subject_level: str
    years: int | None

    @property
    def competency_name(self) -> str:
        """Subject and rest, as the standard joins them."""
        return f"{self.subject_name} {self.rest}".strip()


_ALL = (
    Subject("CR", "1", "CSTF", "NHS Conflict Resolution (England)", "", "1", 3),
    Subject("EDHR", "1", "CSTF", "Equality, Diversity and Human Rights", "", "1", 3),
    Subject("FS", "1", "CSTF", "Fire Safety", "", "1", 2),
    Subject("HSW", "1", "CSTF", "Health, Safety and Welfare", "", "1", 3),
    Subject("IG", "1", "CSTF", "Information Governance and Data Security", "", "1", 1),
    Subject("IPC", "1", "CSTF", "Infection Prevention and Control", "", "1", 3),
    Subject("IPC", "2", "CSTF", "Infection Prevention and Control", "", "2", 1),
    Subject("MH", "1", "CSTF", "Moving and Handling", "", "1", 3),
    Subject("MH", "2", "CSTF", "Moving and Handling", "", "2", 2),
    Subject("PR", "BASIC", "CSTF", "Preventing Radicalisation", "Basic Prevent Awareness", "1", 3),
    Subject("RES", "1", "CSTF", "Resuscitation", "", "1", None),
    Subject("RES", "2_ADULT", "CSTF", "Resuscitation", "Adult Basic Life Support", "2", 1),
    Subject("RES", "3_ADULT", "CSTF", "Resuscitation", "Adult Immediate Life Support", "3", 1),
    Subject("SA", "1", "CSTF", "Safeguarding Adults", "", "1", 3),
    Subject("SA", "2", "CSTF", "Safeguarding Adults", "", "2", 3),
    Subject("SA", "3", "CSTF", "Safeguarding Adults", "", "3", 3),
    Subject("SC", "1", "CSTF", "Safeguarding Children", "", "1", 3),
    Subject("SC", "2", "CSTF", "Safeguarding Children", "", "2", 3),
    Subject("SC", "3", "CSTF", "Safeguarding Children", "", "3", 3),
    Subject(
        "LDA",
        "T1",
        "MAND",
        "Oliver McGowan Mandatory Training on Learning Disability and Autism",
        "Tier 1",
        "1",
        None,
    ),
    # what a trust asks of its own people; no national subject, so it goes into no passport
    Subject("LOCAL", "1", "MAND", "Local Fire Exits and Site Orientation", "", "1", 1),
)
SUBJECTS: dict[tuple[str, str], Subject] = {(one.code, one.level): one for one in _ALL}
BY_COMPETENCY: dict[tuple[str, str], Subject] = {
    (one.competency_name.casefold(), one.subject_level): one for one in _ALL
}
