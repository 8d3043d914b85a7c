"""Writes tests/vectors/sd_jwt/: SD-JWTs of our making, right ones and spoilt ones, the same bytes each time.

Everything random is replaced: salts and decoys come from a counter, signatures are deterministic ECDSA (RFC
6979), keys are derived from their names (`test-only-…`). Run `make vectors`; nothing may change. The files
hold public keys only, so that any other implementation can be held to them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from passport_shared.formats import sd_jwt  # noqa: E402
from passport_shared.formats.jose import SigningKey  # noqa: E402
from passport_shared.formats.strict import b64url_encode  # noqa: E402
from passport_testkit.credentials import derived_key, segment  # noqa: E402

FOLDER = HERE / "sd_jwt"
TYP = "example+sd-jwt"
ISSUER = "test-only-vector-issuer"
HOLDER = "test-only-vector-holder"
SALT = "AAECAwQFBgcICQoLDA0ODw"

Claims = dict[str, Any]
Path_ = list[str | int | None]

CASES: list[tuple[str, Claims, list[Path_], int, list[list[Path_]]]] = [
    ("nothing_hidden", {"iss": "https://issuer.example", "name": "Wren"}, [], 0, [[]]),
    (
        "flat",
        {"iss": "https://issuer.example", "name": "Wren", "phone": "+44 20 7946 0000", "grade": 6},
        [["name"], ["phone"], ["grade"]],
        0,
        [[], [["name"]], [["grade"], ["phone"]]],
    ),
    (
        "decoys",
        {"name": "Wren", "posts": ["nurse", "sister"]},
        [["name"], ["posts", None]],
        4,
        [[], [["posts", 1]], [["name"], ["posts", None]]],
    ),
    (
        "recursive",
        {"address": {"city": "Otterbridge", "lines": ["1 Weir Lane", "Millside"], "country": "GB"}},
        [["address"], ["address", "city"], ["address", "lines"], ["address", "lines", None]],
        0,
        [[], [["address", "lines", 1]], [["address"]]],
    ),
    (
        "nested_arrays",
        {"rota": [["mon", "tue"], ["wed"], []]},
        [["rota", 0], ["rota", None, None]],
        0,
        [[], [["rota", 0, 1]], [["rota"]]],
    ),
    (
        "value_kinds",
        {
            "null": None,
            "true": True,
            "zero": 0,
            "half": 0.5,
            "empty": {},
            "none": [],
            "welsh": "Ysbyty ŵyl 🩺",
        },
        [["null"], ["true"], ["zero"], ["half"], ["empty"], ["none"], ["welsh"]],
        0,
        [[], [["null"], ["welsh"], ["empty"]]],
    ),
    (
        "strange_names",
        {"": 1, "42": 2, "é": 3, "a~b.c": 4, '["x"]': 5, "__proto__": 6, "constructor": 7},
        [[""], ["42"], ["é"], ["a~b.c"], ['["x"]'], ["__proto__"], ["constructor"]],
        0,
        [[["__proto__"], ["a~b.c"]]],
    ),
]

Payload = Claims
Spoil = Callable[[Payload, list[str]], object]


def _add(disclosures: list[str], content: object) -> str:
    encoded = segment(content)
    disclosures.append(encoded)
    return sd_jwt.digest_of(encoded)


def _planted(content: object) -> Spoil:
    return lambda payload, disclosures: payload["_sd"].append(_add(disclosures, content))


def _stray(content: object) -> Spoil:
    return lambda payload, disclosures: _add(disclosures, content)


def _set(name: str, value: object) -> Spoil:
    return lambda payload, disclosures: payload.update({name: value})


def _appended(element: object) -> Spoil:
    return lambda payload, disclosures: payload["posts"].append(element)


NEGATIVE: list[tuple[str, Spoil, str]] = [
    ("sd_alg_unknown", _set("_sd_alg", "sha-256-32"), "sd_alg_not_allowed"),
    ("sd_alg_wrong_case", _set("_sd_alg", "SHA-256"), "sd_alg_not_allowed"),
    ("sd_alg_not_string", _set("_sd_alg", None), "sd_alg_not_allowed"),
    ("sd_alg_nested", _set("site", {"_sd_alg": "sha-256"}), "sd_alg_nested"),
    ("object_disclosure_of_two", _planted([SALT, "x"]), "property_disclosure_expected"),
    ("disclosure_of_four", _planted([SALT, "ward", "x", 1]), "disclosure_wrong_length"),
    ("disclosure_is_string_of_three", _planted("abc"), "disclosure_not_array"),
    ("disclosure_is_object_of_three", _planted({"a": 1, "b": 2, "c": 3}), "disclosure_not_array"),
    ("disclosure_duplicate_member", _planted(b'["a","b",{"c":1,"c":2}]'), "disclosure_not_json"),
    ("disclosure_nan", _planted(b'["a","b",NaN]'), "disclosure_not_json"),
    ("salt_not_string", _planted([1, "ward", "x"]), "disclosure_salt_not_string"),
    ("name_not_string", _planted([SALT, 1, "x"]), "claim_name_not_string"),
    ("name_sd", _planted([SALT, "_sd", ["x"]]), "claim_name_reserved"),
    ("name_ellipsis", _planted([SALT, "...", "x"]), "claim_name_reserved"),
    ("name_collision", _planted([SALT, "posts", []]), "claim_name_collision"),
    ("placeholder_extra_member", _appended({"...": "x", "y": 1}), "placeholder_malformed"),
    ("placeholder_not_string", _appended({"...": 1}), "placeholder_malformed"),
    ("placeholder_outside_array", _set("site", {"...": "x"}), "placeholder_outside_array"),
    ("digest_repeated", _set("site", {"_sd": ["x", "x"]}), "digest_repeated"),
    ("sd_not_array", _set("site", {"_sd": "x"}), "sd_not_array_of_strings"),
    ("sd_with_number", _set("site", {"_sd": [1]}), "sd_not_array_of_strings"),
    ("stray_property", _stray([SALT, "ward", "x"]), "disclosure_unreferenced"),
    ("stray_element", _stray([SALT, "x"]), "disclosure_unreferenced"),
    (
        "disclosure_twice",
        lambda payload, disclosures: disclosures.append(disclosures[0]),
        "disclosure_repeated",
    ),
    (
        "element_disclosure_of_three",
        lambda payload, disclosures: payload["posts"].append({"...": _add(disclosures, [SALT, "w", "x"])}),
        "element_disclosure_expected",
    ),
]


class Counter:
    """Stands in for randomness: the hash of a name and of how often it was asked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked = 0

    def __call__(self, size: int) -> bytes:
        self._asked += 1
        return hashlib.shake_256(f"{self._name} {self._asked}".encode()).digest(size)


class DeterministicKey(SigningKey):
    """A signing key whose signatures depend on key and data only (RFC 6979)."""

    def sign(self, data: bytes) -> bytes:
        """Return raw r‖s."""
        algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
        r, s = decode_dss_signature(self.private.sign(data, algorithm))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def deterministic_key(name: str) -> DeterministicKey:
    """Return the named key with deterministic signatures."""
    key = derived_key(name)
    return DeterministicKey(private=key.private, public=key.public)


def _jws(header: Claims, payload: Claims, key: SigningKey) -> str:
    signing_input = f"{segment(header)}.{segment(payload)}"
    return f"{signing_input}.{b64url_encode(key.sign(signing_input.encode()))}"


def positive() -> list[Claims]:
    """Issuances, and presentations of each with what a verifier reads from them."""
    issuer, holder = deterministic_key(ISSUER), deterministic_key(HOLDER)
    vectors = []
    for name, claims, disclosable, decoys, reveals in CASES:
        bound = {**claims, "cnf": {"jwk": holder.public.jwk}}
        token = sd_jwt.issue(bound, disclosable, issuer, typ=TYP, decoys=decoys, randomness=Counter(name))
        presentations = []
        for reveal in reveals:
            shown = sd_jwt.present(token, reveal)
            with_key = sd_jwt.add_key_binding(
                shown, holder, aud="x509_hash:test-only", nonce="1234567890", iat=1_788_264_000
            )
            processed = sd_jwt.process(sd_jwt.parse(shown))
            presentations.append({"reveal": reveal, "presentation": with_key, "processed": processed})
        vectors.append(
            {
                "name": name,
                "claims": bound,
                "disclosable": disclosable,
                "decoys": decoys,
                "issuance": token,
                "presentations": presentations,
            }
        )
    return vectors


def negative() -> list[Claims]:
    """Properly signed tokens that break one rule each, with the reason they are refused for."""
    issuer = deterministic_key(ISSUER)
    claims = {"name": "Wren", "posts": ["nurse", "sister"], "phone": "+44 20 7946 0000"}
    vectors = []
    for name, spoil, reason in NEGATIVE:
        token = sd_jwt.issue(claims, [["name"], ["phone"]], issuer, typ=TYP, randomness=Counter(name))
        parsed = sd_jwt.parse(token)
        payload = json.loads(json.dumps(parsed.issuer_jwt.claims))
        disclosures = [disclosure.encoded for disclosure in parsed.disclosures]
        spoil(payload, disclosures)
        spoilt = "~".join([_jws(parsed.issuer_jwt.header, payload, issuer), *disclosures, ""])
        vectors.append({"name": name, "token": spoilt, "reason": reason})
    return vectors


def files() -> dict[str, str]:
    """The text of each file by its name."""
    keys = {"issuer": derived_key(ISSUER).public.jwk, "holder": derived_key(HOLDER).public.jwk, "typ": TYP}
    return {
        "positive.json": _text({**keys, "vectors": positive()}),
        "negative.json": _text({**keys, "vectors": negative()}),
    }


def _text(content: Claims) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, text in files().items():
        (FOLDER / file_name).write_text(text, encoding="utf-8")
