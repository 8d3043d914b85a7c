"""Metadata documents of a tenant: OpenID4VCI 1.0 §12.2, RFC 8414, and its entity configuration's metadata.

Made from the tenant's identifier, its name and the catalogue alone, so that every replica serves the same
bytes.
"""

from __future__ import annotations

from typing import Any

from passport_issuer.rules.credential_request import BATCH_SIZE
from passport_shared.wire import catalogue
from passport_shared.wire.release import RELEASE_ENDPOINT_MEMBER, RELEASE_REQUEST_PATH

PRE_AUTHORIZED_CODE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"


def credential_issuer_metadata(entity_id: str, name: str, vct_base: str) -> dict[str, Any]:
    """The Credential Issuer Metadata of a tenant."""
    return {
        "credential_issuer": entity_id,
        "credential_endpoint": f"{entity_id}/credential",
        "nonce_endpoint": f"{entity_id}/nonce",
        "notification_endpoint": f"{entity_id}/notification",
        "batch_credential_issuance": {"batch_size": BATCH_SIZE},
        "display": [{"name": name, "locale": locale} for locale in catalogue.LOCALES],
        "credential_configurations_supported": {
            kind.configuration_id: catalogue.credential_configuration(
                kind, catalogue.vct(vct_base, kind.name, kind.version)
            )
            for kind in catalogue.TYPES.values()
        },
    }


def authorization_server_metadata(entity_id: str) -> dict[str, Any]:
    """The authorization server metadata of a tenant: the issuer is its own authorization server.

    Only the pre-authorized code flow is offered, so there is no authorization endpoint and no response type.
    """
    return {
        "issuer": entity_id,
        "token_endpoint": f"{entity_id}/token",
        "grant_types_supported": [PRE_AUTHORIZED_CODE],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": ["none"],
        "pre-authorized_grant_anonymous_access_supported": True,
        "authorization_details_types_supported": ["openid_credential"],
        "status_list_aggregation_endpoint": f"{entity_id}/statuslists",
    }


def federation_metadata(entity_id: str, name: str, vct_base: str) -> dict[str, Any]:
    """The tenant's metadata in its entity configuration: without the words for people, which are long."""
    issuer = credential_issuer_metadata(entity_id, name, vct_base)
    issuer["credential_configurations_supported"] = {
        key: {member: value for member, value in entry.items() if member != "credential_metadata"}
        for key, entry in issuer["credential_configurations_supported"].items()
    }
    return {
        "federation_entity": {
            "organization_name": name,
            RELEASE_ENDPOINT_MEMBER: f"{entity_id}{RELEASE_REQUEST_PATH}",
        },
        "openid_credential_issuer": {**issuer, "client_registration_types_supported": ["automatic"]},
        "oauth_authorization_server": authorization_server_metadata(entity_id),
    }


HOLDER_KEY_PARAMETER = "staff_passport_holder_jkt"
"""Our own member of an offer (OpenID4VCI 1.0 §4.1.1 lets there be some; wallets ignore others' members):
RFC 7638 thumbprint of the key that has to collect it."""


def credential_offer(
    entity_id: str, configuration_ids: list[str], code: str, *, holder_jkt: str | None = None
) -> dict[str, Any]:
    """A Credential Offer (OpenID4VCI 1.0 §4.1.1) with a pre-authorized code and a PIN."""
    return {
        **({HOLDER_KEY_PARAMETER: holder_jkt} if holder_jkt else {}),
        "credential_issuer": entity_id,
        "credential_configuration_ids": configuration_ids,
        "grants": {
            PRE_AUTHORIZED_CODE: {
                "pre-authorized_code": code,
                "tx_code": {
                    "input_mode": "numeric",
                    "length": 6,
                    "description": "The appointment PIN your trust gave you",
                },
            }
        },
    }
