"""Writes tests/vectors/dcql/: queries, held credentials, and the verdict a wallet and a verifier must reach.

The verdicts are written here by hand from OpenID4VP 1.0 §6 and §7, not computed, so that any implementation
can be held to them. Run `make vectors`; nothing may change.

A case says: the query; the held credentials by key; `candidates`, the keys that answer each credential query;
`can_answer`; `chosen`, the answer that discloses least; and `answers`, presentations with the verifier's
problems.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "dcql"
BASE = "https://registry.example/vct"
IDENTITY, EMPLOYMENT, SKILLS = f"{BASE}/StaffIdentity/1", f"{BASE}/Employment/1", f"{BASE}/CoreSkills/1"
AKI_OURS, AKI_OTHER = "s9tIpPmhxdiuNkHMEWNpYim8S8Y", "c29tZS1vdGhlci1rZXktaWQ"

Members = dict[str, Any]


def held(vct: str, claims: Members, **more: Any) -> Members:
    """A credential as the wallet holds it."""
    return {
        "format": "dc+sd-jwt",
        "vct": vct,
        "claims": {"vct": vct, **claims},
        "holder_bound": True,
        "authority_key_ids": [AKI_OURS],
        **more,
    }


def ask(query_id: str, vct: str, *paths: list[Any], **more: Any) -> Members:
    """A credential query by type and claim paths."""
    entry: Members = {"id": query_id, "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}, **more}
    if paths:
        entry["claims"] = [{"path": path} for path in paths]
    return entry


WALLET: Members = {
    "identity": held(
        IDENTITY,
        {
            "family_name": "Larkspur",
            "given_names": ["Imogen", "Tove"],
            "birthdate": "1988-04-12",
            "verified": True,
            "level": 3,
        },
    ),
    "job": held(
        EMPLOYMENT,
        {
            "employer": {"ods": "RBV", "name": "The Christie"},
            "assignments": [{"role": "SURGEON", "fte": 1}, {"role": "LECTURER", "fte": 0}],
            "band": "CONSULTANT",
        },
    ),
    "old_job": held(EMPLOYMENT, {"employer": {"ods": "R0A"}, "assignments": [], "band": "REGISTRAR"}),
    "skills": held(SKILLS, {"skills": {"FS": {"done": "2026-02-01"}, "MH": {"done": "2025-12-01"}}}),
    "unbound": held(IDENTITY, {"family_name": "Larkspur"}, holder_bound=False),
    "foreign": held(IDENTITY, {"family_name": "Larkspur"}, authority_key_ids=[AKI_OTHER]),
    "mdoc": held(IDENTITY, {"family_name": "Larkspur"}, format="jwt_vc_json"),
}


def case(
    name: str,
    credentials: list[Members],
    holding: list[str],
    candidates: dict[str, list[str]],
    *,
    can_answer: bool = True,
    chosen: dict[str, list[str]] | None = None,
    disclose: dict[str, list[list[Any]]] | None = None,
    credential_sets: list[Members] | None = None,
    answers: list[Members] | None = None,
    known_differences: list[str] | None = None,
) -> Members:
    """One case; `chosen` is every candidate list cut to its first unless said otherwise."""
    query: Members = {"credentials": credentials}
    if credential_sets is not None:
        query["credential_sets"] = credential_sets
    if chosen is None:
        chosen = {query_id: keys[:1] for query_id, keys in candidates.items()} if can_answer else {}
    return {
        "name": name,
        "query": query,
        "held": {key: WALLET[key] for key in holding},
        "candidates": candidates,
        "can_answer": can_answer,
        "chosen": chosen,
        "disclose": disclose or {},
        "answers": answers or [],
        "known_differences": known_differences or [],
    }


def answer(presented: dict[str, list[str]], *problems: str) -> Members:
    """A presentation by held keys and the problems the verifier must find."""
    return {"presented": presented, "problems": sorted(problems)}


ONE = [ask("id", IDENTITY, ["family_name"])]
NEED_BOTH: list[Members] = [{"options": [["id", "job"]]}]
EITHER: list[Members] = [{"options": [["job"], ["skills"]]}]
CONDITION: list[Members] = [{"options": [["id"]]}, {"options": [["skills"]], "required": False}]
THREE = [
    ask("id", IDENTITY, ["family_name"]),
    ask("job", EMPLOYMENT, ["band"]),
    ask("skills", SKILLS, ["skills", "FS"]),
]
SETS = {
    "claims": [
        {"id": "portrait", "path": ["portrait"]},
        {"id": "name", "path": ["family_name"]},
        {"id": "born", "path": ["birthdate"]},
    ],
    "claim_sets": [["portrait", "name"], ["name", "born"]],
}


def with_values(path: list[Any], *values: Any) -> list[Members]:
    """A query for the identity, or the job, whose claim has one of these values."""
    entry = ask("id", EMPLOYMENT if path[0] in {"employer", "assignments", "band"} else IDENTITY)
    return [{**entry, "claims": [{"path": path, "values": list(values)}]}]


CASES = [
    case(
        "one credential, one claim",
        ONE,
        ["identity", "job"],
        {"id": ["identity"]},
        disclose={"id": [["family_name"]]},
        answers=[
            answer({"id": ["identity"]}),
            answer({}, "credential_missing"),
            answer({"id": []}, "empty_array"),
            answer({"id": ["identity", "identity"]}, "not_exactly_one"),
            answer({"id": ["job"]}, "wrong_type", "claim_missing"),
            answer({"id": ["mdoc"]}, "wrong_format"),
            answer({"id": ["identity"], "extra": ["job"]}, "unknown_query_id"),
            answer({"other": ["identity"]}, "unknown_query_id", "credential_missing"),
        ],
    ),
    case("nothing held", ONE, [], {"id": []}, can_answer=False),
    case("wrong type held", ONE, ["job"], {"id": []}, can_answer=False),
    case("another format held", ONE, ["mdoc"], {"id": []}, can_answer=False),
    case("no claims asked", [ask("id", IDENTITY)], ["identity"], {"id": ["identity"]}, disclose={"id": []}),
    case(
        "a claim nobody has", [ask("id", IDENTITY, ["portrait"])], ["identity"], {"id": []}, can_answer=False
    ),
    case(
        "holder binding is required unless waived",
        ONE,
        ["unbound"],
        {"id": []},
        can_answer=False,
        answers=[answer({"id": ["unbound"]}, "holder_binding_missing")],
    ),
    case(
        "holder binding waived",
        [ask("id", IDENTITY, ["family_name"], require_cryptographic_holder_binding=False)],
        ["unbound"],
        {"id": ["unbound"]},
        answers=[answer({"id": ["unbound"]})],
    ),
    case(
        "only of this authority",
        [ask("id", IDENTITY, ["family_name"], trusted_authorities=[{"type": "aki", "values": [AKI_OURS]}])],
        ["foreign", "identity"],
        {"id": ["identity"]},
        answers=[answer({"id": ["identity"]}), answer({"id": ["foreign"]}, "authority_not_trusted")],
    ),
    case(
        "an authority type nobody can evaluate never matches",
        [ask("id", IDENTITY, trusted_authorities=[{"type": "etsi_tl", "values": ["https://lotl.example"]}])],
        ["identity"],
        {"id": []},
        can_answer=False,
    ),
    case(
        "any one of several authorities is enough",
        [
            ask(
                "id",
                IDENTITY,
                trusted_authorities=[
                    {"type": "etsi_tl", "values": ["https://lotl.example"]},
                    {"type": "aki", "values": [AKI_OTHER, AKI_OURS]},
                ],
            )
        ],
        ["identity"],
        {"id": ["identity"]},
    ),
    case(
        "one type of several",
        [{**ask("id", IDENTITY), "meta": {"vct_values": [EMPLOYMENT, IDENTITY]}}],
        ["identity", "job"],
        {"id": ["identity", "job"]},
    ),
    case("a path into an object", [ask("s", SKILLS, ["skills", "FS"])], ["skills"], {"s": ["skills"]}),
    case("a missing member", [ask("s", SKILLS, ["skills", "CR"])], ["skills"], {"s": []}, can_answer=False),
    case(
        "a member of what is no object",
        [ask("id", IDENTITY, ["family_name", "x"])],
        ["identity"],
        {"id": []},
        can_answer=False,
    ),
    case(
        "every element of an array",
        [ask("job", EMPLOYMENT, ["assignments", None, "role"])],
        ["job"],
        {"job": ["job"]},
        disclose={"job": [["assignments", None, "role"]]},
    ),
    case(
        "every element of an empty array is nothing",
        [ask("job", EMPLOYMENT, ["assignments", None, "role"])],
        ["old_job"],
        {"job": []},
        can_answer=False,
        # §7.1 step 3: an empty selection is an error.
        known_differences=["npm dcql 3.0.0 takes an empty selection for an answer"],
    ),
    case("an element by index", [ask("job", EMPLOYMENT, ["assignments", 1])], ["job"], {"job": ["job"]}),
    case(
        "an index past the end",
        [ask("job", EMPLOYMENT, ["assignments", 2])],
        ["job"],
        {"job": []},
        can_answer=False,
    ),
    case(
        "an index into an object",
        [ask("job", EMPLOYMENT, ["employer", 0])],
        ["job"],
        {"job": []},
        can_answer=False,
    ),
    case(
        "null into an object",
        [ask("job", EMPLOYMENT, ["employer", None])],
        ["job"],
        {"job": []},
        can_answer=False,
    ),
    case("a value that matches", with_values(["band"], "CONSULTANT"), ["old_job", "job"], {"id": ["job"]}),
    case(
        "a value that does not match",
        with_values(["band"], "NURSE"),
        ["job"],
        {"id": []},
        can_answer=False,
        answers=[answer({"id": ["job"]}, "claim_value_not_asked")],
    ),
    case("one value of several", with_values(["level"], 2, 3), ["identity"], {"id": ["identity"]}),
    case("a number is not its text", with_values(["level"], "3"), ["identity"], {"id": []}, can_answer=False),
    case("true is true", with_values(["verified"], True), ["identity"], {"id": ["identity"]}),
    case("true is not one", with_values(["verified"], 1), ["identity"], {"id": []}, can_answer=False),
    case(
        "the first claim set nobody can meet, the second one can",
        [{**ask("id", IDENTITY), **SETS}],
        ["identity"],
        {"id": ["identity"]},
        disclose={"id": [["family_name"], ["birthdate"]]},
        answers=[
            answer({"id": ["identity"]}),
            answer({"id": ["unbound"]}, *["holder_binding_missing", "no_claim_set_met"]),
        ],
    ),
    case(
        "no claim set can be met",
        [{**ask("id", IDENTITY), **SETS}],
        ["foreign"],
        {"id": []},
        can_answer=False,
    ),
    case(
        "several where several are allowed",
        [ask("job", EMPLOYMENT, ["band"], multiple=True)],
        ["job", "old_job"],
        {"job": ["job", "old_job"]},
        chosen={"job": ["job", "old_job"]},
        answers=[
            answer({"job": ["job", "old_job"]}),
            answer({"job": ["job"]}),
            answer({"job": []}, "empty_array"),
        ],
    ),
    case(
        "without sets every credential is required",
        THREE,
        ["identity", "job"],
        {"id": ["identity"], "job": ["job"], "skills": []},
        can_answer=False,
        answers=[answer({"id": ["identity"], "job": ["job"]}, "credential_missing")],
    ),
    case(
        "a set of two",
        THREE[:2],
        ["identity", "job"],
        {"id": ["identity"], "job": ["job"]},
        credential_sets=NEED_BOTH,
        answers=[
            answer({"id": ["identity"], "job": ["job"]}),
            answer({"id": ["identity"]}, "credential_set_not_met"),
            answer({}, "credential_set_not_met"),
        ],
    ),
    case(
        "either of two, the verifier's preference first",
        THREE[1:],
        ["skills", "job"],
        {"job": ["job"], "skills": ["skills"]},
        credential_sets=EITHER,
        chosen={"job": ["job"]},
        answers=[answer({"job": ["job"]}), answer({"skills": ["skills"]})],
    ),
    case(
        "either of two, only the second held",
        THREE[1:],
        ["skills"],
        {"job": [], "skills": ["skills"]},
        credential_sets=EITHER,
        chosen={"skills": ["skills"]},
    ),
    case(
        "a condition that is not held does not stop the answer",
        [THREE[0], THREE[2]],
        ["identity"],
        {"id": ["identity"], "skills": []},
        credential_sets=CONDITION,
        chosen={"id": ["identity"]},
        answers=[answer({"id": ["identity"]})],
    ),
    case(
        "a condition that is held is answered too",
        [THREE[0], THREE[2]],
        ["identity", "skills"],
        {"id": ["identity"], "skills": ["skills"]},
        credential_sets=CONDITION,
        answers=[
            answer({"id": ["identity"], "skills": ["skills"]}),
            answer({"skills": ["skills"]}, "credential_set_not_met"),
        ],
    ),
    case(
        "a condition answered wrongly is a problem of its own",
        [THREE[0], THREE[2]],
        ["identity", "job"],
        {"id": ["identity"], "skills": []},
        credential_sets=CONDITION,
        chosen={"id": ["identity"]},
        answers=[answer({"id": ["identity"], "skills": ["job"]}, "wrong_type", "claim_missing")],
    ),
]


def main() -> None:
    """Write the file."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps({"cases": CASES}, indent=1, ensure_ascii=False)
    (FOLDER / "matching.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
