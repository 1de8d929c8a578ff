"""What a run shows of itself while it goes on: metrics at once, counts in `.status` from time to time.

The thread of the run writes, the event loop reads; both only replace whole values.
"""

from collections.abc import Callable
from dataclasses import replace

from archivmail.model.account import Rotation
from archivmail.model.message import Stored
from archivmail.model.outcome import Progress
from archivmail.model.status import AccountStatus, MessagesStatus
from archivmail.model.uidset import UidValidity
from archivmail.sync.ports import Watcher


class RunWatcher:
    """Satisfies sync.ports.Watcher: passes everything on and remembers how far the run is."""

    def __init__(self, inner: Watcher, rotated: Callable[[Rotation], None] = lambda _: None) -> None:
        """`rotated` is called in the thread of the run."""
        self._inner = inner
        self._rotated = rotated
        self.stored = 0
        """Placements, those included that no checkpoint has made durable yet."""
        self.durable = 0
        """Placements that a checkpoint has made durable. Status may lag, never lead (design §1.5)."""
        self.to_do = 0

    def progressed(self, progress: Progress) -> None:
        self.to_do = progress.messages_to_do
        self._inner.progressed(progress)

    def message_stored(self, size: int, stored: Stored) -> None:
        self.stored += stored.is_new_placement
        self._inner.message_stored(size, stored)

    def folder_reset(self, folder: str, before: UidValidity, after: UidValidity) -> None:
        self._inner.folder_reset(folder, before, after)

    def imap_failed(self, stage: str, reason: str) -> None:
        self._inner.imap_failed(stage, reason)

    def archive_written(self, seconds: float, octets: int) -> None:
        self.durable = self.stored
        self._inner.archive_written(seconds, octets)

    def token_rotated(self, rotation: Rotation) -> None:
        self._rotated(rotation)


def during(begun: AccountStatus, watcher: RunWatcher) -> AccountStatus:
    """The status while the run goes on: the counts of the last pass and what this run has found and kept since."""
    before = begun.messages or MessagesStatus()
    archived = before.archived + watcher.durable
    pending = max(0, max(before.pending, watcher.to_do) - watcher.durable)
    messages = MessagesStatus(
        server=archived + pending + before.quarantined,
        archived=archived,
        pending=pending,
        quarantined=before.quarantined,
        added_last_run=watcher.durable,
    )
    return begun if watcher.durable == 0 and watcher.to_do == 0 else replace(begun, messages=messages)
