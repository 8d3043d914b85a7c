"""The trust anchor: its keys, its two-level certificate authority, and the trust file (design.md §4.1, §4.3).

`init` may be run any number of times: what exists stays. The root signs once, at `init`, and can then be
taken away; leaves are signed by the issuing authority only.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.exc import IntegrityError

from passport_registry.context import Context
from passport_registry.errors import NotInitialised
from passport_registry.rules import certificates as profile
from passport_registry.store import authority as store
from passport_registry.store import publications
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.trust_file import TrustFile
from passport_shared.service.keys import KeyMissing

FEDERATION = "federation"
STATUS = "status"
CLIENT_DIRECTORY = "client-directory"
CA_ROOT = "ca-root"
CA_ISSUING = "ca-issuing"
AUDIT = "audit"
ACCESS_TOKEN = "access-token"  # noqa: S105 - the name of a purpose
OUTBOX = "outbox"
PURPOSES = (FEDERATION, STATUS, CLIENT_DIRECTORY, CA_ROOT, CA_ISSUING, AUDIT)

ROOT = "root"
ISSUING = "issuing"


@dataclass(frozen=True)
class Authority:
    """The certificate authority as it signs: issuing key with its certificate, and the root's certificate."""

    issuing_key: SigningKey
    issuing: x509.Certificate
    root: x509.Certificate

    @property
    def issuing_der(self) -> bytes:
        """The issuing authority as DER."""
        return self.issuing.public_bytes(Encoding.DER)

    @property
    def root_der(self) -> bytes:
        """The root as DER."""
        return self.root.public_bytes(Encoding.DER)


async def initialise(ctx: Context) -> TrustFile:
    """Make whatever of the anchor is missing and return the trust file."""
    for purpose in PURPOSES:
        await ctx.keys.ensure(purpose)
    root_key = await ctx.keys.active(CA_ROOT)
    root = await _certificate(ctx, ROOT, root_key)
    if root is None:
        made = profile.root(
            root_key.private,
            network=ctx.settings.operator_name,
            serial=x509.random_serial_number(),
            now=ctx.clock.now(),
        )
        root = await _keep(ctx, ROOT, root_key, made)
    issuing_key = await ctx.keys.active(CA_ISSUING)
    if await _certificate(ctx, ISSUING, issuing_key) is None:
        made = profile.issuing(
            issuing_key.public.key,
            root_key=root_key.private,
            root_certificate=root,
            network=ctx.settings.operator_name,
            serial=x509.random_serial_number(),
            now=ctx.clock.now(),
        )
        await _keep(ctx, ISSUING, issuing_key, made)
    await status_leaf(ctx)
    return await trust_file(ctx)


async def _certificate(ctx: Context, name: str, key: SigningKey) -> x509.Certificate | None:
    async with ctx.db.read() as conn:
        stored = await store.get(conn, name)
    if stored is None or stored.kid != key.kid:
        return None
    return x509.load_der_x509_certificate(stored.der)


async def _keep(ctx: Context, name: str, key: SigningKey, certificate: x509.Certificate) -> x509.Certificate:
    """Store a certificate of the anchor; if another process was first, its certificate counts."""
    now = ctx.clock.now()
    row = store.AuthorityCertificate(
        name=name,
        kid=key.kid,
        der=certificate.public_bytes(Encoding.DER),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        created_at=now,
    )
    try:
        async with ctx.db.write() as conn:
            await store.add(conn, row)
            await publications.changed(conn)
            await ctx.audit.record(
                conn,
                kind="authority.certified",
                subject_ref=name,
                actor={"system": "init"},
                details={"kid": key.kid, "not_after": row.not_after.isoformat()},
            )
    except IntegrityError:
        kept = await _certificate(ctx, name, key)
        if kept is None:
            raise
        return kept
    return certificate


async def authority(ctx: Context) -> Authority:
    """Return the certificate authority.

    Raises:
        NotInitialised: `init` has not been run.
    """
    try:
        issuing_key = await ctx.keys.active(CA_ISSUING)
        root_key = (await ctx.keys.published(CA_ROOT))[0]
    except (KeyMissing, IndexError):
        raise NotInitialised from None
    async with ctx.db.read() as conn:
        root, issuing = await store.get(conn, ROOT), await store.get(conn, ISSUING)
    if root is None or issuing is None or root.kid != root_key.kid or issuing.kid != issuing_key.kid:
        raise NotInitialised
    return Authority(
        issuing_key=issuing_key,
        issuing=x509.load_der_x509_certificate(issuing.der),
        root=x509.load_der_x509_certificate(root.der),
    )


async def status_leaf(ctx: Context) -> x509.Certificate:
    """Return the leaf of the registry's status key, made anew once its signing window has ended."""
    key = await ctx.keys.active(STATUS)
    kept = await _certificate(ctx, STATUS, key)
    now = ctx.clock.now()
    began = None if kept is None else kept.not_valid_before_utc
    if kept is not None and began is not None and began <= now < profile.not_after_signing(began):
        return kept
    async with ctx.db.write() as conn:
        # The leaf of a window that has ended or not begun, or of the key before a roll, makes room.
        await store.forget_leaf(conn, STATUS, kid=key.kid, begun_at=profile.start(now))
    ca = await authority(ctx)
    subject = profile.LeafSubject(
        entity_id=ctx.anchor,
        organisation_name=ctx.settings.operator_name,
        ods_code=ctx.settings.operator_ods_code,
        role="status",
    )
    made = profile.leaf(
        key.public.key,
        subject,
        issuing_key=ca.issuing_key.private,
        issuing_certificate=ca.issuing,
        serial=x509.random_serial_number(),
        not_before=profile.start(now),
    )
    return await _keep(ctx, STATUS, key, made)


async def trust_file(ctx: Context) -> TrustFile:
    """Return the trust file of this network: all that a service or wallet is configured with.

    Raises:
        NotInitialised: `init` has not been run.
    """
    ca = await authority(ctx)
    federation = await ctx.keys.published(FEDERATION)
    return TrustFile(
        entity_id=ctx.anchor,
        jwks={"keys": [stored.public.as_jwk() for stored in federation]},
        x509_roots=(base64.b64encode(ca.root_der).decode("ascii"),),
        snapshot_uri=f"{ctx.anchor}/federation/snapshot",
        vct_base=ctx.vct_base,
    )


async def signing_key(ctx: Context, purpose: str) -> SigningKey:
    """Return the anchor's active key of a purpose.

    Raises:
        NotInitialised: `init` has not been run.
    """
    try:
        return await ctx.keys.active(purpose)
    except KeyMissing:
        raise NotInitialised from None
