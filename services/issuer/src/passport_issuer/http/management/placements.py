"""Temporary placements at this trust, as its own verifier tells of them (design §6)."""

from typing import Annotated

from fastapi import Depends, Path

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.operations import offers as offer_operations
from passport_issuer.operations import placements as operations
from passport_issuer.rules.passports import PassportState
from passport_issuer.store.offers import Offer
from passport_issuer.store.placements import Standing
from passport_shared.service.auth import Actor
from passport_shared.service.routes import management_router
from passport_shared.wire.placements import (
    PlacementBody,
    PlacementCredentialState,
    PlacementOffer,
    PlacementStep,
    PlacementView,
)

router = management_router(f"{PREFIX}/placements", tags=["Placements"])

MovementId = Annotated[
    str,
    Path(
        pattern=r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="The movement's id at the host's verifier.",
    ),
]
Reader = Annotated[Access, Depends(access("placements:read"))]
Writer = Annotated[Access, Depends(access("placements:write"))]


def _recorder(found: Access) -> Actor:
    """The program that calls: who decided stands in the verifier's record."""
    caller = found.caller
    return Actor(ref=caller.client_id, client_id=caller.client_id, kind=caller.kind, asserted=False)


def _state(standing: Standing) -> PlacementCredentialState:
    if standing.placement.ended_at is not None:
        return PlacementCredentialState.ENDED
    collected = standing.collected_at is not None
    return PlacementCredentialState.COLLECTED if collected else PlacementCredentialState.OFFERED


def _view(found: Access, told: tuple[Standing, Offer]) -> PlacementView:
    standing, offer = told
    placement = standing.placement
    links = offer_operations.links(found.ctx, found.tenant, offer)
    shown = PlacementOffer(
        id=offer.id,
        page_url=links.page,
        credential_offer_uri=links.by_reference,
        state=offer_operations.shown_state(offer, found.ctx.clock.now()),
        expires_at=offer.expires_at,
    )
    return PlacementView(
        movement_id=placement.movement_id,
        state=_state(standing),
        on_hold=standing.passport_state is PassportState.ON_HOLD,
        revision=placement.revision,
        start=placement.start,
        end=placement.end,
        collected_at=standing.collected_at,
        ended_at=placement.ended_at,
        offer=None if placement.ended_at is not None else shown,
    )


@router.get("/{movement_id}", operation_id="get_placement", summary="Read a placement")
async def get(movement_id: MovementId, found: Reader) -> PlacementView:
    """One placement, its newest offer, and whether its record was collected."""
    return _view(found, await operations.get(found.ctx, found.tenant, movement_id))


@router.put("/{movement_id}", operation_id="put_placement", summary="Record a placement")
async def put(movement_id: MovementId, body: PlacementBody, found: Writer) -> PlacementView:
    """Record a placement as it shall be, and offer its record.

    The same again is answered the same; other content needs a higher `revision` and is offered anew; a lower
    one came late and changes nothing.
    """
    actor = _recorder(found)
    await found.act(movement_id, lambda: operations.put(found.ctx, found.tenant, movement_id, body, actor))
    return _view(found, await operations.get(found.ctx, found.tenant, movement_id))


@router.post("/{movement_id}/offer", operation_id="offer_placement_again", summary="Offer the record again")
async def offer_again(movement_id: MovementId, found: Writer) -> PlacementView:
    """Offer a running placement's record again; the offer before is withdrawn."""
    actor = _recorder(found)
    await found.act(movement_id, lambda: operations.offer_again(found.ctx, found.tenant, movement_id, actor))
    return _view(found, await operations.get(found.ctx, found.tenant, movement_id))


@router.post("/{movement_id}/hold", operation_id="hold_placement", summary="Put a placement on hold")
async def hold(movement_id: MovementId, body: PlacementStep, found: Writer) -> PlacementView:
    """Put the record of a placement on hold: within seconds its status list says so."""
    actor = _recorder(found)
    await found.act(
        movement_id,
        lambda: operations.hold(found.ctx, found.tenant, movement_id, body.revision, actor),
    )
    return _view(found, await operations.get(found.ctx, found.tenant, movement_id))


@router.post("/{movement_id}/reinstate", operation_id="reinstate_placement", summary="Take it off hold")
async def reinstate(movement_id: MovementId, body: PlacementStep, found: Writer) -> PlacementView:
    """Take a placement off hold."""
    actor = _recorder(found)
    await found.act(
        movement_id,
        lambda: operations.reinstate(found.ctx, found.tenant, movement_id, body.revision, actor),
    )
    return _view(found, await operations.get(found.ctx, found.tenant, movement_id))


@router.post("/{movement_id}/end", operation_id="end_placement", summary="End a placement")
async def end(movement_id: MovementId, body: PlacementStep, found: Writer) -> PlacementView:
    """End a placement: its record is no longer valid, for ever."""
    actor = _recorder(found)
    await found.act(
        movement_id,
        lambda: operations.end(found.ctx, found.tenant, movement_id, body.revision, actor),
    )
    return _view(found, await operations.get(found.ctx, found.tenant, movement_id))
