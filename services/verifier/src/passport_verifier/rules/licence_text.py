"""The text of a licence to attend, as versioned data in both languages (domain model §10c J3, step 8).

The document names the movement, its days and duties and the three parts it rests on: the staff member's
agreement, the employing trust's Release, the host's decision. It names no staff member: whose it is follows
from the decision. The wording is a proposal; the network's lawyers settle it. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from passport_shared.formats.strict import b64url_encode, canonical

CURRENT = "1"


@lru_cache(maxsize=4)
def text(version: str = CURRENT) -> Mapping[str, Mapping[str, Any]]:
    """The words of a version, by language: ``title``, ``observer_title``, ``clauses``.

    Raises:
        KeyError: no such version.
    """
    folder = resources.files(__package__).joinpath("licence_data")
    try:
        found = folder.joinpath(f"licence_to_attend.{version}.json").read_text("utf-8")
    except FileNotFoundError:
        raise KeyError(version) from None
    words: Mapping[str, Mapping[str, Any]] = json.loads(found)
    return words


def document_sha256(document: Mapping[str, Any]) -> str:
    """base64url of the SHA-256 of a document in its canonical form."""
    return b64url_encode(hashlib.sha256(canonical(dict(document))).digest())


def agreement_name(agreement: Mapping[str, Any] | None, version: str, locale: str) -> str:
    """How the text names the agreement between the trusts."""
    words = text(version)[locale]
    if agreement is None:
        return str(words["no_agreement"])
    return str(words["agreement"]).format(type=agreement["type"], version=agreement["version"])
