"""What a run has collected since its last checkpoint, and its commit. Nothing of it counts before."""

from dataclasses import dataclass, field

from sqlalchemy import Connection

from archivmail.archive.catalog import passes, recording
from archivmail.archive.catalog.recording import NewContent, NewPack, NewPlacement
from archivmail.archive.catalog.tombstones import NewTombstone
from archivmail.archive.packs.writing import Span
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.folder import Folder, FolderName, FolderState, LedgerEntry
from archivmail.model.message import ContentId
from archivmail.model.uidset import Uid, UidSet

_NONE = UidSet()


@dataclass(slots=True)
class Pending:
    """Bounded by the caller's checkpoints."""

    contents: dict[ContentId, tuple[int, Span]] = field(default_factory=dict)
    """Raw octets, and where they will lie in the pack."""
    placements: list[NewPlacement] = field(default_factory=list)
    placed: dict[tuple[int, Uid, ContentId], str] = field(default_factory=dict)
    """How the octets of each placement were put together."""
    tombstones: dict[tuple[int, Uid, ContentId], NewTombstone] = field(default_factory=dict)
    """Sightings of messages that were removed before."""
    email_ids: dict[tuple[str, str], ContentId] = field(default_factory=dict)
    """By origin and the server's immutable id."""
    states: dict[FolderName, tuple[Folder, FolderState]] = field(default_factory=dict)
    failed: dict[int, dict[Uid, LedgerEntry]] = field(default_factory=dict)
    """Ledger entries to write, by epoch."""
    settled: dict[int, set[Uid]] = field(default_factory=dict)
    """UIDs that were archived, and so lose their ledger entry."""
    dropped: dict[int, UidSet] = field(default_factory=dict)
    """UIDs whose ledger entries the caller dropped."""
    octets: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.placements or self.tombstones or self.states or self.failed or self.settled or self.dropped)

    def new_contents(self) -> list[NewContent]:
        """Once the pack is finished, and it is known where each lies."""
        return [
            NewContent(content_id, octets, span.offset, span.length)
            for content_id, (octets, span) in self.contents.items()
        ]

    def uids(self, epoch: int) -> UidSet:
        """UIDs placed in an epoch."""
        return UidSet.of(placed_uid for placed_epoch, placed_uid, _ in self.placed if placed_epoch == epoch)

    def gone_uids(self, epoch: int) -> UidSet:
        """UIDs of an epoch whose messages were removed before."""
        return UidSet.of(uid for gone_epoch, uid, _ in self.tombstones if gone_epoch == epoch)

    def bury(self, tombstone: NewTombstone) -> None:
        """A removed message was seen here."""
        uid = tombstone.sighting.uid
        self.tombstones[tombstone.epoch, uid, tombstone.content_id] = tombstone
        self.settle(tombstone.epoch, uid)

    def settle(self, epoch: int, uid: Uid) -> None:
        """The UID is archived."""
        self.failed.get(epoch, {}).pop(uid, None)
        self.settled.setdefault(epoch, set()).add(uid)

    def fail(self, epoch: int, entry: LedgerEntry) -> None:
        self.settled.get(epoch, set()).discard(entry.uid)
        self.failed.setdefault(epoch, {})[entry.uid] = entry

    def drop(self, epoch: int, uids: UidSet) -> None:
        failed = self.failed.get(epoch, {})
        for uid in [uid for uid in failed if uid in uids]:
            del failed[uid]
        self.dropped[epoch] = self.dropped.get(epoch, _NONE) | uids

    def forgotten(self, epoch: int) -> UidSet:
        """UIDs whose committed ledger entries are out of date."""
        return self.dropped.get(epoch, _NONE) | UidSet.of(self.settled.get(epoch, ()))


def commit(connection: Connection, account: int, pending: Pending, pack: NewPack | None) -> None:
    """Enter everything in the caller's transaction. `pack` is durable; None when no member was written."""
    if pack is not None and recording.record(connection, account, pack):
        raise ArchiveUnavailable("The catalog lost a message during the run; run archivmail verify --full.")
    for epoch in {*pending.dropped, *pending.settled}:
        if passes.has_entries(connection, epoch):
            passes.drop_entries(connection, epoch, pending.forgotten(epoch))
    passes.save_entries(connection, {epoch: entries.values() for epoch, entries in pending.failed.items()})
    for folder, state in pending.states.values():
        passes.save_state(connection, account, folder, state)
