"""How far a long command is: a bar on a terminal, a line every few seconds elsewhere, both on standard error."""

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from archivmail.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LINES: Final = 5.0
UNKNOWN_TOTAL: Final = 0


@contextmanager
def counting(what: str, told: "Callable[[int], str]") -> "Iterator[Callable[[int, int], None]]":
    """Give a `progress(done, total)` for the time of the block; `told` writes a number: "verify: 1.2 GB of 5.6 GB"."""
    if not sys.stderr.isatty():
        yield _lines(what, told)
        return
    from rich.console import Console  # noqa: PLC0415 - only terminals pay for rich
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, told="")
        yield lambda done, total: bar.update(task, completed=done, total=total or None, told=told(done))


def _lines(what: str, told: "Callable[[int], str]") -> "Callable[[int, int], None]":
    last = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            note(f"{what}: {told(done)} of {told(total)}" if total else f"{what}: {told(done)}")

    return progress
