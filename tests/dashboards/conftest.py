"""One fleet and one Prometheus for all tests of this folder, on one worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.dashboards.fleet import NOT_READY, Fleet
from tests.servers.controlplane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEEN_S = 30.0
SEEN = (
    "archivmail_verify_damaged_messages > 0",
    f"count(archivmail_account_ready == 0) == {len(NOT_READY)}",
    "archivmail_account_complete == 0 and archivmail_account_ready == 1",
    "archivmail_uidvalidity_resets_total > 0",
)
"""What Prometheus must have scraped before it is asked."""


def wait_for(claim: Callable[[], bool]) -> None:
    """Prometheus looks once a second."""
    end = time.monotonic() + SEEN_S
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """In trouble, and scraped since; on an API server of its own, or operators of other tests that serve every
    namespace (tests/deploy) would serve its accounts as well."""
    with ControlPlane() as plane, Fleet(plane, tmp_path_factory.mktemp("fleet")) as running:
        running.begin()
        running.renumber()
        running.fail_to_write()
        running.damage()
        running.receive("bob", seed=99)
        for claim in SEEN:
            wait_for(lambda: bool(running.prometheus.instant(claim)))  # noqa: B023 - called before it changes
        yield running


@pytest.fixture(scope="session")
def seen_at(fleet: Fleet) -> float:
    """A moment at which all the trouble has been scraped."""
    assert fleet.troubled() == NOT_READY
    return time.time()
