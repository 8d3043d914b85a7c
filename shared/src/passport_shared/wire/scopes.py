"""The scopes of the management interfaces: ``<resource>:<read|write|approve>`` (design §6).

``approve`` exists only where a second person must agree. A token carries scopes of one service; the service
that reads it ignores what is not its own.
"""

from __future__ import annotations

from types import MappingProxyType

READ, WRITE, APPROVE = "read", "write", "approve"

RESOURCES = MappingProxyType(
    {
        "registry": (
            "organisations",
            "onboarding",
            "agreements",
            "entities",
            "authorisations",
            "clients",
            "hr-users",
            "activity",
            "reports",
        ),
        "issuer": (
            "staff",
            "checks",
            "training",
            "identity-sessions",
            "offers",
            "credentials",
            "lifecycle",
            "cohorts",
            "connections",
            "invitations",
            "notices",
            "placements",
            "releases",
            "events",
            "tenants",
        ),
        "verifier": (
            "movements",
            "approvals",
            "requests",
            "verifications",
            "policies",
            "placements",
            "watches",
            "write-backs",
            "events",
            "tenants",
        ),
    }
)

# Acts that are another person's decision about what was written (four eyes, releases, conditions waived).
APPROVED_RESOURCES = frozenset(
    {
        "onboarding",
        "agreements",
        "entities",
        "authorisations",
        "clients",
        "credentials",
        "releases",
        "approvals",
        "verifications",
        "policies",
        "placements",
    }
)


class ScopeError(ValueError):
    """A scope string is malformed or names a scope that does not exist."""


def scopes_of(service: str) -> frozenset[str]:
    """Every scope that a service knows.

    Raises:
        KeyError: no such service.
    """
    verbs = {
        resource: (READ, WRITE, APPROVE) if resource in APPROVED_RESOURCES else (READ, WRITE)
        for resource in RESOURCES[service]
    }
    return frozenset(f"{resource}:{verb}" for resource, allowed in verbs.items() for verb in allowed)


ALL_SCOPES = frozenset().union(*(scopes_of(service) for service in RESOURCES))


def parse_scope(text: str) -> frozenset[str]:
    """Read a space-delimited scope parameter (RFC 6749 §3.3).

    Raises:
        ScopeError: empty, a doubled space, a repeated scope or one that does not exist.
    """
    names = text.split(" ")
    unknown = [name for name in names if name not in ALL_SCOPES]
    if unknown or len(set(names)) != len(names):
        message = "the scope must list existing scopes once each, separated by single spaces"
        raise ScopeError(message)
    return frozenset(names)


def format_scope(scopes: frozenset[str]) -> str:
    """The scope parameter for a set of scopes, sorted, so that equal sets give equal text."""
    return " ".join(sorted(scopes))
