"""Who uses an SQLite catalog: every open archive shares it, `rebuild` needs it alone to put another file in its place.

A lock on a file beside it, never on the catalog itself: closing a file of SQLite's drops SQLite's own locks.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archivmail.model.errors import ArchiveUnavailable, RunInProgress

_MODE = 0o640


class Share:
    """A share in a catalog, given back by `close` or by the end of the process."""

    def __init__(self, catalog: Path) -> None:
        """Raises ArchiveUnavailable while a rebuild puts another file in place."""
        self._catalog = catalog
        self._fd = _open(catalog.with_name(f"{catalog.name}.lock"))
        try:
            self._lock(fcntl.LOCK_SH)
        except BlockingIOError as error:
            self.close()
            raise ArchiveUnavailable(
                f"The catalog {catalog} is being rebuilt by another process; try again when that has ended."
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else has the catalog open meanwhile. Raises RunInProgress."""
        try:
            self._lock(fcntl.LOCK_EX)
        except BlockingIOError as error:
            raise RunInProgress(
                f"Another process has the catalog {self._catalog} open; stop the operator and other commands first."
            ) from error
        try:
            yield
        finally:
            self._lock(fcntl.LOCK_SH)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _lock(self, kind: int) -> None:
        if self._fd is None:
            return
        try:
            fcntl.flock(self._fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks: the operator of it must take care
            return


def _open(path: Path) -> int | None:
    """None where no file can be made: a directory that nobody here can write needs no protection from us."""
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        try:
            return os.open(path, flags | os.O_CLOEXEC, _MODE)
        except OSError:
            continue
    return None
