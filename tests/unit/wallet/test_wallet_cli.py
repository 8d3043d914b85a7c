"""What the wallet's command line says before it needs anything secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from passport_wallet.cli import app


@pytest.mark.parametrize("command", [["list"], ["show", "1"], ["accept", "x"], ["present", "x"]])
def test_nobody_is_asked_for_the_passphrase_of_a_wallet_that_is_not_there(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSPORT_WALLET_HOME", str(tmp_path))
    monkeypatch.delenv("PASSPORT_WALLET_PASSPHRASE_FILE", raising=False)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "There is no wallet at" in done.output.replace("\n", " ")
    assert "Passphrase" not in done.output
