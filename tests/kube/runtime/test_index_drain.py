"""The index is brought up to date in the background, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from archivmail.kube.indexing import IndexDrain
from archivmail.model.errors import ArchiveUnavailable
from archivmail.observe.metrics import Metrics

MOMENT = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)


class Index:
    """A backlog that is drained by tens."""

    def __init__(self, backlog: int) -> None:
        self.backlog = backlog
        self.failures = 0
        self.drained = asyncio.Event()
        self.failed = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def drain(self, should_stop: Callable[[], bool]) -> int:
        if self.failures:
            self.failures -= 1
            self._loop.call_soon_threadsafe(self.failed.set)
            raise ArchiveUnavailable("the catalog is locked; try again")
        if not self.backlog:
            self._loop.call_soon_threadsafe(self.drained.set)
        done = min(10, self.backlog)
        self.backlog -= done
        return done


def test_the_whole_backlog_is_drained_and_shown() -> None:
    """At the start, and again when a run has archived something."""

    async def story() -> None:
        index, metrics = Index(25), Metrics()
        drain = IndexDrain(index.drain, lambda: index.backlog, lambda: (MOMENT, 3), metrics)
        working = asyncio.ensure_future(drain.run())
        await asyncio.wait_for(index.drained.wait(), 10)
        assert 0 == index.backlog
        index.drained.clear()
        index.backlog = 5
        drain.wake()
        await asyncio.wait_for(index.drained.wait(), 10)
        assert 0 == index.backlog
        exposition = metrics.exposition()[0]
        assert b"archivmail_index_backlog_messages 0.0" in exposition
        # A verification runs in a process of its own; the catalog tells of it.
        assert b"archivmail_verify_damaged_messages 3.0" in exposition
        assert b"archivmail_verify_last_timestamp_seconds 1.7957484e+09" in exposition
        working.cancel()

    asyncio.run(story())


def test_a_failure_ends_nothing() -> None:
    """The archive does not depend on its index."""

    async def story() -> None:
        index = Index(5)
        index.failures = 1
        drain = IndexDrain(index.drain, lambda: index.backlog, lambda: None, Metrics())
        working = asyncio.ensure_future(drain.run())
        await asyncio.wait_for(index.failed.wait(), 10)
        while not index.drained.is_set():
            drain.wake()  # or it would try again in 15 s by itself
            await asyncio.sleep(0)
        assert 0 == index.backlog
        working.cancel()

    asyncio.run(story())


def test_a_stop_drains_no_further() -> None:
    """At the end of the process."""

    async def story() -> None:
        index = Index(25)
        drain = IndexDrain(index.drain, lambda: index.backlog, lambda: None, Metrics())
        drain.stop()
        assert 0 == drain._batch()
        assert 25 == index.backlog

    asyncio.run(story())
