"""Each import contract is shown to fail on a planted violation."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["shared/src", *(f"services/{s}/src" for s in ("registry", "issuer", "verifier", "wallet"))]

PLANTED = {
    "layers inside each service": ("passport_issuer/rules/planted.py", "import passport_issuer.http\n"),
    "services never import each other": ("passport_verifier/planted.py", "import passport_issuer.rules\n"),
    "shared is layered": ("passport_shared/formats/planted.py", "import passport_shared.service\n"),
    "formats and rules are pure": ("passport_registry/rules/planted.py", "import sqlalchemy\n"),
    "only service imports servers and databases": ("passport_wallet/planted.py", "import fastapi\n"),
    "PyJWT only in formats.jose": ("passport_wallet/planted.py", "import jwt\n"),
    "joserfc only in formats.jwe": ("passport_issuer/planted.py", "import joserfc\n"),
}


@pytest.fixture(scope="module")
def copied_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("sources")
    for source in SOURCES:
        for package in (ROOT / source).iterdir():
            if package.name.startswith("passport_") and package.is_dir():
                shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def lint(sources: Path) -> subprocess.CompletedProcess[str]:
    command = [
        str(Path(sys.executable).parent / "lint-imports"),
        "--config",
        str(ROOT / "pyproject.toml"),
        "--no-cache",
    ]
    return subprocess.run(
        command,
        cwd=sources,
        env={**os.environ, "PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tree_keeps_every_contract(copied_sources: Path):
    result = lint(copied_sources)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout
    assert all(name in result.stdout for name in PLANTED)


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_breaks_the_contract(contract: str, copied_sources: Path):
    where, line = PLANTED[contract]
    planted = copied_sources / where
    planted.write_text(f'"""Planted."""\n\n{line}')
    try:
        result = lint(copied_sources)
    finally:
        planted.unlink()
    assert result.returncode != 0
    assert f"{contract} BROKEN" in result.stdout, result.stdout
