"""What ``passport-verifier doctor`` looks at beyond what every service has: lists it relies on, alerts."""

from __future__ import annotations

from collections.abc import Sequence

from passport_shared.service import metric_names as m
from passport_shared.service.doctor import Finding, Patient, fine, problem, warning
from passport_verifier.store import measures

URGENT_WAITS_S = 15 * 60


async def status_lists(patient: Patient) -> Sequence[Finding]:
    """The status lists that decisions rely on still say something."""
    async with patient.db.read() as conn:
        found = await measures.status_lists(conn, patient.clock.now())
    kept, ended = int(found[m.LISTS_KEPT][()]), int(found[m.LISTS_ENDED][()])
    if not ended:
        return [fine("status_lists.kept", f"{kept} status list(s) of issuers are kept and in force.")]
    says = f"{ended} of {kept} status lists have ended or never came: who relies on them gets REFER."
    do = "read the log for status_list_token.fetch_failed, and call the issuer that is named"
    make = problem if ended == kept else warning
    return [make("status_lists.kept", says, do=do, runbook="status-lists.md")]


async def alerts(patient: Patient) -> Sequence[Finding]:
    """Somebody looks at what the watch found."""
    async with patient.db.read() as conn:
        found = await measures.alerts(conn, patient.clock.now())
    waiting = found[m.ALERTS_OLDEST][("true",)]
    if waiting <= URGENT_WAITS_S:
        return [fine("alerts.urgent", "No urgent alert waits for long.")]
    says = f"An urgent alert about a placement has waited {int(waiting // 60)} minutes for the host's HR."
    do = "call the host's HR; they acknowledge it in their system"
    return [problem("alerts.urgent", says, do=do, runbook="alerts.md")]


LOOKS = (status_lists, alerts)
