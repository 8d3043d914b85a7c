"""npm dcql over our own vectors: it must see what we see, but for the differences that are written down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from passport_shared.formats import dcql
from passport_testkit import node
from passport_testkit.cases import evidence_for
from passport_verifier.rules.asking import dcql_query
from passport_verifier.rules.outcome import Need
from passport_verifier.rules.policies import policies

pytestmark = [pytest.mark.peers, pytest.mark.asyncio(loop_scope="module")]

VECTORS = Path(__file__).parents[1] / "vectors" / "dcql" / "matching.json"
CASES = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
WALLET = {key: members for case in CASES for key, members in case["held"].items()}


async def differences(peer: node.NodePeer, case: dict[str, Any]) -> list[str]:
    """In which sentences of the case the peer says something else."""
    held = list(case["held"])
    seen = await peer.call("dcql.select", query=case["query"], held=[case["held"][key] for key in held])
    candidates = {
        query_id: [held[index] for index in found] for query_id, found in seen["candidates"].items()
    }
    found = [
        f"candidates of {query_id}: {candidates[query_id]}"
        for query_id, keys in case["candidates"].items()
        if candidates[query_id] != keys
    ]
    if seen["canAnswer"] is not case["can_answer"]:
        found.append(f"can answer: {seen['canAnswer']}")
    for answer in case["answers"]:
        presented = {
            query_id: [WALLET[key] for key in keys] for query_id, keys in answer["presented"].items()
        }
        try:
            satisfied = (await peer.call("dcql.match", query=case["query"], presentations=presented))[
                "satisfied"
            ]
        except node.PeerRefused:
            satisfied = False
        if satisfied is bool(answer["problems"]):
            found.append(f"answer {json.dumps(answer['presented'])}: {satisfied}")
    return found


# What a difference named in the vectors looks like; §7.1 step 3 makes an empty selection an error.
LISTED = {
    "npm dcql 3.0.0 takes an empty selection for an answer": [
        "candidates of job: ['old_job']",
        "can answer: True",
    ]
}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_both_see_the_same_but_for_what_is_listed(peer, case):
    listed = [sentence for name in case["known_differences"] for sentence in LISTED[name]]
    assert await differences(peer, case) == listed


def query(**changes: Any) -> dict[str, Any]:
    """A good query of one credential, spoilt."""
    entry = {
        "id": "id",
        "format": "dc+sd-jwt",
        "meta": {"vct_values": ["https://registry.example/vct/StaffIdentity/1"]},
        "claims": [{"id": "name", "path": ["family_name"]}],
    }
    return {"credentials": [{**entry, **changes}]}


async def test_both_take_the_query_that_the_next_test_spoils(peer):
    assert dcql.parse_query(query()).credentials
    assert (await peer.call("dcql.select", query=query(), held=[]))["canAnswer"] is False


@pytest.mark.parametrize(
    "spoilt",
    [
        {"credentials": []},
        {"credentials": query()["credentials"] * 2},
        {**query(), "credential_sets": [{"options": [["id", "nobody"]]}]},
        {**query(), "credential_sets": []},
        query(id="a b"),
        query(id=None),
        query(format=None),
        query(meta=None),
        query(claims=[]),
        query(claims=[{"path": []}]),
        query(claims=[{"path": ["family_name", -1]}]),
        query(claims=[{"path": ["family_name", 1.5]}]),
        query(claim_sets=[["name", "nothing"]]),
        query(claims=[{"path": ["family_name"]}], claim_sets=[["name"]]),
        query(multiple="yes"),
        query(trusted_authorities=[]),
        query(trusted_authorities=[{"type": "aki", "values": []}]),
    ],
)
async def test_both_refuse_a_query_that_is_none(peer, spoilt):
    with pytest.raises(dcql.DcqlError):
        dcql.parse_query(spoilt)
    with pytest.raises(node.PeerRefused):
        await peer.call("dcql.select", query=spoilt, held=[])


async def test_the_peer_takes_an_empty_list_of_values_that_the_specification_forbids(peer):
    """§6.3: `values` is a non-empty array. If this fails, the peer has come round: move it to the table."""
    spoilt = query(claims=[{"path": ["family_name"], "values": []}])
    with pytest.raises(dcql.DcqlError):
        dcql.parse_query(spoilt)
    assert (await peer.call("dcql.select", query=spoilt, held=[]))["canAnswer"] is False


POLICIES = policies()
# Nothing missing; two of one part; some of each; all that is optional.
LACKING = [0, 2, 5, 99]


@pytest.mark.parametrize("lacking", LACKING)
@pytest.mark.parametrize("policy_id", sorted(POLICIES))
async def test_both_answer_our_policies_with_every_subject_that_is_held(peer, policy_id: str, lacking: int):
    policy = POLICIES[policy_id]
    shown = evidence_for(policy)
    optional = sorted(row.subject for row in policy.rows if row.subject and row.need is Need.ASSURANCE)
    for subject in optional[:lacking]:
        del shown["CoreSkills"]["skills"][subject]
    query = dcql_query(policy, vct_base="https://registry.example/vct", employing_ods="RBV")
    vcts = {name: f"https://registry.example/vct/{name}/1" for name in shown}
    ours = dcql.select(
        dcql.parse_query(query),
        [dcql.Credential(key=name, vct=vcts[name], claims=claims) for name, claims in shown.items()],
    )
    theirs = await peer.call(
        "dcql.select",
        query=query,
        held=[
            {"format": "dc+sd-jwt", "vct": vcts[name], "claims": claims, "holder_bound": True}
            for name, claims in shown.items()
        ],
    )
    assert theirs["canAnswer"] is ours.can_answer is True
    for entry in query["credentials"]:
        found = ours.candidates[entry["id"]]
        assert bool(theirs["candidates"][entry["id"]]) is bool(found), entry["id"]
        index = theirs["claimSets"][entry["id"]]
        if found and index is not None:
            paths = {claim["id"]: tuple(claim["path"]) for claim in entry["claims"]}
            assert {paths[name] for name in entry["claim_sets"][index]} == set(found[0].paths)
