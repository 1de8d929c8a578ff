"""CRC-32 of octets that were read in parts, possibly by several processes.

The checksums within a pack tell of every message that changed. They do not tell of a changed octet that decompresses to
the same message, and there are such: a match may point to any of several equal places.
"""

from functools import lru_cache

_POLYNOMIAL = 0xEDB88320  # that of zlib.crc32, reflected
_BITS = 32

Matrix = tuple[int, ...]
"""A linear map of 32 bits over GF(2): the images of the single bits."""


def combined(first: int, second: int, second_length: int) -> int:
    """The CRC-32 of two pieces after each other, from those of each and the octets of the second."""
    if not second_length:
        return first
    at = 0
    while second_length:
        if second_length & 1:
            first = _times(_zeros(at), first)
        second_length >>= 1
        at += 1
    return first ^ second


@lru_cache(maxsize=64)
def _zeros(power: int) -> Matrix:
    """What 2**power octets of zero do to a CRC."""
    if power == 0:
        one_bit = (_POLYNOMIAL, *(1 << at for at in range(_BITS - 1)))
        return _squared(_squared(_squared(one_bit)))
    return _squared(_zeros(power - 1))


def _squared(matrix: Matrix) -> Matrix:
    return tuple(_times(matrix, column) for column in matrix)


def _times(matrix: Matrix, vector: int) -> int:
    result = 0
    for column in matrix:
        if vector & 1:
            result ^= column
        vector >>= 1
    return result
