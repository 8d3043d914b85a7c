"""The credential types of a staff passport, as data (domain model, credential types).

One file per type in ``catalogue_data`` names its claims, which of them the holder may withhold, the JSON
Schema (2020-12) every dataset must satisfy before it is signed, and plain words for each in en-GB and cy.
From that one source come the SD-JWT VC type metadata (draft-ietf-oauth-sd-jwt-vc §type metadata) that the
registry publishes and the credential configurations of OpenID4VCI 1.0 §12.2.4 that an issuer publishes.
Nothing here signs, fetches or decides whether a person holds a credential.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any

import jsonschema_rs

LOCALES = ("en-GB", "cy")
COMMON_CLAIMS = ("holder_ref", "family_name", "given_name", "birthdate", "provenance")
LONGEST_VALIDITY_MONTHS = 24

Path = tuple[str, ...]


class ClaimsInvalid(ValueError):
    """A dataset does not satisfy its type's schema.

    ``errors`` are (JSON pointer, message), without values.
    """

    def __init__(self, errors: Sequence[tuple[str, str]]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(f"{pointer or '/'}: {message}" for pointer, message in self.errors))


@dataclass(frozen=True)
class Claim:
    """One claim of a type: where it stands, whether it may be withheld, and its words for people."""

    path: Path
    disclosable: bool
    mandatory: bool
    labels: Mapping[str, str]


@dataclass(frozen=True)
class CredentialType:
    """A credential type: its name and major version, claims, schema, words and default validity.

    ``validity_months`` is the default life; ``not_after_claim`` names a date claim that may end it sooner,
    ``not_before_claim`` one before whose day it says nothing yet. ``issued_by`` is "employer" or "host".
    """

    name: str
    version: int
    validity_months: int
    not_after_claim: str | None
    claims: tuple[Claim, ...]
    schema: Mapping[str, Any]
    display: Mapping[str, Mapping[str, str]]
    not_before_claim: str | None = None
    issued_by: str = "employer"

    @property
    def configuration_id(self) -> str:
        """The ``credential_configuration_id`` of this type, such as ``StaffIdentity_1``."""
        return f"{self.name}_{self.version}"

    @property
    def disclosable(self) -> tuple[Path, ...]:
        """Paths of the claims that are selectively disclosable."""
        return tuple(claim.path for claim in self.claims if claim.disclosable)

    def claim(self, path: Sequence[str]) -> Claim | None:
        """The claim at ``path``, or None."""
        return self._by_path.get(tuple(path))

    def label(self, path: Sequence[str], locale: str = "en-GB") -> str:
        """Words for the claim at ``path``; the path itself where the type has no such claim."""
        claim = self.claim(path)
        return claim.labels[locale] if claim else ".".join(path)

    @cached_property
    def _by_path(self) -> dict[Path, Claim]:
        return {claim.path: claim for claim in self.claims}

    @cached_property
    def validator(self) -> jsonschema_rs.Validator:
        """The compiled schema; its messages never repeat a value."""
        return jsonschema_rs.validator_for(dict(self.schema), validate_formats=True, mask="the value")


def _data(name: str) -> Any:
    return json.loads(
        resources.files(__package__).joinpath("catalogue_data", f"{name}.json").read_text("utf-8")
    )


def _members(claim: Mapping[str, Any], under: Path) -> list[Claim]:
    """Claims inside an object that is disclosed whole."""
    return [Claim((*under, key), False, True, labels) for key, labels in claim.get("members", {}).items()]


def _keyed(keyed: Mapping[str, Any]) -> tuple[list[Claim], dict[str, Any]]:
    """Claims and properties of an object keyed by subject.

    Each subject is held or absent, and disclosable.
    """
    under: Path = tuple(keyed["under"])
    claims: list[Claim] = []
    for key, labels in keyed["keys"].items():
        claims.append(Claim((*under, key), bool(keyed["disclosable"]), False, labels))
        for member, words in keyed["members"].items():
            spoken = {locale: f"{labels[locale]}: {words[locale].lower()}" for locale in LOCALES}
            claims.append(Claim((*under, key, member), False, True, spoken))
    return claims, dict.fromkeys(keyed["keys"], keyed["schema"])


def _load(name: str) -> CredentialType:
    data, common = _data(name), _data("common")
    claims: list[Claim] = []
    properties: dict[str, Any] = {}
    required: list[str] = []
    for entry in [*data["claims"], *common["claims"]]:
        path: Path = tuple(entry["path"])
        claims.append(Claim(path, entry["disclosable"], entry["mandatory"], entry["label"]))
        claims.extend(_members(entry, path))
        properties[path[0]] = entry["schema"]
        if entry["mandatory"]:
            required.append(path[0])
    if "keyed" in data:
        held, subjects = _keyed(data["keyed"])
        claims.extend(held)
        key = data["keyed"]["under"][0]
        properties[key] = {**properties[key], "properties": subjects}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": data["display"]["en-GB"]["name"],
        "type": "object",
        "additionalProperties": False,
        "required": required,
        "properties": properties,
        "allOf": data["rules"],
        "$defs": common["definitions"],
    }
    if not schema["allOf"]:
        del schema["allOf"]
    return CredentialType(
        name=data["name"],
        version=data["version"],
        validity_months=data["validity"]["months"],
        not_after_claim=data["validity"]["not_after_claim"],
        claims=tuple(claims),
        schema=schema,
        display=data["display"],
        not_before_claim=data["validity"].get("not_before_claim"),
        issued_by=data.get("issued_by", "employer"),
    )


TYPES: dict[str, CredentialType] = {
    name: _load(name)
    for name in (
        "StaffIdentity",
        "Employment",
        "RightToWork",
        "DbsOutcome",
        "ProfessionalRegistration",
        "OccupationalHealth",
        "CoreSkills",
        "TemporaryPlacement",
    )
}

EMPLOYER_TYPES = tuple(name for name, kind in TYPES.items() if kind.issued_by == "employer")
"""Names of the types an employing trust issues about its own staff: the sections of a passport."""


def vct(base: str, name: str, version: int = 1) -> str:
    """The ``vct`` of a type: ``<base>/<name>/<major>``; ``base`` has no trailing slash."""
    return f"{base}/{name}/{version}"


def type_for_vct(value: str, base: str) -> CredentialType | None:
    """The type with exactly this ``vct`` under ``base``, or None."""
    return next((kind for kind in TYPES.values() if vct(base, kind.name, kind.version) == value), None)


def type_for_configuration(configuration_id: str) -> CredentialType | None:
    """The type with this ``credential_configuration_id``, or None."""
    return next((kind for kind in TYPES.values() if kind.configuration_id == configuration_id), None)


def _pointer(path: Sequence[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _findings(error: jsonschema_rs.ValidationError) -> list[tuple[str, str]]:
    path = list(error.instance_path)
    match error.kind:
        case jsonschema_rs.ValidationErrorKind.Required():
            return [(_pointer([*path, error.kind.property]), "this detail is required")]
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties():
            return [
                (_pointer([*path, name]), "this detail is not part of the type")
                for name in error.kind.unexpected
            ]
        case _:
            return [(_pointer(path), error.message)]


def validate_claims(kind: CredentialType, claims: Mapping[str, Any]) -> None:
    """Check a dataset (the claims without iss, iat, exp, vct, cnf and status) against its type.

    Raises:
        ClaimsInvalid: with a JSON pointer and a message per fault; no message repeats a value.
    """
    errors = [finding for error in kind.validator.iter_errors(dict(claims)) for finding in _findings(error)]
    if errors:
        raise ClaimsInvalid(sorted(set(errors)))


def type_metadata(kind: CredentialType, vct_base: str) -> dict[str, Any]:
    """SD-JWT VC type metadata of a type, as published at its ``vct`` URL."""
    return {
        "vct": vct(vct_base, kind.name, kind.version),
        "name": kind.display["en-GB"]["name"],
        "description": kind.display["en-GB"]["description"],
        "display": [
            {
                "locale": locale,
                "name": kind.display[locale]["name"],
                "description": kind.display[locale]["description"],
            }
            for locale in LOCALES
        ],
        "claims": [
            {
                "path": list(claim.path),
                "display": [{"locale": locale, "label": claim.labels[locale]} for locale in LOCALES],
                "mandatory": claim.mandatory and len(claim.path) == 1,
                "sd": "always" if claim.disclosable else "never",
            }
            for claim in kind.claims
        ],
    }


def credential_configuration(kind: CredentialType, vct: str) -> dict[str, Any]:
    """The entry of ``credential_configurations_supported`` for a type (OpenID4VCI 1.0 §12.2.4.

    Appendix A.3).
    """
    return {
        "format": "dc+sd-jwt",
        "vct": vct,
        "scope": kind.configuration_id,
        "cryptographic_binding_methods_supported": ["jwk"],
        "credential_signing_alg_values_supported": ["ES256"],
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
        "credential_metadata": {
            "display": [
                {
                    "name": kind.display[locale]["name"],
                    "locale": locale,
                    "description": kind.display[locale]["description"],
                }
                for locale in LOCALES
            ],
            "claims": [
                {
                    "path": list(claim.path),
                    "mandatory": claim.mandatory and len(claim.path) == 1,
                    "display": [{"name": claim.labels[locale], "locale": locale} for locale in LOCALES],
                }
                for claim in kind.claims
            ],
        },
    }


@lru_cache(maxsize=1)
def _value_labels() -> Mapping[str, Mapping[str, str]]:
    labels: Mapping[str, Mapping[str, str]] = _data("values")
    return labels


def value_label(value: object, locale: str = "en-GB") -> str:
    """A claim's value in plain words.

    Known codes by name, yes and no for booleans, anything else as it stands.
    """
    if isinstance(value, bool):
        return _value_labels()["YES" if value else "NO"][locale]
    if isinstance(value, list):
        return ", ".join(value_label(item, locale) for item in value) or _value_labels()["NONE"][locale]
    label = _value_labels().get(value) if isinstance(value, str) else None
    return label[locale] if label else str(value)
