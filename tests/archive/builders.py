"""Valid archives and messages; a test names only what matters to it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.creating import create
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.dialects import url_of
from archivmail.archive.durability import Durability, SystemDurability
from archivmail.archive.locking import AccountLocks
from archivmail.archive.opening import open_archive
from archivmail.archive.packs.stores import PackStore
from archivmail.archive.writer import AccountWriter
from archivmail.model.account import AccountRef, Origin
from archivmail.model.folder import Epoch, Folder, FolderName, FolderState, LedgerEntry
from archivmail.model.message import ContentId, FetchedMessage, Sighting
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidValidity

ALICE = AccountRef("team-a", "alice")
BOB = AccountRef("team-b", "bob")
ORIGIN = Origin("imap.example.org", 993, "alice@example.org")
INBOX = Folder(FolderName(b"INBOX"), b"/")
NOW = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
DATE = "17-Jul-1996 02:44:25 -0700"
MAIL = b"Subject: hello\r\n\r\nworld\r\n"


class Octets:
    """A Body of bytes in memory, given out in pieces."""

    def __init__(self, octets: bytes, *, piece: int = 1 << 20) -> None:
        self._octets, self._piece = octets, piece
        self.size = len(octets)
        self.content_id = ContentId(sha256(octets).digest())

    def chunks(self) -> Iterator[bytes | memoryview]:
        view = memoryview(self._octets)
        for at in range(0, len(view), self._piece):
            yield view[at : at + self._piece]

    def close(self) -> None:
        pass


def content_id(octets: bytes) -> ContentId:
    return ContentId(sha256(octets).digest())


def sighting(
    uid: int = 1,
    *,
    date: str = DATE,
    flags: tuple[str, ...] = (),
    email_id: str | None = None,
    assembled: str = "",
    labels: tuple[str, ...] = (),
) -> Sighting:
    return Sighting(Uid(uid), date, flags, email_id, assembled, labels)


def fetched(uid: int, octets: bytes = MAIL, **about: object) -> FetchedMessage:
    return FetchedMessage(sighting(uid, **about), Octets(octets))  # type: ignore[arg-type]


def folder(name: bytes, delimiter: bytes | None = b"/") -> Folder:
    return Folder(FolderName(name), delimiter)


def entry(uid: int, *, attempts: int = 1, quarantined: bool = False) -> LedgerEntry:
    return LedgerEntry(Uid(uid), attempts, Reason.MESSAGE_REFUSED, "the server refused it", NOW, quarantined)


def state(epoch: Epoch, *, archived: int = 0, complete: bool = True) -> FolderState:
    return FolderState(
        epoch=epoch,
        uid_next=Uid(archived + 1),
        messages=archived,
        last_uid=Uid(archived),
        server=archived,
        archived=archived,
        pending=0,
        quarantined=0,
        passed_at=NOW,
        compared_at=NOW - timedelta(hours=1),
        complete=complete,
    )


def archive_in(directory: Path, *, durability: Durability | None = None) -> Archive:
    return open_archive(str(directory), create=True, durability=durability or NoFsync())


class NoFsync(SystemDurability):
    """Tests that are not about durability need not wait for the disk."""

    def fsync(self, fd: int) -> None:
        pass

    def fsync_dir(self, directory: Path) -> None:
        pass


def begin(writer: AccountWriter, of: Folder = INBOX, *, uid_validity: int = 7, origin: Origin = ORIGIN) -> Epoch:
    return writer.start_epoch(of, origin, UidValidity(uid_validity))


def fill(archive: Archive, messages: dict[int, bytes], *, ref: AccountRef = ALICE, of: Folder = INBOX) -> None:
    """One run that stores these octets under these UIDs in a new epoch."""
    writer = archive.take(ref)
    try:
        epoch = begin(writer, of)
        for uid, octets in messages.items():
            writer.store(epoch, fetched(uid, octets))
        writer.checkpoint()
    finally:
        writer.close()


def pack_files(directory: Path) -> list[Path]:
    return sorted((directory / "packs").rglob("*.tar.zst"))


def temporary_files(directory: Path) -> list[Path]:
    return sorted((directory / "packs").rglob("*.tmp"))


def read(archive: Archive, octets: bytes) -> bytes:
    """What the archive gives for these octets' id."""
    return b"".join(archive.octets(content_id(octets)))


Placement = tuple[str, bytes, str, int, int, bytes, str, str, str]


def placements(archive: Archive) -> list[Placement]:
    """Everything that a rebuild must restore, in a comparable order."""
    return sorted(
        (str(row.account), row.folder, row.display, row.uid_validity, row.uid, row.content_id, row.internal_date,
         " ".join(row.flags), row.assembled)
        for row in archive.placements()
    )  # fmt: skip


def unlocked(store: PackStore, directory: Path) -> Archive:
    """An archive over any store, with an SQLite catalog in `directory`; its locks reach no other process."""
    create(directory / "catalog.db", NoFsync())
    return Archive(store, Database(url_of(directory / "catalog.db")), AccountLocks(None, NoFsync()))
