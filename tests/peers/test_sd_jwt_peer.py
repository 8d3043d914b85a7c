"""npm @sd-jwt/sd-jwt-vc and @sd-jwt/jwt-status-list on the other side, both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from passport_shared.formats import sd_jwt_holder, sd_jwt_vc, status_list
from passport_shared.formats.credential_rejected import CredentialRejected, RejectReason
from passport_shared.formats.key_binding import KeyBindingPolicy
from passport_testkit import node
from passport_testkit.certificates import Authority
from passport_testkit.keys import key, private_jwk

pytestmark = [pytest.mark.peers, pytest.mark.asyncio(loop_scope="module")]

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ISS = "https://issuer.example/RBV"
VCT = "https://registry.example/vct/CoreSkills/1"
AUD = "x509_hash:" + "A" * 43
NONCE = "n" * 22
LIST = f"{ISS}/statuslists/list-1"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf(entity_id=ISS)


@pytest.fixture(scope="module")
def holder():
    return key("holder")


def claims(holder, **more):
    return {
        "vct": VCT,
        "iss": ISS,
        "iat": int(NOW.timestamp()),
        "exp": int((NOW + timedelta(days=30)).timestamp()),
        "cnf": {"jwk": dict(holder.public.jwk)},
        "status": {"status_list": {"idx": 7, "uri": LIST}},
        "given_name": "Siân",
        "skills": {"FS": {"level": 1}, "IPC": {"level": 2}},
        "registers": ["GENERAL", "SPECIALIST"],
        **more,
    }


def status_token(leaf, **statuses: int) -> str:
    listed = status_list.StatusList(bits=2, size=1024)
    for index, value in statuses.items():
        listed.set(int(index.removeprefix("at")), value)
    return status_list.sign_token(
        listed,
        uri=LIST,
        key=leaf.key,
        x5c=leaf.x5c,
        iat=NOW,
        exp=NOW + timedelta(hours=24),
        ttl=timedelta(seconds=300),
    )


HIDDEN = [("given_name",), ("skills", "FS"), ("skills", "IPC"), ("registers", 1)]
POLICY = KeyBindingPolicy(aud=AUD, nonce=NONCE, now=NOW)


async def test_theirs_verifies_ours(peer, authority, leaf, holder):
    issued = sd_jwt_vc.issue_credential(claims(holder), HIDDEN, leaf.key, leaf.x5c, decoys=3)
    shown = sd_jwt_holder.present(issued, [("skills", "FS"), ("registers", 1)])
    bound = sd_jwt_holder.add_key_binding(shown, holder, aud=AUD, nonce=NONCE, iat=NOW)
    seen = await peer.call(
        "sdjwt.verify",
        token=bound,
        issuer=dict(leaf.key.public.jwk),
        holder=dict(holder.public.jwk),
        nonce=NONCE,
        now=int(NOW.timestamp()),
        required=["skills.FS"],
        statusToken=status_token(leaf),
    )
    ours = sd_jwt_vc.verify_credential(bound, roots=authority.roots, at=NOW, key_binding=POLICY).claims
    assert seen["payload"] == ours
    assert seen["payload"]["skills"] == {"FS": {"level": 1}}
    assert seen["payload"]["registers"] == ["GENERAL", "SPECIALIST"]
    assert "given_name" not in seen["payload"]
    assert seen["kb"]["aud"] == AUD


async def test_theirs_refuses_ours_after_a_change(peer, leaf, holder):
    issued = sd_jwt_vc.issue_credential(claims(holder), HIDDEN, leaf.key, leaf.x5c)
    head, payload, signature = issued.split("~", 1)[0].split(".")
    forged = f"{head}.{payload}.{signature[:-4]}AAAA~" + issued.split("~", 1)[1]
    with pytest.raises(node.PeerRefused, match=r"(?i)signature"):
        await peer.call(
            "sdjwt.verify",
            token=forged,
            issuer=dict(leaf.key.public.jwk),
            now=int(NOW.timestamp()),
            statusToken=status_token(leaf),
        )


@pytest.mark.parametrize("status", [status_list.INVALID, status_list.SUSPENDED])
async def test_theirs_refuses_ours_when_our_list_says_so(peer, leaf, holder, status):
    issued = sd_jwt_vc.issue_credential(claims(holder), HIDDEN, leaf.key, leaf.x5c)
    with pytest.raises(node.PeerRefused, match=f"status {status}"):
        await peer.call(
            "sdjwt.verify",
            token=issued,
            issuer=dict(leaf.key.public.jwk),
            now=int(NOW.timestamp()),
            statusToken=status_token(leaf, at7=status),
        )


async def test_ours_verifies_theirs_issued_and_presented(peer, authority, leaf, holder):
    frame = {
        "_sd": ["given_name"],
        "skills": {"_sd": ["FS", "IPC"]},
        "registers": {"_sd": [1]},
    }
    issued = await peer.call(
        "sdjwt.issue",
        claims=claims(holder),
        frame=frame,
        jwk=private_jwk(leaf.key),
        header={"x5c": list(leaf.x5c)},
    )
    whole = sd_jwt_vc.inspect(issued, roots=authority.roots, at=NOW)
    assert whole.claims == claims(holder)
    bound = await peer.call(
        "sdjwt.present",
        credential=issued,
        frame={"skills": {"FS": True}},
        jwk=private_jwk(holder),
        aud=AUD,
        nonce=NONCE,
        iat=int(NOW.timestamp()),
    )
    seen = sd_jwt_vc.verify_credential(bound, roots=authority.roots, at=NOW, key_binding=POLICY)
    assert seen.claims["skills"] == {"FS": {"level": 1}}
    assert "given_name" not in seen.claims
    assert seen.claims["registers"] == ["GENERAL"]


@pytest.mark.parametrize(
    ("aud", "nonce", "reason"),
    [
        ("x509_hash:other", NONCE, RejectReason.KEY_BINDING_WRONG_AUD),
        (AUD, "another-nonce-altogether", RejectReason.KEY_BINDING_WRONG_NONCE),
    ],
)
async def test_ours_refuses_theirs_for_another_request(peer, authority, leaf, holder, aud, nonce, reason):
    issued = sd_jwt_vc.issue_credential(claims(holder), HIDDEN, leaf.key, leaf.x5c)
    bound = await peer.call(
        "sdjwt.present",
        credential=issued,
        frame={},
        jwk=private_jwk(holder),
        aud=aud,
        nonce=nonce,
        iat=int(NOW.timestamp()),
    )
    with pytest.raises(CredentialRejected) as caught:
        sd_jwt_vc.verify_credential(bound, roots=authority.roots, at=NOW, key_binding=POLICY)
    assert caught.value.reason is reason


async def test_status_lists_agree_both_ways(peer, authority, leaf):
    ours = status_list.StatusList(bits=2, size=131_072)
    wanted = {0: 0, 1: 1, 2: 2, 7: 1, 4711: 2, 131_071: 1}
    for index, value in wanted.items():
        ours.set(index, value)
    token = status_list.sign_token(
        ours,
        uri=LIST,
        key=leaf.key,
        x5c=leaf.x5c,
        iat=NOW,
        exp=NOW + timedelta(hours=24),
        ttl=timedelta(seconds=300),
    )
    assert await peer.call("status_list.read", token=token, indices=list(wanted)) == list(wanted.values())

    statuses = [0] * 1024
    statuses[3], statuses[1000] = 2, 1
    theirs = await peer.call(
        "status_list.make",
        statuses=statuses,
        bits=2,
        jwk=private_jwk(leaf.key),
        sub=LIST,
        iat=int(NOW.timestamp()),
        exp=int((NOW + timedelta(hours=1)).timestamp()),
        ttl=300,
        header={"x5c": list(leaf.x5c)},
    )
    read = status_list.read_token(theirs, uri=LIST, roots=authority.roots, now=NOW)
    assert [read.list.get(i) for i in (0, 3, 1000)] == [0, 2, 1]
