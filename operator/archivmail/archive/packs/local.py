"""Packs in a local directory, durable when `keep` returns (design §5).

Our own adapter, because no object-store library promises fsync. Order: temporary name in the pack's directory, fsync
of the file, the final name without replacing anything, fsync of the directory (and of the parents of new directories).
A temporary file is locked while its writer lives, so whoever takes the account later knows the dead ones.
"""

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archivmail.archive.durability import Durability, SystemDurability, make_directories
from archivmail.archive.packs.faults import translated, unavailable
from archivmail.archive.packs.names import is_pack_name
from archivmail.archive.packs.stores import StoredPack
from archivmail.model.errors import ArchiveDamaged

PACK_MODE = 0o440  # written once, never changed; readable by the group for backups

_TEMPORARY = ".tmp"
_BUFFER = 256 * 1024


class LocalStore:
    """Satisfies PackStore."""

    def __init__(self, root: Path, durability: Durability | None = None) -> None:
        self._root = root
        self._durability = durability or SystemDurability()

    def draft(self, name: str) -> "LocalDraft":
        final = self._root / name
        with translated(f"The archive {self._root} cannot be written"):
            make_directories(final.parent, self._durability)
            return LocalDraft(final, self._durability, f"The archive {self._root} cannot be written")

    @contextmanager
    def open(self, name: str, *, size: int | None = None) -> Iterator["LocalSource"]:  # noqa: ARG002 - costs nothing here
        what = f"The pack {name} cannot be read"
        try:
            with translated(what):
                fd = os.open(self._root / name, os.O_RDONLY | os.O_CLOEXEC)
        except Exception as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ArchiveDamaged(f"The pack {name} is missing; restore it from a backup.") from error
            raise
        try:
            yield LocalSource(fd, what)
        finally:
            os.close(fd)

    def packs(self, prefix: str, *, after: str = "") -> Iterator[StoredPack]:
        with translated(f"The archive {self._root} cannot be read"):
            for name, size in self._files(self._root / prefix):
                if name > after and is_pack_name(name):
                    yield StoredPack(name, size)

    def _files(self, directory: Path) -> Iterator[tuple[str, int]]:
        """Files below, by name; levels are few and names are ours."""
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._files(Path(entry.path))
            elif entry.is_file():
                yield Path(entry.path).relative_to(self._root).as_posix(), entry.stat().st_size

    def sweep(self, prefix: str) -> None:
        with translated(f"The archive {self._root} cannot be written"):
            try:
                entries = [path for path in (self._root / prefix).iterdir() if path.name.endswith(_TEMPORARY)]
            except FileNotFoundError:
                return
            for path in entries:
                _remove_if_dead(path)

    def remove(self, name: str) -> None:
        path = self._root / name
        with translated(f"The pack {name} cannot be removed"):
            self._durability.remove(path)

    def save(self, name: str, octets: bytes) -> None:
        path = self._root / name
        with translated(f"The archive {self._root} cannot be written"):
            make_directories(path.parent, self._durability)
            self._durability.replace(path, octets)

    def load(self, name: str) -> bytes | None:
        with translated(f"The archive {self._root} cannot be read"):
            try:
                return (self._root / name).read_bytes()
            except FileNotFoundError:
                return None


class LocalSource:
    """An open pack; satisfies reading.Source."""

    def __init__(self, fd: int, what: str) -> None:
        self._fd, self._what = fd, what
        with translated(what):
            self.size = os.fstat(fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        with translated(self._what):
            parts = []
            while length > 0 and (part := os.pread(self._fd, length, offset)):
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class LocalDraft:
    """A pack under its temporary name; satisfies stores.Draft."""

    def __init__(self, final: Path, durability: Durability, what: str) -> None:
        self._final, self._durability, self._what = final, durability, what
        self._temporary = final.with_name(f".{final.name}{_TEMPORARY}")
        self._file = io.BufferedWriter(io.FileIO(_created(self._temporary), "r+"), _BUFFER)

    def write(self, data: bytes, /) -> int:
        try:  # once per message: a context manager would cost as much as the call
            return self._file.write(data)
        except OSError as error:
            raise unavailable(error, self._what) from error

    def cut(self, size: int, /) -> None:
        with translated(self._what):
            self._file.flush()
            self._file.truncate(size)
            self._file.seek(size)

    def keep(self) -> int:
        with translated(self._what):
            self._file.flush()
            fd = self._file.fileno()
            size = os.fstat(fd).st_size
            os.fchmod(fd, PACK_MODE)
            self._durability.fsync(fd)
            self._durability.rename(self._temporary, self._final)
            self._durability.fsync_dir(self._final.parent)
            self._file.close()
        return size

    def discard(self) -> None:
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.raw.close()  # past the buffer: what is thrown away need not be written first


def _created(path: Path) -> int:
    """Create a file and lock it. A sweep may come between the two and take the file for a dead one: then once more."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with suppress(OSError):  # without locks the file is swept by the next writer of the account, as it should
            fcntl.flock(fd, fcntl.LOCK_EX)  # a sweep holds it for a moment only
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)


def _remove_if_dead(path: Path) -> None:
    """Remove a temporary file unless its writer holds its lock."""
    try:
        fd = _opened_to_lock(path)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    except OSError:  # a file system without locks; whoever sweeps holds the account
        path.unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)
    finally:
        os.close(fd)


def _opened_to_lock(path: Path) -> int:
    """A writer that died in `keep` had made its file read-only; NFS locks only what is open for writing."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
