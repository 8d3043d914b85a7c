"""What every route starts with: the context, and on the management interface the caller and their tenant."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Annotated

from fastapi import Depends, Path
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response

from passport_issuer.context import Context
from passport_issuer.operations.tenants import enrolled_tenant
from passport_shared.service.auth import Caller, authorise_organisation, require
from passport_shared.service.idempotency import Claim, call_of
from passport_shared.service.limits import Rate
from passport_shared.service.tenancy import Tenant


class OdsConvertor(Convertor[str]):
    """An ODS code in a protocol path: so that `/oauth2/token` is nobody's tenant, and lower case is 404."""

    regex = "[A-Z0-9]{3,10}"

    def convert(self, value: str) -> str:
        """The code as it stands."""
        return value

    def to_string(self, value: str) -> str:
        """The code as it stands."""
        return value


register_url_convertor("ods", OdsConvertor())

# A trust's nightly import writes tens of records a second; far beyond that a program has gone wild.
WRITES = Rate(name="issuer.writes", limit=6_000, per=timedelta(minutes=1), burst=2_000)

PREFIX = "/api/v1/organisations/{ods}"

Ods = Annotated[str, Path(description="ODS code of the organisation, upper case.", examples=["RBV"])]


@dataclass(frozen=True, kw_only=True)
class Access:
    """An authorised request: what it may use, for whom, and who calls."""

    ctx: Context
    tenant: Tenant
    caller: Caller
    request: Request

    async def once(self, work: Callable[[Claim], Awaitable[str]]) -> str:
        """Do the work at most once per Idempotency-Key; the id of what it made, now or the first time.

        Raises:
            TooManyRequests: the client has changed things too often.
        """
        await self.ctx.limiter.spend(WRITES, self.caller.client_id)
        call = await call_of(self.request, self.caller.client_id)
        return (await self.ctx.idempotency.once(call, work)).resource_id

    async def act(self, resource_id: str, work: Callable[[], Awaitable[object]]) -> None:
        """Do something to a resource that exists, at most once per Idempotency-Key."""

        async def run(_: Claim) -> str:
            await work()
            return resource_id

        await self.once(run)


def context_of(request: Request) -> Context:
    """The context the application was started with."""
    context: Context = request.app.state.context
    return context


@cache
def access(scope: str) -> Callable[..., Awaitable[Access]]:
    """A dependency: the caller has the scope and the organisation is theirs; 401, 403 and 404 otherwise."""

    async def authorised(
        request: Request,
        response: Response,
        ods: Ods,
        caller: Annotated[Caller, Depends(require(scope))],
    ) -> Access:
        authorise_organisation(caller, ods)
        # Everything below is about people: no cache keeps it.
        response.headers["Cache-Control"] = "no-store"
        ctx = context_of(request)
        return Access(ctx=ctx, tenant=await enrolled_tenant(ctx, ods), caller=caller, request=request)

    return authorised
