"""Tenants of an issuing or verifying service: enrolment and the entity configuration (design §2, §4.1).

A tenant is one organisation's entity of one role, told apart by its ODS code in the path; tenants are rows,
never settings. ``enrol`` makes the keys where they stay, asks the registry for certificates over HTTP and
keeps them; it may run beside the service, which serves the entity configuration the registry fetches
meanwhile. Nothing here decides what a tenant may do: that is the registry's trust mark.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError
from sqlalchemy import Column, ForeignKey, MetaData, RowMapping, Table, Text, select, update
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from passport_shared.formats import federation
from passport_shared.formats.clock import Clock
from passport_shared.formats.freshness import (
    ENTITY_CONFIGURATION_HTTP_MAX_AGE,
    ENTITY_CONFIGURATION_LIFETIME,
    ENTITY_CONFIGURATION_RENEWAL,
)
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.snapshot import Snapshot, SnapshotError
from passport_shared.formats.trust_mark import PinState
from passport_shared.formats.x5c import create_csr, encode_x5c, x509_hash
from passport_shared.outbound import Outbound, OutboundError
from passport_shared.service import failpoints
from passport_shared.service.db import Database, JsonText, UtcDateTime
from passport_shared.service.keys import KeyExists, KeyMissing, KeyState, KeyStore
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.once import insert_once
from passport_shared.service.routes import protocol_route
from passport_shared.wire.enrolment import (
    CERTIFICATE_USES,
    ENROLMENT_CLAIM,
    ENROLMENT_PATH,
    PUBLISHED_BEFORE_USE,
    RENEWAL_PATH,
    EnrolmentAnswer,
    EntityRole,
)

FEDERATION = "federation"
"""Purpose of a tenant's federation key in the key store; its other keys are named by their certificate's
use."""
SEEN_FOR = timedelta(seconds=5)
MAX_SEEN = 1_024
MAX_ANSWER_BYTES = 65_536
CONFLICT = 409


class TenantState(StrEnum):
    """PERSISTED. ENROLLING has keys and serves its entity configuration; ACTIVE has certificates too."""

    ENROLLING = "ENROLLING"
    ACTIVE = "ACTIVE"


class EnrolmentRefused(Exception):
    """The registry did not enrol the tenant; the message is for the operator, `status` what it answered."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class TenantTables:
    """Tables of tenants and their certificates."""

    tenants: Table
    certificates: Table


def tables(metadata: MetaData) -> TenantTables:
    """Define the tables."""
    tenants = Table(
        "tenants",
        metadata,
        Column("ods", Text, primary_key=True),
        Column("entity_id", Text, nullable=False, unique=True),
        Column("name", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("enrolled_at", UtcDateTime),
    )
    certificates = Table(
        "tenant_certificates",
        metadata,
        Column("ods", Text, ForeignKey("tenants.ods"), primary_key=True),
        Column("use", Text, primary_key=True),
        Column("kid", Text, primary_key=True),
        Column("x5c", JsonText, nullable=False),
        Column("x5t_s256", Text, nullable=False),
        Column("not_before", UtcDateTime, nullable=False),
        Column("not_after", UtcDateTime, nullable=False),
        Column("not_after_signing", UtcDateTime, nullable=False),
        Column("received_at", UtcDateTime, nullable=False),
    )
    return TenantTables(tenants, certificates)


@dataclass(frozen=True, kw_only=True)
class TenantCertificate:
    """The certificate of one key: ``x5c`` is leaf and issuing CA, as the header carries them."""

    use: str
    kid: str
    x5c: tuple[str, ...]
    x5t_s256: str
    not_after: datetime
    not_after_signing: datetime
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """One tenant with the certificate it signs under per use; ``name`` is empty until it is enrolled.

    ``held`` has every certificate it has, oldest first: new ones are published before they are used, and what
    was begun under an old one is ended under it.
    """

    ods: str
    entity_id: str
    name: str
    state: TenantState
    certificates: Mapping[str, TenantCertificate]
    held: tuple[TenantCertificate, ...] = ()

    def certificate(self, x5t_s256: str) -> TenantCertificate | None:
        """One of its certificates, by its thumbprint."""
        return next((one for one in self.held if one.x5t_s256 == x5t_s256), None)

    def newest(self, use: str) -> TenantCertificate | None:
        """The certificate of a use that was received last, in use already or not."""
        return next((one for one in reversed(self.held) if one.use == use), None)


Pins = frozenset[str]
"""Thumbprints of the certificates that may sign now, as the network's snapshot says of one entity."""


def in_use(held: Sequence[TenantCertificate], now: datetime, pins: Pins | None) -> TenantCertificate:
    """Which certificate of one use signs: the newest, once everybody who decides can know of it.

    Args:
        held: those of one use, oldest first, at least one.
        now: the time.
        pins: what the snapshot in use says; None without one.

    A new certificate signs at once when no older one can: at the first enrolment, after the old one's signing
    has ended, or when its key is compromised and therefore pinned no more.
    """
    newest = held[-1]
    older = [
        one for one in held[:-1] if now < one.not_after_signing and (pins is None or one.x5t_s256 in pins)
    ]
    if not older:
        return newest
    published = pins is None or newest.x5t_s256 in pins
    if published and now >= newest.received_at + PUBLISHED_BEFORE_USE:
        return newest
    return older[-1]


def pinned(snapshot: Snapshot | None, entity_id: str, now: datetime) -> Pins | None:
    """The certificates an entity may sign under now, by its current mark; None where that is not known."""
    if snapshot is None:
        return None
    try:
        mark = snapshot.mark_for(entity_id, now=now)
    except SnapshotError:
        return None
    if mark is None:
        return None
    return frozenset(
        pin.x5t_s256
        for pin in mark.keys
        if pin.state != PinState.COMPROMISED.value and pin.may_have_signed(now)
    )


class Tenants:
    """The tenants of one service.

    Args:
        role: what every tenant of this service is.
        public_url: the service's base URL; a tenant's Entity Identifier is this and its ODS code.
        registry: the trust anchor, the only superior of every tenant.
        registry_url: where it is reached.
        metadata: a tenant's metadata by entity type, for its entity configuration.
        mark: the tenant's current trust mark, a compact JWS, or None before there is one.
        pins: the certificates that the network's snapshot lets the tenant sign under now.
    """

    def __init__(
        self,
        db: Database,
        tables: TenantTables,
        keys: KeyStore,
        clock: Clock,
        *,
        role: EntityRole,
        public_url: str,
        registry: str,
        registry_url: str,
        metadata: Callable[[Tenant], Mapping[str, Any]],
        mark: Callable[[str], Awaitable[str | None]],
        pins: Callable[[str], Awaitable[Pins | None]],
    ) -> None:
        self._db = db
        self._tables = tables
        self._keys = keys
        self._clock = clock
        self._public_url = public_url
        self._metadata = metadata
        self._mark = mark
        self._pins = pins
        self._seen: dict[str, tuple[Tenant, datetime]] = {}
        self._configurations: dict[str, tuple[str, tuple[object, ...], datetime]] = {}
        self.role = role
        self.registry = registry
        self.registry_url = registry_url

    def entity_id(self, ods: str) -> str:
        """The Entity Identifier of an organisation's tenant here."""
        return f"{self._public_url}/{ods}"

    async def get(self, ods: str) -> Tenant | None:
        """A tenant by its ODS code; another process's change is seen within five seconds.

        One that is not enrolled yet is read every time: the operator's command enrols it in another process,
        and it can work the moment that command says so.
        """
        now = self._clock.now()
        tenant, seen_at = self._seen.get(ods, (None, now))
        if tenant is not None and timedelta(0) <= now - seen_at < SEEN_FOR:
            return tenant
        found = (await self._read(self._tables.tenants.c.ods == ods)).get(ods)
        if found is not None and found.state is TenantState.ACTIVE:
            while len(self._seen) >= MAX_SEEN:
                del self._seen[next(iter(self._seen))]
            self._seen[ods] = (found, now)
        else:
            self._seen.pop(ods, None)
        return found

    async def every(self) -> list[Tenant]:
        """All tenants, by ODS code."""
        return list((await self._read()).values())

    async def prepare(self, ods: str) -> Tenant:
        """Make a tenant's keys and row, if they are not there yet."""
        for purpose in (FEDERATION, *sorted(CERTIFICATE_USES[self.role])):
            await self._keys.ensure(purpose, ods)
        failpoints.hit(failpoints.AFTER_KEYS_MADE)
        row = {
            "ods": ods,
            "entity_id": self.entity_id(ods),
            "name": "",
            "state": TenantState.ENROLLING.value,
            "created_at": self._clock.now(),
            "enrolled_at": None,
        }
        async with self._db.write() as conn:
            await insert_once(conn, self._tables.tenants, row)
        self._seen.pop(ods, None)
        tenant = await self.get(ods)
        assert tenant is not None  # noqa: S101 - it was written above
        return tenant

    async def enrol(self, ods: str, code: str, *, registry_url: str, outbound: Outbound) -> Tenant:
        """Enrol a tenant with the registry operator's one-time code; safe to repeat with the same code.

        Raises:
            EnrolmentRefused: the registry could not be reached, refused, or answered something else.
        """
        tenant = await self.prepare(ods)
        url = f"{registry_url}{ENROLMENT_PATH}"
        certified = {one.use: await self._keys.load(one.kid) for one in map(tenant.newest, self._uses) if one}
        if len(certified) == len(self._uses):
            # The same code again is answered as before; a new one is for new keys, which the registry says.
            try:
                return await self._posted(tenant, certified, url, outbound, code=code)
            except EnrolmentRefused as refusal:
                if refusal.status != CONFLICT:
                    raise
        keys = {use: await self._fresh_key(tenant, use) for use in self._uses}
        return await self._posted(tenant, keys, url, outbound, code=code)

    async def renew(self, ods: str, *, registry_url: str, outbound: Outbound) -> Tenant:
        """Have new keys certified for an enrolled tenant; they are used once they are known everywhere.

        Safe to repeat after an interruption: the same new keys get the same certificates.

        Raises:
            LookupError: there is no enrolled tenant of this organisation.
            EnrolmentRefused: the registry could not be reached, refused, or answered something else.
        """
        tenant = await self.get(ods)
        if tenant is None or tenant.state is not TenantState.ACTIVE:
            raise LookupError(ods)
        keys = {use: await self._fresh_key(tenant, use) for use in self._uses}
        return await self._posted(tenant, keys, f"{registry_url}{RENEWAL_PATH}", outbound)

    async def _posted(
        self, tenant: Tenant, keys: Mapping[str, SigningKey], url: str, outbound: Outbound, **extra: str
    ) -> Tenant:
        answer = await _enrol(outbound, url, {**extra, **await self._request(tenant, keys)})
        failpoints.hit(failpoints.AFTER_CERTIFICATES_FETCHED)
        return await self._accept(tenant, keys, answer)

    @property
    def _uses(self) -> list[str]:
        return sorted(CERTIFICATE_USES[self.role])

    async def _fresh_key(self, tenant: Tenant, use: str) -> SigningKey:
        """A key of a use that has no certificate yet: the first one, or the next one beside it."""
        certified = {one.kid for one in tenant.held}
        for stored in await self._keys.published(use, tenant.ods):
            if stored.kid not in certified and stored.state is not KeyState.RETIRING:
                return await self._keys.load(stored.kid)
        try:
            return await self._keys.create(use, tenant.ods, state=KeyState.NEXT)
        except KeyExists:
            return await self._key_beside(tenant, use)

    async def _key_beside(self, tenant: Tenant, use: str) -> SigningKey:
        """The NEXT key there is: another replica's, or the successor of one with a certificate."""
        self._keys.look_again(use, tenant.ods)
        published = await self._keys.published(use, tenant.ods)
        found = next((one for one in published if one.state is KeyState.NEXT), None)
        now = (await self._read(self._tables.tenants.c.ods == tenant.ods)).get(tenant.ods, tenant)
        if found is not None and found.kid not in {one.kid for one in now.held}:
            # Made a moment ago by another replica that renews: both ask for the same certificate.
            return await self._keys.load(found.kid)
        if found is not None:
            # It has its certificate and was not taken over: an interruption between the two.
            with suppress(KeyMissing):
                await self._keys.activate_next(use, tenant.ods, kid=found.kid)
        return await self._keys.create(use, tenant.ods, state=KeyState.NEXT)

    async def _request(self, tenant: Tenant, keys: Mapping[str, SigningKey]) -> dict[str, Any]:
        requests = {use: _pem_request(create_csr(key, f"{tenant.ods} {use}")) for use, key in keys.items()}
        thumbprints = {use: key.public.thumbprint for use, key in keys.items()}
        return {
            "entity_id": tenant.entity_id,
            "entity_configuration": await self._vouching(tenant, thumbprints),
            "certificate_requests": requests,
        }

    async def _accept(
        self, tenant: Tenant, keys: Mapping[str, SigningKey], answer: EnrolmentAnswer
    ) -> Tenant:
        if (answer.entity_id, answer.ods_code, answer.role) != (tenant.entity_id, tenant.ods, self.role):
            raise EnrolmentRefused("the registry answered for another entity")
        if set(answer.certificates) != set(keys):
            raise EnrolmentRefused("the registry did not certify what was asked")
        await self._keep(tenant.ods, answer, {use: key.kid for use, key in keys.items()})
        for use, key in keys.items():
            if (await self._keys.active(use, tenant.ods)).kid != key.kid:
                # Unless another replica that renews at the same moment has done it.
                with suppress(KeyMissing):
                    await self._keys.activate_next(use, tenant.ods, kid=key.kid)
        enrolled = await self.get(tenant.ods)
        assert enrolled is not None  # noqa: S101 - it was written above
        return enrolled

    async def configuration(self, tenant: Tenant) -> str:
        """The tenant's signed entity configuration: renewed 12-hourly and whenever what it says changes."""
        now = self._clock.now()
        mark = await self._mark(tenant.entity_id)
        key = await self._keys.active(FEDERATION, tenant.ods)
        metadata = self._metadata(tenant)
        published = [other.kid for other in await self._keys.published(FEDERATION, tenant.ods)]
        contents = (key.kid, *published, mark, json.dumps(metadata, sort_keys=True))
        kept = self._configurations.get(tenant.ods)
        if kept and kept[1] == contents and timedelta(0) <= now - kept[2] < ENTITY_CONFIGURATION_RENEWAL:
            return kept[0]
        token = await self._signed(tenant, metadata, mark)
        self._configurations[tenant.ods] = (token, contents, now)
        return token

    async def _vouching(self, tenant: Tenant, thumbprints: Mapping[str, str]) -> str:
        """A configuration for the registry alone, which names the keys that are to be certified."""
        mark = await self._mark(tenant.entity_id)
        extra = {ENROLMENT_CLAIM: {"keys": dict(thumbprints)}}
        return await self._signed(tenant, self._metadata(tenant), mark, extra=extra)

    async def _signed(
        self,
        tenant: Tenant,
        metadata: Mapping[str, Any],
        mark: str | None,
        *,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        now = self._clock.now()
        key = await self._keys.active(FEDERATION, tenant.ods)
        published = await self._keys.published(FEDERATION, tenant.ods)
        return federation.entity_configuration(
            entity_id=tenant.entity_id,
            iat=now,
            exp=now + ENTITY_CONFIGURATION_LIFETIME,
            key=key,
            metadata=metadata,
            authority_hints=[self.registry],
            trust_marks=[mark] if mark else [],
            next_keys=[other.public for other in published if other.kid != key.kid],
            extra=extra,
        )

    def route(self) -> Route:
        """``GET /{ods}/.well-known/openid-federation``: the entity configuration."""

        async def entity_configuration(request: Request) -> Response:
            return await self.answer(request.path_params["ods"])

        path = "/{ods}/.well-known/openid-federation"
        return protocol_route(path, entity_configuration, methods=["GET"])

    async def answer(self, ods: str) -> Response:
        """The entity configuration of a tenant as it is served.

        Raises:
            ProtocolError: ``not_found``.
        """
        tenant = await self.get(ods)
        if tenant is None:
            raise ProtocolError("not_found", "there is no entity under this identifier", status=404)
        headers = {
            "Cache-Control": f"max-age={int(ENTITY_CONFIGURATION_HTTP_MAX_AGE.total_seconds())}",
            "Access-Control-Allow-Origin": "*",
        }
        return Response(
            await self.configuration(tenant),
            media_type=federation.ENTITY_STATEMENT_MEDIA_TYPE,
            headers=headers,
        )

    async def _keep(self, ods: str, answer: EnrolmentAnswer, kids: Mapping[str, str]) -> None:
        tenants, certificates = self._tables.tenants, self._tables.certificates
        now = self._clock.now()
        async with self._db.write() as conn:
            for use, enrolled in answer.certificates.items():
                chain = [_der(enrolled.certificate), _der(enrolled.issuing_ca)]
                row = {
                    "ods": ods,
                    "use": use,
                    "kid": kids[use],
                    "x5c": encode_x5c(chain),
                    "x5t_s256": x509_hash(chain[0]),
                    "not_before": enrolled.not_before,
                    "not_after": enrolled.not_after,
                    "not_after_signing": enrolled.not_after_signing,
                    "received_at": now,
                }
                where = (
                    certificates.c.ods == ods,
                    certificates.c.use == use,
                    certificates.c.kid == kids[use],
                )
                if not await insert_once(conn, certificates, row):
                    await conn.execute(update(certificates).where(*where).values(row))
            values = {
                "name": answer.organisation_name,
                "state": TenantState.ACTIVE.value,
                "enrolled_at": now,
            }
            await conn.execute(update(tenants).where(tenants.c.ods == ods).values(values))
        self._seen.pop(ods, None)

    async def _read(self, *conditions: Any) -> dict[str, Tenant]:
        tenants, certificates = self._tables.tenants, self._tables.certificates
        query = (
            select(tenants, *(column.label(f"c_{column.name}") for column in certificates.c))
            .outerjoin(certificates, certificates.c.ods == tenants.c.ods)
            .where(*conditions)
            .order_by(tenants.c.ods, certificates.c.received_at)
        )
        async with self._db.read() as conn:
            rows = (await conn.execute(query)).mappings().all()
        tenants_rows: dict[str, RowMapping] = {}
        held: dict[str, list[TenantCertificate]] = {}
        for row in rows:
            tenants_rows[row["ods"]] = row
            held.setdefault(row["ods"], [])
            if row["c_use"] is not None:
                held[row["ods"]].append(_certificate(row))
        return {ods: await self._tenant(row, held[ods]) for ods, row in tenants_rows.items()}

    async def _tenant(self, row: RowMapping, held: Sequence[TenantCertificate]) -> Tenant:
        by_use: dict[str, list[TenantCertificate]] = {}
        for certificate in held:
            by_use.setdefault(certificate.use, []).append(certificate)
        now = self._clock.now()
        # The snapshot is asked only while there is something to choose.
        choice = any(len(several) > 1 for several in by_use.values())
        pins = await self._pins(row["entity_id"]) if choice else None
        return Tenant(
            ods=row["ods"],
            entity_id=row["entity_id"],
            name=row["name"],
            state=TenantState(row["state"]),
            certificates={use: in_use(several, now, pins) for use, several in by_use.items()},
            held=tuple(held),
        )


def _certificate(row: RowMapping) -> TenantCertificate:
    return TenantCertificate(
        use=row["c_use"],
        kid=row["c_kid"],
        x5c=tuple(row["c_x5c"]),
        x5t_s256=row["c_x5t_s256"],
        not_after=row["c_not_after"],
        not_after_signing=row["c_not_after_signing"],
        received_at=row["c_received_at"],
    )


async def _enrol(outbound: Outbound, url: str, body: Mapping[str, Any]) -> EnrolmentAnswer:
    try:
        # The registry fetches our entity configuration before it answers.
        answer = await outbound.post(
            url,
            json=body,
            accept={"application/json", "application/problem+json"},
            max_bytes=MAX_ANSWER_BYTES,
            timeout=timedelta(seconds=20),
        )
    except OutboundError as error:
        raise EnrolmentRefused(f"the registry cannot be reached at {url} ({error.reason})") from None
    if not answer.ok:
        raise EnrolmentRefused(_refusal(answer.status, answer.body), status=answer.status)
    try:
        return EnrolmentAnswer.model_validate_json(answer.body)
    except ValidationError:
        raise EnrolmentRefused("the registry answered something that is no enrolment") from None


def _refusal(status: int, body: bytes) -> str:
    """The registry's own words, where it gave some."""
    try:
        problem = json.loads(body)
        detail = problem.get("detail", "") if isinstance(problem, dict) else ""
    except ValueError:
        detail = ""
    return f"the registry refused with status {status}. {detail}".strip()


def _pem_request(der: bytes) -> str:
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode("ascii")


def _der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode("ascii")).public_bytes(Encoding.DER)
