"""Read packs: all members in order, or one by its range. Memory is bounded by WINDOW, whatever the message."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import IO, Protocol, cast

import zstandard

from archivmail.archive.packs.facts import Facts, facts_of
from archivmail.archive.packs.notes import NAME as NOTE
from archivmail.archive.packs.notes import Note, replaced_in
from archivmail.archive.packs.seektable import FOOTER_SIZE, Frame, frames_of, table_length
from archivmail.archive.packs.tarheader import Header, padding, parse
from archivmail.model.errors import ArchiveDamaged

WINDOW = 4 * 1024**2
"""Octets of a pack that are read at once; also the size from which a frame is streamed."""

AHEAD = 16 * 1024**2  # octets of a large frame that are read at once: few messages have more when compressed
_PIECE = 256 * 1024
_TAIL_GUESS = 64 * 1024
_FRAME_HEADER = 18  # RFC 8878 §3.1.1: magic number and at most 14 octets


class Source(Protocol):
    """A pack that can be read anywhere. Raises ArchiveUnavailable, ArchiveDamaged (the pack is not there)."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` octets, or fewer at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """A member whose octets were read and found good: frame checksum and SHA-256."""

    frame: Frame
    facts: Facts
    size: int
    """Raw octets of the message; 0 for a further sighting."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A frame that is not what was written."""

    frame: Frame
    text: str
    facts: Facts | None = None
    """What its header tells, if that could be read."""


Found = Member | Note | Damage
"""What stands in a pack, frame by frame."""


def frames(source: Source) -> list[Frame]:
    """The frames that the seek table lists, the end marker's as the last. Raises ArchiveDamaged."""
    tail = source.read_at(max(0, source.size - _TAIL_GUESS), min(_TAIL_GUESS, source.size))
    length = table_length(tail[-FOOTER_SIZE:])
    if length > source.size:
        raise ArchiveDamaged("The pack is shorter than its seek table.")
    table = tail[-length:] if length <= len(tail) else source.read_at(source.size - length, length)
    return frames_of(table, source.size)


def replaced_by(source: Source) -> tuple[str, ...]:
    """Ids of the packs that this one replaces, without reading its other members. Raises ArchiveDamaged."""
    listed = frames(source)
    if len(listed) < 2:
        return ()
    frame = listed[-2]
    if frame.length > WINDOW or frame.content_length > 2 * WINDOW:
        return ()
    decompressor = zstandard.ZstdDecompressor()
    found = _member(decompressor, source, frame, source.read_at(frame.offset, frame.length))
    return found.replaced if isinstance(found, Note) else ()


def heads(source: Source) -> Iterator[Facts]:
    """The facts of every member, from their headers alone. Raises ArchiveDamaged when one cannot be read."""
    decompressor = zstandard.ZstdDecompressor()
    for frame, octets in _windows(source, frames(source)[:-1]):
        try:
            if octets is None:
                header = parse(_opened(decompressor, source, frame, None))
            else:
                with decompressor.stream_reader(octets) as stream:
                    header = parse(lambda size: _exactly(stream.read, size))
        except zstandard.ZstdError as error:
            raise ArchiveDamaged("A frame of the pack does not decompress.") from error
        if header is None:
            raise ArchiveDamaged("The end of the pack stands where a message should be.")
        if header.name != NOTE:
            yield facts_of(header.name, header.records)


def scan(source: Source, listed: Sequence[Frame]) -> Iterator[Found]:
    """Check every member of a pack in order; damage of one leaves the others alone. `listed` comes from `frames`."""
    if not listed:
        yield Damage(Frame(0, 0, 0), "The pack has no end marker.")
        return
    yield from members(source, listed[:-1])
    yield from end(source, listed[-1])


def members(source: Source, listed: Sequence[Frame]) -> Iterator[Found]:
    """Check these members alone, none of which is the end marker."""
    decompressor = zstandard.ZstdDecompressor()
    for frame, octets in _windows(source, listed):
        yield _member(decompressor, source, frame, octets)


def end(source: Source, frame: Frame) -> Iterator[Found]:
    """Check the last frame. A pack that was cut short ends in a message, which is as good as any other."""
    decompressor = zstandard.ZstdDecompressor()
    try:
        read = _opened(decompressor, source, frame, source.read_at(frame.offset, frame.length))
        if parse(read) is None:
            return
    except (zstandard.ZstdError, ArchiveDamaged):
        yield Damage(frame, "The end marker of the pack cannot be read.")
        return
    yield _member(decompressor, source, frame, None)
    yield Damage(Frame(frame.offset + frame.length, 0, 0), "The pack has no end marker.")


def content(source: Source, offset: int, length: int) -> Iterator[bytes]:
    """The raw octets of the member whose frame lies there, in pieces.

    Raises ArchiveDamaged, at the latest after the last piece: only the whole proves itself.
    """
    try:
        read, header = _entered(source, offset, length)
        facts = facts_of(header.name, header.records)
        digest = sha256()
        for piece in _pieces(read, header.size):
            digest.update(piece)
            yield piece
        _ends(read, header.size)
    except zstandard.ZstdError as error:
        raise ArchiveDamaged("A frame of the pack does not decompress.") from error
    if digest.digest() != facts.content_id:
        raise ArchiveDamaged("The octets of a message are not those that were archived.")


def beginning(source: Source, offset: int, length: int, limit: int) -> bytes:
    """At most the first `limit` octets of the member whose frame lies there; checked by the frame's checksum alone.

    For the index, which reads every message once: `content` takes twice the time. Raises ArchiveDamaged.
    """
    try:
        read, header = _entered(source, offset, length)
        return b"".join(_pieces(read, min(header.size, limit)))
    except zstandard.ZstdError as error:
        raise ArchiveDamaged("A frame of the pack does not decompress.") from error


def _entered(source: Source, offset: int, length: int) -> tuple["Read", Header]:
    """A frame read up to the octets of its member. Raises ZstdError, ArchiveDamaged."""
    octets = source.read_at(offset, length) if length <= WINDOW else None
    size = 0 if octets is None else _content_size(octets)
    if size > 2 * WINDOW:
        size, octets = 0, None
    read = _opened(zstandard.ZstdDecompressor(), source, Frame(offset, length, size), octets)
    header = parse(read)
    if header is None:
        raise ArchiveDamaged("The end of the pack stands where a message should be.")
    return read, header


Read = Callable[[int], bytes]


def _member(
    decompressor: zstandard.ZstdDecompressor, source: Source, frame: Frame, octets: bytes | memoryview | None
) -> Found:
    try:
        return _check(_opened(decompressor, source, frame, octets), frame)
    except zstandard.ZstdError:
        return Damage(frame, "A frame does not decompress.")
    except ArchiveDamaged as error:
        return Damage(frame, error.text)


def _check(read: Read, frame: Frame) -> Found:
    header = parse(read)
    if header is None:
        raise ArchiveDamaged("The end of the pack stands where a message should be.")
    if header.name == NOTE:
        data = b"".join(_pieces(read, min(header.size, WINDOW)))
        _ends(read, header.size)
        return Note(frame, replaced_in(data))
    facts = facts_of(header.name, header.records)
    digest = sha256()
    try:
        for piece in _pieces(read, header.size):
            digest.update(piece)
        _ends(read, header.size)
    except (zstandard.ZstdError, ArchiveDamaged):
        return Damage(frame, "The octets of a message cannot be read.", facts)
    if facts.has_octets and digest.digest() != facts.content_id:
        return Damage(frame, "The octets of a message are not those that were archived.", facts)
    return Member(frame, facts, header.size)


def _pieces(read: Read, size: int) -> Iterator[bytes]:
    left = size
    while left:
        piece = read(min(left, _PIECE))
        if not piece:
            raise ArchiveDamaged("The pack ends within a message.")
        left -= len(piece)
        yield piece


def _ends(read: Read, size: int) -> None:
    """Read on to the end of the frame, so that its checksum is compared."""
    filled = padding(size)
    if read(len(filled)) != filled or read(1):
        raise ArchiveDamaged("A frame of the pack does not end with its member.")


def _is_small(frame: Frame) -> bool:
    return frame.length <= WINDOW and frame.content_length <= 2 * WINDOW


def _windows(source: Source, listed: Sequence[Frame]) -> Iterator[tuple[Frame, bytes | memoryview | None]]:
    """Each frame with its octets, many read at once; None for a frame too large for that."""
    start, window = 0, memoryview(b"")
    for at, frame in enumerate(listed):
        if not _is_small(frame):
            yield frame, None
            continue
        if not start <= frame.offset <= frame.offset + frame.length <= start + len(window):
            last = at
            while last + 1 < len(listed) and listed[last + 1].offset + listed[last + 1].length <= frame.offset + WINDOW:
                last += 1
            start = frame.offset
            window = memoryview(source.read_at(start, listed[last].offset + listed[last].length - start))
        yield frame, window[frame.offset - start :][: frame.length]


def _opened(
    decompressor: zstandard.ZstdDecompressor, source: Source, frame: Frame, octets: bytes | memoryview | None
) -> Read:
    """The decompressed octets of a frame as a stream."""
    if frame.checksum:
        tail = source.read_at(frame.offset + frame.length - 4, 4) if octets is None else octets[-4:]
        if tail != frame.checksum:
            raise ArchiveDamaged("A frame of the pack has another checksum than the seek table says.")
    if octets is None:
        if frame.content_length and _content_size(source.read_at(frame.offset, _FRAME_HEADER)) != frame.content_length:
            raise ArchiveDamaged("A frame of the pack has another size than the seek table says.")
        stream = decompressor.stream_reader(cast("IO[bytes]", _Range(source, frame)), read_size=_PIECE)
        return lambda size: _exactly(stream.read, size)
    if len(octets) < frame.length:
        raise ArchiveDamaged("The pack ends within a frame.")
    if _content_size(octets) != frame.content_length:  # nor does it ask for more memory than a window
        raise ArchiveDamaged("A frame of the pack has another size than the seek table says.")
    return io.BytesIO(decompressor.decompress(octets)).read


def _content_size(octets: bytes | memoryview) -> int:
    """What the frame's header says, -1 when it says nothing. Raises ZstdError."""
    return zstandard.frame_content_size(octets)


def _exactly(read: Read, size: int) -> bytes:
    """Streams may give less than asked for before their end."""
    parts = []
    while size and (part := read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class _Range(io.RawIOBase):
    """The octets of one frame, read as they are needed, in few large pieces: each may be a request to a store."""

    def __init__(self, source: Source, frame: Frame) -> None:
        self._source, self._at, self._end = source, frame.offset, frame.offset + frame.length
        self._window = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed says Buffer; it is one
        if not self._window:
            self._window = memoryview(self._source.read_at(self._at, min(AHEAD, self._end - self._at)))
            self._at += len(self._window)
        part, self._window = self._window[: len(buffer)], self._window[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
