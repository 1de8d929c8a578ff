"""Drain the index's backlog in the background, one batch after another, in a thread: indexing is never in the way."""

import asyncio
import logging
import threading
from collections.abc import Callable
from datetime import datetime

from archivmail.kube.threads import in_thread
from archivmail.model.errors import ArchivmailError
from archivmail.observe.metrics import Metrics

LOOK_EVERY_S = 60.0  # what another process archived into the same catalog is found that way
RETRY_S = 15.0

_log = logging.getLogger(__name__)


class IndexDrain:
    """Call `run` in a task and `wake` after each run that archived something."""

    def __init__(
        self,
        drain: Callable[[Callable[[], bool]], int],
        backlog: Callable[[], int],
        last_verification: Callable[[], tuple[datetime, int] | None],
        metrics: Metrics,
    ) -> None:
        self._drain = drain
        self._backlog = backlog
        self._last_verification = last_verification
        self._metrics = metrics
        self._stop = threading.Event()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        """End the batch that is worked on."""
        self._stop.set()

    async def run(self) -> None:
        """Work until cancelled. A failure is logged and tried again: the archive does not depend on its index."""
        while True:
            self._woken.clear()
            pause_s = LOOK_EVERY_S
            try:
                while await in_thread(self._batch, name="index"):
                    pass
            except ArchivmailError as error:
                _log.warning("index not brought up to date", extra={"why": error.text})
                pause_s = RETRY_S
            except Exception:  # noqa: BLE001 - logged with its traceback
                _log.exception("indexing ended by a bug")
            await _either(self._woken, pause_s)

    def _batch(self) -> int:
        if self._stop.is_set():
            return 0
        self._metrics.index_backlog(self._backlog())
        verified = self._last_verification()
        if verified is not None:
            self._metrics.verified(*verified)
        done = self._drain(self._stop.is_set)
        self._metrics.index_backlog(self._backlog())
        return done


async def _either(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
