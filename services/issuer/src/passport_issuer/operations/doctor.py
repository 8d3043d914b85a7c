"""What ``passport-issuer doctor`` looks at beyond what every service has: its status lists."""

from __future__ import annotations

from collections.abc import Sequence

from passport_issuer.store import measures
from passport_shared.formats.freshness import ISSUER_STATUS_LIST_LIFETIME, STATUS_FRESH
from passport_shared.service import metric_names as m
from passport_shared.service.doctor import Finding, Patient, fine, problem, warning

FULL = 0.69


async def status_lists(patient: Patient) -> Sequence[Finding]:
    """Every change is published, no list in force is old, and there is room for new credentials."""
    async with patient.db.read() as conn:
        found = await measures.status_lists(conn, patient.clock.now())
    pending, age, fullest = (found[name][()] for name in (m.STATUS_PENDING, m.STATUS_OLDEST, m.STATUS_ROOM))
    do = f"start the service, and read its log for status_list.no_key; then {patient.prog} doctor"
    findings = []
    if age > ISSUER_STATUS_LIST_LIFETIME.total_seconds():
        says = "A status list in force has ended: hosts cannot tell who is revoked and refer everybody."
        findings.append(problem("status_lists.age", says, do=do, runbook="status-lists.md"))
    elif age > STATUS_FRESH.total_seconds():
        says = f"The oldest status list in force is {int(age // 60)} minutes old; hosts take it for stale."
        findings.append(problem("status_lists.age", says, do=do, runbook="status-lists.md"))
    else:
        findings.append(fine("status_lists.age", "Every status list in force is fresh."))
    if pending:
        says = f"{int(pending)} status list(s) have changes that are not published."
        findings.append(warning("status_lists.published", says, do=do, runbook="status-lists.md"))
    else:
        findings.append(fine("status_lists.published", "Every change of a status is published."))
    if fullest >= FULL:
        says = "A trust's newest status list is full; its next credentials wait for another list."
        findings.append(warning("status_lists.room", says, do=do, runbook="status-lists.md"))
    else:
        findings.append(fine("status_lists.room", "The status lists have room."))
    return findings


LOOKS = (status_lists,)
