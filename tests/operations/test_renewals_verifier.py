"""A verifier's request key is rolled while requests are open: each ends under the key it began with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from passport_shared.wire.enrolment import PUBLISHED_BEFORE_USE
from passport_testkit.databases import FreshDatabases
from passport_testkit.verifiers import VerifierBench, running_verifier
from passport_verifier.app import renewals_of


@pytest.fixture
async def verifier(databases: FreshDatabases, tmp_path: Path) -> AsyncIterator[VerifierBench]:
    """Manchester's verifier."""
    async with running_verifier(tmp_path, await databases.url("passport_verifier")) as bench:
        yield bench


async def test_an_open_request_is_answered_across_the_roll_of_the_request_key(verifier: VerifierBench):
    renewals = renewals_of(verifier.ctx)
    assert await renewals.renew("R0A") is None
    verifier.clock.advance(timedelta(minutes=1))
    tenant = await renewals.renew("R0A")
    assert tenant is not None
    old, new = (one.x5t_s256 for one in tenant.held)
    verifier.clock.advance(PUBLISHED_BEFORE_USE - timedelta(minutes=1))
    verifier.wire.publish()
    await verifier.refresh()
    await verifier.refresh_statuses()
    asked = await verifier.ask()
    assert (await verifier.fetch(asked))["client_id"] == f"x509_hash:{old}"
    verifier.clock.advance(timedelta(minutes=2))
    assert (await verifier.fetch(asked))["client_id"] == f"x509_hash:{old}"
    answered = await verifier.present(asked, verifier.surgeon())
    assert answered.status_code == 200
    later = await verifier.ask()
    assert (await verifier.fetch(later))["client_id"] == f"x509_hash:{new}"
    assert (await verifier.present(later, verifier.surgeon())).status_code == 200
