"""The seek table of the zstd seekable format, version 0.1.1: where each frame of a pack stands.

A skippable frame at the end: magic number, length, then for each frame its compressed size, its decompressed size and
the low 32 bits of XXH64 over its content; then the footer with the number of frames, a descriptor and another magic
number. All numbers are 32-bit little-endian, the descriptor is one octet.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from archivmail.model.errors import ArchiveDamaged

SKIPPABLE_MAGIC = 0x184D2A5E
SEEKABLE_MAGIC = 0x8F92EAB1
MAX_FRAME = 0xFFFF_FFFF
MAX_FRAMES = 0x800_0000  # the format's own bound
FOOTER_SIZE = 9
HEADER_SIZE = 8

_HEADER = struct.Struct("<II")
_ENTRY = struct.Struct("<II4s")
_ENTRY_WITHOUT_CHECKSUM = struct.Struct("<II")
_FOOTER = struct.Struct("<IBI")
_HAS_CHECKSUMS = 0x80
_RESERVED = 0x7F  # readers may ignore two of these bits; we write none of them, so one that is set is damage


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: where it starts in the pack, its octets there, and its octets when decompressed."""

    offset: int
    length: int
    content_length: int
    checksum: bytes = b""
    """The low 32 bits of XXH64 over the content, which are the frame's last octets; empty where it is not known."""


class SeekTable:
    """Collects the frames of a pack that is being written: 12 octets each."""

    __slots__ = ("_entries", "frames")

    def __init__(self) -> None:
        self._entries = bytearray()
        self.frames = 0

    def add(self, length: int, content_length: int, checksum: bytes) -> None:
        """`checksum` are the last four octets of a frame with content checksum: the very number the table asks for."""
        self._entries += _ENTRY.pack(length, content_length, checksum)
        self.frames += 1

    def octets(self) -> bytes:
        """The skippable frame."""
        footer = _FOOTER.pack(self.frames, _HAS_CHECKSUMS, SEEKABLE_MAGIC)
        return _HEADER.pack(SKIPPABLE_MAGIC, len(self._entries) + FOOTER_SIZE) + self._entries + footer


def table_length(footer: bytes) -> int:
    """Octets of the whole skippable frame, told by the last FOOTER_SIZE octets of a pack. Raises ArchiveDamaged."""
    count, entry = _footer(footer)
    return HEADER_SIZE + count * entry.size + FOOTER_SIZE


def frames_of(table: bytes, pack_size: int) -> list[Frame]:
    """The frames that a seek table lists. Raises ArchiveDamaged when it does not fit a pack of `pack_size` octets."""
    count, entry = _footer(table[-FOOTER_SIZE:])
    if len(table) != HEADER_SIZE + count * entry.size + FOOTER_SIZE:
        raise ArchiveDamaged("The seek table of the pack is cut short.")
    magic, length = _HEADER.unpack_from(table)
    if magic != SKIPPABLE_MAGIC or length != len(table) - HEADER_SIZE:
        raise ArchiveDamaged("The seek table of the pack does not begin where it must.")
    entries = list(_entries(table, entry))
    offsets = list(accumulate((each[0] for each in entries), initial=0))
    if offsets[-1] + len(table) != pack_size:
        raise ArchiveDamaged("The seek table of the pack does not fit its size.")
    return [Frame(offset, *each) for offset, each in zip(offsets, entries, strict=False)]


def _entries(table: bytes, entry: struct.Struct) -> Iterator[tuple[int, int, bytes]]:
    for fields in entry.iter_unpack(table[HEADER_SIZE:-FOOTER_SIZE]):
        yield fields[0], fields[1], fields[2] if len(fields) > 2 else b""


def _footer(footer: bytes) -> tuple[int, struct.Struct]:
    if len(footer) != FOOTER_SIZE:
        raise ArchiveDamaged("The pack is too short to be one.")
    count, descriptor, magic = _FOOTER.unpack(footer)
    if magic != SEEKABLE_MAGIC or descriptor & _RESERVED or count > MAX_FRAMES:
        raise ArchiveDamaged("The pack does not end with a seek table.")
    return count, _ENTRY if descriptor & _HAS_CHECKSUMS else _ENTRY_WITHOUT_CHECKSUM
