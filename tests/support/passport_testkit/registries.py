"""The real registry on a fresh database, with hosts that exist only in the test.

`RegistryBench` speaks domain acts: a trust joins, passes its gates, enrols, is granted authority. Everything
goes through the registry's own operations; hosts are answered in memory unless a test gives a real outbound.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from passport_registry.app import Parts, close_context, open_context
from passport_registry.context import Context
from passport_registry.operations import (
    anchor,
    authorisations,
    enrolment,
    entities,
    organisations,
    publishing,
    snapshot,
)
from passport_registry.operations.enrolment import Enrol, Enrolled
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.rules.authorisations import Action, Grant
from passport_registry.rules.entities import REQUIRED_USES, Role
from passport_registry.rules.onboarding import Step, StepRecord, StepState
from passport_registry.settings import RegistrySettings
from passport_registry.store import entities as entity_store
from passport_registry.store.authorisations import Authorisation
from passport_shared.formats import federation
from passport_shared.formats.federation import ENTITY_STATEMENT_MEDIA_TYPE
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.snapshot import Snapshot, TrustFile, verify_manifest
from passport_shared.formats.x5c import ChainError, create_csr, csr_public_key
from passport_shared.outbound import Outbound, OutboundError, OutboundReason
from passport_shared.service.auth import Actor
from passport_shared.service.kek import create_kek_file
from passport_shared.wire.clients import ClientKind
from passport_shared.wire.enrolment import ENROLMENT_CLAIM
from passport_testkit.clock import FrozenClock
from passport_testkit.keys import key
from passport_testkit.pilot_activity import PILOT_TRUSTS

PUBLIC_URL = "https://registry.example"
RBV, R0A = "RBV", "R0A"
NAMES = {RBV: "The Christie NHS Foundation Trust", R0A: "Manchester University NHS Foundation Trust"}
YEAR_S = 31_536_000

ANN = Actor(ref="ann", client_id="ann-at-desk", kind=ClientKind.PERSON, asserted=False)
BEA = Actor(ref="bea", client_id="bea-at-desk", kind=ClientKind.PERSON, asserted=False)

FACTS: Mapping[Step, Mapping[str, Any]] = {
    Step.REGISTRATION: {"ods_active": True},
    Step.DPIA: {"approved_by_ig_lead": True},
    Step.HR_TRAINING: {"trained_issuers": 1, "trained_verifiers": 2, "mfa": True, "cover": "DEPUTY"},
    Step.ESR_LINK: {"method": "API"},
}


def entity_id(ods: str, role: Role) -> str:
    """The Entity Identifier a trust has in these tests."""
    return f"https://{role.value.lower()}.example/{ods}"


def done(step: Step, on: date, **changes: Any) -> StepRecord:
    """A step that was done on a day, with the facts the gates want."""
    members: dict[str, Any] = {
        "step": step,
        "state": StepState.DONE,
        "done_on": on,
        "evidence": f"doc/{step.value.lower()}",
        "details": FACTS.get(step, {}),
    }
    return StepRecord(**{**members, **changes})


@dataclass
class HostedEntity:
    """An entity as its service holds it: keys, and what it serves under its identifier."""

    entity_id: str
    role: Role
    federation_key: SigningKey
    leaf_keys: dict[str, SigningKey]

    @classmethod
    def make(cls, entity_id: str, role: Role, generation: str = "first") -> HostedEntity:
        """An entity with keys of its own; another generation has other keys."""
        return cls(
            entity_id=entity_id,
            role=role,
            federation_key=key(f"{entity_id} federation {generation}"),
            leaf_keys={use.value: key(f"{entity_id} {use} {generation}") for use in REQUIRED_USES[role]},
        )

    def configuration(self, clock: FrozenClock, *, registry: str = PUBLIC_URL, **changes: Any) -> str:
        """The entity configuration, signed now; keyword arguments spoil single members."""
        members: dict[str, Any] = {
            "entity_id": self.entity_id,
            "iat": clock.now(),
            "exp": clock.now() + timedelta(hours=24),
            "key": self.federation_key,
            "metadata": {"federation_entity": {"organization_name": "A trust"}},
            "authority_hints": [registry],
        }
        return federation.entity_configuration(**{**members, **changes})

    def requests(self) -> dict[str, str]:
        """PEM signing requests by use."""
        return {use: pem_request(leaf) for use, leaf in self.leaf_keys.items()}


def vouching(requests: Mapping[str, str]) -> dict[str, Any]:
    """The claim by which the holder of the federation key names the keys of signing requests."""
    named = {}
    for use, pem in requests.items():
        with suppress(ChainError):
            named[use] = csr_public_key(pem.encode()).thumbprint
    return {ENROLMENT_CLAIM: {"keys": named}}


def pem_request(signing_key: SigningKey, name: str = "ignored by the authority") -> str:
    """A PEM signing request for a key."""
    der = create_csr(signing_key, name)
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode()


@dataclass
class Hosts:
    """What is served under which URL; anything else cannot be reached."""

    served: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def transport(self) -> httpx.AsyncBaseTransport:
        """What an `Outbound` takes for the network."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url = str(request.url)
        self.asked.append(url)
        if url not in self.served:
            raise OutboundError(OutboundReason.CONNECT_FAILED, "nobody there", host=request.url.host)
        body = httpx.ByteStream(self.served[url].encode())
        return httpx.Response(200, headers={"content-type": ENTITY_STATEMENT_MEDIA_TYPE}, stream=body)

    def serve(self, entity: HostedEntity, clock: FrozenClock, **changes: Any) -> None:
        """Serve an entity's configuration at its identifier."""
        url = f"{entity.entity_id}/.well-known/openid-federation"
        self.served[url] = entity.configuration(clock, **changes)


@dataclass
class RegistryBench:
    """One registry with its clock and the hosts of its world."""

    ctx: Context
    clock: FrozenClock
    hosts: Hosts
    trust_file: TrustFile
    entities: dict[str, HostedEntity] = field(default_factory=dict)

    async def join(self, ods: str, *, name: str | None = None, **contacts: str) -> None:
        """Invite a trust, with an HR director named."""
        details = OrganisationDetails(
            name=name or NAMES.get(ods, f"Trust {ods}"),
            contacts={"hrd": "hrd@trust.invalid", "hr_team": "hr@trust.invalid", **contacts},
        )
        await organisations.invite(self.ctx, ods, details, ANN)

    async def record(self, ods: str, *records: StepRecord) -> None:
        """Record steps."""
        for record in records:
            await organisations.record_step(self.ctx, ods, record, ANN, expected_version=None)

    async def pass_steps(self, ods: str, *, without: Sequence[Step] = ()) -> None:
        """Record every step as done yesterday, but for some."""
        yesterday = self.clock.now().date() - timedelta(days=1)
        await self.record(ods, *(done(step, yesterday) for step in Step if step not in without))

    async def code(self, ods: str, role: Role) -> str:
        """Create the entity if it is not there, and an enrolment code for it."""
        async with self.ctx.db.read() as conn:
            known = await entity_store.by_role(conn, ods, role.value)
        if known is None:
            await entities.create(self.ctx, ods, role, entity_id(ods, role), ANN)
        return (await entities.make_code(self.ctx, ods, role, ANN)).code

    def host(self, ods: str, role: Role, generation: str = "first") -> HostedEntity:
        """Let a host serve the entity with keys of this generation."""
        entity = HostedEntity.make(entity_id(ods, role), role, generation)
        self.hosts.serve(entity, self.clock)
        self.entities[entity.entity_id] = entity
        return entity

    def request(self, code: str, entity: HostedEntity, **changes: Any) -> Enrol:
        """The enrolment of an entity."""
        members: dict[str, Any] = {
            "code": code,
            "entity_id": entity.entity_id,
            "certificate_requests": entity.requests(),
            **changes,
        }
        if "entity_configuration" not in members:
            vouched = vouching(members["certificate_requests"])
            members["entity_configuration"] = entity.configuration(self.clock, extra=vouched)
        return Enrol(**members)

    async def enrol(self, ods: str, role: Role, generation: str = "first") -> Enrolled:
        """Enrol an entity from code to certificates."""
        code = await self.code(ods, role)
        return await enrolment.enrol(self.ctx, self.request(code, self.host(ods, role, generation)))

    def vct(self, name: str) -> str:
        """The identifier of a credential type here."""
        return f"{self.ctx.vct_base}/{name}/1"

    def issue_grant(self, name: str = "StaffIdentity", **changes: Any) -> Grant:
        """Permission to issue a type from yesterday for a year."""
        start = self.clock.now() - timedelta(days=1)
        members: dict[str, Any] = {
            "action": Action.ISSUE,
            "vct": self.vct(name),
            "valid_from": start,
            "valid_until": start + timedelta(days=366),
            "max_validity_s": YEAR_S,
        }
        return Grant(**{**members, **changes})

    def ask_grant(self, name: str = "StaffIdentity", **changes: Any) -> Grant:
        """Permission to ask for names for an urgent list."""
        members: dict[str, Any] = {
            "action": Action.ASK,
            "claims": (("family_name",), ("given_name",)),
            "purposes": ("URGENT_LIST",),
            "max_validity_s": None,
        }
        return self.issue_grant(name, **{**members, **changes})

    async def grant(self, ods: str, role: Role, grant: Grant) -> Authorisation:
        """Ann proposes, Bea approves."""
        proposed = await authorisations.propose(self.ctx, ods, role, grant, ANN)
        return await authorisations.approve(self.ctx, ods, role, proposed.id, BEA)

    async def live_issuer(self, ods: str = RBV, *types: str) -> HostedEntity:
        """A trust that may issue, published."""
        await self.join(ods)
        await self.enrol(ods, Role.ISSUER)
        await self.pass_steps(ods)
        for name in types or ("StaffIdentity",):
            await self.grant(ods, Role.ISSUER, self.issue_grant(name))
        await self.publish()
        return self.entities[entity_id(ods, Role.ISSUER)]

    async def live_verifier(self, ods: str = R0A) -> HostedEntity:
        """A trust that may ask, published."""
        await self.join(ods)
        await self.enrol(ods, Role.VERIFIER)
        await self.pass_steps(ods)
        await self.grant(ods, Role.VERIFIER, self.ask_grant())
        await self.publish()
        return self.entities[entity_id(ods, Role.VERIFIER)]

    async def publish(self) -> Any:
        """Publish whatever is due."""
        return await publishing.publish(self.ctx)

    async def snapshot(self) -> Snapshot:
        """The newest snapshot as a consumer with the trust file reads it."""
        manifest_document = await self.ctx.documents.get(snapshot.SNAPSHOT_DOCUMENT)
        assert manifest_document is not None
        manifest = verify_manifest(manifest_document.body.decode(), self.trust_file, now=self.clock.now())
        parts = {}
        for part in manifest.parts:
            document = await self.ctx.documents.get(snapshot.part_document(part.sha256))
            assert document is not None
            parts[part.name] = document.body
        return Snapshot.load(manifest, parts, self.trust_file)


def registry_settings(url: str, folder: Path, **changes: Any) -> RegistrySettings:
    """Settings of a registry under test; the key-encryption key is made in the folder."""
    kek = folder / "registry.kek"
    if not kek.exists():
        create_kek_file(kek)
    members: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "database_url": url,
        "kek_file": kek,
        "environment": "test",
        "operator_ods_code": "X26",
    }
    return RegistrySettings(**{**members, **changes})


@asynccontextmanager
async def registry_bench(
    url: str,
    folder: Path,
    *,
    clock: FrozenClock | None = None,
    outbound: Outbound | None = None,
    **settings: Any,
) -> AsyncIterator[RegistryBench]:
    """A registry with its anchor made, on a migrated database."""
    hosts, standing = Hosts(), clock or FrozenClock()
    given = Parts(
        clock=standing, outbound=outbound or Outbound(transport=hosts.transport()), background=False
    )
    ctx = open_context(registry_settings(url, folder, **settings), given)
    try:
        trust_file = await anchor.initialise(ctx)
        yield RegistryBench(ctx=ctx, clock=standing, hosts=hosts, trust_file=trust_file)
    finally:
        await close_context(ctx)


async def join_pilot(bench: RegistryBench, *, with_steps: bool = True) -> None:
    """Invite the pilot's trusts under their printed names, with every step done on the printed day."""
    for trust in PILOT_TRUSTS:
        details = OrganisationDetails(
            name=trust.name,
            aliases=trust.aliases,
            locality=trust.locality,
            contacts={"hrd": "hrd@trust.invalid", "hr_team": "hr@trust.invalid"},
        )
        await organisations.invite(bench.ctx, trust.ods, details, ANN)
        if with_steps:
            await bench.record(trust.ods, *(done(step, trust.registered) for step in Step))
