"""A wallet as a library: one object with the acts a person knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from passport_shared.formats import sd_jwt
from passport_shared.formats.clock import Clock
from passport_shared.formats.snapshot import Snapshot
from passport_shared.outbound import Outbound
from passport_wallet import receiving, sharing
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.network import Networks
from passport_wallet.receiving import Offer
from passport_wallet.sharing import Request
from passport_wallet.vault import HeldCredential, Vault

CACHE_FOLDER = "networks"


class Wallet:
    """Keys, credentials and networks of one person, in one encrypted file."""

    def __init__(self, vault: Vault, folder: Path, outbound: Outbound, clock: Clock) -> None:
        self._vault = vault
        self._outbound = outbound
        self._clock = clock
        self._networks = Networks(vault, folder / CACHE_FOLDER, outbound, clock)

    async def trust(self, trust_file: bytes) -> Snapshot:
        """Add a network by its trust file, or renew the file of a known one."""
        return await self._networks.add(trust_file)

    async def read_offer(self, link: str) -> Offer:
        """Who offers what; refused unless a trusted network allows it."""
        refused: WalletError | None = None
        for network in self._trusted():
            snapshot = await self._networks.current(network)
            try:
                return await receiving.read_offer(link, snapshot, self._outbound, self._clock)
            except WalletError as error:
                if error.reason is not Refusal.UNKNOWN_ISSUER:
                    raise
                refused = error
        raise refused or _no_network()

    async def accept(self, offer: Offer, pin: str | None) -> list[HeldCredential]:
        """Collect what is on offer and keep it."""
        snapshot = await self._networks.current(offer.network)
        return await receiving.collect(offer, pin, self._vault, snapshot, self._outbound, self._clock)

    async def read_request(self, link: str, *, locale: str = "en-GB") -> Request:
        """Who asks, for what purpose, which details; refused unless a trusted network allows it."""
        refused: WalletError | None = None
        for network in self._trusted():
            snapshot = await self._networks.current(network)
            try:
                return await sharing.read_request(
                    link, snapshot, self._vault, self._outbound, self._clock, locale=locale
                )
            except WalletError as error:
                if error.reason is not Refusal.UNKNOWN_VERIFIER or error.code is not None:
                    raise
                refused = error
        raise refused or _no_network()

    async def share(self, request: Request) -> str | None:
        """Yes: answer the request; returns an address for the browser, if the verifier gave one."""
        return await sharing.share(request, self._vault, self._outbound, self._clock)

    async def decline(self, request: Request) -> None:
        """No: the verifier learns that and nothing else."""
        await sharing.decline(request, self._outbound)

    def held(self) -> tuple[HeldCredential, ...]:
        """Everything held, the oldest first."""
        return self._vault.contents.credentials

    def details(self, credential_id: str) -> dict[str, object]:
        """Every claim of one credential, as its holder may see it."""
        held = self._one(credential_id)
        return sd_jwt.process(sd_jwt.parse(held.sd_jwt))

    def remove(self, credential_id: str) -> None:
        """Forget one credential, and its key if nothing else needs it. The issuer is not told."""
        gone = self._one(credential_id)
        contents = self._vault.contents
        left = tuple(c for c in contents.credentials if c.id != gone.id)
        needed = {c.kid for c in left}
        keys = {kid: key for kid, key in contents.keys.items() if kid in needed}
        self._vault.save(replace(contents, credentials=left, keys=keys))

    def _one(self, credential_id: str) -> HeldCredential:
        for credential in self._vault.contents.credentials:
            if credential.id == credential_id:
                return credential
        raise WalletError(Refusal.NO_SUCH_RECORD, f"There is no record {credential_id} in this wallet.")

    def _trusted(self) -> list[str]:
        return [network.entity_id for network in self._vault.contents.networks]


def _no_network() -> WalletError:
    return WalletError(Refusal.NO_NETWORK, "This wallet trusts no network yet. Add a trust file first.")
