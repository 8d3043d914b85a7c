"""The scale run is a program that works: at a thousandth it fills, publishes, asks and revokes everything.

How long anything took says nothing on a busy machine, so that no figure is judged here.
"""

from __future__ import annotations

import pytest

from passport_testkit.databases import NO_POSTGRESQL
from passport_testkit.postgres_cluster import server_programs
from tests.soak.scale import run
from tests.soak.scale_sizes import Size


def test_the_whole_network_has_the_numbers_the_design_names():
    whole = Size.of(1)
    spread = whole.staff_of()
    assert (whole.organisations, whole.staff, whole.largest, whole.credentials) == (
        10_000,
        1_500_000,
        30_000,
        1_000_000,
    )
    assert len(spread) == len({ods for ods, _, _ in spread}) == 10_000
    assert abs(sum(staff for _, staff, _ in spread) - 1_500_000) < 10_000
    assert spread[0][1] == 30_000


@pytest.mark.postgres
async def test_a_thousandth_of_the_network_is_filled_and_measured():
    if server_programs() is None:
        pytest.skip(NO_POSTGRESQL)
    report = await run(Size.of(0.0002), times=1)
    measured = {row.name.partition(":")[0] for row in report.rows}
    assert {"registry", "issuer", "verifier"} <= measured
    assert any("revoked and published" in row.name for row in report.rows)
    assert any("placements compared" in row.name for row in report.rows)
    assert report.whole().count("\n") == len(report.rows) + 2
