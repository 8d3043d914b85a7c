"""Gate G-B at the issuer: only a trust's trained HR users make offers, once it names them in the register."""

from __future__ import annotations

from datetime import timedelta

import pytest

from passport_shared.wire.hr_users import HrRole
from passport_testkit.apps import problem
from passport_testkit.issuers import HR, IssuerBench

ISSUES = HrRole.HR_ISSUER


@pytest.mark.parametrize(
    ("subject", "role", "lapsed_days_ago", "words"),
    [
        ("somebody-else", ISSUES, 0, "not one of the trust's HR users"),
        (HR, HrRole.HR_VERIFIER, 0, "no role"),
        (HR, ISSUES, 31, "lapsed"),
    ],
    ids=["unnamed", "role", "training"],
)
async def test_who_may_not_issue_is_told_what_to_do(
    issuer: IssuerBench, subject: str, role: HrRole, lapsed_days_ago: int, words: str
) -> None:
    staff_id = await issuer.surgeon()
    trained_until = issuer.clock.now().date() - timedelta(days=lapsed_days_ago)
    issuer.clients.name_hr_user("RBV", subject, role, trained_until=trained_until)
    refused = problem(
        await issuer.call("POST", f"/staff/{staff_id}/offers", {"actor": HR}), 409, "gate_not_passed"
    )
    assert words in refused["detail"]
    assert (await issuer.call("GET", f"/staff/{staff_id}/offers")).json()["items"] == []


@pytest.mark.parametrize("lapsed_days_ago", [0, 30], ids=["in date", "in grace"])
async def test_a_trained_hr_user_issues(issuer: IssuerBench, lapsed_days_ago: int) -> None:
    staff_id = await issuer.surgeon()
    trained_until = issuer.clock.now().date() - timedelta(days=lapsed_days_ago)
    issuer.clients.name_hr_user("RBV", HR, ISSUES, trained_until=trained_until)
    assert (await issuer.offer(staff_id))["state"] == "OFFERED"


async def test_another_trusts_hr_users_change_nothing_here(issuer: IssuerBench) -> None:
    staff_id = await issuer.surgeon()
    issuer.clients.name_hr_user("R0A", "somebody", ISSUES, trained_until=None)
    assert (await issuer.offer(staff_id))["state"] == "OFFERED"
