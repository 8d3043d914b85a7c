"""``/connections``: the workforce systems of a trust, how to reach them and how they are doing."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Depends
from pydantic import Field, StringConstraints
from starlette.responses import Response

from passport_issuer.clients.workforce import WORDS, WorkforceReason
from passport_issuer.http.access import PREFIX, Access, access
from passport_issuer.http.management.fields import ActorField, ByPerson, Line, Received, Reference, Sent
from passport_issuer.http.management.staff import tagged
from passport_issuer.operations import connections as operations
from passport_issuer.rules.workforce import WORDS as REFUSALS
from passport_issuer.rules.workforce import (
    Authentication,
    ConnectionKind,
    ConnectionState,
    OnRegistrationChange,
    Refusal,
    SystemType,
)
from passport_issuer.store.connections import Connection
from passport_shared.service.auth import actor_of
from passport_shared.service.etags import IfMatch, etag_of, require_match
from passport_shared.service.limits import Rate
from passport_shared.service.paging import Page, Paging
from passport_shared.service.routes import management_router

router = management_router(f"{PREFIX}/connections", tags=["Workforce systems"])

# Every test or search makes calls to somebody else's system.
TESTS = Rate(name="issuer.workforce_calls", limit=120, per=timedelta(minutes=1), burst=60)

Url = Annotated[str, StringConstraints(max_length=500, pattern=r"^https://[\x21-\x7e]+$")]
HostAndPort = Annotated[str, StringConstraints(max_length=260, pattern=r"^[a-z0-9.\[\]:-]+:[0-9]{1,5}$")]
ApiKey = Annotated[str, StringConstraints(min_length=8, max_length=512, pattern=r"^[\x21-\x7e]+$")]


class ConnectionBody(Received):
    """One workforce system. A private key never leaves this service; an API key is never shown again."""

    name: Line = Field(examples=["ESR of our trust"])
    system_type: SystemType
    base_url: Url = Field(
        examples=["https://workforce.example/dsp-api"],
        description="What comes before `/organisations/…` (DSP API) or before the ODS code (ESR).",
    )
    authentication: Authentication
    token_url: Url | None = None
    client_id: Reference | None = None
    audience: Url | None = Field(
        default=None, description="`aud` of client assertions where it is not the token URL."
    )
    api_key: ApiKey | None = Field(
        default=None,
        description="For API_KEY; on a change, left out to keep the one that is stored. Another host or "
        "port in `base_url` needs it again: a stored key is sent nowhere else.",
    )
    private_hosts: list[HostAndPort] = Field(
        default_factory=list,
        max_length=10,
        description="`host:port` of this system that lies on a private network or has a port of its own.",
    )
    timeout_s: float = Field(default=5.0, ge=0.5, le=20, description="How long one call may take.")
    max_pages: int = Field(default=10, ge=1, le=50, description="How many pages of one list are read.")
    on_registration_change: OnRegistrationChange = Field(
        default=OnRegistrationChange.HOLD,
        description="Whether a registration that ends or limits practice puts the passport on hold by "
        "itself (HOLD), or when HR applies it (ASK).",
    )
    state: ConnectionState = ConnectionState.ACTIVE
    actor: ActorField

    def values(self) -> dict[str, Any]:
        """As the operation takes them."""
        values = self.model_dump(exclude={"actor", "api_key"})
        values["private_hosts"] = tuple(values["private_hosts"])
        return values


class PublicKeys(Sent):
    """A JWK set."""

    keys: list[dict[str, Any]]


class ConnectionView(Sent):
    """One workforce system and how it is doing."""

    id: str
    name: str
    kind: ConnectionKind
    system_type: SystemType
    base_url: str
    authentication: Authentication
    token_url: str | None
    client_id: str | None
    audience: str | None
    has_api_key: bool
    has_event_key: bool
    jwks: PublicKeys = Field(description="What the supplier registers for our client assertions.")
    private_hosts: list[str]
    timeout_s: float
    max_pages: int
    on_registration_change: OnRegistrationChange
    state: ConnectionState
    last_ok_at: datetime | None
    last_error: str | None
    last_error_detail: str | None
    last_error_at: datetime | None
    consecutive_failures: int
    suspicious_at: datetime | None
    suspicious_reason: str | None
    suspicious_detail: str | None
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, connection: Connection, keys: list[dict[str, Any]]) -> "ConnectionView":
        """From the record; secrets stay inside."""
        error, doubt = connection.last_error, connection.suspicious_reason
        signs = connection.authentication is Authentication.PRIVATE_KEY_JWT
        same = {name: getattr(connection, name) for name in cls.model_fields if hasattr(connection, name)}
        return cls(
            **same,
            has_api_key=connection.api_key_wrapped is not None,
            has_event_key=connection.event_key_hash is not None,
            jwks=PublicKeys(keys=keys if signs else []),
            last_error_detail=WORDS[WorkforceReason(error)] if error else None,
            consecutive_failures=connection.failures,
            suspicious_detail=REFUSALS[Refusal(doubt)] if doubt else None,
        )


class StepView(Sent):
    """One step of a test: OK, or the reason and what it means."""

    outcome: str
    detail: str | None


class TestView(Sent):
    """How a test went; the search is skipped when the system is not up."""

    tested_at: datetime
    ok: bool
    status: StepView
    search: StepView


class EventKeyView(Sent):
    """The key for `POST /dsp-api/events`, shown this once."""

    event_key: str
    events_url: str


class DoubtFinding(StrEnum):
    """What a person found when they looked into a suspicious connection."""

    SYSTEM_CORRECTED = "SYSTEM_CORRECTED"
    FALSE_ALARM = "FALSE_ALARM"


class BelieveBody(ByPerson):
    """Why the connection is believed again."""

    finding: DoubtFinding


async def _view(found: Access, connection: Connection, response: Response) -> ConnectionView:
    tagged(response, connection.version)
    return ConnectionView.of(connection, await operations.public_keys(found.ctx, found.tenant))


@router.post("", status_code=201, operation_id="add_connection", summary="Add a workforce system")
async def add(
    body: ConnectionBody,
    response: Response,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> ConnectionView:
    """Add a connection; its public keys are in the answer."""
    actor = actor_of(found.caller, body.actor)
    made = await found.once(
        lambda claim: operations.add(found.ctx, found.tenant, body.values(), body.api_key, actor, claim)
    )
    response.headers["Location"] = f"{found.request.url.path}/{made}"
    return await _view(found, await operations.get(found.ctx, found.tenant, made), response)


@router.get("", operation_id="list_connections", summary="List workforce systems")
async def find(
    page: Paging, found: Annotated[Access, Depends(access("connections:read"))]
) -> Page[ConnectionView]:
    """A page of the trust's connections, oldest first."""
    connections, following = await operations.find(found.ctx, found.tenant, page)
    keys = await operations.public_keys(found.ctx, found.tenant)
    return Page(items=[ConnectionView.of(one, keys) for one in connections], next=following)


@router.get("/{connection_id}", operation_id="get_connection", summary="Read a workforce system")
async def get(
    connection_id: str,
    response: Response,
    found: Annotated[Access, Depends(access("connections:read"))],
) -> ConnectionView:
    """One connection and how it is doing."""
    return await _view(found, await operations.get(found.ctx, found.tenant, connection_id), response)


@router.put("/{connection_id}", operation_id="replace_connection", summary="Change a workforce system")
async def replace(
    connection_id: str,
    body: ConnectionBody,
    response: Response,
    found: Annotated[Access, Depends(access("connections:write"))],
    if_match: IfMatch = None,
) -> ConnectionView:
    """Change a connection; If-Match names the version that was read."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, connection_id)
    require_match(if_match, etag_of(read.version))
    changed = await operations.change(found.ctx, found.tenant, read, body.values(), body.api_key, actor)
    return await _view(found, changed, response)


@router.post(
    "/{connection_id}/remove",
    status_code=204,
    operation_id="remove_connection",
    summary="Remove a workforce system nobody is linked through",
)
async def remove(
    connection_id: str,
    body: ByPerson,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> None:
    """Remove a connection; people have to be unlinked first."""
    actor = actor_of(found.caller, body.actor)
    read = await operations.get(found.ctx, found.tenant, connection_id)
    await found.act(connection_id, lambda: operations.remove(found.ctx, read, actor))


@router.post("/{connection_id}/test", operation_id="test_connection", summary="Test a workforce system")
async def test(
    connection_id: str,
    body: ByPerson,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> TestView:
    """Ask whether the system is up, then search for nobody; the result is kept on the connection."""
    actor = actor_of(found.caller, body.actor)
    connection = await operations.get(found.ctx, found.tenant, connection_id)
    await found.ctx.limiter.spend(TESTS, found.caller.client_id)
    tested = await operations.test(found.ctx, connection, actor)
    skipped = StepView(outcome="SKIPPED", detail=None)
    return TestView(
        tested_at=tested.at,
        ok=tested.ok,
        status=_step(tested.status),
        search=skipped if tested.status else _step(tested.search),
    )


def _step(reason: WorkforceReason | None) -> StepView:
    return StepView(outcome=reason.value if reason else "OK", detail=WORDS[reason] if reason else None)


@router.post(
    "/{connection_id}/event-key",
    operation_id="make_event_key",
    summary="Make the key under which the system may send events",
)
async def event_key(
    connection_id: str,
    body: ByPerson,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> EventKeyView:
    """A new event key, shown once; the one before ends."""
    actor = actor_of(found.caller, body.actor)
    connection = await operations.get(found.ctx, found.tenant, connection_id)
    key = await operations.new_event_key(found.ctx, connection, actor)
    return EventKeyView(event_key=key, events_url=f"{found.ctx.public_url}/dsp-api/events")


@router.post(
    "/{connection_id}/believe",
    operation_id="believe_connection",
    summary="Believe a suspicious system again",
)
async def believe(
    connection_id: str,
    body: BelieveBody,
    response: Response,
    found: Annotated[Access, Depends(access("connections:write"))],
) -> ConnectionView:
    """Take the mark away after a person has looked into it."""
    actor = actor_of(found.caller, body.actor)
    connection = await operations.get(found.ctx, found.tenant, connection_id)
    await found.act(
        connection_id,
        lambda: operations.believe(found.ctx, found.tenant, connection, body.finding.value, actor),
    )
    return await _view(found, await operations.get(found.ctx, found.tenant, connection_id), response)
