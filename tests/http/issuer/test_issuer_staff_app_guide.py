"""The example in docs/staff-app.md, run as it stands."""

from __future__ import annotations

import re
from typing import Any

from passport_testkit.corpora import REPOSITORY
from passport_testkit.issuers import ENTITY, IssuerBench, check_body

EXAMPLE = re.compile(r"<!-- example -->\n```python\n(.*?)```\n<!-- /example -->", re.DOTALL)


async def test_the_example_runs(issuer: IssuerBench) -> None:
    found = EXAMPLE.search((REPOSITORY / "docs" / "staff-app.md").read_text("utf-8"))
    assert found is not None
    example: dict[str, Any] = {}
    exec(found[1], example)  # noqa: S102 - our own document
    staff_id = await issuer.staff(external_ids=[])
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    got = await wallet.collect(made["credential_offer"], made["tx_code"])
    now = issuer.clock.now
    credential = got.credentials["OccupationalHealth_1"][0]
    token = await example["open_session"](issuer.http, ENTITY, credential, wallet.key, now)
    who = (issuer.http, ENTITY, token, wallet.key)
    passport = await example["call"](*who, "GET", "passport", now=now)
    assert passport["state"] == "ACTIVE"
    problem = {"kind": "OTHER", "text": "A question about my passport"}
    reported = await example["call"](*who, "POST", "problems", problem, now=now)
    assert reported["state"] == "OPEN"
