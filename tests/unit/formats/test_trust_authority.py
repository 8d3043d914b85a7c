"""The one trust evaluation: every finding, every wrong subject, every window, in the order of design §4.3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.freshness import SNAPSHOT_AGED, SNAPSHOT_LIMIT
from passport_shared.formats.snapshot import Snapshot
from passport_shared.formats.trust import (
    AskFinding,
    Authority,
    Detail,
    Finding,
    authority,
    beyond,
    issuer_may_issue,
    may_ask,
    of_sandbox,
    status_uri_allowed,
)
from passport_shared.formats.x5c import Leaf, verify_chain
from passport_testkit.certificates import Authority as CertificateAuthority
from passport_testkit.clock import NOON
from passport_testkit.network import (
    CHRISTIE,
    MANCHESTER,
    YEAR_S,
    Documents,
    TrustRegistrySimulator,
    vct,
)

OTHER_ISSUER = "https://issuer.example/RXX"
IDENTITY = vct("StaffIdentity")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def network() -> TrustRegistrySimulator:
    simulator = TrustRegistrySimulator()
    simulator.enrol_issuer()
    simulator.enrol_issuer(OTHER_ISSUER, name="Heron Vale NHS Trust")
    simulator.enrol_verifier()
    return simulator


def chain(network: TrustRegistrySimulator, entity_id: str = CHRISTIE, use: str = "credential") -> list[str]:
    return network.entities[entity_id].issued(use).x5c


def judged(snapshot: Snapshot, x5c: Leaf | Sequence[str], **changes: Any) -> Authority:
    arguments: dict[str, Any] = {
        "iss": CHRISTIE,
        "use": "credential",
        "action": "issue",
        "vct": IDENTITY,
        "iat": NOON,
        "at": NOON,
        **changes,
    }
    return authority(snapshot, x5c, **arguments)


def outcome(result: Authority | AskFinding) -> tuple[Finding, Detail]:
    return result.finding, result.detail


# -- authorised ----------------------------------------------------------------


def test_the_right_signature_of_the_right_issuer_is_authorised(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    result = judged(snapshot, chain(network))
    assert outcome(result) == (Finding.AUTHORISED, Detail.EVERYTHING_MATCHES)
    assert result.may_be_relied_on
    assert result.leaf is not None
    assert result.leaf.san_uri == CHRISTIE
    assert result.mark is not None
    assert result.mark.sub == CHRISTIE
    assert result.authorization is not None
    assert result.authorization.vct == IDENTITY


def test_the_result_states_sequence_and_age(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    result = judged(snapshot, chain(network), at=NOON + 5 * HOUR)
    assert (result.sequence, result.age) == (snapshot.sequence, 5 * HOUR)


def test_a_leaf_already_checked_is_judged_like_its_header(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    leaf = verify_chain(chain(network), snapshot.roots, at=NOON)
    assert judged(snapshot, leaf) == judged(snapshot, chain(network))


def test_status_lists_and_requests_have_their_own_leaves(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    status = judged(snapshot, chain(network, use="status"), use="status", vct=None)
    assert outcome(status) == (Finding.AUTHORISED, Detail.EVERYTHING_MATCHES)
    request = judged(
        snapshot, chain(network, MANCHESTER, "request"), iss=MANCHESTER, use="request", action="ask", vct=None
    )
    assert outcome(request) == (Finding.AUTHORISED, Detail.EVERYTHING_MATCHES)


def test_a_day_of_the_placement_is_judged_with_the_age_of_today(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    last_day = NOON + timedelta(days=60)
    result = judged(snapshot, chain(network), at=last_day, now=NOON + HOUR)
    assert outcome(result) == (Finding.AUTHORISED, Detail.EVERYTHING_MATCHES)
    assert judged(snapshot, chain(network), at=last_day).finding is Finding.REGISTRY_STALE


# -- wrong subject ----------------------------------------------------------------


def test_a_genuine_leaf_of_another_issuer_does_not_sign_for_this_one(network: TrustRegistrySimulator) -> None:
    result = judged(network.snapshot(), chain(network, OTHER_ISSUER))
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.LEAF_OF_ANOTHER_ENTITY)
    assert result.mark is None, "nothing of the wrong entity is looked up"


def test_the_name_of_another_issuer_does_not_lend_its_authority(network: TrustRegistrySimulator) -> None:
    result = judged(network.snapshot(), chain(network), iss=OTHER_ISSUER)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.LEAF_OF_ANOTHER_ENTITY)


def test_a_mark_of_another_is_refused_with_its_entity(network: TrustRegistrySimulator) -> None:
    def edit(documents: Documents) -> None:
        documents["entities"]["entities"][0]["trust_marks"] = [network.mark(OTHER_ISSUER)]

    result = judged(network.snapshot(network.publish(edit=edit)), chain(network))
    assert outcome(result) == (Finding.UNKNOWN_ENTITY, Detail.STATEMENT_INVALID)


def test_the_mark_is_compared_once_more_where_it_is_used(
    network: TrustRegistrySimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = network.snapshot()
    other = snapshot.mark_for(OTHER_ISSUER)
    monkeypatch.setattr(snapshot, "mark_for", lambda *_args, **_more: other)
    result = judged(snapshot, chain(network))
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.MARK_OF_ANOTHER_ENTITY)


LOOK_ALIKES = [
    "https://issuer.example/RBV/",
    "https://issuer.example/rbv",
    "https://ISSUER.example/RBV",
    "https://issuer.example//RBV",
    "https://issuer.example/RBV?",
    "https://issuer.example/RBV#",
    "https://issuer.example:443/RBV",
    "https://issuer.example./RBV",
    "https://issuer.example/%52BV",
    "https://issuer.example/RBV%20",
    "https://issuer.example/x/../RBV",
    "http://issuer.example/RBV",
    "https://user@issuer.example/RBV",
    "https://іssuer.example/RBV",
    "https://issuer.example.evil.example/RBV",
    "",
]


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_a_look_alike_name_with_a_genuine_leaf_is_refused(network: TrustRegistrySimulator, name: str) -> None:
    result = judged(network.snapshot(), chain(network), iss=name)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.LEAF_OF_ANOTHER_ENTITY)


@pytest.mark.parametrize(
    "name", [name for name in LOOK_ALIKES if name.startswith("https") and name.isascii()]
)
def test_a_look_alike_with_a_leaf_of_its_own_is_unknown(network: TrustRegistrySimulator, name: str) -> None:
    issued = network.authority.leaf(entity_id=name)
    result = judged(network.snapshot(), issued.x5c, iss=name)
    assert outcome(result) == (Finding.UNKNOWN_ENTITY, Detail.NOT_LISTED)


def test_a_leaf_of_the_network_that_is_not_pinned_is_refused(network: TrustRegistrySimulator) -> None:
    stray = network.authority.leaf(entity_id=CHRISTIE)
    result = judged(network.snapshot(), stray.x5c)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.NOT_PINNED)


def test_another_certificate_over_a_pinned_key_is_refused(network: TrustRegistrySimulator) -> None:
    twin = network.authority.leaf(network.entities[CHRISTIE].issued("credential").key, entity_id=CHRISTIE)
    result = judged(network.snapshot(), twin.x5c)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.NOT_PINNED)


@pytest.mark.parametrize(
    ("entity_id", "pinned", "used", "action"),
    [
        (CHRISTIE, "credential", "status", "issue"),
        (CHRISTIE, "status", "credential", "issue"),
        (CHRISTIE, "credential", "request", "issue"),
        (MANCHESTER, "request", "credential", "ask"),
        (MANCHESTER, "request", "status", "ask"),
    ],
)
def test_a_leaf_pinned_for_another_use_is_refused(
    network: TrustRegistrySimulator, entity_id: str, pinned: str, used: str, action: str
) -> None:
    leaf = chain(network, entity_id, pinned)
    result = judged(network.snapshot(), leaf, iss=entity_id, use=used, action=action)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.PINNED_FOR_ANOTHER_USE)


def test_a_verifier_does_not_issue_and_an_issuer_does_not_ask(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    verifier = judged(snapshot, chain(network, MANCHESTER, "request"), iss=MANCHESTER, use="request")
    assert outcome(verifier) == (Finding.NOT_AUTHORISED, Detail.NO_MARK)
    issuer = judged(snapshot, chain(network), action="ask")
    assert outcome(issuer) == (Finding.NOT_AUTHORISED, Detail.NO_MARK)
    other = judged(snapshot, chain(network), action="bless")
    assert outcome(other) == (Finding.NOT_AUTHORISED, Detail.NO_MARK)


# -- unknown ------------------------------------------------------------------------


def test_a_stranger_with_a_network_of_his_own_is_unknown(network: TrustRegistrySimulator) -> None:
    stranger = CertificateAuthority.create().leaf(entity_id="https://stranger.example/ZZZ")
    result = judged(network.snapshot(), stranger.x5c, iss="https://stranger.example/ZZZ")
    assert outcome(result) == (Finding.UNKNOWN_ENTITY, Detail.CHAIN_NOT_TRUSTED)


def test_a_stranger_under_a_known_name_is_not_authorised(network: TrustRegistrySimulator) -> None:
    stranger = CertificateAuthority.create().leaf(entity_id=CHRISTIE)
    result = judged(network.snapshot(), stranger.x5c)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.CHAIN_NOT_TRUSTED)


@pytest.mark.parametrize("x5c", [[], ["AAAA"], ["not base64", "at all"], ["AAAA"] * 9])
def test_junk_for_a_chain_is_a_finding_not_an_error(network: TrustRegistrySimulator, x5c: list[str]) -> None:
    assert outcome(judged(network.snapshot(), x5c)) == (Finding.NOT_AUTHORISED, Detail.CHAIN_NOT_TRUSTED)


def test_an_entity_that_left_is_unknown(network: TrustRegistrySimulator) -> None:
    leaf = chain(network)
    network.leave(CHRISTIE)
    assert outcome(judged(network.snapshot(), leaf)) == (Finding.UNKNOWN_ENTITY, Detail.NOT_LISTED)


def test_an_entity_whose_statement_does_not_verify_is_unknown_and_others_stay(
    network: TrustRegistrySimulator,
) -> None:
    def edit(documents: Documents) -> None:
        documents["entities"]["entities"][0]["statement"] = network.statement(OTHER_ISSUER)

    snapshot = network.snapshot(network.publish(edit=edit))
    assert outcome(judged(snapshot, chain(network))) == (Finding.UNKNOWN_ENTITY, Detail.STATEMENT_INVALID)
    other = judged(snapshot, chain(network, OTHER_ISSUER), iss=OTHER_ISSUER)
    assert other.finding is Finding.AUTHORISED


def test_an_entity_without_a_mark_may_do_nothing(network: TrustRegistrySimulator) -> None:
    def edit(documents: Documents) -> None:
        documents["entities"]["entities"][0]["trust_marks"] = []

    snapshot = network.snapshot(network.publish(edit=edit))
    assert outcome(judged(snapshot, chain(network))) == (Finding.NOT_AUTHORISED, Detail.NO_MARK)


# -- keys: windows, rotation, compromise -------------------------------------------------


@pytest.mark.parametrize(
    ("iat", "detail"),
    [
        (NOON - DAY - timedelta(seconds=1), Detail.SIGNED_OUTSIDE_KEY_WINDOW),
        (NOON - DAY, Detail.EVERYTHING_MATCHES),
        (NOON, Detail.EVERYTHING_MATCHES),
        (NOON + timedelta(days=365), Detail.EVERYTHING_MATCHES),
        (NOON + timedelta(days=365, seconds=1), Detail.SIGNED_OUTSIDE_KEY_WINDOW),
    ],
)
def test_a_key_signs_inside_its_window(
    network: TrustRegistrySimulator, iat: datetime, detail: Detail
) -> None:
    wide = replace(
        network.authorization("issue", IDENTITY), valid_from=NOON - 9 * DAY, valid_until=NOON + 900 * DAY
    )
    network.grant(CHRISTIE, [wide])
    assert judged(network.snapshot(), chain(network), iat=iat).detail is detail


def test_after_a_rotation_old_signatures_stand_and_new_ones_need_the_new_leaf(
    network: TrustRegistrySimulator,
) -> None:
    old = chain(network)
    network.clock.advance(10 * DAY)
    now = network.clock.now()
    new = network.rotate(CHRISTIE).x5c
    snapshot = network.snapshot()
    assert judged(snapshot, old, iat=NOON, at=now).finding is Finding.AUTHORISED
    assert judged(snapshot, old, iat=now, at=now).finding is Finding.AUTHORISED, "signed at the very switch"
    late = judged(snapshot, old, iat=now + timedelta(seconds=1), at=now)
    assert outcome(late) == (Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_KEY_WINDOW)
    assert judged(snapshot, new, iat=now, at=now).finding is Finding.AUTHORISED
    backdated = judged(snapshot, new, iat=NOON - DAY, at=now)
    assert outcome(backdated) == (Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_KEY_WINDOW)


def test_nothing_by_a_compromised_key_is_believed_whatever_its_iat(network: TrustRegistrySimulator) -> None:
    network.compromise(CHRISTIE)
    snapshot = network.snapshot()
    for iat in (NOON - DAY, NOON, NOON + DAY, NOON - 900 * DAY):
        assert outcome(judged(snapshot, chain(network), iat=iat)) == (
            Finding.KEY_COMPROMISED,
            Detail.PIN_COMPROMISED,
        )


def test_a_compromised_key_under_another_certificate_or_use_is_compromised(
    network: TrustRegistrySimulator,
) -> None:
    leaked = network.entities[CHRISTIE].issued("credential").key
    network.compromise(CHRISTIE)
    snapshot = network.snapshot()
    twin = network.authority.leaf(leaked, entity_id=CHRISTIE)
    assert judged(snapshot, twin.x5c).finding is Finding.KEY_COMPROMISED
    assert judged(snapshot, twin.x5c, use="status", vct=None).finding is Finding.KEY_COMPROMISED


def test_a_compromised_credential_key_does_not_take_the_status_key_with_it(
    network: TrustRegistrySimulator,
) -> None:
    network.compromise(CHRISTIE)
    result = judged(network.snapshot(), chain(network, use="status"), use="status", vct=None)
    assert result.finding is Finding.AUTHORISED


# -- authorisations ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        vct("CoreSkills"),
        vct("StaffIdentity", 2),
        f"{IDENTITY}/",
        IDENTITY.lower(),
        f"{IDENTITY}#integrity",
        "StaffIdentity",
        "",
        None,
    ],
)
def test_only_the_exact_type_counts(network: TrustRegistrySimulator, kind: str | None) -> None:
    result = judged(network.snapshot(), chain(network), vct=kind)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.TYPE_NOT_AUTHORISED)


@pytest.mark.parametrize(
    ("iat", "at", "detail"),
    [
        (NOON, NOON, Detail.EVERYTHING_MATCHES),
        (NOON, NOON + 10 * DAY - timedelta(seconds=1), Detail.EVERYTHING_MATCHES),
        (NOON, NOON + 10 * DAY, Detail.AUTHORISATION_NOT_IN_FORCE),
        (NOON, NOON - timedelta(seconds=1), Detail.AUTHORISATION_NOT_IN_FORCE),
        (NOON - timedelta(seconds=1), NOON, Detail.SIGNED_OUTSIDE_AUTHORISATION),
        (NOON + 10 * DAY, NOON, Detail.SIGNED_OUTSIDE_AUTHORISATION),
    ],
)
def test_an_authorisation_covers_the_day_of_signing_and_the_day_of_reliance(
    network: TrustRegistrySimulator, iat: datetime, at: datetime, detail: Detail
) -> None:
    window = replace(network.authorization("issue", IDENTITY), valid_from=NOON, valid_until=NOON + 10 * DAY)
    network.grant(CHRISTIE, [window])
    assert judged(network.snapshot(), chain(network), iat=iat, at=at, now=NOON).detail is detail


def test_two_windows_do_not_add_up(network: TrustRegistrySimulator) -> None:
    base = network.authorization("issue", IDENTITY)
    first = replace(base, valid_from=NOON - 9 * DAY, valid_until=NOON)
    second = replace(base, id="second", valid_from=NOON, valid_until=NOON + 9 * DAY)
    network.grant(CHRISTIE, [first, second])
    result = judged(network.snapshot(), chain(network), iat=NOON - HOUR, at=NOON)
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.AUTHORISATION_NOT_IN_FORCE)


@pytest.mark.parametrize(
    ("life", "detail"),
    [
        (timedelta(seconds=YEAR_S), Detail.EVERYTHING_MATCHES),
        (timedelta(seconds=YEAR_S + 1), Detail.VALIDITY_TOO_LONG),
        (None, Detail.EVERYTHING_MATCHES),
    ],
)
def test_a_credential_lives_no_longer_than_allowed(
    network: TrustRegistrySimulator, life: timedelta | None, detail: Detail
) -> None:
    exp = None if life is None else NOON + life
    assert judged(network.snapshot(), chain(network), exp=exp).detail is detail


def test_an_action_nobody_knows_permits_nothing(network: TrustRegistrySimulator) -> None:
    network.grant(CHRISTIE, [network.authorization("bless", IDENTITY)])
    result = judged(network.snapshot(), chain(network))
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.TYPE_NOT_AUTHORISED)


# -- standing ----------------------------------------------------------------------------------


def test_a_suspended_issuer_is_suspended_until_reinstated(network: TrustRegistrySimulator) -> None:
    network.suspend(CHRISTIE)
    suspended = judged(network.snapshot(), chain(network))
    assert outcome(suspended) == (Finding.SUSPENDED, Detail.MARK_SUSPENDED)
    assert not suspended.may_be_relied_on
    network.reinstate(CHRISTIE)
    assert judged(network.snapshot(), chain(network)).finding is Finding.AUTHORISED


def test_a_suspension_does_not_hide_a_wrong_type(network: TrustRegistrySimulator) -> None:
    network.suspend(CHRISTIE)
    result = judged(network.snapshot(), chain(network), vct=vct("CoreSkills"))
    assert result.finding is Finding.NOT_AUTHORISED


def test_a_revoked_mark_is_no_authority(network: TrustRegistrySimulator) -> None:
    network.revoke_mark(CHRISTIE)
    result = judged(network.snapshot(), chain(network))
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.MARK_REVOKED)


def test_a_mark_whose_status_cannot_be_read_is_unknown(network: TrustRegistrySimulator) -> None:
    def edit(documents: Documents) -> None:
        documents["status"]["status_lists"] = []

    result = judged(network.snapshot(network.publish(edit=edit)), chain(network))
    assert outcome(result) == (Finding.REGISTRY_STALE, Detail.MARK_STATUS_UNAVAILABLE)


def test_an_administrative_suspension_leaves_what_was_signed(network: TrustRegistrySimulator) -> None:
    network.clock.advance(DAY)
    now = network.clock.now()
    network.close(CHRISTIE)
    snapshot = network.snapshot()
    assert judged(snapshot, chain(network), iat=NOON, at=now).finding is Finding.AUTHORISED
    new = judged(snapshot, chain(network), iat=now, at=now)
    assert outcome(new) == (Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_AUTHORISATION)
    assert outcome(issuer_may_issue(snapshot, CHRISTIE, IDENTITY, now)) == (
        Finding.NOT_AUTHORISED,
        Detail.SIGNED_OUTSIDE_AUTHORISATION,
    )


def test_a_former_issuers_credentials_stay_usable_inside_their_time(network: TrustRegistrySimulator) -> None:
    network.clock.advance(DAY)
    now = network.clock.now()
    network.withdraw(CHRISTIE)
    snapshot = network.snapshot()
    before = judged(snapshot, chain(network), iat=NOON, at=now)
    assert outcome(before) == (Finding.FORMER, Detail.FORMER_ISSUER)
    assert before.may_be_relied_on
    after = judged(snapshot, chain(network), iat=now + timedelta(seconds=1), at=now)
    assert outcome(after) == (Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_KEY_WINDOW)
    status = judged(snapshot, chain(network, use="status"), use="status", vct=None, iat=now, at=now)
    assert status.finding is Finding.FORMER, "its status lists can still be read"
    assert issuer_may_issue(snapshot, CHRISTIE, IDENTITY, now).finding is Finding.FORMER


# -- the age of the snapshot -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "finding", "detail"),
    [
        (timedelta(0), Finding.AUTHORISED, Detail.EVERYTHING_MATCHES),
        (SNAPSHOT_AGED, Finding.AUTHORISED, Detail.EVERYTHING_MATCHES),
        (SNAPSHOT_AGED + timedelta(seconds=1), Finding.REGISTRY_STALE, Detail.SNAPSHOT_TOO_OLD),
        (SNAPSHOT_LIMIT - timedelta(seconds=1), Finding.REGISTRY_STALE, Detail.SNAPSHOT_TOO_OLD),
        (SNAPSHOT_LIMIT, Finding.REGISTRY_STALE, Detail.SNAPSHOT_EXPIRED),
        (timedelta(days=400), Finding.REGISTRY_STALE, Detail.SNAPSHOT_EXPIRED),
        (timedelta(hours=-1), Finding.REGISTRY_STALE, Detail.SNAPSHOT_EXPIRED),
    ],
)
def test_what_an_old_snapshot_still_says(
    network: TrustRegistrySimulator, age: timedelta, finding: Finding, detail: Detail
) -> None:
    snapshot = network.snapshot()
    assert outcome(judged(snapshot, chain(network), now=NOON + age)) == (finding, detail)
    assert outcome(issuer_may_issue(snapshot, CHRISTIE, IDENTITY, NOON, now=NOON + age)) == (finding, detail)
    asked = may_ask(snapshot, MANCHESTER, IDENTITY, [], "SERVICE_NEED_URGENT", NOON, now=NOON + age)
    assert outcome(asked) == (finding, detail)


def test_what_is_wrong_stays_wrong_in_an_old_snapshot(network: TrustRegistrySimulator) -> None:
    network.compromise(OTHER_ISSUER)
    network.suspend(CHRISTIE)
    snapshot = network.snapshot()
    old = NOON + timedelta(hours=30)
    compromised = judged(snapshot, chain(network, OTHER_ISSUER), iss=OTHER_ISSUER, now=old)
    assert compromised.finding is Finding.KEY_COMPROMISED
    assert judged(snapshot, chain(network), now=old).finding is Finding.SUSPENDED
    assert judged(snapshot, chain(network), vct="x", now=old).finding is Finding.NOT_AUTHORISED


# -- may an issuer issue ------------------------------------------------------------------------------


def test_an_issuer_issues_while_its_own_mark_allows_it(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    assert issuer_may_issue(snapshot, CHRISTIE, IDENTITY, NOON).finding is Finding.AUTHORISED
    assert outcome(issuer_may_issue(snapshot, CHRISTIE, vct("CoreSkills"), NOON)) == (
        Finding.NOT_AUTHORISED,
        Detail.TYPE_NOT_AUTHORISED,
    )
    assert outcome(issuer_may_issue(snapshot, MANCHESTER, IDENTITY, NOON)) == (
        Finding.NOT_AUTHORISED,
        Detail.NO_MARK,
    )
    assert outcome(issuer_may_issue(snapshot, "https://issuer.example/ZZZ", IDENTITY, NOON)) == (
        Finding.UNKNOWN_ENTITY,
        Detail.NOT_LISTED,
    )


def test_an_issuer_signs_only_with_an_active_leaf(network: TrustRegistrySimulator) -> None:
    old = network.entities[CHRISTIE].pins[0].x5t_s256
    network.clock.advance(HOUR)
    now = network.clock.now()
    network.rotate(CHRISTIE)
    new = network.entities[CHRISTIE].pins[-1].x5t_s256
    status = network.entities[CHRISTIE].pins[1].x5t_s256
    snapshot = network.snapshot()
    assert issuer_may_issue(snapshot, CHRISTIE, IDENTITY, now, x5t_s256=new).finding is Finding.AUTHORISED
    for pin in (old, status, "unheard-of"):
        refused = issuer_may_issue(snapshot, CHRISTIE, IDENTITY, now, x5t_s256=pin)
        assert outcome(refused) == (Finding.NOT_AUTHORISED, Detail.NO_KEY_FOR_SIGNING)


def test_an_issuer_whose_only_key_is_compromised_or_ended_does_not_sign(
    network: TrustRegistrySimulator,
) -> None:
    long = replace(network.authorization("issue", IDENTITY), valid_until=NOON + 900 * DAY)
    network.grant(CHRISTIE, [long])
    after = NOON + timedelta(days=366)
    ended = issuer_may_issue(network.snapshot(), CHRISTIE, IDENTITY, after, now=NOON)
    assert outcome(ended) == (Finding.NOT_AUTHORISED, Detail.NO_KEY_FOR_SIGNING)
    network.compromise(CHRISTIE)
    compromised = issuer_may_issue(network.snapshot(), CHRISTIE, IDENTITY, NOON)
    assert outcome(compromised) == (Finding.NOT_AUTHORISED, Detail.NO_KEY_FOR_SIGNING)


@pytest.mark.parametrize(
    ("act", "finding"), [("suspend", Finding.SUSPENDED), ("revoke_mark", Finding.NOT_AUTHORISED)]
)
def test_a_suspended_or_revoked_issuer_does_not_issue(
    network: TrustRegistrySimulator, act: str, finding: Finding
) -> None:
    getattr(network, act)(CHRISTIE)
    assert issuer_may_issue(network.snapshot(), CHRISTIE, IDENTITY, NOON).finding is finding


# -- may a verifier ask --------------------------------------------------------------------------------


def asked(network: TrustRegistrySimulator, *paths: tuple[Any, ...], **changes: Any) -> AskFinding:
    arguments: dict[str, Any] = {
        "verifier_eid": MANCHESTER,
        "vct": IDENTITY,
        "claim_paths": paths,
        "purpose": "SERVICE_NEED_URGENT",
        "at": NOON,
        **changes,
    }
    return may_ask(network.snapshot(), **arguments)


def test_a_verifier_asks_what_its_mark_allows(network: TrustRegistrySimulator) -> None:
    result = asked(network, ("given_names",), ("birthdate",))
    assert outcome(result) == (Finding.AUTHORISED, Detail.EVERYTHING_MATCHES)
    assert result.too_much == ()
    assert asked(network).finding is Finding.AUTHORISED, "nothing selectively disclosable is asked for"


def test_over_asking_is_named(network: TrustRegistrySimulator) -> None:
    result = asked(network, ("given_names",), ("portrait",), ("email",), ("email",))
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.CLAIMS_NOT_AUTHORISED)
    assert result.too_much == (("portrait",), ("email",))


@pytest.mark.parametrize(
    ("changes", "finding", "detail"),
    [
        ({"vct": vct("CoreSkills")}, Finding.NOT_AUTHORISED, Detail.TYPE_NOT_AUTHORISED),
        ({"purpose": "HONORARY"}, Finding.NOT_AUTHORISED, Detail.PURPOSE_NOT_AUTHORISED),
        ({"purpose": ""}, Finding.NOT_AUTHORISED, Detail.PURPOSE_NOT_AUTHORISED),
        ({"verifier_eid": CHRISTIE}, Finding.NOT_AUTHORISED, Detail.NO_MARK),
        ({"verifier_eid": "https://verifier.example/ZZZ"}, Finding.UNKNOWN_ENTITY, Detail.NOT_LISTED),
        ({"at": NOON - 2 * DAY, "now": NOON}, Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_AUTHORISATION),
        ({"at": NOON + 365 * DAY, "now": NOON}, Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_AUTHORISATION),
    ],
)
def test_asking_outside_the_mark_is_refused(
    network: TrustRegistrySimulator, changes: dict[str, Any], finding: Finding, detail: Detail
) -> None:
    assert outcome(asked(network, ("given_names",), **changes)) == (finding, detail)


@pytest.mark.parametrize(
    ("act", "finding", "detail"),
    [
        ("suspend", Finding.SUSPENDED, Detail.MARK_SUSPENDED),
        ("revoke_mark", Finding.NOT_AUTHORISED, Detail.MARK_REVOKED),
        ("close", Finding.NOT_AUTHORISED, Detail.SIGNED_OUTSIDE_AUTHORISATION),
    ],
)
def test_a_verifier_without_standing_does_not_ask(
    network: TrustRegistrySimulator, act: str, finding: Finding, detail: Detail
) -> None:
    getattr(network, act)(MANCHESTER)
    assert outcome(asked(network, ("given_names",))) == (finding, detail)


def test_permissions_are_not_added_up(network: TrustRegistrySimulator) -> None:
    one = network.authorization(
        "ask", IDENTITY, claims=(("given_names",),), purposes=("SERVICE_NEED_URGENT",)
    )
    two = network.authorization("ask", IDENTITY, claims=(("birthdate",),), purposes=("SERVICE_NEED_URGENT",))
    three = network.authorization("ask", IDENTITY, claims=(("email",),), purposes=("HONORARY",))
    network.grant(MANCHESTER, [one, two, three])
    result = asked(network, ("given_names",), ("birthdate",))
    assert outcome(result) == (Finding.NOT_AUTHORISED, Detail.CLAIMS_NOT_AUTHORISED)
    assert len(result.too_much) == 1
    assert asked(network, ("email",)).finding is Finding.NOT_AUTHORISED


@pytest.mark.parametrize(
    ("allowed", "path", "inside"),
    [
        (("skills",), ("skills",), True),
        (("skills",), ("skills", "FS"), True),
        (("skills",), ("skills", "FS", "valid_until"), True),
        (("skills", "FS"), ("skills",), False),
        (("skills", "FS"), ("skills", "MH"), False),
        (("skills",), ("skillset",), False),
        (("sites", None), ("sites", None), True),
        (("sites", None), ("sites", 0), True),
        (("sites", None), ("sites",), False),
        (("sites", None), ("sites", "first"), False),
        (("sites", 0), ("sites", None), False),
        (("sites", 0), ("sites", 1), False),
        (("sites", 1), ("sites", 1, "name"), True),
        (("sites", "1"), ("sites", 1), False),
    ],
)
def test_an_allowed_path_contains_what_lies_below_it(
    allowed: tuple[Any, ...], path: tuple[Any, ...], inside: bool
) -> None:
    assert (beyond([path], [allowed]) == ()) is inside


PATHS = st.lists(st.sampled_from(["a", "b", None, 0, 1]), min_size=1, max_size=3).map(tuple)


@settings(max_examples=100, deadline=None)
@given(st.lists(PATHS, max_size=4), st.lists(PATHS, max_size=4))
def test_less_is_never_refused_when_more_is_allowed(asking: list[Any], allowed: list[Any]) -> None:
    too_much = beyond(asking, allowed)
    assert set(too_much) <= set(asking)
    assert beyond(asking, [*allowed, *too_much]) == ()
    assert beyond([path for path in asking if path not in too_much], allowed) == ()


# -- status list prefix ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "allowed"),
    [
        (f"{CHRISTIE}/statuslists/AAAAAAAAAAAAAAAAAAAAAA", True),
        (f"{CHRISTIE}/statuslists/", False),
        (f"{CHRISTIE}/statuslists", False),
        (f"{CHRISTIE}/statuslistsX/a", False),
        (f"{CHRISTIE}/statuslists/../../RXX/statuslists/a", False),
        (f"{CHRISTIE}/statuslists/a/b", False),
        (f"{CHRISTIE}/statuslists/a?b", False),
        (f"{CHRISTIE}/statuslists/a#b", False),
        (f"{CHRISTIE}/statuslists/%2e%2e", False),
        (f"{CHRISTIE}/statuslists/a\n", False),
        (f"{CHRISTIE}/statuslists/" + "a" * 129, False),
        (f"{OTHER_ISSUER}/statuslists/a", False),
        ("https://issuer.example/rbv/statuslists/a", False),
        ("http://issuer.example/RBV/statuslists/a", False),
        ("https://issuer.example@evil.example/RBV/statuslists/a", False),
        ("", False),
    ],
)
def test_a_status_list_lies_directly_below_the_prefix(
    network: TrustRegistrySimulator, uri: str, allowed: bool
) -> None:
    mark = network.snapshot().mark_for(CHRISTIE)
    assert mark is not None
    assert status_uri_allowed(mark, uri) is allowed


def test_a_verifier_has_no_status_lists(network: TrustRegistrySimulator) -> None:
    mark = network.snapshot().mark_for(MANCHESTER)
    assert mark is not None
    assert not status_uri_allowed(mark, f"{MANCHESTER}/statuslists/a")


# -- properties -----------------------------------------------------------------------------------------

ACTS: list[Callable[[TrustRegistrySimulator], object]] = [
    lambda network: network.suspend(CHRISTIE),
    lambda network: network.reinstate(CHRISTIE),
    lambda network: network.close(CHRISTIE),
    lambda network: network.compromise(CHRISTIE),
    lambda network: network.rotate(CHRISTIE),
    lambda network: network.withdraw(CHRISTIE),
    lambda network: network.revoke_mark(CHRISTIE),
    lambda network: network.clock.advance(HOUR),
]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(range(len(ACTS))), max_size=6))
def test_whatever_happens_a_compromised_key_and_a_stranger_are_never_believed(acts: list[int]) -> None:
    network = TrustRegistrySimulator()
    network.enrol_issuer()
    first = chain(network)
    compromised = False
    for act in acts:
        compromised = compromised or (act == 3 and chain(network) == first)
        ACTS[act](network)
    snapshot = network.snapshot()
    now = network.clock.now()
    result = judged(snapshot, first, iat=NOON, at=now)
    if compromised:
        assert result.finding is Finding.KEY_COMPROMISED
    stranger = CertificateAuthority.create().leaf(entity_id=CHRISTIE)
    assert not judged(snapshot, stranger.x5c, iat=NOON, at=now).may_be_relied_on


def test_every_finding_has_been_reached(network: TrustRegistrySimulator) -> None:
    reached = set()
    reached.add(judged(network.snapshot(), chain(network)).finding)
    reached.add(judged(network.snapshot(), chain(network), vct="x").finding)
    reached.add(judged(network.snapshot(), chain(network), now=NOON + timedelta(days=4)).finding)
    network.suspend(CHRISTIE)
    reached.add(judged(network.snapshot(), chain(network)).finding)
    network.withdraw(CHRISTIE)
    reached.add(judged(network.snapshot(), chain(network), iat=NOON - HOUR).finding)
    network.compromise(CHRISTIE)
    reached.add(judged(network.snapshot(), chain(network)).finding)
    leaf = chain(network)
    network.leave(CHRISTIE)
    reached.add(judged(network.snapshot(), leaf).finding)
    assert reached == set(Finding)


# -- sandbox -----------------------------------------------------------------------------------------------


def test_a_trust_does_not_rely_on_a_sandbox(network: TrustRegistrySimulator) -> None:
    network.make_sandbox(CHRISTIE)
    snapshot = network.snapshot()
    assert outcome(judged(snapshot, chain(network))) == (Finding.NOT_AUTHORISED, Detail.SANDBOX)
    assert outcome(judged(snapshot, chain(network), sandbox=True)) == (
        Finding.AUTHORISED,
        Detail.EVERYTHING_MATCHES,
    )


def test_a_sandbox_does_not_rely_on_a_trust(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    assert outcome(judged(snapshot, chain(network), sandbox=True)) == (
        Finding.NOT_AUTHORISED,
        Detail.NOT_SANDBOX,
    )


def test_a_wallet_takes_either_and_sees_which(network: TrustRegistrySimulator) -> None:
    network.make_sandbox(CHRISTIE)
    snapshot = network.snapshot()
    for issuer, sandbox in ((CHRISTIE, True), (OTHER_ISSUER, False)):
        result = judged(snapshot, chain(network, issuer), iss=issuer, sandbox=None)
        assert result.finding is Finding.AUTHORISED
        assert of_sandbox(snapshot, issuer, now=NOON) is sandbox


def test_an_entity_without_a_mark_is_no_sandbox(network: TrustRegistrySimulator) -> None:
    assert not of_sandbox(network.snapshot(), "https://issuer.example/NOBODY", now=NOON)
