"""Enrolment of an entity's keys with proof of its host (design.md §4.1).

In this order, and nothing later is done for a request that fails earlier:

1. the code is known and in time (so that a stranger makes the registry fetch nothing);
2. the entity configuration that was sent is the entity's, signed by itself, below this anchor;
3. the signing requests are those its role needs, each signed with its own new key;
4. the configuration served at the Entity Identifier carries the same federation keys;
5. the code is consumed and the leaves are reserved in one transaction; then they are signed; then stored.

Whoever repeats it with the same code and keys continues where the first attempt stopped and gets the same
answer. The authority takes nothing from a signing request but its public key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_registry.clients import hosts
from passport_registry.context import Context
from passport_registry.errors import (
    EnrolmentCodeRefused,
    EnrolmentKeysConflict,
    HostKeysDiffer,
    NotInitialised,
    RenewalRefused,
    fields,
)
from passport_registry.operations import anchor, entities, failpoints
from passport_registry.rules import certificates as profile
from passport_registry.rules.entities import REQUIRED_USES, Role, Suspension
from passport_registry.store import entities as store
from passport_registry.store import organisations, publications
from passport_registry.store.entities import Certificate, EnrolmentCode, Entity
from passport_registry.store.organisations import Organisation
from passport_registry.store.rows import Duplicate
from passport_shared.formats import strict
from passport_shared.formats.federation import (
    EntityConfiguration,
    FederationError,
    verify_entity_configuration,
)
from passport_shared.formats.ids import new_id
from passport_shared.formats.jose import PublicKey
from passport_shared.formats.trust_mark import PinState
from passport_shared.formats.x5c import ChainError, csr_public_key, x509_hash
from passport_shared.service.limits import Rate
from passport_shared.wire.enrolment import ENROLMENT_CLAIM, OLD_KEYS_SIGN_FOR

# The entity goes on with its old leaves until the new ones stand in every snapshot that is still in use.
OVERLAP = OLD_KEYS_SIGN_FOR
RENEWAL = "renewal"
RENEWALS_A_DAY = 24


@dataclass(frozen=True, kw_only=True)
class Enrol:
    """What was posted; signing requests are PEM by use."""

    code: str
    entity_id: str
    entity_configuration: str
    certificate_requests: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Renew:
    """What an enrolled entity posted for new keys; signing requests are PEM by use."""

    entity_id: str
    entity_configuration: str
    certificate_requests: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """The outcome: the leaves by use and the authority that signed them (DER)."""

    entity: Entity
    organisation: Organisation
    certificates: Mapping[str, Certificate]
    issuing_ca: bytes


async def enrol(ctx: Context, cmd: Enrol) -> Enrolled:
    """Enrol the keys of an entity.

    Raises:
        EnrolmentCodeRefused: unknown or expired code, or one for another entity.
        Invalid: configuration or signing requests are not what this entity needs.
        EnrolmentKeysConflict: the code was used with other keys, or a key has a certificate.
        HostNotReachable, HostKeysDiffer: the host does not confirm the keys.
    """
    code, entity = await _code(ctx, cmd)
    configuration = _configuration(ctx, cmd)
    keys = _requested_keys(cmd, Role(entity.role), configuration)
    digest = _keys_digest(configuration, keys)
    if code.used_at is not None and code.keys_digest != digest:
        raise EnrolmentKeysConflict("The code has been used with other keys.")
    if code.used_at is None:
        await _confirm_host(ctx, entity.entity_id, configuration)
        await _reserve(ctx, code, entity, configuration, keys, digest)
    return await _complete(ctx, code, entity)


async def renew(ctx: Context, cmd: Renew) -> Enrolled:
    """Certify new keys of an entity that is enrolled, before its old ones may sign no more.

    As an enrolment, with the entity's own federation key in the place of the operator's code; the host is
    asked all the same. Repeating it with the same keys gets the same answer.

    Raises:
        RenewalRefused: the entity is not enrolled, is suspended for integrity, or did not sign this.
        Invalid: configuration or signing requests are not what this entity needs.
        EnrolmentKeysConflict: a key has a certificate.
        HostNotReachable, HostKeysDiffer: the host does not confirm the keys.
        TooManyRequests: it has renewed too often today.
    """
    async with ctx.db.read() as conn:
        entity = await store.get(conn, cmd.entity_id)
    if entity is None or entity.federation_jwks is None or entity.suspension == Suspension.INTEGRITY:
        raise RenewalRefused
    configuration = _configuration(ctx, cmd)
    known = {PublicKey.from_jwk(jwk).thumbprint for jwk in entity.federation_jwks.get("keys", [])}
    if configuration.keys[configuration.kid].thumbprint not in known:
        raise RenewalRefused
    keys = _requested_keys(cmd, Role(entity.role), configuration)
    digest = _keys_digest(configuration, keys)
    grant = await _renewal(ctx, entity, digest)
    if grant.used_at is None:
        await ctx.limiter.spend(
            Rate(name="renewals", limit=RENEWALS_A_DAY, per=timedelta(days=1)), entity.entity_id
        )
        await _confirm_host(ctx, entity.entity_id, configuration)
        await _reserve(ctx, grant, entity, configuration, keys, digest)
    return await _complete(ctx, grant, entity)


async def _renewal(ctx: Context, entity: Entity, digest: str) -> EnrolmentCode:
    """The row that stands for this renewal, where an enrolment has its code; nobody enrols with it."""
    kept = await entities.code_hmac(ctx, f"{RENEWAL} {entity.entity_id} {digest}")
    now = ctx.clock.now()
    row = EnrolmentCode(
        id=new_id(),
        entity_id=entity.entity_id,
        code_hmac=kept,
        created_at=now,
        created_by=RENEWAL,
        expires_at=now + ctx.settings.enrolment_code_life,
        used_at=None,
        keys_digest=None,
        federation_jwks=None,
        completed_at=None,
    )
    async with ctx.db.write() as conn:
        return await store.renewal(conn, row)


async def _code(ctx: Context, cmd: Enrol) -> tuple[EnrolmentCode, Entity]:
    """Find the code and its entity; a used code is kept for repetitions as long as an unused one."""
    if cmd.code.startswith(f"{RENEWAL} "):
        # What stands for a renewal follows from public keys: it would do without the federation key's word.
        raise EnrolmentCodeRefused
    kept = await entities.code_hmac(ctx, cmd.code)
    async with ctx.db.read() as conn:
        code = await store.code_by_hmac(conn, kept)
        entity = await store.get(conn, code.entity_id) if code is not None else None
    if code is None or entity is None or entity.entity_id != cmd.entity_id:
        raise EnrolmentCodeRefused
    if ctx.clock.now() >= code.expires_at:
        raise EnrolmentCodeRefused
    return code, entity


def _configuration(ctx: Context, cmd: Enrol | Renew) -> EntityConfiguration:
    try:
        configuration = verify_entity_configuration(
            cmd.entity_configuration, now=ctx.clock.now(), expected_entity=cmd.entity_id
        )
    except FederationError as fault:
        raise fields([("entity_configuration", f"is refused: {fault.reason.value}")]) from fault
    if ctx.anchor not in configuration.authority_hints:
        raise fields([("entity_configuration", "does not name this registry in authority_hints")])
    return configuration


def _requested_keys(
    cmd: Enrol | Renew, role: Role, configuration: EntityConfiguration
) -> dict[str, PublicKey]:
    """Read the public key of every signing request; each must be new to this message, one per use."""
    needed = {use.value for use in REQUIRED_USES[role]}
    if set(cmd.certificate_requests) != needed:
        uses = " and ".join(sorted(needed))
        raise fields([("certificate_requests", f"an entity with role {role} requests exactly: {uses}")])
    keys: dict[str, PublicKey] = {}
    faults = []
    for use, pem in sorted(cmd.certificate_requests.items()):
        try:
            keys[use] = csr_public_key(pem.encode("utf-8", errors="replace"))
        except ChainError as fault:
            faults.append((f"certificate_requests/{use}", f"is refused: {fault.reason.value}"))
    if faults:
        raise fields(faults)
    thumbprints = [key.thumbprint for key in keys.values()]
    federation = {key.thumbprint for key in configuration.keys.values()}
    if len(set(thumbprints)) != len(thumbprints) or federation & set(thumbprints):
        raise fields([("certificate_requests", "one key serves one purpose: use a different key for each")])
    _check_vouched(configuration, keys)
    return keys


def _check_vouched(configuration: EntityConfiguration, keys: Mapping[str, PublicKey]) -> None:
    """The holder of the federation key names the keys: what the host serves anybody could post."""
    vouched = configuration.claims.get(ENROLMENT_CLAIM)
    named = vouched.get("keys") if isinstance(vouched, Mapping) else None
    if named != {use: key.thumbprint for use, key in keys.items()}:
        text = f"does not name exactly the requested keys in {ENROLMENT_CLAIM}"
        raise fields([("entity_configuration", text)])


def _federation_thumbprints(configuration: EntityConfiguration) -> list[str]:
    return sorted(key.thumbprint for key in configuration.keys.values())


def _keys_digest(configuration: EntityConfiguration, keys: Mapping[str, PublicKey]) -> str:
    content: strict.JsonValue = {
        "federation": list(_federation_thumbprints(configuration)),
        "leaves": {use: key.thumbprint for use, key in keys.items()},
    }
    return hashlib.sha256(strict.canonical(content)).hexdigest()


async def _confirm_host(ctx: Context, entity_id: str, configuration: EntityConfiguration) -> None:
    """Compare the federation keys with those the host serves: the code alone is not enough."""
    served = await hosts.entity_configuration(ctx.outbound, entity_id)
    try:
        shown = verify_entity_configuration(served, now=ctx.clock.now(), expected_entity=entity_id)
    except FederationError as fault:
        raise HostKeysDiffer(
            f"The entity configuration at the Entity Identifier is refused: {fault.reason.value}."
        ) from fault
    if _federation_thumbprints(shown) != _federation_thumbprints(configuration):
        raise HostKeysDiffer("The host shows other federation keys than the ones that were sent.")


async def _reserve(
    ctx: Context,
    code: EnrolmentCode,
    entity: Entity,
    configuration: EntityConfiguration,
    keys: Mapping[str, PublicKey],
    digest: str,
) -> None:
    """Consume the code and record what is going to be certified, in one transaction."""
    now = ctx.clock.now()
    ca = await anchor.authority(ctx)
    if not profile.may_issue_leaves(ca.issuing, now):
        raise NotInitialised
    jwks = {"keys": [key.as_jwk() for key in configuration.keys.values()]}
    try:
        async with ctx.db.write() as conn:
            used = await store.use_code(conn, code.id, keys_digest=digest, federation_jwks=jwks, now=now)
            if used:
                organisation = await _organisation(conn, entity)
                rows = [_leaf_row(ctx, code, entity, organisation, use, key) for use, key in keys.items()]
                await store.reserve_certificates(conn, rows)
    except Duplicate:
        raise EnrolmentKeysConflict("One of the keys has a certificate already.") from None
    failpoints.hit(failpoints.AFTER_CODE_USED)
    if used:
        return
    # Somebody else consumed it between our look and our statement: theirs counts.
    async with ctx.db.read() as conn:
        winner = await store.code_by_hmac(conn, code.code_hmac)
    if winner is None or winner.keys_digest != digest:
        raise EnrolmentKeysConflict("The code has been used with other keys.")


async def _organisation(conn: AsyncConnection, entity: Entity) -> Organisation:
    organisation = await organisations.get(conn, entity.ods_code)
    if organisation is None:
        raise LookupError("an entity without its organisation")
    return organisation


def _leaf_row(
    ctx: Context, code: EnrolmentCode, entity: Entity, organisation: Organisation, use: str, key: PublicKey
) -> Certificate:
    now = ctx.clock.now()
    begin = profile.start(now)
    return Certificate(
        serial=str(x509.random_serial_number()),
        entity_id=entity.entity_id,
        enrolment_id=code.id,
        use=use,
        jkt=key.thumbprint,
        public_jwk=key.as_jwk(),
        subject={
            "organisation_name": organisation.name,
            "ods_code": entity.ods_code,
            "role": f"{entity.role.lower()} {use}",
        },
        not_before=begin,
        not_after=profile.add_months(begin, profile.LEAF_MONTHS),
        not_after_signing=profile.not_after_signing(begin),
        der=None,
        x5t_s256=None,
        state=PinState.ACTIVE.value,
        state_reason=None,
        state_changed_at=now,
    )


async def _complete(ctx: Context, code: EnrolmentCode, entity: Entity) -> Enrolled:
    """Sign what is reserved and not signed, store it, and let the entity's keys take effect once."""
    ca = await anchor.authority(ctx)
    async with ctx.db.read() as conn:
        reserved = await store.certificates(conn, enrolment_id=code.id)
    signed = [(row, _sign(row, ca)) for row in reserved if row.der is None]
    failpoints.hit(failpoints.AFTER_CERTIFIED)
    now = ctx.clock.now()
    async with ctx.db.write() as conn:
        for row, der in signed:
            await store.sign_certificate(conn, row.serial, der=der, x5t_s256=x509_hash(der), now=now)
        if await store.complete_code(conn, code.id, now):
            await _take_effect(ctx, conn, code, entity, reserved)
        rows = await store.certificates(conn, enrolment_id=code.id)
        enrolled = await store.get(conn, entity.entity_id)
        organisation = await _organisation(conn, entity)
    failpoints.hit(failpoints.AFTER_ENROLLED)
    return Enrolled(
        entity=enrolled or entity,
        organisation=organisation,
        certificates={row.use: row for row in rows},
        issuing_ca=ca.issuing_der,
    )


def _sign(row: Certificate, ca: anchor.Authority) -> bytes:
    subject = profile.LeafSubject(
        entity_id=row.entity_id,
        organisation_name=row.subject["organisation_name"],
        ods_code=row.subject["ods_code"],
        role=row.subject["role"],
    )
    certificate = profile.leaf(
        PublicKey.from_jwk(row.public_jwk).key,
        subject,
        issuing_key=ca.issuing_key.private,
        issuing_certificate=ca.issuing,
        serial=int(row.serial),
        not_before=row.not_before,
    )
    return certificate.public_bytes(Encoding.DER)


async def _take_effect(
    ctx: Context,
    conn: AsyncConnection,
    code: EnrolmentCode,
    entity: Entity,
    reserved: Sequence[Certificate],
) -> None:
    now = ctx.clock.now()
    current = await store.code_by_hmac(conn, code.code_hmac)
    jwks = current.federation_jwks if current is not None else None
    await store.change(conn, entity.entity_id, {"federation_jwks": jwks, "enrolled_at": now})
    await store.retire_certificates(
        conn, entity.entity_id, except_enrolment=code.id, signing_ends=now + OVERLAP, now=now
    )
    await ctx.audit.record(
        conn,
        kind="entity.enrolled",
        subject_ref=entity.entity_id,
        organisation=entity.ods_code,
        actor={"system": "enrolment", "code": code.id},
        details={"keys": {row.use: row.jkt for row in reserved}},
    )
    await publications.changed(conn)
