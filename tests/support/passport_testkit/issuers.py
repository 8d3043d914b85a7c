"""An issuer in the test's own process, enrolled in a network that exists only in this test.

`running_issuer` starts the real application on a fresh database with the real enrolment; `IssuerBench` is
what a test drives it with: HR's acts by API, wallets, and the background work by hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from passport_issuer.app import Parts, build
from passport_issuer.context import Context
from passport_issuer.operations import status_lists, sweeping
from passport_issuer.settings import IssuerSettings
from passport_shared.formats.status_list import StatusToken, read_token
from passport_shared.outbound import Outbound
from passport_shared.service.keys import create_kek_file
from passport_shared.wire.catalogue import TYPES
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.scopes import scopes_of
from passport_testkit.clients import ApiClientKit, ClientsSimulator, access_token, api_client
from passport_testkit.clock import FrozenClock
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registry_wire import CODE, RegistryWire
from passport_testkit.wallet import WalletSimulator

ISSUER = "https://issuer.example"
ENTITY = f"{ISSUER}/RBV"
API = "/api/v1/organisations/RBV"
HR = "hr-4711"
TOKEN_KEPT = timedelta(minutes=4)

SURGEON: dict[str, Any] = {
    "legal_given": "Adaeze",
    "legal_family": "Okonkwo-Price",
    "birthdate": "1981-03-09",
    "external_ids": [{"system": "ESR", "kind": "ESR_PERSON", "value": "1234567"}],
}
POST: dict[str, Any] = {
    "ref": "20391234",
    "type": "PERMANENT",
    "fte": 1.0,
    "title": "Consultant urologist",
    "staff_group": "Medical and Dental",
    "job_role": "Consultant",
    "grade": "YC72",
    "department": "Urology",
    "start": "2015-08-05",
}
CHECKS: dict[str, dict[str, Any]] = {
    "IDENTITY": {"identity_scheme": "NHS_IDENTITY_CHECK_STANDARD"},
    "RTW": {"permission": "UNLIMITED", "permission_expires": "NONE", "route": "LIST_A"},
    "DBS": {
        "level": "ENHANCED_BARRED",
        "workforce": "BOTH",
        "barred_lists": ["ADULT", "CHILD"],
        "certificate_issued_on": "2025-02-11",
        "registered_body": "Otter Valley NHS Foundation Trust",
        "update_service": True,
    },
    "REGISTRATION": {
        "regulator": "GMC",
        "number": "7099999",
        "register_part": "Specialist Register",
        "status": "REGISTERED",
        "licence_to_practise": True,
        "registers": ["Urology"],
        "renewal_due": "2027-03-31",
    },
    "OH": {"role_category": "SURGICAL", "epp_cleared": "YES"},
}
SUBJECTS = {"FS": "1", "IPC": "2", "RES": "2_ADULT"}


def check_body(check_type: str, **changes: Any) -> dict[str, Any]:
    """A cleared check of a kind with its evidence."""
    return {
        "check_type": check_type,
        "outcome": "CLEARED",
        "performed_on": "2026-08-20",
        "evidence_ref": f"evidence/{check_type.lower()}",
        "fields": dict(CHECKS[check_type]),
        "actor": HR,
        **changes,
    }


def training_body(subject: str, level: str = "1", **changes: Any) -> dict[str, Any]:
    """A completed subject."""
    return {
        "subject_code": subject,
        "level": level,
        "completed_on": "2026-01-15",
        "provider_ods": "RBV",
        "competency_name": f"NHS CSTF {subject}",
        "assessed": True,
        "learning_method": "E_LEARNING",
        **changes,
    }


@dataclass
class IssuerBench:
    """A running issuer and everything a test needs around it."""

    app: FastAPI
    http: httpx.AsyncClient
    clock: FrozenClock
    registry: TrustRegistrySimulator
    wire: RegistryWire
    clients: ClientsSimulator
    client: ApiClientKit
    _tokens: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    @property
    def ctx(self) -> Context:
        """The application's own context."""
        context: Context = self.app.state.context
        return context

    async def headers(self, client: ApiClientKit | None = None) -> dict[str, str]:
        """The Authorization header of an API client with a token that still lives."""
        who, now = client or self.client, self.clock.now()
        token, fetched_at = self._tokens.get(who.client_id, ("", now))
        if not token or not timedelta(0) <= now - fetched_at < TOKEN_KEPT:
            token = await access_token(self.http, who, ISSUER, now)
            self._tokens[who.client_id] = (token, now)
        return {"Authorization": f"Bearer {token}"}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        client: ApiClientKit | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """A management request below the tenant's prefix (or an absolute path)."""
        url = path if path.startswith("/api/") else f"{API}{path}"
        sent = {**await self.headers(client), **(headers or {})}
        return await self.http.request(method, url, json=body, headers=sent)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        """POST something that must be made; its representation."""
        answer = await self.call("POST", path, body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def staff(self, **changes: Any) -> str:
        """A member of staff about whom nothing is recorded yet; their id."""
        return str((await self.made("/staff", {**SURGEON, **changes}))["id"])

    async def confirm_identity(self, staff_id: str, **changes: Any) -> None:
        """An appointment that confirmed the person face to face."""
        session = await self.made(
            f"/staff/{staff_id}/identity-sessions", {"channel": "FACE_TO_FACE", "actor": HR}
        )
        result = {
            "result": "CONFIRMED",
            "face_matched": True,
            "documents": [{"kind": "PASSPORT", "last_four": "1234", "expires_on": "2031-01-01"}],
            "originals_seen_in_person_on": "2026-09-01",
            "actor": HR,
            **changes,
        }
        answer = await self.call(
            "POST", f"/staff/{staff_id}/identity-sessions/{session['id']}/result", result
        )
        assert answer.status_code == 200, answer.text

    async def surgeon(self, **changes: Any) -> str:
        """A surgeon with everything checked; their id."""
        staff_id = await self.staff(**changes)
        await self.made(f"/staff/{staff_id}/assignments", POST)
        for check_type in CHECKS:
            await self.made(f"/staff/{staff_id}/checks", check_body(check_type))
        for subject, level in SUBJECTS.items():
            await self.made(f"/staff/{staff_id}/training", training_body(subject, level))
        await self.confirm_identity(staff_id)
        return staff_id

    async def offer(self, staff_id: str, types: list[str] | None = None) -> dict[str, Any]:
        """An offer of everything held, or of some types, with its PIN."""
        body = {"actor": HR} if types is None else {"actor": HR, "types": types}
        return await self.made(f"/staff/{staff_id}/offers", body)

    def wallet(self) -> WalletSimulator:
        """A new wallet."""
        return WalletSimulator(self.http, self.clock)

    async def status(self, uri: str) -> StatusToken:
        """The status list in force, verified as a verifier would."""
        answer = await self.http.get(uri)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/statuslist+jwt"
        return read_token(answer.text, uri=uri, roots=self.registry.authority.roots, now=self.clock.now())

    async def publish(self) -> None:
        """What the background task does every few seconds."""
        await status_lists.tend(self.ctx)

    async def sweep(self) -> sweeping.Swept:
        """What the sweeper does."""
        return await sweeping.sweep(self.ctx)

    async def refresh(self) -> bool:
        """Publish the network as it is and let the issuer read it."""
        self.wire.publish()
        return await self.ctx.snapshots.refresh()


def issuer_settings(folder: Path, database_url: str, trust: bytes, **changes: Any) -> IssuerSettings:
    """Settings of an issuer in a test's folder."""
    kek, trust_file = folder / "kek", folder / "trust.json"
    if not kek.exists():
        create_kek_file(kek)
    trust_file.write_bytes(trust)
    values: dict[str, Any] = {
        "public_url": ISSUER,
        "database_url": database_url,
        "kek_file": kek,
        "trust_file": trust_file,
        "environment": "test",
        **changes,
    }
    return IssuerSettings(**values)


@contextlib.asynccontextmanager
async def running_issuer(
    folder: Path,
    database_url: str,
    *,
    types: tuple[str, ...] = tuple(TYPES),
    tenants: tuple[str, ...] = ("RBV",),
    at: datetime | None = None,
    settings: Mapping[str, Any] | None = None,
    workforce: httpx.AsyncBaseTransport | None = None,
    way_out: Callable[[httpx.AsyncBaseTransport], Outbound] | None = None,
) -> AsyncIterator[IssuerBench]:
    """An issuer with enrolled tenants, its snapshot read and its status lists published.

    `way_out` makes the outbound client that leads to the network of the test.
    """
    clock = FrozenClock() if at is None else FrozenClock(at)
    registry = TrustRegistrySimulator(clock)
    wire = RegistryWire(registry, types=types)
    client = api_client("rbv-hr-system", organisation="RBV", scopes=scopes_of("issuer"))
    clients = ClientsSimulator(client)
    configured = issuer_settings(folder, database_url, registry.trust_file.as_bytes(), **(settings or {}))
    outbound = way_out(wire) if way_out else Outbound(transport=wire)
    parts = Parts(clock=clock, outbound=outbound, clients=clients, workforce=workforce, background=False)
    app = build(configured, parts)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
            bench = IssuerBench(app, http, clock, registry, wire, clients, client)
            for ods in tenants:
                tenant = await bench.ctx.tenants.enrol(
                    ods, CODE, registry_url=registry.anchor, outbound=bench.ctx.outbound
                )
                await status_lists.ensure_lists(bench.ctx, tenant)
            await bench.ctx.snapshots.refresh()
            yield bench


def other_trust(bench: IssuerBench, *, kind: ClientKind = ClientKind.MACHINE) -> ApiClientKit:
    """An API client of another organisation, with every scope."""
    client = api_client("r0a-hr-system", organisation="R0A", scopes=scopes_of("issuer"), kind=kind)
    bench.clients.put(client)
    return client
