"""The operator's command that revokes everything a trust has issued."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from passport_issuer.context import Context
from passport_issuer.operations import mass_revocation
from passport_issuer.rules.passports import ReasonCode
from passport_issuer.settings import IssuerSettings
from passport_shared.service.cli import Command, CommandFailed


def revocation_commands(
    opened: Callable[[IssuerSettings], AbstractAsyncContextManager[Context]],
) -> tuple[Command[IssuerSettings], ...]:
    """The command; ``opened`` gives the issuer for the time of it."""

    async def revoke_all(arguments: argparse.Namespace, settings: IssuerSettings) -> int:
        if arguments.confirm != arguments.ods:
            raise CommandFailed("this cannot be undone: say --confirm with the ODS code once more")
        async with opened(settings) as ctx:
            tenant = await ctx.tenants.get(arguments.ods)
            if tenant is None:
                raise CommandFailed(f"there is no tenant {arguments.ods} here")
            job_id = await mass_revocation.order(ctx, tenant, ReasonCode(arguments.reason))
        sys.stdout.write(f"ordered as {job_id}: the running service revokes and publishes\n")
        return 0

    return (
        Command(
            name="tenant revoke-all",
            help="revoke every credential a trust has issued; a running service does it",
            run=revoke_all,
            configure=_arguments,
        ),
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ods", help="ODS code of the trust")
    parser.add_argument(
        "--reason",
        choices=[code.value for code in ReasonCode],
        default=ReasonCode.TRUST_KEY_COMPROMISED.value,
        help="why; kept by the trust",
    )
    parser.add_argument("--confirm", default="", help="the ODS code once more")
