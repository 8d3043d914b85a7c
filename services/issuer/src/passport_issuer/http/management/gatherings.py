"""``/staff/{staff_id}/gather`` and ``/gatherings``: reading linked systems, and applying what HR accepts."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends
from pydantic import Field
from starlette.responses import Response

from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.connections import TESTS
from passport_issuer.http.management.fields import ByPerson, Reference, Sent
from passport_issuer.http.management.offers import MissingView
from passport_issuer.operations import gathering as operations
from passport_issuer.operations.gathering import GatheringView
from passport_issuer.rules.workforce import WORDS, Cause, ItemKind, ItemState, Refusal, SystemType
from passport_issuer.rules.workforce_sources import where_from
from passport_issuer.store.connection_gatherings import Gathering, Item
from passport_shared.service.auth import actor_of
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/staff/{{staff_id}}", tags=["Workforce systems"])


class SourceView(Sent):
    """How reading one system went."""

    connection_id: str
    name: str
    system_type: SystemType
    outcome: str = Field(description="READ, FAILED, REFUSED or PAUSED.")
    reason: str | None
    detail: str | None


class ItemView(Sent):
    """One thing that was read, beside what is held."""

    id: str
    connection_id: str
    kind: ItemKind
    key: str
    state: ItemState
    reason: Refusal | None
    detail: str | None
    values: dict[str, Any] | None = Field(description="What would be recorded; gone once it is.")
    differs: list[str] = Field(description="Names of details that differ from what is held.")
    applied_at: datetime | None
    applied_by: str | None
    record_id: str | None

    @classmethod
    def of(cls, item: Item) -> "ItemView":
        """From the record."""
        same = {name: getattr(item, name) for name in cls.model_fields if hasattr(item, name)}
        return cls.model_validate({**same, "detail": WORDS[Refusal(item.reason)] if item.reason else None})


class GapView(Sent):
    """A type that would not be held even if everything usable were accepted, and where it could come from."""

    type: str
    missing: list[MissingView]
    could_come_from: list[str]


class GatheringSummary(Sent):
    """One reading of a person's records."""

    id: str
    staff_id: str
    cause: Cause
    sources: list[SourceView]
    created_at: datetime
    created_by: str
    expires_at: datetime

    @classmethod
    def of(cls, gathering: Gathering) -> "GatheringSummary":
        """From the record."""
        return cls.model_validate(gathering)


class GatheringDetail(GatheringSummary):
    """One reading, item by item."""

    items: list[ItemView]
    not_held: list[GapView]

    @classmethod
    def with_items(cls, view: GatheringView) -> "GatheringDetail":
        """From the operation's answer."""
        return cls(
            **GatheringSummary.of(view.gathering).model_dump(),
            items=[ItemView.of(item) for item in view.items],
            not_held=[
                GapView(
                    type=one.type,
                    missing=[MissingView.model_validate(missing) for missing in one.missing],
                    could_come_from=[origin.value for origin in where_from(one.type)],
                )
                for one in view.assessment.not_held
            ],
        )


class ApplyBody(ByPerson):
    """The items HR accepts."""

    items: list[Reference] = Field(min_length=1, max_length=500)


class ScreeningView(Sent):
    """That a vaccination, test or observation is on file at occupational health; its result is not taken."""

    id: str
    connection_id: str
    record_type: str
    code: str
    description: str
    date: str
    created_at: datetime


@router.post(
    "/gather", status_code=201, operation_id="gather", summary="Read everything a person is linked to"
)
async def gather(
    staff_id: str,
    body: ByPerson,
    response: Response,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> GatheringDetail:
    """Read every linked system at once; one that fails does not fail the others."""
    actor = actor_of(found.caller, body.actor)
    await found.ctx.limiter.spend(TESTS, found.caller.client_id)
    made = await found.once(lambda claim: operations.gather(found.ctx, found.tenant, staff_id, actor, claim))
    view = await operations.view(found.ctx, found.tenant, staff_id, made)
    response.headers["Location"] = f"{found.request.url.path.removesuffix('/gather')}/gatherings/{made}"
    return GatheringDetail.with_items(view)


@router.get("/gatherings", operation_id="list_gatherings", summary="List what was gathered about a person")
async def find(
    staff_id: str, page: Paging, found: Annotated[Access, Depends(access("connections:read"))]
) -> Page[GatheringSummary]:
    """A page of a person's gatherings, newest first."""
    gatherings, following = await operations.find(found.ctx, found.tenant, staff_id, page)
    return Page(items=[GatheringSummary.of(one) for one in gatherings], next=following)


@router.get("/gatherings/{gathering_id}", operation_id="get_gathering", summary="Read what was gathered once")
async def get(
    staff_id: str, gathering_id: str, found: Annotated[Access, Depends(access("connections:read"))]
) -> GatheringDetail:
    """One gathering with its items, and what would still be missing."""
    return GatheringDetail.with_items(await operations.view(found.ctx, found.tenant, staff_id, gathering_id))


@router.post(
    "/gatherings/{gathering_id}/apply",
    operation_id="apply_gathering",
    summary="Record the items HR accepts",
)
async def apply(
    staff_id: str,
    gathering_id: str,
    body: ApplyBody,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> GatheringDetail:
    """Record accepted items with their source and evidence; a repetition changes nothing."""
    actor = actor_of(found.caller, body.actor)
    await found.act(
        gathering_id,
        lambda: operations.apply(found.ctx, found.tenant, staff_id, gathering_id, body.items, actor),
    )
    return GatheringDetail.with_items(await operations.view(found.ctx, found.tenant, staff_id, gathering_id))


@router.get("/screening", operation_id="list_screening", summary="List what occupational health has on file")
async def screening(
    staff_id: str, found: Annotated[Access, Depends(access("connections:read"))]
) -> Page[ScreeningView]:
    """Screening that was gathered: held and shown, never issued, and without results."""
    records = await operations.screening(found.ctx, found.tenant, staff_id)
    return Page(items=[ScreeningView.model_validate(record) for record in records], next=None)
