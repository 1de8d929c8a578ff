"""How a run shows itself while it lasts: a bar on a terminal, a line every few seconds elsewhere.

Both are watchers (sync/ports.py) and say nothing about the result. They write to standard error.
"""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self

from archivmail.cli.output import count, note, size

if TYPE_CHECKING:
    from rich.progress import TaskID

    from archivmail.model.account import Rotation
    from archivmail.model.message import Stored
    from archivmail.model.outcome import Progress
    from archivmail.model.uidset import UidValidity

SECONDS_BETWEEN_LINES: Final = 5.0


class Silent:
    """Watches and says nothing; also what the other two share."""

    rotations = 0
    """New refresh tokens that the provider gave."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def progressed(self, progress: "Progress") -> None:
        """Where the run stands."""

    def message_stored(self, size: int, stored: "Stored") -> None:
        """Counted by `progressed` already."""

    def folder_reset(self, folder: str, before: "UidValidity", after: "UidValidity") -> None:
        """Said in the summary."""

    def imap_failed(self, stage: str, reason: str) -> None:
        """Said in the summary."""

    def archive_written(self, seconds: float, octets: int) -> None:
        """For metrics."""

    def token_rotated(self, rotation: "Rotation") -> None:  # noqa: ARG002 - never shown
        """Said when the run is over: `cli/sync.py`."""
        self.rotations += 1


class Lines(Silent):
    """At most one line every five seconds: fit for a log file."""

    def __init__(self, account: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._account = account
        self._clock = clock
        self._last_line = clock()
        self._last_bytes = 0

    def progressed(self, progress: "Progress") -> None:
        now = self._clock()
        passed = now - self._last_line
        if passed < SECONDS_BETWEEN_LINES:
            return
        rate = max(0, progress.fetched_bytes - self._last_bytes) / passed
        self._last_line, self._last_bytes = now, progress.fetched_bytes
        note(
            f"{self._account}: folder {count(min(progress.folders_done + 1, progress.folders_selected))} of"
            f" {count(progress.folders_selected)}, {count(progress.messages_done)} of"
            f" {count(progress.messages_to_do)} messages, {size(rate)}/s"
        )


class Bar(Silent):
    """A progress bar, gone when the run ends."""

    def __init__(self, account: str) -> None:
        from rich.console import Console  # noqa: PLC0415 - only terminals pay for rich
        from rich.markup import escape  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        self._escape = escape
        self._rate = _Rate()
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True)),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[counts]}", justify="right"),
            TextColumn("{task.fields[rate]}", justify="right"),
            expand=True,
            console=Console(stderr=True),
            transient=True,
        )
        self._account = account
        self._task: TaskID = self._bar.add_task(escape(account), total=None, counts="connecting", rate="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def progressed(self, progress: "Progress") -> None:
        self._bar.update(
            self._task,
            description=self._escape(f"{self._account}  {progress.folder}"),
            total=max(progress.messages_to_do, 1),
            completed=progress.messages_done,
            counts=f"{count(progress.messages_done)}/{count(progress.messages_to_do)} messages"
            f"  {count(progress.folders_done)}/{count(progress.folders_selected)} folders",
            rate=f"{size(self._rate.after(progress.fetched_bytes))}/s",
        )


class _Rate:
    """Octets per second over the last second or so."""

    def __init__(self) -> None:
        self._at = time.monotonic()
        self._octets = 0
        self._rate = 0.0

    def after(self, octets: int) -> float:
        now = time.monotonic()
        if now - self._at >= 1.0:
            self._rate = max(0, octets - self._octets) / (now - self._at)
            self._at, self._octets = now, octets
        return self._rate


def watcher_for(account: str, *, quiet: bool = False) -> Silent:
    """The watcher that suits standard error. `quiet` for programs that read JSON."""
    if quiet:
        return Silent()
    return Bar(account) if sys.stderr.isatty() else Lines(account)
