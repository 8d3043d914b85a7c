"""DCQL matching: our vectors, and what must hold for every query and every wallet."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.dcql import (
    ClaimQuery,
    Credential,
    CredentialQuery,
    CredentialSetQuery,
    MatchReason,
    Query,
    TrustedAuthority,
    authority_key_ids,
    match,
    parse_query,
    select,
    surplus_paths,
    values_at,
)
from passport_shared.formats.strict import b64url_encode
from passport_shared.formats.x5c import ChainError, ChainReason, verify_chain
from passport_testkit.certificates import Authority
from passport_testkit.clock import NOON

VECTORS = Path(__file__).parents[2] / "vectors" / "dcql" / "matching.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
IDENTITY = "https://registry.example/vct/StaffIdentity/1"


def credential(key: str, members: dict[str, Any]) -> Credential:
    return Credential(
        key=key,
        format=members["format"],
        vct=members["vct"],
        claims=members["claims"],
        holder_bound=members["holder_bound"],
        authority_key_ids=tuple(members["authority_key_ids"]),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_wallets_choice(case: dict[str, Any]) -> None:
    held = [credential(key, members) for key, members in case["held"].items()]
    selection = select(parse_query(case["query"]), held)
    found = {query_id: [one.key for one in many] for query_id, many in selection.candidates.items()}
    assert found == case["candidates"]
    assert selection.can_answer is case["can_answer"]
    assert {query_id: [one.key for one in many] for query_id, many in selection.chosen.items()} == case[
        "chosen"
    ]
    for query_id, paths in case["disclose"].items():
        assert [list(path) for path in selection.chosen[query_id][0].paths] == paths


ANSWERS = [(case, answer) for case in CASES for answer in case["answers"]]


@pytest.mark.parametrize(
    ("case", "answer"),
    ANSWERS,
    ids=[f"{case['name']}: {list(answer['presented'])}" for case, answer in ANSWERS],
)
def test_the_verifiers_re_check(case: dict[str, Any], answer: dict[str, Any]) -> None:
    wallet = {**case["held"], **{key: members for other in CASES for key, members in other["held"].items()}}
    presented = {
        query_id: [credential(key, wallet[key]) for key in keys]
        for query_id, keys in answer["presented"].items()
    }
    result = match(parse_query(case["query"]), presented)
    assert sorted(problem.reason.value for problem in result.problems) == answer["problems"]
    assert result.meets_query is (not answer["problems"])


def test_the_vectors_reach_every_problem() -> None:
    assert {problem for _, answer in ANSWERS for problem in answer["problems"]} == {*MatchReason}


def one(*claims: ClaimQuery, **more: Any) -> Query:
    return Query(credentials=(CredentialQuery(id="id", vct_values=(IDENTITY,), claims=claims, **more),))


def test_what_nobody_asked_for_is_reported_and_not_a_problem() -> None:
    query = one(
        ClaimQuery(path=("family_name",)), ClaimQuery(path=("skills", "FS")), ClaimQuery(path=("sites", None))
    )
    presented = Credential(
        vct=IDENTITY,
        claims={"family_name": "Larkspur", "skills": {"FS": 1, "MH": 2}, "email": "x", "sites": ["a"]},
        disclosed_paths=frozenset(
            {
                ("family_name",),
                ("skills",),
                ("skills", "FS"),
                ("skills", "FS", "done"),
                ("skills", "MH"),
                ("email",),
                ("sites", 0),
            }
        ),
    )
    result = match(query, {"id": [presented]})
    assert result.meets_query
    assert result.surplus == {"id": ((("email",), ("skills", "MH")),)}


def test_without_a_list_of_disclosures_every_claim_counts_as_disclosed() -> None:
    entry = one(ClaimQuery(path=("a", "b"))).credentials[0]
    assert surplus_paths(entry, Credential(vct=IDENTITY, claims={"a": {}, "c": 1})) == (("c",),)


def test_a_problem_names_the_path_and_never_the_value() -> None:
    query = one(ClaimQuery(path=("family_name",), values=("Somebody",)))
    (problem,) = match(query, {"id": [Credential(vct=IDENTITY, claims={"family_name": "Canary"})]}).problems
    assert (problem.reason, problem.path) == (MatchReason.CLAIM_VALUE_NOT_ASKED, ("family_name",))
    assert "Canary" not in repr(problem)
    assert "Canary" not in repr(Credential(vct=IDENTITY, claims={"family_name": "Canary"}))


def test_an_anchor_of_the_federation_can_be_asked_for() -> None:
    wanted = (TrustedAuthority(type="openid_federation", values=("https://registry.example",)),)
    query = one(trusted_authorities=wanted)
    ours = Credential(vct=IDENTITY, claims={}, trust_anchors=("https://registry.example",))
    other = Credential(vct=IDENTITY, claims={}, trust_anchors=("https://other.example",))
    assert match(query, {"id": [ours]}).meets_query
    assert not match(query, {"id": [other]}).meets_query


def test_the_authority_key_ids_of_a_chain_are_those_of_its_certificates() -> None:
    authority = Authority.create()
    issued = authority.leaf()
    leaf = verify_chain(issued.x5c, authority.roots, at=NOON)
    ids = authority_key_ids(issued.x5c)
    assert authority_key_ids(leaf) == (b64url_encode(leaf.authority_key_id),) == ids[:1]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("chain", [[{}, "MII"], [["MII"], "MII"], [b"MII", None], ["MII", {}]])
def test_a_chain_that_is_no_list_of_text_is_refused_by_its_name(chain: list[Any]) -> None:
    with pytest.raises(ChainError) as refused:
        authority_key_ids(chain)
    assert refused.value.reason is ChainReason.MALFORMED


def test_what_is_missing_is_named() -> None:
    query = Query(
        credentials=tuple(CredentialQuery(id=name, vct_values=(name,)) for name in ("a", "b", "c")),
        credential_sets=(CredentialSetQuery(options=(("a", "b"), ("c",))),),
    )
    selection = select(query, [Credential(vct="a", claims={})])
    assert (selection.can_answer, selection.missing, selection.chosen) == (False, ("b",), {})


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (("a",), [{"b": [1, {"c": 2}, [3]]}]),
        (("a", "b", 0), [1]),
        (("a", "b", 1, "c"), [2]),
        (("a", "b", None), [1, {"c": 2}, [3]]),
        (("a", "b", None, "c"), []),
        (("a", "b", 9), []),
        (("a", 0), []),
        (("a", None), []),
        (("x",), []),
        (("n",), [None]),
    ],
)
def test_a_claims_path_pointer(path: tuple[Any, ...], values: list[Any]) -> None:
    assert values_at({"a": {"b": [1, {"c": 2}, [3]]}, "n": None}, path) == values


# What must hold for every query and every wallet.

NAMES = st.sampled_from("abc")
CLAIM_VALUES = st.booleans() | st.integers(0, 1) | st.sampled_from(["x", "1"])
CLAIMS = st.dictionaries(NAMES, CLAIM_VALUES | st.dictionaries(NAMES, CLAIM_VALUES, max_size=2), max_size=3)
CREDENTIALS = st.builds(
    Credential,
    vct=st.sampled_from(["t1", "t2"]),
    claims=CLAIMS,
    holder_bound=st.booleans(),
    authority_key_ids=st.sampled_from([(), ("k1",), ("k2",)]),
)
CLAIM_QUERIES = st.builds(
    ClaimQuery,
    path=st.lists(NAMES, min_size=1, max_size=2).map(tuple),
    values=st.none() | st.lists(CLAIM_VALUES, min_size=1, max_size=2).map(tuple),
)


@st.composite
def queries(draw: st.DrawFn) -> Query:
    ids = draw(st.lists(st.sampled_from(["q1", "q2", "q3"]), min_size=1, unique=True))
    entries = []
    for query_id in ids:
        claims = tuple(
            ClaimQuery(id=f"c{n}", path=claim.path, values=claim.values)
            for n, claim in enumerate(draw(st.lists(CLAIM_QUERIES, max_size=3)))
        )
        named = (
            st.lists(st.sampled_from([str(claim.id) for claim in claims]), min_size=1, max_size=2)
            if claims
            else None
        )
        entries.append(
            CredentialQuery(
                id=query_id,
                vct_values=tuple(draw(st.lists(st.sampled_from(["t1", "t2"]), min_size=1, unique=True))),
                multiple=draw(st.booleans()),
                require_cryptographic_holder_binding=draw(st.booleans()),
                trusted_authorities=draw(
                    st.sampled_from([(), (TrustedAuthority(type="aki", values=("k1",)),)])
                ),
                claims=claims,
                claim_sets=draw(st.lists(named.map(tuple), max_size=2).map(tuple))
                if named is not None
                else (),
            )
        )
    option = st.lists(st.sampled_from(ids), min_size=1, max_size=2, unique=True).map(tuple)
    sets = st.builds(
        CredentialSetQuery,
        options=st.lists(option, min_size=1, max_size=2).map(tuple),
        required=st.booleans(),
    )
    return Query(credentials=tuple(entries), credential_sets=tuple(draw(st.lists(sets, max_size=2))))


def disclosed(held: Credential, paths: tuple[Any, ...]) -> Credential:
    """What a verifier sees of a credential when only these paths are disclosed."""
    claims: dict[str, Any] = {}
    for path in paths:
        source: Any = held.claims
        target = claims
        for name in path[:-1]:
            source = source[name]
            target = target.setdefault(name, {})
        target[path[-1]] = copy.deepcopy(source[path[-1]])
    return Credential(
        vct=held.vct,
        claims=claims,
        holder_bound=held.holder_bound,
        authority_key_ids=held.authority_key_ids,
        disclosed_paths=frozenset(paths),
    )


@settings(max_examples=200, deadline=None)
@given(queries(), st.lists(CREDENTIALS, max_size=4))
def test_what_the_wallet_chooses_meets_the_query_with_nothing_beyond(
    query: Query, wallet: list[Credential]
) -> None:
    held = [Credential(**{**vars(one), "key": str(n)}) for n, one in enumerate(wallet)]
    by_key = {one.key: one for one in held}
    selection = select(query, held)
    if not selection.can_answer:
        assert selection.chosen == {}
        return
    presented = {
        query_id: [disclosed(by_key[one.key], one.paths) for one in many]
        for query_id, many in selection.chosen.items()
    }
    result = match(query, presented)
    assert result.meets_query, result.problems
    assert not any(paths for several in result.surplus.values() for paths in several)


@settings(max_examples=150, deadline=None)
@given(
    queries(),
    st.dictionaries(st.sampled_from(["q1", "q2", "q3", "q4"]), st.lists(CREDENTIALS, max_size=2), max_size=4),
)
def test_an_answer_the_verifier_accepts_is_one_the_wallet_could_have_chosen_from(
    query: Query, presented: dict[str, list[Credential]]
) -> None:
    result = match(query, presented)
    if not result.meets_query:
        return
    assert set(presented) <= {entry.id for entry in query.credentials}
    every = [one for many in presented.values() for one in many]
    assert select(query, every).can_answer
    for query_id, many in presented.items():
        entry = query.credential(query_id)
        assert entry is not None
        assert len(many) == 1 or entry.multiple
