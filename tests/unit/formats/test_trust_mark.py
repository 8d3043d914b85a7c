"""Trust marks and the answers of the status endpoint: read right, and refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats import jose
from passport_shared.formats.federation import (
    TRUST_MARK_STATUS_TYP,
    TRUST_MARK_TYP,
    FederationError,
    FederationReason,
    MarkRole,
    TrustMark,
    TrustMarkStatus,
    mark_type,
    public_jwks,
    trust_mark_status_response,
    verify_trust_mark,
    verify_trust_mark_status_response,
)
from passport_shared.formats.trust_mark import parse_rfc3339, rfc3339
from passport_testkit.clock import NOON
from passport_testkit.keys import key
from passport_testkit.network import ANCHOR, CHRISTIE, MANCHESTER, TrustRegistrySimulator, vct

Claims = dict[str, Any]
Change = Callable[[Claims], object]
SIGNER = key("registry federation")
KIND = f"{ANCHOR}/tm/credential-issuer"
ISSUERS = {mark_type(ANCHOR, role): [ANCHOR] for role in MarkRole}


def epoch(delta: timedelta = timedelta(0)) -> int:
    return int((NOON + delta).timestamp())


def mark_claims() -> Claims:
    return {
        "iss": ANCHOR,
        "sub": CHRISTIE,
        "iat": epoch(),
        "exp": epoch(timedelta(hours=96)),
        "jti": "0199-invented",
        "trust_mark_type": KIND,
        "id": KIND,
        "organisation": {"ods_code": "RBV", "name": "The Christie NHS Foundation Trust"},
        "authorizations": [
            {
                "id": "a1",
                "action": "issue",
                "vct": vct("StaffIdentity"),
                "territory": [],
                "valid_from": "2026-04-01T00:00:00Z",
                "valid_until": "2027-04-01T00:00:00+01:00",
                "max_validity_s": 31_536_000,
            }
        ],
        "keys": [
            {
                "use": "credential",
                "x5t#S256": "x5t-of-the-leaf",
                "jkt": "jkt-of-the-key",
                "not_before": epoch(),
                "not_after_signing": epoch(timedelta(days=365)),
                "state": "active",
            }
        ],
        "status_lists": {"aggregation": f"{CHRISTIE}/statuslists", "prefix": f"{CHRISTIE}/statuslists/"},
        "status": {"status_list": {"idx": 4711, "uri": f"{ANCHOR}/statuslists/tm-1"}},
    }


def read(claims: Claims, **more: Any) -> TrustMark:
    arguments: Claims = {"sub": CHRISTIE, "trust_mark_issuers": ISSUERS, **more}
    token = jose.sign(claims, SIGNER, typ=TRUST_MARK_TYP)
    return verify_trust_mark(token, public_jwks([SIGNER.public]), NOON, **arguments)


def refused(claims: Claims, **more: Any) -> FederationReason:
    with pytest.raises(FederationError) as caught:
        read(claims, **more)
    return caught.value.reason


def test_a_right_mark_is_read_into_its_types() -> None:
    mark = read(mark_claims())
    assert (mark.iss, mark.sub, mark.role) == (ANCHOR, CHRISTIE, MarkRole.CREDENTIAL_ISSUER)
    assert (mark.organisation.ods_code, mark.status.idx) == ("RBV", 4711)
    (authorization,) = mark.authorizations
    assert authorization.valid_until == datetime(2027, 3, 31, 23, tzinfo=UTC)
    assert authorization.max_validity_s == 31_536_000
    (pin,) = mark.keys
    assert (pin.use, pin.x5t_s256, pin.not_before) == ("credential", "x5t-of-the-leaf", NOON)
    assert mark.status_lists is not None
    assert mark.status_lists.prefix == f"{CHRISTIE}/statuslists/"


def test_an_unknown_action_is_ignored_and_permits_nothing() -> None:
    claims = mark_claims()
    claims["authorizations"].append({"id": "a2", "action": "bless", "whatever": 1})
    assert [entry.id for entry in read(claims).authorizations] == ["a1"]


def test_what_the_network_builds_comes_back_the_same() -> None:
    network = TrustRegistrySimulator()
    issuer = network.enrol_issuer()
    verifier = network.enrol_verifier(asks={"CoreSkills": [("skills", "FS"), ("sites", None, "name")]})
    jwks = public_jwks([network.key.public])
    for entity in (issuer, verifier):
        mark = verify_trust_mark(
            network.mark(entity.entity_id), jwks, NOON, sub=entity.entity_id, trust_mark_issuers=ISSUERS
        )
        assert mark.authorizations == tuple(entity.authorizations)
        assert mark.keys == tuple(entity.pins)
        assert mark.organisation == entity.organisation
        assert mark.status.idx == entity.status_idx


def into(path: str, value: object) -> Change:
    """Set a member deep inside: `keys.0.use`."""

    def change(claims: Claims) -> None:
        *parents, last = path.split(".")
        target: Any = claims
        for parent in parents:
            target = target[int(parent)] if parent.isdigit() else target[parent]
        if value is ...:
            del target[last]
        else:
            target[last] = value

    return change


MISSING, BAD = FederationReason.MISSING_CLAIM, FederationReason.BAD_CLAIM


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("iss", ..., MISSING),
        ("sub", ..., MISSING),
        ("iat", ..., MISSING),
        ("exp", ..., MISSING),
        ("jti", ..., MISSING),
        ("trust_mark_type", ..., MISSING),
        ("trust_mark_type", 1, BAD),
        ("iat", epoch(timedelta(seconds=61)), FederationReason.ISSUED_IN_FUTURE),
        ("exp", epoch(), FederationReason.EXPIRED),
        ("sub", MANCHESTER, FederationReason.WRONG_ENTITY),
        ("iss", "https://other.example", FederationReason.MARK_ISSUER_NOT_TRUSTED),
        ("trust_mark_type", "https://other.example/tm/x", FederationReason.MARK_ISSUER_NOT_TRUSTED),
        ("organisation", ..., BAD),
        ("organisation.ods_code", ..., MISSING),
        ("organisation.name", 7, BAD),
        ("authorizations", ..., BAD),
        ("authorizations", {}, BAD),
        ("authorizations", [1], BAD),
        ("authorizations", [{"action": "issue"}] * 257, BAD),
        ("authorizations.0.id", ..., MISSING),
        ("authorizations.0.vct", "", BAD),
        ("authorizations.0.valid_from", ..., BAD),
        ("authorizations.0.valid_until", ..., BAD),
        ("authorizations.0.valid_from", "2026-04-01", BAD),
        ("authorizations.0.valid_from", "2026-04-01T00:00:00", BAD),
        ("authorizations.0.valid_from", 1_788_264_000, BAD),
        ("authorizations.0.max_validity_s", 0, BAD),
        ("authorizations.0.max_validity_s", True, BAD),
        ("authorizations.0.max_validity_s", "1 year", BAD),
        ("authorizations.0.issue_until", "soon", BAD),
        ("authorizations.0.territory", "all", BAD),
        ("authorizations.0.territory", [1], BAD),
        ("authorizations.0.claims", "all", BAD),
        ("authorizations.0.claims", [[]], BAD),
        ("authorizations.0.claims", [[True]], BAD),
        ("authorizations.0.claims", [[1.5]], BAD),
        ("authorizations.0.purposes", [None], BAD),
        ("keys", ..., BAD),
        ("keys.0.use", "everything", BAD),
        ("keys.0.use", ..., MISSING),
        ("keys.0.state", "fine", BAD),
        ("keys.0.state", ..., MISSING),
        ("keys.0.x5t#S256", ..., MISSING),
        ("keys.0.jkt", ..., MISSING),
        ("keys.0.not_before", ..., BAD),
        ("keys.0.not_after_signing", "2027", BAD),
        ("status_lists.prefix", ..., MISSING),
        ("status_lists.prefix", f"{CHRISTIE}/statuslists", BAD),
        ("status_lists.prefix", "http://issuer.example/", BAD),
        ("status_lists.aggregation", ..., MISSING),
        ("status", ..., BAD),
        ("status.status_list", ..., BAD),
        ("status.status_list.idx", -1, BAD),
        ("status.status_list.idx", True, BAD),
        ("status.status_list.idx", "1", BAD),
        ("status.status_list.uri", ..., MISSING),
    ],
)
def test_a_mark_is_refused(path: str, value: object, reason: FederationReason) -> None:
    claims = mark_claims()
    into(path, value)(claims)
    assert refused(claims) is reason


@pytest.mark.parametrize(
    "issuers", [{}, {KIND: []}, {KIND: ["https://other.example"]}, {KIND: ANCHOR}, {KIND: None}]
)
def test_an_issuer_the_anchor_does_not_name_is_refused_and_empty_is_not_anyone(issuers: Claims) -> None:
    assert refused(mark_claims(), trust_mark_issuers=issuers) is FederationReason.MARK_ISSUER_NOT_TRUSTED


def test_a_type_with_an_owner_needs_a_delegation() -> None:
    assert refused(mark_claims(), trust_mark_owners={KIND: {}}) is FederationReason.DELEGATION_REQUIRED


def test_a_type_outside_this_network_is_refused_even_if_the_anchor_names_it() -> None:
    claims = mark_claims()
    claims["trust_mark_type"] = f"{ANCHOR}/tm/anything"
    issuers = {**ISSUERS, f"{ANCHOR}/tm/anything": [ANCHOR]}
    assert refused(claims, trust_mark_issuers=issuers) is FederationReason.MARK_TYPE_UNKNOWN


@pytest.mark.parametrize(
    "typ", ["entity-statement+jwt", "JWT", "trust-mark-status-response+jwt", "statuslist+jwt"]
)
def test_another_object_is_not_a_mark(typ: str) -> None:
    token = jose.sign(mark_claims(), SIGNER, typ=typ)
    with pytest.raises(FederationError) as caught:
        verify_trust_mark(token, public_jwks([SIGNER.public]), NOON, trust_mark_issuers=ISSUERS)
    assert caught.value.reason is FederationReason.WRONG_TYP


def test_a_mark_by_a_key_the_registry_no_longer_lists_is_refused() -> None:
    token = jose.sign(mark_claims(), SIGNER, typ=TRUST_MARK_TYP)
    with pytest.raises(FederationError) as caught:
        verify_trust_mark(token, public_jwks([key("next key").public]), NOON, trust_mark_issuers=ISSUERS)
    assert caught.value.reason is FederationReason.UNKNOWN_KID


# -- the status endpoint ---------------------------------------------------------------------------


def answer(**changes: Any) -> str:
    members: Claims = {
        "iss": ANCHOR,
        "iat": epoch(),
        "trust_mark": "the.mark.itself",
        "status": "active",
        **changes,
    }
    members = {name: value for name, value in members.items() if value is not ...}
    return jose.sign(members, SIGNER, typ=TRUST_MARK_STATUS_TYP)


def status_of(token: str) -> TrustMarkStatus:
    jwks = public_jwks([SIGNER.public])
    return verify_trust_mark_status_response(token, jwks, NOON, iss=ANCHOR, trust_mark="the.mark.itself")


@pytest.mark.parametrize("status", list(TrustMarkStatus))
def test_every_status_of_the_network_comes_back(status: TrustMarkStatus) -> None:
    token = trust_mark_status_response(
        iss=ANCHOR,
        trust_mark="the.mark.itself",
        status=status,
        iat=NOON,
        key=SIGNER,
        exp=NOON + timedelta(hours=1),
    )
    assert status_of(token) is status
    assert jose.parse(token).claims["exp"] == epoch(timedelta(hours=1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": ...}, MISSING),
        ({"iat": ...}, MISSING),
        ({"trust_mark": ...}, MISSING),
        ({"status": ...}, MISSING),
        ({"iss": "https://other.example"}, FederationReason.WRONG_ISSUER),
        ({"trust_mark": "another.mark.altogether"}, FederationReason.WRONG_MARK),
        ({"status": "excellent"}, FederationReason.STATUS_UNKNOWN),
        ({"status": True}, FederationReason.STATUS_UNKNOWN),
        ({"status": ["active"]}, FederationReason.STATUS_UNKNOWN),
        ({"iat": epoch(timedelta(seconds=61))}, FederationReason.ISSUED_IN_FUTURE),
        ({"exp": epoch()}, FederationReason.EXPIRED),
    ],
)
def test_an_answer_about_a_mark_is_refused(changes: Claims, reason: FederationReason) -> None:
    with pytest.raises(FederationError) as caught:
        status_of(answer(**changes))
    assert caught.value.reason is reason


def test_the_mark_itself_is_not_an_answer_about_it() -> None:
    with pytest.raises(FederationError) as caught:
        status_of(jose.sign(mark_claims(), SIGNER, typ=TRUST_MARK_TYP))
    assert caught.value.reason is FederationReason.WRONG_TYP


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(mark_claims())), JSON)
def test_any_value_of_any_member_is_read_or_refused_by_name(name: str, value: Any) -> None:
    claims = mark_claims()
    claims[name] = value
    with contextlib.suppress(FederationError):
        read(claims)


@given(st.integers(946_684_800, 4_102_444_800))
@settings(max_examples=40, deadline=None)
def test_instants_keep_their_second(seconds: int) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert parse_rfc3339(rfc3339(at), "at") == at
