"""Write a pack: one zstd frame per member, the end marker, the seek table (design §5). Knows no catalog.

Members are compressed and written in groups on a thread of their own: neither needs the interpreter, so the next
messages come in meanwhile.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import zstandard

from archivmail.archive.packs.background import Background
from archivmail.archive.packs.facts import Place, account_record
from archivmail.archive.packs.internaldate import seconds
from archivmail.archive.packs.notes import NAME as NOTE
from archivmail.archive.packs.notes import text_of
from archivmail.archive.packs.reading import WINDOW, Source
from archivmail.archive.packs.seektable import Frame, SeekTable
from archivmail.archive.packs.tarheader import END, headers, padding
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged, ArchivmailError
from archivmail.model.message import Body, ContentId, Sighting
from archivmail.model.reasons import Reason
from archivmail.model.retention import Gone

MAX_MESSAGE = 2 * 1024**3
"""Octets. The seek table counts a frame in 32 bits; half of that leaves room for what does not compress."""

WHOLE = 8 * 1024**2
"""Octets up to which a message is compressed in one call; larger ones are streamed."""

# Measured on mail of 28 kB: level 3 saves 0.6 % of the octets of level 1 and takes 30 % longer; level -1 takes 40 %
# less time and a third more room, because it leaves base64 as it is.
_LEVEL = 1
_CHECKSUM_SIZE = 4

_GROUP = 512 * 1024
"""Octets compressed in one go: some twenty messages, so that handing them over costs little for each."""

_UNDER_WAY = 8 * 1024**2
"""Octets that may wait for the thread, one message more if it is large."""


Group = list[bytes | bytearray | memoryview]  # as zstandard wants it


class Sink(Protocol):
    """A file that can be cut back, because a member that fails half-way must leave no trace."""

    def write(self, data: bytes, /) -> int: ...

    def cut(self, size: int, /) -> None:
        """Drop everything from octet `size` on and write on from there."""
        ...


@dataclass(slots=True)
class Span:
    """Where a member's frame lies in its pack; known once the pack is finished."""

    offset: int = -1
    length: int = 0


class PackWriter:
    """Appends members. Raises what its sink raises, perhaps at a later call; the pack is of no use then: abandon it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._table = SeekTable()
        parameters = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL, write_checksum=True, write_content_size=True
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)
        self._background = Background("pack-writer", _UNDER_WAY)
        self._group: Group = []
        self._spans: list[Span] = []
        self._gathered = 0
        self.members = 0
        self.size = 0
        """Octets written; the whole pack once it is finished."""
        self.crc = 0
        """CRC-32 of them."""

    def append(self, place: Place, sighting: Sighting, body: Body) -> Span:
        """Append a message. Raises ArchivmailError (MESSAGE_TOO_LARGE); the pack stays good then."""
        size = body.size
        if size > MAX_MESSAGE:
            raise ArchivmailError(
                f"A message of {size} octets is larger than the {MAX_MESSAGE} that a pack can hold; delete it on the "
                "server or exclude its folder.",
                reason=Reason.MESSAGE_TOO_LARGE,
            )
        head = headers(
            place.member(sighting, has_octets=True),
            size,
            seconds(sighting.internal_date),
            place.records(sighting, body.content_id),
        )
        if size > WHOLE:
            return self._streamed(head, body)
        fill = padding(size)
        member = b"".join((head, *body.chunks(), fill))
        if len(member) != len(head) + size + len(fill):
            raise ValueError("a body gave another number of octets than its size says")
        return self._gather(member)

    def append_seen(self, place: Place, sighting: Sighting, content_id: ContentId) -> Span:
        """Append a further sighting: an empty member."""
        name = place.member(sighting, has_octets=False)
        return self._gather(headers(name, 0, seconds(sighting.internal_date), place.records(sighting, content_id)))

    def append_gone(self, place: Place, sighting: Sighting, content_id: ContentId, gone: Gone) -> Span:
        """Append what is left of a sighting whose message was removed."""
        name = place.member(sighting, has_octets=False)
        records = place.tombstone(sighting, content_id, gone)
        return self._gather(headers(name, 0, seconds(sighting.internal_date), records))

    def append_note(self, account: AccountRef, replaced: Sequence[str]) -> Span:
        """Append the ids of the packs that this one replaces. It must be the last member, where readers look for it."""
        data = text_of(replaced)
        return self._gather(headers(NOTE.encode(), len(data), 0, account_record(account)) + data + padding(len(data)))

    def copy(self, source: Source, frames: Sequence[Frame]) -> list[Span]:
        """Append frames of another pack that lie there one after the other, octet for octet."""
        self._settle()
        start, left = frames[0].offset, sum(frame.length for frame in frames)
        while left:
            part = source.read_at(start, min(left, WINDOW))
            if not part:
                raise ArchiveDamaged("The pack ends within a frame.")
            self._write(part)
            start, left = start + len(part), left - len(part)
        spans = []
        for frame in frames:
            spans.append(Span())
            checksum = frame.checksum or source.read_at(frame.offset + frame.length - _CHECKSUM_SIZE, _CHECKSUM_SIZE)
            self._enter(spans[-1], frame.length, frame.content_length, checksum)
        self.members += len(frames)
        return spans

    def finish(self) -> None:
        """Write what was gathered, the end marker and the seek table."""
        self._settle()
        self._background.close()
        self._frame(self._compressor.compress(END), len(END), Span())
        self._write(self._table.octets())
        self.size += len(self._table.octets())

    def abandon(self) -> None:
        """Write no more; afterwards nobody uses the sink. Harmless when repeated. Never raises."""
        self._background.close()

    # --- members in groups -------------------------------------------------------------------------------------------

    def _gather(self, member: bytes) -> Span:
        span = Span()
        self._group.append(member)
        self._spans.append(span)
        self._gathered += len(member)
        self.members += 1
        if self._gathered >= _GROUP:
            group, spans = self._taken()
            self._background.submit(lambda: self._press(group, spans), sum(map(len, group)))
        return span

    def _settle(self) -> None:
        """Write everything that was gathered. Few messages are not worth a thread."""
        self._background.settle()
        if self._group:
            self._press(*self._taken())

    def _taken(self) -> tuple[Group, list[Span]]:
        taken = self._group, self._spans
        self._group, self._spans, self._gathered = [], [], 0
        return taken

    def _press(self, group: Group, spans: list[Span]) -> None:
        frames = self._compressor.multi_compress_to_buffer(group)
        for at, (member, span) in enumerate(zip(group, spans, strict=True)):
            self._frame(frames[at].tobytes(), len(member), span)

    def _frame(self, frame: bytes, content_length: int, span: Span) -> None:
        self._write(frame)
        self._enter(span, len(frame), content_length, frame[-_CHECKSUM_SIZE:])

    def _write(self, octets: bytes) -> int:
        self.crc = zlib.crc32(octets, self.crc)
        return self._sink.write(octets)

    def _enter(self, span: Span, length: int, content_length: int, checksum: bytes) -> None:
        span.offset, span.length = self.size, length
        self._table.add(length, content_length, checksum)
        self.size += length

    # --- large members -----------------------------------------------------------------------------------------------

    def _streamed(self, head: bytes, body: Body) -> Span:
        """Memory does not grow with the body: the frame is written as it is made."""
        self._settle()
        content_length = len(head) + body.size + len(padding(body.size))
        stream = self._compressor.compressobj(size=content_length)
        length = 0
        tail = b""
        crc = self.crc
        try:
            for chunk in chain((head,), body.chunks(), (padding(body.size),)):
                part = stream.compress(chunk)
                length, tail = length + self._write(part), (tail + part)[-_CHECKSUM_SIZE:]
            part = stream.flush()
            length, tail = length + self._write(part), (tail + part)[-_CHECKSUM_SIZE:]
        except zstandard.ZstdError as error:
            self._sink.cut(self.size)
            self.crc = crc
            raise ValueError("a body gave another number of octets than its size says") from error
        except BaseException:
            self._sink.cut(self.size)
            self.crc = crc
            raise
        span = Span()
        self._enter(span, length, content_length, tail)
        self.members += 1
        return span
