"""COMPRESS=DEFLATE (RFC 4978): raw deflate in both directions, bounded in what one call gives."""

import zlib

from archivmail.imap.faults import violation

_RAW = -15  # RFC 1951 without a header, the largest window (RFC 4978 §4)


class Deflate:
    """Both directions of one connection."""

    def __init__(self, early: bytes) -> None:
        """`early`: compressed octets that came along with the answer to COMPRESS."""
        self._inflater = zlib.decompressobj(_RAW)
        self._deflater = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, _RAW)
        self._waiting = early

    def inflated(self, most: int) -> bytes:
        """At most so many octets of what was fed; empty when more must come. Raises ServerViolation.

        A small input may hold a large output: the rest waits compressed, so memory does not grow (trap 79).
        """
        try:
            octets = self._inflater.decompress(self._waiting, most)
        except zlib.error:
            raise violation("sent compressed octets that cannot be read") from None
        self._waiting = self._inflater.unconsumed_tail
        if not octets and self._inflater.eof:
            raise violation("ended the compression in the middle of the session")
        return octets

    def feed(self, octets: bytes) -> None:
        """What was received; only once `inflated` has given nothing more."""
        self._waiting += octets

    def deflated(self, octets: bytes) -> bytes:
        """What to send for these octets, complete: the server can read all of it."""
        return self._deflater.compress(octets) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
