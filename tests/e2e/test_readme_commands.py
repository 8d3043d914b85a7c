"""The README's commands, run as a reader would run them: the sandbox, the tour, every answer looked at."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh( tour)?\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def shell(script: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PASSPORT_")}
    done = subprocess.run(
        ["sh", "-euc", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_two_commands_are_targets_of_the_makefile():
    [commands] = [text for tour, text in BLOCKS if not tour and "make demo" in text]
    targets = re.findall(r"^([a-z0-9-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in commands.split("\n"):
        if line:
            make, target = line.split()
            assert make == "make"
            assert target in targets


def test_the_tour_does_what_the_readme_says():
    tour = [text for is_tour, text in BLOCKS if is_tour]
    assert len(tour) == 6
    plain = [text for is_tour, text in BLOCKS if not is_tour]
    assert [text for text in plain if text in ("make up\n", "make down\n")] == ["make up\n", "make down\n"]
    shell("make up")
    try:
        marked = "\n".join(f"{block}\necho; echo ===" for block in tour)
        answers = [json.loads(part) for part in shell(marked).split("===")[:-1]]
    finally:
        shell("make down")
    register, passport, check, refused, appointment, offer = answers
    assert {entry["ods_code"] for entry in register["items"]} == {"RBV", "R0A", "SBX01", "SBX02"}
    assert passport["not_held"]
    assert check["check_type"] == "RTW"
    assert refused["status"] == 422
    pointers = {error["pointer"] for error in refused["errors"]}
    assert any("performed_on" in pointer for pointer in pointers), pointers
    assert any("permission" in pointer for pointer in pointers), pointers
    assert appointment["result"] == "CONFIRMED"
    assert offer["page_url"].startswith("https://localhost:9001/RBV/o/")
    assert offer["credential_configuration_ids"] == ["RightToWork_1"]
    assert re.fullmatch("[0-9]{6}", offer["tx_code"])
