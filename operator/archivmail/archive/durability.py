"""The calls whose order makes a file survive a power cut: fsync, rename, fsync of the directory (design §5)."""

import errno
import os
import secrets
from pathlib import Path
from typing import Protocol

DIRECTORY_MODE = 0o750  # the mail of people

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Durability(Protocol):
    """Tests record the calls or let them fail. Methods raise OSError."""

    def fsync(self, fd: int) -> None: ...

    def rename(self, temporary: Path, final: Path) -> None:
        """Give the file its name; raises FileExistsError rather than replace another."""
        ...

    def fsync_dir(self, directory: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """Remove a file for good; harmless when it is not there."""
        ...

    def replace(self, path: Path, octets: bytes) -> None:
        """Put a small file in the place of another: whole or not at all, and durable."""
        ...


class SystemDurability:
    """What the kernel gives."""

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def rename(self, temporary: Path, final: Path) -> None:
        try:
            os.link(temporary, final)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without hard links. Names hold random bits, so nothing comes between the two calls.
            if final.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(final)) from error
            temporary.rename(final)
        else:
            temporary.unlink()

    def fsync_dir(self, directory: Path) -> None:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, path: Path) -> None:
        try:
            path.unlink()
        except FileNotFoundError:
            return
        self.fsync_dir(path.parent)

    def replace(self, path: Path, octets: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(octets)
                file.flush()
                self.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self.fsync_dir(path.parent)


def make_directories(directory: Path, durability: Durability) -> None:
    """Create a directory and its parents so that they survive a power cut. Raises OSError."""
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        durability.fsync_dir(path.parent)
