"""Documentation of holder sessions at one's own trust; the issuer's part of the staff-app document too."""

from __future__ import annotations

from typing import Any

from passport_issuer.rules.passports import CredentialState, PassportState
from passport_issuer.rules.releases import CaseState, StaffDecision
from passport_issuer.store.problem_reports import ProblemKind, ProblemState
from passport_shared.service.holder_openapi import (
    DAY,
    INSTANT,
    STRING,
    WORDS,
    array,
    choice,
    entity_paths,
    nullable,
    operation,
    record,
)
from passport_shared.wire import catalogue

_TRUST = record(ods_code=STRING, name=STRING)
_TYPE = choice(catalogue.TYPES)
_PASSPORT = record(
    trust=_TRUST,
    state=choice(PassportState),
    words=WORDS,
    reason_code=nullable(STRING),
    records=array(
        record(
            type=_TYPE,
            label=WORDS,
            state=choice(CredentialState),
            issued_on=nullable(INSTANT),
            expires_on=INSTANT,
        )
    ),
)
_OFFER = record(id=STRING, page=STRING, types=array(_TYPE), expires_at=INSTANT)
_RELEASE = record(
    id=STRING,
    host=_TRUST,
    movement_type=STRING,
    start=DAY,
    end=DAY,
    released_until=nullable(DAY),
    sites=array(STRING),
    department=STRING,
    duties=STRING,
    limits=array({"type": "object"}),
    state=choice(CaseState),
    words=WORDS,
    my_answer=nullable(choice(StaffDecision)),
    asked_at=INSTANT,
    answer_by=INSTANT,
)
_PROBLEM = record(
    id=STRING,
    kind=choice(ProblemKind),
    about=nullable(_TYPE),
    text=nullable(STRING),
    state=choice(ProblemState),
    reported_at=INSTANT,
)
_REPORT = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": choice(ProblemKind),
        "about": nullable(_TYPE),
        "text": nullable({"type": "string", "minLength": 1, "maxLength": 1_000}),
    },
    "example": {"kind": "WRONG_DETAIL", "about": "Employment", "text": "My grade is wrong"},
}
_RELEASE_ID = ("release_id",)
_OVER = "conflict: the release is over"

PATHS: dict[str, Any] = {
    **entity_paths("RBV"),
    "/{ods}/holder/passport": {
        "get": operation("My passport here, in plain words", "holder_passport", _PASSPORT),
    },
    "/{ods}/holder/offers": {
        "get": operation("What waits to be collected", "holder_offers", record(items=array(_OFFER))),
    },
    "/{ods}/holder/releases": {
        "get": operation(
            "Which trusts asked for me, newest first", "holder_releases", record(items=array(_RELEASE))
        ),
    },
    "/{ods}/holder/releases/{release_id}": {
        "get": operation("One of them", "holder_release", _RELEASE, parameters=_RELEASE_ID),
    },
    "/{ods}/holder/releases/{release_id}/agree": {
        "post": operation(
            "I agree", "holder_release_agree", _RELEASE, parameters=_RELEASE_ID, conflict=_OVER
        ),
    },
    "/{ods}/holder/releases/{release_id}/withdraw": {
        "post": operation(
            "I do not agree, or no longer",
            "holder_release_withdraw",
            _RELEASE,
            parameters=_RELEASE_ID,
            conflict=_OVER,
        ),
    },
    "/{ods}/holder/problems": {
        "get": operation("What I reported", "holder_problems", record(items=array(_PROBLEM))),
        "post": operation(
            "Report a problem; a lost phone puts the passport on hold at once",
            "holder_report",
            _PROBLEM,
            body=_REPORT,
            status="201",
            conflict="conflict: enough problems are open",
        ),
    },
}
