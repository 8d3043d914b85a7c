"""Members of a snapshot's parts that only look right, under a right manifest."""

from __future__ import annotations

from typing import Any

import pytest

from passport_shared.formats.snapshot import Snapshot, SnapshotError, SnapshotReason
from passport_testkit.network import Documents, TrustRegistrySimulator


@pytest.fixture(scope="module")
def network() -> TrustRegistrySimulator:
    made = TrustRegistrySimulator()
    made.enrol_issuer()
    made.agree("RBV", "R0A")
    return made


def loaded(network: TrustRegistrySimulator, **changes: Any) -> Snapshot:
    """The snapshot with members of its one agreement replaced."""

    def edit(documents: Documents) -> None:
        documents["agreements"]["agreements"][0].update(changes)

    return network.snapshot(network.publish(edit=edit))


@pytest.mark.parametrize("days", [None, 1, 90])
def test_days_of_an_agreement_are_a_number_or_nothing(network: TrustRegistrySimulator, days: object):
    now = network.clock.now()
    [agreement] = loaded(network, max_days=days).agreements_between("RBV", "R0A", now.date())
    assert agreement.max_days == days


@pytest.mark.parametrize("days", [True, False, "90", 90.0, [90], {}])
def test_days_that_are_no_number_are_refused(network: TrustRegistrySimulator, days: object):
    with pytest.raises(SnapshotError) as refused:
        loaded(network, max_days=days)
    assert refused.value.reason is SnapshotReason.PART_MALFORMED


@pytest.mark.parametrize("name", ["id", "type"])
@pytest.mark.parametrize("value", ["", None, 1, True, ["a"], {"a": 1}])
def test_texts_that_are_none_are_refused(network: TrustRegistrySimulator, name: str, value: object):
    with pytest.raises(SnapshotError) as refused:
        loaded(network, **{name: value})
    assert refused.value.reason is SnapshotReason.PART_MALFORMED
