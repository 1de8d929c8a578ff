"""Archives with many small packs, messages of any age, and what must hold of them afterwards."""

import re
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import zstandard

from archivmail.archive.archive import Archive
from archivmail.archive.upkeep import Plan
from archivmail.model.account import AccountRef
from archivmail.model.folder import Folder
from archivmail.model.retention import Policy
from tests.archive.builders import ALICE, INBOX, begin, fetched, folder, pack_files, placements

COPIES = folder(b"Copies.2026", b".")
AT_ONCE = Plan(grace=timedelta(0), is_thorough=True, by="tests")
YEAR = Policy(timedelta(days=365))


def days_ago(days: float) -> str:
    """INTERNALDATE of that time."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%d-%b-%Y %H:%M:%S +0000")


def run(
    archive: Archive,
    messages: dict[int, tuple[bytes, str]],
    *,
    ref: AccountRef = ALICE,
    of: Folder = INBOX,
    uid_validity: int = 7,
) -> None:
    """One run, and so one pack: octets and INTERNALDATE by UID, in the epoch that the folder has."""
    writer = archive.take(ref)
    try:
        epoch = writer.latest_epoch(of.name)
        if epoch is None or epoch.uid_validity != uid_validity:
            epoch = begin(writer, of, uid_validity=uid_validity)
        for uid, (octets, date) in messages.items():
            writer.store(epoch, fetched(uid, octets, date=date))
        writer.checkpoint()
    finally:
        writer.close()


def runs(archive: Archive, count: int, *, ref: AccountRef = ALICE, age_days: float = 10) -> None:
    """So many runs of one message each; every third is seen in a second folder too."""
    for number in range(1, count + 1):
        octets = f"Subject: number {number}\r\n\r\ntext{number}\r\n".encode()
        run(archive, {number: (octets, days_ago(age_days))}, ref=ref)
        if number % 3 == 0:
            run(archive, {number: (octets, days_ago(age_days))}, ref=ref, of=COPIES)


def octets_of(number: int) -> bytes:
    """What `runs` stored under this number."""
    return f"Subject: number {number}\r\n\r\ntext{number}\r\n".encode()


def require_sound(archive: Archive) -> None:
    """Packs and catalog agree both ways, and packs alone give the same catalog."""
    before = placements(archive)
    report = archive.verify(full=True)
    assert (report.missing, report.corrupt, report.orphans) == ((), (), ())
    archive.rebuild()
    assert placements(archive) == before
    assert archive.verify(full=True).is_clean


def files_with(directory: Path, marker: bytes) -> list[str]:
    """Every file of an archive in which the octets stand: as they are, or in a pack when it is decompressed."""
    found = []
    for path in sorted(each for each in directory.rglob("*") if each.is_file()):
        octets = path.read_bytes()
        if path.name.endswith(".tar.zst"):
            octets += zstandard.ZstdDecompressor().stream_reader(octets, read_across_frames=True).read()
        if re.search(re.escape(marker), octets, re.IGNORECASE):
            found.append(path.relative_to(directory).as_posix())
    return found


def rows(directory: Path, question: str) -> list[tuple[object, ...]]:
    """What the catalog answers, past all our code."""
    connection = sqlite3.connect(directory / "catalog.db")
    try:
        return list(connection.execute(question))
    finally:
        connection.close()


def pack_names(directory: Path) -> list[str]:
    return [path.name for path in pack_files(directory)]
