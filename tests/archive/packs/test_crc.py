"""The CRC of a whole follows from those of its pieces."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.packs.crc import combined


@given(st.lists(st.binary(max_size=70)))
def test_pieces_make_the_whole(pieces: list[bytes]) -> None:
    """Whatever their lengths, empty ones too."""
    crc = 0
    for piece in pieces:
        crc = combined(crc, zlib.crc32(piece), len(piece))

    assert zlib.crc32(b"".join(pieces)) == crc


def test_long_pieces_make_the_whole() -> None:
    """Lengths with high bits."""
    first, second = bytes(range(256)) * 5000, b"x" * 3_000_017

    assert zlib.crc32(first + second) == combined(zlib.crc32(first), zlib.crc32(second), len(second))
