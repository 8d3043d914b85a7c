"""``passport-<service> doctor``: looks at one service from outside and says what is wrong and what to do.

It reads the settings, the files, the database and the registry itself, so it works while the service runs and
when it does not start. Nothing is changed: the one write it tries is rolled back. Every finding has a name
that is also an anchor of the runbooks, says what it means, and names a command. The exit code is 0 if all is
well, 1 if something needs attention soon, 2 if something is broken now.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from sqlalchemy import MetaData

from passport_shared.formats.clock import Clock
from passport_shared.formats.trust_file import TrustFile, TrustFileError
from passport_shared.outbound import Outbound
from passport_shared.service.audit import AuditTables
from passport_shared.service.clock import clock_of
from passport_shared.service.db import Database
from passport_shared.service.documents import DocumentTables
from passport_shared.service.kek import Kek, KekError
from passport_shared.service.keys import KeyStore, KeyTables
from passport_shared.service.leases import JobTables
from passport_shared.service.outbox import OutboxTables
from passport_shared.service.settings import Environment, ServiceSettings, check_config
from passport_shared.service.tenancy import TenantTables


class Level(StrEnum):
    """How bad a finding is; the worst one decides the exit code."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


EXIT_CODES = {Level.OK: 0, Level.WARNING: 1, Level.PROBLEM: 2}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Args:
        check: its name, ``<subject>.<aspect>``, the same in every service.
        says: what was found and what it means, one or two sentences, no personal data.
        do: the command or act that puts it right; empty when all is well.
        runbook: the page below ``docs/runbooks``; empty when all is well.
    """

    check: str
    level: Level
    says: str
    do: str = ""
    runbook: str = ""


def fine(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check=check, level=Level.OK, says=says)


def warning(check: str, says: str, *, do: str, runbook: str) -> Finding:
    """Works now, and will not for ever."""
    return Finding(check=check, level=Level.WARNING, says=says, do=do, runbook=runbook)


def problem(check: str, says: str, *, do: str, runbook: str) -> Finding:
    """Broken now."""
    return Finding(check=check, level=Level.PROBLEM, says=says, do=do, runbook=runbook)


@dataclass(frozen=True, kw_only=True)
class ServiceTables:
    """The tables every service has; ``tenants`` is None for the registry."""

    metadata: MetaData
    audit: AuditTables
    outbox: OutboxTables
    jobs: JobTables
    keys: KeyTables
    documents: DocumentTables
    tenants: TenantTables | None = None


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A service as the doctor holds it; ``keys`` and ``trust_file`` are None when they cannot be used."""

    service: str
    package: str
    settings: ServiceSettings
    tables: ServiceTables
    db: Database
    clock: Clock
    outbound: Outbound
    keys: KeyStore | None
    trust_file: TrustFile | None

    @property
    def prog(self) -> str:
        """The service's command."""
        return f"passport-{self.service}"


Look = Callable[[Patient], Awaitable[Sequence[Finding]]]
"""One look at a patient; what it raises becomes a problem under the look's own name."""


@dataclass(frozen=True, kw_only=True)
class HealthPlan:
    """What a service gives the doctor.

    Args:
        service: ``registry``, ``issuer`` or ``verifier``.
        package: whose migrations are compared.
        tables: the shared tables as this service has them.
        looks: what only this service has; run once the database has its tables.
    """

    service: str
    package: str
    tables: ServiceTables
    looks: Sequence[Look] = ()


async def diagnose(
    plan: HealthPlan,
    settings_class: type[ServiceSettings],
    *,
    environ: Mapping[str, str] | None = None,
    outbound: Outbound | None = None,
    clock: Clock | None = None,
) -> list[Finding]:
    """Look at everything that can be looked at; what stands on something broken is left out.

    Args:
        plan: the service.
        settings_class: its settings.
        environ: variables to check, the process's own by default.
        outbound: the way to the registry, made from the settings by default.
        clock: the deployment's clock by default.
    """
    # Imported here: they import the words of this module.
    from passport_shared.service import doctor_database, doctor_trust

    faults = check_config(settings_class, environ)
    findings = [
        problem("settings", fault, do=f"passport-{plan.service} check-config", runbook="configuration.md")
        for fault in faults
    ]
    try:
        settings = settings_class() if environ is None else settings_class(**_fields(settings_class, environ))
    except ValidationError:
        return findings
    if not faults:
        findings.append(fine("settings", "Every setting can be used."))
    async with _patient(plan, settings, outbound, clock) as patient:
        findings += await _look(patient, doctor_trust.files)
        findings += await _look(patient, doctor_trust.tls)
        findings += await _look(patient, doctor_database.reachable)
        if any(found.check.startswith("database.") and found.level is Level.PROBLEM for found in findings):
            return findings
        for look in (*doctor_database.LOOKS, *doctor_trust.LOOKS, *plan.looks):
            findings += await _look(patient, look)
    return findings


def _fields(settings_class: type[ServiceSettings], environ: Mapping[str, str]) -> dict[str, Any]:
    # A mistyped variable is a finding, and no reason not to look at the rest.
    prefix = settings_class.prefix()
    wanted = {f"{prefix}{name}".upper(): name for name in settings_class.model_fields}
    return {wanted[name]: value for name, value in environ.items() if name in wanted}


@contextlib.asynccontextmanager
async def _patient(
    plan: HealthPlan, settings: ServiceSettings, outbound: Outbound | None, clock: Clock | None
) -> AsyncIterator[Patient]:
    time = clock or clock_of(settings.clock_file)
    # The durability of commits is a finding here, and not a reason to refuse to look.
    db = Database(settings.database_url, name=f"{plan.service}-doctor", shared=True, durable=False)
    way = outbound or Outbound(
        ca_file=settings.tls_ca_file,
        allow=settings.outbound_allow,
        allow_private=settings.environment is not Environment.PRODUCTION,
    )
    try:
        keys: KeyStore | None = KeyStore(db, Kek.load(settings.kek_file), plan.tables.keys, time)
    except KekError:
        keys = None
    try:
        yield Patient(
            service=plan.service,
            package=plan.package,
            settings=settings,
            tables=plan.tables,
            db=db,
            clock=time,
            outbound=way,
            keys=keys,
            trust_file=_trust_file(settings),
        )
    finally:
        if outbound is None:
            await way.close()
        await db.close()


def _trust_file(settings: ServiceSettings) -> TrustFile | None:
    try:
        return None if settings.trust_file is None else TrustFile.parse(settings.trust_file.read_bytes())
    except (OSError, TrustFileError):
        return None


async def _look(patient: Patient, look: Look) -> list[Finding]:
    """One look; a look that fails is itself a finding."""
    try:
        return list(await look(patient))
    except Exception as error:  # noqa: BLE001 - whatever stops a look is what the operator has to know
        cause = getattr(error, "orig", None) or error
        name = getattr(look, "__name__", "look").strip("_")
        return [
            problem(
                f"doctor.{name}",
                f"This could not be looked at ({type(cause).__name__}).",
                do=f"{patient.prog} doctor --json, and read the service's log",
                runbook="doctor.md",
            )
        ]


def exit_code(findings: Sequence[Finding]) -> int:
    """0, 1 or 2: the worst finding."""
    return max((EXIT_CODES[found.level] for found in findings), default=0)


def as_json(service: str, findings: Sequence[Finding]) -> str:
    """The findings for a machine."""
    worst = next(level for level, code in EXIT_CODES.items() if code == exit_code(findings))
    body = {"service": service, "level": worst, "findings": [asdict(found) for found in findings]}
    return json.dumps(body, indent=2, ensure_ascii=False)


def as_text(findings: Sequence[Finding]) -> str:
    """The findings for a person, the worst first."""
    order = sorted(findings, key=lambda found: -EXIT_CODES[found.level])
    lines = []
    for found in order:
        lines.append(f"{found.level.value:8} {found.check}: {found.says}")
        if found.do:
            lines.append(f"         do: {found.do}")
        if found.runbook:
            lines.append(f"         see: docs/runbooks/{found.runbook}")
    return "\n".join(lines)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--json", action="store_true", help="as JSON, for a machine")


async def command(parsed: argparse.Namespace, plan: HealthPlan, settings_class: type[ServiceSettings]) -> int:
    """Run ``doctor`` from the environment."""
    findings = await diagnose(plan, settings_class)
    text = as_json(plan.service, findings) if parsed.json else as_text(findings)
    sys.stdout.write(f"{text}{os.linesep}")
    return exit_code(findings)
