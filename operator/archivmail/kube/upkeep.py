"""Upkeep in the background: one account after another, after its runs, never in their way.

Its thread has the lowest priority, an account is looked at once an hour at most, and a run that begins ends the upkeep
of its account: packs that are half written then are thrown away, and everything else is done.
"""

import asyncio
import contextlib
import heapq
import logging
import os
import threading
from collections.abc import Callable

from archivmail.kube.threads import in_thread
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchivmailError, RunInProgress

EVERY_S = 3600.0
RETRY_S = 300.0
GIVE_WAY_S = 30.0
"""How long a run waits for the upkeep of its account to end: a large message may be on its way into a pack."""
PURGE_EVERY_S = 24 * 3600.0
"""The words of removed messages leave the text index in one pass over all of it."""
NICE = 19

KeepUp = Callable[[AccountRef, Callable[[], bool]], None]

_log = logging.getLogger(__name__)


class Upkeep:
    """Call `run` in a task, `wake` after each run of an account, `give_way` in the thread of a run."""

    def __init__(self, keep_up: KeepUp, purge: Callable[[], int]) -> None:
        self._keep_up, self._purge = keep_up, purge
        self._due: dict[AccountRef, float] = {}
        """When each account that is not forgotten may be looked at next."""
        self._waiting: set[AccountRef] = set()
        self._queue: list[tuple[float, AccountRef]] = []
        """Heap of those that wait, by that time. Who was forgotten is passed over."""
        self._woken = asyncio.Event()
        self._mutex = threading.Lock()
        self._current: AccountRef | None = None
        self._stop = threading.Event()
        self._ended = threading.Condition(self._mutex)
        self._is_over = False
        self._purge_at = 0.0

    def wake(self, ref: AccountRef) -> None:
        """The account may need upkeep."""
        self._wait(ref)
        self._woken.set()

    def forget(self, ref: AccountRef) -> None:
        """The account is gone; so is the time of its last upkeep."""
        self._waiting.discard(ref)
        self._due.pop(ref, None)

    def stop(self) -> None:
        """End what is worked on."""
        self._is_over = True
        self._stop.set()

    def give_way(self, ref: AccountRef) -> None:
        """Blocks until the account's upkeep, if it goes on now, has ended; for GIVE_WAY_S at most."""
        with self._ended:
            if self._current == ref:
                self._stop.set()
                self._ended.wait_for(lambda: self._current != ref, GIVE_WAY_S)

    async def run(self) -> None:
        """Work until cancelled. A failure is logged and tried again: nothing depends on upkeep but room."""
        loop = asyncio.get_running_loop()
        while not self._is_over:
            self._woken.clear()
            ref, pause_s = self._next(loop.time())
            if ref is None:
                await _either(self._woken, pause_s)
                continue
            self._due[ref] = loop.time()
            is_done = await self._one(ref)
            if ref in self._due:  # else it was forgotten meanwhile
                self._due[ref] = loop.time() + (EVERY_S if is_done else RETRY_S)
                if not is_done:
                    self._wait(ref)
            if loop.time() >= self._purge_at:
                await self._purged()
                self._purge_at = loop.time() + PURGE_EVERY_S

    def _wait(self, ref: AccountRef) -> None:
        if ref not in self._waiting:
            self._waiting.add(ref)
            heapq.heappush(self._queue, (self._due.get(ref, 0.0), ref))

    def _next(self, now: float) -> tuple[AccountRef | None, float | None]:
        """An account that is due, taken from those that wait, or how long until one is."""
        while self._queue:
            at, ref = self._queue[0]
            due = self._due.get(ref, 0.0)
            if ref not in self._waiting:
                heapq.heappop(self._queue)
            elif due > at:  # woken while it was worked on
                heapq.heapreplace(self._queue, (due, ref))
            elif at > now:
                return None, at - now
            else:
                heapq.heappop(self._queue)
                self._waiting.remove(ref)
                return ref, None
        return None, None

    async def _one(self, ref: AccountRef) -> bool:
        """Whether it is done for now."""
        try:
            await in_thread(lambda: self._work(ref), name=f"upkeep {ref}")
        except RunInProgress:
            return False
        except ArchivmailError as error:
            _log.warning("upkeep failed", extra={"namespace": ref.namespace, "account": ref.name, "why": error.text})
            return False
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception("upkeep ended by a bug")
        return True

    def _work(self, ref: AccountRef) -> None:
        with self._ended:
            if self._is_over:
                return
            self._current = ref
            self._stop.clear()
        try:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
            self._keep_up(ref, self._stop.is_set)
        finally:
            with self._ended:
                self._current = None
                self._ended.notify_all()

    async def _purged(self) -> None:
        try:
            await in_thread(self._purge, name="purge")
        except ArchivmailError as error:
            _log.warning("words of removed messages stay in the index", extra={"why": error.text})
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception("purging ended by a bug")


async def _either(event: asyncio.Event, timeout_s: float | None) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
