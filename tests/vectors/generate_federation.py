"""Writes tests/vectors/federation/: objects of a network of our making, right ones and spoilt ones.

Our trust marks, their authority claims and the snapshot manifest are our own profile (standards.md §1.8);
these files let another implementation be held to it. Keys are derived from their names, signatures are
deterministic (RFC 6979): run `make vectors`; nothing may change. The files hold public keys only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from passport_shared.formats import federation, jose  # noqa: E402
from passport_shared.formats.federation import (  # noqa: E402
    Authorization,
    MarkRole,
    MarkStatusReference,
    Organisation,
    PinnedKey,
    StatusLists,
    public_jwks,
)
from passport_shared.formats.jose import SigningKey  # noqa: E402
from passport_shared.formats.snapshot import MANIFEST_TYP, build_manifest, build_part  # noqa: E402
from passport_testkit.credentials import derived_key  # noqa: E402

FOLDER = HERE / "federation"
ANCHOR, ISSUER, VERIFIER = (
    "https://registry.example",
    "https://issuer.example/RBV",
    "https://verifier.example/R0A",
)
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
END = NOW + timedelta(hours=96)
KINDS = {
    "entity_configuration": federation.ENTITY_STATEMENT_TYP,
    "subordinate_statement": federation.ENTITY_STATEMENT_TYP,
    "trust_mark": federation.TRUST_MARK_TYP,
    "trust_mark_status_response": federation.TRUST_MARK_STATUS_TYP,
    "manifest": MANIFEST_TYP,
}

Claims = dict[str, Any]


class DeterministicKey(SigningKey):
    """A signing key whose signatures depend on key and data only."""

    def sign(self, data: bytes) -> bytes:
        """Return raw r‖s."""
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self.private.sign(data, algorithm))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def key(name: str) -> DeterministicKey:
    """The key of a name."""
    found = derived_key(f"test-only-federation-{name}")
    return DeterministicKey(private=found.private, public=found.public)


TA, RBV, R0A, STRANGER = key("anchor"), key("RBV"), key("R0A"), key("stranger")


def issuer_mark() -> str:
    """The Christie's mark: two types, one closed to new issuing; one active, one retired, one status pin."""
    grants = [
        Authorization(
            id=f"a{n}",
            action="issue",
            vct=f"{ANCHOR}/vct/{name}/1",
            max_validity_s=31_536_000,
            issue_until=closed,
            valid_from=NOW - timedelta(days=90),
            valid_until=NOW + timedelta(days=275),
        )
        for n, (name, closed) in enumerate([("StaffIdentity", None), ("Employment", NOW)])
    ]
    pins = [
        PinnedKey(
            use=use,
            x5t_s256=key(name).kid[::-1],
            jkt=key(name).kid,
            not_before=NOW - timedelta(days=90),
            not_after_signing=NOW + timedelta(days=days),
            state=state,
        )
        for use, name, days, state in [
            ("credential", "RBV-credential", 275, "active"),
            ("credential", "RBV-credential-old", -1, "retired"),
            ("status", "RBV-status", 275, "active"),
        ]
    ]
    return federation.trust_mark(
        iss=ANCHOR,
        sub=ISSUER,
        role=MarkRole.CREDENTIAL_ISSUER,
        organisation=Organisation(ods_code="RBV", name="The Christie NHS Foundation Trust"),
        authorizations=grants,
        keys=pins,
        status=MarkStatusReference(uri=f"{ANCHOR}/statuslists/tm-1", idx=4711),
        iat=NOW,
        exp=END,
        jti="01991000-0000-7000-8000-000000000001",
        key=TA,
        status_lists=StatusLists(aggregation=f"{ISSUER}/statuslists", prefix=f"{ISSUER}/statuslists/"),
    )


def verifier_mark() -> str:
    """Manchester's mark: may ask three claims and two skills for one movement type."""
    asks: list[tuple[str, list[federation.ClaimPath]]] = [
        ("StaffIdentity", [("given_names",), ("birthdate",)]),
        ("CoreSkills", [("skills", "FS")]),
    ]
    return federation.trust_mark(
        iss=ANCHOR,
        sub=VERIFIER,
        role=MarkRole.CREDENTIAL_VERIFIER,
        organisation=Organisation(ods_code="R0A", name="Manchester University NHS Foundation Trust"),
        authorizations=[
            Authorization(
                id=f"v{n}",
                action="ask",
                vct=f"{ANCHOR}/vct/{name}/1",
                valid_from=NOW - timedelta(days=1),
                valid_until=NOW + timedelta(days=364),
                claims=tuple(paths),
                purposes=("SERVICE_NEED_URGENT",),
            )
            for n, (name, paths) in enumerate(asks)
        ],
        keys=[
            PinnedKey(
                use="request",
                x5t_s256=key("R0A-request").kid[::-1],
                jkt=key("R0A-request").kid,
                not_before=NOW - timedelta(days=1),
                not_after_signing=NOW + timedelta(days=364),
            )
        ],
        status=MarkStatusReference(uri=f"{ANCHOR}/statuslists/tm-1", idx=815),
        iat=NOW,
        exp=END,
        jti="01991000-0000-7000-8000-000000000002",
        key=TA,
    )


def anchor_configuration() -> str:
    """The anchor's configuration, with its next key announced."""
    return federation.anchor_configuration(
        entity_id=ANCHOR,
        iat=NOW,
        exp=END,
        key=TA,
        organization_name="Invented Regional Registry",
        contacts=["registry@example.nhs.uk"],
        status_key=key("anchor-status").public,
        client_directory_key=key("anchor-clients").public,
        next_keys=[key("anchor-next").public],
    )


def configuration(entity_id: str, own: SigningKey, metadata: Claims, mark: str) -> str:
    """A tenant's own configuration."""
    return federation.entity_configuration(
        entity_id=entity_id,
        iat=NOW,
        exp=NOW + timedelta(hours=24),
        key=own,
        metadata=metadata,
        authority_hints=[ANCHOR],
        trust_marks=[mark],
    )


def statement(entity_id: str, own: SigningKey, metadata: Claims, policy: Claims) -> str:
    """What the anchor says about a tenant."""
    return federation.subordinate_statement(
        iss=ANCHOR,
        sub=entity_id,
        iat=NOW,
        exp=END,
        jwks=public_jwks([own.public]),
        key=TA,
        source_endpoint=f"{ANCHOR}/federation/fetch",
        metadata=metadata,
        metadata_policy=policy,
    )


def manifest() -> str:
    """A manifest of one small part."""
    content = json.dumps({"types": []}, separators=(",", ":")).encode()
    return build_manifest(
        iss=ANCHOR,
        iat=NOW,
        exp=NOW + timedelta(hours=72),
        sequence=int(NOW.timestamp()),
        prev=None,
        x509_anchors=[b"a root in DER stands here"],
        parts=[build_part("types", content, base_uri=f"{ANCHOR}/federation/parts")],
        key=TA,
    )


def accepted() -> dict[str, tuple[str, str, str]]:
    """Right objects by name: kind, whose keys, token."""
    mark, asks = issuer_mark(), verifier_mark()
    issuer_own = {
        "openid_credential_issuer": {
            "credential_issuer": ISSUER,
            "client_registration_types_supported": ["automatic"],
        }
    }
    verifier_own = {"openid_credential_verifier": {"client_registration_types": ["automatic"]}}
    return {
        "anchor": ("entity_configuration", "anchor", anchor_configuration()),
        "issuer": ("entity_configuration", "RBV", configuration(ISSUER, RBV, issuer_own, mark)),
        "verifier": ("entity_configuration", "R0A", configuration(VERIFIER, R0A, verifier_own, asks)),
        "about the issuer": (
            "subordinate_statement",
            "anchor",
            statement(
                ISSUER,
                RBV,
                federation.issuer_metadata([key("RBV-credential").public]),
                federation.issuer_policy(ISSUER),
            ),
        ),
        "about the verifier": (
            "subordinate_statement",
            "anchor",
            statement(VERIFIER, R0A, federation.verifier_metadata(VERIFIER), {}),
        ),
        "mark of the issuer": ("trust_mark", "anchor", mark),
        "mark of the verifier": ("trust_mark", "anchor", asks),
        "suspended": (
            "trust_mark_status_response",
            "anchor",
            federation.trust_mark_status_response(
                iss=ANCHOR, trust_mark=mark, status="suspended", iat=NOW, key=TA
            ),
        ),
        "manifest": ("manifest", "anchor", manifest()),
    }


def resigned(token: str, kind: str, change: Callable[[Claims], object], signer: SigningKey = TA) -> str:
    """The same object with changed claims, signed again."""
    claims = dict(jose.parse(token).claims)
    change(claims)
    return jose.sign(claims, signer, typ=KINDS[kind])


def refused(right: dict[str, tuple[str, str, str]]) -> list[Claims]:
    """Spoilt objects, each with the one reason for which it must be refused."""
    past, future = int(NOW.timestamp()), int(NOW.timestamp()) + 61
    spoilt: list[tuple[str, str, Callable[[Claims], object], str]] = [
        ("anchor", "expired", lambda c: c.update(exp=past), "expired"),
        ("anchor", "from the future", lambda c: c.update(iat=future), "issued_in_future"),
        ("anchor", "without keys", lambda c: c.pop("jwks"), "missing_jwks"),
        ("anchor", "about another", lambda c: c.update(sub=ISSUER), "not_self_issued"),
        ("anchor", "with a policy", lambda c: c.update(metadata_policy={}), "claim_not_allowed"),
        ("anchor", "critical and unknown", lambda c: c.update(crit=["x"]), "crit_not_understood"),
        ("anchor", "with an audience", lambda c: c.update(aud=ISSUER), "explicit_registration_only"),
        (
            "anchor",
            "with null metadata",
            lambda c: c["metadata"].update(federation_entity=None),
            "null_metadata",
        ),
        ("about the issuer", "with hints", lambda c: c.update(authority_hints=[ANCHOR]), "claim_not_allowed"),
        ("about the issuer", "with marks", lambda c: c.update(trust_marks=[]), "claim_not_allowed"),
        ("about the issuer", "about itself", lambda c: c.update(sub=ANCHOR), "self_issued"),
        (
            "about the issuer",
            "critical policy",
            lambda c: c.update(metadata_policy_crit=["regexp"]),
            "policy_crit_not_understood",
        ),
        ("mark of the issuer", "of another entity", lambda c: c.update(sub=VERIFIER), "wrong_entity"),
        (
            "mark of the issuer",
            "by another issuer",
            lambda c: c.update(iss=ISSUER),
            "mark_issuer_not_trusted",
        ),
        ("mark of the issuer", "without status", lambda c: c.pop("status"), "bad_claim"),
        (
            "mark of the issuer",
            "with an open-ended authorisation",
            lambda c: c["authorizations"][0].pop("valid_until"),
            "bad_claim",
        ),
        ("mark of the issuer", "expired", lambda c: c.update(exp=past), "expired"),
        ("suspended", "unknown status", lambda c: c.update(status="fine"), "status_unknown"),
        ("suspended", "about another mark", lambda c: c.update(trust_mark="a.b.c"), "wrong_mark"),
        ("manifest", "of another anchor", lambda c: c.update(iss=ISSUER), "wrong_issuer"),
        ("manifest", "that lives too long", lambda c: c.update(exp=past + 400_000), "lives_too_long"),
        ("manifest", "far ahead", lambda c: c.update(sequence=2**52), "fast_forwarded"),
        ("manifest", "with a bad hash", lambda c: c["parts"][0].update(sha256="ab"), "bad_claim"),
        ("manifest", "expired", lambda c: c.update(exp=past), "expired"),
    ]
    vectors = [
        {
            "name": f"{base}, {name}",
            "kind": right[base][0],
            "keys": "anchor",
            "token": resigned(right[base][2], right[base][0], change),
            "reason": reason,
        }
        for base, name, change, reason in spoilt
    ]
    for base in ("about the issuer", "mark of the issuer", "manifest"):
        kind, keys, token = right[base]
        reason = "unknown_key" if kind == "manifest" else "unknown_kid"
        vectors.append(
            {
                "name": f"{base}, by a stranger",
                "kind": kind,
                "keys": keys,
                "token": resigned(token, kind, lambda _claims: None, STRANGER),
                "reason": reason,
            }
        )
        other = "trust_mark" if kind != "trust_mark" else "subordinate_statement"
        vectors.append(
            {
                "name": f"{base}, under another typ",
                "kind": kind,
                "keys": keys,
                "token": resigned(token, other, lambda _claims: None),
                "reason": "wrong_typ",
            }
        )
    return vectors


def main() -> None:
    """Write the file."""
    right = accepted()
    document = {
        "now": int(NOW.timestamp()),
        "trust_anchor": ANCHOR,
        "jwks": {
            name: public_jwks([signer.public])
            for name, signer in (("anchor", TA), ("RBV", RBV), ("R0A", R0A))
        },
        "accepted": [
            {"name": name, "kind": kind, "keys": keys, "token": token, "claims": jose.parse(token).claims}
            for name, (kind, keys, token) in right.items()
        ],
        "chain": [right["issuer"][2], right["about the issuer"][2], right["anchor"][2]],
        "refused": refused(right),
    }
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (FOLDER / "objects.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
