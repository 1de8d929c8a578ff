"""Make a new SQLite catalog and put it in place whole: nobody ever sees one without its tables."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archivmail.archive.catalog.database import Database, ensure_revision
from archivmail.archive.catalog.dialects import url_of

_MODE = 0o640  # subjects and addresses are in it


def create(path: Path) -> None:
    """Make an empty catalog unless there is one. Harmless when another process does so too. Raises OSError."""
    with _beside(path) as temporary:
        database = Database(url_of(temporary))
        ensure_revision(database)
        database.close()
        _fsync(temporary)
        with suppress(FileExistsError):
            os.link(temporary, path)
    _fsync(path.parent)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """An empty file in the same directory, removed with what SQLite puts beside it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _MODE))
    try:
        yield temporary
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Remove an SQLite file and its log, whichever of them are there."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
