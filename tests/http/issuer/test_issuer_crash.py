"""A crash after every step of issuing.

Whatever may have been signed can be, and is, revoked (security.md D1).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from passport_issuer.operations import failpoints
from passport_shared.formats.status_list import INVALID, VALID
from passport_testkit.issuers import ENTITY, IssuerBench, check_body
from passport_testkit.wallet import WalletSimulator

CONFIGURATION = "OccupationalHealth_1"
STATE_AFTER_CRASH = {
    failpoints.AFTER_RESERVE: "PREPARED",
    failpoints.AFTER_SIGN: "PREPARED",
    failpoints.AFTER_MARK_ISSUED: "ISSUED",
}


class Crash(BaseException):
    """The process ends here: nothing below may catch it."""


def _crash() -> None:
    raise Crash


async def _token(issuer: IssuerBench) -> tuple[WalletSimulator, str, str]:
    staff_id = await issuer.staff()
    await issuer.made(f"/staff/{staff_id}/checks", check_body("OH"))
    await issuer.confirm_identity(staff_id)
    made = await issuer.offer(staff_id, ["OccupationalHealth"])
    wallet = issuer.wallet()
    offer = await wallet.read_offer(made["credential_offer"])
    return wallet, await wallet.token(offer, made["tx_code"]), staff_id


async def _crash_at(issuer: IssuerBench, wallet: WalletSimulator, token: str, place: str) -> str:
    nonce = await wallet.nonce(ENTITY)
    with failpoints.armed(place, _crash), pytest.raises(BaseException) as caught:
        await wallet.request(ENTITY, token, CONFIGURATION, nonce=nonce)
    assert _holds(caught.value)
    return nonce


def _holds(error: BaseException) -> bool:
    inner = getattr(error, "exceptions", ())
    return isinstance(error, Crash) or any(_holds(item) for item in inner)


async def _listed(issuer: IssuerBench, staff_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await issuer.call("GET", f"/credentials?staff_id={staff_id}")).json()[
        "items"
    ]
    return items


def test_every_failpoint_has_a_test() -> None:
    assert set(STATE_AFTER_CRASH) == set(failpoints.CREDENTIAL)


@pytest.mark.parametrize("place", failpoints.CREDENTIAL)
async def test_a_retry_supersedes_and_revokes_what_the_crash_left(issuer: IssuerBench, place: str) -> None:
    wallet, token, staff_id = await _token(issuer)
    nonce = await _crash_at(issuer, wallet, token, place)
    (left,) = await _listed(issuer, staff_id)
    assert left["state"] == STATE_AFTER_CRASH[place]

    replayed = await wallet.request(ENTITY, token, CONFIGURATION, nonce=nonce)
    assert replayed.json()["error"] == "invalid_nonce"
    again = await wallet.request(ENTITY, token, CONFIGURATION)
    assert again.status_code == 200, again.text
    old, new = await _listed(issuer, staff_id)
    assert (old["id"], old["state"], new["state"]) == (left["id"], "SUPERSEDED", "ISSUED")
    assert old["status_index"] != new["status_index"]
    await issuer.publish()
    status = await issuer.status(new["status_list"])
    assert status.list.get(old["status_index"]) == INVALID
    assert status.list.get(new["status_index"]) == VALID


@pytest.mark.parametrize("place", [failpoints.AFTER_RESERVE, failpoints.AFTER_SIGN])
async def test_without_a_retry_the_sweeper_abandons_and_revokes(issuer: IssuerBench, place: str) -> None:
    wallet, token, staff_id = await _token(issuer)
    await _crash_at(issuer, wallet, token, place)
    assert (await issuer.sweep()).abandoned == 0
    issuer.clock.advance(timedelta(minutes=2))
    assert (await issuer.sweep()).abandoned == 1
    (left,) = await _listed(issuer, staff_id)
    assert left["state"] == "ABANDONED"
    await issuer.publish()
    assert (await issuer.status(left["status_list"])).list.get(left["status_index"]) == INVALID
    # the wallet can still collect with the same token
    again = await wallet.request(ENTITY, token, CONFIGURATION)
    assert again.status_code == 200, again.text


async def test_nothing_is_armed_in_a_running_service(issuer: IssuerBench) -> None:
    with pytest.raises(KeyError), failpoints.armed("credential.nowhere", _crash):
        pass
    wallet, token, _ = await _token(issuer)
    assert (await wallet.request(ENTITY, token, CONFIGURATION)).status_code == 200
