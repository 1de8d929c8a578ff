"""Work beside the main work of the process, for as long as that goes on."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def background(*work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run these beside the body; a bug in one is logged and ends only that one."""
    tasks = [asyncio.ensure_future(_guarded(each)) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _guarded(work: Coroutine[None, None, None]) -> None:
    try:
        await work
    except Exception:  # noqa: BLE001 - logged with its traceback
        _log.exception("a background task ended by a bug")
