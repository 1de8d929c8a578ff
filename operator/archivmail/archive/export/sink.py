"""What every format offers to the export, and how a file is put in place whole."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO, Protocol

from archivmail.archive.export.journal import Written
from archivmail.archive.rows import PlacementRow

_FILE_MODE = 0o600  # mail is private; who exports may open it to others
_DIRECTORY_MODE = 0o700
PARTIAL = ".partial"

WriteManifest = Callable[[BinaryIO, Path | None], object]
"""Writes the manifest to a file; the directory is where its mbox files stand."""

Octets = Callable[[], Iterator[bytes]]
"""Opens the octets of a message. Raises ArchiveDamaged, at the latest after the last piece."""


class Put(Enum):
    WRITTEN = "written"
    PRESENT = "present"


class Sink(Protocol):
    """Takes messages one after the other. Raises OSError, and what the octets raise: then nothing of them is left.

    What an earlier call of the same export wrote is in the journal it was made with, and its files are as they were at
    the last `flush`.
    """

    looks_itself: bool
    """`put` may be called for what is there already: it reads the file and finds that it is."""

    def name(self, row: PlacementRow) -> str:
        """What the message is called in a report."""
        ...

    def put(self, row: PlacementRow, octets: Octets) -> tuple[Put, Written]: ...

    def flush(self) -> dict[str, int]:
        """Make unfinished files durable, and give what of each counts (Journal.files)."""
        ...

    def finish(self, manifest: WriteManifest) -> None:
        """Put in place what is still under a temporary name, and last the manifest. Called once, when all went well."""
        ...

    def close(self) -> None:
        """Close every file; unfinished ones stay for the next call. Never raises."""
        ...


def make_directory(path: Path) -> None:
    path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)


def open_new(path: Path) -> BinaryIO:
    """Open for writing and reading, emptied."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE), "w+b")


@contextmanager
def replacing(path: Path, temporary: Path, *, mtime: float | None) -> Iterator[BinaryIO]:
    """A file that stands under its name when the block ends, whole, or not at all."""
    try:
        with open_new(temporary) as file:
            yield file
        if mtime is not None:
            os.utime(temporary, (mtime, mtime))
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def put_manifest(path: Path, write: WriteManifest, *, below: Path | None) -> None:
    """The last step of an export: a reader sees the whole manifest or none."""
    with replacing(path, path.with_name(f".{path.name[:200]}{PARTIAL}"), mtime=None) as file:
        write(file, below)
        synced(file)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def synced(file: BinaryIO) -> int:
    """Make what was written durable; where the file ends."""
    file.flush()
    os.fsync(file.fileno())
    return file.tell()


def reopened(path: Path, size: int) -> BinaryIO:
    """An unfinished file as it was when `size` octets of it counted."""
    file = path.open("r+b")
    try:
        is_whole = file.seek(0, os.SEEK_END) >= size
        file.truncate(size)
        file.seek(size)
    except BaseException:
        file.close()
        raise
    if not is_whole:
        file.close()
        raise OSError(None, f"{path} was cut by somebody else; remove it and the journal beside it")
    return file


def digest_of(path: Path) -> bytes:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()


def received_s(row: PlacementRow) -> float | None:
    """INTERNALDATE as a file time."""
    return None if row.received_at is None else row.received_at.timestamp()
