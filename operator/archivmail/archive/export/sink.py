"""What every format offers to the export, and how a file is put in place whole."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Protocol

from archivmail.archive.rows import PlacementRow

_FILE_MODE = 0o600  # mail is private; who exports may open it to others
_DIRECTORY_MODE = 0o700
PARTIAL = ".partial"

Octets = Callable[[], Iterator[bytes]]
"""Opens the octets of a message. Raises ArchiveDamaged, at the latest after the last piece."""


class Put(Enum):
    WRITTEN = "written"
    PRESENT = "present"


class Sink(Protocol):
    """Takes messages one after the other. Raises OSError, and what the octets raise: then nothing of them is left."""

    def name(self, row: PlacementRow) -> str:
        """What the message is called in a report."""
        ...

    def put(self, row: PlacementRow, octets: Octets) -> Put: ...

    def finish(self) -> None:
        """Put in place what is still under a temporary name. Called once, when all went through."""
        ...

    def close(self) -> None:
        """Give everything back; what was not finished is removed. Never raises."""
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


def received_s(row: PlacementRow) -> float | None:
    """INTERNALDATE as a file time."""
    return None if row.received_at is None else row.received_at.timestamp()
