"""Two more implementations, from PyPI: polaris-oid4vp (Apache-2.0) and openvc-core (LGPL, for tests only).

Both judge presentations and status lists by the specifications alone; polaris-oid4vp also asks our wallet, as
a verifier of its own. They run where they are installed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from passport_shared.formats import jose, jwe, sd_jwt_holder, sd_jwt_vc, status_list, strict
from passport_shared.formats.jose import SigningKey
from passport_shared.outbound import Outbound
from passport_shared.service.clock import SystemClock
from passport_testkit.certificates import Authority
from passport_testkit.clock import FrozenClock
from passport_testkit.counterparts import IssuerSimulator, World
from passport_testkit.network import CHRISTIE, MANCHESTER, TrustRegistrySimulator, vct
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Vault
from passport_wallet.wallet import Wallet

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("python peers")]

polaris = pytest.importorskip("polaris_oid4vp.verifier", reason="polaris-oid4vp is not installed")
polaris_sdjwt = pytest.importorskip("polaris_oid4vp.sdjwt")
polaris_status = pytest.importorskip("polaris_oid4vp.status")
openid4vp = pytest.importorskip("openvc.openid4vp", reason="openvc-core is not installed")
openid4vci = pytest.importorskip("openvc.openid4vci")
openvc_errors = pytest.importorskip("openvc.errors")
openvc_keys = pytest.importorskip("openvc.keys")

# set when this module's tests begin: the peers look at the machine's own clock, minutes after collection
NOW = SystemClock().now().replace(microsecond=0)
IDENTITY = vct("StaffIdentity")
LIST = f"{CHRISTIE}/statuslists/list-1"
AUD = "x509_hash:" + "A" * 43
NONCE = "n" * 22
HOLDER = SigningKey.generate()
FAST = 2**14


@pytest.fixture(scope="module", autouse=True)
def _now() -> None:
    global NOW
    NOW = SystemClock().now().replace(microsecond=0)


@pytest.fixture(scope="module")
def network(_now) -> TrustRegistrySimulator:
    registry = TrustRegistrySimulator(FrozenClock(NOW))
    registry.enrol_issuer()
    registry.enrol_verifier(asks={"StaffIdentity": [("family_name",), ("given_name",)]})
    return registry


@pytest.fixture(scope="module")
def root(network):
    return network.authority.root


def issued(network: TrustRegistrySimulator, **changes: Any) -> str:
    """A credential of the network's issuer."""
    leaf = network.entities[CHRISTIE].issued("credential")
    claims = {
        "vct": IDENTITY,
        "iss": CHRISTIE,
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(days=30)).timestamp()),
        "cnf": {"jwk": dict(HOLDER.public.jwk)},
        "status": {"status_list": {"idx": 7, "uri": LIST}},
        "family_name": "Okonkwo-Price",
        "given_name": "Adaeze",
        **changes,
    }
    hidden = [("family_name",), ("given_name",)]
    return sd_jwt_vc.issue_credential(claims, hidden, leaf.key, leaf.x5c, decoys=2)


def shown(token: str, **changes: Any) -> str:
    """One claim of it revealed, bound to the request."""
    binding: dict[str, Any] = {"key": HOLDER, "aud": AUD, "nonce": NONCE, "iat": NOW, **changes}
    revealed = sd_jwt_holder.present(token, [("family_name",)])
    return sd_jwt_holder.add_key_binding(revealed, binding.pop("key"), **binding)


def status_token(network: TrustRegistrySimulator, status: int = status_list.VALID) -> str:
    listed = status_list.StatusList(bits=2, size=131_072)
    listed.set(7, status)
    leaf = network.entities[CHRISTIE].issued("status")
    return status_list.sign_token(
        listed,
        uri=LIST,
        key=leaf.key,
        x5c=leaf.x5c,
        iat=NOW,
        exp=NOW + timedelta(hours=24),
        ttl=timedelta(seconds=300),
    )


def spoilt_signature(token: str) -> str:
    head, payload, signature = token.split("~", 1)[0].split(".")
    other = ("B" if signature[0] != "B" else "C") + signature[1:]
    return f"{head}.{payload}.{other}~" + token.split("~", 1)[1]


def renamed(network: TrustRegistrySimulator, issuer: str) -> str:
    """Rightly signed by the issuer's leaf in the name of somebody else, which our own issuing refuses."""
    token, _, disclosures = issued(network).partition("~")
    leaf = network.entities[CHRISTIE].issued("credential")
    claims = {**jose.parse(token).claims, "iss": issuer}
    signed = jose.sign(claims, leaf.key, typ="dc+sd-jwt", kid=False, headers={"x5c": leaf.x5c})
    return f"{signed}~{disclosures}"


def past() -> dict[str, int]:
    """The times of a credential that ended the day before yesterday."""
    return {name: int((NOW - timedelta(days=days)).timestamp()) for name, days in (("iat", 9), ("exp", 2))}


Make = Callable[[TrustRegistrySimulator], str]
# name -> the presentation, and the code polaris-oid4vp gives; openvc-core must refuse every one too
REFUSED: dict[str, tuple[Make, str]] = {
    "another nonce": (lambda n: shown(issued(n), nonce="x" * 22), "nonce"),
    "another audience": (lambda n: shown(issued(n), aud="x509_hash:" + "B" * 43), "audience"),
    "another holder": (lambda n: shown(issued(n), key=SigningKey.generate()), "kb_signature"),
    "a stale binding": (lambda n: shown(issued(n), iat=NOW - timedelta(hours=2)), "kb_freshness"),
    "issuer's signature": (lambda n: shown(spoilt_signature(issued(n))), "issuer_signature"),
    "expired": (lambda n: shown(issued(n, **past())), "credential_validity"),
    "another type": (lambda n: shown(issued(n, vct=vct("Employment"))), "vct"),
    "another issuer's name": (lambda n: shown(renamed(n, "https://other.example/RBV")), "issuer_key"),
}


def as_polaris(presentation: str, anchor: x509.Certificate, **more: Any) -> Any:
    return polaris_sdjwt.verify_presentation(
        presentation,
        expected_nonce=NONCE,
        expected_audience=AUD,
        trust_anchors=[anchor],
        expected_vct=IDENTITY,
        **more,
    )


def as_openvc(network: TrustRegistrySimulator, presentation: str, anchor: Any, *, status: int = 0) -> Any:
    """Encrypted as a wallet sends it, decrypted and verified by openvc-core."""
    key = SigningKey.generate()
    response = jwe.encrypt(strict.dumps({"vp_token": {"id": [presentation]}}), key.public, kid="k")
    query = {"credentials": [{"id": "id", "format": "dc+sd-jwt", "meta": {"vct_values": [IDENTITY]}}]}
    return openid4vp.verify_encrypted_vp_response(
        response,
        key=openvc_keys.P256KeyAgreementKey(key.private, "k"),
        dcql_query=query,
        nonce=NONCE,
        client_id=AUD,
        x5c_trust_anchors=[anchor],
        resolve_status_list_token=lambda uri: (
            jose.parse(status_token(network, status), max_bytes=262_144).claims
        ),
        require_status=True,
        require_holder_binding=True,
        now=NOW,
    )


def test_both_verify_ours(network, root):
    presentation = shown(issued(network))
    verdict = as_polaris(presentation, root)
    assert verdict.authentic, (verdict.code, verdict.reason)
    assert verdict.iss_bound is True
    assert verdict.claims["family_name"] == "Okonkwo-Price"
    assert "given_name" not in verdict.claims
    [found] = as_openvc(network, presentation, root).presentations
    assert found.query_id == "id"


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse_what_is_wrong(network, root, name):
    make, code = REFUSED[name]
    verdict = as_polaris(make(network), root)
    assert (verdict.authentic, verdict.code) == (False, code), verdict.reason
    with pytest.raises(openvc_errors.OpenvcError):
        as_openvc(network, make(network), root)


def test_openvc_lets_a_host_speak_for_every_path_below_it_and_ours_does_not(network, root):
    """A leaf that names a URI names one issuer; openvc-core 1.37.0 is content with the DNS name beside it."""
    presentation = shown(renamed(network, f"{CHRISTIE}X"))
    assert as_polaris(presentation, root).code == "issuer_key"
    assert as_openvc(network, presentation, root)
    with pytest.raises(sd_jwt_vc.CredentialRejected) as caught:
        sd_jwt_vc.inspect(presentation, roots=network.authority.roots, at=NOW)
    assert caught.value.reason is sd_jwt_vc.RejectReason.ISS_NOT_SIGNER


def test_neither_trusts_another_root(network):
    other = Authority.create().root
    assert as_polaris(shown(issued(network)), other).code == "issuer_key"
    with pytest.raises(openvc_errors.OpenvcError):
        as_openvc(network, shown(issued(network)), other)


def verifies(network: TrustRegistrySimulator) -> Callable[..., bool]:
    """Whether the issuer's status leaf signed this, by polaris-oid4vp's own check."""
    key = network.entities[CHRISTIE].issued("status").certificate.public_key()

    def check(signing_input: bytes, signature: bytes, _header: dict[str, Any]) -> bool:
        return bool(polaris_sdjwt._verify_es256(key, signing_input, signature))

    return check


def decided(network: TrustRegistrySimulator, token: str, *, idx: int = 7, uri: str = LIST) -> Any:
    authority = polaris_status.StatedAuthority().state(
        credential_issuer=CHRISTIE, status_uri=uri, verify=verifies(network), why="the network pins its leaf"
    )
    return polaris_status.decide(
        token,
        index=idx,
        expected_uri=uri,
        authority=authority,
        now=int(NOW.timestamp()),
        credential_issuer=CHRISTIE,
    )


@pytest.mark.parametrize("status", [status_list.VALID, status_list.INVALID, status_list.SUSPENDED])
def test_both_read_the_status_in_our_list(network, root, status):
    seen = decided(network, status_token(network, status))
    assert seen.checked, seen
    assert seen["status"] == status
    presentation = shown(issued(network))
    if status == status_list.VALID:
        as_openvc(network, presentation, root, status=status)
    else:
        with pytest.raises(openvc_errors.OpenvcError):
            as_openvc(network, presentation, root, status=status)


def test_polaris_takes_no_list_of_another_address_or_key(network):
    assert not decided(network, status_token(network), uri=f"{CHRISTIE}/statuslists/other").checked
    stranger = TrustRegistrySimulator(network.clock)
    stranger.enrol_issuer()
    assert not decided(network, status_token(stranger)).checked


# -- polaris-oid4vp as the verifier our wallet answers -----------------------------------------------------


class PolarisAtManchester:
    """Its verifier behind the network's address: its own request objects, its own judgement."""

    def __init__(self, network: TrustRegistrySimulator, claims: tuple[str, ...], **more: Any) -> None:
        leaf = network.entities[MANCHESTER].issued("request")
        pem = serialization.Encoding.PEM
        text = {"en-GB": "An urgent operating list", "cy": "Rhestr frys"}
        purpose = {"purpose": "SERVICE_NEED_URGENT", "text": text}
        self.verifier = polaris.Verifier(
            client_cert_pem=leaf.certificate.public_bytes(pem),
            client_key_pem=leaf.key.private.private_bytes(
                pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            request_uri=f"{MANCHESTER}/oid4vp/requests/1",
            response_uri=f"{MANCHESTER}/oid4vp/response",
            issuer_trust_anchors=[network.authority.root],
            vct_values=(IDENTITY,),
            claims=claims,
            credential_query_id="StaffIdentity",
            verifier_info=[{"format": "staff_passport_purpose", "data": purpose}],
            status_resolver=lambda uri, idx, issuer: decided(
                network, status_token(network), idx=idx, uri=uri
            ),
            **more,
        )
        self.verifier.x5c = leaf.x5c  # it sends the leaf alone; below a root there is an issuing CA
        self.session, _ = self.verifier.new_request()
        self.verdicts: list[Any] = []

    @property
    def link(self) -> str:
        return "openid4vp://?" + urlencode(self.verifier.authorization_request_params(self.session))

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What its own server does with a request, without the socket."""
        form = parse_qs(request.content.decode())
        if request.url.path.endswith("/oid4vp/response"):
            status, body, verdict = self.verifier.handle_direct_post(form)
            self.verdicts.append(verdict)
            return httpx.Response(status, json=body)
        token = self.verifier.request_object(
            request.url.params["state"], wallet_nonce=form.get("wallet_nonce", [None])[0]
        )
        return httpx.Response(200, text=token, headers={"content-type": "application/oauth-authz-req+jwt"})


# -- openvc-core as the issuer that judges our wallet's proof ----------------------------------------------


class Recorder(IssuerSimulator):
    """Remembers the last nonce it gave and the last request for a credential it got."""

    nonce = ""
    requested = ""

    def answer(self, request: httpx.Request) -> httpx.Response:
        answer = super().answer(request)
        if request.url.path.endswith("/nonce"):
            self.nonce = answer.json()["c_nonce"]
        if request.url.path.endswith("/credential"):
            self.requested = request.content.decode()
        return answer


async def test_openvc_reads_our_offer_and_accepts_our_wallets_proof(network, world, wallet):
    issuer = world.issuer = Recorder(network)
    assert openid4vci.parse_credential_offer(issuer.offer()).credential_issuer == CHRISTIE
    await wallet.accept(await wallet.read_offer(issuer.link()), issuer.pin)
    request = openid4vci.parse_credential_request(issuer.requested)

    def judge(nonce: str, to: str = CHRISTIE, at: datetime = NOW) -> Any:
        return openid4vci.verify_credential_request_proofs(
            request, credential_issuer=to, check_nonce=lambda given: given == nonce, now=at
        )

    [proof] = judge(issuer.nonce)
    assert proof.thumbprint == wallet.held()[-1].kid
    for wrong in (
        {"nonce": "another"},
        {"nonce": issuer.nonce, "to": f"{CHRISTIE}X"},
        {"nonce": issuer.nonce, "at": NOW + timedelta(hours=1)},
    ):
        with pytest.raises(openvc_errors.OpenvcError):
            judge(**wrong)


@pytest.fixture
def world(network) -> World:
    return World(network)


@pytest.fixture
async def wallet(world, tmp_path) -> AsyncIterator[Wallet]:
    """Our wallet with a passport of the network's issuer."""
    vault = Vault.create(tmp_path / "wallet.json", "passphrase", scrypt_n=FAST)
    async with Outbound(transport=world.transport()) as outbound:
        made = Wallet(vault, tmp_path, outbound, world.registry.clock)
        await made.trust(world.registry.trust_file.as_bytes())
        await made.accept(await made.read_offer(world.issuer.link()), world.issuer.pin)
        yield made
    vault.close()


async def test_polaris_asks_our_wallet_and_accepts_its_answer(network, world, wallet):
    host = world.verifier = PolarisAtManchester(network, ("family_name", "given_name"))
    request = await wallet.read_request(host.link)
    assert request.verifier == MANCHESTER
    redirect = await wallet.share(request)
    [verdict] = host.verdicts
    assert verdict.authentic, (verdict.code, verdict.reason)
    assert urlsplit(redirect).netloc == urlsplit(MANCHESTER).netloc
    assert verdict.claims["family_name"] == "Okonkwo-Price"
    assert "birthdate" not in verdict.claims
    assert verdict.revocation["checked"] is True


async def test_polaris_takes_an_answer_once(network, world, wallet):
    host = world.verifier = PolarisAtManchester(network, ("family_name",))
    request = await wallet.read_request(host.link)
    await wallet.share(request)
    with pytest.raises(WalletError) as caught:
        await wallet.share(request)
    assert caught.value.reason is Refusal.VERIFIER_ANSWERED


async def test_our_wallet_gives_polaris_no_more_than_the_network_allows(network, world, wallet):
    host = world.verifier = PolarisAtManchester(network, ("family_name", "birthdate"))
    with pytest.raises(WalletError) as caught:
        await wallet.read_request(host.link)
    assert caught.value.reason is Refusal.OVER_ASKING
    assert host.verdicts == []
