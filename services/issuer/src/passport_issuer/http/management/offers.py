"""Credential offers of a person: made at an appointment, shown again, withdrawn.

Their PIN and their QR code.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends
from pydantic import Field
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import ActorField, ByPerson, Received, Sent
from passport_issuer.operations import offers as operations
from passport_issuer.rules.passports import OfferState
from passport_issuer.store.offers import MAX_WRONG_TX_CODES, Offer
from passport_shared.service.auth import actor_of
from passport_shared.service.pages import qr_image
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(PREFIX, tags=["Offers"])

TypeName = Literal[
    "StaffIdentity",
    "Employment",
    "RightToWork",
    "DbsOutcome",
    "ProfessionalRegistration",
    "OccupationalHealth",
    "CoreSkills",
]


class OfferBody(Received):
    """What to offer; everything that is held when no types are named."""

    types: list[TypeName] | None = Field(default=None, min_length=1, max_length=20)
    actor: ActorField


class MissingView(Sent):
    """One thing that is missing, in words that name the next step."""

    code: str
    detail: str


class NotHeldView(Sent):
    """A type that is not issued, and why."""

    type: str
    missing: list[MissingView]


class OfferView(Sent):
    """A credential offer; the PIN is asked for separately, and the asking is recorded."""

    id: str
    staff_id: str
    passport_id: str
    state: OfferState
    reason: str | None = Field(description="Why the holder sent it back.")
    reviewed: bool = Field(description="Whether the holder said the details are right.")
    credential_configuration_ids: list[str]
    not_held: list[NotHeldView]
    page_url: str = Field(description="The link for the person.")
    credential_offer_uri: str = Field(description="The offer by reference, for a wallet.")
    credential_offer: str = Field(description="The offer by value, for a wallet.")
    pin_tries_left: int
    expires_at: datetime
    redeemed_at: datetime | None
    created_at: datetime


class NewOfferView(OfferView):
    """A new offer with the PIN that HR gives by voice."""

    tx_code: str


class PinView(Sent):
    """The PIN of an open offer."""

    tx_code: str


def view(found: Access, offer: Offer) -> OfferView:
    """An offer with its links."""
    links = operations.links(found.ctx, found.tenant, offer)
    return OfferView(
        id=offer.id,
        staff_id=offer.staff_id,
        passport_id=offer.passport_id,
        state=operations.shown_state(offer, found.ctx.clock.now()),
        reason=offer.reason,
        reviewed=offer.reviewed,
        credential_configuration_ids=list(offer.configuration_ids),
        not_held=[NotHeldView.model_validate(item) for item in offer.not_held],
        page_url=links.page,
        credential_offer_uri=links.by_reference,
        credential_offer=links.by_value,
        pin_tries_left=MAX_WRONG_TX_CODES - offer.wrong_tx_codes,
        expires_at=offer.expires_at,
        redeemed_at=offer.redeemed_at,
        created_at=offer.created_at,
    )


@router.post("/staff/{staff_id}/offers", status_code=201, operation_id="offer_credentials", summary="Offer")
async def create(
    staff_id: str,
    body: OfferBody,
    response: Response,
    found: Annotated[Access, Depends(access("offers:write"))],
) -> NewOfferView:
    """Offer what the person holds; what is missing is listed and never issued."""
    actor = actor_of(found.caller, body.actor)
    made = await found.once(
        lambda claim: operations.create(found.ctx, found.tenant, staff_id, body.types, actor, claim)
    )
    offer = await operations.get(found.ctx, found.tenant, made)
    response.headers["Location"] = f"/api/v1/organisations/{found.tenant.ods}/offers/{made}"
    tx_code = operations.tx_code(found.ctx, offer)
    return NewOfferView(**view(found, offer).model_dump(), tx_code=tx_code)


@router.get("/staff/{staff_id}/offers", operation_id="list_offers", summary="List a person's offers")
async def list_offers(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("offers:read"))]
) -> Page[OfferView]:
    """A page of a person's offers, oldest first."""
    offers, following = await operations.list_for(found.ctx, found.tenant, staff_id, page)
    return Page(items=[view(found, offer) for offer in offers], next=following)


@router.get("/offers/{offer_id}", operation_id="get_offer", summary="Read an offer")
async def get(offer_id: str, found: Annotated[Access, Depends(access("offers:read"))]) -> OfferView:
    """One offer."""
    return view(found, await operations.get(found.ctx, found.tenant, offer_id))


@router.post("/offers/{offer_id}/pin", operation_id="show_offer_pin", summary="Show an offer's PIN again")
async def show_pin(
    offer_id: str,
    body: ByPerson,
    found: Annotated[Access, Depends(access("offers:write"))],
) -> PinView:
    """The PIN of an open offer; who looked is recorded."""
    actor = actor_of(found.caller, body.actor)
    await found.act(offer_id, lambda: operations.show_tx_code(found.ctx, found.tenant, offer_id, actor))
    offer = await operations.get(found.ctx, found.tenant, offer_id)
    return PinView(tx_code=operations.tx_code(found.ctx, offer))


@router.post("/offers/{offer_id}/withdraw", operation_id="withdraw_offer", summary="Take an offer back")
async def withdraw(
    offer_id: str, body: ByPerson, found: Annotated[Access, Depends(access("offers:write"))]
) -> OfferView:
    """Take back an offer before it is collected."""
    actor = actor_of(found.caller, body.actor)
    await found.act(offer_id, lambda: operations.withdraw(found.ctx, found.tenant, offer_id, actor))
    return view(found, await operations.get(found.ctx, found.tenant, offer_id))


@router.get(
    "/offers/{offer_id}/qr.{kind}",
    operation_id="get_offer_qr",
    summary="The offer's QR code",
    response_class=Response,
    responses={
        200: {
            "description": "The QR code of the offer by reference",
            "content": {"image/svg+xml": {}, "image/png": {}},
        }
    },
)
async def qr(
    offer_id: str, kind: Literal["svg", "png"], found: Annotated[Access, Depends(access("offers:read"))]
) -> Response:
    """The QR code of an offer, as SVG or PNG."""
    offer = await operations.get(found.ctx, found.tenant, offer_id)
    image = qr_image(operations.links(found.ctx, found.tenant, offer).by_reference, kind)
    media_type = "image/svg+xml" if kind == "svg" else "image/png"
    return Response(image, media_type=media_type, headers={"Cache-Control": "no-store"})
