"""A part of a pack: some of its frames, read at once, each checked, and the part's own CRC-32."""

import copyreg
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from archivmail.archive.packs.facts import Facts
from archivmail.archive.packs.reading import WINDOW, Found, Member, Source, members, scan
from archivmail.archive.packs.seektable import Frame
from archivmail.model.message import Sighting

MAX_FRAMES = 2000
MAX_BYTES = 16 * 1024**2
"""Octets of a part, unless one frame alone has more."""


@dataclass(frozen=True, slots=True)
class Part:
    """`listed` are its frames; with the last one the end marker's, and then it reaches to the end of the pack."""

    name: str
    offset: int
    length: int
    listed: tuple[Frame, ...]
    is_last: bool


@dataclass(frozen=True, slots=True)
class ScannedPart:
    members: list[Found]
    crc: int
    length: int


def _pickle_by_values(kind: type[Facts | Frame | Member | Sighting]) -> None:
    """As a call with the values of its fields: a third of the time that a frozen dataclass takes by itself."""
    values = attrgetter(*(each.name for each in fields(kind)))
    copyreg.pickle(kind, lambda value: (kind, values(value)))


for _kind in (Facts, Frame, Member, Sighting):
    _pickle_by_values(_kind)


def parts_of(name: str, size: int, listed: Sequence[Frame]) -> Iterator[Part]:
    """The parts of a pack in order; together they are the whole pack."""
    begin = 0
    for at, frame in enumerate(listed):
        is_last = at == len(listed) - 1
        start = listed[begin].offset
        end = size if is_last else frame.offset + frame.length
        following = 0 if is_last else listed[at + 1].length
        if is_last or at - begin + 1 >= MAX_FRAMES or end + following - start > MAX_BYTES:
            yield Part(name, start, end - start, tuple(listed[begin : at + 1]), is_last)
            begin = at + 1


def scan_part(source: Source, part: Part) -> ScannedPart:
    """Read and check a part. Raises ArchiveUnavailable."""
    if part.length <= 2 * MAX_BYTES:
        octets = source.read_at(part.offset, part.length)
        crc, source = zlib.crc32(octets), _Held(octets, part.offset, source.size)
    else:
        crc = _crc(source, part)
    found = scan(source, part.listed) if part.is_last else members(source, part.listed)
    return ScannedPart([*found], crc, part.length)


def _crc(source: Source, part: Part) -> int:
    crc = 0
    for at in range(part.offset, part.offset + part.length, WINDOW):
        crc = zlib.crc32(source.read_at(at, min(WINDOW, part.offset + part.length - at)), crc)
    return crc


class _Held:
    """A part that is in memory; satisfies Source."""

    def __init__(self, octets: bytes, offset: int, size: int) -> None:
        self._octets, self._offset, self.size = octets, offset, size

    def read_at(self, offset: int, length: int) -> bytes:
        at = offset - self._offset
        return self._octets[at : at + length]
