"""Every parser of outside data against spoiled inputs; `python -m tests.soak fuzz` runs millions.

The inputs are the same in every run. What a long run finds becomes a row of ``test_fuzz_regressions``.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

MUTATIONS = 120
RAW = 15
# What their inputs mean is decided elsewhere: nothing is accepted by these, or everything is.
NEVER_ACCEPTED = {"JWE header"}

every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=str)


@every_target
def test_a_seed_is_accepted(target: Target):
    accepted = [target.run(seed) for seed in target.seeds]
    assert any(accepted) or target.name in NEVER_ACCEPTED


@every_target
def test_spoiled_inputs_are_refused_cleanly(target: Target):
    refused = 0
    for number in range(MUTATIONS):
        source = random.Random(number)  # noqa: S311 - one number, one input
        data = mutated(source.choice(target.seeds), source, target.seeds)
        try:
            refused += not target.run(data)
        except Exception as error:
            error.add_note(f"target {target}, input {number}: {data[:500]!r}")
            raise
    assert refused or target.name in {"credential collected"}


@every_target
@settings(
    max_examples=RAW,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_refused_cleanly(target: Target, data: bytes):
    target.run(data)
