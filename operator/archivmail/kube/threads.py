"""Blocking work in a thread of its own, awaited from the event loop.

A daemon thread for each piece of work rather than an executor: how many there are is the business of the slots, and a
thread that hangs must not keep the process from ending (concurrent.futures joins its threads at exit).
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T], *, name: str) -> "asyncio.Future[T]":
    """Start `work` at once. Cancelling the future does not end the thread.

    KeyboardInterrupt and SystemExit of `work` arrive as RuntimeError, or they would end the event loop.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def succeed(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def fail(error: BaseException) -> None:
        if not future.done():
            future.set_exception(error)

    def body() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - passed on to whoever awaits
            deliver(fail, error)
        except BaseException as error:  # noqa: BLE001 - passed on to whoever awaits
            deliver(fail, RuntimeError(f"{name} was ended by {type(error).__name__}"))
        else:
            deliver(succeed, result)

    def deliver(how: Callable[..., None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(how, what)

    threading.Thread(target=body, name=name, daemon=True).start()
    return future
