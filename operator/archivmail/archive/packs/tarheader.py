"""Headers of tar members: the ustar block and the pax extended header (POSIX.1-2017, pax, "ustar Interchange Format").

Our own, because a member's values are octets (the standard library decodes them) and because a header per message must
cost microseconds. Only what packs need: regular files, sizes below 8 GiB.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from zlib import adler32

from archivmail.archive.packs.facts import record, records_of
from archivmail.model.errors import ArchiveDamaged

BLOCK = 512
_ZEROS = bytes(BLOCK)
END = 2 * _ZEROS
"""The end marker: two blocks of zeros."""

_MAX_NAME = 100
_MODE, _ID = b"0000644\0", b"0000000\0"
_NO_SUM = b" " * 8  # the checksum counts its own field as blanks
_TAIL = b"\0" * _MAX_NAME + b"ustar\00000" + b"\0" * 64 + _ID + _ID + b"\0" * 167
_BLANKS = sum(_NO_SUM)
_FIXED_SUM = sum(_MODE) + 2 * sum(_ID) + _BLANKS + sum(_TAIL)
_MODULUS = 65521
"""Of zlib's Adler-32, whose lower half is one and the sum of the octets."""
_PAX_NAME = b"././@PaxHeader"
_MAX_MTIME = 0o77777777777
_MAX_SIZE = 0o77777777777
_MAX_RECORDS = 1 << 20  # ours are below 10 kB; a damaged length must not fill the memory


@dataclass(frozen=True, slots=True)
class Header:
    """What a reader needs of a member's headers."""

    name: str
    size: int
    records: dict[bytes, bytes]


def padding(size: int) -> bytes:
    """Zeros that fill the last block of `size` octets."""
    return bytes(-size % BLOCK)


def headers(name: bytes, size: int, mtime: int, records: bytes) -> bytes:
    """The pax extended header with `records`, then the ustar header of a regular file of `size` octets.

    `mtime` is in seconds since 1970; one before that, and a name of more than 100 octets, stand in the pax header.
    """
    if len(name) > _MAX_NAME:
        records = record(b"path", name) + records
        name = name[:_MAX_NAME]
    if not 0 <= mtime <= _MAX_MTIME:
        records += record(b"mtime", b"%d" % mtime)
        mtime = 0
    return b"".join((_pax_block(len(records)), records, padding(len(records)), _block(name, size, mtime, b"0")))


@lru_cache(maxsize=1024)
def _pax_block(size: int) -> bytes:
    return _block(_PAX_NAME, size, 0, b"x")


def _block(name: bytes, size: int, mtime: int, kind: bytes) -> bytes:
    if size > _MAX_SIZE:
        raise ValueError(f"a tar member holds at most {_MAX_SIZE} octets, not {size}")
    varying = b"%011o\0%011o\0" % (size, mtime)
    checksum = _FIXED_SUM + sum(name) + sum(varying) + kind[0]
    return b"".join((name.ljust(_MAX_NAME, b"\0"), _MODE, _ID, _ID, varying, b"%06o\0 " % checksum, kind, _TAIL))


def parse(read: Callable[[int], bytes]) -> Header | None:
    """The headers of the next member; None at the end marker. Raises ArchiveDamaged.

    `read(n)` gives n octets, or fewer at the end of the stream.
    """
    records: dict[bytes, bytes] = {}
    block = _checked(read(BLOCK))
    if block is None:
        return None
    while block[156:157] == b"x":
        size = _number(block[124:136])
        if size > _MAX_RECORDS:
            raise ArchiveDamaged("A header in the pack is larger than any we write.")
        records |= records_of(read(size + len(padding(size)))[:size])
        block = _checked(read(BLOCK))
        if block is None:
            raise ArchiveDamaged("The pack ends between the headers of a member.")
    if block[156:157] != b"0":
        raise ArchiveDamaged("The pack holds a member that is not a regular file.")
    name = records.get(b"path", block[:_MAX_NAME].rstrip(b"\0"))
    return Header(name=name.decode("utf-8", "replace"), size=_number(block[124:136]), records=records)


def _checked(block: bytes) -> bytes | None:
    if len(block) != BLOCK:
        raise ArchiveDamaged("The pack ends within a header.")
    if block == _ZEROS:
        return None
    if (_number(block[148:156]) - _sum(block) + _sum(block[148:156]) - _BLANKS) % _MODULUS:
        raise ArchiveDamaged("A header in the pack has a wrong checksum.")
    return block


def _sum(octets: bytes) -> int:
    """Of the octets, modulo _MODULUS: 20 times as fast as `sum`, which took a tenth of the time of a message."""
    return (adler32(octets) & 0xFFFF) - 1


def _number(field: bytes) -> int:
    digits = field.strip(b"\0 ")
    try:
        return int(digits, 8)
    except ValueError as error:
        raise ArchiveDamaged("A header in the pack holds something else than a number.") from error
