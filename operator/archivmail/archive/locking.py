"""One run per account at a time (design §1, invariant 8): a lock that dies with its process.

flock and not a lock file's existence or a row: the kernel releases it when the process ends, however it ends. It
reaches the processes that see the directory. Those that share a catalog on a server see each other by its locks, too.
Harmless if it fails: every write is idempotent.
"""

import errno
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from archivmail.archive.durability import Durability, make_directories
from archivmail.archive.packs.faults import unavailable
from archivmail.archive.packs.paths import MAX_LEVEL_BYTES, file_level
from archivmail.model.account import AccountRef
from archivmail.model.errors import RunInProgress

_MODE = 0o640
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


class Shared(Protocol):
    """Locks that reach further than a directory. Thread-safe."""

    def take(self, ref: AccountRef) -> bool:
        """False when another process holds it. Raises ArchiveUnavailable."""
        ...

    def release(self, ref: AccountRef) -> None:
        """Never raises."""
        ...

    def close(self) -> None:
        """Never raises."""
        ...


class AccountLocks:
    """Hands out the accounts. Thread-safe."""

    def __init__(self, directory: Path | None, durability: Durability, shared: Shared | None = None) -> None:
        """`directory` holds the lock files; None when there is no local directory."""
        self._directory, self._durability, self._shared = directory, durability, shared
        self._mutex = threading.Lock()
        self._taken: dict[AccountRef, int] = {}

    @property
    def can_be_lost(self) -> bool:
        """Whether a lock may go to somebody else while its holder lives: that of a server can, the kernel's cannot."""
        return self._shared is not None

    def take(self, ref: AccountRef) -> None:
        """Raises RunInProgress, ArchiveUnavailable."""
        with self._mutex:
            if ref in self._taken:
                raise _in_progress(ref)
            fd = self._lock(ref)
            is_ours = False
            try:
                is_ours = self._shared is None or self._shared.take(ref)
            finally:
                if not is_ours:
                    _unlock(fd)
            if not is_ours:
                raise _in_progress(ref)
            self._taken[ref] = fd

    def release(self, ref: AccountRef) -> None:
        """Harmless when repeated."""
        with self._mutex:
            fd = self._taken.pop(ref, None)
            if fd is not None and self._shared is not None:
                self._shared.release(ref)
        if fd is not None:
            _unlock(fd)

    def close(self) -> None:
        """Give everything back. Never raises."""
        if self._shared is not None:
            self._shared.close()

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
            path = self._directory / _file_name(ref)
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


def _unlock(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


def _in_progress(ref: AccountRef) -> RunInProgress:
    return RunInProgress(f"Account {ref} is being archived by another run; try again when that has ended.")


def _file_name(ref: AccountRef) -> str:
    """Of at most 255 octets, which the longest names of Kubernetes together exceed."""
    whole = f"{file_level(ref.namespace)},{file_level(ref.name)}.lock"
    return whole if len(whole) <= MAX_LEVEL_BYTES else file_level(f"{ref.namespace},{ref.name}.lock")
