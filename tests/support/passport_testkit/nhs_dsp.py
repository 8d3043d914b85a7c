"""The published NHS DSP API standard beside the repository: the document our simulated systems are held to.

It is read where it lies, never copied; where it is absent the calling test skips and says so.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from passport_testkit.corpora import NOT_RUN, SHARED

FOLDER = SHARED / "contracts" / "nhs-dsp"
EXAMPLES = FOLDER / "components" / "examples"
STANDARD = FOLDER / "digital-staff-passport-api-standard.yaml"


class _Plain(yaml.SafeLoader):  # type: ignore[misc]  # the library has no types
    """YAML 1.2: `Yes` and `No` are words, as the people who wrote the standard meant them."""


_BOOL = "tag:yaml.org,2002:bool"
_Plain.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != _BOOL]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Plain.add_implicit_resolver(_BOOL, re.compile(r"true|false"), list("tf"))


def found(file: Path) -> Path:
    """The file, or skip."""
    if not file.exists():
        reason = "the published DSP API standard is not beside the repository"
        if reason not in NOT_RUN:
            NOT_RUN.append(reason)
        pytest.skip(reason)
    return file


def standard() -> dict[str, Any]:
    """The document without its examples, one of which is no JSON; or skip."""
    text = found(STANDARD).read_text(encoding="utf-8")
    document: dict[str, Any] = _without_examples(yaml.load(text, Loader=_Plain))  # noqa: S506 - a SafeLoader
    return document


def _without_examples(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_examples(v) for k, v in node.items() if k not in ("example", "examples")}
    return [_without_examples(item) for item in node] if isinstance(node, list) else node
