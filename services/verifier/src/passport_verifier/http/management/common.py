"""What the management routes share: the organisation in the path, who acts, one POST at most once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from passport_shared.service.auth import Actor, Caller, actor_of, authorise_organisation, require
from passport_shared.service.idempotency import Claim, Outcome, call_of
from passport_shared.service.tenancy import Tenant
from passport_verifier.context import Context
from passport_verifier.errors import NotFound

PREFIX = "/api/v1/organisations/{ods}"

OdsPath = Annotated[str, Path(description="ODS code of the host trust, in upper case.", examples=["R0A"])]
IdPath = Annotated[str, Path(min_length=1, max_length=64)]
OdsCode = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,10}$", examples=["RBV"])]
Code = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Short = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Words = Annotated[
    dict[str, str], Field(description="The same sentence by language.", examples=[{"en-GB": "…", "cy": "…"}])
]

ActorRef = Annotated[
    str | None,
    Field(
        max_length=100,
        description="The person who acts, as an opaque reference of the calling system, never a name. "
        "Machine clients give it for acts that need a person; a person's client is its own actor.",
        examples=["hr-7f31"],
    ),
]


class ApiModel(BaseModel):
    """Base of request and response models: unknown members are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ActorView(ApiModel):
    """Who acted."""

    ref: str
    client_id: str
    kind: str
    asserted: bool


def context_of(request: Request) -> Context:
    """Return the verifier this request is for."""
    ctx: Context = request.app.state.context
    return ctx


Ctx = Annotated[Context, Depends(context_of)]


@dataclass(frozen=True)
class Access:
    """A caller at an organisation it may act for."""

    caller: Caller
    tenant: Tenant

    @property
    def ods(self) -> str:
        """The organisation."""
        return self.tenant.ods

    def actor(self, asserted: str | None) -> Actor:
        """The person of an act that needs one; see `passport_shared.service.auth.actor_of`."""
        return actor_of(self.caller, asserted)

    def recorder(self, asserted: str | None) -> Actor:
        """Who a change is recorded for, where a machine may act by itself."""
        if asserted is None:
            caller = self.caller
            return Actor(ref=caller.client_id, client_id=caller.client_id, kind=caller.kind, asserted=False)
        return actor_of(self.caller, asserted)


def access(scope: str) -> Callable[..., Awaitable[Access]]:
    """Dependency: a caller with a scope, at a tenant here it may act for; 404 otherwise."""
    needs = require(scope)

    async def accessed(ods: OdsPath, ctx: Ctx, caller: Annotated[Caller, Depends(needs)]) -> Access:
        authorise_organisation(caller, ods)
        tenant = await ctx.tenants.get(ods)
        if tenant is None:
            raise NotFound
        return Access(caller, tenant)

    return accessed


async def once(
    ctx: Context, request: Request, who: Access, work: Callable[[Claim], Awaitable[str]]
) -> Outcome:
    """Do the work of a POST, or find what the first one with its Idempotency-Key made."""
    return await ctx.idempotency.once(await call_of(request, who.caller.client_id), work)
