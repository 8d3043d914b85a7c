"""npm @openid-federation/core resolves our network over https, and ours resolves what it signs.

The peer is of January 2025: it proves that another's client can read us, not that it checks all it should.
Where it is more lenient than the specification, that is written in the table, and our own resolver refuses.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from passport_shared.formats import federation, jose
from passport_shared.formats.federation import FederationError, FederationReason, resolve_chain
from passport_shared.formats.jose import SigningKey
from passport_shared.service.clock import SystemClock
from passport_testkit import node
from passport_testkit.clock import FrozenClock
from passport_testkit.keys import private_jwk
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.servers import MisbehavingServer, answer, tls_server

pytestmark = [pytest.mark.peers, pytest.mark.asyncio(loop_scope="module")]

Claims = dict[str, Any]
DAY = timedelta(days=1)


@dataclass
class Federation:
    """A network whose anchor and one issuer are served by one https server."""

    registry: TrustRegistrySimulator
    server: MisbehavingServer

    @property
    def anchor(self) -> str:
        return self.registry.anchor

    @property
    def issuer(self) -> str:
        return f"{self.anchor}/RBV"

    def chain(self) -> list[str]:
        """As they should be: the issuer's own, the anchor's about it, the anchor's own."""
        return [
            self.registry.configuration(self.issuer),
            self.registry.statement(self.issuer),
            self.registry.anchor_configuration(),
        ]

    def serve(self, own: str, about: str, anchor: str) -> None:
        """Serve these three statements and nothing else."""
        asked = urlencode({"iss": self.anchor, "sub": self.issuer})
        served = {
            "/RBV/.well-known/openid-federation": own,
            f"/federation/fetch?{asked}": about,
            "/.well-known/openid-federation": anchor,
        }
        media_type = federation.ENTITY_STATEMENT_MEDIA_TYPE
        self.server.routes = {
            path: answer(token.encode(), content_type=media_type) for path, token in served.items()
        }

    def ours(self, chain: list[str]) -> FederationReason | None:
        """Why our own resolver refuses a chain, if it does."""
        try:
            resolve_chain(chain, self.registry.trust_file, self.registry.clock.now())
        except FederationError as error:
            return error.reason
        return None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network(tls_context) -> AsyncIterator[Federation]:
    async with tls_server(tls_context, {}) as server:
        clock = FrozenClock(SystemClock().now().replace(microsecond=0))
        registry = TrustRegistrySimulator(clock, anchor=server.url("").rstrip("/"))
        made = Federation(registry, server)
        registry.enrol_issuer(made.issuer)
        yield made


async def chains(peer: node.NodePeer, network: Federation, anchor: str | None = None) -> list[Any]:
    """The chains the peer finds; none also where it stops with an error."""
    try:
        found = await peer.call("federation.resolve", leaf=network.issuer, anchors=[anchor or network.anchor])
    except node.PeerRefused:
        return []
    return list(found)


async def test_one_chain_and_the_same_metadata_as_ours(peer, network):
    chain = network.chain()
    network.serve(*chain)
    [found] = await chains(peer, network)
    assert found["anchor"] == network.anchor
    assert found["chain"] == [
        {"iss": network.anchor, "sub": network.issuer},
        {"iss": network.anchor, "sub": network.anchor},
    ]
    ours = resolve_chain(chain, network.registry.trust_file, network.registry.clock.now())
    assert found["metadata"]["openid_credential_issuer"] == ours.metadata["openid_credential_issuer"]


def signed(token: str, key: SigningKey, **changes: Any) -> str:
    """The same claims with changes, signed anew; `...` takes a claim away."""
    claims = {**jose.parse(token).claims, **changes}
    kept = {name: value for name, value in claims.items() if value is not ...}
    return jose.sign(kept, key, typ=federation.ENTITY_STATEMENT_TYP)


def tampered(token: str) -> str:
    """Other claims under the old signature."""
    head, _, signature = token.split(".")
    claims = {**jose.parse(token).claims, "sub": "https://localhost/evil"}
    payload = jose.sign(claims, SigningKey.generate(), typ=federation.ENTITY_STATEMENT_TYP).split(".")[1]
    return f"{head}.{payload}.{signature}"


def at(network: Federation, by: timedelta, make: Callable[[], str]) -> str:
    """A statement as it was made at another time."""
    clock = network.registry.clock
    clock.advance(by)
    try:
        return make()
    finally:
        clock.advance(-by)


def policy(network: Federation, **operators: Any) -> str:
    """The anchor's statement with this policy for the issuer's own name."""
    return signed(
        network.registry.statement(network.issuer),
        network.registry.key,
        metadata_policy={"openid_credential_issuer": {"credential_issuer": operators}},
    )


def under(key: SigningKey, token: str, own_jwks: bool = True) -> str:
    """The same statement under another key, which it may also publish as its own."""
    more = {"jwks": federation.public_jwks([key.public])} if own_jwks else {}
    return signed(token, key, **more)


STRANGER = SigningKey.generate()
Spoilt = Callable[[Federation, list[str]], list[str]]

# name -> how the three statements are spoilt, why ours refuses, how many chains the peer still finds
SPOILT: dict[str, tuple[Spoilt, FederationReason, int]] = {
    "statement tampered": (
        lambda n, c: [c[0], tampered(c[1]), c[2]],
        FederationReason.BAD_SIGNATURE,
        0,
    ),
    "statement expired": (
        lambda n, c: [c[0], at(n, -30 * DAY, lambda: n.registry.statement(n.issuer)), c[2]],
        FederationReason.EXPIRED,
        0,
    ),
    "statement under a key that is not the anchor's": (
        lambda n, c: [c[0], under(STRANGER, c[1], own_jwks=False), c[2]],
        FederationReason.UNKNOWN_KID,
        0,
    ),
    "policy violated": (
        lambda n, c: [c[0], policy(n, one_of=["https://localhost/somebody-else"]), c[2]],
        FederationReason.POLICY_VIOLATED,
        0,
    ),
    "policy that contradicts itself": (
        lambda n, c: [c[0], policy(n, value=n.issuer, one_of=["https://localhost/other"]), c[2]],
        FederationReason.BAD_POLICY,
        0,
    ),
    "own configuration tampered": (
        lambda n, c: [tampered(c[0]), c[1], c[2]],
        FederationReason.BAD_SIGNATURE,
        0,
    ),
    "anchor's configuration tampered": (
        lambda n, c: [c[0], c[1], tampered(c[2])],
        FederationReason.BAD_SIGNATURE,
        0,
    ),
    "anchor expired": (
        lambda n, c: [c[0], c[1], at(n, -30 * DAY, n.registry.anchor_configuration)],
        FederationReason.EXPIRED,
        0,
    ),
    # §10.2 has more rules than the peer keeps: what follows is ours alone to refuse.
    "own configuration under a key the anchor does not state": (
        lambda n, c: [under(STRANGER, c[0]), c[1], c[2]],
        FederationReason.CHAIN_BROKEN,
        1,
    ),
    "own configuration expired": (
        lambda n, c: [at(n, -30 * DAY, lambda: n.registry.configuration(n.issuer)), c[1], c[2]],
        FederationReason.EXPIRED,
        1,
    ),
    "a whole anchor under a stranger's key": (
        lambda n, c: [c[0], under(STRANGER, c[1], own_jwks=False), under(STRANGER, c[2])],
        FederationReason.ANCHOR_NOT_TRUSTED,
        1,
    ),
}


@pytest.mark.parametrize("name", SPOILT)
async def test_a_spoilt_network_is_refused(peer, network, name):
    spoil, reason, found_by_the_peer = SPOILT[name]
    chain = spoil(network, network.chain())
    assert network.ours(chain) is reason
    network.serve(*chain)
    assert len(await chains(peer, network)) == found_by_the_peer


async def test_nobody_resolves_to_the_anchor_of_another_network(peer, network):
    chain = network.chain()
    network.serve(*chain)
    assert await chains(peer, network, anchor="https://localhost:1") == []
    other = TrustRegistrySimulator(network.registry.clock, anchor=network.anchor)
    with pytest.raises(FederationError):
        resolve_chain(chain, other.trust_file, network.registry.clock.now())


# -- the other way round: the peer signs, ours resolves ----------------------------------------------------


@pytest_asyncio.fixture(loop_scope="module")
async def theirs(peer, network) -> list[str]:
    """The three statements made and signed by the peer, with the same keys and claims."""
    entity = network.registry.entities[network.issuer]
    own, about, anchor = (jose.parse(token).claims for token in network.chain())
    root = {**private_jwk(network.registry.key), "kid": network.registry.key.kid}
    leaf = {**private_jwk(entity.federation_key), "kid": entity.federation_key.kid}
    return [
        await peer.call("federation.configuration", claims=own, jwk=leaf),
        await peer.call("federation.statement", claims=about, jwk=root),
        await peer.call("federation.configuration", claims=anchor, jwk=root),
    ]


async def test_ours_resolves_what_the_peer_signed(theirs, network):
    resolved = resolve_chain(theirs, network.registry.trust_file, network.registry.clock.now())
    assert resolved.entity_id == network.issuer
    assert resolved.metadata["openid_credential_issuer"]["credential_issuer"] == network.issuer


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_ours_refuses_what_was_changed_after_the_peer_signed(theirs, network, which):
    chain = [tampered(token) if index == which else token for index, token in enumerate(theirs)]
    assert network.ours(chain) is FederationReason.BAD_SIGNATURE
