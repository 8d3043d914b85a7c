"""The body of a Credential Request (OpenID4VCI 1.0 §8.2), read strictly into one of two forms.

Members we do not know are ignored, as the specification asks; a member we know in the wrong form is refused
with the specification's code. Nothing is looked up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

BATCH_SIZE = 5


class RequestInvalid(ValueError):
    """The request breaks the specification: ``error`` is its code, the text says how."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True)
class ByConfigurationId:
    """A request that names a type of credential that was offered."""

    credential_configuration_id: str
    proofs: tuple[str, ...]


@dataclass(frozen=True)
class ByIdentifier:
    """A request that names one dataset that was granted."""

    credential_identifier: str
    proofs: tuple[str, ...]


CredentialRequest = ByConfigurationId | ByIdentifier


def read_credential_request(body: Mapping[str, Any]) -> CredentialRequest:
    """Read the request.

    Raises:
        RequestInvalid: with invalid_credential_request, invalid_proof or invalid_encryption_parameters.
    """
    if "credential_response_encryption" in body:
        raise RequestInvalid("invalid_encryption_parameters", "responses are not encrypted by this issuer")
    named = {
        name: body[name] for name in ("credential_configuration_id", "credential_identifier") if name in body
    }
    if len(named) != 1:
        raise RequestInvalid(
            "invalid_credential_request",
            "exactly one of credential_configuration_id and credential_identifier is needed",
        )
    name, value = next(iter(named.items()))
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise RequestInvalid("invalid_credential_request", f"{name} is not a short text")
    proofs = _proofs(body)
    return (
        ByIdentifier(value, proofs) if name == "credential_identifier" else ByConfigurationId(value, proofs)
    )


def _proofs(body: Mapping[str, Any]) -> tuple[str, ...]:
    proofs = body.get("proofs")
    if not isinstance(proofs, Mapping):
        raise RequestInvalid("invalid_proof", "proofs is missing or not an object")
    if list(proofs) != ["jwt"]:
        raise RequestInvalid("invalid_proof", "proofs must hold exactly one proof type, jwt")
    values = proofs["jwt"]
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise RequestInvalid("invalid_proof", "the jwt proofs must be a non-empty array of texts")
    if len(values) > BATCH_SIZE:
        raise RequestInvalid("invalid_proof", f"at most {BATCH_SIZE} proofs fit one request")
    return tuple(values)
