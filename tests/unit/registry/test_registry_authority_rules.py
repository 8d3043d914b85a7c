"""Who may be granted what, whose word counts, and what of it reaches the trust mark."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from passport_registry.rules.agreements import AgreementTerms, terms_faults
from passport_registry.rules.authorisations import (
    Action,
    Grant,
    grant_faults,
)
from passport_registry.rules.entities import Carries, Role, Suspension, standing
from passport_registry.rules.identifiers import entity_id_fault, is_ods_code
from passport_registry.rules.marks import Granted, active_issuing_key, mark_content
from passport_registry.rules.onboarding import Gate, GateName, Gates, Missing
from passport_shared.formats.trust_mark import Authorization, MarkRole, Organisation, PinnedKey
from passport_shared.wire.four_eyes import FourEyes, Voice, four_eyes

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
VCT = "https://registry.example/vct/StaffIdentity/1"
PATHS = {VCT: {("family_name",), ("given_name",), ("provenance", "verifier")}}


def issue(**changes: Any) -> Grant:
    members: dict[str, Any] = {
        "action": Action.ISSUE,
        "vct": VCT,
        "valid_from": NOW,
        "valid_until": NOW + timedelta(days=365),
        "max_validity_s": 31_536_000,
    }
    return Grant(**{**members, **changes})


def ask(**changes: Any) -> Grant:
    members: dict[str, Any] = {
        "action": Action.ASK,
        "max_validity_s": None,
        "claims": (("family_name",),),
        "purposes": ("URGENT_LIST",),
    }
    return issue(**{**members, **changes})


GRANT_FAULTS: list[tuple[str, Role, Grant, str]] = [
    ("issuer asks", Role.ISSUER, ask(), "action"),
    ("verifier issues", Role.VERIFIER, issue(), "action"),
    ("unknown type", Role.ISSUER, issue(vct="https://registry.example/vct/Nothing/1"), "vct"),
    ("ends before it starts", Role.ISSUER, issue(valid_until=NOW), "valid_until"),
    ("six years", Role.ISSUER, issue(valid_until=NOW + timedelta(days=2200)), "valid_until"),
    ("no longest validity", Role.ISSUER, issue(max_validity_s=None), "max_validity_s"),
    ("no time at all", Role.ISSUER, issue(max_validity_s=0), "max_validity_s"),
    ("over 24 months", Role.ISSUER, issue(max_validity_s=732 * 86_400), "max_validity_s"),
    ("issuing with purposes", Role.ISSUER, issue(purposes=("URGENT_LIST",)), "purposes"),
    ("issuing with claims", Role.ISSUER, issue(claims=(("family_name",),)), "claims"),
    (
        "test for a month",
        Role.ISSUER,
        issue(test=True, max_validity_s=60, valid_until=NOW + timedelta(days=30)),
        "valid_until",
    ),
    (
        "test credentials for a year",
        Role.ISSUER,
        issue(test=True, valid_until=NOW + timedelta(days=14)),
        "max_validity_s",
    ),
    ("asking with validity", Role.VERIFIER, ask(max_validity_s=1), "max_validity_s"),
    ("asking as a test", Role.VERIFIER, ask(test=True), "test"),
    ("asking for nothing", Role.VERIFIER, ask(claims=()), "claims"),
    (
        "asking for an unknown claim",
        Role.VERIFIER,
        ask(claims=(("family_name",), ("shoe_size",))),
        "claims/1",
    ),
    ("asking with an empty path", Role.VERIFIER, ask(claims=((),)), "claims/0"),
    ("asking for no purpose", Role.VERIFIER, ask(purposes=()), "purposes"),
    ("asking for a sentence", Role.VERIFIER, ask(purposes=("because we like to",)), "purposes/0"),
]


@pytest.mark.parametrize(
    ("role", "grant", "field"), [c[1:] for c in GRANT_FAULTS], ids=[c[0] for c in GRANT_FAULTS]
)
def test_a_grant_that_cannot_be_is_named(role, grant, field):
    assert field in [name for name, _ in grant_faults(grant, role=role, claim_paths=PATHS)]


def test_good_grants():
    assert grant_faults(issue(), role=Role.ISSUER, claim_paths=PATHS) == []
    short = issue(test=True, max_validity_s=86_400, valid_until=NOW + timedelta(days=14))
    assert grant_faults(short, role=Role.ISSUER, claim_paths=PATHS) == []
    assert grant_faults(ask(), role=Role.VERIFIER, claim_paths=PATHS) == []
    nested = ask(claims=(("provenance", "verifier"), ("provenance", None, "verifier")))
    assert grant_faults(nested, role=Role.VERIFIER, claim_paths=PATHS) == []


def voice(client: str, ref: str, *, person: bool = False) -> Voice:
    return Voice(client_id=client, person=person, ref=ref)


@pytest.mark.parametrize(
    ("proposed", "approved", "expected"),
    [
        (voice("ann", "ann", person=True), voice("bea", "bea", person=True), FourEyes.PERSONS),
        (voice("ann", "ann", person=True), voice("ann", "ann", person=True), None),
        (voice("hr", "p-1"), voice("hr", "p-2"), FourEyes.ASSERTED),
        (voice("hr", "p-1"), voice("hr", "p-1"), None),
        (voice("hr", "p-1"), voice("other", "p-1"), None),
        (voice("hr", "p-1"), voice("bea", "bea", person=True), FourEyes.ASSERTED),
        (voice("hr", "bea"), voice("bea", "bea", person=True), None),
    ],
)
def test_giving_authority_takes_two(proposed, approved, expected):
    assert four_eyes(proposed, approved) is expected
    assert four_eyes(approved, proposed) is expected


def gated(g2: bool = True, g3: bool = True, *, test_only: bool = False) -> Gates:
    shut = (Missing("TEST_ISSUE" if test_only else "DPIA", "Missing.", "trust"),)
    return Gates(
        g1=Gate(GateName.G1, ()),
        g2=Gate(GateName.G2, () if g2 else shut),
        g3=Gate(GateName.G3, () if g3 else shut),
    )


EARLIER = NOW - timedelta(days=30)
# role, gates, suspension, live since, closed at -> carries, live, closed at
STANDINGS: list[tuple[str, Role, Gates, Suspension | None, Any, Any, Carries, bool, Any]] = [
    ("first live", Role.ISSUER, gated(), None, None, None, Carries.ALL, True, None),
    ("never live", Role.ISSUER, gated(g3=False), None, None, None, Carries.NONE, False, None),
    (
        "in its test",
        Role.ISSUER,
        gated(g3=False, test_only=True),
        None,
        None,
        None,
        Carries.TEST_ONLY,
        False,
        None,
    ),
    (
        "suspended in its test",
        Role.ISSUER,
        gated(g3=False, test_only=True),
        Suspension.INTEGRITY,
        None,
        None,
        Carries.NONE,
        False,
        None,
    ),
    ("gate lost now", Role.ISSUER, gated(g3=False), None, EARLIER, None, Carries.ALL, False, NOW),
    ("gate lost before", Role.ISSUER, gated(g3=False), None, EARLIER, EARLIER, Carries.ALL, False, EARLIER),
    ("gate regained", Role.ISSUER, gated(), None, EARLIER, EARLIER, Carries.ALL, True, None),
    (
        "administrative",
        Role.ISSUER,
        gated(),
        Suspension.ADMINISTRATIVE,
        EARLIER,
        None,
        Carries.ALL,
        False,
        NOW,
    ),
    ("integrity", Role.ISSUER, gated(), Suspension.INTEGRITY, EARLIER, None, Carries.ALL, False, None),
    (
        "administrative before it was live",
        Role.ISSUER,
        gated(),
        Suspension.ADMINISTRATIVE,
        None,
        None,
        Carries.NONE,
        False,
        None,
    ),
    ("verifier live", Role.VERIFIER, gated(g3=False), None, None, None, Carries.ALL, True, None),
    (
        "verifier without G2",
        Role.VERIFIER,
        gated(g2=False, g3=False),
        None,
        EARLIER,
        None,
        Carries.NONE,
        False,
        None,
    ),
    (
        "verifier administrative",
        Role.VERIFIER,
        gated(),
        Suspension.ADMINISTRATIVE,
        EARLIER,
        None,
        Carries.NONE,
        False,
        None,
    ),
    (
        "verifier integrity",
        Role.VERIFIER,
        gated(),
        Suspension.INTEGRITY,
        EARLIER,
        None,
        Carries.ALL,
        False,
        None,
    ),
]


@pytest.mark.parametrize(
    ("role", "gates", "suspension", "since", "closed", "carries", "live", "closes"),
    [case[1:] for case in STANDINGS],
    ids=[case[0] for case in STANDINGS],
)
def test_standing_follows_from_gates_and_suspension(
    role, gates, suspension, since, closed, carries, live, closes
):
    found = standing(role, gates, suspension=suspension, live_since=since, issuing_closed_at=closed, now=NOW)
    assert (found.carries, found.live, found.issuing_closed_at) == (carries, live, closes)


def authorization(name: str = "a", **changes: Any) -> Authorization:
    members: dict[str, Any] = {
        "id": name,
        "action": "issue",
        "vct": VCT,
        "valid_from": NOW - timedelta(days=1),
        "valid_until": NOW + timedelta(days=1),
        "max_validity_s": 60,
    }
    return Authorization(**{**members, **changes})


def pin(use: str = "credential", **changes: Any) -> PinnedKey:
    members: dict[str, Any] = {
        "use": use,
        "x5t_s256": f"x5t-{use}",
        "jkt": f"jkt-{use}",
        "not_before": NOW - timedelta(days=1),
        "not_after_signing": NOW + timedelta(days=364),
    }
    return PinnedKey(**{**members, **changes})


def content(carries: Carries = Carries.ALL, closed: datetime | None = None, role: Role = Role.ISSUER) -> Any:
    granted = [
        Granted(authorization=authorization("b"), test=False),
        Granted(authorization=authorization("a"), test=True),
        Granted(authorization=authorization("ended", valid_until=NOW), test=False),
        Granted(authorization=authorization("withdrawn", issue_until=NOW - timedelta(hours=1)), test=False),
    ]
    found = standing(role, gated(), suspension=None, live_since=NOW, issuing_closed_at=None, now=NOW)
    return mark_content(
        entity_id="https://issuer.example/RBV",
        role=role,
        organisation=Organisation(ods_code="RBV", name="The Christie"),
        granted=granted,
        pins=[pin("status"), pin("credential")],
        standing=replace(found, carries=carries, issuing_closed_at=closed),
        now=NOW,
    )


def test_mark_carries_what_the_standing_lets_through():
    assert [entry.id for entry in content().authorizations] == ["a", "b", "withdrawn"]
    assert [entry.id for entry in content(Carries.TEST_ONLY).authorizations] == ["a"]
    assert content(Carries.NONE).authorizations == ()
    assert [key.use for key in content(Carries.NONE).keys] == ["credential", "status"]


def test_closing_ends_new_signatures_and_never_moves_an_earlier_end():
    closed = {entry.id: entry.issue_until for entry in content(closed=NOW).authorizations}
    assert closed == {"a": NOW, "b": NOW, "withdrawn": NOW - timedelta(hours=1)}


def test_only_issuers_name_status_lists():
    assert content().role is MarkRole.CREDENTIAL_ISSUER
    assert content().status_lists.prefix == "https://issuer.example/RBV/statuslists/"
    assert content(role=Role.VERIFIER).status_lists is None


def test_same_content_has_the_same_digest():
    assert content().digest() == content().digest()
    assert content().digest() != content(Carries.NONE).digest()
    assert content().digest() != content(closed=NOW).digest()


@pytest.mark.parametrize(
    ("pins", "expected"),
    [
        ([pin()], True),
        ([pin("status")], False),
        ([pin(state="retired")], False),
        ([pin(state="compromised")], False),
        ([pin(not_after_signing=NOW - timedelta(seconds=1))], False),
        ([], False),
    ],
)
def test_an_issuing_key_is_one_that_may_sign_credentials_now(pins, expected):
    assert active_issuing_key(pins, NOW) is expected


ENTITY_IDS: list[tuple[str, bool]] = [
    ("https://issuer.example/RBV", True),
    ("https://localhost:9001/RBV", True),
    ("https://hr.trust.example/passports/RBV", True),
    ("http://issuer.example/RBV", False),
    ("https://issuer.example/RBV/", False),
    ("https://issuer.example/rbv", False),
    ("https://issuer.example/R0A", False),
    ("https://issuer.example", False),
    ("https://issuer.example//RBV", False),
    ("https://issuer.example/../RBV", False),
    ("https://issuer.example/RBV?x=1", False),
    ("https://issuer.example/RBV#x", False),
    ("https://user@issuer.example/RBV", False),
    ("https://Issuer.example/RBV", False),
    ("https://issuer.example:443/RBV", False),
    ("https://issuer.example:port/RBV", False),
    ("https://192.0.2.1/RBV", False),
    ("https://[2001:db8::1]/RBV", False),
    ("https://issuer.example/%52BV", False),
    ("https://issuer.example\\RBV", False),
    ("https://issüer.example/RBV", False),
    ("https://-bad.example/RBV", False),
    ("https:///RBV", False),
    ("https://" + "a" * 250 + ".example/RBV", False),
]


@pytest.mark.parametrize(("text", "good"), ENTITY_IDS)
def test_entity_identifiers_need_no_normalisation(text, good):
    assert (entity_id_fault(text, "RBV") is None) is good


@pytest.mark.parametrize(
    ("text", "good"),
    [("RBV", True), ("R0A", True), ("rbv", False), ("RB", False), ("RBV\n", False), ("ＲＢＶ", False)],
)
def test_ods_codes(text, good):
    assert is_ods_code(text) is good


def terms(**changes: Any) -> AgreementTerms:
    members: dict[str, Any] = {
        "parties": ["RBV", "R0A"],
        "movement_types": ["URGENT_LIST"],
        "staff_groups": [],
        "max_days": 180,
        "effective": date(2026, 4, 1),
        "expires": date(2027, 3, 31),
    }
    return AgreementTerms(**{**members, **changes})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"parties": ["RBV", "RXX"]}, "parties/1"),
        ({"parties": ["RBV", "RBV"]}, "parties"),
        ({"movement_types": ["urgent list"]}, "movement_types/0"),
        ({"max_days": 0}, "max_days"),
        ({"max_days": 2000}, "max_days"),
        ({"expires": date(2026, 3, 31)}, "expires"),
    ],
)
def test_terms_that_cannot_be_are_named(changes, field):
    assert field in [name for name, _ in terms_faults(terms(**changes), {"RBV", "R0A"})]


def test_good_terms():
    assert terms_faults(terms(), {"RBV", "R0A"}) == []
    assert terms_faults(terms(expires=None, max_days=None), {"RBV", "R0A"}) == []
