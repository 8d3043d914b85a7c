"""What a host asks for: a DCQL query from its policy (OpenID4VP 1.0 §6), and which rows it serves.

One credential query per type (``parts`` says when a type of many subjects takes a second one), by claim path:
``holder_ref`` of every credential, the three identity claims of StaffIdentity, and of each type only what its
rules read. What the policy needs for safety is in one required credential set; what it takes as assurance is
optional, by ``credential_sets`` with ``required: false`` for a whole credential and by ``claim_sets`` for the
subjects of a card, because a wallet that lacks something required may return nothing at all. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from passport_shared.wire import catalogue
from passport_verifier.rules.outcome import Need
from passport_verifier.rules.parts import Part, parts, whole
from passport_verifier.rules.policies import HostPolicy

HOLDER_REF: tuple[str, ...] = ("holder_ref",)
IDENTITY_CLAIMS: tuple[tuple[str, ...], ...] = (("family_name",), ("given_name",), ("birthdate",))
Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of one credential: paths that must come, and paths that may stay away."""

    credential: str
    required: tuple[Path, ...]
    optional: tuple[Path, ...]
    need: Need

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path asked for."""
        return (*self.required, *self.optional)


def asked(policy: HostPolicy) -> tuple[Asked, ...]:
    """What a policy asks for, by credential type, in the order of its rows."""
    return tuple(_asked(policy, whole(policy, credential)) for credential in policy.credentials)


def _asked(policy: HostPolicy, part: Part) -> Asked:
    required: list[Path] = [HOLDER_REF]
    optional: list[Path] = []
    if part.credential == "StaffIdentity":
        required.extend(IDENTITY_CLAIMS)
    for row in part.rows:
        if row.subject is not None:
            target = required if row.need is Need.SAFETY else optional
            target.append(("skills", row.subject))
        else:
            required.extend((name,) for name in policy.reads(row.rule))
    return Asked(
        credential=part.credential,
        required=tuple(dict.fromkeys(required)),
        optional=tuple(dict.fromkeys(optional)),
        need=part.need,
    )


def dcql_query(policy: HostPolicy, *, vct_base: str, employing_ods: str | None) -> dict[str, Any]:
    """The DCQL query of a policy; ``employing_ods`` picks the assignment where a person has several."""
    found = parts(policy)
    queries = [
        _credential_query(part.query_id, _asked(policy, part), vct_base, employing_ods) for part in found
    ]
    required = [part.query_id for part in found if part.need is Need.SAFETY]
    optional = [part.query_id for part in found if part.need is Need.ASSURANCE]
    sets: list[dict[str, Any]] = [{"options": [required], "required": True}] if required else []
    sets.extend({"options": [[query]], "required": False} for query in optional)
    return {"credentials": queries, "credential_sets": sets}


def _credential_query(
    query_id: str, entry: Asked, vct_base: str, employing_ods: str | None
) -> dict[str, Any]:
    claims = [_claim(path, employing_ods) for path in entry.paths]
    query: dict[str, Any] = {
        "id": query_id,
        "format": "dc+sd-jwt",
        "meta": {
            "vct_values": [
                catalogue.vct(vct_base, entry.credential, catalogue.TYPES[entry.credential].version)
            ]
        },
        "claims": claims,
    }
    if entry.optional:
        for claim in claims:
            claim["id"] = "_".join(claim["path"])
        query["claim_sets"] = _claim_sets(entry)
    return query


def _claim(path: Path, employing_ods: str | None) -> dict[str, Any]:
    claim: dict[str, Any] = {"path": list(path)}
    if path == ("employer_ods",) and employing_ods is not None:
        claim["values"] = [employing_ods]
    return claim


def _claim_sets(entry: Asked) -> list[list[str]]:
    """What is required with every selection of what is optional, the fullest first.

    A wallet takes the first set it can give: exactly the subjects that are held and not withheld. A card of
    which nothing is required is not asked for with none of its subjects.
    """
    names = {path: "_".join(path) for path in entry.paths}
    required = [names[path] for path in entry.required]
    optional = [names[path] for path in entry.optional]
    fewest = 0 if len(required) > 1 else 1
    sizes = range(len(optional), fewest - 1, -1)
    return [[*required, *some] for size in sizes for some in combinations(optional, size)]


def in_words(policy: HostPolicy, locale: str) -> list[tuple[str, Sequence[str]]]:
    """What is asked for, for people: each section of the passport and its details, in a language."""
    words: list[tuple[str, Sequence[str]]] = []
    for entry in asked(policy):
        kind = catalogue.TYPES[entry.credential]
        labels = [kind.label(path, locale) for path in entry.paths if path != HOLDER_REF]
        words.append((kind.display[locale]["name"], labels))
    return words
