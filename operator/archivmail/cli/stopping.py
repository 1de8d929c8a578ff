"""Ctrl-C and SIGTERM during a run: the first asks it to stop at the next message, the second ends it at once.

Ending at once is harmless too: what is not checkpointed is fetched again by the next run.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from archivmail.cli.output import note

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Give a `should_stop` for the time of the block; the handlers before it are put back. Main thread only."""
    was_asked = False

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form of a signal handler
        nonlocal was_asked
        if was_asked:
            raise KeyboardInterrupt
        was_asked = True
        note("stopping at the next message; what is archived is kept (once more to stop at once)")

    before = {each: signal.signal(each, ask) for each in STOP_SIGNALS}
    try:
        yield lambda: was_asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
