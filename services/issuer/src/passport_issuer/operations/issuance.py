"""The credential endpoint's act: proofs in, signed credentials out, in the order of security.md D1.

1. Check everything that can be checked without writing. 2. In one transaction consume the nonce, end what was
issued for this dataset and not acknowledged, reserve an unused random status index per key and record what
will be signed. 3. Sign. 4. Record that it was signed. 5. Answer. A crash after any step leaves a row from
which the sweeper, or the wallet's next request, ends whatever may have been signed. Never is anything signed
before 2.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from passport_issuer.context import Context
from passport_issuer.operations import activity, failpoints, status_lists
from passport_issuer.operations.offers import HOLDER
from passport_issuer.operations.tenants import CertifiedKey, authority_to_issue, certified_key
from passport_issuer.rules.codes import NONCE_LIFE
from passport_issuer.rules.credential_request import BATCH_SIZE, ByIdentifier, CredentialRequest
from passport_issuer.rules.passports import CredentialState, PassportState
from passport_issuer.rules.proofs import NONCE_FAULTS, ProofInvalid, VerifiedProofs, verify_proofs
from passport_issuer.rules.validity import NothingLeft, beginning, expiry
from passport_issuer.store import credentials, hot, nonces, offers, passports
from passport_issuer.store import status_lists as status_list_store
from passport_issuer.store.credentials import Credential
from passport_issuer.store.hot import BeforeIssuing
from passport_issuer.store.offers import Grant, OfferDataset
from passport_shared.formats import strict
from passport_shared.formats.clock import epoch_s
from passport_shared.formats.ids import new_id, random_token
from passport_shared.formats.jose import PublicKey
from passport_shared.formats.sd_jwt_vc import issue_credential
from passport_shared.formats.trust import Finding
from passport_shared.service import metric_names as m
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.tenancy import Tenant
from passport_shared.wire import catalogue

# With lists at most 70 % full, that many random tries miss once in 10^9 requests.
INDEX_TRIES = 64
NOTHING_ISSUED = (PassportState.ON_HOLD, PassportState.CLOSED)
"""States of a passport in which nothing is issued for it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """The answer of one request: one credential per key, and the id to notify by."""

    credentials: tuple[str, ...]
    notification_id: str


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """Everything that is decided before anything is written."""

    tenant: Tenant
    grant: Grant
    dataset: OfferDataset
    vct: str
    signer: CertifiedKey
    proofs: VerifiedProofs
    now: datetime
    expires_at: datetime
    request_id: str
    notification_id: str


async def issue(ctx: Context, tenant: Tenant, grant: Grant, request: CredentialRequest) -> Issued:
    """Issue the credentials of one request.

    Raises:
        ProtocolError: unknown_credential_configuration, unknown_credential_identifier,
            invalid_credential_request, invalid_proof, invalid_nonce, credential_request_denied.
    """
    dataset = await _dataset(ctx, grant, request)
    proofs = _proofs(ctx, tenant, request)
    _check_holder(grant, proofs)
    plan = await _plan(ctx, tenant, grant, dataset, proofs)
    reserved, contents = await _reserve(ctx, plan)  # 2
    failpoints.hit(failpoints.AFTER_RESERVE)
    tokens = [
        issue_credential(
            content,
            catalogue.TYPES[dataset.type].disclosable,
            plan.signer.key,
            list(plan.signer.x5c),
            missing_ok=True,
        )
        for content in contents
    ]  # 3
    failpoints.hit(failpoints.AFTER_SIGN)
    await _record(ctx, plan, reserved, tokens)  # 4
    failpoints.hit(failpoints.AFTER_MARK_ISSUED)
    return Issued(credentials=tuple(tokens), notification_id=plan.notification_id)


async def _dataset(ctx: Context, grant: Grant, request: CredentialRequest) -> OfferDataset:
    """The dataset that is asked for, by the kind of name the token was given for (OpenID4VCI 1.0 §8.2)."""
    async with ctx.db.read() as conn:
        datasets = await offers.datasets_of(conn, grant.offer_id)
    if isinstance(request, ByIdentifier):
        found = next((d for d in datasets if d.id == request.credential_identifier), None)
        if found is None:
            raise ProtocolError("unknown_credential_identifier", "the token grants no such credential")
        return found
    if grant.by_identifier:
        raise ProtocolError(
            "invalid_credential_request", "the token response named credential_identifiers: use one of them"
        )
    found = next((d for d in datasets if d.configuration_id == request.credential_configuration_id), None)
    if found is None:
        raise ProtocolError("unknown_credential_configuration", "the token grants no such configuration")
    return found


def _proofs(ctx: Context, tenant: Tenant, request: CredentialRequest) -> VerifiedProofs:
    try:
        return verify_proofs(
            request.proofs,
            audience=tenant.entity_id,
            ods=tenant.ods,
            nonce_secret=ctx.secrets.nonces,
            now=ctx.clock.now(),
        )
    except ProofInvalid as error:
        ctx.counts.add(m.CREDENTIALS_REFUSED, error.fault.value)
        log.info("proof.rejected", reason=error.fault.value, entity_id=tenant.entity_id)
        code = "invalid_nonce" if error.fault in NONCE_FAULTS else "invalid_proof"
        raise ProtocolError(code, f"a proof is not acceptable ({error.fault.value})") from None


def _check_holder(grant: Grant, proofs: VerifiedProofs) -> None:
    """What is offered to one key goes to that key alone (OpenID4VCI 1.0 §8.3.1.2: the proof is invalid)."""
    if grant.holder_jkt is None or [key.thumbprint for key in proofs.keys] == [grant.holder_jkt]:
        return
    log.info("proof.rejected", reason="another_holder_key")
    raise ProtocolError(
        "invalid_proof", "this is for the one key whose records were shared: prove possession of that key"
    )


async def _plan(
    ctx: Context, tenant: Tenant, grant: Grant, dataset: OfferDataset, proofs: VerifiedProofs
) -> _Plan:
    """Decide what will be signed, or that nothing may be."""
    now = ctx.clock.now().replace(microsecond=0)
    kind = catalogue.TYPES[dataset.type]
    vct = catalogue.vct(ctx.vct_base, kind.name, kind.version)
    if grant.passport_state in NOTHING_ISSUED or dataset.claims is None:
        raise _denied("the offer is over")
    authority = await authority_to_issue(ctx, tenant, vct)
    if authority is None or authority.finding is not Finding.AUTHORISED or authority.authorization is None:
        finding = authority.finding.value if authority else "REGISTRY_STALE"
        ctx.counts.add(m.CREDENTIALS_REFUSED, finding)
        log.warning("credential.refused", reason=finding, vct=vct, entity_id=tenant.entity_id)
        raise _denied("the issuer may not issue this type now")
    signer = await certified_key(ctx, tenant, "credential")
    if signer is None:
        raise _denied("the issuer has no key to sign with now")
    try:
        catalogue.validate_claims(kind, dataset.claims)
        ends = expiry(
            kind,
            dataset.claims,
            issued_at=now,
            mark_max_validity_s=authority.authorization.max_validity_s,
            leaf_not_after=signer.not_after,
        )
    except (NothingLeft, catalogue.ClaimsInvalid):
        raise _denied("the record no longer allows this credential") from None
    return _Plan(
        tenant=tenant,
        grant=grant,
        dataset=dataset,
        vct=vct,
        signer=signer,
        proofs=proofs,
        now=now,
        expires_at=ends,
        request_id=new_id(),
        notification_id=random_token(16),
    )


async def _reserve(ctx: Context, plan: _Plan) -> tuple[list[Credential], list[dict[str, Any]]]:
    """One transaction: nonce, indices, rows, audit entry."""
    nonce_hash = hashlib.sha256(plan.proofs.nonce.encode("ascii")).hexdigest()
    async with ctx.db.write() as conn:
        await passports.hold_row(conn, plan.grant.passport_id)
        # Asked again where nobody can change it before the commit: the offer may have ended since the check.
        before = await hot.before_issuing(conn, plan.grant, plan.dataset, plan.now)
        if before is None or before.grant.passport_state in NOTHING_ISSUED:
            raise _denied("the offer is over")
        if not await nonces.use(conn, nonce_hash, plan.now + 2 * NONCE_LIFE):
            raise ProtocolError("invalid_nonce", "the nonce was used before: fetch a new one")
        superseded = await credentials.supersede_unconfirmed(conn, plan.dataset.id, plan.now)
        if before.confirmed + len(plan.proofs.keys) > BATCH_SIZE:
            raise _denied("this credential has been issued as often as it may be")
        reserved = await _reserve_indices(conn, plan, before)
        await ctx.audit.record(
            conn,
            kind="credential.prepared",
            subject_ref=plan.grant.passport_id,
            actor=HOLDER,
            organisation=plan.tenant.ods,
            details={
                "credentials": [credential.id for credential, _ in reserved],
                "vct": plan.vct,
                "superseded": [ended.id for ended in superseded],
            },
        )
    return [credential for credential, _ in reserved], [content for _, content in reserved]


async def _reserve_indices(
    conn: AsyncConnection, plan: _Plan, before: BeforeIssuing
) -> list[tuple[Credential, dict[str, Any]]]:
    usable = status_lists.usable(before.lists, plan.now)
    if usable is None:
        log.error("status_list.none_usable", entity_id=plan.tenant.entity_id)
        raise _denied("the issuer has no room for another credential at this moment")
    draft = _draft(plan, usable.id, before.predecessor)
    reserved = [await _reserve_one(conn, plan, draft, key, usable.size) for key in plan.proofs.keys]
    await status_list_store.count_allocated(conn, usable.id, len(reserved))
    return reserved


def _draft(plan: _Plan, list_id: str, supersedes: str | None) -> Credential:
    """The row of a credential before it has a key, an index and a digest."""
    return Credential(
        id="",
        ods=plan.tenant.ods,
        passport_id=plan.grant.passport_id,
        staff_id=plan.grant.staff_id,
        offer_id=plan.grant.offer_id,
        dataset_id=plan.dataset.id,
        type=plan.dataset.type,
        source_ref=plan.dataset.source_ref,
        vct=plan.vct,
        schema_version=catalogue.TYPES[plan.dataset.type].version,
        status_list_id=list_id,
        status_idx=-1,
        state=CredentialState.PREPARED,
        reason_code=None,
        holder_jkt="",
        payload_digest="",
        issuer_jwt_sha256=None,
        supersedes=supersedes,
        request_id=plan.request_id,
        notification_id=plan.notification_id,
        prepared_at=plan.now,
        issued_at=None,
        expires_at=plan.expires_at,
        acknowledged_at=None,
        ended_at=None,
    )


async def _reserve_one(
    conn: AsyncConnection, plan: _Plan, draft: Credential, key: PublicKey, size: int
) -> tuple[Credential, dict[str, Any]]:
    for _ in range(INDEX_TRIES):
        idx = secrets.randbelow(size)
        content = _content(plan, draft.status_list_id, idx, key)
        digest = hashlib.sha256(strict.canonical(content)).hexdigest()
        credential = replace(
            draft, id=new_id(), status_idx=idx, holder_jkt=key.thumbprint, payload_digest=digest
        )
        if await credentials.reserve(conn, credential):
            return credential, content
    log.error("status_list.crowded", entity_id=plan.tenant.entity_id)
    raise _denied("the issuer has no room for another credential at this moment")


def _content(plan: _Plan, list_id: str, idx: int, key: PublicKey) -> dict[str, Any]:
    """Exactly what will be signed, before claims are hidden behind digests."""
    uri = status_lists.list_uri(plan.tenant, list_id)
    begins = beginning(catalogue.TYPES[plan.dataset.type], plan.dataset.claims or {})
    return {
        "iss": plan.tenant.entity_id,
        "iat": epoch_s(plan.now),
        "exp": epoch_s(plan.expires_at),
        **({"nbf": epoch_s(begins)} if begins else {}),
        "vct": plan.vct,
        "cnf": {"jwk": dict(key.jwk)},
        "status": {"status_list": {"idx": idx, "uri": uri}},
        **(plan.dataset.claims or {}),
    }


async def _record(ctx: Context, plan: _Plan, reserved: Sequence[Credential], tokens: Sequence[str]) -> None:
    digests = {
        credential.id: hashlib.sha256(token.partition("~")[0].encode("ascii")).hexdigest()
        for credential, token in zip(reserved, tokens, strict=True)
    }
    async with ctx.db.write() as conn:
        held = await passports.hold_row(conn, plan.grant.passport_id)
        if not await credentials.mark_issued(conn, digests, plan.now):
            raise _denied("a later request for the same credential has taken over")
        first = (
            held is not None
            and held.awaits_first
            and await passports.activate(conn, plan.grant.passport_id, plan.now)
        )
        await ctx.audit.record(
            conn,
            kind="passport.issued" if first else "credential.issued",
            subject_ref=plan.grant.passport_id,
            actor=HOLDER,
            organisation=plan.tenant.ods,
            details={"credentials": list(digests), "vct": plan.vct},
        )
        await activity.emit_collected(
            ctx, conn, plan.grant, plan.dataset.type, list(digests), first=first, at=ctx.clock.now()
        )
    ctx.counts.add(m.CREDENTIALS_ISSUED, plan.dataset.type, count=len(digests))
    log.info("credential.issued", vct=plan.vct, entity_id=plan.tenant.entity_id)


def _denied(description: str) -> ProtocolError:
    return ProtocolError("credential_request_denied", description)
