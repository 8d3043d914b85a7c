"""Targets for what the three services and the wallet read from wallets, trusts and workforce systems."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from passport_issuer.clients import dsp_api, esr_port, workforce, workforce_credentials
from passport_issuer.clients.workforce import WorkforceError
from passport_issuer.http import dsp_events, oid4vci
from passport_issuer.rules import workforce_dsp, workforce_esr
from passport_issuer.rules.codes import (
    new_nonce,
    nonce_is_ours,
    offer_of_code,
    pre_authorized_code,
    reviewed_offer,
)
from passport_issuer.rules.credential_request import RequestInvalid, read_credential_request
from passport_issuer.rules.proofs import PROOF_TYP, ProofInvalid, verify_proofs
from passport_issuer.rules.workforce import ForeignRecords, Reading, SystemType
from passport_issuer.rules.workforce_names import tokens
from passport_shared.formats import jose, strict
from passport_shared.formats.ids import random_token
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.x5c import x509_hash
from passport_shared.outbound import Response
from passport_shared.service.oauth_errors import ProtocolError
from passport_shared.service.problems import PassportError
from passport_shared.wire import catalogue
from passport_shared.wire.esr_port import Change, Person
from passport_testkit import credentials as sd
from passport_testkit.cases import case, commit, evidence_for, good_standing, urgent_policy
from passport_testkit.clock import NOON, FrozenClock
from passport_testkit.network import CHRISTIE, MANCHESTER
from passport_testkit.workforce import (
    ASSIGNMENT,
    CHECKS,
    DBS_OUTCOME,
    PERSON,
    REGISTRATION,
    SCREENING,
    SKILL,
    employee,
)
from passport_verifier.clients import issuer_releases, placement_issuer
from passport_verifier.clients.placement_issuer import NotTaken
from passport_verifier.http import oid4vp
from passport_verifier.http.management.policies import NewVersionBody, ProfileRules, _stored_row
from passport_verifier.rules import policies, policy_checks
from passport_verifier.rules.asking import dcql_query
from passport_verifier.rules.decision import judge
from passport_verifier.rules.evidence import facts_of
from passport_verifier.rules.presentation import PresentationRefused, parse_vp_token
from passport_verifier.rules.watching import known_dates
from passport_wallet import receiving, sharing, vault
from passport_wallet.errors import Refusal, WalletError
from passport_wallet.vault import Vault
from tests.fuzz.target import REFUSED, Target, as_json, as_text, read, read_object, signed, unsigned
from tests.fuzz.targets_tokens import KEY, network

SECRET = b"a secret of thirty-two bytes....."


# -- issuer ---------------------------------------------------------------------------------------------


def _credential_request(data: bytes) -> bool:
    value = read_object(data)
    if value is REFUSED:
        return False
    try:
        read_credential_request(value)
    except RequestInvalid:
        return False
    return True


def _proof(token: str) -> bool:
    try:
        found = verify_proofs([token], audience=CHRISTIE, ods="RBV", nonce_secret=SECRET, now=NOON)
    except ProofInvalid:
        return False
    assert found.keys
    return True


def _proof_seed() -> str:
    claims = {"aud": CHRISTIE, "iat": int(NOON.timestamp()), "nonce": new_nonce(SECRET, "RBV", NOON)}
    return jose.sign(claims, KEY, typ=PROOF_TYP, kid=False, headers={"jwk": KEY.public.as_jwk()})


def _codes(data: bytes) -> bool:
    """Codes and nonces, whose text alone says whose they are."""
    text = as_text(data)
    found = (
        offer_of_code(SECRET, text) is not None,
        nonce_is_ours(SECRET, "RBV", text, NOON),
        reviewed_offer(SECRET, text, NOON) is not None,
    )
    assert not any(found) or data in _code_seeds(), "a changed code was taken for ours"
    return any(found)


@lru_cache(maxsize=1)
def _code_seeds() -> tuple[bytes, ...]:
    return (pre_authorized_code(SECRET, random_token()).encode(), new_nonce(SECRET, "RBV", NOON).encode())


def _authorization_details(data: bytes) -> bool:
    try:
        oid4vci._asked(as_text(data))
    except ProtocolError:
        return False
    return True


def _dsp_event(data: bytes) -> bool:
    try:
        dsp_events._event(data, dsp_events.MEDIA_TYPE)
    except PassportError:
        return False
    return True


DSP_EVENT = {
    "specversion": "1.0",
    "id": "236a1d4a-5d69-4fa9-9c7f-e72bf505aa5b",
    "source": "https://lms.example",
    "type": "employee-elearning-completed",
    "time": "2026-09-01T12:00:00Z",
    "subject": "E-77",
    "filtering": {"organisation": "RBV"},
    "dataref": "https://lms.example/organisations/RBV/employees/E-77/records",
}


def reading(system_type: SystemType) -> Reading:
    """What a mapping knows besides the records."""
    return Reading(
        ods="RBV",
        given_name="Adaeze",
        family_name="Okonkwo-Price",
        birthdate=date(1981, 3, 9),
        known_family_names=("Okonkwo-Price",),
        known_given_names=("Adaeze",),
        connection_id="c1",
        system_type=system_type,
        today=NOON.date(),
    )


def _answered(data: bytes) -> Any:
    return workforce.decoded(_response(data), 1_000_000)


def _response(data: bytes) -> Response:
    return Response(
        status=200, url="https://a.example", headers={"content-type": "application/json"}, body=data
    )


def _dsp_answer(data: bytes) -> bool:
    """People and records as a system behind the standard answers; every finding can be written as JSON."""
    try:
        answer = _answered(data)
        details = answer.get("details") if isinstance(answer, dict) else None
        people = dsp_api._people(answer) if isinstance(answer, list) else [dsp_api._person(details)]
    except WorkforceError:
        return False
    records = answer.get("records") if isinstance(answer, dict) else None
    for system in (SystemType.LMS, SystemType.RECRUITMENT, SystemType.OCCUPATIONAL_HEALTH):
        found = workforce_dsp.findings(records if isinstance(records, list) else [], reading(system))
        json.dumps([dict(one.values) for one in found if hasattr(one, "values")])
    return bool(people)


def _esr_answer(data: bytes) -> bool:
    try:
        answer = _answered(data)
    except WorkforceError:
        return False
    if not isinstance(answer, dict):
        return False
    try:
        person = workforce_esr.person_of(esr_port._read(Person, answer.get("person")))
    except WorkforceError:
        return False
    tokens(person.family_name)
    lists = {name: tuple(items) for name, items in answer.items() if isinstance(items, list)}
    found = workforce_esr.findings(
        ForeignRecords(person=person, answered_id="1", records=lists), reading(SystemType.ESR)
    )
    json.dumps([dict(one.values) for one in found if hasattr(one, "values")])
    return True


def _change(data: bytes) -> bool:
    try:
        esr_port._read(Change, _answered(data))
    except WorkforceError:
        return False
    return True


def _token_answer(data: bytes) -> bool:
    try:
        token, life = workforce_credentials._token_of(data)
    except WorkforceError:
        return False
    assert token.isascii()
    assert life.total_seconds() > 0
    return True


# -- verifier -------------------------------------------------------------------------------------------


def _vp_token(data: bytes) -> bool:
    try:
        parse_vp_token(read(data))
    except PresentationRefused:
        return False
    return True


def _vp_seeds() -> list[bytes]:
    query = dcql_query(urgent_policy(), vct_base="https://registry.example/vct", employing_ods="RBV")
    return as_json({entry["id"]: ["a.b.c~d.e.f"] for entry in query["credentials"]})


def _wallet_metadata(data: bytes) -> bool:
    try:
        oid4vp._check_wallet_metadata(as_text(data))
    except ProtocolError:
        return False
    return True


def _claims(data: bytes) -> bool:
    """Verified claims of any form, as a trusted issuer could sign them: there is a decision."""
    value = read_object(data)
    if value is REFUSED or not all(isinstance(one, dict) for one in value.values()):
        return False
    policy = urgent_policy()
    shown = {name: claims for name, claims in value.items() if name in catalogue.TYPES}
    judged = case({}, policy=policy, standings={name: good_standing() for name in shown})
    facts = {name: facts_of(name, claims, policy, commit) for name, claims in shown.items()}
    judge(replace(judged, facts=facts))
    known_dates(facts, {}, policy, last_day=judged.last_day)
    return True


def _policy(data: bytes) -> bool:
    """The rules a host uploads as its own version: faults by pointer, or a policy that can be judged by."""
    value = read_object(data)
    try:
        sent = NewVersionBody.model_validate(value or {})
    except ValidationError:
        return False
    rules = sent.model_dump(mode="json", include={"profile", "rows"}, exclude_none=False)
    base = policies.documents()[_default()]
    document = {
        "profile": {**base["profile"], **rules["profile"]},
        "rows": [_stored_row(row) for row in rules["rows"]],
    }
    if [*policy_checks.faults(document), *policy_checks.lowered(base, document)]:
        return False
    whole = policies.compiled({**base, **document, "effective": sent.effective.isoformat()})
    judge(replace(case({}), policy=whole))
    return True


def _default() -> str:
    return urgent_policy().version_id


def _policy_seeds() -> list[bytes]:
    base = policies.documents()[_default()]
    rules = NewVersionBody.model_validate(
        {
            "profile": {
                name: base["profile"][name] for name in ProfileRules.model_fields if name in base["profile"]
            },
            "rows": base["rows"],
            "effective": "2026-10-01",
        }
    )
    return [rules.model_dump_json().encode()]


def _release_answer(data: bytes) -> bool:
    uri = issuer_releases._release_uri(data, CHRISTIE, "a")
    code = issuer_releases._problem_code(data)
    assert uri is None or uri.startswith(f"{CHRISTIE}/releases/")
    assert code is None or code.isascii()
    return uri is not None or code is not None


def _placement_answer(data: bytes) -> bool:
    try:
        placement_issuer._read(_response(data))
    except NotTaken:
        return False
    return True


# -- wallet ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _snapshot() -> Snapshot:
    return network().snapshot()


def _offer_link(data: bytes) -> bool:
    try:
        receiving._query(as_text(data))
    except WalletError:
        return False
    return True


def _request_link(data: bytes) -> bool:
    try:
        query = sharing._query(as_text(data))
        sharing._verifier_above(query["request_uri"], _snapshot())
    except WalletError:
        return False
    return True


def _offer(data: bytes) -> bool:
    try:
        offer = receiving._object(data, Refusal.BAD_OFFER, "no")
        checked = receiving._checked(offer, _snapshot(), FrozenClock())
    except WalletError:
        return False
    assert checked.issuer == CHRISTIE
    return True


OFFER = {
    "credential_issuer": CHRISTIE,
    "credential_configuration_ids": ["StaffIdentity_1"],
    "grants": {
        receiving.PRE_AUTHORIZED: {
            "pre-authorized_code": "a",
            "tx_code": {"length": 8, "input_mode": "numeric"},
        }
    },
    receiving.HOLDER_KEY_PARAMETER: "a" * 43,
}


def _issuer_answer(data: bytes) -> bool:
    """Answers of the token and credential endpoints."""
    found = False
    for status in (200, 400):
        try:
            answer = receiving._answer(
                Response(status=status, url="https://a.example", headers={}, body=data), max_bytes=65_536
            )
            receiving._identifiers(answer.get("authorization_details", []))
            [credential] = receiving._credentials(answer)
            receiving._counts_at(credential, NOON)
            found = True
        except WalletError:
            continue
    return found


def _collected(data: bytes) -> bool:
    """A credential as an issuer sends it, judged by the wallet."""
    receiving._counts_at(as_text(data), NOON)
    return True


def _request_object(data: bytes) -> bool:
    """Request objects under a right signature: what is understood could be answered."""
    token = signed(data, network().entities[MANCHESTER].issued("request").key)
    try:
        claims, who = sharing._proven(token.encode(), _client_id(), MANCHESTER, _snapshot(), NOON)
        sharing._understood(claims, MANCHESTER, who, _snapshot(), _vault(), NOON, "en-GB")
    except WalletError:
        return False
    return True


def _client_id() -> str:
    return sharing.X509_HASH + x509_hash(network().entities[MANCHESTER].issued("request").der)


_FOLDER = TemporaryDirectory(prefix="passport-fuzz-")


@lru_cache(maxsize=1)
def _vault() -> Vault:
    return Vault.create(Path(_FOLDER.name) / "vault", "invented", scrypt_n=vault.SCRYPT_N_LIMITS[0])


def _request_seed() -> bytes:
    issued = network().entities[MANCHESTER].issued("request")
    claims = {
        "iss": _client_id(),
        "aud": sharing.SELF_ISSUED,
        "iat": int(NOON.timestamp()),
        "exp": int(NOON.timestamp()) + 300,
        "client_id": _client_id(),
        "response_type": "vp_token",
        "response_mode": "direct_post.jwt",
        "response_uri": f"{MANCHESTER}/oid4vp/response",
        "nonce": "n" * 43,
        "state": "s" * 43,
        "dcql_query": {
            "credentials": [
                {
                    "id": "identity",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [network().vct("StaffIdentity")]},
                    "claims": [{"path": ["given_names"]}, {"path": ["family_name"]}],
                }
            ]
        },
        "client_metadata": {
            "jwks": {"keys": [KEY.public.as_jwk(kid="k", alg="ECDH-ES", use="enc")]},
            "encrypted_response_enc_values_supported": ["A128GCM"],
        },
        "verifier_info": [
            {
                "format": sharing.PURPOSE_FORMAT,
                "data": {"purpose": "SERVICE_NEED_URGENT", "text": {"en-GB": "To work.", "cy": "I weithio."}},
            }
        ],
    }
    token = jose.sign(claims, issued.key, typ=sharing.REQUEST_TYP, kid=False, headers={"x5c": issued.x5c})
    return unsigned(token)


def _vault_file(data: bytes) -> bool:
    """A vault file that somebody else wrote over."""
    path = Path(_FOLDER.name) / "damaged"
    path.write_bytes(data)
    try:
        parameters, _nonce, _ciphertext = vault._read(path)
        strict.canonical(vault._bound(parameters))
    except WalletError:
        return False
    return True


def _vault_seed() -> list[bytes]:
    _vault()
    return [(Path(_FOLDER.name) / "vault").read_bytes()]


TARGETS: list[Target] = [
    Target(
        "credential request",
        _credential_request,
        lambda: as_json(
            {"credential_configuration_id": "StaffIdentity_1", "proofs": {"jwt": ["a.b.c"]}},
            {"credential_identifier": "one", "proofs": {"jwt": ["a.b.c", "d.e.f"]}},
        ),
    ),
    Target("wallet proof as received", lambda data: _proof(as_text(data)), lambda: [_proof_seed().encode()]),
    Target(
        "wallet proof signed again", lambda data: _proof(signed(data, KEY)), lambda: [unsigned(_proof_seed())]
    ),
    Target("codes and nonces", _codes, _code_seeds),
    Target(
        "authorization details",
        _authorization_details,
        lambda: as_json([{"type": "openid_credential", "credential_configuration_id": "StaffIdentity_1"}]),
    ),
    Target("DSP event", _dsp_event, lambda: as_json(DSP_EVENT)),
    Target(
        "DSP answers",
        _dsp_answer,
        lambda: as_json(
            employee((SKILL, DBS_OUTCOME, *SCREENING)), [employee()["details"], employee()["details"]]
        ),
    ),
    Target(
        "ESR answers",
        _esr_answer,
        lambda: as_json(
            {
                "person": PERSON,
                "assignments": [ASSIGNMENT],
                "registrations": [REGISTRATION],
                "checks": [*CHECKS.values()],
            }
        ),
    ),
    Target(
        "ESR change", _change, lambda: as_json({"cursor": "a", "kind": "person.changed", "person_id": "1"})
    ),
    Target(
        "workforce token answer", _token_answer, lambda: as_json({"access_token": "a", "expires_in": 300})
    ),
    Target("vp_token", _vp_token, _vp_seeds),
    Target("wallet metadata", _wallet_metadata, lambda: as_json({"vp_formats_supported": {"dc+sd-jwt": {}}})),
    Target("claims of a decision", _claims, lambda: as_json(evidence_for(urgent_policy()))),
    Target("policy upload", _policy, _policy_seeds),
    Target(
        "answer to a release request",
        _release_answer,
        lambda: as_json(
            {"release_request": "a", "release_uri": f"{CHRISTIE}/releases/" + "A" * 22},
            {"code": "a", "errors": [{"code": "b"}]},
        ),
    ),
    Target(
        "answer to a placement",
        _placement_answer,
        lambda: as_json(
            {
                "movement_id": "01990b2c",
                "state": "OFFERED",
                "on_hold": False,
                "revision": 1,
                "start": "2026-09-01",
                "end": "2026-10-01",
                "collected_at": None,
                "ended_at": None,
                "offer": None,
            }
        ),
    ),
    Target(
        "offer link",
        _offer_link,
        lambda: [
            b"openid-credential-offer://?credential_offer=%7B%7D",
            b"haip-vci://?credential_offer_uri=https%3A%2F%2Fa.example%2FRBV",
        ],
    ),
    Target(
        "request link",
        _request_link,
        lambda: [
            f"openid4vp://?client_id=x509_hash:a&request_uri={MANCHESTER}/oid4vp/requests/a&request_uri_method=post".encode()
        ],
    ),
    Target("offer", _offer, lambda: as_json(OFFER)),
    Target(
        "issuer's answers",
        _issuer_answer,
        lambda: as_json(
            {
                "credentials": [{"credential": sd.credential()}],
                "authorization_details": [
                    {"credential_configuration_id": "StaffIdentity_1", "credential_identifiers": ["a"]}
                ],
            },
            {"error": "invalid_grant", "error_description": "no"},
        ),
    ),
    Target("credential collected", _collected, lambda: [sd.credential(nbf=sd.seconds(NOON)).encode()]),
    Target("request object signed again", _request_object, lambda: [_request_seed()]),
    Target("vault file", _vault_file, _vault_seed),
]
