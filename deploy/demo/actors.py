"""Who acts for the trusts in the demonstration: opaque ids, as the trusts' own systems assert them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def hr(ods: str) -> str:
    """Who issues and confirms people at a trust."""
    return f"hr-{ods.lower()}-1"


def hr_second(ods: str) -> str:
    """A second person of the same office: answers release requests."""
    return f"hr-{ods.lower()}-2"


def line_manager(ods: str) -> str:
    """Who agrees for the person's own department."""
    return f"manager-{ods.lower()}-1"


def department(ods: str) -> str:
    """Who agrees for the department at the host."""
    return f"department-{ods.lower()}-1"


def educator(ods: str) -> str:
    """Who answers for a trainee's objectives."""
    return f"educator-{ods.lower()}-1"


def named(ods: str) -> Mapping[str, Sequence[str]]:
    """A trust's HR users with their roles, for the network register (gate G-B)."""
    return {
        hr(ods): ("HR_ISSUER", "HR_VERIFIER"),
        hr_second(ods): ("HR_VERIFIER", "APPROVER"),
        department(ods): ("APPROVER",),
        educator(ods): ("APPROVER",),
        line_manager(ods): ("APPROVER",),
    }
