"""Every single-use value and every change of state of the suite, and the test that races for it (R5).

`OPERATIONS` says of every operation that changes something what many identical calls at once come to; one
test sends them, to one process on SQLite and to four on PostgreSQL, and counts what the audit log and the
outbox have of it. `UNIQUE` names for every key of every table that is not a mere id, and `STATES` for every
kept state, who races for it. Another test compares both with the OpenAPI documents and the schemas, so that
what is new is missed here, and looks whether every test that is named exists.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What many identical calls at once come to."""

    ONE = "one wins and the others are refused"
    ALIKE = "all are answered alike and the effect is one"
    EACH = "every one counts, those that are refused leave nothing"
    NOTHING = "nothing changes: it reads, or what it is sent here is refused"


@dataclass(frozen=True)
class Raced:
    """What an operation comes to, and the tests that race for what it consumes or changes otherwise."""

    outcome: Outcome
    by: tuple[str, ...] = ()


ONE, ALIKE, EACH, NOTHING = Outcome

_ISSUER_HTTP = "tests/http/issuer/test_issuer_"
_TOKEN, _CREDENTIAL = f"{_ISSUER_HTTP}token.py::", f"{_ISSUER_HTTP}credential.py::"
_HOLDER, _RELEASES = f"{_ISSUER_HTTP}holder.py::", f"{_ISSUER_HTTP}releases.py::"
_VISITS = f"{_ISSUER_HTTP}placements.py::"
_ISSUER_STORE, _ISSUER_STATE = (
    f"tests/store/issuer/test_{name}.py::" for name in ("issuer_store", "review_issuer_state")
)
_NOTICES, _CONNECTIONS = (
    f"tests/store/issuer/test_{name}.py::" for name in ("notice_races", "connection_store")
)
_VERIFIER_HTTP = "tests/http/verifier/test_verifier_"
_VERIFIER_STORE, _VERIFIER_STATE, _RELEASE_RACES = (
    f"tests/store/verifier/test_{name}.py::"
    for name in ("verifier_store", "review_verifier_state", "release_races")
)
_REGISTRY = "tests/store/registry/test_registry_"
_KIT, _KIT2 = "tests/store/kit/test_kit_", "tests/store/kit2/test_"
_CLIENTS = "tests/http/kit2/test_api_clients.py::"
_HERE = "tests/races/test_single_use.py::"

ASSERTION = (
    f"{_CLIENTS}test_an_assertion_works_once_whoever_sends_it_where_and_when",
    f"{_HERE}test_one_assertion_one_token",
)
CODE = (
    f"{_TOKEN}test_fifty_parallel_redemptions_give_exactly_one_token",
    f"{_ISSUER_STATE}test_a_code_used_at_once_by_many_is_redeemed_once_and_then_revoked",
    f"{_HERE}test_one_code_one_token",
)
TX_CODE = (
    f"{_TOKEN}test_five_wrong_pins_in_all_and_the_code_is_dead",
    f"{_ISSUER_STORE}test_wrong_pins_are_counted_one_by_one",
    f"{_HERE}test_five_guesses_and_no_more",
)
NONCE = (
    f"{_CREDENTIAL}test_one_proof_sent_fifty_times_at_once_gives_exactly_one_credential",
    f"{_ISSUER_STORE}test_a_nonce_is_consumed_once_however_many_ask",
    f"{_HERE}test_one_nonce_one_credential",
)
INDEX = (
    f"{_ISSUER_STORE}test_one_index_is_given_once_however_many_ask",
    f"{_CREDENTIAL}test_parallel_requests_for_one_dataset_leave_one_live_credential",
    f"{_HERE}test_one_dataset_one_live_credential",
)
NOTIFIED = (
    f"{_ISSUER_STATE}test_notifications_of_two_wallets_at_once_leave_the_newest",
    f"{_HERE}test_one_notification_is_recorded_once",
)
ISSUER_SESSION = (
    f"{_HOLDER}test_one_of_many_at_once_opens_with_a_challenge",
    f"{_HOLDER}test_a_proof_is_used_once_whoever_is_quickest",
)
VERIFIER_SESSION = (f"{_VERIFIER_HTTP}holder.py::test_challenge_and_proofs_are_used_once",)
INVITATION = (
    f"{_NOTICES}test_many_who_invite_one_person_make_one_invitation",
    f"{_NOTICES}test_opening_and_taking_back_at_once_leave_one_truth",
)
LINK = (f"{_NOTICES}test_one_link_many_browsers_one_opening",)
NOTICE = (
    f"{_NOTICES}test_one_notice_many_senders_one_message",
    f"{_NOTICES}test_one_occasion_many_who_tell_one_notice",
    f"{_NOTICES}test_many_who_send_a_notice_again_make_one",
)
RELEASE_CASE = (f"{_RELEASES}test_many_at_once_make_one_case",)
RELEASE_ANSWER = (
    f"{_RELEASES}test_many_answers_at_once_count_once",
    f"{_RELEASES}test_overlapping_moves_agreed_at_the_same_moment_see_each_other",
)
RELEASE_TOKEN = (f"{_RELEASES}test_readers_at_once_after_a_kill_see_one_token",)
VISIT = (
    f"{_VISITS}test_many_at_once_make_one",
    f"{_VISITS}test_hold_and_end_at_once_leave_it_ended",
)
PERSON_LINK = (
    f"{_CONNECTIONS}test_many_choose_the_same_person_and_one_gets_them",
    f"{_CONNECTIONS}test_one_person_is_chosen_by_many_hands_at_once",
)
GATHERED = (f"{_CONNECTIONS}test_items_applied_by_many_at_once_are_applied_once",)
HOLD = (
    f"{_ISSUER_STATE}test_a_hold_that_races_with_issuing_stands_in_the_list_at_once",
    f"{_HOLDER}test_the_person_and_hr_at_the_same_moment_end_in_one_state",
    f"{_HERE}test_opposite_changes_leave_what_the_last_one_said",
)
OFFERED = (f"{_HERE}test_withdrawing_and_redeeming_at_once_leave_one_truth",)
ANSWER = (
    f"{_VERIFIER_HTTP}refuses.py::test_a_replay_is_refused_and_of_fifty_at_once_one_is_accepted",
    f"{_VERIFIER_STORE}test_of_twenty_answers_at_once_one_is_recorded_for_each_of_twenty_requests",
    f"{_HERE}test_one_presentation_one_decision",
)
RESPONSE_CODE = (
    f"{_VERIFIER_STORE}test_a_response_code_is_redeemed_once_and_a_browser_bound_once",
    f"{_HERE}test_one_response_code_one_browser",
)
REFUSALS = (f"{_VERIFIER_STORE}test_bad_answers_are_counted_and_close_the_request",)
RECHECK = (
    f"{_VERIFIER_STORE}test_of_many_rechecks_at_once_one_is_kept",
    f"{_VERIFIER_STATE}test_two_replicas_judge_what_waited_once",
)
CONFIRMED = (
    f"{_VERIFIER_STORE}test_a_person_is_confirmed_once",
    f"{_VERIFIER_STATE}test_what_is_confirmed_beside_a_recheck_is_confirmed_or_refused",
    f"{_HERE}test_a_person_is_confirmed_once_by_any_process",
)
MOVEMENT = (
    f"{_VERIFIER_STORE}test_a_movement_is_changed_by_one_of_many",
    f"{_VERIFIER_STATE}test_asking_and_changing_at_once_leave_no_question_about_other_days",
    f"{_RELEASE_RACES}test_agreement_release_approval_and_decision_at_once_end_in_one_state",
    f"{_HERE}test_everything_at_once_ends_in_a_state_that_follows",
)
AGREEMENT_LINK = (
    f"{_RELEASE_RACES}test_a_link_is_used_once_however_many_answer",
    f"{_HERE}test_one_agreement_link_one_answer",
)
APPROVAL = (f"{_RELEASE_RACES}test_of_two_approvals_by_one_person_at_once_one_is_refused",)
STAFF_ANSWER = (f"{_RELEASE_RACES}test_a_withdrawal_beside_everything_else_wins_in_the_end",)
RELEASE_ASKED = (
    f"{_RELEASE_RACES}test_one_request_of_a_movement_counts",
    f"{_RELEASE_RACES}test_delivery_by_two_replicas_sends_one_content",
)
RELEASE_TAKEN = (
    f"{_RELEASE_RACES}test_one_release_is_taken_once_however_many_look",
    f"{_RELEASE_RACES}test_one_pull_is_one_replicas",
)
LICENCE = (f"{_RELEASE_RACES}test_agreement_release_approval_and_decision_at_once_end_in_one_state",)
PLACEMENT = (
    f"{_VERIFIER_HTTP}placements.py::test_of_many_starts_one_counts",
    f"{_VERIFIER_HTTP}placements.py::test_start_and_end_at_once_leave_nothing_half_done",
)
WATCH = (f"{_VERIFIER_HTTP}watches.py::test_two_replicas_watch_and_each_change_is_judged_once",)
OVERRIDE = (
    "tests/races/test_stale_reads.py::test_a_withdrawal_that_meets_an_approval_takes_the_movement_back",
    f"{_VERIFIER_HTTP}overrides.py::test_of_many_approvals_at_once_one_counts_and_a_late_one_does_not",
)
POLICY = (
    f"{_VERIFIER_HTTP}policies.py::test_of_many_approvals_at_once_one_counts",
    f"{_VERIFIER_HTTP}policies.py::test_of_many_proposals_at_once_each_has_its_own_number",
)
KEPT_ANSWER = (f"{_VERIFIER_STATE}test_two_replicas_judge_a_kept_answer_once",)
LIST_TOKEN = (f"{_VERIFIER_STORE}test_a_status_list_never_goes_back",)
FACT = (
    "tests/http/registry/test_registry_activity_http.py::"
    "test_what_an_outbox_sends_is_what_the_registry_counts_once",
    f"{_REGISTRY}activity.py::test_writers_at_the_same_time_lose_and_double_nothing",
)
BASELINE = (f"{_REGISTRY}activity.py::test_a_baseline_is_entered_over_the_version_that_was_read",)
ENROLMENT = (
    f"{_REGISTRY}enrolment.py::test_twenty_at_once_with_the_same_keys_are_one_enrolment",
    f"{_REGISTRY}enrolment.py::test_of_twenty_at_once_with_other_keys_one_enrols",
)
RENEWAL = ("tests/races/test_renewals_at_once.py::test_one_renewal_however_many_ask",)
ENROLMENT_CODE = (
    "tests/store/registry/test_review_registry_state.py::test_of_codes_made_at_once_one_lives",
    *ENROLMENT,
)
GRANT = (f"{_REGISTRY}records.py::test_a_grant_takes_two_people_and_is_approved_once",)
MEMBER = (f"{_REGISTRY}records.py::test_of_twenty_changes_to_one_version_one_wins",)
CLIENT_KEY = (f"{_REGISTRY}records.py::test_a_client_has_two_keys_at_most_and_a_key_one_client",)
SUSPENSION = (f"{_HERE}test_a_graver_suspension_is_never_refused_for_a_lighter_one",)
MARK = (f"{_REGISTRY}publishing.py::test_twenty_concurrent_publishes_leave_one_current_mark_each",)
SNAPSHOT = (f"{_REGISTRY}publishing.py::test_many_publishers_make_one_chain",)
ANCHOR = (f"{_REGISTRY}records.py::test_init_may_be_repeated_and_raced",)
IDEMPOTENCY = (
    f"{_KIT}idempotency.py::test_twenty_at_once_make_one_thing",
    f"{_KIT}idempotency.py::test_two_replicas_make_one_thing",
    f"{_HERE}test_one_key_one_thing",
)
RATE = (f"{_KIT}limits.py::test_at_once_exactly_the_burst_passes",)
AUDIT = (
    f"{_KIT2}audit_sealer.py::test_many_writers_and_many_sealers_make_one_chain_without_gaps",
    f"{_KIT2}audit_sealer.py::test_checkpoints_of_rivals_form_one_chain",
)
OUTBOX = (
    f"{_KIT2}outbox_delivery.py::test_rivals_deliver_each_event_once",
    f"{_KIT2}outbox_delivery.py::test_positions_have_no_gaps_whoever_writes_and_places",
)
LEASE = (f"{_KIT2}leases_and_jobs.py::test_twenty_rivals_twenty_rounds_one_winner_each",)
JOB = (
    f"{_KIT2}leases_and_jobs.py::test_forty_jobs_twenty_workers_each_job_once",
    f"{_KIT2}leases_and_jobs.py::test_the_same_work_is_enqueued_once",
    f"{_KIT2}jobs_in_processes.py::test_every_step_of_every_job_is_done_once_though_a_process_is_killed",
)
KEY = (
    f"{_KIT2}key_store.py::test_fifty_at_once_get_the_same_key",
    f"{_KIT2}key_store.py::test_twenty_rotations_at_once_move_one_key",
)
SECRET = (f"{_KIT2}key_store.py::test_secrets_are_the_same_on_every_replica_from_the_first_moment",)
DOCUMENT = (f"{_KIT2}cached_documents.py::test_thirty_writers_of_one_version_one_wins",)
TENANT = (f"{_VERIFIER_HTTP}tenancy.py::test_an_enrolment_by_another_process_counts_at_once", *ENROLMENT)
ANOTHER_LIST = (f"{_ISSUER_STATE}test_replicas_that_need_another_list_make_one",)
EVERY_OPERATION = ("tests/races/test_operations.py::test_every_operation_many_times_at_once",)

_O = "/api/v1/organisations/{ods}"
_PERSON, _CONNECTION, _CASE = (
    f"{_O}/staff/{{staff_id}}",
    f"{_O}/connections/{{connection_id}}",
    f"{_O}/releases",
)
_MOVE, _ENTITY = f"{_O}/movements/{{movement_id}}", f"{_O}/entities/{{role}}"
_GRANTED = f"{_ENTITY}/authorisations"
_TYPED = "/{ods}/holder"

OPERATIONS: dict[str, Raced] = {
    "registry POST /api/v1/activity/events": Raced(NOTHING, FACT),
    "registry POST /api/v1/activity/imports": Raced(EACH, FACT),
    "registry POST /api/v1/agreements": Raced(EACH),
    "registry POST /api/v1/agreements/{agreement_id}/end": Raced(ONE),
    "registry POST /api/v1/clients": Raced(ONE),
    "registry POST /api/v1/clients/{client_id}/keys": Raced(NOTHING, CLIENT_KEY),
    "registry POST /api/v1/clients/{client_id}/keys/{kid}/remove": Raced(ONE),
    "registry POST /api/v1/clients/{client_id}/reactivate": Raced(NOTHING, SUSPENSION),
    "registry PUT /api/v1/clients/{client_id}/scopes": Raced(ONE),
    "registry POST /api/v1/clients/{client_id}/suspend": Raced(ALIKE),
    "registry POST /api/v1/enrolments": Raced(NOTHING, ENROLMENT),
    "registry POST /api/v1/enrolments/renewals": Raced(NOTHING, RENEWAL),
    "registry POST /api/v1/organisations": Raced(ONE),
    f"registry PUT {_O}": Raced(ONE, MEMBER),
    f"registry POST {_O}/entities": Raced(ONE),
    f"registry POST {_GRANTED}": Raced(EACH),
    f"registry POST {_GRANTED}/{{authorisation_id}}/approve": Raced(NOTHING, GRANT),
    f"registry POST {_GRANTED}/{{authorisation_id}}/withdraw": Raced(ONE),
    f"registry POST {_ENTITY}/certificates/{{x5t}}/compromise": Raced(ALIKE),
    f"registry POST {_ENTITY}/enrolment-codes": Raced(EACH, ENROLMENT_CODE),
    f"registry POST {_ENTITY}/reinstate": Raced(NOTHING, SUSPENSION),
    f"registry POST {_ENTITY}/suspend": Raced(ALIKE, SUSPENSION),
    f"registry PUT {_O}/hr-users/{{subject}}": Raced(ONE),
    f"registry POST {_O}/hr-users/{{subject}}/remove": Raced(ONE),
    f"registry PUT {_O}/steps/{{step}}": Raced(ONE),
    "registry PUT /api/v1/reports/baselines/{document}/{ods}": Raced(NOTHING, BASELINE),
    "registry POST /federation/trust_mark_status": Raced(NOTHING),
    "registry POST /oauth2/token": Raced(NOTHING, ASSERTION),
    f"issuer POST {_O}/connections": Raced(ONE),
    f"issuer PUT {_CONNECTION}": Raced(NOTHING, PERSON_LINK),
    f"issuer POST {_CONNECTION}/believe": Raced(NOTHING),
    f"issuer POST {_CONNECTION}/event-key": Raced(EACH),
    f"issuer POST {_CONNECTION}/remove": Raced(NOTHING, PERSON_LINK),
    f"issuer POST {_CONNECTION}/search": Raced(NOTHING),
    f"issuer POST {_CONNECTION}/test": Raced(EACH),
    f"issuer POST {_O}/credentials/{{credential_id}}/hold": Raced(ONE, HOLD),
    f"issuer POST {_O}/credentials/{{credential_id}}/reinstate": Raced(ONE, HOLD),
    f"issuer POST {_O}/credentials/{{credential_id}}/revoke": Raced(ONE, HOLD),
    f"issuer PUT {_O}/notice-contact": Raced(ONE),
    f"issuer POST {_O}/notices/{{notice_id}}/resend": Raced(ONE, NOTICE),
    f"issuer POST {_O}/offers/{{offer_id}}/pin": Raced(EACH),
    f"issuer POST {_O}/offers/{{offer_id}}/withdraw": Raced(ONE, OFFERED),
    f"issuer PUT {_O}/placements/{{movement_id}}": Raced(NOTHING, VISIT),
    f"issuer POST {_O}/placements/{{movement_id}}/end": Raced(ALIKE, VISIT),
    f"issuer POST {_O}/placements/{{movement_id}}/hold": Raced(NOTHING, VISIT),
    f"issuer POST {_O}/placements/{{movement_id}}/offer": Raced(NOTHING, VISIT),
    f"issuer POST {_O}/placements/{{movement_id}}/reinstate": Raced(NOTHING, VISIT),
    f"issuer POST {_O}/problems/{{report_id}}/close": Raced(ALIKE),
    f"issuer POST {_CASE}/{{release_id}}/hr": Raced(NOTHING, RELEASE_ANSWER),
    f"issuer POST {_CASE}/{{release_id}}/line-manager": Raced(NOTHING, RELEASE_ANSWER),
    f"issuer POST {_CASE}/{{release_id}}/person": Raced(NOTHING, RELEASE_ANSWER),
    f"issuer POST {_CASE}/{{release_id}}/withdraw": Raced(NOTHING, RELEASE_ANSWER),
    f"issuer POST {_O}/staff": Raced(NOTHING, (f"{_HERE}test_one_external_id_one_person",)),
    f"issuer PUT {_PERSON}": Raced(ONE),
    f"issuer POST {_PERSON}/assignments": Raced(ONE),
    f"issuer PUT {_PERSON}/assignments/{{assignment_id}}": Raced(ONE),
    f"issuer POST {_PERSON}/checks": Raced(EACH),
    f"issuer POST {_PERSON}/gather": Raced(EACH, GATHERED),
    f"issuer POST {_PERSON}/gatherings/{{gathering_id}}/apply": Raced(NOTHING, GATHERED),
    f"issuer POST {_PERSON}/identity-sessions": Raced(EACH),
    f"issuer PUT {_PERSON}/identity-sessions/{{session_id}}": Raced(ONE),
    f"issuer POST {_PERSON}/identity-sessions/{{session_id}}/result": Raced(ONE),
    f"issuer POST {_PERSON}/invitations": Raced(NOTHING, INVITATION),
    f"issuer POST {_PERSON}/invitations/{{invitation_id}}/resend": Raced(ONE, INVITATION),
    f"issuer POST {_PERSON}/invitations/{{invitation_id}}/send": Raced(NOTHING, INVITATION),
    f"issuer POST {_PERSON}/invitations/{{invitation_id}}/withdraw": Raced(NOTHING, INVITATION),
    f"issuer POST {_PERSON}/leaving-date": Raced(EACH),
    f"issuer PUT {_PERSON}/links/{{connection_id}}": Raced(ONE, PERSON_LINK),
    f"issuer POST {_PERSON}/links/{{connection_id}}/unlink": Raced(ONE, PERSON_LINK),
    f"issuer POST {_PERSON}/offers": Raced(NOTHING, OFFERED),
    f"issuer POST {_PERSON}/passport/hold": Raced(ONE, HOLD),
    f"issuer POST {_PERSON}/passport/reinstate": Raced(ONE, HOLD),
    f"issuer POST {_PERSON}/training": Raced(EACH),
    "issuer POST /dsp-api/events": Raced(NOTHING, GATHERED),
    "issuer POST /oauth2/token": Raced(NOTHING, ASSERTION),
    "issuer POST /{ods}/credential": Raced(NOTHING, (*NONCE, *INDEX)),
    f"issuer POST {_TYPED}/challenge": Raced(NOTHING, ISSUER_SESSION),
    f"issuer POST {_TYPED}/problems": Raced(NOTHING, ISSUER_SESSION),
    f"issuer POST {_TYPED}/releases/{{release_id}}/agree": Raced(NOTHING, RELEASE_ANSWER),
    f"issuer POST {_TYPED}/releases/{{release_id}}/withdraw": Raced(NOTHING, RELEASE_ANSWER),
    f"issuer POST {_TYPED}/sessions": Raced(NOTHING, ISSUER_SESSION),
    "issuer POST /{ods}/i/{token}": Raced(NOTHING, LINK),
    "issuer POST /{ods}/nonce": Raced(NOTHING, NONCE),
    "issuer POST /{ods}/notification": Raced(NOTHING, NOTIFIED),
    "issuer POST /{ods}/o/{offer_id}": Raced(NOTHING, OFFERED),
    "issuer POST /{ods}/release-requests": Raced(NOTHING, RELEASE_CASE),
    "issuer POST /{ods}/token": Raced(NOTHING, (*CODE, *TX_CODE)),
    f"verifier POST {_O}/alerts/{{alert_id}}/acknowledge": Raced(ALIKE),
    f"verifier POST {_O}/decisions/{{decision_id}}/conditions/{{number}}/met": Raced(ALIKE),
    f"verifier POST {_O}/decisions/{{decision_id}}/person-confirmation": Raced(NOTHING, CONFIRMED),
    f"verifier POST {_O}/decisions/{{decision_id}}/recheck": Raced(ONE, RECHECK),
    f"verifier POST {_O}/movements": Raced(ONE),
    f"verifier PUT {_MOVE}": Raced(NOTHING, MOVEMENT),
    f"verifier POST {_MOVE}/agreement-links": Raced(EACH, AGREEMENT_LINK),
    f"verifier POST {_MOVE}/approvals": Raced(EACH, APPROVAL),
    f"verifier POST {_MOVE}/cancel": Raced(ONE, MOVEMENT),
    f"verifier POST {_MOVE}/induction": Raced(NOTHING, MOVEMENT),
    f"verifier POST {_MOVE}/placement": Raced(NOTHING, PLACEMENT),
    f"verifier POST {_MOVE}/placement/end": Raced(ALIKE, PLACEMENT),
    f"verifier POST {_MOVE}/placement/offer": Raced(NOTHING, PLACEMENT),
    f"verifier POST {_MOVE}/release-request": Raced(NOTHING, RELEASE_ASKED),
    f"verifier POST {_MOVE}/release/refresh": Raced(NOTHING, RELEASE_TAKEN),
    f"verifier POST {_MOVE}/staff-agreement": Raced(NOTHING, STAFF_ANSWER),
    f"verifier POST {_O}/overrides": Raced(NOTHING, OVERRIDE),
    f"verifier POST {_O}/overrides/{{override_id}}/approve": Raced(NOTHING, OVERRIDE),
    f"verifier POST {_O}/overrides/{{override_id}}/withdraw": Raced(ALIKE, OVERRIDE),
    f"verifier PUT {_O}/placement-issuer": Raced(ONE),
    f"verifier POST {_O}/policies/{{policy_id}}/versions": Raced(EACH, POLICY),
    f"verifier POST {_O}/policies/{{policy_id}}/versions/{{number}}/approve": Raced(NOTHING, POLICY),
    f"verifier POST {_O}/policies/{{policy_id}}/versions/{{number}}/withdraw": Raced(ALIKE, POLICY),
    f"verifier POST {_O}/presentation-requests": Raced(EACH, MOVEMENT),
    f"verifier POST {_O}/presentation-requests/{{request_id}}/cancel": Raced(
        NOTHING, (f"{_HERE}test_cancelling_and_answering_at_once_leave_one_truth",)
    ),
    f"verifier POST {_O}/register-checks": Raced(NOTHING),
    "verifier POST /oauth2/token": Raced(NOTHING, ASSERTION),
    "verifier POST /{ods}/a/{token}": Raced(NOTHING, AGREEMENT_LINK),
    f"verifier POST {_TYPED}/challenge": Raced(NOTHING, VERIFIER_SESSION),
    f"verifier POST {_TYPED}/moves/{{movement_id}}/agree": Raced(NOTHING, STAFF_ANSWER),
    f"verifier POST {_TYPED}/moves/{{movement_id}}/decline": Raced(NOTHING, STAFF_ANSWER),
    f"verifier POST {_TYPED}/moves/{{movement_id}}/withdraw": Raced(NOTHING, STAFF_ANSWER),
    f"verifier POST {_TYPED}/sessions": Raced(NOTHING, VERIFIER_SESSION),
    "verifier POST /{ods}/oid4vp/requests/{link}": Raced(NOTHING, ANSWER),
    "verifier POST /{ods}/oid4vp/response": Raced(NOTHING, (*ANSWER, *REFUSALS)),
}

SHARED_UNIQUE: dict[str, tuple[str, ...]] = {
    "audit_entries seq": AUDIT,
    "audit_checkpoints seq": AUDIT,
    "outbox_events position": OUTBOX,
    "outbox_sinks name": OUTBOX,
    "outbox_refusals sink,event_id": OUTBOX,
    "leases name": LEASE,
    "jobs unique_key": JOB,
    "signing_keys kid": KEY,
    "signing_keys owner,purpose": KEY,
    "service_secrets name": SECRET,
    "cached_documents name": DOCUMENT,
    "idempotency_claims client_id,route,key_hash": IDEMPOTENCY,
    "used_client_assertions client_id,jti": ASSERTION,
    "rate_limits name,subject_hash": RATE,
    "tenants ods": TENANT,
    "tenants entity_id": TENANT,
    "tenant_certificates ods,use,kid": TENANT,
}
"""What every service that has such a table shares the code of."""

UNIQUE: dict[str, tuple[str, ...]] = {
    "issuer connections ods,name": EVERY_OPERATION,
    "issuer connections event_key_hash": EVERY_OPERATION,
    "issuer staff_links connection_id,person_id": PERSON_LINK,
    "issuer staff_links connection_id,staff_id": PERSON_LINK,
    "issuer gathering_items gathering_id,position": GATHERED,
    "issuer screening_records staff_id,record_type,code,date": GATHERED,
    "issuer holder_sessions token_hash": ISSUER_SESSION,
    "issuer holder_used_values value_hash": ISSUER_SESSION,
    "issuer invitations token_hash": LINK,
    "issuer invitations staff_id": INVITATION,
    "issuer notices resend_of": NOTICE,
    "issuer notices once": NOTICE,
    "issuer notice_contacts ods": (f"{_NOTICES}test_whom_to_ask_is_said_by_one_of_many",),
    "issuer placements ods,movement_id": VISIT,
    "issuer releases ods,requester,request_jti": RELEASE_CASE,
    "issuer release_documents release_id,serial": (*RELEASE_ANSWER, *RELEASE_TOKEN),
    "issuer staff_external_ids ods,kind,value": (f"{_HERE}test_one_external_id_one_person",),
    "issuer assignments staff_id,ref": EVERY_OPERATION,
    "issuer passports staff_id": OFFERED,
    "issuer passports holder_ref": OFFERED,
    "issuer offer_datasets offer_id,position": OFFERED,
    "issuer wallet_access_tokens token_hash": CODE,
    "issuer used_nonces nonce_hash": NONCE,
    "issuer credentials status_list_id,status_idx": INDEX,
    "issuer wallet_notifications notification_id,event": NOTIFIED,
    "verifier verified_cases case_id": (
        f"{_VERIFIER_HTTP}activity.py::test_rivals_of_one_movement_are_one_verified",
    ),
    "verifier holder_sessions token_hash": VERIFIER_SESSION,
    "verifier holder_used_values value_hash": VERIFIER_SESSION,
    "verifier placement_issuers ods": EVERY_OPERATION,
    "verifier placements movement_id": PLACEMENT,
    "verifier watches movement_id": WATCH,
    "verifier watched_lists uri": WATCH,
    "verifier watched_issuers issuer": WATCH,
    "verifier alerts movement_id,about": WATCH,
    "verifier policy_versions version_id": POLICY,
    "verifier policy_versions ods,policy_id,number": POLICY,
    "verifier agreement_links token_hash": AGREEMENT_LINK,
    "verifier release_requests jti": RELEASE_ASKED,
    "verifier release_requests movement_id": RELEASE_ASKED,
    "verifier releases request_id,serial": RELEASE_TAKEN,
    "verifier licences_to_attend movement_id": LICENCE,
    "verifier movements ods,external_id": EVERY_OPERATION,
    "verifier presentation_requests link": ANSWER,
    "verifier presentation_requests oauth_state": ANSWER,
    "verifier presentation_requests kid": ANSWER,
    "verifier held_presentations request_id": KEPT_ANSWER,
    "verifier decisions recheck_of": RECHECK,
    "verifier decisions request_id": ANSWER,
    "verifier reliances decision_id,credential": ANSWER,
    "verifier conditions decision_id,number": ANSWER,
    "verifier issuer_chains x5t_s256": ANSWER,
    "verifier status_lists uri": LIST_TOKEN,
    "registry activity_facts event_id": FACT,
    "registry activity_counts": FACT,
    "registry activity_durations": FACT,
    "registry report_baselines document,ods": BASELINE,
    "registry hr_users ods_code,subject": EVERY_OPERATION,
    "registry organisations ods_code": EVERY_OPERATION,
    "registry onboarding_steps ods_code,step": EVERY_OPERATION,
    "registry entities entity_id": EVERY_OPERATION,
    "registry entities ods_code,role": EVERY_OPERATION,
    "registry enrolment_codes code_hmac": ENROLMENT_CODE,
    "registry authority_certificates name": ANCHOR,
    "registry certificates serial": ENROLMENT,
    "registry certificates x5t_s256": ENROLMENT,
    "registry certificates jkt": ENROLMENT,
    "registry certificates enrolment_id,use": ENROLMENT,
    "registry trust_marks jti": MARK,
    "registry trust_marks status_list_id,status_idx": MARK,
    "registry trust_marks entity_id": MARK,
    "registry status_lists uri": MARK,
    "registry statements sub": SNAPSHOT,
    "registry publications kind,sequence": SNAPSHOT,
    "registry publications kind,follows": SNAPSHOT,
    "registry parts sha256": SNAPSHOT,
    "registry api_clients client_id": EVERY_OPERATION,
    "registry api_client_keys kid": CLIENT_KEY,
    "registry api_client_keys client_id,slot": CLIENT_KEY,
}

SHARED_STATES: dict[str, tuple[str, ...]] = {
    "jobs": JOB,
    "signing_keys": KEY,
    "idempotency_claims": IDEMPOTENCY,
    "tenants": TENANT,
}
STATES: dict[str, tuple[str, ...]] = {
    "issuer connections": EVERY_OPERATION,
    "issuer gathering_items": GATHERED,
    "issuer problem_reports": EVERY_OPERATION,
    "issuer invitations": (*INVITATION, *LINK),
    "issuer notices": NOTICE,
    "issuer releases": RELEASE_ANSWER,
    "issuer passports": HOLD,
    "issuer credential_offers": (*CODE, *OFFERED),
    "issuer credentials": (*HOLD, *INDEX),
    "verifier placements": PLACEMENT,
    "verifier watches": WATCH,
    "verifier policy_versions": POLICY,
    "verifier overrides": OVERRIDE,
    "verifier release_requests": RELEASE_ASKED,
    "verifier releases": RELEASE_TAKEN,
    "verifier licences_to_attend": LICENCE,
    "verifier movements": MOVEMENT,
    "verifier presentation_requests": ANSWER,
    "verifier conditions": EVERY_OPERATION,
    "registry onboarding_steps": EVERY_OPERATION,
    "registry certificates": ENROLMENT,
    "registry authorisations": GRANT,
    "registry trust_marks": MARK,
    "registry publications": SNAPSHOT,
    "registry agreements": EVERY_OPERATION,
    "registry api_clients": EVERY_OPERATION,
}
