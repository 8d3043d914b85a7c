"""What ``passport-registry doctor`` looks at beyond what every service has: publishing and the authority."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from passport_registry.store import authority, measures, publications
from passport_registry.store.publications import Kind
from passport_shared.formats.freshness import SNAPSHOT_AGED, SNAPSHOT_RENEWAL
from passport_shared.service import metric_names as m
from passport_shared.service.doctor import Finding, Patient, fine, problem, warning

ISSUING_WARNING = timedelta(days=180)
LEAVES_FOR = timedelta(days=4 * 365)
"""The issuing authority signs leaves in the first four of its eight years (design §4.1)."""
SUSPICIOUS = 2 * SNAPSHOT_RENEWAL


async def anchor(patient: Patient) -> Sequence[Finding]:
    """The anchor is made, and its issuing authority may still sign leaves."""
    async with patient.db.read() as conn:
        root, issuing = await authority.get(conn, "root"), await authority.get(conn, "issuing")
    if root is None or issuing is None:
        says = "The trust anchor has not been made; no service can join the network."
        return [
            problem("anchor.made", says, do="passport-registry init --out trust.json", runbook="registry.md")
        ]
    findings = [fine("anchor.made", "The trust anchor and its authority are made.")]
    left = issuing.not_before + LEAVES_FOR - patient.clock.now()
    do = "plan the next issuing authority with the network's operator"
    if left <= timedelta(0):
        says = "The issuing authority may sign no more leaves: nobody can enrol or renew."
        findings.append(problem("anchor.issuing", says, do=do, runbook="certificates.md"))
    elif left <= ISSUING_WARNING:
        says = f"The issuing authority may sign leaves for {left.days} more days."
        findings.append(warning("anchor.issuing", says, do=do, runbook="certificates.md"))
    else:
        findings.append(fine("anchor.issuing", "The issuing authority may sign leaves."))
    return findings


async def publishing(patient: Patient) -> Sequence[Finding]:
    """What is recorded is published, and the snapshot is renewed in time."""
    now = patient.clock.now()
    async with patient.db.read() as conn:
        found = await measures.publishing(conn, now)
        last = await publications.last(conn, Kind.SNAPSHOT)
    do = "start the service, or run: passport-registry publish"
    if last is None:
        says = "Nothing has been published: no service can join the network."
        return [problem("publishing.snapshot", says, do=do, runbook="registry.md")]
    age = now - last.issued_at
    if age > SUSPICIOUS:
        make = problem if age > SNAPSHOT_AGED else warning
        hours = int(age.total_seconds() // 3600)
        says = f"The published snapshot is {hours} hours old; after a day every decision is REFER."
        findings = [make("publishing.snapshot", says, do=do, runbook="registry.md")]
    else:
        findings = [fine("publishing.snapshot", "The published snapshot is fresh.")]
    if found[m.PUBLISHING_LAG][()] and age > SNAPSHOT_RENEWAL:
        says = "Recorded changes, such as a suspension, are not published."
        findings.append(problem("publishing.lag", says, do=do, runbook="registry.md"))
    else:
        findings.append(fine("publishing.lag", "What is recorded is published."))
    return findings


async def entities(patient: Patient) -> Sequence[Finding]:
    """Nobody's certificates end soon without a renewal."""
    async with patient.db.read() as conn:
        found = await measures.certificates(conn, patient.clock.now())
    ending = {labels[0]: int(count) for labels, count in found[m.CERTIFICATES_ENDING].items() if count}
    if not ending:
        return [fine("certificates.entities", "Every entity may sign for more than a month.")]
    told = ", ".join(f"{count} {use}" for use, count in sorted(ending.items()))
    says = f"May sign for less than 30 days: {told}. The services of these entities renew by themselves."
    do = "ask the trusts concerned to run: passport-issuer doctor, or passport-verifier doctor"
    return [warning("certificates.entities", says, do=do, runbook="certificates.md")]


LOOKS = (anchor, publishing, entities)
