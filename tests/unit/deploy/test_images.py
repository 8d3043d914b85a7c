import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = ("deploy/Dockerfile", "deploy/postgres/Dockerfile.standin", "deploy/proxy/Dockerfile.standin")
SERVICES = ("registry", "issuer", "verifier", "simulators")


HADOLINT = Path(sys.executable).parent / "hadolint"


@pytest.mark.skipif(not HADOLINT.exists(), reason="there is no hadolint for this machine")
@pytest.mark.parametrize("file", FILES)
def test_hadolint_has_nothing_to_say(file: str) -> None:
    done = subprocess.run([HADOLINT, ROOT / file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_an_image_runs_as_nobody_and_says_how_it_is() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    final = text.rsplit("\nFROM ", 1)[1]
    assert "USER 10001:10001" in final
    assert 'ENTRYPOINT ["passport"]' in final
    assert 'CMD ["python", "-m", "passport_shared.service.probe"]' in final
    assert "PYTHONDONTWRITEBYTECODE=1" in final
    assert "pip install" not in final
    for line in re.findall(r"pip.* install .*", text):
        assert "--require-hashes" in line or "--no-index" in line


@pytest.mark.parametrize("name", [*SERVICES, "build"])
def test_every_image_has_a_lock_of_hashes(name: str) -> None:
    lock = (ROOT / f"requirements-{name}.lock").read_text()
    pins = re.findall(r"^[a-z0-9._-]+(?:\[.*\])?==", lock, re.MULTILINE)
    blocks = re.split(r"^(?=[a-z0-9._-]+(?:\[.*\])?==)", lock, flags=re.MULTILINE)[1:]
    assert len(pins) == len(blocks) > 0
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in lock


def test_nothing_of_a_developers_machine_is_sent_to_a_build() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!shared", "!services", "!deploy", "!LICENSE", "!requirements-*.lock"
    }  # fmt: skip
