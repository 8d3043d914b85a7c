"""What others read in the status lists of the running issuer, from issue to revocation.

npm @sd-jwt/sd-jwt-vc fetches the list itself over https and refuses by it; @sd-jwt/jwt-status-list reads the
published token. A change by the API must be visible to both within the time we promise (design.md §4.2).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from deploy.demo.trusts import CHRISTIE
from passport_shared.formats import jose
from passport_shared.formats.freshness import ISSUER_STATUS_LIST_CHANGE_PUBLISHED_WITHIN
from passport_shared.formats.status_list import INVALID, SUSPENDED, VALID
from passport_testkit import node
from passport_testkit.by_hand import issuing, people
from passport_testkit.keys import key, private_jwk

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.peers,
    pytest.mark.xdist_group("stack"),
    pytest.mark.asyncio(loop_scope="module"),
]

COLLEAGUE = replace(people.OTHER, given="Sunniva", esr_person="20397711", gmc_number="7099955")
BASE = f"/api/v1/organisations/{CHRISTIE.ods}"
MEDIA_TYPE = "application/statuslist+jwt"


class Passport:
    """One colleague's passport: as the trust manages it, and as the peers see it."""

    def __init__(self, network, peer: node.NodePeer, root: str, staff_id: str, held: dict[str, str]) -> None:
        self._network = network
        self._peer = peer
        self._root = root
        self._staff_id = staff_id
        self.held = held

    def manage(self, path: str, **body: Any) -> Any:
        """An act of the trust's HR."""
        issuer = self._network.url("issuer")
        return self._network.operator.post(issuer, BASE + path, {"actor": people.HR, **body})

    def on_staff(self, act: str, **body: Any) -> Any:
        return self.manage(f"/staff/{self._staff_id}/passport/{act}", **body)

    def credential_id(self, name: str) -> str:
        """The issuer's own id of a credential."""
        view = self._network.operator.get(
            self._network.url("issuer"), f"{BASE}/staff/{self._staff_id}/passport"
        )
        [found] = [entry["id"] for entry in view["credentials"] if entry["vct"].endswith(f"/{name}/1")]
        return str(found)

    async def listed(self, name: str) -> int:
        """The credential's status in the published list, as the peer reads it now."""
        reference = jose.parse(self.held[name].split("~")[0]).claims["status"]["status_list"]
        answer = await self._peer.call("https.get", url=reference["uri"], accept=MEDIA_TYPE)
        assert (answer["status"], answer["type"]) == (200, MEDIA_TYPE)
        [status] = await self._peer.call("status_list.read", token=answer["body"], indices=[reference["idx"]])
        return int(status)

    async def refused(self, name: str) -> str | None:
        """Why the peer refuses the credential now, having fetched the list itself; None if it does not."""
        try:
            await self._peer.call("sdjwt.verify", token=self.held[name], root=self._root)
        except node.PeerRefused as refusal:
            return str(refusal)
        return None

    async def becomes(self, name: str, status: int) -> None:
        """Wait until the peer reads this status, no longer than we promise."""
        deadline = time.monotonic() + ISSUER_STATUS_LIST_CHANGE_PUBLISHED_WITHIN.total_seconds()
        while (seen := await self.listed(name)) != status:
            assert time.monotonic() < deadline, f"{name} is still {seen} and should be {status}"
            await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def passport(network, peer, trust_file) -> Passport:
    staff_id = issuing.record(network.stack, network.operator, COLLEAGUE)
    made = issuing.offer(network.stack, network.operator, staff_id)
    collected = await peer.call(
        "vci.receive",
        offer=made["credential_offer"],
        txCode=made["tx_code"],
        holder=private_jwk(key("a colleague's phone")),
    )
    held = {name.removesuffix("_1"): tokens[0] for name, tokens in collected["received"].items()}
    return Passport(network, peer, trust_file["x509_roots"][0], staff_id, held)


async def test_what_was_issued_is_valid_and_the_peer_fetches_the_list_itself(passport):
    assert len(passport.held) == issuing.TYPES
    for name in passport.held:
        assert await passport.refused(name) is None
        assert await passport.listed(name) == VALID


async def test_the_peer_trusts_no_issuer_below_another_root(network, peer, passport):
    from passport_shared.formats.x5c import encode_x5c
    from passport_testkit.certificates import Authority

    other = encode_x5c([Authority.create().root_der])[0]
    with pytest.raises(node.PeerRefused, match="chain"):
        await peer.call("sdjwt.verify", token=passport.held["StaffIdentity"], root=other)


async def test_a_hold_suspends_the_whole_passport_and_is_lifted_again(passport):
    passport.on_staff("hold", reason_code="EMPLOYMENT_ON_HOLD")
    for name in passport.held:
        await passport.becomes(name, SUSPENDED)
        assert "status 2" in (await passport.refused(name) or "")
    passport.on_staff("reinstate")
    for name in passport.held:
        await passport.becomes(name, VALID)
        assert await passport.refused(name) is None


async def test_a_revocation_is_of_one_credential_and_for_good(passport):
    passport.manage(f"/credentials/{passport.credential_id('RightToWork')}/revoke", reason_code="RTW_EXPIRED")
    await passport.becomes("RightToWork", INVALID)
    assert "status 1" in (await passport.refused("RightToWork") or "")
    assert await passport.listed("StaffIdentity") == VALID

    passport.on_staff("hold", reason_code="EMPLOYMENT_ON_HOLD")
    await passport.becomes("StaffIdentity", SUSPENDED)
    assert await passport.listed("RightToWork") == INVALID
    passport.on_staff("reinstate")
    await passport.becomes("StaffIdentity", VALID)
    assert await passport.listed("RightToWork") == INVALID
