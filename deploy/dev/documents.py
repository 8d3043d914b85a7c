"""`make documents`: write the settings tables of the service READMEs anew."""

from __future__ import annotations

import re
from pathlib import Path

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
MARKED = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def main() -> None:
    """Replace what stands between the marks."""
    for service, settings in SETTINGS.items():
        path = ROOT / "services" / service / "README.md"
        text = path.read_text()
        found = MARKED.search(text)
        if found is not None:
            table = settings_markdown(settings).strip()
            path.write_text(text.replace(found[0], f"{found[1]}{table}\n{found[2]}"))


if __name__ == "__main__":
    main()
