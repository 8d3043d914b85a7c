"""The federation vectors: what another implementation is held to, we are held to first."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passport_shared.formats.federation import (
    FederationError,
    MarkRole,
    mark_type,
    resolve_chain,
    verify_entity_configuration,
    verify_subordinate_statement,
    verify_trust_mark,
    verify_trust_mark_status_response,
)
from passport_shared.formats.snapshot import SnapshotError, TrustFile, verify_manifest

DOCUMENT = json.loads(
    (Path(__file__).parents[2] / "vectors/federation/objects.json").read_text(encoding="utf-8")
)
NOW = datetime.fromtimestamp(DOCUMENT["now"], UTC)
ANCHOR = DOCUMENT["trust_anchor"]
TRUST = TrustFile(
    entity_id=ANCHOR,
    jwks=DOCUMENT["jwks"]["anchor"],
    x509_roots=("AAAA",),
    snapshot_uri=f"{ANCHOR}/federation/snapshot",
    vct_base=f"{ANCHOR}/vct",
)
ISSUERS = {mark_type(ANCHOR, role): [ANCHOR] for role in MarkRole}
THE_MARK = next(entry["token"] for entry in DOCUMENT["accepted"] if entry["name"] == "mark of the issuer")


def verify(vector: dict[str, Any]) -> Any:
    token, jwks = vector["token"], DOCUMENT["jwks"][vector["keys"]]
    if vector["kind"] == "entity_configuration":
        return verify_entity_configuration(token, now=NOW)
    if vector["kind"] == "subordinate_statement":
        return verify_subordinate_statement(token, jwks, NOW, iss=ANCHOR)
    if vector["kind"] == "trust_mark":
        whose = None if vector["name"] == "mark of the verifier" else "https://issuer.example/RBV"
        return verify_trust_mark(token, jwks, NOW, sub=whose, trust_mark_issuers=ISSUERS)
    if vector["kind"] == "trust_mark_status_response":
        return verify_trust_mark_status_response(token, jwks, NOW, iss=ANCHOR, trust_mark=THE_MARK)
    return verify_manifest(token, TRUST, now=NOW)


@pytest.mark.parametrize("vector", DOCUMENT["accepted"], ids=lambda vector: vector["name"])
def test_a_right_object_is_accepted(vector: dict[str, Any]) -> None:
    assert verify(vector)


@pytest.mark.parametrize("vector", DOCUMENT["refused"], ids=lambda vector: vector["name"])
def test_a_spoilt_object_is_refused_for_its_reason(vector: dict[str, Any]) -> None:
    error = SnapshotError if vector["kind"] == "manifest" else FederationError
    with pytest.raises(error) as caught:
        verify(vector)
    assert str(caught.value).split(":")[0] == vector["reason"]


def test_the_chain_resolves() -> None:
    resolved = resolve_chain(DOCUMENT["chain"], TRUST, NOW)
    assert resolved.metadata["openid_credential_issuer"]["credential_issuer"] == resolved.entity_id


def test_the_vectors_hold_no_private_key() -> None:
    assert '"d":' not in json.dumps(DOCUMENT)
