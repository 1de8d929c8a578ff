"""Upkeep runs in the background, one account at a time, and ends when a run of its account begins (S2)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from archivmail.kube import upkeep
from archivmail.kube.threads import in_thread
from archivmail.kube.upkeep import Upkeep
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveUnavailable, RunInProgress

ALICE, BOB = AccountRef("team-a", "alice"), AccountRef("team-b", "bob")


class Archive:
    """Notes what is kept up; `fails` are raised one by one; `holds` keeps the work going until it is told to stop."""

    def __init__(self, *fails: Exception, holds: bool = False) -> None:
        self.kept: list[AccountRef] = []
        self.at_once = self.most_at_once = 0
        self.purges = 0
        self.was_told_to_stop = False
        self.begun = threading.Event()
        self._fails, self._holds = list(fails), holds
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def keep_up(self, ref: AccountRef, should_stop: Callable[[], bool]) -> None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self.begun.set()
        try:
            if self._fails:
                raise self._fails.pop(0)
            stopped = threading.Event()
            while self._holds and not should_stop():
                stopped.wait(0.005)
            self.was_told_to_stop = should_stop()
            self.kept.append(ref)
        finally:
            self.at_once -= 1
            self._loop.call_soon_threadsafe(self._changed.set)

    def purge(self) -> int:
        self.purges += 1
        return 0

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


def story(told: Coroutine[None, None, None]) -> None:
    asyncio.run(told)


async def ended(worker: Upkeep, task: asyncio.Task[None]) -> None:
    worker.stop()
    task.cancel()
    await asyncio.wait({task})


def test_every_woken_account_is_kept_up_one_after_the_other() -> None:
    """And the words of removed messages leave the index now and then, not after each."""

    async def told() -> None:
        archive = Archive()
        worker = Upkeep(archive.keep_up, archive.purge)
        task = asyncio.create_task(worker.run())
        for ref in (ALICE, BOB):
            worker.wake(ref)
        await archive.until(lambda: len(archive.kept) == 2)
        assert sorted(archive.kept) == [ALICE, BOB]
        assert archive.most_at_once == 1
        await ended(worker, task)
        assert archive.purges <= 1

    story(told())


def test_an_account_is_not_looked_at_after_every_run() -> None:
    """Once an hour is enough; another account need not wait for that."""

    async def told() -> None:
        archive = Archive()
        worker = Upkeep(archive.keep_up, archive.purge)
        task = asyncio.create_task(worker.run())
        worker.wake(ALICE)
        await archive.until(lambda: archive.kept == [ALICE])
        worker.wake(ALICE)
        worker.wake(BOB)
        await archive.until(lambda: len(archive.kept) == 2)
        assert archive.kept == [ALICE, BOB]
        await ended(worker, task)

    story(told())


@pytest.mark.parametrize("error", [RunInProgress("busy"), ArchiveUnavailable("the disk is full")], ids=["busy", "disk"])
def test_what_failed_is_tried_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run had the account, or the store failed: later."""
    monkeypatch.setattr(upkeep, "RETRY_S", 0.01)

    async def told() -> None:
        archive = Archive(error, error)
        worker = Upkeep(archive.keep_up, archive.purge)
        task = asyncio.create_task(worker.run())
        worker.wake(ALICE)
        await archive.until(lambda: archive.kept == [ALICE])
        await ended(worker, task)

    story(told())


def test_a_run_that_begins_ends_the_upkeep_of_its_account() -> None:
    """It waits until the account is free; the run of another account waits for nothing."""

    async def told() -> None:
        archive = Archive(holds=True)
        worker = Upkeep(archive.keep_up, archive.purge)
        task = asyncio.create_task(worker.run())
        worker.wake(ALICE)
        await in_thread(lambda: archive.begun.wait(10), name="wait")
        await in_thread(lambda: worker.give_way(BOB), name="run of bob")
        assert archive.kept == []
        await in_thread(lambda: worker.give_way(ALICE), name="run of alice")
        assert archive.kept == [ALICE]
        assert archive.was_told_to_stop
        await ended(worker, task)

    story(told())


def test_a_deleted_account_is_not_kept_up_any_more() -> None:
    """Nobody says that its mail may go."""

    async def told() -> None:
        archive = Archive()
        worker = Upkeep(archive.keep_up, archive.purge)
        worker.wake(ALICE)
        worker.wake(BOB)
        worker.forget(ALICE)
        task = asyncio.create_task(worker.run())
        await archive.until(lambda: archive.kept == [BOB])
        await ended(worker, task)
        assert archive.kept == [BOB]

    story(told())


def test_a_deleted_account_leaves_nothing_behind() -> None:
    """Also when it is deleted while it is kept up: namespaces come and go for as long as the process lives."""

    async def told() -> None:
        archive = Archive(holds=True)
        worker = Upkeep(archive.keep_up, archive.purge)
        task = asyncio.create_task(worker.run())
        worker.wake(ALICE)
        await in_thread(lambda: archive.begun.wait(10), name="wait")
        worker.forget(ALICE)
        archive.begun.clear()
        await in_thread(lambda: worker.give_way(ALICE), name="run of a new alice")
        worker.wake(BOB)
        await in_thread(lambda: archive.begun.wait(10), name="wait")
        assert {BOB} == set(worker._due)
        await ended(worker, task)

    story(told())


def test_a_run_of_one_account_looks_at_no_other() -> None:
    """Ten thousand accounts were kept up within the hour and wait for the next one: each run wakes the upkeep."""

    class Counted(dict[AccountRef, float]):
        asked = 0

        def get(self, ref: AccountRef, other: Any = None) -> Any:
            self.asked += 1
            return super().get(ref, other)

    async def told() -> None:
        archive = Archive()
        worker = Upkeep(archive.keep_up, archive.purge)
        now = asyncio.get_running_loop().time()
        waiting = [AccountRef("team", f"account-{number}") for number in range(1000)]
        worker._due = due = Counted(dict.fromkeys(waiting, now + 3000))
        for ref in waiting:
            worker.wake(ref)
        due.asked = 0
        task = asyncio.create_task(worker.run())
        worker.wake(ALICE)
        await archive.until(lambda: archive.kept == [ALICE])
        await ended(worker, task)
        assert due.asked < 10

    story(told())


def test_shutting_down_ends_the_upkeep_at_once() -> None:
    """S3: the process ends within seconds."""

    async def told() -> None:
        archive = Archive(holds=True)
        worker = Upkeep(archive.keep_up, archive.purge)
        task = asyncio.create_task(worker.run())
        worker.wake(ALICE)
        await in_thread(lambda: archive.begun.wait(10), name="wait")
        worker.stop()
        await archive.until(lambda: archive.kept == [ALICE])
        await ended(worker, task)

    story(told())
