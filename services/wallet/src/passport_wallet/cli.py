"""`passport-wallet`: the reference holder on the command line.

The passphrase comes from `PASSPORT_WALLET_PASSPHRASE_FILE`, or is asked for. It is never an argument, because
arguments are visible to every process of the machine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from passport_shared.outbound import Outbound
from passport_shared.service.clock import SystemClock
from passport_shared.wire import catalogue
from passport_wallet.errors import WalletError
from passport_wallet.sharing import Request
from passport_wallet.vault import HeldCredential, Vault
from passport_wallet.wallet import Wallet

Answer = TypeVar("Answer")
REFUSED = 1

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Hold a staff passport.")
trust_app = typer.Typer(no_args_is_help=True, help="The networks this wallet trusts.")
app.add_typer(trust_app, name="trust")
console = Console()
errors = Console(stderr=True)

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]
Locale = Annotated[str, typer.Option("--language", help="en-GB or cy.")]


def _folder() -> Path:
    return Path(os.environ.get("PASSPORT_WALLET_HOME", Path.home() / ".passport-wallet"))


def _passphrase(*, confirm: bool = False) -> str:
    file = os.environ.get("PASSPORT_WALLET_PASSPHRASE_FILE")
    if file:
        return Path(file).read_text().rstrip("\n")
    answer: str = typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm)
    return answer


def _outbound() -> Outbound:
    ca_file = os.environ.get("PASSPORT_WALLET_TLS_CA_FILE")
    allow = os.environ.get("PASSPORT_WALLET_OUTBOUND_ALLOW", "")
    return Outbound(
        ca_file=Path(ca_file) if ca_file else None, allow=frozenset(part for part in allow.split(",") if part)
    )


def _run(act: Callable[[Wallet], Awaitable[Answer]]) -> Answer:
    """Open the wallet, do one act, close it; a refusal is one line and exit code 1."""

    async def opened() -> Answer:
        outbound, path = _outbound(), _folder() / "wallet.json"
        # nobody is asked for the passphrase of a wallet that is not there
        vault = Vault.open(path, _passphrase() if path.exists() else "")
        try:
            return await act(Wallet(vault, _folder(), outbound, SystemClock()))
        finally:
            vault.close()
            await outbound.close()

    try:
        return asyncio.run(opened())
    except WalletError as error:
        errors.print(f"Not done: {error}", style="bold", markup=False, highlight=False)
        raise typer.Exit(REFUSED) from error


@app.command("init")
def init() -> None:
    """Make an empty wallet under a passphrase."""
    try:
        Vault.create(_folder() / "wallet.json", _passphrase(confirm=True)).close()
    except WalletError as error:
        errors.print(f"Not done: {error}", style="bold", markup=False, highlight=False)
        raise typer.Exit(REFUSED) from error
    console.print(f"A wallet is ready in {_folder()}.", highlight=False)


@trust_app.command("add")
def trust_add(trust_file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Trust a network: the file comes from the people who run it, by a channel you trust."""
    snapshot = _run(lambda wallet: wallet.trust(trust_file.read_bytes()))
    console.print(f"Trusted: {snapshot.registry} (sequence {snapshot.sequence}).", highlight=False)


@app.command("accept")
def accept(
    link: Annotated[str, typer.Argument(help="openid-credential-offer://…")],
    pin: Annotated[
        str | None, typer.Option(help="The PIN you were given by voice; asked for if absent.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Collect a passport: who offers what, then the PIN, then everything at once."""

    async def act(wallet: Wallet) -> list[HeldCredential] | None:
        offer = await wallet.read_offer(link)
        console.print(f"{offer.issuer_name} offers:", highlight=False)
        for configuration_id in offer.configuration_ids:
            console.print(f"  {_type_name(configuration_id)}", highlight=False)
        if not yes and not typer.confirm("Collect these?"):
            return None
        asked = pin or (typer.prompt("PIN") if offer.needs_pin else None)
        return await wallet.accept(offer, asked)

    kept = _run(act)
    if kept is None:
        console.print("Nothing was collected.")
        return
    console.print(f"{len(kept)} records are now part of your passport.", highlight=False)


@app.command("list")
def list_held() -> None:
    """What this wallet holds."""

    async def act(wallet: Wallet) -> tuple[HeldCredential, ...]:
        return wallet.held()

    table = Table("Id", "Record", "From", "Received")
    for credential in _run(act):
        table.add_row(
            credential.id, _type_name(credential.configuration_id), credential.issuer, credential.received_at
        )
    console.print(table)


@app.command("show")
def show(credential_id: str, language: Locale = "en-GB") -> None:
    """Every detail of one record, as only its holder sees it."""

    async def act(wallet: Wallet) -> tuple[HeldCredential, dict[str, object]]:
        held = next((c for c in wallet.held() if c.id == credential_id), None)
        details = wallet.details(credential_id)
        if held is None:  # details() has refused already
            raise AssertionError
        return held, details

    held, claims = _run(act)
    kind = catalogue.type_for_configuration(held.configuration_id)
    table = Table("Detail", "Value", title=_type_name(held.configuration_id, language))
    for claim in kind.claims if kind else ():
        value: object = claims
        for step in claim.path:
            value = value.get(step) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict):
            table.add_row(claim.labels[language], catalogue.value_label(value, language))
    console.print(table)


@app.command("present")
def present(
    link: Annotated[str, typer.Argument(help="openid4vp://…")], yes: Yes = False, language: Locale = "en-GB"
) -> None:
    """Show a passport: who asks, for what, which details; then yes or no."""

    async def act(wallet: Wallet) -> tuple[bool, str | None]:
        request = await wallet.read_request(link, locale=language)
        _print_request(request)
        if not yes and not typer.confirm("Share these details?"):
            await wallet.decline(request)
            return False, None
        return True, await wallet.share(request)

    shared, redirect = _run(act)
    console.print("Shared." if shared else "Nothing was shared; they were told that you said no.")
    if redirect:
        console.print(f"Go on here: {redirect}", highlight=False, soft_wrap=True)


@app.command("remove")
def remove(credential_id: str, yes: Yes = False) -> None:
    """Forget one record. Your trust is not told; it can issue it again."""
    if not yes and not typer.confirm("Remove this record from your passport?"):
        return

    async def act(wallet: Wallet) -> None:
        wallet.remove(credential_id)

    _run(act)
    console.print("Removed.")


def _type_name(configuration_id: str, locale: str = "en-GB") -> str:
    kind = catalogue.type_for_configuration(configuration_id)
    return kind.display[locale]["name"] if kind else configuration_id


def _print_request(request: Request) -> None:
    console.print(f"{request.verifier_name} asks: {request.purpose_text}", highlight=False, markup=False)
    for record in request.records:
        state = (
            "" if record.held else (" (not in your passport)" if record.required else " (not held, optional)")
        )
        console.print(f"  {record.name}{state}", style="bold", highlight=False, markup=False)
        if record.held:
            for detail in record.details:
                console.print(f"    {detail}", highlight=False, markup=False)


def main() -> None:
    """Entry point."""
    app()
