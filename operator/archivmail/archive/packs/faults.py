"""What the operating system refuses, as one sentence that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from archivmail.model.errors import ArchiveUnavailable

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space or give the volume more",
    errno.EDQUOT: "the disk quota is used up; free some space or raise the quota",
    errno.EIO: "the disk reports an error; check it before anything else is written there",
    errno.EROFS: "the file system is read-only; mount it writable",
    errno.EACCES: "permission is denied; give this user the right to use the directory",
    errno.EPERM: "permission is denied; give this user the right to use the directory",
    errno.ENOENT: "the file or directory is missing; check the archive's URL and that the volume is mounted",
    errno.ENOTDIR: "a part of the path is not a directory; check the archive's URL",
    errno.ESTALE: "the network file system lost the directory; mount it again",
    errno.EMFILE: "too many files are open; raise the limit of open files",
}


def unavailable(error: OSError, what: str) -> ArchiveUnavailable:
    """`what` begins the sentence, as "The archive /data cannot be written"."""
    advice = _ADVICE.get(error.errno or 0, f"the system says: {error.strerror or type(error).__name__}")
    return ArchiveUnavailable(f"{what}: {advice}.")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """OSError within becomes ArchiveUnavailable."""
    try:
        yield
    except OSError as error:
        raise unavailable(error, what) from error
