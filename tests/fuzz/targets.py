"""All targets, by name."""

from __future__ import annotations

from tests.fuzz import targets_documents, targets_services, targets_tokens
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (*targets_tokens.TARGETS, *targets_documents.TARGETS, *targets_services.TARGETS)
}
