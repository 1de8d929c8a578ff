"""The octets of messages as they come from the wire: small ones in memory, large ones in a temporary file.

Both are hashed once, the large ones while they are read. The file has no name from the start, so a crash leaves nothing
behind.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

from archivmail.imap.limits import Limits
from archivmail.imap.replies import BadReply
from archivmail.imap.stream import Stream
from archivmail.imap.tokens import String, upper
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.message import ContentId

_PIECE = 1024 * 1024
ENDING = 200  # octets; enough for the end of one response and the beginning of the next


class MemoryBody:
    """A message in one piece. Satisfies `model.message.Body`."""

    __slots__ = ("_content_id", "_octets", "size")

    def __init__(self, octets: bytes | bytearray) -> None:
        self._octets: memoryview | bytes = octets if isinstance(octets, bytes) else memoryview(octets).toreadonly()
        self.size = len(octets)
        self._content_id: ContentId | None = None

    @property
    def content_id(self) -> ContentId:
        """Hashed when it is asked for the first time, in whatever thread that is (ahead.py)."""
        if self._content_id is None:
            self._content_id = ContentId(hashlib.sha256(self._octets).digest())
        return self._content_id

    def chunks(self) -> Iterator[bytes | memoryview]:
        if self.size:
            yield self._octets

    @property
    def ending(self) -> bytes:
        """The last octets."""
        return bytes(self._octets[-ENDING:])

    def close(self) -> None:
        _ = self.content_id  # it stays true; nearly every body was hashed long before
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
        """The last octets."""
        return os.pread(self._file.fileno(), ENDING, max(0, self.size - ENDING))

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


class Spool:
    """An unlinked file that takes octets and becomes a body."""

    def __init__(self, folder: str | None) -> None:
        """Raises ArchiveUnavailable."""
        self.size = 0
        self._digest = hashlib.sha256()
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - the body owns it
        except OSError as error:
            raise _no_room(error) from error

    def keep(self, piece: bytes | memoryview) -> None:
        """Add octets. Raises ArchiveUnavailable."""
        left = memoryview(piece)
        self._digest.update(left)
        self.size += len(left)
        try:
            while left:
                left = left[os.write(self._file.fileno(), left) :]
        except OSError as error:
            raise _no_room(error) from error

    def body(self) -> SpooledBody:
        """What was kept; the file belongs to it from now on."""
        return SpooledBody(self._file, self.size, ContentId(self._digest.digest()))

    def close(self) -> None:
        """Drop it."""
        self._file.close()


def _spooled(stream: Stream, size: int, folder: str | None) -> SpooledBody:
    spool = Spool(folder)
    try:
        stream.pour(size, spool.keep)
    except BaseException:
        spool.close()
        raise
    return spool.body()


def _no_room(error: OSError) -> ArchiveUnavailable:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return ArchiveUnavailable("there is no room to spool a large message; free space in the temporary folder")
    return ArchiveUnavailable("the temporary folder cannot be written; check its permissions")


def body_of(value: object) -> WireBody | None:
    """Octets in whatever form an nstring came: literal, quoted, atom; NIL is none (traps 34, 41). Raises BadReply."""
    if isinstance(value, MemoryBody | SpooledBody):
        return value
    if isinstance(value, String):
        return MemoryBody(bytes(value))
    if not isinstance(value, bytes) or upper(value) == b"NIL":
        return None
    if value.startswith((b"{", b"~{")):
        raise BadReply("announced a literal of no possible size")  # trap 79
    if b'"' in value:
        raise BadReply("sent a quoted string that does not end")  # trap 76
    return MemoryBody(value)


def discard(values: list[object], *, but: object = None) -> None:
    """Close the bodies among the values of a response, all but that one."""
    for value in values:
        if isinstance(value, list):
            discard(value, but=but)
        elif isinstance(value, WireBody) and value is not but:
            value.close()
