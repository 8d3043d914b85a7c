"""DCQL queries: what is read, what is ignored, and every rule by the reason of its refusal."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport_shared.formats.dcql import (
    ClaimQuery,
    CredentialQuery,
    CredentialSetQuery,
    DcqlError,
    DcqlReason,
    Query,
    TrustedAuthority,
    parse_query,
)

VCT = "https://registry.example/vct/StaffIdentity/1"
Members = dict[str, Any]


def credential(**changes: Any) -> Members:
    members = {"id": "identity", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, **changes}
    return {name: value for name, value in members.items() if value is not ...}


def query(*credentials: Any, **more: Any) -> Members:
    return {"credentials": list(credentials) or [credential()], **more}


def refused(document: object) -> DcqlReason:
    with pytest.raises(DcqlError) as caught:
        parse_query(document)
    return caught.value.reason


def test_a_full_query_is_read() -> None:
    document = query(
        credential(
            claims=[
                {"id": "name", "path": ["family_name"]},
                {"id": "fire", "path": ["skills", "FS"]},
                {"id": "site", "path": ["sites", None, "code"], "values": ["RBV01", 7, True]},
                {"id": "first", "path": ["sites", 0]},
            ],
            claim_sets=[["name", "fire"], ["site", "first"]],
            trusted_authorities=[{"type": "aki", "values": ["s9tIpPmhxdiuNkHMEWNpYim8S8Y"]}],
            multiple=True,
            require_cryptographic_holder_binding=False,
        ),
        credential(id="employment"),
        credential_sets=[
            {"options": [["identity"], ["employment"]]},
            {"options": [["identity"]], "required": False},
        ],
    )
    parsed = parse_query(document)
    first = parsed.credential("identity")
    assert first is not None
    assert first.claims[2] == ClaimQuery(id="site", path=("sites", None, "code"), values=("RBV01", 7, True))
    assert first.alternatives() == ((first.claims[0], first.claims[1]), (first.claims[2], first.claims[3]))
    assert first.trusted_authorities == (
        TrustedAuthority(type="aki", values=("s9tIpPmhxdiuNkHMEWNpYim8S8Y",)),
    )
    assert (first.multiple, first.require_cryptographic_holder_binding) == (True, False)
    assert [entry.required for entry in parsed.credential_sets] == [True, False]
    assert parsed.credential("nobody") is None
    assert parsed.as_json() == {
        **document,
        "credential_sets": [
            {"options": [["identity"], ["employment"]], "required": True},
            {"options": [["identity"]], "required": False},
        ],
    }


def test_defaults() -> None:
    (only,) = parse_query(query()).credentials
    assert only == CredentialQuery(id="identity", vct_values=(VCT,))
    assert (only.multiple, only.require_cryptographic_holder_binding) == (False, True)
    assert only.alternatives() == ((),)


def test_unknown_properties_are_ignored() -> None:
    document = query(
        credential(
            purpose="x",
            claims=[{"path": ["a"], "intent_to_retain": True}],
            meta={"vct_values": [VCT], "x": 1},
        ),
        later={"any": "thing"},
    )
    assert parse_query(document).as_json() == query(credential(claims=[{"path": ["a"]}]))


def test_another_format_is_a_valid_query_even_if_we_cannot_answer_it() -> None:
    parsed = parse_query(
        query(credential(format="mso_mdoc", meta={"doctype_value": "org.iso.18013.5.1.mDL"}))
    )
    assert parsed.credentials[0].vct_values == ()


def test_text_and_bytes_are_read_strictly() -> None:
    text = json.dumps(query())
    assert parse_query(text) == parse_query(text.encode()) == parse_query(query())
    assert refused('{"credentials": [], "credentials": []}') is DcqlReason.MALFORMED
    assert refused(b"\xff") is DcqlReason.MALFORMED
    assert refused("[" * 1_000) is DcqlReason.MALFORMED


CLAIMS = [{"id": "a", "path": ["a"]}, {"id": "b", "path": ["b"]}]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, DcqlReason.MALFORMED),
        ([], DcqlReason.MALFORMED),
        (1, DcqlReason.MALFORMED),
        ("", DcqlReason.MALFORMED),
        ({}, DcqlReason.NO_CREDENTIALS),
        ({"credentials": {}}, DcqlReason.NO_CREDENTIALS),
        ({"credentials": []}, DcqlReason.NO_CREDENTIALS),
        ({"credentials": ["x"]}, DcqlReason.MALFORMED),
        (query(*[credential(id=f"c{n}") for n in range(33)]), DcqlReason.TOO_LARGE),
        (query(credential(id=...)), DcqlReason.BAD_ID),
        (query(credential(id="")), DcqlReason.BAD_ID),
        (query(credential(id="a b")), DcqlReason.BAD_ID),
        (query(credential(id="a\n")), DcqlReason.BAD_ID),
        (query(credential(id="é")), DcqlReason.BAD_ID),
        (query(credential(id="a" * 129)), DcqlReason.BAD_ID),
        (query(credential(id=1)), DcqlReason.BAD_ID),
        (query(credential(), credential()), DcqlReason.DUPLICATE_ID),
        (query(credential(format=...)), DcqlReason.BAD_FORMAT),
        (query(credential(format="")), DcqlReason.BAD_FORMAT),
        (query(credential(format=1)), DcqlReason.BAD_FORMAT),
        (query(credential(meta=...)), DcqlReason.META_MISSING),
        (query(credential(meta=[])), DcqlReason.BAD_META),
        (query(credential(meta={})), DcqlReason.BAD_META),
        (query(credential(meta={"vct_values": []})), DcqlReason.BAD_META),
        (query(credential(meta={"vct_values": VCT})), DcqlReason.BAD_META),
        (query(credential(meta={"vct_values": [1]})), DcqlReason.BAD_META),
        (query(credential(multiple="yes")), DcqlReason.BAD_FLAG),
        (query(credential(multiple=1)), DcqlReason.BAD_FLAG),
        (query(credential(multiple=None)), DcqlReason.BAD_FLAG),
        (query(credential(require_cryptographic_holder_binding=0)), DcqlReason.BAD_FLAG),
        (query(credential(trusted_authorities=[])), DcqlReason.BAD_TRUSTED_AUTHORITIES),
        (query(credential(trusted_authorities={})), DcqlReason.BAD_TRUSTED_AUTHORITIES),
        (query(credential(trusted_authorities=["aki"])), DcqlReason.BAD_TRUSTED_AUTHORITIES),
        (query(credential(trusted_authorities=[{"type": "aki"}])), DcqlReason.BAD_TRUSTED_AUTHORITIES),
        (query(credential(trusted_authorities=[{"values": ["a"]}])), DcqlReason.BAD_TRUSTED_AUTHORITIES),
        (
            query(credential(trusted_authorities=[{"type": "aki", "values": []}])),
            DcqlReason.BAD_TRUSTED_AUTHORITIES,
        ),
        (
            query(credential(trusted_authorities=[{"type": "aki", "values": ["a"]}] * 17)),
            DcqlReason.TOO_LARGE,
        ),
        (query(credential(claims=[])), DcqlReason.BAD_CLAIMS),
        (query(credential(claims={})), DcqlReason.BAD_CLAIMS),
        (query(credential(claims=["a"])), DcqlReason.BAD_CLAIMS),
        (query(credential(claims=[{"path": ["a"]}] * 129)), DcqlReason.TOO_LARGE),
        (query(credential(claims=[{"path": ["a"], "id": "a b"}])), DcqlReason.BAD_ID),
        (query(credential(claims=[{"path": ["a"], "id": None}])), DcqlReason.BAD_ID),
        (query(credential(claims=[CLAIMS[0], CLAIMS[0]])), DcqlReason.DUPLICATE_ID),
        (query(credential(claims=[{}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": []}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": "a"}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": [-1]}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": [1.0]}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": [True]}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": [["a"]]}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": [2**40]}])), DcqlReason.BAD_PATH),
        (query(credential(claims=[{"path": ["a"] * 17}])), DcqlReason.TOO_LARGE),
        (query(credential(claims=[{"path": ["a"], "values": []}])), DcqlReason.BAD_VALUES),
        (query(credential(claims=[{"path": ["a"], "values": "a"}])), DcqlReason.BAD_VALUES),
        (query(credential(claims=[{"path": ["a"], "values": [None]}])), DcqlReason.BAD_VALUES),
        (query(credential(claims=[{"path": ["a"], "values": [1.5]}])), DcqlReason.BAD_VALUES),
        (query(credential(claims=[{"path": ["a"], "values": [{}]}])), DcqlReason.BAD_VALUES),
        (query(credential(claims=[{"path": ["a"], "values": ["a"] * 65}])), DcqlReason.TOO_LARGE),
        (query(credential(claim_sets=[["a"]])), DcqlReason.CLAIM_SETS_WITHOUT_CLAIMS),
        (query(credential(claims=[{"path": ["a"]}], claim_sets=[["a"]])), DcqlReason.CLAIM_ID_MISSING),
        (query(credential(claims=CLAIMS, claim_sets=[])), DcqlReason.BAD_CLAIM_SETS),
        (query(credential(claims=CLAIMS, claim_sets=[[]])), DcqlReason.BAD_CLAIM_SETS),
        (query(credential(claims=CLAIMS, claim_sets=["a"])), DcqlReason.BAD_CLAIM_SETS),
        (query(credential(claims=CLAIMS, claim_sets=[[1]])), DcqlReason.BAD_CLAIM_SETS),
        (query(credential(claims=CLAIMS, claim_sets=[["c"]])), DcqlReason.UNKNOWN_CLAIM_ID),
        (query(credential(claims=CLAIMS, claim_sets=[["a"]] * 33)), DcqlReason.TOO_LARGE),
        (query(credential_sets=[]), DcqlReason.BAD_CREDENTIAL_SETS),
        (query(credential_sets={}), DcqlReason.BAD_CREDENTIAL_SETS),
        (query(credential_sets=["a"]), DcqlReason.BAD_CREDENTIAL_SETS),
        (query(credential_sets=[{}]), DcqlReason.BAD_CREDENTIAL_SETS),
        (query(credential_sets=[{"options": []}]), DcqlReason.BAD_CREDENTIAL_SETS),
        (query(credential_sets=[{"options": [[]]}]), DcqlReason.BAD_CREDENTIAL_SETS),
        (query(credential_sets=[{"options": ["identity"]}]), DcqlReason.BAD_CREDENTIAL_SETS),
        (query(credential_sets=[{"options": [["nobody"]]}]), DcqlReason.UNKNOWN_CREDENTIAL_ID),
        (query(credential_sets=[{"options": [["identity"]], "required": "no"}]), DcqlReason.BAD_FLAG),
        (query(credential_sets=[{"options": [["identity"]]}] * 33), DcqlReason.TOO_LARGE),
    ],
)
def test_a_query_is_refused_by_name(document: object, reason: DcqlReason) -> None:
    assert refused(document) is reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["credentials", "id", "format", "meta", "claims", "path", "values", "options", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_json_is_read_or_raises_only_dcql_error(document: Any) -> None:
    with contextlib.suppress(DcqlError):
        parse_query(document)
    with contextlib.suppress(DcqlError):
        parse_query(query(credential(claims=document)))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_raises_only_dcql_error(document: str | bytes) -> None:
    with contextlib.suppress(DcqlError):
        parse_query(document)


IDS = st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True)
SEGMENTS = st.none() | st.text(max_size=5) | st.integers(0, 9)
VALUES = st.text(max_size=4) | st.integers(-3, 3) | st.booleans()


@st.composite
def queries(draw: st.DrawFn) -> Query:
    entries = []
    for query_id in draw(st.lists(IDS, min_size=1, max_size=3, unique=True)):
        claim_ids = draw(st.lists(IDS, max_size=3, unique=True))
        claims = tuple(
            ClaimQuery(
                id=claim_id,
                path=tuple(draw(st.lists(SEGMENTS, min_size=1, max_size=3))),
                values=draw(st.none() | st.lists(VALUES, min_size=1, max_size=2).map(tuple)),
            )
            for claim_id in claim_ids
        )
        chosen = (
            st.lists(st.sampled_from(claim_ids), min_size=1, max_size=2).map(tuple) if claim_ids else None
        )
        sets = draw(st.lists(chosen, max_size=2).map(tuple)) if chosen is not None else ()
        authorities = draw(st.lists(st.just(TrustedAuthority(type="aki", values=("x",))), max_size=1))
        entries.append(
            CredentialQuery(
                id=query_id,
                vct_values=(VCT,),
                multiple=draw(st.booleans()),
                require_cryptographic_holder_binding=draw(st.booleans()),
                claims=claims,
                claim_sets=sets,
                trusted_authorities=tuple(authorities),
            )
        )
    option = st.lists(st.sampled_from([entry.id for entry in entries]), min_size=1, max_size=2).map(tuple)
    credential_sets = st.builds(
        CredentialSetQuery,
        options=st.lists(option, min_size=1, max_size=2).map(tuple),
        required=st.booleans(),
    )
    return Query(
        credentials=tuple(entries), credential_sets=tuple(draw(st.lists(credential_sets, max_size=2)))
    )


@settings(max_examples=100, deadline=None)
@given(queries())
def test_what_we_write_we_read_the_same(parsed: Query) -> None:
    assert parse_query(parsed.as_json()) == parsed
    assert parse_query(json.dumps(parsed.as_json())) == parsed
