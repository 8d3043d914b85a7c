"""The snapshot: what a stranger or a broken registry may serve, and what a reader must keep refusing.

The cases of TUF (rollback, freeze, mix-and-match, fast-forward, key compromise) are named after them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats import jose, strict
from passport_shared.formats.federation import FederationError, FederationReason, public_jwks
from passport_shared.formats.freshness import (
    REGISTRY_STATUS_LIST_LIFETIME,
    SNAPSHOT_LIFETIME,
    STATEMENT_LIFETIME,
    STATEMENT_RENEWAL,
    Freshness,
    StatusFreshness,
    freshness,
    status_freshness,
)
from passport_shared.formats.snapshot import (
    MANIFEST_TYP,
    MarkStanding,
    Snapshot,
    SnapshotError,
    SnapshotReason,
    TrustFile,
    TrustFileError,
    TrustFileReason,
    check_part,
    manifest_hash,
    next_sequence,
    part_name,
    verify_manifest,
)
from passport_testkit.certificates import Authority
from passport_testkit.clock import NOON
from passport_testkit.keys import key, private_jwk
from passport_testkit.network import (
    ANCHOR,
    CHRISTIE,
    MANCHESTER,
    Documents,
    Published,
    TrustRegistrySimulator,
    vct,
)

Claims = dict[str, Any]


@pytest.fixture
def network() -> TrustRegistrySimulator:
    simulator = TrustRegistrySimulator()
    simulator.enrol_issuer()
    simulator.enrol_verifier()
    simulator.agree("RBV", "R0A")
    simulator.types[vct("StaffIdentity")] = "ab" * 32
    return simulator


def refused(act: Callable[[], object]) -> SnapshotReason:
    with pytest.raises(SnapshotError) as caught:
        act()
    return caught.value.reason


def reworded(
    network: TrustRegistrySimulator, published: Published, typ: str = MANIFEST_TYP, **claims: Any
) -> Published:
    """The same manifest with other claims under a right signature; `...` drops one."""
    words = {**jose.parse(published.manifest).claims, **claims}
    words = {name: value for name, value in words.items() if value is not ...}
    return replace(published, manifest=jose.sign(words, network.key, typ=typ))


# -- a right snapshot ------------------------------------------------------------------------------


def test_a_right_snapshot_answers(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    assert snapshot.entity_ids == (CHRISTIE, MANCHESTER)
    entity = snapshot.entity(CHRISTIE)
    assert entity is not None
    assert entity.organisation.ods_code == "RBV"
    mark = snapshot.mark_for(CHRISTIE)
    assert mark is not None
    assert mark.sub == CHRISTIE
    assert snapshot.mark_status(mark) is MarkStanding.VALID
    assert snapshot.types == {vct("StaffIdentity"): "ab" * 32}
    assert snapshot.roots == (network.authority.root_der,)
    assert snapshot.registry == ANCHOR


def test_identifiers_are_compared_as_strings(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    for other in (f"{CHRISTIE}/", CHRISTIE.lower(), f"{CHRISTIE}?", "https://issuer.example:443/RBV", ""):
        assert snapshot.entity(other) is None
        assert snapshot.mark_for(other) is None


def test_agreements_are_found_by_parties_and_day(network: TrustRegistrySimulator) -> None:
    network.agree("RBV", "R0A", effective="2026-10-01", expires="2026-10-31")
    snapshot = network.snapshot()
    count = {
        date(2026, 8, 30): 0,
        date(2026, 8, 31): 1,
        date(2026, 10, 1): 2,
        date(2026, 10, 31): 2,
        date(2026, 11, 1): 1,
    }
    for day, expected in count.items():
        assert len(snapshot.agreements_between("R0A", "RBV", day)) == expected, day
    assert snapshot.agreements_between("RBV", "RXX", date(2026, 10, 1)) == ()


def test_large_kinds_are_sharded(network: TrustRegistrySimulator) -> None:
    documents = network.documents()
    first, second = documents["entities"]["entities"]
    documents["entities"]["entities"] = [first]
    documents["entities-1"] = {"entities": [second]}
    documents["later-kind"] = {"anything": []}
    parts = {name: strict.dumps(document) for name, document in documents.items()}
    assert network.snapshot(network.publish_parts(parts)).entity_ids == (CHRISTIE, MANCHESTER)


def test_statements_outlive_every_snapshot_that_carries_them() -> None:
    assert STATEMENT_LIFETIME - STATEMENT_RENEWAL >= SNAPSHOT_LIFETIME
    assert REGISTRY_STATUS_LIST_LIFETIME >= SNAPSHOT_LIFETIME


# -- the manifest ----------------------------------------------------------------------------------


def test_rollback_to_an_older_manifest_is_refused(network: TrustRegistrySimulator) -> None:
    old = network.publish()
    network.clock.advance(timedelta(minutes=5))
    new = network.verify(network.publish())
    assert refused(lambda: network.verify(old, last_sequence=new.sequence, last_hash=new.hash)) is (
        SnapshotReason.ROLLED_BACK
    )


def test_the_same_sequence_with_another_content_is_a_fork(network: TrustRegistrySimulator) -> None:
    published = network.publish()
    seen = network.verify(published)
    again = network.verify(published, last_sequence=seen.sequence, last_hash=seen.hash)
    assert again == seen, "polling the same manifest is no fork"
    other = reworded(network, published, prev="ab" * 32)
    assert refused(lambda: network.verify(other, last_sequence=seen.sequence, last_hash=seen.hash)) is (
        SnapshotReason.FORKED
    )


def test_freeze_ends_with_the_manifest(network: TrustRegistrySimulator) -> None:
    published = network.publish()
    just = network.clock.now() + SNAPSHOT_LIFETIME
    assert network.verify(published, just - timedelta(seconds=1)).exp == just
    assert refused(lambda: network.verify(published, just)) is SnapshotReason.EXPIRED


def test_freeze_cannot_be_bought_with_a_long_life(network: TrustRegistrySimulator) -> None:
    published = network.publish(exp=NOON + timedelta(days=30))
    assert refused(lambda: network.verify(published)) is SnapshotReason.LIVES_TOO_LONG


def test_fast_forward_is_refused(network: TrustRegistrySimulator) -> None:
    for sequence in (int(NOON.timestamp()) + 3_601, 2**53 - 1):
        published = network.publish(sequence=sequence)
        assert refused(partial(network.verify, published)) is SnapshotReason.FAST_FORWARDED


def test_a_manifest_from_the_future_is_refused(network: TrustRegistrySimulator) -> None:
    published = network.publish()
    assert network.verify(published, NOON - timedelta(seconds=60)).iat == NOON
    assert refused(lambda: network.verify(published, NOON - timedelta(seconds=61))) is (
        SnapshotReason.ISSUED_IN_FUTURE
    )


def test_a_stranger_cannot_publish(network: TrustRegistrySimulator) -> None:
    stranger = TrustRegistrySimulator()
    assert refused(lambda: network.verify(stranger.publish())) is SnapshotReason.UNKNOWN_KEY
    forged = reworded(network, network.publish())
    head, body, _ = forged.manifest.split(".")
    signature = reworded(stranger, network.publish()).manifest.split(".")[2]
    torn = replace(forged, manifest=f"{head}.{body}.{signature}")
    assert refused(lambda: network.verify(torn)) is SnapshotReason.NOT_AUTHENTIC


@pytest.mark.parametrize("typ", ["entity-statement+jwt", "JWT", "trust-mark+jwt", "statuslist+jwt", "at+jwt"])
def test_another_object_of_the_registry_is_no_manifest(network: TrustRegistrySimulator, typ: str) -> None:
    published = reworded(network, network.publish(), typ=typ)
    assert refused(lambda: network.verify(published)) is SnapshotReason.WRONG_TYP


PART = {"name": "status", "uri": f"{ANCHOR}/federation/parts/x", "sha256": "ab" * 32, "bytes": 10}
ROOT = base64.b64encode(b"der").decode()
BAD = SnapshotReason.BAD_CLAIM


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://other.example"}, SnapshotReason.WRONG_ISSUER),
        ({"iss": ...}, BAD),
        ({"iat": ...}, BAD),
        ({"exp": ...}, BAD),
        ({"exp": "tomorrow"}, BAD),
        ({"sequence": ...}, BAD),
        ({"sequence": 0}, BAD),
        ({"sequence": -1}, BAD),
        ({"sequence": True}, BAD),
        ({"sequence": "7"}, BAD),
        ({"sequence": 7.0}, BAD),
        ({"sequence": 2**53}, BAD),
        ({"prev": "short"}, BAD),
        ({"prev": "AB" * 32}, BAD),
        ({"prev": 1}, BAD),
        ({"x509_anchors": ...}, BAD),
        ({"x509_anchors": []}, BAD),
        ({"x509_anchors": ["***"]}, BAD),
        ({"x509_anchors": [1]}, BAD),
        ({"x509_anchors": [ROOT] * 17}, BAD),
        ({"parts": ...}, BAD),
        ({"parts": []}, BAD),
        ({"parts": [1]}, BAD),
        ({"parts": [PART] * 129}, BAD),
        ({"parts": [PART, PART]}, BAD),
        ({"parts": [{**PART, "name": ""}]}, BAD),
        ({"parts": [{**PART, "uri": "http://registry.example"}]}, BAD),
        ({"parts": [{**PART, "uri": None}]}, BAD),
        ({"parts": [{**PART, "sha256": "AB" * 32}]}, BAD),
        ({"parts": [{**PART, "sha256": "ab"}]}, BAD),
        ({"parts": [{**PART, "bytes": 0}]}, BAD),
        ({"parts": [{**PART, "bytes": True}]}, BAD),
        ({"parts": [{**PART, "bytes": 2**40}]}, BAD),
    ],
)
def test_a_malformed_manifest_is_refused(
    network: TrustRegistrySimulator, claims: Claims, reason: SnapshotReason
) -> None:
    published = reworded(network, network.publish(), **claims)
    assert refused(lambda: network.verify(published)) is reason


def test_the_sequence_never_goes_back_even_after_a_restored_backup() -> None:
    seconds = int(NOON.timestamp())
    assert next_sequence(None, NOON) == seconds
    assert next_sequence(seconds, NOON) == seconds + 1
    assert next_sequence(5, NOON) == seconds, "a restored backup starts from the time"
    assert next_sequence(seconds + 9, NOON) == seconds + 10


def test_each_manifest_names_the_one_before(network: TrustRegistrySimulator) -> None:
    first = network.publish()
    network.clock.advance(timedelta(minutes=1))
    second = network.verify(network.publish())
    assert network.verify(first).prev is None
    assert second.prev == manifest_hash(first.manifest) == network.verify(first).hash


# -- the parts -------------------------------------------------------------------------------------


def test_mix_and_match_of_two_snapshots_is_refused(network: TrustRegistrySimulator) -> None:
    old = network.publish()
    network.suspend(CHRISTIE)
    network.clock.advance(timedelta(minutes=1))
    new = network.publish()
    mixed = replace(new, parts={**new.parts, "status": old.parts["status"]})
    assert refused(lambda: network.snapshot(mixed)) in {
        SnapshotReason.PART_WRONG_HASH,
        SnapshotReason.PART_WRONG_SIZE,
    }


def test_a_changed_byte_and_a_missing_part_are_refused(network: TrustRegistrySimulator) -> None:
    published = network.publish()
    content = published.parts["types"]
    changed = replace(published, parts={**published.parts, "types": content[:-1] + b" "})
    assert refused(lambda: network.snapshot(changed)) is SnapshotReason.PART_WRONG_HASH
    longer = replace(published, parts={**published.parts, "types": content + b" "})
    assert refused(lambda: network.snapshot(longer)) is SnapshotReason.PART_WRONG_SIZE
    without = replace(published, parts={k: v for k, v in published.parts.items() if k != "types"})
    assert refused(lambda: network.snapshot(without)) is SnapshotReason.PART_MISSING


def test_a_part_is_checked_before_it_is_kept(network: TrustRegistrySimulator) -> None:
    published = network.publish()
    for part in network.verify(published).parts:
        check_part(part, published.parts[part.name])
        assert part.uri.endswith(part_name(published.parts[part.name]))
        assert refused(partial(check_part, part, b"x" * part.bytes)) is SnapshotReason.PART_WRONG_HASH


def edited(change: Callable[[Documents], object]) -> Callable[[Documents], None]:
    def edit(documents: Documents) -> None:
        change(documents)

    return edit


def replace_part(name: str, content: bytes) -> Callable[[TrustRegistrySimulator], Published]:
    def publish(network: TrustRegistrySimulator) -> Published:
        parts = {kind: strict.dumps(document) for kind, document in network.documents().items()}
        return network.publish_parts({**parts, name: content})

    return publish


def test_a_part_is_held_as_what_it_was_read_as(network: TrustRegistrySimulator) -> None:
    """Who has an earlier snapshot reads in the next one what somebody without one reads there."""
    parts = {kind: strict.dumps(document) for kind, document in network.documents().items()}
    named = {"later" if name == "types" else name: content for name, content in parts.items()}
    earlier = network.snapshot(network.publish_parts(named))
    assert not earlier.types
    published = network.publish_parts(parts)
    manifest = network.verify(published)
    fresh = Snapshot.load(manifest, published.parts, network.trust_file)
    after = Snapshot.load(manifest, published.parts, network.trust_file, before=earlier)
    assert after.types == fresh.types == {vct("StaffIdentity"): "ab" * 32}
    held = [part.name for part in manifest.parts if earlier.held_part(part) is not None]
    assert sorted(held) == sorted(parts.keys() - {"types"})


def test_a_part_of_a_size_it_has_not_is_refused_with_an_earlier_snapshot_too(
    network: TrustRegistrySimulator,
) -> None:
    earlier = network.snapshot()
    published = network.publish()
    manifest = network.verify(published)
    wrong = replace(manifest, parts=tuple(replace(part, bytes=part.bytes + 1) for part in manifest.parts))
    load = partial(Snapshot.load, wrong, published.parts, network.trust_file, before=earlier)
    assert refused(load) is SnapshotReason.PART_WRONG_SIZE


@pytest.mark.parametrize(
    "content", [b"[]", b"nonsense", b'{"types":1}', b'{"types":[],"types":[]}', b'{"a":NaN}']
)
def test_a_malformed_part_is_refused(network: TrustRegistrySimulator, content: bytes) -> None:
    published = replace_part("types", content)(network)
    assert refused(lambda: network.snapshot(published)) is SnapshotReason.PART_MALFORMED


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["entities"].pop("trust_anchor"), SnapshotReason.ANCHOR_INVALID),
        (lambda d: d["entities"].update(trust_anchor="a.b.c"), SnapshotReason.ANCHOR_INVALID),
        (lambda d: d["entities"].pop("entities"), SnapshotReason.PART_MALFORMED),
        (
            lambda d: d["entities"]["entities"].append(d["entities"]["entities"][0]),
            SnapshotReason.ENTITY_TWICE,
        ),
        (lambda d: d["entities"]["entities"].append({}), SnapshotReason.PART_MALFORMED),
        (lambda d: d["entities"]["entities"].append("x"), SnapshotReason.PART_MALFORMED),
        (lambda d: d["status"]["status_lists"].append({"uri": "x"}), SnapshotReason.PART_MALFORMED),
        (lambda d: d["types"]["types"].append({"vct": 1}), SnapshotReason.PART_MALFORMED),
        (lambda d: d["agreements"]["agreements"].append("x"), SnapshotReason.PART_MALFORMED),
        (lambda d: d["agreements"]["agreements"][0].update(effective="soon"), SnapshotReason.PART_MALFORMED),
        (lambda d: d["agreements"]["agreements"][0].update(parties="RBV"), SnapshotReason.PART_MALFORMED),
        (lambda d: d["agreements"]["agreements"][0].update(parties=[1]), SnapshotReason.PART_MALFORMED),
        (lambda d: d["agreements"]["agreements"][0].update(max_days="90"), SnapshotReason.PART_MALFORMED),
    ],
)
def test_a_part_that_says_the_wrong_thing_is_refused(
    network: TrustRegistrySimulator, change: Callable[[Documents], object], reason: SnapshotReason
) -> None:
    published = network.publish(edit=edited(change))
    assert refused(lambda: network.snapshot(published)) is reason


def test_an_anchor_that_names_no_status_key_is_refused(network: TrustRegistrySimulator) -> None:
    def edit(documents: Documents) -> None:
        claims = dict(jose.parse(documents["entities"]["trust_anchor"]).claims)
        del claims["metadata"]["federation_entity"]["staff_passport_status"]
        documents["entities"]["trust_anchor"] = jose.sign(claims, network.key, typ="entity-statement+jwt")

    assert refused(lambda: network.snapshot(network.publish(edit=edit))) is SnapshotReason.ANCHOR_INVALID


def test_a_root_needs_the_trust_file_and_the_manifest(network: TrustRegistrySimulator) -> None:
    other = Authority.create()
    withdrawn = network.publish(x509_anchors=[other.root_der])
    assert refused(lambda: network.snapshot(withdrawn)) is SnapshotReason.ROOTS_UNKNOWN
    added = network.publish(x509_anchors=[other.root_der, network.authority.root_der])
    assert network.snapshot(added).roots == (network.authority.root_der,)


# -- one bad entity does not take the others with it -----------------------------------------------


def entry(documents: Documents, entity_id: str) -> Claims:
    return next(e for e in documents["entities"]["entities"] if e["entity_id"] == entity_id)


def spoilt_statement(network: TrustRegistrySimulator, documents: Documents) -> None:
    entry(documents, CHRISTIE)["statement"] = network.statement(MANCHESTER)


def mark_of_another(network: TrustRegistrySimulator, documents: Documents) -> None:
    entry(documents, CHRISTIE)["trust_marks"] = [network.mark(CHRISTIE, sub=MANCHESTER)]


def mark_by_a_stranger(network: TrustRegistrySimulator, documents: Documents) -> None:
    entry(documents, CHRISTIE)["trust_marks"] = [network.mark(CHRISTIE, key=key("a stranger"))]


def statement_by_a_stranger(network: TrustRegistrySimulator, documents: Documents) -> None:
    stranger = TrustRegistrySimulator()
    stranger.enrol_issuer()
    entry(documents, CHRISTIE)["statement"] = stranger.statement(CHRISTIE)


def too_many_marks(network: TrustRegistrySimulator, documents: Documents) -> None:
    entry(documents, CHRISTIE)["trust_marks"] *= 5


@pytest.mark.parametrize(
    "spoil", [spoilt_statement, mark_of_another, mark_by_a_stranger, statement_by_a_stranger, too_many_marks]
)
def test_an_entity_that_does_not_verify_is_refused_alone(
    network: TrustRegistrySimulator, spoil: Callable[[TrustRegistrySimulator, Documents], None]
) -> None:
    snapshot = network.snapshot(network.publish(edit=lambda documents: spoil(network, documents)))
    assert refused(lambda: snapshot.entity(CHRISTIE)) is SnapshotReason.ENTITY_INVALID
    assert refused(lambda: snapshot.mark_for(CHRISTIE)) is SnapshotReason.ENTITY_INVALID
    assert snapshot.entity(MANCHESTER) is not None


def test_statement_and_mark_end_when_they_say(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    assert snapshot.entity(CHRISTIE) is not None
    after = NOON + STATEMENT_LIFETIME
    assert refused(lambda: snapshot.entity(CHRISTIE, now=after)) is SnapshotReason.ENTITY_INVALID


def test_an_expired_mark_is_no_mark(network: TrustRegistrySimulator) -> None:
    def edit(documents: Documents) -> None:
        entry(documents, CHRISTIE)["trust_marks"] = [network.mark(CHRISTIE, exp=NOON + timedelta(hours=1))]

    snapshot = network.snapshot(network.publish(edit=edit))
    assert snapshot.mark_for(CHRISTIE) is not None
    assert snapshot.mark_for(CHRISTIE, now=NOON + timedelta(hours=1)) is None


def test_the_current_mark_is_chosen_when_the_old_one_is_still_there(network: TrustRegistrySimulator) -> None:
    old = network.mark(CHRISTIE)
    network.clock.advance(timedelta(seconds=1))
    network.close(CHRISTIE)

    def edit(documents: Documents) -> None:
        entry(documents, CHRISTIE)["trust_marks"].insert(0, old)

    mark = network.snapshot(network.publish(edit=edit)).mark_for(CHRISTIE)
    assert mark is not None
    assert mark.jti == network.entities[CHRISTIE].jti


# -- the registry's own status list ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "standing"),
    [
        ("suspend", MarkStanding.SUSPENDED),
        ("revoke_mark", MarkStanding.INVALID),
        ("reinstate", MarkStanding.VALID),
    ],
)
def test_the_standing_of_a_mark_is_its_status(
    network: TrustRegistrySimulator, act: str, standing: MarkStanding
) -> None:
    getattr(network, act)(CHRISTIE)
    snapshot = network.snapshot()
    mark = snapshot.mark_for(CHRISTIE)
    assert mark is not None
    assert snapshot.mark_status(mark) is standing


def test_a_status_nobody_defined_is_invalid(network: TrustRegistrySimulator) -> None:
    network.status_list.set(network.entities[CHRISTIE].status_idx, 3)
    snapshot = network.snapshot()
    mark = snapshot.mark_for(CHRISTIE)
    assert mark is not None
    assert snapshot.mark_status(mark) is MarkStanding.INVALID


def standing_with(network: TrustRegistrySimulator, token: str, uri: str | None = None) -> MarkStanding:
    def edit(documents: Documents) -> None:
        documents["status"]["status_lists"] = [{"uri": uri or network.status_uri, "token": token}]

    snapshot = network.snapshot(network.publish(edit=edit))
    mark = snapshot.mark_for(CHRISTIE)
    assert mark is not None
    return snapshot.mark_status(mark)


def test_only_the_registrys_own_status_leaf_speaks(network: TrustRegistrySimulator) -> None:
    assert standing_with(network, network.status_token()) is MarkStanding.VALID
    tenant = network.entities[CHRISTIE].issued("status")
    by_tenant = network.status_token(key=tenant.key, x5c=tenant.x5c)
    assert standing_with(network, by_tenant) is MarkStanding.UNAVAILABLE
    spare = network.authority.leaf(entity_id=ANCHOR, dns=("registry.example",))
    by_another_leaf = network.status_token(key=spare.key, x5c=spare.x5c)
    assert standing_with(network, by_another_leaf) is MarkStanding.UNAVAILABLE
    stranger = Authority.create().leaf(entity_id=ANCHOR, dns=("registry.example",))
    by_stranger = network.status_token(key=stranger.key, x5c=stranger.x5c)
    assert standing_with(network, by_stranger) is MarkStanding.UNAVAILABLE
    without_chain = network.status_token(x5c=None)
    assert standing_with(network, without_chain) is MarkStanding.UNAVAILABLE


def test_a_list_under_another_name_or_past_its_end_says_nothing(network: TrustRegistrySimulator) -> None:
    other = network.status_token(uri=f"{ANCHOR}/statuslists/other")
    assert standing_with(network, other) is MarkStanding.UNAVAILABLE
    elsewhere = standing_with(network, network.status_token(), uri=f"{ANCHOR}/statuslists/other")
    assert elsewhere is MarkStanding.UNAVAILABLE
    snapshot = network.snapshot()
    mark = snapshot.mark_for(CHRISTIE)
    assert mark is not None
    later = NOON + REGISTRY_STATUS_LIST_LIFETIME
    assert snapshot.mark_status(mark, now=later) is MarkStanding.UNAVAILABLE


def test_an_index_beyond_the_list_says_nothing(network: TrustRegistrySimulator) -> None:
    network.entities[CHRISTIE].status_idx = 5_000
    snapshot = network.snapshot()
    mark = snapshot.mark_for(CHRISTIE)
    assert mark is not None
    assert snapshot.mark_status(mark) is MarkStanding.UNAVAILABLE


# -- the anchor rolls its key ----------------------------------------------------------------------


def load(network: TrustRegistrySimulator, trust: TrustFile) -> Snapshot:
    return network.snapshot(trust_file=trust)


def test_a_planned_roll_is_followed_from_snapshot_to_snapshot(network: TrustRegistrySimulator) -> None:
    old = network.key
    following = network.announce_next_key()
    announced = load(network, network.trust_file)
    network.switch_key(following)
    switched = load(network, announced.trust_file)
    assert switched.entity(CHRISTIE) is not None
    network.drop_old_keys()
    dropped = load(network, switched.trust_file)
    assert dropped.trust_file.jwks == public_jwks([following.public])
    network.key = old
    assert refused(lambda: load(network, dropped.trust_file)) is SnapshotReason.UNKNOWN_KEY


def test_a_new_key_nobody_announced_is_refused(network: TrustRegistrySimulator) -> None:
    network.switch_key(key("never announced"))
    assert refused(lambda: load(network, network.trust_file)) is SnapshotReason.UNKNOWN_KEY
    with pytest.raises(FederationError) as caught:
        network.trust_file.rolled(network.anchor_configuration(), NOON)
    assert caught.value.reason is FederationReason.ANCHOR_NOT_TRUSTED


def test_a_new_key_beside_the_pinned_one_needs_the_pinned_signature(network: TrustRegistrySimulator) -> None:
    thief = TrustRegistrySimulator(authority=network.authority)
    thief.enrol_issuer()
    thief.other_published_keys = [network.key.public]
    with pytest.raises(FederationError) as caught:
        network.trust_file.rolled(thief.anchor_configuration(), NOON)
    assert caught.value.reason is FederationReason.ANCHOR_NOT_TRUSTED


def test_a_manifest_by_the_right_key_with_an_anchor_by_another_is_refused(
    network: TrustRegistrySimulator,
) -> None:
    thief = TrustRegistrySimulator(authority=network.authority)
    published = network.publish(
        edit=edited(lambda documents: documents["entities"].update(trust_anchor=thief.anchor_configuration()))
    )
    assert refused(lambda: network.snapshot(published)) is SnapshotReason.ANCHOR_INVALID


# -- the trust file --------------------------------------------------------------------------------


def test_a_trust_file_reads_back(network: TrustRegistrySimulator) -> None:
    again = TrustFile.parse(network.trust_file.as_bytes())
    assert again == network.trust_file
    assert again.roots == (network.authority.root_der,)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"entity_id": ...}, TrustFileReason.MISSING_MEMBER),
        ({"jwks": ...}, TrustFileReason.MISSING_MEMBER),
        ({"x509_roots": ...}, TrustFileReason.MISSING_MEMBER),
        ({"snapshot_uri": ...}, TrustFileReason.MISSING_MEMBER),
        ({"vct_base": ...}, TrustFileReason.MISSING_MEMBER),
        ({"entity_id": "http://registry.example"}, TrustFileReason.BAD_ENTITY_ID),
        ({"entity_id": f"{ANCHOR}/"}, TrustFileReason.BAD_ENTITY_ID),
        ({"entity_id": 1}, TrustFileReason.BAD_ENTITY_ID),
        ({"jwks": {}}, TrustFileReason.BAD_JWKS),
        ({"jwks": {"keys": []}}, TrustFileReason.BAD_JWKS),
        ({"jwks": {"keys": [{**private_jwk(key("x")), "kid": "x"}]}}, TrustFileReason.BAD_JWKS),
        ({"x509_roots": []}, TrustFileReason.BAD_ROOTS),
        ({"x509_roots": "AAAA"}, TrustFileReason.BAD_ROOTS),
        ({"x509_roots": ["not base64!"]}, TrustFileReason.BAD_ROOTS),
        ({"x509_roots": [1]}, TrustFileReason.BAD_ROOTS),
        ({"x509_roots": [""]}, TrustFileReason.BAD_ROOTS),
        ({"snapshot_uri": "file:///etc/passwd"}, TrustFileReason.BAD_URI),
        ({"vct_base": "registry.example/vct"}, TrustFileReason.BAD_URI),
    ],
)
def test_a_trust_file_is_refused_by_name(
    network: TrustRegistrySimulator, change: Claims, reason: TrustFileReason
) -> None:
    document = {**strict.loads_object(network.trust_file.as_bytes()), **change}
    document = {name: value for name, value in document.items() if value is not ...}
    with pytest.raises(TrustFileError) as caught:
        TrustFile.parse(strict.dumps(document))
    assert caught.value.reason is reason


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe", b'{"a":1,"a":2}', b" " * 70_000])
def test_what_is_no_json_object_is_no_trust_file(content: bytes) -> None:
    with pytest.raises(TrustFileError) as caught:
        TrustFile.parse(content)
    assert caught.value.reason is TrustFileReason.MALFORMED


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=80) | st.text(max_size=80))
def test_any_trust_file_is_read_or_refused_by_name(content: bytes | str) -> None:
    with pytest.raises(TrustFileError):
        TrustFile.parse(content)


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=60))
def test_any_manifest_is_refused_by_name(content: str) -> None:
    trust = TrustFile(
        entity_id=ANCHOR,
        jwks=public_jwks([key("anchor").public]),
        x509_roots=(ROOT,),
        snapshot_uri=f"{ANCHOR}/federation/snapshot",
        vct_base=f"{ANCHOR}/vct",
    )
    with pytest.raises(SnapshotError):
        verify_manifest(content, trust, now=NOON)


# -- freshness, the one table of design §4.2 -------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "meaning"),
    [
        (timedelta(0), Freshness.FRESH),
        (timedelta(hours=1), Freshness.FRESH),
        (timedelta(hours=1, seconds=1), Freshness.AGED),
        (timedelta(hours=24), Freshness.AGED),
        (timedelta(hours=24, seconds=1), Freshness.UNKNOWN),
        (timedelta(hours=72), Freshness.UNKNOWN),
        (timedelta(hours=72, seconds=1), Freshness.REFUSE),
    ],
)
def test_what_the_age_of_a_snapshot_means(age: timedelta, meaning: Freshness) -> None:
    assert freshness(age) is meaning


@pytest.mark.parametrize(
    ("age", "left", "meaning"),
    [
        (timedelta(hours=1), timedelta(hours=1), StatusFreshness.FRESH),
        (timedelta(hours=1, seconds=1), timedelta(hours=1), StatusFreshness.STALE),
        (timedelta(hours=24), timedelta(seconds=1), StatusFreshness.STALE),
        (timedelta(hours=24), timedelta(0), StatusFreshness.UNAVAILABLE),
        (timedelta(0), timedelta(seconds=-1), StatusFreshness.UNAVAILABLE),
    ],
)
def test_what_the_age_of_a_status_list_means(
    age: timedelta, left: timedelta, meaning: StatusFreshness
) -> None:
    assert status_freshness(age, left) is meaning


def test_the_age_of_a_snapshot_is_counted_from_its_signature(network: TrustRegistrySimulator) -> None:
    snapshot = network.snapshot()
    assert snapshot.age(NOON - timedelta(seconds=30)) == timedelta(0)
    assert snapshot.age(NOON + timedelta(hours=2)) == timedelta(hours=2)
    assert snapshot.freshness(NOON + timedelta(hours=2)) is Freshness.AGED
    assert snapshot.freshness(NOON + SNAPSHOT_LIFETIME) is Freshness.REFUSE, "expired"
    assert snapshot.freshness(NOON - timedelta(hours=1)) is Freshness.REFUSE, "our clock is wrong"
