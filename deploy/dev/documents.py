"""`make documents`: write anew what documents repeat from code: settings, and what sources can fill."""

from __future__ import annotations

import re
from pathlib import Path

from passport_issuer.rules.workforce_sources import as_markdown
from passport_issuer.settings import IssuerSettings
from passport_registry.settings import RegistrySettings
from passport_shared.service.metric_names import metrics_markdown
from passport_shared.service.settings import ServiceSettings, settings_markdown
from passport_verifier.settings import VerifierSettings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, type[ServiceSettings]] = {
    "registry": RegistrySettings,
    "issuer": IssuerSettings,
    "verifier": VerifierSettings,
}
MARKED = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)
SOURCES = ROOT / "docs" / "workforce" / "sources.md"
SOURCES_MARKED = re.compile(r"(<!-- sources -->\n).*?(<!-- /sources -->)", re.DOTALL)
METRICS = ROOT / "docs" / "metrics.md"
METRICS_MARKED = re.compile(r"(<!-- metrics -->\n).*?(<!-- /metrics -->)", re.DOTALL)


def main() -> None:
    """Replace what stands between the marks."""
    tables = as_markdown()
    SOURCES.write_text(SOURCES_MARKED.sub(lambda found: f"{found[1]}{tables}{found[2]}", SOURCES.read_text()))
    names = metrics_markdown()
    METRICS.write_text(METRICS_MARKED.sub(lambda found: f"{found[1]}{names}{found[2]}", METRICS.read_text()))
    for service, settings in SETTINGS.items():
        path = ROOT / "services" / service / "README.md"
        text = path.read_text()
        found = MARKED.search(text)
        if found is not None:
            table = settings_markdown(settings).strip()
            path.write_text(text.replace(found[0], f"{found[1]}{table}\n{found[2]}"))


if __name__ == "__main__":
    main()
