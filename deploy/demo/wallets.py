"""People's wallets in the pilot: virtual ones, which answer by API what a person would tap."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.demo.story import Unexpected
from deploy.dev.stack import Stack


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
    def create(cls, stack: Stack, http: httpx.Client, name: str) -> PersonWallet:
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
