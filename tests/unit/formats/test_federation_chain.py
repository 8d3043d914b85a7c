"""Trust chains and metadata policy: resolution against a pinned anchor, and every way a chain must break."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats import federation, jose
from passport_shared.formats.federation import (
    ENTITY_STATEMENT_TYP,
    FederationError,
    FederationReason,
    ResolvedTrustChain,
    apply_policy,
    merge_policies,
    public_jwks,
    resolve_chain,
)
from passport_shared.formats.jose import SigningKey
from passport_testkit.clock import NOON
from passport_testkit.keys import key
from passport_testkit.network import ANCHOR, CHRISTIE, MANCHESTER, TrustRegistrySimulator

Claims = dict[str, Any]
REGION = "https://region.example"


@pytest.fixture(scope="module")
def network() -> TrustRegistrySimulator:
    simulator = TrustRegistrySimulator()
    simulator.enrol_issuer()
    simulator.enrol_verifier()
    return simulator


def chain_of(network: TrustRegistrySimulator, entity_id: str = CHRISTIE) -> list[str]:
    return [network.configuration(entity_id), network.statement(entity_id), network.anchor_configuration()]


def resigned(token: str, signer: SigningKey, change: Callable[[Claims], object]) -> str:
    claims = dict(jose.parse(token).claims)
    change(claims)
    return jose.sign(claims, signer, typ=ENTITY_STATEMENT_TYP)


def resolve(network: TrustRegistrySimulator, chain: list[str], **more: Any) -> ResolvedTrustChain:
    return resolve_chain(chain, network.trust_file, more.get("now", NOON))


def refused(network: TrustRegistrySimulator, chain: list[str], **more: Any) -> FederationReason:
    with pytest.raises(FederationError) as caught:
        resolve(network, chain, **more)
    return caught.value.reason


def test_the_christie_resolves_through_the_anchor(network: TrustRegistrySimulator) -> None:
    resolved = resolve(network, chain_of(network))
    assert (resolved.entity_id, resolved.trust_anchor) == (CHRISTIE, ANCHOR)
    metadata = resolved.metadata["openid_credential_issuer"]
    assert metadata["credential_issuer"] == CHRISTIE
    assert metadata["jwks"]["keys"][0]["kid"] == network.entities[CHRISTIE].issued("credential").key.kid
    assert resolved.exp == NOON + timedelta(hours=24), "the earliest end, which is the tenant's own"


def test_a_verifier_gets_its_response_uris_from_the_anchor(network: TrustRegistrySimulator) -> None:
    metadata = resolve(network, chain_of(network, MANCHESTER)).metadata["openid_credential_verifier"]
    assert metadata["response_uris"] == [f"{MANCHESTER}/oid4vp/response"]
    assert "jwks" not in metadata


def test_a_chain_has_three_to_six_statements(network: TrustRegistrySimulator) -> None:
    first, middle, last = chain_of(network)
    for chain in ([], [first], [first, last], [first, *[middle] * 5, last]):
        assert refused(network, chain) is FederationReason.CHAIN_LENGTH


def test_an_anchor_that_is_not_pinned_is_refused(network: TrustRegistrySimulator) -> None:
    stranger = TrustRegistrySimulator()
    stranger.enrol_issuer()
    assert refused(network, chain_of(stranger)) is FederationReason.ANCHOR_NOT_TRUSTED


def test_another_anchor_is_refused(network: TrustRegistrySimulator) -> None:
    other = TrustRegistrySimulator(anchor="https://other.example")
    other.enrol_issuer()
    assert refused(network, chain_of(other)) is FederationReason.WRONG_ENTITY


def test_a_statement_about_another_breaks_the_chain(network: TrustRegistrySimulator) -> None:
    chain = [network.configuration(CHRISTIE), network.statement(MANCHESTER), network.anchor_configuration()]
    assert refused(network, chain) is FederationReason.WRONG_ENTITY


def test_a_configuration_by_other_keys_breaks_the_chain(network: TrustRegistrySimulator) -> None:
    chain = chain_of(network)
    thief = key("a thief")
    chain[0] = resigned(chain[0], thief, lambda claims: claims.update(jwks=public_jwks([thief.public])))
    assert refused(network, chain) is FederationReason.CHAIN_BROKEN


def test_a_superior_the_entity_does_not_name_breaks_the_chain(network: TrustRegistrySimulator) -> None:
    chain = chain_of(network)
    own = network.entities[CHRISTIE].federation_key
    chain[0] = resigned(
        chain[0], own, lambda claims: claims.update(authority_hints=["https://other.example"])
    )
    assert refused(network, chain) is FederationReason.NOT_IN_AUTHORITY_HINTS


def test_each_statement_must_still_be_in_force(network: TrustRegistrySimulator) -> None:
    chain = chain_of(network)
    assert refused(network, chain, now=NOON + timedelta(hours=24)) is FederationReason.EXPIRED


def test_a_statement_by_a_key_just_removed_is_refused() -> None:
    network = TrustRegistrySimulator()
    network.enrol_issuer()
    old_statement = network.statement(CHRISTIE)
    following = network.announce_next_key()
    trust = network.trust_file.rolled(network.anchor_configuration(), NOON)
    network.switch_key(following)
    network.drop_old_keys()
    trust = trust.rolled(network.anchor_configuration(), NOON)
    chain = [network.configuration(CHRISTIE), old_statement, network.anchor_configuration()]
    with pytest.raises(FederationError) as caught:
        resolve_chain(chain, trust, NOON)
    assert caught.value.reason is FederationReason.UNKNOWN_KID
    chain[1] = network.statement(CHRISTIE)
    assert resolve_chain(chain, trust, NOON).entity_id == CHRISTIE


def by_anchor(network: TrustRegistrySimulator, **claims: Any) -> list[str]:
    chain = chain_of(network)
    chain[1] = resigned(chain[1], network.key, lambda found: found.update(claims))
    return chain


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"credential_issuer": {"value": MANCHESTER}}, None),
        ({"credential_issuer": {"one_of": [MANCHESTER]}}, FederationReason.POLICY_VIOLATED),
        ({"display": {"essential": True}}, FederationReason.POLICY_VIOLATED),
        ({"credential_issuer": {"one_of": "text"}}, FederationReason.BAD_POLICY),
        ({"credential_issuer": {"essential": "yes"}}, FederationReason.BAD_POLICY),
        ({"credential_issuer": []}, FederationReason.BAD_POLICY),
        ({"credential_issuer": {"default": None}}, FederationReason.BAD_POLICY),
        ({"credential_issuer": {"regexp": "x"}}, None),
    ],
)
def test_a_policy_is_enforced(
    network: TrustRegistrySimulator, policy: Claims, reason: FederationReason | None
) -> None:
    chain = by_anchor(network, metadata_policy={"openid_credential_issuer": policy})
    if reason is None:
        assert resolve(network, chain).entity_id == CHRISTIE
    else:
        assert refused(network, chain) is reason


@pytest.mark.parametrize(
    ("constraints", "reason"),
    [
        ({"max_path_length": 0}, None),
        ({"max_path_length": -1}, FederationReason.BAD_CLAIM),
        ({"max_path_length": True}, FederationReason.BAD_CLAIM),
        ({"naming_constraints": {"permitted": [".example"]}}, None),
        ({"naming_constraints": {"permitted": ["issuer.example"]}}, None),
        ({"naming_constraints": {"permitted": [".issuer.example"]}}, FederationReason.CONSTRAINT_VIOLATED),
        ({"naming_constraints": {"permitted": []}}, FederationReason.CONSTRAINT_VIOLATED),
        ({"naming_constraints": {"excluded": [".example"]}}, FederationReason.CONSTRAINT_VIOLATED),
        ({"naming_constraints": {"excluded": ["verifier.example"]}}, None),
        ({"naming_constraints": []}, FederationReason.BAD_CLAIM),
        ({"naming_constraints": {"excluded": "x"}}, FederationReason.BAD_CLAIM),
        ({"allowed_entity_types": ["openid_credential_issuer"]}, None),
        ({"allowed_entity_types": "all"}, FederationReason.BAD_CLAIM),
        ({"something_later": 1}, None),
    ],
)
def test_constraints_are_enforced(
    network: TrustRegistrySimulator, constraints: Claims, reason: FederationReason | None
) -> None:
    chain = by_anchor(network, constraints=constraints)
    if reason is None:
        assert "openid_credential_issuer" in resolve(network, chain).metadata
    else:
        assert refused(network, chain) is reason


def test_an_entity_type_a_superior_does_not_allow_is_removed(network: TrustRegistrySimulator) -> None:
    chain = by_anchor(network, constraints={"allowed_entity_types": ["openid_credential_verifier"]})
    assert resolve(network, chain).metadata == {}


class Region:
    """An intermediate between the anchor and a trust, as a later network may have."""

    def __init__(self, network: TrustRegistrySimulator) -> None:
        self.network = network
        self.key = key("region federation")

    def chain(self, *, by_region: Claims | None = None, by_anchor: Claims | None = None) -> list[str]:
        own = self.network.entities[CHRISTIE].federation_key
        configuration = resigned(
            self.network.configuration(CHRISTIE), own, lambda claims: claims.update(authority_hints=[REGION])
        )
        lower = resigned(
            self.network.statement(CHRISTIE),
            self.key,
            lambda claims: claims.update(iss=REGION, **by_region or {}),
        )
        upper = resigned(
            self.network.statement(CHRISTIE),
            self.network.key,
            lambda claims: claims.update(
                sub=REGION,
                jwks=public_jwks([self.key.public]),
                **{"metadata": {}, "metadata_policy": {}, **(by_anchor or {})},
            ),
        )
        return [configuration, lower, upper, self.network.anchor_configuration()]


def test_a_chain_through_a_region_resolves_and_its_policies_merge(
    network: TrustRegistrySimulator,
) -> None:
    region = Region(network)
    assert resolve(network, region.chain()).entity_id == CHRISTIE
    first = {"openid_credential_issuer": {"credential_issuer": {"one_of": [CHRISTIE, MANCHESTER]}}}
    second = {"openid_credential_issuer": {"credential_issuer": {"one_of": [CHRISTIE]}}}
    chain = region.chain(by_anchor={"metadata_policy": first}, by_region={"metadata_policy": second})
    assert resolve(network, chain).entity_id == CHRISTIE


def test_a_region_cannot_loosen_what_the_anchor_says(network: TrustRegistrySimulator) -> None:
    upper = {"openid_credential_issuer": {"credential_issuer": {"one_of": [MANCHESTER]}}}
    lower = {"openid_credential_issuer": {"credential_issuer": {"one_of": [CHRISTIE]}}}
    chain = Region(network).chain(by_anchor={"metadata_policy": upper}, by_region={"metadata_policy": lower})
    assert refused(network, chain) is FederationReason.POLICY_CONFLICT


def test_the_anchor_limits_how_many_lie_between(network: TrustRegistrySimulator) -> None:
    chain = Region(network).chain(by_anchor={"constraints": {"max_path_length": 0}})
    assert refused(network, chain) is FederationReason.CONSTRAINT_VIOLATED
    chain = Region(network).chain(by_anchor={"constraints": {"max_path_length": 1}})
    assert resolve(network, chain).entity_id == CHRISTIE


def test_a_loop_is_refused(network: TrustRegistrySimulator) -> None:
    chain = Region(network).chain()
    looping = [chain[0], chain[1], chain[2], chain[2], chain[3]]
    assert refused(network, looping) in {FederationReason.CHAIN_BROKEN, FederationReason.UNKNOWN_KID}


def test_an_entity_twice_in_a_chain_is_refused(network: TrustRegistrySimulator) -> None:
    region = Region(network)
    upper = region.chain()[2]
    back = resigned(upper, region.key, lambda claims: claims.update(iss=REGION, sub=ANCHOR))
    lower = resigned(network.statement(CHRISTIE), region.key, lambda claims: claims.update(iss=ANCHOR))
    chain = [network.configuration(CHRISTIE), lower, back, upper, network.anchor_configuration()]
    assert refused(network, chain) is FederationReason.CHAIN_BROKEN


def test_a_statement_in_anothers_name_breaks_the_chain(network: TrustRegistrySimulator) -> None:
    own = network.entities[CHRISTIE].federation_key
    chain = by_anchor(network, iss=REGION)
    chain[0] = resigned(chain[0], own, lambda claims: claims.update(authority_hints=[REGION]))
    assert refused(network, chain) is FederationReason.CHAIN_BROKEN


# -- the operators of OpenID Federation 1.0 §6.1.3.1 -----------------------------------------------


def applied(operators: Claims, value: Any = ...) -> Any:
    parameters = {} if value is ... else {"p": value}
    policy = merge_policies([{"t": {"p": operators}}])
    return apply_policy(policy, {"t": parameters})["t"].get("p", ...)


@pytest.mark.parametrize(
    ("operators", "before", "after"),
    [
        ({"value": "a"}, "b", "a"),
        ({"value": "a"}, ..., "a"),
        ({"value": None}, "b", ...),
        ({"value": False}, True, False),
        ({"add": ["b"]}, ["a"], ["a", "b"]),
        ({"add": ["a"]}, ["a"], ["a"]),
        ({"add": ["a"]}, ..., ["a"]),
        ({"default": "a"}, ..., "a"),
        ({"default": "a"}, "b", "b"),
        ({"one_of": ["a", "b"]}, "b", "b"),
        ({"one_of": ["a"]}, ..., ...),
        ({"subset_of": ["a", "b", "c"]}, ["a", "e"], ["a"]),
        ({"subset_of": ["a", "b", "c"]}, ["d", "e"], []),
        ({"subset_of": ["a", "b", "c"]}, ..., ...),
        ({"subset_of": ["a", "b", "c"], "essential": True}, ["d", "e"], []),
        ({"superset_of": ["a"]}, ["a", "b"], ["a", "b"]),
        ({"superset_of": ["a"]}, ..., ...),
        ({"essential": False}, ..., ...),
        ({"essential": True}, {"any": "object"}, {"any": "object"}),
        ({"essential": True, "default": "a"}, ..., "a"),
        ({"add": ["c"], "subset_of": ["a", "c"]}, ["a", "b"], ["a", "c"]),
        ({"subset_of": ["a"], "superset_of": ["a"]}, ["b", "a"], ["a"]),
        ({"later": 1}, "a", "a"),
    ],
)
def test_an_operator_is_applied(operators: Claims, before: Any, after: Any) -> None:
    assert applied(operators, before) == after


def test_scope_is_words() -> None:
    policy = merge_policies([{"t": {"scope": {"subset_of": ["a", "b"], "add": ["b"]}}}])
    assert apply_policy(policy, {"t": {"scope": "a x"}}) == {"t": {"scope": "a b"}}
    defaults = merge_policies([{"t": {"scope": {"default": ["a", "b"]}}}])
    assert apply_policy(defaults, {"t": {}}) == {"t": {"scope": "a b"}}


@pytest.mark.parametrize(
    ("operators", "before"),
    [
        ({"one_of": ["a"]}, "b"),
        ({"one_of": [1]}, True),
        ({"superset_of": ["a"]}, ["b"]),
        ({"subset_of": ["a"]}, "a"),
        ({"add": ["a"]}, "a"),
        ({"essential": True}, ...),
        ({"subset_of": ["a"], "essential": True}, ...),
    ],
)
def test_an_operator_refuses(operators: Claims, before: Any) -> None:
    with pytest.raises(FederationError) as caught:
        applied(operators, before)
    assert caught.value.reason is FederationReason.POLICY_VIOLATED


@pytest.mark.parametrize(
    "operators",
    [
        {"value": None, "default": "a"},
        {"value": None, "essential": True},
        {"value": "a", "one_of": ["b"]},
        {"value": ["a"], "add": ["b"]},
        {"value": ["a", "b"], "subset_of": ["a"]},
        {"value": ["a"], "superset_of": ["a", "b"]},
        {"add": ["b"], "subset_of": ["a"]},
        {"subset_of": ["a"], "superset_of": ["b"]},
        {"one_of": ["a"], "add": ["a"]},
        {"one_of": ["a"], "subset_of": ["a"]},
        {"one_of": ["a"], "superset_of": ["a"]},
    ],
)
def test_operators_that_exclude_each_other_are_refused(operators: Claims) -> None:
    with pytest.raises(FederationError) as caught:
        applied(operators, ["a"])
    assert caught.value.reason is FederationReason.BAD_POLICY


@pytest.mark.parametrize(
    ("superior", "subordinate", "merged"),
    [
        ({"value": "a"}, {"value": "a"}, {"value": "a"}),
        ({"value": ["a", "b"]}, {"value": ["b", "a"]}, {"value": ["a", "b"]}),
        ({"add": ["a"]}, {"add": ["b", "a"]}, {"add": ["a", "b"]}),
        ({"one_of": ["a", "b"]}, {"one_of": ["b", "c"]}, {"one_of": ["b"]}),
        ({"subset_of": ["a", "b"]}, {"subset_of": ["c"]}, {"subset_of": []}),
        ({"superset_of": ["a"]}, {"superset_of": ["b"]}, {"superset_of": ["a", "b"]}),
        ({"essential": True}, {"essential": False}, {"essential": True}),
        ({"essential": True}, {"default": "a"}, {"essential": True, "default": "a"}),
    ],
)
def test_policies_merge(superior: Claims, subordinate: Claims, merged: Claims) -> None:
    assert merge_policies([{"t": {"p": superior}}, {"t": {"p": subordinate}}]) == {"t": {"p": merged}}


@pytest.mark.parametrize(
    ("superior", "subordinate"),
    [
        ({"value": "a"}, {"value": "b"}),
        ({"value": 1}, {"value": True}),
        ({"default": "a"}, {"default": "b"}),
        ({"one_of": ["a"]}, {"one_of": ["b"]}),
        ({"subset_of": ["a"]}, {"superset_of": ["b"]}),
        ({"value": "a"}, {"one_of": ["b"]}),
    ],
)
def test_policies_conflict(superior: Claims, subordinate: Claims) -> None:
    with pytest.raises(FederationError) as caught:
        merge_policies([{"t": {"p": superior}}, {"t": {"p": subordinate}}])
    assert caught.value.reason is FederationReason.POLICY_CONFLICT


VALUES = st.lists(st.sampled_from("abcd"), max_size=3, unique=True)
OPERATORS = st.fixed_dictionaries(
    {},
    optional={
        "value": VALUES,
        "add": VALUES,
        "default": VALUES,
        "subset_of": VALUES,
        "superset_of": VALUES,
        "essential": st.booleans(),
    },
)


@settings(max_examples=150, deadline=None)
@given(OPERATORS, OPERATORS, st.none() | VALUES)
def test_a_merged_policy_never_allows_what_the_superior_refuses(
    superior: Claims, subordinate: Claims, own: list[str] | None
) -> None:
    metadata = {"t": {} if own is None else {"p": own}}
    try:
        resolved = apply_policy(merge_policies([{"t": {"p": superior}}, {"t": {"p": subordinate}}]), metadata)
    except FederationError:
        return
    value = resolved["t"].get("p")
    if "value" in superior:
        assert set(value or []) == set(superior["value"])
    if value is not None and "subset_of" in superior:
        assert set(value) <= set(superior["subset_of"])
    if value is not None and "superset_of" in superior:
        assert set(value) >= set(superior["superset_of"])
    if superior.get("essential"):
        assert value is not None


def test_everything_named_in_the_facade_exists() -> None:
    assert all(hasattr(federation, name) for name in federation.__all__)
