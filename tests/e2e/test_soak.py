"""The soak of `make soak`, short: some accounts, half a minute, a fixed seed."""

from __future__ import annotations

import pytest

from bench.soak import Options, soak

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(300)]


def test_crashes_and_outages_at_random_lose_nothing_and_double_nothing() -> None:
    """S2, S3, S7; invariants 1, 2, 3, 5 and 7: Complete and equal, whatever happened."""
    found = soak(Options(minutes=0.4, accounts=4, seed=7, outage_s=6, calm_s=1.0, first=10))

    assert [] == found.problems
    assert found.messages > 4 * 3 * 10
    assert len(found.faults) >= 4
