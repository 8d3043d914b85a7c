"""What is asked for, and the words for it."""

from __future__ import annotations

import json
import string
from importlib import resources
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats import dcql
from passport_shared.wire import catalogue
from passport_testkit.cases import all_skills, case, commit, evidence_for, look_up, surgeon, urgent_policy
from passport_testkit.datasets import skill
from passport_verifier.rules import asking, wording
from passport_verifier.rules.decision import judge
from passport_verifier.rules.evidence import facts_of
from passport_verifier.rules.outcome import Need, Outcome, Party, Reason, Words
from passport_verifier.rules.parts import PART_OF_QUERY, parts, type_of
from passport_verifier.rules.policies import HostPolicy, parse, policies

BASE = "https://registry.example/vct"
NEVER_SAID = (
    "fit",
    "unfit",
    "fail",
    "pass",
    "revoked",
    "suspended",
    "issuer",
    "credential",
    "claim",
    "consent",
)


def query() -> dict[str, Any]:
    return asking.dcql_query(urgent_policy(), vct_base=BASE, employing_ods="RBV")


REQUIRED = [
    "staff_identity",
    "employment",
    "right_to_work",
    "dbs_outcome",
    "professional_registration",
    "occupational_health",
    "core_skills",
]


def test_one_query_per_type_in_one_required_set_and_the_rest_of_a_long_card_optional():
    found = query()
    assert [entry["id"] for entry in found["credentials"]] == [*REQUIRED, "core_skills_2"]
    assert found["credential_sets"] == [
        {"options": [REQUIRED], "required": True},
        {"options": [["core_skills_2"]], "required": False},
    ]
    for entry in found["credentials"]:
        name = type_of(PART_OF_QUERY[entry["id"]])
        assert entry["meta"] == {"vct_values": [f"{BASE}/{name}/1"]}
        assert ["holder_ref"] in [claim["path"] for claim in entry["claims"]]


@pytest.mark.parametrize("policy", policies().values(), ids=list(policies()))
def test_every_query_is_one_that_a_wallet_can_read(policy: HostPolicy):
    found = asking.dcql_query(policy, vct_base=BASE, employing_ods="RBV")
    parsed = dcql.parse_query(found)
    assert len(parsed.credentials) == len(parts(policy))
    assert len(json.dumps(found)) < 16_384
    for entry in parsed.credentials:
        assert len(entry.claim_sets) <= 32
    required = {row.credential for row in policy.rows if row.need is Need.SAFETY}
    [needed] = [one for one in parsed.credential_sets if one.required]
    assert {type_of(PART_OF_QUERY[query_id]) for query_id in needed.options[0]} == required


@pytest.mark.parametrize("policy", policies().values(), ids=list(policies()))
def test_every_subject_is_asked_in_exactly_one_query(policy: HostPolicy):
    found = asking.dcql_query(policy, vct_base=BASE, employing_ods="RBV")
    asked = [
        claim["path"][1]
        for entry in found["credentials"]
        for claim in entry["claims"]
        if claim["path"][0] == "skills"
    ]
    assert sorted(asked) == sorted(row.subject for row in policy.rows if row.subject)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_wallet_that_lacks_subjects_shows_all_the_others(data: st.DataObject):
    policy = data.draw(st.sampled_from(list(policies().values())))
    subjects = [row.subject for row in policy.rows if row.subject and row.need is Need.ASSURANCE]
    lacking = data.draw(st.sets(st.sampled_from(subjects)))
    shown = evidence_for(policy)
    for subject in lacking:
        del shown["CoreSkills"]["skills"][subject]
    held = [
        dcql.Credential(key=name, vct=f"{BASE}/{name}/1", claims=claims) for name, claims in shown.items()
    ]
    parsed = dcql.parse_query(asking.dcql_query(policy, vct_base=BASE, employing_ods="RBV"))
    selection = dcql.select(parsed, held)
    assert selection.can_answer
    given_paths = {path for found in selection.chosen.values() for one in found for path in one.paths}
    given_subjects = {path[1] for path in given_paths if path[0] == "skills"}
    held_subjects = {row.subject for row in policy.rows if row.subject} - lacking
    assert given_subjects == held_subjects


def test_the_identity_claims_are_asked_of_the_identity_alone():
    for entry in query()["credentials"]:
        paths = [claim["path"] for claim in entry["claims"]]
        assert (["birthdate"] in paths) == (entry["id"] == "staff_identity")


def test_core_skills_are_asked_by_subject_and_only_two_are_required():
    first, second = (entry for entry in query()["credentials"] if entry["id"].startswith("core_skills"))
    assert {"path": ["skills", "FS"], "id": "skills_FS"} in first["claims"]
    assert first["claim_sets"][0] == [claim["id"] for claim in first["claims"]]
    assert first["claim_sets"][-1] == ["holder_ref", "skills_IPC", "skills_RES"]
    assert len(first["claim_sets"]) == 2**5
    assert {"skills_IPC", "skills_RES"} & {claim["id"] for claim in second["claims"]} == set()
    # Of a card that is not required, nothing but its reference is not worth asking for.
    assert len(second["claim_sets"]) == 2**4 - 1
    assert ["holder_ref"] not in second["claim_sets"]


def test_nobody_is_asked_for_what_the_profile_does_not_need():
    asked = {
        policy.id: {path[0] for entry in asking.asked(policy) for path in entry.paths}
        for policy in policies().values()
    }
    for policy in policies().values():
        paths, profile = asked[policy.id], policy.profile
        assert ("barred_lists" in paths) == profile.regulated_activity
        assert ("epp_cleared" in paths) == profile.epp
        assert ("licence_to_practise" in paths) == profile.licence_required
        assert ("certificate_issued_on" in paths) == (profile.dbs_max_age_months is not None)


def test_the_employment_asked_for_is_the_employing_trusts():
    employment = next(entry for entry in query()["credentials"] if entry["id"] == "employment")
    assert {"path": ["employer_ods"], "values": ["RBV"]} in employment["claims"]


def test_a_type_needed_only_for_assurance_is_an_optional_credential_set():
    data = json.loads(_policy_text())
    for row in data["rows"]:
        row["need"] = "ASSURANCE" if row["rule"] == "R-12" else row["need"]
    found = asking.dcql_query(parse(json.dumps(data)), vct_base=BASE, employing_ods=None)
    assert {"options": [["core_skills"]], "required": False} in found["credential_sets"]
    assert found["credential_sets"][0]["options"] == [REQUIRED[:-1]]


def test_every_claim_asked_for_exists_in_the_catalogue():
    for policy in policies().values():
        for entry in asking.asked(policy):
            kind = catalogue.TYPES[entry.credential]
            assert [path for path in entry.paths if kind.claim(path) is None] == []


def test_nobody_is_asked_for_what_no_rule_reads():
    paths = {path for entry in asking.asked(urgent_policy()) for path in entry.paths}
    for name in ("provenance", "portrait", "grade", "fte", "update_service", "start_date", "route"):
        assert (name,) not in paths


def test_facts_keep_what_rules_read_and_commit_to_the_number():
    facts = facts_of(
        "ProfessionalRegistration", surgeon()["ProfessionalRegistration"], urgent_policy(), commit
    )
    assert set(facts) == {
        "regulator",
        "registration_status",
        "licence_to_practise",
        "checked_on",
        "renewal_due",
        "number_commitment",
        "number_has_form",
    }
    identity = facts_of("StaffIdentity", surgeon()["StaffIdentity"], urgent_policy(), commit)
    assert set(identity) == {"identity_scheme", "gpg45_level", "originals_seen_in_person_on"}
    skills = facts_of("CoreSkills", {"skills": {**all_skills(), "LDA": skill()}}, urgent_policy(), commit)
    assert "LDA" not in skills
    assert set(skills["FS"]) == {"level", "completed_on"}


@pytest.mark.parametrize("text", ["{}", '{"rows":[]}', '{"rows":[{"rule":"R-99","need":"SAFETY"}]}'])
def test_data_that_is_no_policy_is_refused_when_it_is_loaded(text: str):
    with pytest.raises((KeyError, ValueError)):
        parse(text)


def test_versions_and_digests_tell_policies_apart():
    policy = urgent_policy()
    assert policy.version_id == "SERVICE_NEED_URGENT.UROLOGY_SURGEON@1"
    changed = json.loads(_policy_text())
    changed["rows"][0]["need"] = "ASSURANCE"
    assert parse(json.dumps(changed)).digest != policy.digest


def _policy_text() -> str:
    folder = resources.files("passport_verifier.rules").joinpath("policy_data")
    return folder.joinpath("service_need_urgent.urology_surgeon.json").read_text("utf-8")


def test_every_sentence_is_there_in_both_languages_with_the_same_parameters():
    folder = resources.files("passport_verifier.rules").joinpath("words_data", "words.json")
    for group, entries in json.loads(folder.read_text("utf-8")).items():
        for key, texts in entries.items():
            assert set(texts) == set(wording.LOCALES), (group, key)
            named = [
                {name for _, name, _, _ in string.Formatter().parse(text) if name} for text in texts.values()
            ]
            assert named[0] == named[1], (group, key)


def test_no_sentence_uses_a_word_people_must_not_be_given():
    folder = resources.files("passport_verifier.rules").joinpath("words_data", "words.json")
    for entries in json.loads(folder.read_text("utf-8")).values():
        for key, texts in entries.items():
            words = set(texts["en-GB"].lower().replace(",", " ").replace(".", " ").split())
            assert not words & set(NEVER_SAID), key


def test_every_reason_party_and_outcome_has_words():
    assert {str(reason) for reason in Reason} - {
        "IDENTITY_LEVEL",
        "EMPLOYMENT",
        "RTW",
        "SPONSORED",
        "CORE_SKILL",
    } <= (wording.known_keys())
    for locale in wording.LOCALES:
        assert all(wording.party(who, locale) for who in Party)
        assert all(wording.outcome(value, None, locale) for value in Outcome)


def test_findings_of_every_kind_become_sentences():
    shown = [
        surgeon(),
        surgeon(CoreSkills={"skills": all_skills(FS=None, IG=skill("1", "2020-01-01"), SA=skill("1"))}),
        surgeon(
            RightToWork={
                "permission": "UNTIL",
                "permission_expires": "2026-05-01",
                "work_restriction": "OTHER",
            }
        ),
        surgeon(DbsOutcome={"level": "BASIC", "barred_lists": []}),
        surgeon(Employment={"contract_end": "2026-04-01"}),
        surgeon(StaffIdentity={"identity_scheme": "GPG45", "gpg45_level": "LOW"}),
        surgeon(OccupationalHealth={"role_category": "CLERICAL"}),
        surgeon(ProfessionalRegistration={"regulator": "HCPC"}),
    ]
    for datasets in shown:
        for look_ups in ((look_up(),), (look_up("LAPSED"),), (look_up("INTERIM_CONDITIONS"),), ()):
            judged = judge(case(datasets, look_ups=look_ups))
            for locale in wording.LOCALES:
                texts = [wording.sentence(found.telling.words, locale) for found in judged.findings]
                texts += [wording.sentence(condition.words, locale) for condition in judged.conditions]
                assert all(text and "{" not in text for text in texts)


def test_words_say_what_is_missing_and_until_when():
    sentence = wording.sentence(
        Words(key="SKILL_LAPSED", params={"subject": "FS", "date": "2026-04-21", "months": 24}), "en-GB"
    )
    assert sentence == "Fire safety: ran out on 21 April 2026 under this host's rule of 24 months."
    assert wording.outcome(Outcome.REFER, Party.HOST_PROFESSIONAL_LEAD, "en-GB") == (
        "Needs a decision by the host trust's professional lead"
    )


def test_what_is_asked_for_in_words():
    words = dict(asking.in_words(urgent_policy(), "en-GB"))
    assert "Fire safety" in words[catalogue.TYPES["CoreSkills"].display["en-GB"]["name"]]
    assert asking.in_words(urgent_policy(), "cy") != asking.in_words(urgent_policy(), "en-GB")
