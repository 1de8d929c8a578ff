"""The watch of Secrets goes on whatever the API server says, and its owner hears once of what stands in its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from archivmail.kube.api import ApiForbidden, ApiUnavailable
from archivmail.kube.secretwatch import SecretSeen, SecretWatch
from tests.kube.runtime.virtualtime import run

LISTED = SecretSeen("team-a", "alice", "1")
REFUSED = ApiForbidden("the API server answered 403: cannot watch resource", 403)


class Watches:
    """Watches that list one Secret and then end as they are told, the last one as often as it is asked for."""

    def __init__(self, *ends: Exception | None) -> None:
        self.begun = 0
        self.lasts_s = 0.1
        self.heard: list[SecretSeen] = []
        self._ends = ends

    async def __call__(self, namespace: str | None, label: str) -> AsyncIterator[SecretSeen]:
        assert (namespace, label) == (None, "archivmail.io/watch=true")
        end = self._ends[min(self.begun, len(self._ends) - 1)]
        self.begun += 1
        yield LISTED
        await asyncio.sleep(self.lasts_s)
        if end is not None:
            raise end

    def follow(self, seconds: float) -> None:
        async def told() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await SecretWatch(self, (), self.heard.append).run()

        run(told())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_refused_watch_is_told_once_with_the_right_to_grant(caplog: pytest.LogCaptureFixture) -> None:
    """S7: also where the listing before it is allowed; and it is asked for ever more rarely."""
    watches = Watches(REFUSED)

    watches.follow(600)

    (told,) = warnings(caplog)
    assert "grant the operator's ServiceAccount list and watch on secrets" in told
    assert 15 < watches.begun < 30


def test_a_refusal_after_a_while_without_one_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    """And another reason is told at once."""
    lost = ApiUnavailable("the API server cannot be reached")
    watches = Watches(REFUSED, None, REFUSED, lost, lost, None)

    watches.follow(60)

    assert ["may not", "may not", "cannot"] == [
        each.split(" be ")[0].removeprefix("secrets ") for each in warnings(caplog)
    ]
    assert [LISTED] * watches.begun == watches.heard


def test_a_watch_that_is_cut_each_time_is_no_rain_of_listings(caplog: pytest.LogCaptureFixture) -> None:
    """A proxy ends it at once, or its version is always too old (410): each begins with a listing of every Secret. One
    that has lasted is begun anew within a second, for what changes meanwhile is heard of late."""
    cut, renewed = Watches(None), Watches(None)
    renewed.lasts_s = 599

    cut.follow(600)
    renewed.follow(6005)

    assert 15 < cut.begun < 30
    assert 11 == renewed.begun
    assert [] == warnings(caplog)
