"""Every field with a URL, of every API, link and signed document, in every spelling: nobody is called.

The network of these tests is real but for two things: every name that is looked up leads to this machine, as
a hostile name server says, and every attempt to connect is remembered and refused. That list has to be empty.
`FIELDS_THAT_NAME_A_PLACE` is compared with the OpenAPI documents, so that a new field with a URL in it has to
be put here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

import passport_issuer.app as issuer_app
import passport_registry.app as registry_app
import passport_verifier.app as verifier_app
from passport_issuer.clients.workforce import WorkforceClients
from passport_issuer.settings import IssuerSettings
from passport_registry.operations import enrolment, entities, organisations
from passport_registry.operations.organisations import OrganisationDetails
from passport_registry.rules.entities import Role
from passport_registry.settings import RegistrySettings
from passport_shared.formats import jose
from passport_shared.outbound import Outbound
from passport_shared.outbound.addresses import system_resolver
from passport_shared.outbound.transport import CheckedBackend, CheckedTransport, tls_context
from passport_shared.service import documents
from passport_shared.service.db import new_metadata
from passport_shared.service.documents import CachedDocuments
from passport_shared.service.problems import PassportError
from passport_shared.service.snapshot_keeper import SnapshotKeeper, SnapshotUnavailable
from passport_testkit.clock import FrozenClock
from passport_testkit.counterparts import World
from passport_testkit.databases import FreshDatabases
from passport_testkit.issuers import HR, IssuerBench, running_issuer
from passport_testkit.network import TrustRegistrySimulator
from passport_testkit.registries import ANN, RBV, HostedEntity, registry_bench
from passport_testkit.registry_wire import RegistryWire
from passport_testkit.spellings import SPELLINGS, NetworkSpy, network_spy
from passport_testkit.verifiers import VerifierBench, running_verifier
from passport_verifier.settings import VerifierSettings
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet

KNOWN = frozenset({"registry.example", "issuer.example", "verifier.example"})
PORT = 9_443
URLS = tuple(spelling.format(port=PORT) for spelling in SPELLINGS)
SOME = URLS[::4]
"""For what costs signatures or many statements."""

FIELDS_THAT_NAME_A_PLACE = {
    # fetched, after checks
    "POST registry /api/v1/enrolments entity_id",
    "POST registry /api/v1/enrolments/renewals entity_id",
    "POST registry /api/v1/organisations/{ods}/entities entity_id",
    "POST issuer /api/v1/organisations/{ods}/connections base_url",
    "POST issuer /api/v1/organisations/{ods}/connections token_url",
    "PUT issuer /api/v1/organisations/{ods}/connections/{connection_id} base_url",
    "PUT issuer /api/v1/organisations/{ods}/connections/{connection_id} token_url",
    "PUT verifier /api/v1/organisations/{ods}/placement-issuer issuer_url",
    # shown to people or compared, and never fetched
    "POST registry /api/v1/organisations contacts/appointment_url",
    "PUT registry /api/v1/organisations/{ods} contacts/appointment_url",
    "POST issuer /api/v1/organisations/{ods}/staff/{staff_id}/identity-sessions join_url",
    "PUT issuer /api/v1/organisations/{ods}/staff/{staff_id}/identity-sessions/{session_id} join_url",
}

NAMES_A_PLACE = re.compile(r"(^|_)(ur[il]s?|endpoint|entity_id|jku|x5u|callback|webhook|sink|link|issuer)$")


class Split(httpx.AsyncBaseTransport):
    """The hosts of the test's own network, and the real network for every other."""

    def __init__(self, wire: httpx.AsyncBaseTransport) -> None:
        self.wire = wire
        backend = CheckedBackend(system_resolver, frozenset(), allow_private=False)
        self.real = CheckedTransport(tls_context(None), backend)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        known = request.url.host in KNOWN and request.url.port is None
        return await (self.wire if known else self.real).handle_async_request(request)


def way_out(wire: httpx.AsyncBaseTransport) -> Outbound:
    return Outbound(transport=Split(wire))


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[NetworkSpy]:
    with network_spy(monkeypatch) as watching:
        yield watching
    assert watching.connected == [], "somebody was called"


def test_there_are_more_than_sixty_spellings() -> None:
    assert len(set(SPELLINGS)) == len(SPELLINGS) > 60


def test_every_field_that_names_a_place_is_here() -> None:
    found: set[str] = set()
    for name, module, settings in (
        ("registry", registry_app, RegistrySettings),
        ("issuer", issuer_app, IssuerSettings),
        ("verifier", verifier_app, VerifierSettings),
    ):
        document = module.build(settings.example()).openapi()
        found |= {f"{method} {name} {path}" for method, path in _places(document)}
    assert found == FIELDS_THAT_NAME_A_PLACE


def _places(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    schemas = document["components"]["schemas"]

    def walk(schema: dict[str, Any], path: str, depth: int = 0) -> Iterator[str]:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        if depth > 8:
            return
        for several in ("allOf", "anyOf", "oneOf"):
            for one in schema.get(several, []):
                yield from walk(one, path, depth + 1)
        if "items" in schema:
            yield from walk(schema["items"], path, depth + 1)
        for name, inner in schema.get("properties", {}).items():
            if re.search(
                r"(^|_)(ur[il]s?|endpoint|entity_id|jku|x5u|callback|webhook|sink|link|issuer)$", name
            ):
                yield f"{path}{name}"
            yield from walk(inner, f"{path}{name}/", depth + 1)

    for path, methods in document["paths"].items():
        if not path.startswith("/api/"):
            continue
        for method, operation in methods.items():
            for content in (operation.get("requestBody") or {}).get("content", {}).values():
                for field in walk(content.get("schema", {}), ""):
                    yield method.upper(), f"{path} {field}"


# -- issuer ----------------------------------------------------------------------------------------


@pytest.fixture
async def issuer(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[IssuerBench]:
    url = await databases.url("passport_issuer")
    async with running_issuer(tmp_path, url, way_out=way_out) as bench:
        yield bench


def connection(**changes: Any) -> dict[str, Any]:
    return {
        "name": "A system of the trust",
        "system_type": "ESR",
        "base_url": "https://esr.example/esr",
        "authentication": "PRIVATE_KEY_JWT",
        "token_url": "https://esr.example/token",
        "client_id": "rbv",
        "private_hosts": [],
        "actor": HR,
        **changes,
    }


@pytest.mark.parametrize("field", ["base_url", "token_url"])
async def test_connections_of_an_issuer(issuer: IssuerBench, spy: NetworkSpy, field: str) -> None:
    """Refused by its text, or, where only its address is wrong, when it is called."""
    clients = WorkforceClients(production=True)
    object.__setattr__(issuer.ctx, "workforce", replace(issuer.ctx.workforce, clients=clients))
    accepted = []
    for number, url in enumerate(URLS):
        body = connection(name=f"System {number}", **{field: url})
        answer = await issuer.call("POST", "/connections", body)
        assert answer.status_code in (201, 422), (url, answer.text)
        if answer.status_code == 201:
            accepted.append((url, answer.json()["id"]))
    assert 0 < len(accepted) < 10, "names are judged by what they lead to"
    for url, connection_id in accepted:
        tested = (await issuer.call("POST", f"/connections/{connection_id}/test", {"actor": HR})).json()
        assert tested["ok"] is False, url
        assert tested["status"]["outcome"] == "ADDRESS_NOT_ALLOWED", url
    assert spy.looked_up
    await clients.close()


async def test_private_hosts_open_nothing_special(issuer: IssuerBench, spy: NetworkSpy) -> None:
    """What HR lists as private hosts leads to this machine, by name and by number: never connected to."""
    clients = WorkforceClients(production=True)
    object.__setattr__(issuer.ctx, "workforce", replace(issuer.ctx.workforce, clients=clients))
    for host in ("localhost", "127.0.0.1", "2130706433", "esr.example", "169.254.169.254"):
        body = connection(
            name=f"The system at {host}",
            base_url=f"https://{host}:{PORT}/esr",
            token_url=f"https://{host}:{PORT}/token",
            private_hosts=[f"{host}:{PORT}"],
        )
        answer = await issuer.call("POST", "/connections", body)
        if answer.status_code == 422:
            continue
        path = f"/connections/{answer.json()['id']}/test"
        tested = (await issuer.call("POST", path, {"actor": HR})).json()
        assert (tested["ok"], tested["status"]["outcome"]) == (False, "ADDRESS_NOT_ALLOWED"), host
    await clients.close()


# -- verifier --------------------------------------------------------------------------------------


@pytest.fixture
async def verifier(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[VerifierBench]:
    url = await databases.url("passport_verifier")
    async with running_verifier(tmp_path, url, way_out=way_out, client_id="r0a-verifier") as bench:
        yield bench


async def test_the_placement_issuer_of_a_verifier(verifier: VerifierBench, spy: NetworkSpy) -> None:
    for url in URLS:
        answer = await verifier.call(
            "PUT", "/placement-issuer", {"issuer_url": url}, headers={"If-Match": '"0"'}
        )
        assert 400 <= answer.status_code < 500, (url, answer.text)


async def test_status_addresses_of_credentials(verifier: VerifierBench, spy: NetworkSpy) -> None:
    """A signed credential names where its status is: only below its issuer's registered prefix is asked."""
    movement = (await verifier.movement())["id"]
    await verifier.look_up(movement)
    for url in SOME:
        try:
            person = verifier.surgeon(StaffIdentity={"status": {"status_list": {"idx": 1, "uri": url}}})
        except ValueError:
            continue  # even our own issuer signs no such thing
        request = await verifier.ask(movement)
        answer = await verifier.present(request, person)
        assert answer.status_code in (200, 400), (url, answer.text)
        found = await verifier.read(f"/presentation-requests/{request['id']}")
        if found["decision_id"]:
            decision = await verifier.confirm(found["decision_id"])
            assert decision["result"]["verified"] is False, url
        await verifier.refresh_statuses()
        verifier.clock.advance(timedelta(seconds=20))


@pytest.mark.parametrize("header", ["jku", "x5u"])
async def test_headers_that_name_a_key_s_place(verifier: VerifierBench, spy: NetworkSpy, header: str) -> None:
    """Tokens of clients and wallets with a place to fetch their key from."""
    for url in SOME:
        kit = verifier.client
        claims = kit.claims("https://verifier.example", verifier.clock.now())
        assertion = jose.sign(claims, kit.key, typ="JWT", headers={header: url})
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        answer = await verifier.http.post("/oauth2/token", data=form)
        assert answer.status_code in (200, 400, 401, 429), answer.text
        bearer = jose.sign({"sub": "x"}, kit.key, typ="at+jwt", headers={header: url})
        refused = await verifier.http.get(
            "/api/v1/organisations/R0A/movements", headers={"Authorization": f"Bearer {bearer}"}
        )
        assert refused.status_code == 401


# -- registry --------------------------------------------------------------------------------------


async def test_entities_of_a_registry(databases: FreshDatabases, tmp_path: Path, spy: NetworkSpy) -> None:
    """No such identifier is given out; one whose name leads inside is not called at enrolment."""
    url = await databases.url("passport_registry")
    outbound = Outbound(allow_private=False)
    async with registry_bench(url, tmp_path, outbound=outbound) as bench:
        details = OrganisationDetails(name="The Christie NHS Foundation Trust", contacts={})
        await organisations.invite(bench.ctx, RBV, details, ANN)
        given = []
        for spelling in URLS:
            entity_id = spelling.replace("/x", f"/{RBV}")
            try:
                await entities.create(bench.ctx, RBV, Role.ISSUER, entity_id, ANN)
            except PassportError:
                continue
            given.append(entity_id)
            break
        assert given, "a name is judged by what it leads to"
        code = (await entities.make_code(bench.ctx, RBV, Role.ISSUER, ANN)).code
        entity = HostedEntity.make(given[0], Role.ISSUER)
        with pytest.raises(PassportError) as refused:
            await enrolment.enrol(bench.ctx, bench.request(code, entity))
        assert refused.value.code == "host_not_reachable"
        assert re.search(r"host_malformed|address_not_global", refused.value.detail)


# -- signed documents of the network ---------------------------------------------------------------

METADATA = new_metadata()
DOCUMENTS = documents.tables(METADATA)


def elsewhere(registry: TrustRegistrySimulator, url: str) -> Any:
    """A manifest, rightly signed, whose parts lie somewhere else."""

    published = registry.publish()
    claims = jose.parse(published.manifest).claims
    parts = [{**part, "uri": url} for part in claims["parts"]]
    manifest = jose.sign({**claims, "parts": parts}, registry.key, typ="staff-passport-snapshot+jwt")
    return replace(published, manifest=manifest)


async def test_parts_of_a_snapshot(databases: FreshDatabases, spy: NetworkSpy) -> None:
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    wire = RegistryWire(registry)
    db = await databases.open(metadata=METADATA)
    keeper = SnapshotKeeper(
        db, way_out(wire), registry.trust_file, clock, CachedDocuments(db, DOCUMENTS, clock)
    )
    for url in URLS:
        wire.published = elsewhere(registry, url)
        with pytest.raises(SnapshotUnavailable) as refused:
            await keeper.refresh()
        assert refused.value.reason in ("part_elsewhere", "bad_claim"), url
    assert await keeper.latest() is None
    assert spy.looked_up == []


# -- wallet ----------------------------------------------------------------------------------------


@dataclass
class Holder:
    """A wallet on the hostile network."""

    world: World
    wallet: Wallet
    vault: Vault


@pytest.fixture
async def holder(tmp_path: Path) -> AsyncIterator[Holder]:
    clock = FrozenClock()
    registry = TrustRegistrySimulator(clock)
    registry.enrol_issuer()
    registry.enrol_verifier(asks={"StaffIdentity": [("family_name",)], "Employment": [("employer_ods",)]})
    world = World(registry)
    async with AsyncExitStack() as stack:
        vault = Vault.create(tmp_path / "wallet.json", "passphrase", scrypt_n=2**14)
        stack.callback(vault.close)
        outbound = await stack.enter_async_context(way_out(world.transport()))
        wallet = Wallet(vault, tmp_path, outbound, clock)
        await wallet.trust(registry.trust_file.as_bytes())
        yield Holder(world, wallet, vault)


async def test_links_that_a_wallet_is_given(holder: Holder, spy: NetworkSpy) -> None:
    issuer, verifier = holder.world.issuer, holder.world.verifier
    for url in URLS:
        offered = "openid-credential-offer://?" + urlencode({"credential_offer_uri": url})
        for link in (offered, issuer.link(credential_issuer=url)):
            with pytest.raises(WalletError):
                await holder.wallet.read_offer(link)
        with pytest.raises(WalletError):
            await holder.wallet.read_request(verifier.link(request_uri=url))
    assert spy.looked_up == []


def said(**members: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What is said, with these members."""
    return lambda document: {**document, **members}


ENDPOINTS = ("token_endpoint", "nonce_endpoint", "credential_endpoint", "notification_endpoint")


async def test_addresses_in_an_issuer_s_metadata(holder: Holder, spy: NetworkSpy) -> None:
    issuer = holder.world.issuer
    for number, url in enumerate(SOME):
        endpoint = ("token_endpoint", "nonce_endpoint", "credential_endpoint", "notification_endpoint")[
            number % 4
        ]
        which = "server" if endpoint == "token_endpoint" else "metadata"
        issuer.spoil = {which: said(**{endpoint: url})}
        offer = await holder.wallet.read_offer(issuer.link())
        with pytest.raises(WalletError):
            await holder.wallet.accept(offer, issuer.pin)
        assert holder.wallet.held() == ()
    assert spy.looked_up == []


async def test_where_a_verifier_wants_the_answer(holder: Holder, spy: NetworkSpy) -> None:
    verifier = holder.world.verifier
    for url in SOME:
        verifier.spoil = {"claims": said(response_uri=url)}
        with pytest.raises(WalletError):
            await holder.wallet.read_request(verifier.link())
    for header in ("jku", "x5u"):
        verifier.spoil = {"headers": said(**{header: URLS[0]})}
        with pytest.raises(WalletError):
            await holder.wallet.read_request(verifier.link())
    assert spy.looked_up == []


async def test_parts_that_a_wallet_is_sent_for(holder: Holder, spy: NetworkSpy) -> None:
    """Signed by the registry itself: a wallet asks the registry and nobody else."""
    for number, url in enumerate(URLS):
        holder.world.registry.agree("RBV", f"Z{number:03}")
        holder.world.published = elsewhere(holder.world.registry, url)
        with pytest.raises(WalletError) as refused:
            await holder.wallet.read_offer(holder.world.issuer.link())
        assert refused.value.reason is Refusal.SNAPSHOT_REFUSED, url
    assert spy.looked_up == []
