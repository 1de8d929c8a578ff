"""One run per account at a time (design §1, invariant 8): a lock that dies with its process.

flock and not a lock file's existence or a row: the kernel releases it when the process ends, however it ends. Where
neither packs nor catalog lie in a local directory, only the runs of this process exclude each other; between processes
the Kubernetes lease does. Harmless if it fails: every write is idempotent.
"""

import errno
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path

from archivmail.archive.durability import Durability, make_directories
from archivmail.archive.packs.faults import unavailable
from archivmail.archive.packs.paths import file_level
from archivmail.model.account import AccountRef
from archivmail.model.errors import RunInProgress

_MODE = 0o640
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


class AccountLocks:
    """Hands out the accounts. Thread-safe."""

    def __init__(self, directory: Path | None, durability: Durability) -> None:
        """`directory` holds the lock files; None when there is no local directory."""
        self._directory, self._durability = directory, durability
        self._mutex = threading.Lock()
        self._taken: dict[AccountRef, int] = {}

    def take(self, ref: AccountRef) -> None:
        """Raises RunInProgress, ArchiveUnavailable."""
        with self._mutex:
            if ref in self._taken:
                raise _in_progress(ref)
            self._taken[ref] = self._lock(ref)

    def release(self, ref: AccountRef) -> None:
        """Harmless when repeated."""
        with self._mutex:
            fd = self._taken.pop(ref, -1)
        if fd >= 0:
            os.close(fd)

    def is_taken(self, ref: AccountRef) -> bool:
        """Whether a run holds the account now, here or in another process."""
        try:
            self.take(ref)
        except RunInProgress:
            return True
        self.release(ref)
        return False

    def _lock(self, ref: AccountRef) -> int:
        if self._directory is None:
            return -1
        what = f"The lock of account {ref} in {self._directory} cannot be taken"
        try:
            make_directories(self._directory, self._durability)
            # The file stays: removing it would let two processes lock two files of one name.
            path = self._directory / f"{file_level(ref.namespace)},{file_level(ref.name)}.lock"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        except OSError as error:
            raise unavailable(error, what) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise _in_progress(ref) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                with suppress(OSError):
                    os.close(fd)
                raise unavailable(error, what) from error
        return fd


def _in_progress(ref: AccountRef) -> RunInProgress:
    return RunInProgress(f"Account {ref} is being archived by another run; try again when that has ended.")
