"""Jobs on a thread of their own, one after the other, so that whoever hands them over need not wait for each.

Bounded: handing over waits once too many octets are under way. Knows nothing of packs.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event


class Background:
    """One thread, started with the first job. For one caller. After a job that failed no other is begun."""

    def __init__(self, name: str, max_octets: int) -> None:
        self._name = name
        self._max_octets = max_octets
        self._executor: ThreadPoolExecutor | None = None
        self._jobs: deque[tuple[Future[None], int]] = deque()
        self._octets = 0
        self._has_failed = Event()

    @property
    def is_idle(self) -> bool:
        return not self._jobs

    def submit(self, job: Callable[[], None], octets: int) -> None:
        """Hand a job over; `octets` is what it keeps in memory. Raises what an earlier job raised."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._jobs.append((self._executor.submit(self._run, job), octets))
        self._octets += octets
        while self._jobs and (self._octets > self._max_octets or self._jobs[0][0].done()):
            self._take_oldest()

    def settle(self) -> None:
        """Wait for every job. Raises what the first that failed raised."""
        while self._jobs:
            self._take_oldest()

    def close(self) -> None:
        """Begin no more jobs and wait for the one under way. Never raises for what it did."""
        self._has_failed.set()
        wait([job for job, _ in self._jobs])
        self._jobs.clear()
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def _take_oldest(self) -> None:
        job, octets = self._jobs.popleft()
        self._octets -= octets
        job.result()

    def _run(self, job: Callable[[], None]) -> None:
        if self._has_failed.is_set():
            return
        try:
            job()
        except BaseException:
            self._has_failed.set()
            raise
