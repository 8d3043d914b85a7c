"""Kinds of posts, with what an employer has checked for each: what invented people are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ADULT, CHILD = "ADULT", "CHILD"
EVERYBODY = {
    "CR": ("1", 400),
    "EDHR": ("1", 400),
    "FS": ("1", 100),
    "HSW": ("1", 400),
    "IG": ("1", 20),
    "PR": ("BASIC", 300),
}
CLINICAL = {
    **EVERYBODY,
    "IPC": ("2", 30),
    "MH": ("2", 60),
    "RES": ("2_ADULT", 40),
    "SA": ("2", 200),
    "SC": ("2", 200),
}


@dataclass(frozen=True, kw_only=True)
class Post:
    """A kind of post; `skills` is subject to (level, days since completion)."""

    title: str
    staff_group: str
    job_role: str
    occupation_code: str
    grade: str
    department: str
    role_category: str
    regulator: str | None = None
    register_part: str = ""
    registers: tuple[str, ...] = ()
    dbs_level: str = "ENHANCED"
    barred_lists: tuple[str, ...] = ()
    epp: str = "NA"
    skills: Mapping[str, tuple[str, int]]


SURGEON = Post(
    title="Consultant urologist",
    staff_group="Medical and Dental",
    job_role="Consultant",
    occupation_code="051",
    grade="YC72",
    department="Urology",
    role_category="SURGICAL",
    regulator="GMC",
    register_part="Full registration",
    registers=("SPECIALIST",),
    dbs_level="ENHANCED_BARRED",
    barred_lists=(ADULT, CHILD),
    epp="YES",
    skills=CLINICAL,
)
RADIOLOGIST = Post(
    title="Consultant radiologist",
    staff_group="Medical and Dental",
    job_role="Consultant",
    occupation_code="031",
    grade="YC72",
    department="Radiology",
    role_category="IMAGING",
    regulator="GMC",
    register_part="Full registration",
    registers=("SPECIALIST",),
    skills=CLINICAL,
)
CNS = Post(
    title="Clinical nurse specialist, acute oncology",
    staff_group="Nursing and Midwifery Registered",
    job_role="Specialist Nurse Practitioner",
    occupation_code="N6A",
    grade="Band 7",
    department="Acute oncology",
    role_category="NURSING",
    regulator="NMC",
    register_part="Registered nurse: adult",
    skills=CLINICAL,
)
DIETITIAN = Post(
    title="Trainee advanced clinical practitioner, dietetics",
    staff_group="Allied Health Professionals",
    job_role="Dietitian",
    occupation_code="S2B",
    grade="Band 7",
    department="Nutrition and dietetics",
    role_category="DIETETICS",
    regulator="HCPC",
    register_part="Dietitian",
    skills=CLINICAL,
)
RESIDENT = Post(
    title="Specialty registrar, general surgery",
    staff_group="Medical and Dental",
    job_role="Specialty Registrar",
    occupation_code="011",
    grade="ST4",
    department="General surgery",
    role_category="SURGICAL",
    regulator="GMC",
    register_part="Full registration",
    dbs_level="ENHANCED_BARRED",
    barred_lists=(ADULT, CHILD),
    epp="YES",
    skills=CLINICAL,
)
STAFF_NURSE = Post(
    title="Staff nurse",
    staff_group="Nursing and Midwifery Registered",
    job_role="Staff Nurse",
    occupation_code="N6D",
    grade="Band 5",
    department="Acute medical unit",
    role_category="NURSING",
    regulator="NMC",
    register_part="Registered nurse: adult",
    dbs_level="ENHANCED_BARRED",
    barred_lists=(ADULT,),
    skills=CLINICAL,
)
RADIOGRAPHER = Post(
    title="Diagnostic radiographer",
    staff_group="Allied Health Professionals",
    job_role="Radiographer - Diagnostic",
    occupation_code="S1F",
    grade="Band 6",
    department="Radiology",
    role_category="IMAGING",
    regulator="HCPC",
    register_part="Radiographer",
    skills=CLINICAL,
)
COORDINATOR = Post(
    title="Multidisciplinary team coordinator",
    staff_group="Administrative and Clerical",
    job_role="Clerical Worker",
    occupation_code="G2C",
    grade="Band 4",
    department="Cancer services",
    role_category="NON_CLINICAL",
    dbs_level="BASIC",
    skills={**EVERYBODY, "IPC": ("1", 300), "MH": ("1", 300), "SA": ("1", 300), "SC": ("1", 300)},
)
SUPPORT_WORKER = Post(
    title="Cancer support worker",
    staff_group="Additional Clinical Services",
    job_role="Health Care Support Worker",
    occupation_code="N9D",
    grade="Band 3",
    department="Cancer services",
    role_category="SUPPORT",
    dbs_level="ENHANCED_BARRED",
    barred_lists=(ADULT,),
    skills=CLINICAL,
)
GENERATED = (STAFF_NURSE, RESIDENT, RADIOGRAPHER, RADIOLOGIST, CNS, DIETITIAN, SUPPORT_WORKER, COORDINATOR)
