"""A watcher that counts for the outcome and passes everything on."""

from archivmail.model.account import Rotation
from archivmail.model.message import Stored
from archivmail.model.outcome import Progress
from archivmail.model.uidset import UidValidity
from archivmail.sync.ports import Watcher


class Measured:
    """Sums of one run. Satisfies Watcher."""

    def __init__(self, inner: Watcher) -> None:
        self._inner = inner
        self.added = 0
        """New placements that are durable."""
        self._unsaved = 0
        self.fetched_bytes = 0
        self.stored_bytes = 0
        self.deduplicated = 0

    def progressed(self, progress: Progress) -> None:
        self._inner.progressed(progress)

    def message_stored(self, size: int, stored: Stored) -> None:
        self._unsaved += stored.is_new_placement
        self.fetched_bytes += size
        self.deduplicated += not stored.is_new_content
        self._inner.message_stored(size, stored)

    def folder_reset(self, folder: str, before: UidValidity, after: UidValidity) -> None:
        self._inner.folder_reset(folder, before, after)

    def imap_failed(self, stage: str, reason: str) -> None:
        self._inner.imap_failed(stage, reason)

    def archive_written(self, seconds: float, octets: int) -> None:
        self.added, self._unsaved = self.added + self._unsaved, 0
        self.stored_bytes += octets
        self._inner.archive_written(seconds, octets)

    def token_rotated(self, rotation: Rotation) -> None:
        self._inner.token_rotated(rotation)
