"""Virtual wallets for the sandbox: the reference wallet, answered for by an API instead of a person.

Each is a `passport_wallet` vault in its own folder under a passphrase of its own that lies beside it: good
for invented people only. What a wallet refuses, it refuses here too; nothing is made easier but the taps.
A wallet may belong to one of the fixed sandbox people, and then answers as that person would.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from deploy.simulators import sandbox_people
from deploy.simulators.answers import Refusal
from passport_shared.formats import strict
from passport_shared.formats.clock import Clock
from passport_shared.formats.ids import random_token
from passport_shared.outbound import Outbound
from passport_shared.wire import catalogue
from passport_wallet.errors import Refusal as Reason
from passport_wallet.errors import WalletError
from passport_wallet.sharing import Request
from passport_wallet.vault import Contents, HeldCredential, Vault
from passport_wallet.wallet import Wallet

MAX_WALLETS = 100
MAX_NAME_CHARS = 80
MAX_LINK_CHARS = 32_768
# the least the vault accepts: these wallets protect nobody
SCRYPT_N = 2**14
WALLET_ID = re.compile(r"[A-Za-z0-9_-]{22}\Z")
LOCALES = ("en-GB", "cy")

STATUS_OF = {
    Reason.NO_NETWORK: 409,
    Reason.REGISTRY_UNREACHABLE: 502,
    Reason.REGISTRY_STALE: 502,
    Reason.SNAPSHOT_REFUSED: 502,
    Reason.ISSUER_UNREACHABLE: 502,
    Reason.ISSUER_ANSWERED: 502,
    Reason.CREDENTIAL_REFUSED: 502,
    Reason.VERIFIER_UNREACHABLE: 502,
    Reason.VERIFIER_ANSWERED: 502,
    Reason.BAD_OFFER: 422,
    Reason.BAD_REQUEST: 422,
    Reason.NO_SUCH_RECORD: 404,
}
"""The wallet's own refusals (unknown issuer or verifier, over-asking, not held) are 409."""


@dataclass
class VirtualWallet:
    """One open wallet. `lock` lets one act happen at a time."""

    id: str
    name: str
    person: str | None
    folder: Path
    vault: Vault
    keeping_back: Callable[[Collection[str]], Wallet]
    """The wallet as it answers when records of these types are kept back."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def wallet(self) -> Wallet:
        """The whole wallet."""
        return self.keeping_back(())

    def shown(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "person": self.person,
            "credentials": len(self.wallet.held()),
        }


class VirtualWallets:
    """All wallets below one folder; opened when first used, so that they outlive a restart."""

    def __init__(self, folder: Path, trust_file: Path | None, outbound: Outbound, clock: Clock) -> None:
        self._folder = folder
        self._trust_file = trust_file
        self._outbound = outbound
        self._clock = clock
        self._open: dict[str, VirtualWallet] = {}

    async def create(self, name: str, person: str | None) -> VirtualWallet:
        """A new, empty wallet that trusts the sandbox's network.

        Raises:
            Refusal: a bad name, an unknown sandbox person, too many wallets, no network to trust.
        """
        if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
            raise Refusal(422, "invalid_request", f"name is 1 to {MAX_NAME_CHARS} characters.")
        if person is not None and sandbox_people.person(person) is None:
            keys = ", ".join(one.key for one in sandbox_people.PEOPLE)
            raise Refusal(422, "invalid_request", f"person is one of {keys}.")
        if len(self.ids()) >= MAX_WALLETS:
            raise Refusal(409, "too_many_wallets", f"There are {MAX_WALLETS} wallets. Delete some first.")
        trust = self._trust()
        wallet_id = random_token()
        folder = self._folder / wallet_id
        folder.mkdir(parents=True, mode=0o700)
        passphrase = folder / "passphrase"
        passphrase.touch(mode=0o600)
        passphrase.write_text(secrets.token_urlsafe(18))
        (folder / "about.json").write_bytes(strict.dumps({"name": name, "person": person}))
        Vault.create(folder / "wallet.json", passphrase.read_text(), scrypt_n=SCRYPT_N).close()
        opened = self._opened(wallet_id)
        try:
            await opened.wallet.trust(trust)
        except WalletError as error:
            self.delete(wallet_id)
            raise as_refusal(error) from error
        return opened

    def ids(self) -> list[str]:
        """Ids of all wallets."""
        folders = self._folder.glob("*/about.json") if self._folder.exists() else ()
        return sorted(path.parent.name for path in folders if WALLET_ID.match(path.parent.name))

    def get(self, wallet_id: str) -> VirtualWallet:
        """One wallet.

        Raises:
            Refusal: 404.
        """
        known = WALLET_ID.match(wallet_id) and (self._folder / wallet_id / "about.json").exists()
        if not known:
            raise Refusal(404, "not_found", "There is no such wallet.")
        return self._opened(wallet_id)

    def delete(self, wallet_id: str) -> None:
        """Forget a wallet with everything in it."""
        found = self.get(wallet_id)
        found.vault.close()
        self._open.pop(wallet_id, None)
        shutil.rmtree(found.folder)

    async def close(self) -> None:
        """Let go of all files and connections."""
        for found in self._open.values():
            found.vault.close()
        self._open.clear()
        await self._outbound.close()

    def _opened(self, wallet_id: str) -> VirtualWallet:
        if wallet_id not in self._open:
            folder = self._folder / wallet_id
            about = strict.loads_object((folder / "about.json").read_bytes())
            person = about.get("person")
            try:
                vault = Vault.open(folder / "wallet.json", (folder / "passphrase").read_text())
            except WalletError as error:
                raise as_refusal(error) from error

            def keeping_back(types: Collection[str]) -> Wallet:
                part = _PartOfAVault(vault, types) if types else vault
                return Wallet(part, folder, self._outbound, self._clock)

            self._open[wallet_id] = VirtualWallet(
                id=wallet_id,
                name=str(about.get("name")),
                person=person if isinstance(person, str) else None,
                folder=folder,
                vault=vault,
                keeping_back=keeping_back,
            )
        return self._open[wallet_id]

    def _trust(self) -> bytes:
        try:
            return self._trust_file.read_bytes() if self._trust_file else b""
        except OSError:
            raise Refusal(
                503, "no_network", "There is no trust file yet: the registry has to be started first."
            ) from None


@asynccontextmanager
async def one_act(found: VirtualWallet) -> AsyncIterator[Wallet]:
    """One act of a wallet at a time; its refusals become answers."""
    async with found.lock:
        try:
            yield found.wallet
        except WalletError as error:
            raise as_refusal(error) from error


async def accept(found: VirtualWallet, link: str, tx_code: str | None) -> dict[str, Any]:
    """Collect what is on offer."""
    async with one_act(found) as wallet:
        offer = await wallet.read_offer(link)
        kept = await wallet.accept(offer, tx_code)
    return {
        "issuer": offer.issuer,
        "issuer_name": offer.issuer_name,
        "offered": list(offer.configuration_ids),
        "credentials": [credential(one) for one in kept],
    }


async def present(
    found: VirtualWallet, link: str, *, agree: bool | None, withhold: Collection[str], locale: str
) -> dict[str, Any]:
    """Read a request and answer it: what was asked by whom and for what, and whether anything was sent.

    `agree` and `withhold` come from the sandbox person the wallet belongs to, where the call does not say.
    """
    person = sandbox_people.person(found.person) if found.person else None
    yes = agree if agree is not None else person.agrees if person else None
    if yes is None:
        raise Refusal(422, "invalid_request", "Say whether to agree: true or false.")
    keep_back = {*withhold, *(person.withholds if person else ())}
    async with one_act(found):
        wallet = found.keeping_back(keep_back)
        request = await wallet.read_request(link, locale=locale)
        redirect = None
        if not yes:
            await wallet.decline(request)
        elif request.missing or any(one.held for one in request.records):
            redirect = await wallet.share(request)
        else:
            raise Refusal(409, Reason.NOT_HELD.value, "There is nothing in this passport to share.")
    return _answered(request, sent=yes, redirect=redirect)


def credential(held: HeldCredential) -> dict[str, Any]:
    """A held record, without what it says."""
    kind = catalogue.type_for_configuration(held.configuration_id)
    return {
        "id": held.id,
        "type": kind.name if kind else held.configuration_id,
        "vct": held.vct,
        "issuer": held.issuer,
        "received_at": held.received_at,
    }


def offer_link(body: Mapping[str, Any]) -> str:
    """The offer a call names, as the link a wallet reads.

    `credential_offer_uri` is an https URL or a whole `openid-credential-offer://` link; `credential_offer`
    is the offer itself, as an object, as text, or such a link.
    """
    by_reference, by_value = body.get("credential_offer_uri"), body.get("credential_offer")
    if (by_reference is None) == (by_value is None):
        raise Refusal(422, "invalid_request", "Give one of credential_offer_uri and credential_offer.")
    if isinstance(by_value, dict):
        return _link("openid-credential-offer", credential_offer=strict.dumps(by_value).decode())
    given = by_reference if by_value is None else by_value
    if not isinstance(given, str) or len(given) > MAX_LINK_CHARS:
        raise Refusal(422, "invalid_request", "The offer is a link, a URL or an object.")
    if given.lstrip().startswith("{"):
        return _link("openid-credential-offer", credential_offer=given)
    if _scheme(given) == "https":
        return _link("openid-credential-offer", credential_offer_uri=given)
    return given


def request_link(body: Mapping[str, Any]) -> str:
    """The request a call names, as the link a wallet reads.

    `request_uri` is a whole `openid4vp://` link, or an https URL with `client_id` beside it: a wallet does
    not fetch a request of which it does not know who should have signed it.
    """
    given = body.get("request_uri")
    if not isinstance(given, str) or not given or len(given) > MAX_LINK_CHARS:
        raise Refusal(422, "invalid_request", "request_uri is an openid4vp:// link, or a URL with client_id.")
    if _scheme(given) != "https":
        return given
    client_id = body.get("client_id")
    if not isinstance(client_id, str):
        raise Refusal(422, "invalid_request", "A request_uri of its own needs the client_id of the link.")
    return _link("openid4vp", client_id=client_id, request_uri=given)


def as_refusal(error: WalletError) -> Refusal:
    """What the wallet said, with its reason as the code."""
    status = STATUS_OF.get(error.reason, 409)
    return Refusal(status, error.reason.value, str(error), other_side_said=error.code)


def _scheme(link: str) -> str:
    try:
        return urlsplit(link.strip()).scheme
    except ValueError:
        return ""


def _link(scheme: str, **query: str) -> str:
    return f"{scheme}://?{urlencode(query)}"


def _type_name(vct: str) -> str:
    return vct.rsplit("/", 2)[-2] if vct.count("/") >= 2 else vct


class _PartOfAVault(Vault):
    """A vault as if some records were not in it; the vault itself stays whole."""

    def __init__(self, whole: Vault, keep_back: Collection[str]) -> None:
        self._whole = whole
        held = tuple(one for one in whole.contents.credentials if _type_name(one.vct) not in keep_back)
        self.contents = replace(whole.contents, credentials=held)

    def save(self, contents: Contents) -> None:
        """Keep what was learnt, and every record."""
        everything = self._whole.contents
        self._whole.save(replace(contents, credentials=everything.credentials, keys=everything.keys))
        self.contents = contents


def _answered(request: Request, *, sent: bool, redirect: str | None) -> dict[str, Any]:
    return {
        "verifier": request.verifier,
        "verifier_name": request.verifier_name,
        "purpose": request.purpose,
        "purpose_text": request.purpose_text,
        "sandbox": request.sandbox,
        "asked": [
            {
                "type": _type_name(record.vct),
                "name": record.name,
                "details": list(record.details),
                "shared": sent and record.held is not None,
            }
            for record in request.records
        ],
        "sent": sent,
        "redirect_uri": redirect,
    }
