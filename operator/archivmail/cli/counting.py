"""How far a long command is: a bar on a terminal, a line every few seconds elsewhere, both on standard error."""

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from archivmail.cli.output import count, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES: Final = 5.0
UNKNOWN_TOTAL: Final = 0


@contextmanager
def counting(what: str, noun: str) -> "Iterator[Callable[[int, int], None]]":
    """Give a `progress(done, total)` for the time of the block: "verify: 12 of 300 packs"."""
    if not sys.stderr.isatty():
        yield _lines(what, noun)
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals pay for rich
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _lines(what: str, noun: str) -> "Callable[[int, int], None]":
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            note(f"{what}: {count(done)}{f' of {count(total)}' if total else ''} {noun}")

    return progress
