"""Run a coroutine in an event loop of its own, and end although something in it does not want to.

`asyncio.run` waits for every task that is left, for as long as that takes. Kopf has some that hear of their
cancellation and wait on: ended in the middle of a start with thousands of objects, the process stayed for ever.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")

LEFTOVERS_S = 1.0

_log = logging.getLogger(__name__)


def run(main: Coroutine[None, None, T], *, leftovers_s: float = LEFTOVERS_S) -> T:
    """As `asyncio.run`, but tasks that are left at the end are cancelled and waited for `leftovers_s` at most."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(_end_leftovers(leftovers_s))
        asyncio.set_event_loop(None)
        loop.close()


async def _end_leftovers(timeout_s: float) -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, stuck = await asyncio.wait(left, timeout=timeout_s)
        if stuck:
            names = sorted(task.get_name() for task in stuck)
            _log.warning("tasks did not end", extra={"count": len(stuck), "first": names[0]})
            for task in stuck:
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # said above, once
    await asyncio.get_running_loop().shutdown_asyncgens()
