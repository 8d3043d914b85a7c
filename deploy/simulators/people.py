"""The people of the simulated workforce systems: eight trusts, the nine of the pilot, two sandbox trusts.

Everybody is invented. The generated ones follow from a fixed seed and the given day alone, so that every run
shows the same people; the nine of table F2 and a few awkward cases are fixed by id. Registration numbers
have the right form and are taken from ranges that no regulator uses.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import date, timedelta

from deploy.simulators import names, posts, sandbox_people
from deploy.simulators.employees import Employee
from deploy.simulators.hiring import Hire, employ, right_to_work
from deploy.simulators.posts import Post

SEED = 20211108
PER_TRUST = 40
CHRISTIE, MANCHESTER, NORTHERN_CARE = "RBV", "R0A", "RM3"
TRUSTS = (MANCHESTER, NORTHERN_CARE, CHRISTIE, "RWJ", "RMP", "RMC", "RRF", "RJN")
# Ten days past the 24 months that most hosts allow for fire safety (worked case W1).
FIRE_SAFETY_DAYS_AGO = 730 + 10

Population = dict[str, dict[str, Employee]]
"""Employees by ODS code and ESR person id."""


@dataclass(frozen=True, kw_only=True)
class PilotPerson:
    """One of the nine of table F2, and the move they make. `key` is how the demonstration calls them."""

    key: str
    hire: Hire
    host_ods: str
    movement_type: str
    role_profile: str
    workforce_group: str
    use_case: str

    @property
    def employing_ods(self) -> str:
        """ODS code of the employing trust."""
        return self.hire.ods

    @property
    def person_id(self) -> str:
        """ESR person id."""
        return self.hire.person_id

    @property
    def dsp_id(self) -> str:
        """Employee id in the systems that speak the DSP API standard."""
        return self.hire.dsp_id

    @property
    def policy_id(self) -> str:
        """The host's policy for this move."""
        return f"{self.movement_type}.{self.role_profile}"

    def employee(self, today: date) -> Employee:
        """The person's records as on `today`."""
        return _adjusted(self.key, employ(self.hire, today), today)


def _radiologist(key: str, hire: Hire) -> PilotPerson:
    return PilotPerson(
        key=key,
        hire=hire,
        host_ods=NORTHERN_CARE,
        movement_type="CROSS_TRUST_WORKING",
        role_profile="RADIOLOGIST",
        workforce_group="Imaging",
        use_case="CROSS_TRUST",
    )


def _nurse(key: str, hire: Hire) -> PilotPerson:
    return PilotPerson(
        key=key,
        hire=hire,
        host_ods=NORTHERN_CARE,
        movement_type="INDUCTION_VISIT",
        role_profile="CLINICAL_NURSE_SPECIALIST",
        workforce_group="Nursing",
        use_case="INDUCTION",
    )


def _hire(
    ods: str, person_id: str, post: Post, name: tuple[str, str, str], number: str, **more: object
) -> Hire:
    given, family, birthdate = name
    found = Hire(
        ods=ods,
        person_id=person_id,
        post=post,
        given_name=given,
        family_name=family,
        birthdate=date.fromisoformat(birthdate),
        registration_number=number,
    )
    return replace(found, **more)  # type: ignore[arg-type]  # members of Hire, checked by replace


PILOT: tuple[PilotPerson, ...] = (
    PilotPerson(
        key="surgeon",
        hire=_hire(
            CHRISTIE, "20391234", posts.SURGEON, ("Adaeze", "Okonkwo-Price", "1981-03-09"), "7099991",
            title="Ms", assignment_suffix="-2", days={"FS": FIRE_SAFETY_DAYS_AGO},
        ),
        host_ods=MANCHESTER,
        movement_type="SERVICE_NEED_URGENT",
        role_profile="UROLOGY_SURGEON",
        workforce_group="Clinicians",
        use_case="SERVICE_NEED",
    ),
    _nurse(
        "cns_1",
        _hire(
            MANCHESTER, "20400101", posts.CNS, ("Siân", "Llewelyn-Áine", "1988-06-21"), "99Z0001E",
            middle_names="Angharad Mair", title="Mrs",
        ),
    ),
    _nurse(
        "cns_2",
        # married since: the learning system still has the old surname
        _hire(
            MANCHESTER, "20400102", posts.CNS, ("María José", "Núñez-Halloway", "1990-02-28"), "99Z0002E",
            previous_family_names=("Núñez de la Fuente",), learning_family="Núñez de la Fuente", title="Mrs",
        ),
    ),
    _nurse(
        "cns_3",
        _hire(
            MANCHESTER, "20400103", posts.CNS, ("Oluwaseun", "Adébáyọ̀", "1985-11-02"), "99Z0003E",
            preferred_name="Seun", learning_family="Adebayo", title="Mr",
        ),
    ),
    _radiologist(
        "radiologist_1",
        _hire(
            MANCHESTER, "20400201", posts.RADIOLOGIST, ("Zoë", "Brontë-Ashworth", "1979-07-14"), "7099993",
            learning_given="Zoe", learning_family="Bronte-Ashworth", title="Dr",
        ),
    ),
    _radiologist(
        "radiologist_2",
        _hire(
            MANCHESTER, "20400202", posts.RADIOLOGIST, ("Jürgen", "Özdemir", "1975-12-30"), "7099994",
            middle_names="Ali Rıza", title="Dr",
        ),
    ),
    _radiologist(
        "radiologist_3",
        _hire(
            MANCHESTER, "20400203", posts.RADIOLOGIST, ("Ngọc Anh", "Trần", "1986-04-05"), "7099995",
            title="Dr", dbs_level="STANDARD",
        ),
    ),
    _radiologist(
        "radiologist_4",
        _hire(
            MANCHESTER, "20400204", posts.RADIOLOGIST, ("Priya Lakshmi", "Raman", "1983-09-17"), "7099996",
            previous_family_names=("Iyerson",), title="Dr",
        ),
    ),
    PilotPerson(
        key="dietitian",
        hire=_hire(
            CHRISTIE, "20391301", posts.DIETITIAN, ("Aoife", "Ní Chonaillain", "1992-01-25"), "DT999901",
            middle_names="Máire", title="Ms",
        ),
        host_ods=NORTHERN_CARE,
        movement_type="PLACEMENT_DEVELOPMENT",
        role_profile="TRAINEE_ACP_DIETETICS",
        workforce_group="Trainees",
        use_case="EDUCATION_DEVELOPMENT",
    ),
)  # fmt: skip

COLLEAGUE = _hire(
    CHRISTIE, "20395678", posts.SURGEON, ("Gethin", "Maddox-Bell", "1977-11-30"), "7099992",
    title="Mr", assignment_suffix="-2",
)  # fmt: skip
"""Another urologist at The Christie, for the scenes in which somebody mixes two people."""

TWICE = (
    _hire(MANCHESTER, "20409001", posts.STAFF_NURSE, ("Róisín", "Quillerby", "1994-05-19"), "99Z0091E"),
    _hire(MANCHESTER, "20409002", posts.STAFF_NURSE, ("Róisín", "Quillerby", "1994-05-19"), "99Z0092E"),
)
"""Two records under one name and one birthdate: nothing but a person may say which is meant."""


def pilot(key: str) -> PilotPerson:
    """One of the nine by key.

    Raises:
        KeyError: no such key.
    """
    return {person.key: person for person in PILOT}[key]


def population(today: date) -> Population:
    """Everybody, with records as on `today`; the same for the same day."""
    found: Population = {ods: {} for ods in (*TRUSTS, *sandbox_people.TRUSTS)}
    fixed = [person.employee(today) for person in PILOT]
    fixed += [employ(hire, today) for hire in (COLLEAGUE, *TWICE)]
    fixed += [person.employee(today) for person in sandbox_people.PEOPLE]
    for employee in fixed:
        found[employee.ods][employee.person_id] = employee
    for index, ods in enumerate(TRUSTS):
        for hire in _generated(ods, index):
            found[ods][hire.person_id] = employ(hire, today)
    return found


def _adjusted(key: str, employee: Employee, today: date) -> Employee:
    """What a mould does not say: one time-limited right to work, long enough for any placement."""
    if key != "radiologist_2":
        return employee
    limited = right_to_work(today, route="SHARE_CODE", expires=today + timedelta(days=900))
    return replace(employee, right_to_work=limited)


def _generated(ods: str, index: int) -> list[Hire]:
    rng = random.Random(f"{SEED}:{ods}")  # noqa: S311 - the same people every time, not a secret
    hires = []
    for n in range(PER_TRUST):
        post = rng.choice(posts.GENERATED)
        family = rng.choice(names.FAMILY)
        previous = (rng.choice(names.FAMILY),) if rng.random() < 0.15 else ()
        hires.append(
            Hire(
                ods=ods,
                person_id=f"21{index:02d}{n:04d}",
                post=post,
                given_name=rng.choice(names.GIVEN),
                middle_names=rng.choice(names.MIDDLE) if rng.random() < 0.5 else None,
                family_name=family,
                previous_family_names=tuple(name for name in previous if name != family),
                birthdate=date(1960, 1, 1) + timedelta(days=rng.randrange(365 * 42)),
                registration_number=_number(post, index * PER_TRUST + n),
                fte=rng.choice((1.0, 1.0, 1.0, 0.8, 0.6)),
                days={code: 1 + rng.randrange(2 * days) for code, (_, days) in post.skills.items()},
            )
        )
    return hires


def _number(post: Post, n: int) -> str:
    """An invented registration number in the form of the post's regulator."""
    forms = {
        "GMC": f"7098{n:03d}",
        "NMC": f"98Z{n:04d}E",
        "HCPC": f"{post.register_part[:2].upper()}998{n:03d}",
    }
    return forms.get(post.regulator or "", "")
