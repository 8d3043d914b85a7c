"""The doctor's looks at what a service is trusted by: files, keys, clock, registry, certificates.

Every day limit stands here once. Nothing is fetched but the registry's manifest, and nothing is kept.
"""

from __future__ import annotations

import socket
import ssl
import stat
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from sqlalchemy import select

from passport_shared.formats.freshness import CLOCK_LEEWAY, SNAPSHOT_AGED, SNAPSHOT_FRESH, SNAPSHOT_LIMIT
from passport_shared.formats.snapshot import MANIFEST_MEDIA_TYPE, SnapshotError, verify_manifest
from passport_shared.outbound import OutboundError
from passport_shared.service.clock_check import clock_check
from passport_shared.service.doctor import Finding, Patient, fine, problem, warning
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.kek import Kek, KekError
from passport_shared.service.keys import KeyState
from passport_shared.service.snapshot_keeper import MANIFEST_MAX_BYTES, SnapshotKeeper
from passport_shared.service.tenancy import TenantState

TLS_WARNING, TLS_PROBLEM = timedelta(days=21), timedelta(days=3)
SIGNING_WARNING, SIGNING_PROBLEM = timedelta(days=30), timedelta(days=3)
KEY_OLD = timedelta(days=400)
CLOCK_PROBLEM = CLOCK_LEEWAY


async def files(patient: Patient) -> Sequence[Finding]:
    """The key-encryption key is one, is private, and does not lie beside the database."""
    path = patient.settings.kek_file
    try:
        Kek.load(path)
    except KekError as error:
        return [
            problem(
                "files.kek",
                f"{error}. Without it no private key opens and the service does not start.",
                do=f"restore {path} from its own backup, mode 0600",
                runbook="keys.md",
            )
        ]
    return [fine("files.kek", "The key-encryption key can be read and is private."), *_beside(patient, path)]


def _beside(patient: Patient, path: Path) -> list[Finding]:
    """How key and database lie to each other, where the database is a file."""
    findings: list[Finding] = []
    if patient.db.dialect == "sqlite":
        database = Path(str(patient.db.url.database)).resolve()
        if path.resolve().parent == database.parent:
            findings.append(
                warning(
                    "files.kek_place",
                    "The key-encryption key lies beside the database: who copies the folder has both.",
                    do="move the file to another volume and set KEK_FILE",
                    runbook="keys.md",
                )
            )
        else:
            findings.append(fine("files.kek_place", "The key-encryption key lies apart from the database."))
        if database.exists() and stat.S_IMODE(database.stat().st_mode) & stat.S_IRWXO:
            findings.append(
                warning(
                    "files.database_mode",
                    f"{database.name} can be read by everybody on this machine.",
                    do=f"chmod o-rwx {database.name}*",
                    runbook="database.md",
                )
            )
    return findings


async def tls(patient: Patient) -> Sequence[Finding]:
    """The certificate of the service's own listener: it belongs to its key, names the host, and lasts."""
    cert_file, key_file = patient.settings.tls_cert_file, patient.settings.tls_key_file
    if cert_file is None or key_file is None:
        return [
            warning(
                "tls.configured",
                "No TLS certificate is configured; the service does not serve without one.",
                do="set TLS_CERT_FILE and TLS_KEY_FILE",
                runbook="certificates.md",
            )
        ]
    try:
        leaf = x509.load_pem_x509_certificates(cert_file.read_bytes())[0]
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (OSError, ValueError, IndexError, TypeError):
        return [
            problem(
                "tls.configured",
                "The TLS certificate or its key cannot be read.",
                do="compare the two files with what the certificate authority sent",
                runbook="certificates.md",
            )
        ]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        return [
            problem(
                "tls.configured",
                "The TLS key does not belong to the TLS certificate; no client can connect.",
                do="install the certificate and the key that were made together",
                runbook="certificates.md",
            )
        ]
    findings = [fine("tls.configured", "TLS certificate and key belong together.")]
    findings.append(_lasting("tls.days_left", "The TLS certificate", leaf.not_valid_after_utc, patient))
    served = _served_leaf(patient)
    if served is not None and served != leaf.public_bytes(Encoding.DER):
        findings.append(
            warning(
                "tls.in_use",
                "The running service still serves another certificate than the one in the file.",
                do="wait a minute for it to be read again, or restart the service",
                runbook="certificates.md",
            )
        )
    elif served is not None:
        findings.append(fine("tls.in_use", "The running service serves the certificate in the file."))
    return findings


def _served_leaf(patient: Patient) -> bytes | None:
    """What listens on the service's own address, None if nothing does."""
    host, _, port = patient.settings.bind.rpartition(":")
    if patient.settings.bind.startswith("fd://"):
        return None
    # Compared with a file, not believed.
    context = ssl._create_unverified_context()  # noqa: S323
    local = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "": "127.0.0.1"}.get(host, host.strip("[]"))  # noqa: S104
    try:
        with (
            socket.create_connection((local, int(port)), timeout=2) as plain,
            context.wrap_socket(plain, server_hostname=local) as secure,
        ):
            return secure.getpeercert(binary_form=True)
    except (OSError, ValueError):
        return None


def _lasting(check: str, what: str, until: datetime, patient: Patient) -> Finding:
    left = until - patient.clock.now()
    days = max(0, left.days)
    if left <= timedelta(0):
        says = f"{what} ended on {until:%d %B %Y}; nobody can connect."
        return problem(check, says, do="install a new certificate now", runbook="certificates.md")
    says = f"{what} has {days} days left."
    if left <= TLS_WARNING:
        make = problem if left <= TLS_PROBLEM else warning
        return make(check, says, do="renew it with your certificate authority", runbook="certificates.md")
    return fine(check, says)


async def keys(patient: Patient) -> Sequence[Finding]:
    """Every wrapped row opens, every purpose has its active key, and none has signed for too long."""
    if patient.keys is None:
        return [
            problem(
                "keys.open",
                "No private key can be opened: the key-encryption key cannot be used.",
                do=f"restore {patient.settings.kek_file} from its own backup",
                runbook="keys.md",
            )
        ]
    closed = await patient.keys.unreadable()
    if closed:
        findings = [
            problem(
                "keys.open",
                f"{len(closed)} key(s) or secret(s) were wrapped by another key-encryption key.",
                do="restore the key-encryption key that belongs to this database",
                runbook="keys.md",
            )
        ]
    else:
        findings = [fine("keys.open", "Every private key opens.")]
    table, now = patient.tables.keys.keys, patient.clock.now()
    async with patient.db.read() as conn:
        rows = (await conn.execute(select(table))).all()
    states: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        states.setdefault((row.owner, row.purpose), set()).add(row.state)
    idle = sorted(
        {
            f"{owner or 'the service'} {purpose}"
            for (owner, purpose), held in states.items()
            if KeyState.ACTIVE not in held
        }
    )
    if idle:
        says = f"No key signs for: {', '.join(idle)}."
        findings.append(
            problem("keys.active", says, do=f"{patient.prog} keys rotate PURPOSE", runbook="keys.md")
        )
    else:
        findings.append(fine("keys.active", "Every purpose has one key that signs."))
    old = sorted(
        {row.purpose for row in rows if row.state == KeyState.ACTIVE and now - row.changed_at > KEY_OLD}
        - {"ca-root", "ca-issuing"}
    )
    if old:
        says = f"Keys have signed for more than {KEY_OLD.days} days: {', '.join(old)}."
        findings.append(
            warning("keys.age", says, do=f"{patient.prog} keys rotate {old[0]}", runbook="keys.md")
        )
    else:
        findings.append(fine("keys.age", "No key has signed for too long."))
    return findings


async def clock(patient: Patient) -> Sequence[Finding]:
    """This machine's time against the database server's and against the registry's last word."""
    keeper = None if patient.trust_file is None or patient.service == "registry" else _keeper(patient)
    if keeper is not None:
        await keeper.latest()
    found = await clock_check(patient.clock, patient.db, keeper)
    return [
        _apart(f"clock.{one.against}", f"the {one.against}'s", abs(one.off))
        for one in found
        if one.off is not None
    ]


def _apart(check: str, whose: str, apart: timedelta) -> Finding:
    if apart <= CLOCK_PROBLEM:
        return fine(check, f"This machine's clock agrees with {whose}.")
    return problem(
        check,
        f"This machine's clock is {int(apart.total_seconds())} seconds or more from {whose}: what is signed "
        "with it is refused elsewhere.",
        do="timedatectl status, and put the time service right",
        runbook="clock.md",
    )


async def registry(patient: Patient) -> Sequence[Finding]:
    """The trust file, the registry's reach, and how old the network's snapshot is that decisions stand on."""
    if patient.service == "registry":
        return []
    if patient.trust_file is None:
        return [
            problem(
                "registry.trust_file",
                "There is no trust file that can be used: nobody is trusted.",
                do="passport-registry trust-file --out trust.json on the registry, and set TRUST_FILE",
                runbook="registry.md",
            )
        ]
    return [await _reach(patient), await _snapshot(patient)]


async def _reach(patient: Patient) -> Finding:
    trust = patient.trust_file
    assert trust is not None  # noqa: S101 - asked for by the caller
    do = f"curl -sS {trust.snapshot_uri} from this machine, and the firewall between"
    try:
        answer = await patient.outbound.get(
            trust.snapshot_uri, accept=MANIFEST_MEDIA_TYPE, max_bytes=MANIFEST_MAX_BYTES
        )
    except OutboundError as error:
        says = (
            f"The registry cannot be reached ({error.reason.value}); what is kept stays in force meanwhile."
        )
        return warning("registry.reachable", says, do=do, runbook="registry.md")
    if answer.status != 200:
        says = f"The registry answers with status {answer.status}."
        return warning("registry.reachable", says, do=do, runbook="registry.md")
    try:
        verify_manifest(answer.body.decode("ascii", "replace"), trust, now=patient.clock.now())
    except SnapshotError as error:
        rolled = await _accepted(patient, answer.body)
        if not rolled:
            says = f"Its snapshot is refused ({error.reason.value}): another network or a bad clock."
            return problem(
                "registry.trust_file",
                says,
                do="compare the trust file with the one the registry's operator prints",
                runbook="registry.md",
            )
    stated = answer.headers.get("date")
    if stated is not None and patient.settings.clock_file is None:
        apart = abs(patient.clock.now() - parsedate_to_datetime(stated))
        if apart > CLOCK_PROBLEM:
            return _apart("clock.registry", "the registry's", apart)
    return fine("registry.reachable", "The registry answers with a snapshot of this network.")


async def _accepted(patient: Patient, body: bytes) -> bool:
    """Whether the anchor has rolled its key since the trust file was installed, as the service knows."""
    keeper = _keeper(patient)
    snapshot = await keeper.latest()
    if snapshot is None:
        return False
    try:
        verify_manifest(body.decode("ascii", "replace"), snapshot.trust_file, now=patient.clock.now())
    except SnapshotError:
        return False
    return True


def _keeper(patient: Patient) -> SnapshotKeeper:
    assert patient.trust_file is not None  # noqa: S101 - asked for by the caller
    documents = CachedDocuments(patient.db, patient.tables.documents, patient.clock)
    return SnapshotKeeper(patient.db, patient.outbound, patient.trust_file, patient.clock, documents)


async def _snapshot(patient: Patient) -> Finding:
    snapshot = await _keeper(patient).latest()
    do = "start the service, and see that the registry can be reached"
    if snapshot is None:
        return problem(
            "registry.snapshot",
            "No snapshot of the network is kept, or it has ended: nothing can be decided or issued.",
            do=do,
            runbook="registry.md",
        )
    age = snapshot.age(patient.clock.now())
    says = f"Snapshot {snapshot.sequence} is {int(age.total_seconds() // 60)} minutes old."
    if age > SNAPSHOT_LIMIT:
        return problem(
            "registry.snapshot", f"{says} No decision is made on it.", do=do, runbook="registry.md"
        )
    if age > SNAPSHOT_AGED:
        says = f"{says} Every decision is at best REFER."
        return problem("registry.snapshot", says, do=do, runbook="registry.md")
    if age > SNAPSHOT_FRESH:
        return warning("registry.snapshot", says, do=do, runbook="registry.md")
    return fine("registry.snapshot", says)


async def tenants(patient: Patient) -> Sequence[Finding]:
    """Every trust here is enrolled, and its keys may sign for a while yet."""
    tables = patient.tables.tenants
    if tables is None:
        return []
    now, t, c = patient.clock.now(), tables.tenants, tables.certificates
    async with patient.db.read() as conn:
        held = (await conn.execute(select(t.c.ods, t.c.state))).all()
        rows = (await conn.execute(select(c.c.ods, c.c.use, c.c.not_after_signing))).all()
    until: dict[tuple[str, str], datetime] = {}
    for row in rows:
        until[row.ods, row.use] = max(
            until.get((row.ods, row.use), row.not_after_signing), row.not_after_signing
        )
    waiting = sorted(row.ods for row in held if row.state == TenantState.ENROLLING)
    findings = []
    if waiting:
        says = f"Not enrolled yet: {', '.join(waiting)}."
        do = f"{patient.prog} tenant enrol {waiting[0]} --code -"
        findings.append(warning("tenants.enrolled", says, do=do, runbook="certificates.md"))
    else:
        findings.append(fine("tenants.enrolled", f"{len(held)} trust(s) are enrolled."))
    findings.append(_signing(patient, until, now))
    return findings


def _signing(patient: Patient, until: dict[tuple[str, str], datetime], now: datetime) -> Finding:
    ending = sorted((end, ods, use) for (ods, use), end in until.items() if end - now <= SIGNING_WARNING)
    if not ending:
        return fine("certificates.signing", "Every certificate may sign for more than a month.")
    end, ods, use = ending[0]
    do = f"{patient.prog} tenant renew {ods}"
    if end <= now:
        says = f"The {use} key of {ods} may sign no more since {end:%d %B %Y}; {len(ending)} in all end soon."
        return problem("certificates.signing", says, do=do, runbook="certificates.md")
    make = problem if end - now <= SIGNING_PROBLEM else warning
    says = f"The {use} key of {ods} may sign for {(end - now).days} more days; {len(ending)} key(s) end soon."
    return make("certificates.signing", says, do=do, runbook="certificates.md")


LOOKS = (keys, clock, registry, tenants)
