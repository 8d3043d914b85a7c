"""The people of the sandbox trusts: whatever is asked of them, each gives the same outcome every time.

`SBX01` employs them, `SBX02` receives them. The name says what happens. What makes it happen lies where it
would in real life: in the employer's records, in what the public register answers, or with the person.
See docs/sandbox.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from deploy.simulators import posts
from deploy.simulators.employees import Employee
from deploy.simulators.hiring import Hire, employ, right_to_work
from deploy.simulators.posts import Post

EMPLOYING, HOST = "SBX01", "SBX02"
TRUSTS = (EMPLOYING, HOST)
DAYS = 60
"""Length of the placement each outcome is stated for, starting on the day of the decision."""


@dataclass(frozen=True, kw_only=True)
class SandboxPerson:
    """One fixed person.

    `policy_id` names the host's policy the outcome is stated for. `outcome` is the host's decision, or None
    where there is none to make because the person says no; `rule` and `reason` say which rule decides and
    with which code. `withholds` are record types this person's
    wallet keeps back.
    """

    key: str
    hire: Hire
    policy_id: str
    outcome: str | None
    rule: str | None = None
    reason: str | None = None
    register_says: str | None = None
    agrees: bool = True
    withholds: tuple[str, ...] = ()

    @property
    def person_id(self) -> str:
        """ESR person id."""
        return self.hire.person_id

    def employee(self, today: date) -> Employee:
        """The person's records as on `today`."""
        employee = employ(self.hire, today)
        if self.register_says is not None:
            [registration] = employee.registrations
            employee = replace(
                employee, registrations=(replace(registration, register_says=self.register_says),)
            )
        if self.key == "right_to_work_ends":
            ends = right_to_work(today, route="SHARE_CODE", expires=today + timedelta(days=40))
            employee = replace(employee, right_to_work=ends)
        return employee


def _hire(n: int, given: str, family: str, post: Post = posts.RADIOLOGIST, **more: object) -> Hire:
    number = f"709990{n}" if post.regulator == "GMC" else f"97Z000{n}E"
    hire = Hire(
        ods=EMPLOYING,
        person_id=f"2900000{n}",
        post=post,
        given_name=given,
        family_name=family,
        birthdate=date(1980, n, n),
        registration_number=number,
    )
    return replace(hire, **more)  # type: ignore[arg-type]  # members of Hire, checked by replace


RADIOLOGIST = "CROSS_TRUST_WORKING.RADIOLOGIST"
NURSE = "INDUCTION_VISIT.CLINICAL_NURSE_SPECIALIST"

PEOPLE: tuple[SandboxPerson, ...] = (
    SandboxPerson(key="ready", hire=_hire(1, "Always", "Ready"), outcome="READY", policy_id=RADIOLOGIST),
    SandboxPerson(
        key="conditions",
        hire=_hire(2, "Firesafety", "Outofdate", days={"FS": 740}),
        outcome="READY_WITH_CONDITIONS",
        rule="R-12",
        reason="CORE_SKILL",
        policy_id=RADIOLOGIST,
    ),
    SandboxPerson(
        key="refer",
        hire=_hire(3, "Conditions", "Onregister"),
        outcome="REFER",
        rule="R-09",
        reason="REG_STATUS",
        register_says="REGISTERED_WITH_CONDITIONS",
        policy_id=RADIOLOGIST,
    ),
    SandboxPerson(
        key="lapsed",
        hire=_hire(4, "Registration", "Lapsed"),
        outcome="NOT_READY",
        rule="R-09",
        reason="REG_STATUS",
        register_says="LAPSED",
        policy_id=RADIOLOGIST,
    ),
    SandboxPerson(
        key="dbs_too_low",
        hire=_hire(5, "Standard", "Dbsonly", dbs_level="STANDARD"),
        outcome="NOT_READY",
        rule="R-08",
        reason="DBS_LEVEL",
        policy_id=RADIOLOGIST,
    ),
    SandboxPerson(
        key="right_to_work_ends",
        hire=_hire(6, "Righttowork", "Endssoon"),
        outcome="REFER",
        rule="R-07",
        reason="RTW",
        policy_id=RADIOLOGIST,
    ),
    SandboxPerson(
        key="withholds",
        hire=_hire(7, "Withholds", "Clearance", posts.CNS),
        outcome="READY_WITH_CONDITIONS",
        rule="R-10",
        reason="NOT_PRESENTED",
        withholds=("OccupationalHealth",),
        policy_id=NURSE,
    ),
    SandboxPerson(
        key="declines", hire=_hire(8, "Says", "No"), outcome=None, agrees=False, policy_id=RADIOLOGIST
    ),
)


def person(key: str) -> SandboxPerson | None:
    """One of them by key."""
    return next((one for one in PEOPLE if one.key == key), None)
