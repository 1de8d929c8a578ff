"""Find the frames of a pack without its seek table, by the block headers (RFC 8878 §3.1.1), for salvage.

Nothing is decompressed: a block header tells the length of its block.
"""

import zstandard

from archivmail.archive.packs.reading import Source
from archivmail.archive.packs.seektable import Frame

_FRAME_HEADER_MAX = 18  # RFC 8878 §3.1.1: magic number and at most 14 octets of header
_BLOCK_HEADER = 3
_RLE = 1
_RESERVED = 3
_CHECKSUM = 4


def walk(source: Source) -> list[Frame]:
    """The frames up to the first that cannot be followed; never raises for damage."""
    found: list[Frame] = []
    at = 0
    while (frame := _frame_at(source, at)) is not None:
        found.append(frame)
        at += frame.length
    return found


def _frame_at(source: Source, offset: int) -> Frame | None:
    head = source.read_at(offset, _FRAME_HEADER_MAX)
    try:
        parameters = zstandard.get_frame_parameters(head)
        at = offset + zstandard.frame_header_size(head)
    except zstandard.ZstdError:
        return None
    if head[:4] != zstandard.FRAME_HEADER:  # a skippable frame: the seek table
        return None
    is_last = False
    while not is_last:
        block = source.read_at(at, _BLOCK_HEADER)
        number = int.from_bytes(block, "little")
        is_last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        if len(block) < _BLOCK_HEADER or kind == _RESERVED:
            return None
        at += _BLOCK_HEADER + (1 if kind == _RLE else size)
    at += _CHECKSUM if parameters.has_checksum else 0
    checksum = source.read_at(at - _CHECKSUM, _CHECKSUM) if parameters.has_checksum else b""
    if at > source.size:
        return None
    return Frame(offset, at - offset, parameters.content_size, checksum)
