"""`POST /api/v1/enrolments` and `/renewals`: a service enrols the keys of an entity, and later new ones.

No bearer token: the one-time code is the permission, and for a renewal the federation key that was enrolled.
Attempts are limited per address, so that codes cannot be tried out and the registry cannot be made to fetch
at will.
"""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Request, Response

from passport_registry.http.management.common import Ctx
from passport_registry.operations import enrolment as operations
from passport_registry.operations.enrolment import Enrolled
from passport_shared.service.limits import Rate
from passport_shared.service.peer_address import peer_of
from passport_shared.service.routes import management_router
from passport_shared.wire.enrolment import (
    EnrolledCertificate,
    EnrolmentAnswer,
    EnrolmentRequest,
    EntityRole,
    RenewalRequest,
)

router: APIRouter = management_router("/api/v1/enrolments", tags=["enrolment"])


def _pem(der: bytes) -> str:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode("ascii")


def _answer(enrolled: Enrolled) -> EnrolmentAnswer:
    return EnrolmentAnswer(
        entity_id=enrolled.entity.entity_id,
        role=EntityRole(enrolled.entity.role),
        ods_code=enrolled.entity.ods_code,
        organisation_name=enrolled.organisation.name,
        certificates={
            use: EnrolledCertificate(
                certificate=_pem(row.der or b""),
                issuing_ca=_pem(enrolled.issuing_ca),
                not_before=row.not_before,
                not_after=row.not_after,
                not_after_signing=row.not_after_signing,
                x5t_s256=row.x5t_s256 or "",
            )
            for use, row in enrolled.certificates.items()
        },
    )


_REFUSED = {
    "description": "The enrolment code is not accepted",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


@router.post("", status_code=201, openapi_extra={"security": []}, responses={403: _REFUSED})
async def enrol(body: EnrolmentRequest, request: Request, response: Response, ctx: Ctx) -> EnrolmentAnswer:
    """Enrol an entity's keys; a repetition with the same code and keys gets the same answer."""
    rate = Rate(name="enrolments", limit=ctx.settings.enrolments_per_minute, per=timedelta(minutes=1))
    await ctx.limiter.spend(rate, peer_of(request))
    cmd = operations.Enrol(
        code=body.code,
        entity_id=body.entity_id,
        entity_configuration=body.entity_configuration,
        certificate_requests=body.certificate_requests,
    )
    answer = _answer(await operations.enrol(ctx, cmd))
    response.headers["Cache-Control"] = "no-store"
    return answer


_RENEWAL_REFUSED = {**_REFUSED, "description": "The entity may not renew its keys by itself"}


@router.post("/renewals", status_code=201, openapi_extra={"security": []}, responses={403: _RENEWAL_REFUSED})
async def renew(body: RenewalRequest, request: Request, response: Response, ctx: Ctx) -> EnrolmentAnswer:
    """Certify new keys of an enrolled entity, on its federation key's word; a repetition gets the same."""
    rate = Rate(name="enrolments", limit=ctx.settings.enrolments_per_minute, per=timedelta(minutes=1))
    await ctx.limiter.spend(rate, peer_of(request))
    cmd = operations.Renew(
        entity_id=body.entity_id,
        entity_configuration=body.entity_configuration,
        certificate_requests=body.certificate_requests,
    )
    answer = _answer(await operations.renew(ctx, cmd))
    response.headers["Cache-Control"] = "no-store"
    return answer
