"""The archive of one account during a run: collect, then make durable pack first, catalog second (design §1, §5).

Satisfies sync.ports.AccountArchive by shape. Not thread-safe.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from archivmail.archive.catalog import passes, recording, tombstones, trail
from archivmail.archive.catalog.accounts import folder_of_epoch
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.lookups import Lookups
from archivmail.archive.catalog.pending import Pending, commit
from archivmail.archive.catalog.recall import Recall
from archivmail.archive.catalog.tombstones import NewTombstone
from archivmail.archive.packs.facts import Place
from archivmail.archive.packs.internaldate import seconds
from archivmail.archive.packs.names import PackNames
from archivmail.archive.packs.paths import member_folder
from archivmail.archive.packs.stores import Draft, PackStore
from archivmail.archive.packs.writing import PackWriter
from archivmail.decide.retention import counts_as_settled
from archivmail.model.account import AccountRef, Origin
from archivmail.model.errors import ArchiveUnavailable, ArchivmailError
from archivmail.model.folder import Epoch, Folder, FolderName, FolderState, LedgerEntry
from archivmail.model.message import ContentId, FetchedMessage, Sighting, Stored
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Gone
from archivmail.model.uidset import Uid, UidSet, UidValidity


@dataclass(frozen=True, slots=True)
class _OpenPack:
    name: str
    draft: Draft
    writer: PackWriter


@dataclass(frozen=True, slots=True)
class _Ground:
    """What members of one epoch share."""

    folder: int
    place: Place


class AccountWriter:
    """See sync.ports.AccountArchive for the contract of each method."""

    def __init__(
        self,
        ref: AccountRef,
        account: int,
        *,
        database: Database,
        store: PackStore,
        names: PackNames,
        clock: Callable[[], datetime],
        release: Callable[[], None],
    ) -> None:
        """`account` is the key in the catalog; `release` gives the account back."""
        self._ref, self._account = ref, account
        self._database, self._store = database, store
        self._names, self._clock, self._release = names, clock, release
        self._lookups = Lookups(database, account)
        self._pending = Pending()
        self._pack: _OpenPack | None = None
        self._grounds: dict[int, _Ground] = {}
        self._recall: Recall | None = None
        self._origin: Origin | None = None

    # --- what is there -----------------------------------------------------------------------------------------------

    def folder_state(self, folder: FolderName) -> FolderState | None:
        if folder in self._pending.states:
            return self._pending.states[folder][1]
        return self._recalled.state(folder)

    def latest_epoch(self, folder: FolderName) -> Epoch | None:
        return self._recalled.latest_epoch(folder)

    def start_epoch(self, folder: Folder, origin: Origin, uid_validity: UidValidity) -> Epoch:
        self._origin = origin
        # Durable with the next checkpoint at the latest; until then nothing rests on it.
        with self._database.writing(is_durable=False) as connection:
            epoch = passes.start_epoch(connection, self._account, folder, origin, uid_validity)
        self._recalled.begun(epoch)
        return epoch

    def archived(self, epoch: Epoch) -> UidSet:
        self._origin = epoch.origin
        held = self._lookups.uids(epoch.id) | self._pending.uids(epoch.id) | self._pending.gone_uids(epoch.id)
        if not self._recalled.has_tombstones:
            return held
        with self._database.reading() as connection:
            return held | tombstones.settled_uids(connection, epoch.id, self._recalled.limit)

    def assembled(self, epoch: Epoch) -> UidSet:
        return self._lookups.assembled(epoch.id)

    def ledger(self, epoch: Epoch) -> list[LedgerEntry]:
        entries: dict[Uid, LedgerEntry] = {}
        if self._recalled.may_have_entries(epoch.id):
            with self._database.reading() as connection:
                entries = {entry.uid: entry for entry in passes.entries(connection, epoch.id)}
        elif epoch.id not in self._pending.failed:
            return []
        forgotten = self._pending.forgotten(epoch.id)
        entries = {uid: entry for uid, entry in entries.items() if uid not in forgotten}
        entries |= self._pending.failed.get(epoch.id, {})
        return [entries[uid] for uid in sorted(entries)]

    def content_of_email_id(self, email_id: str, size: int | None = None) -> ContentId | None:
        """The current origin is that of the epoch last begun, listed or written to."""
        if self._origin is None or not email_id:
            return None
        origin = str(self._origin)
        held = self._pending.email_ids.get((origin, email_id)) or self._lookups.content_of_email_id(email_id, origin)
        return held if held is not None and size in {None, self._size(held)} else None

    # --- what is new -------------------------------------------------------------------------------------------------

    def store(self, epoch: Epoch, message: FetchedMessage) -> Stored:
        """Also raises ArchivmailError (MESSAGE_TOO_LARGE), which leaves the archive as it was."""
        content_id = message.body.content_id
        if self._is_held(content_id):
            return self.place(epoch, message.sighting, content_id)
        gone = self._gone(message.sighting, content_id)
        if gone is not None:
            return self._remember(epoch, message.sighting, content_id, gone)
        ground = self._ground(epoch)
        try:
            span = self._open_pack().writer.append(ground.place, message.sighting, message.body)
        except ArchiveUnavailable:
            self._drop()  # the pack is no longer whole
            raise
        size = message.body.size
        self._pending.contents[content_id] = (size, span)
        self._pending.octets += size
        self._enter(epoch, ground, message.sighting, content_id)
        return Stored(content_id, is_new_content=True, is_new_placement=True)

    def place(self, epoch: Epoch, sighting: Sighting, content_id: ContentId) -> Stored:
        """Raises ValueError when the content is not held."""
        mark = self._mark(epoch, sighting, content_id)
        is_proof = bool(mark) and not sighting.assembled
        if mark is not None and not is_proof:
            self._pending.settle(epoch.id, sighting.uid)
            return Stored(content_id, is_new_content=False, is_new_placement=False)
        ground = self._ground(epoch)
        try:
            self._open_pack().writer.append_seen(ground.place, sighting, content_id)
        except ArchiveUnavailable:
            self._drop()
            raise
        self._enter(epoch, ground, sighting, content_id)
        return Stored(content_id, is_new_content=False, is_new_placement=not is_proof)

    def _gone(self, sighting: Sighting, content_id: ContentId) -> Gone | None:
        """Why the octets are not to be kept: they were erased, or expired before and would again."""
        if not self._recalled.has_tombstones:
            return None
        with self._database.reading() as connection:
            gone = tombstones.of_contents(connection, self._account, [content_id]).get(content_id)
        if gone is None or not counts_as_settled(gone.why, seconds(sighting.internal_date), self._recalled.limit):
            return None
        return gone

    def _remember(self, epoch: Epoch, sighting: Sighting, content_id: ContentId, gone: Gone) -> Stored:
        """A removed message is on the server still, or again: its sighting is kept, its octets are not."""
        ground = self._ground(epoch)
        try:
            self._open_pack().writer.append_gone(ground.place, sighting, content_id, gone)
        except ArchiveUnavailable:
            self._drop()
            raise
        self._pending.bury(NewTombstone(epoch.id, ground.folder, sighting, content_id, gone))
        return Stored(content_id, is_new_content=False, is_new_placement=False)

    def put_ledger(self, epoch: Epoch, entry: LedgerEntry) -> None:
        self._pending.fail(epoch.id, entry)

    def drop_ledger(self, epoch: Epoch, uids: UidSet) -> None:
        self._pending.drop(epoch.id, uids)

    def put_folder_state(self, folder: Folder, state: FolderState) -> None:
        self._pending.states[folder.name] = (folder, state)

    def record(self, event: AuditEvent) -> None:
        with self._database.writing() as connection:
            trail.append(connection, event, self._clock())

    # --- the checkpoint ----------------------------------------------------------------------------------------------

    @property
    def unsaved_bytes(self) -> int:
        return self._pending.octets

    @property
    def unsaved_messages(self) -> int:
        return len(self._pending.placements) + len(self._pending.tombstones)

    def checkpoint(self) -> int:
        if self._pending.is_empty:
            return 0
        try:
            pack = self._keep_pack()
            self._database.write(lambda connection: commit(connection, self._account, self._pending, pack))
        except BaseException:
            self._drop()
            raise
        self._recalled.committed((state for _, state in self._pending.states.values()), self._pending.failed)
        self._pack, self._pending = None, Pending()
        return pack.size if pack else 0

    def close(self) -> None:
        with suppress(ArchivmailError):
            self._drop()
        self._lookups.close()
        self._release()

    @property
    def _recalled(self) -> Recall:
        if self._recall is None:
            with self._database.reading() as connection:
                self._recall = Recall(connection, self._account, self._clock())
        return self._recall

    def _keep_pack(self) -> recording.NewPack | None:
        if self._pack is None:
            return None
        writer = self._pack.writer
        members = writer.members
        writer.finish()
        size = self._pack.draft.keep()
        pending = self._pending
        return recording.NewPack(
            self._pack.name,
            size,
            members,
            pending.new_contents(),
            pending.placements,
            crc=writer.crc,
            tombstones=list(pending.tombstones.values()),
        )

    def _drop(self) -> None:
        """Forget what was not checkpointed. A pack that has its name already stays: it is durable and harmless."""
        pack, self._pack, self._pending = self._pack, None, Pending()
        if pack is not None:
            pack.writer.abandon()
            pack.draft.discard()

    # --- members -----------------------------------------------------------------------------------------------------

    def _open_pack(self) -> _OpenPack:
        if self._pack is None:
            name = self._names.next()
            draft = self._store.draft(name)
            self._pack = _OpenPack(name, draft, PackWriter(draft))
        return self._pack

    def _enter(self, epoch: Epoch, ground: _Ground, sighting: Sighting, content_id: ContentId) -> None:
        pending = self._pending
        self._origin = epoch.origin
        pending.placements.append(recording.NewPlacement(epoch.id, ground.folder, sighting, content_id))
        pending.placed[epoch.id, sighting.uid, content_id] = sighting.assembled
        pending.settle(epoch.id, sighting.uid)
        if sighting.email_id and not sighting.assembled:
            pending.email_ids[str(epoch.origin), sighting.email_id] = content_id

    def _is_held(self, content_id: ContentId) -> bool:
        return content_id in self._pending.contents or self._lookups.content(content_id) is not None

    def _size(self, content_id: ContentId) -> int | None:
        pending = self._pending.contents.get(content_id)
        return pending[0] if pending is not None else self._lookups.size(content_id)

    def _mark(self, epoch: Epoch, sighting: Sighting, content_id: ContentId) -> str | None:
        """How the octets of this very placement were put together, "" when they came as one; None: it is new."""
        mark = self._pending.placed.get((epoch.id, sighting.uid, content_id))
        if mark is not None or content_id in self._pending.contents:  # then no placement of it is committed
            return mark
        key = self._lookups.content(content_id)
        if key is None:
            raise ValueError(f"content {content_id.hex()} is not in the archive of {self._ref}")
        return self._lookups.mark(epoch.id, sighting.uid, key)

    def _ground(self, epoch: Epoch) -> _Ground:
        if epoch.id not in self._grounds:
            with self._database.reading() as connection:
                folder, delimiter = folder_of_epoch(connection, epoch.id)
            path = member_folder(epoch.folder, delimiter)
            place = Place(self._ref, epoch.origin, epoch.folder, path, epoch.uid_validity)
            self._grounds[epoch.id] = _Ground(folder, place)
        return self._grounds[epoch.id]
