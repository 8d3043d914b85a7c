"""What a wallet must not get away with: every reason to refuse, over HTTP. Nothing is kept of it."""

# ruff: noqa: E501 - a table of cases reads better with a case per line

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from passport_shared.formats import jwe, sd_jwt, strict
from passport_shared.formats.credential_rejected import RejectReason
from passport_shared.formats.jose import SigningKey
from passport_shared.formats.strict import b64url_encode
from passport_testkit.apps import protocol_error
from passport_testkit.certificates import Authority, LeafSpec
from passport_testkit.databases import both_databases
from passport_testkit.presenter import Answer, HomeTrust, Presenter
from passport_testkit.verifiers import VERIFIER, VerifierBench
from passport_verifier.operations.answers import AnswerRefusal
from passport_verifier.rules.presentation import Refusal

Change = Callable[["Presented"], None]


class Presented:
    """One presentation taken apart, so that any part can be changed and signed again by the right keys."""

    def __init__(
        self, token: str, holder: SigningKey, issuer: SigningKey, at: datetime, request: Any
    ) -> None:
        parsed = sd_jwt.parse(token)
        assert parsed.key_binding is not None
        self.header = dict(parsed.issuer_jwt.header)
        self.payload: Any = json.loads(json.dumps(parsed.issuer_jwt.claims))
        self.disclosures = [disclosure.encoded for disclosure in parsed.disclosures]
        self.kb_header: dict[str, Any] = {"alg": "ES256", "typ": "kb+jwt"}
        self.kb: dict[str, Any] = {
            "aud": request["client_id"],
            "nonce": request["nonce"],
            "iat": int(at.timestamp()),
        }
        self.sd_hash: str | None = None
        self.without_kb = False
        self.holder, self.issuer = holder, issuer
        self.raw: Callable[[str], str] = lambda token: token
        self.issuer_signature: Callable[[bytes], bytes] = self.issuer.sign

    def token(self) -> str:
        signing_input = f"{_segment(self.header)}.{_segment(self.payload)}"
        signature = self.issuer_signature(signing_input.encode())
        shown = "~".join([f"{signing_input}.{b64url_encode(signature)}", *self.disclosures, ""])
        if self.without_kb:
            return self.raw(shown)
        kb = {"sd_hash": self.sd_hash or sd_jwt.digest_of(shown), **self.kb}
        kb = {name: value for name, value in kb.items() if value is not None}
        kb_input = f"{_segment(self.kb_header)}.{_segment(kb)}"
        return self.raw(shown + f"{kb_input}.{b64url_encode(self.holder.sign(kb_input.encode()))}")

    def plant(self, content: Any) -> None:
        """Append a disclosure that is referenced."""
        self.payload["_sd"].append(self.stray(content))

    def stray(self, content: Any) -> str:
        encoded = content if isinstance(content, str) else _segment(content)
        self.disclosures.append(encoded)
        return b64url_encode(hashlib.sha256(encoded.encode()).digest())


def _segment(content: Any) -> str:
    return b64url_encode(content if isinstance(content, bytes) else json.dumps(content).encode())


def change(**members: Any) -> Change:
    def apply(presented: Presented) -> None:
        for name, value in members.items():
            if value is None:
                presented.payload.pop(name, None)
            else:
                presented.payload[name] = value

    return apply


def kb(**members: Any) -> Change:
    return lambda presented: presented.kb.update(members)


def header(**members: Any) -> Change:
    return lambda presented: presented.header.update(members)


def call(act: Callable[[Presented], Any]) -> Change:
    return lambda presented: act(presented)


def raw(act: Callable[[str], str]) -> Change:
    def apply(presented: Presented) -> None:
        presented.raw = act

    return apply


def _set(presented: Presented, name: str, value: Any) -> None:
    setattr(presented, name, value)


def _deep(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = {"a": value}
    return value


PAST, FUTURE = 1_600_000_000, 4_000_000_000
STRANGER = SigningKey.generate()

CHANGES: dict[RejectReason, Change] = {
    RejectReason.TOO_LARGE: change(padding="x" * 70_000),
    RejectReason.NOT_ASCII: raw(lambda token: token + "é"),
    RejectReason.NOT_SD_JWT: raw(lambda token: token.partition("~")[0]),
    RejectReason.EMPTY_PART: raw(lambda token: token.replace("~", "~~", 1)),
    RejectReason.TOO_MANY_DISCLOSURES: call(
        lambda p: [p.payload["_sd"].append(p.stray([f"s{i}", f"n{i}", i])) for i in range(80)]
    ),
    RejectReason.TOO_DEEP: call(
        lambda p: p.plant(["salt", "outer", _deep({"_sd": [p.stray(["salt", "inner", _deep(1, 20)])]}, 20)])
    ),
    RejectReason.ISSUER_JWT_MALFORMED: raw(lambda token: "a.b.c" + token[token.index("~") :]),
    RejectReason.CRITICAL_HEADER: header(crit=["exp"], exp=1),
    RejectReason.SD_ALG_NOT_ALLOWED: change(_sd_alg="md5"),
    RejectReason.SD_ALG_NESTED: change(nested={"_sd_alg": "sha-256"}),
    RejectReason.DISCLOSURE_NOT_BASE64URL: call(lambda p: p.plant("not base64url!")),
    RejectReason.DISCLOSURE_NOT_JSON: call(lambda p: p.plant(_segment(b"{broken"))),
    RejectReason.DISCLOSURE_NOT_ARRAY: call(lambda p: p.plant({"salt": "a"})),
    RejectReason.DISCLOSURE_WRONG_LENGTH: call(lambda p: p.plant(["salt", "a", "b", "c"])),
    RejectReason.DISCLOSURE_SALT_NOT_STRING: call(lambda p: p.plant([7, "name", "value"])),
    RejectReason.CLAIM_NAME_NOT_STRING: call(lambda p: p.plant(["salt", 7, "value"])),
    RejectReason.CLAIM_NAME_RESERVED: call(lambda p: p.plant(["salt", "_sd", ["x"]])),
    RejectReason.CLAIM_NAME_COLLISION: call(lambda p: p.plant(["salt", "iss", "https://else.example"])),
    RejectReason.PROPERTY_DISCLOSURE_EXPECTED: call(lambda p: p.plant(["salt", "element"])),
    RejectReason.ELEMENT_DISCLOSURE_EXPECTED: call(
        lambda p: p.payload.update(list=[{"...": p.stray(["salt", "name", "value"])}])
    ),
    RejectReason.SD_NOT_ARRAY_OF_STRINGS: change(nested={"_sd": "digest"}),
    RejectReason.PLACEHOLDER_MALFORMED: change(list=[{"...": "d", "more": 1}]),
    RejectReason.PLACEHOLDER_OUTSIDE_ARRAY: change(nested={"...": "digest"}),
    RejectReason.DIGEST_REPEATED: call(lambda p: p.payload["_sd"].append(p.payload["_sd"][0])),
    RejectReason.DISCLOSURE_REPEATED: call(lambda p: p.disclosures.append(p.disclosures[0])),
    RejectReason.DISCLOSURE_UNREFERENCED: call(lambda p: p.stray(["salt", "extra", "value"])),
    RejectReason.ALG_NOT_ALLOWED: header(alg="HS256"),
    RejectReason.WRONG_TYP: header(typ="vc+sd-jwt"),
    RejectReason.CHAIN_MISSING: call(lambda p: p.header.pop("x5c")),
    RejectReason.CHAIN_UNTRUSTED: call(lambda p: p.header.update(x5c=_foreign_chain(p.issuer))),
    RejectReason.BAD_ISSUER_SIGNATURE: call(lambda p: _set(p, "issuer_signature", STRANGER.sign)),
    RejectReason.REGISTERED_CLAIM_DISCLOSED: call(lambda p: p.plant(["salt", "nbf", PAST])),
    RejectReason.VCT_MISSING: change(vct=None),
    RejectReason.VCT_MALFORMED: change(vct=["https://registry.example/vct/StaffIdentity/1"]),
    RejectReason.VCT_NOT_EXPECTED: change(vct="https://registry.example/vct/Employment/1"),
    RejectReason.VCT_INTEGRITY_MALFORMED: change(**{"vct#integrity": "md5-abc"}),
    RejectReason.AKA_VCTS_MALFORMED: change(aka_vcts=[]),
    RejectReason.ISS_MISSING: change(iss=None),
    RejectReason.ISS_NOT_SIGNER: change(iss="https://issuer.example/RM3"),
    RejectReason.IAT_MISSING: change(iat=None),
    RejectReason.IAT_MALFORMED: change(iat="yesterday"),
    RejectReason.ISSUED_IN_FUTURE: change(iat=FUTURE - 1, exp=FUTURE),
    RejectReason.EXP_MISSING: change(exp=None),
    RejectReason.EXP_MALFORMED: change(exp=True),
    RejectReason.NBF_MALFORMED: change(nbf="soon"),
    RejectReason.NOT_YET_VALID: change(nbf=FUTURE),
    RejectReason.STATUS_MISSING: change(status=None),
    RejectReason.STATUS_MALFORMED: change(status={"status_list": {"idx": -1, "uri": "https://a.example/b"}}),
    RejectReason.CNF_MISSING: change(cnf=None),
    RejectReason.CNF_MALFORMED: change(cnf={"jwk": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}),
    RejectReason.KEY_BINDING_MISSING: call(lambda p: _set(p, "without_kb", True)),
    RejectReason.KEY_BINDING_MALFORMED: raw(lambda token: token[: token.rindex("~") + 1] + "a.b.c"),
    RejectReason.KEY_BINDING_ALG_NOT_ALLOWED: call(lambda p: p.kb_header.update(alg="HS256")),
    RejectReason.KEY_BINDING_WRONG_TYP: call(lambda p: p.kb_header.update(typ="JWT")),
    RejectReason.KEY_BINDING_BAD_SIGNATURE: call(lambda p: _set(p, "holder", STRANGER)),
    RejectReason.KEY_BINDING_SD_HASH_MISSING: kb(sd_hash=7),
    RejectReason.KEY_BINDING_WRONG_SD_HASH: kb(sd_hash=b64url_encode(bytes(32))),
    RejectReason.KEY_BINDING_NONCE_MISSING: kb(nonce=None),
    RejectReason.KEY_BINDING_WRONG_NONCE: kb(nonce="another-nonce"),
    RejectReason.KEY_BINDING_AUD_NOT_STRING: call(lambda p: p.kb.update(aud=[p.kb["aud"]])),
    RejectReason.KEY_BINDING_WRONG_AUD: call(lambda p: p.kb.update(aud=p.kb["aud"].partition(":")[2])),
    RejectReason.KEY_BINDING_IAT_MISSING: kb(iat=None),
    RejectReason.KEY_BINDING_IAT_MALFORMED: kb(iat="now"),
    RejectReason.KEY_BINDING_TOO_OLD: call(lambda p: p.kb.update(iat=p.kb["iat"] - 301)),
    RejectReason.KEY_BINDING_IN_FUTURE: call(lambda p: p.kb.update(iat=p.kb["iat"] + 61)),
    RejectReason.KEY_BINDING_TIMES_MALFORMED: kb(exp="later"),
    RejectReason.KEY_BINDING_EXPIRED: kb(exp=PAST),
    RejectReason.KEY_BINDING_NOT_YET_VALID: kb(nbf=FUTURE),
}
NOT_REFUSED = {
    RejectReason.EXPIRED,  # a fact for the host, not a fault of the answer (design §4.4)
    RejectReason.KEY_BINDING_UNEXPECTED,  # this verifier always asks for one
}


def _foreign_chain(key: SigningKey) -> list[str]:
    return Authority.create().leaf_for(key, key.public.key, LeafSpec()).x5c


def taken_apart(answer: Answer, presenter: Presenter, home: HomeTrust, at: datetime) -> Presented:
    issuer = home.registry.entities[home.entity_id].issued("credential").key
    [token] = answer.vp_token["staff_identity"]
    return Presented(token, presenter.held["StaffIdentity"].key, issuer, at, answer.request)


def test_every_reason_is_reached():
    assert set(CHANGES) | NOT_REFUSED == set(RejectReason)


async def test_every_reason_to_refuse_a_credential(verifier: VerifierBench):
    """One request answered badly in every way, more than once per request only as often as is allowed."""
    presenter = verifier.surgeon()
    movement = await verifier.movement()
    reasons = list(CHANGES)
    for start in range(0, len(reasons), 15):
        request = await verifier.ask(movement["id"])
        for reason in reasons[start : start + 15]:
            answer = await verifier.answer(request, presenter)
            presented = taken_apart(answer, presenter, verifier.home, verifier.clock.now())
            CHANGES[reason](presented)
            answer.vp_token["staff_identity"] = [presented.token()]
            sent = await verifier.send(answer)
            assert sent.status_code == 400, reason
            refused = protocol_error(sent, 400, "invalid_request")
            assert refused["error_description"] == "the response is not acceptable for this request"
            found = await verifier.read(f"/presentation-requests/{request['id']}")
            assert found["last_refusal"] == reason.value, reason
            assert (found["state"], found["decision_id"]) == ("OPEN", None), reason
    assert (await verifier.read("/decisions"))["items"] == []


async def test_the_same_presentation_untouched_is_accepted(verifier: VerifierBench):
    presenter = verifier.surgeon()
    request = await verifier.ask()
    answer = await verifier.answer(request, presenter)
    presented = taken_apart(answer, presenter, verifier.home, verifier.clock.now())
    answer.vp_token["staff_identity"] = [presented.token()]
    assert (await verifier.send(answer)).status_code == 200


def _tokens(answer: Answer, value: Any) -> None:
    answer.vp_token["staff_identity"] = value


VP_TOKENS: list[tuple[str, Callable[[Answer], Any], Refusal | RejectReason]] = [
    ("a list", lambda a: a.payload.update(vp_token=[1]), Refusal.VP_TOKEN_MALFORMED),
    ("text", lambda a: a.payload.update(vp_token="a~b"), Refusal.VP_TOKEN_MALFORMED),
    ("empty", lambda a: a.payload.update(vp_token={}), Refusal.VP_TOKEN_MALFORMED),
    ("a presentation that is no array", lambda a: _tokens(a, a.vp_token["staff_identity"][0]), Refusal.VP_TOKEN_MALFORMED),
    ("none", lambda a: _tokens(a, []), Refusal.VP_TOKEN_MALFORMED),
    ("two", lambda a: _tokens(a, a.vp_token["staff_identity"] * 2), Refusal.VP_TOKEN_MALFORMED),
    ("a number", lambda a: _tokens(a, [7]), Refusal.VP_TOKEN_MALFORMED),
    ("an id nobody asked for", lambda a: a.vp_token.update(extra=["a~b"]), Refusal.QUERY_NOT_MET),
    ("a required credential missing", lambda a: a.vp_token.pop("dbs_outcome"), Refusal.QUERY_NOT_MET),
    ("one credential under another id", lambda a: a.vp_token.update(employment=a.vp_token["dbs_outcome"]), RejectReason.VCT_NOT_EXPECTED),
]  # fmt: skip


async def test_every_vp_token_that_does_not_answer_the_query(verifier: VerifierBench):
    presenter = verifier.surgeon()
    request = await verifier.ask()
    for name, spoil, reason in VP_TOKENS:
        answer = await verifier.answer(request, presenter)
        spoil(answer)
        protocol_error(await verifier.send(answer), 400, "invalid_request")
        found = await verifier.read(f"/presentation-requests/{request['id']}")
        assert found["last_refusal"] == reason, name


@pytest.mark.parametrize(
    ("name", "withhold"),
    [("holder_ref", ("holder_ref",)), ("name", ("family_name",)), ("safety subject", ("skills", "IPC"))],
)
async def test_a_required_detail_withheld_is_a_query_not_met(
    verifier: VerifierBench, name: str, withhold: tuple[str, ...]
):
    presenter = verifier.surgeon()
    presenter.withheld.add(withhold)
    request = await verifier.ask()
    protocol_error(await verifier.present(request, presenter), 400, "invalid_request")
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))[
        "last_refusal"
    ] == Refusal.QUERY_NOT_MET


async def test_w12_two_peoples_credentials_are_refused_and_told_to_the_host(verifier: VerifierBench):
    presenter = verifier.surgeon()
    other = Presenter(
        verifier.home,
        holder_ref="DwAODQwLCgkIBwYFBAMCAQ",
        family_name="Bell",
        given_name="Ivy",
        birthdate="1990-01-02",
    )
    presenter.held["DbsOutcome"] = other.hold("DbsOutcome")
    request = await verifier.ask()
    protocol_error(await verifier.present(request, presenter), 400, "invalid_request")
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert (found["last_refusal"], found["decision_id"]) == ("identity_mismatch", None)


async def test_another_issuers_credential_of_the_same_person_is_accepted_by_its_key(verifier: VerifierBench):
    elsewhere = HomeTrust(
        verifier.registry, "https://issuer.example/RM3", name="Another Trust", types=["CoreSkills"]
    )
    verifier.wire.homes.append(elsewhere)
    verifier.clock.advance(timedelta(seconds=61))
    await verifier.refresh()
    await verifier.refresh_statuses()
    presenter = verifier.surgeon()
    presenter.hold("CoreSkills", trust=elsewhere, key=presenter.held["StaffIdentity"].key)
    decision = await verifier.decided(presenter)
    assert decision["result"]["outcome"] == "READY"
    presenter.hold("CoreSkills", trust=elsewhere)
    request = await verifier.ask()
    protocol_error(await verifier.present(request, presenter), 400, "invalid_request")


async def test_a_status_list_outside_the_issuers_prefix_is_refused_and_never_fetched(verifier: VerifierBench):
    presenter = verifier.surgeon()
    elsewhere = {"status_list": {"idx": 1, "uri": "https://attacker.example/RBV/statuslists/a"}}
    presenter.hold("RightToWork", status=elsewhere)
    request = await verifier.ask()
    protocol_error(await verifier.present(request, presenter), 400, "invalid_request")
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert found["last_refusal"] == Refusal.STATUS_LIST_ELSEWHERE
    await verifier.refresh_statuses()
    assert not any("attacker.example" in line for line in verifier.wire.requests)


async def test_an_index_outside_the_list_is_refused(verifier: VerifierBench):
    presenter = verifier.surgeon()
    presenter.hold("RightToWork", status={"status_list": {"idx": 999_999, "uri": verifier.home.uri}})
    request = await verifier.ask()
    protocol_error(await verifier.present(request, presenter), 400, "invalid_request")
    found = await verifier.read(f"/presentation-requests/{request['id']}")
    assert found["last_refusal"] == Refusal.STATUS_INDEX_OUT_OF_RANGE


def _jwe_header(token: str, **members: Any) -> str:
    head, _, rest = token.partition(".")
    content = {**json.loads(strict.b64url_decode(head)), **members}
    content = {name: value for name, value in content.items() if value is not None}
    return f"{b64url_encode(json.dumps(content).encode())}.{rest}"


def _flipped(token: str, part: int) -> str:
    parts = token.split(".")
    raw_part = bytearray(strict.b64url_decode(parts[part]))
    raw_part[0] ^= 1
    parts[part] = b64url_encode(bytes(raw_part))
    return ".".join(parts)


OFF_CURVE = {"kty": "EC", "crv": "P-256", "x": b64url_encode(bytes(32)), "y": b64url_encode(bytes(32))}

JWES: list[tuple[str, Callable[[str], str], str | None]] = [
    ("compressed", lambda t: _jwe_header(t, zip="DEF"), None),
    ("password hashing", lambda t: _jwe_header(t, p2c=10_000_000), None),
    ("critical header", lambda t: _jwe_header(t, crit=["exp"]), None),
    ("direct key", lambda t: _jwe_header(t, alg="dir"), None),
    ("rsa", lambda t: _jwe_header(t, alg="RSA1_5"), None),
    ("another enc", lambda t: _jwe_header(t, enc="A128CBC-HS256"), None),
    ("ephemeral key off the curve", lambda t: _jwe_header(t, epk=OFF_CURVE), None),
    ("no ephemeral key", lambda t: _jwe_header(t, epk=None), None),
    ("junk apu", lambda t: _jwe_header(t, apu="!!"), None),
    ("unknown kid", lambda t: _jwe_header(t, kid="AAAAAAAAAAAAAAAAAAAAAA"), None),
    ("no kid", lambda t: _jwe_header(t, kid=None), None),
    ("kid of another type", lambda t: _jwe_header(t, kid=7), None),
    ("kid of SQL", lambda t: _jwe_header(t, kid="' OR 1=1 --"), None),
    ("four parts", lambda t: t.rpartition(".")[0], None),
    ("not ascii", lambda t: t + "é", None),
    ("a signed token", lambda t: "a.b.c", None),
    ("empty", lambda t: "", None),
    ("too large", lambda t: t + "A" * 200_000, None),
    ("changed tag", lambda t: _flipped(t, 4), "decryption_failed"),
    ("changed ciphertext", lambda t: _flipped(t, 3), "decryption_failed"),
    ("changed header", lambda t: _jwe_header(t, cty="json"), "decryption_failed"),
]  # fmt: skip


async def test_every_bad_envelope_is_refused_alike(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    for name, spoil, reason in JWES:
        protocol_error(await verifier.send(spoil(answer.token())), 400, "invalid_request")
        found = await verifier.read(f"/presentation-requests/{request['id']}")
        if reason:
            assert found["last_refusal"] == reason, name
    assert (await verifier.send(answer)).status_code == 200


PAYLOADS: list[tuple[str, Callable[[Answer], bytes], AnswerRefusal]] = [
    ("not json", lambda a: b"not json", AnswerRefusal.PAYLOAD_MALFORMED),
    ("a list", lambda a: b"[]", AnswerRefusal.PAYLOAD_MALFORMED),
    ("repeated member", lambda a: b'{"state":"a","state":"b"}', AnswerRefusal.PAYLOAD_MALFORMED),
    ("deep", lambda a: b'{"a":' * 100 + b"1" + b"}" * 100, AnswerRefusal.PAYLOAD_MALFORMED),
    ("utf-16", lambda a: '{"state":"x"}'.encode("utf-16"), AnswerRefusal.PAYLOAD_MALFORMED),
    ("no vp_token", lambda a: json.dumps({"state": a.state}).encode(), AnswerRefusal.PAYLOAD_MALFORMED),
    ("no state", lambda a: json.dumps({"vp_token": a.vp_token}).encode(), AnswerRefusal.WRONG_STATE),
    ("another state", lambda a: json.dumps({"vp_token": {}, "state": "x"}).encode(), AnswerRefusal.WRONG_STATE),
    ("a state that is no text", lambda a: json.dumps({"vp_token": {}, "state": 7}).encode(), AnswerRefusal.WRONG_STATE),
]  # fmt: skip


async def test_every_bad_payload_is_refused(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    for name, payload, reason in PAYLOADS:
        token = jwe.encrypt(payload(answer), answer.key, kid=answer.kid)
        protocol_error(await verifier.send(token), 400, "invalid_request")
        found = await verifier.read(f"/presentation-requests/{request['id']}")
        assert found["last_refusal"] == reason, name


async def test_an_answer_to_another_request_is_refused(verifier: VerifierBench):
    presenter = verifier.surgeon()
    one, two = await verifier.ask(), await verifier.ask()
    answer, other = await verifier.answer(one, presenter), await verifier.answer(two, presenter)
    answer.kid, answer.key = other.kid, other.key
    protocol_error(await verifier.send(answer), 400, "invalid_request")
    assert (await verifier.read(f"/presentation-requests/{two['id']}"))["last_refusal"] == "wrong_state"
    answer.state = other.state
    protocol_error(await verifier.send(answer), 400, "invalid_request")
    assert (await verifier.read(f"/presentation-requests/{two['id']}"))[
        "last_refusal"
    ] == "key_binding_wrong_nonce"


async def test_both_encryption_algorithms_are_accepted(verifier: VerifierBench):
    for enc in ("A128GCM", "A256GCM"):
        answer = await verifier.answer(await verifier.ask(), verifier.surgeon())
        answer.enc = enc
        assert (await verifier.send(answer)).status_code == 200


@both_databases
async def test_a_replay_is_refused_and_of_fifty_at_once_one_is_accepted(verifier: VerifierBench):
    presenter = verifier.surgeon()
    request = await verifier.ask()
    answer = await verifier.answer(request, presenter)
    token = answer.token()
    found = await asyncio.gather(*(verifier.send(token) for _ in range(50)))
    statuses = sorted(response.status_code for response in found)
    assert statuses == [200] + [400] * 49
    protocol_error(await verifier.send(token), 400, "invalid_request")
    protocol_error(await verifier.send(answer.token()), 400, "invalid_request")
    assert len((await verifier.read("/decisions"))["items"]) == 1


async def test_a_request_that_ran_out_is_not_answered(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    verifier.clock.advance(timedelta(minutes=5))
    protocol_error(await verifier.send(answer), 400, "invalid_request")
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))["state"] == "EXPIRED"


async def test_after_too_many_bad_answers_a_request_is_closed(verifier: VerifierBench):
    request = await verifier.ask()
    answer = await verifier.answer(request, verifier.surgeon())
    bad = _flipped(answer.token(), 3)
    for _ in range(20):
        protocol_error(await verifier.send(bad), 400, "invalid_request")
    protocol_error(await verifier.send(answer), 400, "invalid_request")
    assert (await verifier.read(f"/presentation-requests/{request['id']}"))["state"] == "REFUSED"


async def test_the_form_itself(verifier: VerifierBench):
    url = f"{VERIFIER}/R0A/oid4vp/response"
    for body in ({}, {"response": "a", "error": "access_denied"}, {"error": "made_up", "state": "x"}):
        protocol_error(await verifier.http.post(url, data=body), 400, "invalid_request")
    protocol_error(await verifier.http.post(url, json={"response": "a"}), 400, "invalid_request")
    twice = await verifier.http.post(
        url, content="response=a&response=b", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    protocol_error(twice, 400, "invalid_request")
    large = await verifier.http.post(url, data={"response": "A" * 300_000})
    assert large.status_code == 413
    assert (await verifier.http.get(url)).status_code == 405
    protocol_error(
        await verifier.http.post(f"{VERIFIER}/RXX/oid4vp/response", data={"response": "a"}), 404, "not_found"
    )
    protocol_error(
        await verifier.http.post(f"{VERIFIER}/r0a/oid4vp/response", data={"response": "a"}), 404, "not_found"
    )


async def test_nothing_of_an_answer_causes_a_call(verifier: VerifierBench):
    before = len(verifier.wire.requests)
    presenter = verifier.surgeon()
    request = await verifier.ask()
    await verifier.present(request, presenter)
    assert len(verifier.wire.requests) == before
