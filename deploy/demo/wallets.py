"""People's wallets in the pilot: most answer by API what a person would tap, two are files of their own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.demo.story import Unexpected
from deploy.dev.deployment import Deployment
from passport_shared.outbound import Outbound
from passport_shared.service.clock import MovableClock
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet

T = TypeVar("T")
# the least the vault accepts: the people are invented
SCRYPT_N = 2**14


class WalletSaysNo(Exception):
    """The wallet refused; `body` is what it said and why."""

    def __init__(self, status: int, body: Any) -> None:
        detail = body.get("detail", body) if isinstance(body, dict) else body
        super().__init__(f"the wallet answered {status}: {detail}")
        self.body = body


@dataclass(frozen=True)
class Timed:
    """An answer with the seconds it took, as measured here."""

    said: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class PersonWallet:
    """One person's wallet."""

    id: str
    base: str
    http: httpx.Client

    @classmethod
    def create(cls, stack: Deployment, http: httpx.Client, name: str) -> PersonWallet:
        """A new wallet that trusts the stack's network."""
        base = f"{stack.simulators.url}/wallet/wallets"
        answer = http.post(base, json={"name": name})
        if not answer.is_success:
            raise Unexpected(f"a wallet for {name}: {answer.text}")
        return cls(answer.json()["id"], base, http)

    def accept(self, offer: str, pin: str) -> Timed:
        """Collect what is on offer."""
        return self._call("accept", {"credential_offer": offer, "tx_code": pin})

    def present(self, link: str, *, agree: bool = True, withhold: tuple[str, ...] = ()) -> Timed:
        """Read a request; say yes or no to it.

        Raises:
            WalletSaysNo: the wallet itself refuses.
        """
        return self._call("present", {"request_uri": link, "agree": agree, "withhold": list(withhold)})

    def held(self) -> list[dict[str, Any]]:
        """What is in it."""
        found: list[dict[str, Any]] = self.http.get(f"{self.base}/{self.id}/credentials").json()["items"]
        return found

    def _call(self, act: str, body: dict[str, Any]) -> Timed:
        began = time.monotonic()
        answer = self.http.post(f"{self.base}/{self.id}/{act}", json=body)
        seconds = time.monotonic() - began
        if not answer.is_success:
            raise WalletSaysNo(answer.status_code, answer.json())
        return Timed(answer.json(), seconds)


@dataclass(frozen=True)
class OwnWallet:
    """A person's own wallet file, opened with the wallet library: for who is met again, file in hand."""

    stack: Deployment
    home: Path
    passphrase: str

    @classmethod
    def open(cls, stack: Deployment, name: str) -> OwnWallet:
        """A new wallet file that trusts the stack's network."""
        home = stack.folder / f"wallet-{name}"
        home.mkdir(parents=True)
        made = cls(stack, home, secrets.token_urlsafe(18))
        Vault.create(home / "wallet.json", made.passphrase, scrypt_n=SCRYPT_N).close()
        asyncio.run(made.act(lambda wallet: wallet.trust((stack.folder / "trust.json").read_bytes())))
        return made

    def accept(self, offer: str, pin: str) -> Timed:
        """Collect what is on offer."""

        async def collect(wallet: Wallet) -> dict[str, Any]:
            kept = await wallet.accept(await wallet.read_offer(offer), pin)
            return {"credentials": [one.configuration_id for one in kept]}

        return self._timed(collect)

    def present(self, link: str, *, agree: bool = True, withhold: tuple[str, ...] = ()) -> Timed:
        """Read a request; say yes or no to it.

        Raises:
            WalletError: the wallet refuses.
        """
        if withhold:
            raise ValueError("this wallet shares what it holds or nothing")

        async def answer(wallet: Wallet) -> dict[str, Any]:
            request = await wallet.read_request(link)
            await (wallet.share(request) if agree else wallet.decline(request))
            return {
                "asked": [
                    {
                        "type": record.vct.rsplit("/", 2)[-2],
                        "name": record.name,
                        "details": list(record.details),
                        "shared": agree and record.held is not None,
                    }
                    for record in request.records
                ]
            }

        return self._timed(answer)

    def _timed(self, act: Callable[[Wallet], Awaitable[dict[str, Any]]]) -> Timed:
        began = time.monotonic()
        said = asyncio.run(self.act(act))
        return Timed(said, time.monotonic() - began)

    async def act(self, act: Callable[[Wallet], Awaitable[T]]) -> T:
        """Open the wallet, do something, close it."""
        vault = self.vault()
        async with Outbound(ca_file=Path(self.stack.tls.ca), allow=allowed(self.stack)) as outbound:
            try:
                return await act(Wallet(vault, self.home, outbound, MovableClock(self.stack.clock_file)))
            finally:
                vault.close()

    def vault(self) -> Vault:
        """The wallet's file, opened."""
        return Vault.open(self.home / "wallet.json", self.passphrase)


AnyWallet = PersonWallet | OwnWallet


def allowed(stack: Deployment) -> frozenset[str]:
    """The stack's services, for a client outside it."""
    return frozenset(service.address for service in stack.services.values())
