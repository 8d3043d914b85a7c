"""Documents that can be wrong are checked: settings tables, links, the list of decisions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from passport_issuer.settings import IssuerSettings
from passport_registry.settings import RegistrySettings
from passport_shared.service.settings import ServiceSettings, settings_markdown
from passport_verifier.settings import VerifierSettings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, type[ServiceSettings]] = {
    "registry": RegistrySettings,
    "issuer": IssuerSettings,
    "verifier": VerifierSettings,
}
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "services/*/README.md")
    for path in ROOT.glob(pattern)
    if path.is_file()
)


@pytest.mark.parametrize("service", SETTINGS)
def test_the_settings_table_is_what_the_service_reads(service: str):
    text = (ROOT / "services" / service / "README.md").read_text()
    [table] = re.findall(r"<!-- settings -->\n(.*?)<!-- /settings -->", text, re.DOTALL)
    assert table.strip() == settings_markdown(SETTINGS[service]).strip(), "run: make documents"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_decision_is_in_the_list_and_numbered_once():
    files = sorted(path.name for path in (ROOT / "docs" / "adr").glob("0*.md"))
    listed = re.findall(r"\]\((0[^)]+)\)", (ROOT / "docs" / "adr" / "README.md").read_text())
    assert listed == files
    numbers = [name[:4] for name in files]
    assert len(set(numbers)) == len(numbers)


def test_the_architecture_fits_on_three_pages():
    words = len((ROOT / "ARCHITECTURE.md").read_text().split())
    assert words < 1800
