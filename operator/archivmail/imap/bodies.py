"""The octets of messages as they come from the wire: small ones in memory, large ones in a temporary file.

Both are hashed once, while they are read. The file has no name from the start, so nothing is left behind by a crash.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from archivmail.imap.limits import Limits
from archivmail.imap.stream import Stream
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.message import ContentId

_PIECE = 1024 * 1024


class MemoryBody:
    """A message in one piece. Satisfies `model.message.Body`."""

    __slots__ = ("_octets", "content_id", "size")

    def __init__(self, octets: bytes | bytearray) -> None:
        self._octets: memoryview | bytes = octets if isinstance(octets, bytes) else memoryview(octets).toreadonly()
        self.size = len(octets)
        self.content_id = ContentId(hashlib.sha256(octets).digest())

    def chunks(self) -> Iterator[bytes | memoryview]:
        if self.size:
            yield self._octets

    @property
    def ending(self) -> bytes:
        """The last three octets."""
        return bytes(self._octets[-3:])

    def close(self) -> None:
        self._octets = b""


class SpooledBody:
    """A message in an unlinked file. Satisfies `model.message.Body`."""

    __slots__ = ("_file", "content_id", "size")

    def __init__(self, file: BinaryIO, size: int, content_id: ContentId) -> None:
        self._file = file
        self.size = size
        self.content_id = content_id

    @property
    def ending(self) -> bytes:
        """The last three octets."""
        return os.pread(self._file.fileno(), 3, max(0, self.size - 3))

    def chunks(self) -> Iterator[bytes | memoryview]:
        at = 0
        while at < self.size:
            # pread: two readers do not disturb each other.
            piece = os.pread(self._file.fileno(), min(_PIECE, self.size - at), at)
            if not piece:
                raise ArchiveUnavailable("a temporary file lost octets; check the disk of the temporary folder")
            at += len(piece)
            yield piece

    def close(self) -> None:
        self._file.close()


WireBody = MemoryBody | SpooledBody


def read_body(stream: Stream, size: int, limits: Limits) -> WireBody:
    """Read the next `size` octets as a body. Raises ArchiveUnavailable when there is no room to spool them."""
    if size <= limits.memory_bytes:
        return MemoryBody(stream.exactly(size))
    return _spooled(stream, size, limits.spool_folder)


def _spooled(stream: Stream, size: int, folder: str | None) -> SpooledBody:
    digest = hashlib.sha256()
    try:
        file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - the body owns it
    except OSError as error:
        raise _no_room(error) from error

    def keep(piece: memoryview) -> None:
        digest.update(piece)
        try:
            while piece:
                piece = piece[os.write(file.fileno(), piece) :]
        except OSError as error:
            raise _no_room(error) from error

    try:
        stream.pour(size, keep)
    except BaseException:
        file.close()
        raise
    return SpooledBody(file, size, ContentId(digest.digest()))


def _no_room(error: OSError) -> ArchiveUnavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return ArchiveUnavailable("there is no room to spool a large message; free space in the temporary folder")
    return ArchiveUnavailable("the temporary folder cannot be written; check its permissions")
