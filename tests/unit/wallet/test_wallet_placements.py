"""A placement in the wallet: collected with the key that was shared, before its first day, by nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from passport_shared.outbound import Outbound
from passport_testkit.clock import FrozenClock
from passport_testkit.counterparts import World
from passport_testkit.network import TrustRegistrySimulator
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.receiving import HOLDER_KEY_PARAMETER
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def world(clock: FrozenClock) -> World:
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer(types=("StaffIdentity", "Employment", "TemporaryPlacement"))
    return World(registry)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = Vault.create(tmp_path / "wallet.json", "passphrase", scrypt_n=2**14)
    yield vault
    vault.close()


@pytest.fixture
async def wallet(world: World, vault: Vault, tmp_path: Path, clock: FrozenClock) -> AsyncIterator[Wallet]:
    outbound = Outbound(transport=world.transport())
    wallet = Wallet(vault, tmp_path, outbound, clock)
    await wallet.trust(world.registry.trust_file.as_bytes())
    yield wallet
    await outbound.close()


async def accepted(wallet: Wallet, world: World, **changes: Any) -> Any:
    return await wallet.accept(await wallet.read_offer(world.issuer.link(**changes)), world.issuer.pin)


async def test_it_is_bound_to_the_key_that_was_shared_and_kept_before_its_first_day(
    wallet: Wallet, world: World, clock: FrozenClock
):
    identity = (await accepted(wallet, world))[0]
    world.issuer.types = ["TemporaryPlacement"]
    begins = int((clock.now() + timedelta(days=14)).timestamp())
    world.issuer.spoil["claims"] = lambda claims: {**claims, "nbf": begins}
    [placement] = await accepted(wallet, world, **{HOLDER_KEY_PARAMETER: identity.kid})
    assert placement.kid == identity.kid
    assert placement.configuration_id == "TemporaryPlacement_1"


async def test_one_for_another_wallets_key_is_refused_before_anything_is_asked(wallet: Wallet, world: World):
    await accepted(wallet, world)
    world.requests.clear()
    world.issuer.types = ["TemporaryPlacement"]
    with pytest.raises(WalletError) as caught:
        await accepted(wallet, world, **{HOLDER_KEY_PARAMETER: "A" * 43})
    assert caught.value.reason is Refusal.BAD_OFFER
    assert [request for request in world.requests if "issuer.example" in request] == []


@pytest.mark.parametrize("value", [7, [], {}, True])
async def test_a_key_in_another_form_is_a_bad_offer(wallet: Wallet, world: World, value: object):
    with pytest.raises(WalletError) as caught:
        await accepted(wallet, world, **{HOLDER_KEY_PARAMETER: value})
    assert caught.value.reason is Refusal.BAD_OFFER
