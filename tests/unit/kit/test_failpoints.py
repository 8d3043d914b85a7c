"""Failpoints: closed sets, off by default, armed by a test or, in development only, by a setting."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

import passport_issuer.operations.failpoints as issuer
import passport_registry.operations.failpoints as registry
import passport_verifier.operations.failpoints as verifier
from passport_shared.service import failpoints
from passport_shared.service.failpoints import ACTIONS, Crash, arm, arm_setting, armed, hit, step, steps
from passport_shared.service.settings import Environment, ServiceSettings

ROOT = Path(__file__).resolve().parents[3]
SETS: list[tuple[ModuleType, str]] = [
    (failpoints, "shared"),
    (issuer, "services/issuer"),
    (verifier, "services/verifier"),
    (registry, "services/registry"),
]
STEP = failpoints.AFTER_SEALED


class DrillSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="PASSPORT_DRILL_")


@pytest.fixture(autouse=True)
def _nothing_armed() -> Iterator[None]:
    yield
    failpoints._armed.clear()


def names_hit(folder: Path) -> set[str]:
    """The constants that the sources below a folder give to `failpoints.hit`."""
    found = set()
    for file in (folder / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "hit" and isinstance(node, ast.Call):
                (argument,) = node.args
                assert isinstance(argument, ast.Attribute), f"{file}: a step is named by its constant"
                found.add(argument.attr)
    return found


@pytest.mark.parametrize(
    ("module", "folder"), SETS, ids=lambda value: str(value) if isinstance(value, str) else ""
)
def test_every_step_of_a_set_stands_in_its_service_and_no_other_does(module: ModuleType, folder: str) -> None:
    constants = {name for name in vars(module) if name.startswith(("AFTER_", "BEFORE_"))}
    assert names_hit(ROOT / folder) == constants
    assert len(constants) > 10


def test_no_two_steps_share_a_name() -> None:
    with pytest.raises(ValueError, match="a step already"):
        step("issuer", STEP)


def test_nothing_happens_where_nothing_is_armed() -> None:
    hit(STEP)
    hit("no.such.step")


def test_a_step_is_armed_for_a_block_and_an_unknown_one_never() -> None:
    with armed(STEP, ACTIONS["raise"]), pytest.raises(Crash):
        hit(STEP)
    hit(STEP)
    with pytest.raises(KeyError), armed("no.such_step", ACTIONS["raise"]):
        pass


def test_the_nth_time_and_every_one_after_it() -> None:
    reached = []
    arm(STEP, lambda: reached.append(1), at=3)
    for _ in range(4):
        hit(STEP)
    assert len(reached) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        STEP,
        f"{STEP}=",
        f"{STEP}=burn",
        f"{STEP}=raise@0",
        f"{STEP}=raise@",
        "no.such_step=raise",
        "=raise",
    ],
)
def test_a_setting_that_names_no_step_or_act_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="step"):
        arm_setting(text)
    assert not failpoints._armed


def test_a_setting_arms_a_step() -> None:
    arm_setting(f"{STEP}=raise@2")
    hit(STEP)
    with pytest.raises(Crash):
        hit(STEP)


@pytest.mark.parametrize("environment", list(Environment))
def test_only_a_development_environment_takes_the_setting(environment: Environment) -> None:
    values: dict[str, Any] = {
        "public_url": "https://drill.example",
        "database_url": "sqlite:///x.db",
        "kek_file": Path("kek"),
        "environment": environment,
        "failpoint": f"{STEP}=kill",
    }
    if environment is Environment.DEVELOPMENT:
        assert DrillSettings(**values).failpoint == f"{STEP}=kill"
        return
    with pytest.raises(ValidationError, match="development"):
        DrillSettings(**values)


def test_the_sets_are_closed_and_belong_to_one_service_each() -> None:
    every = [name for service in ("kit", "issuer", "verifier", "registry") for name in steps(service)]
    assert len(every) == len(set(every))
    assert steps("nobody") == ()
