"""Start COMPRESS=DEFLATE (RFC 4978) on a session whose line is slow enough for it."""

import socket
import struct
from contextlib import suppress
from ipaddress import ip_address

from archivmail.decide.compressing import Line, is_worth_compressing
from archivmail.imap.dialogue import Dialogue
from archivmail.imap.faults import Faults
from archivmail.imap.limits import Limits
from archivmail.imap.stream import Stream

_TCP_INFO_BYTES = 104
_RTT_AT = 68  # struct tcp_info of Linux: the smoothed round trip in microseconds, tcpi_rtt


class Compression:
    """Asked before a folder is opened, so that nothing is on the way; tries once."""

    def __init__(
        self, dialogue: Dialogue, stream: Stream, faults: Faults, limits: Limits, capabilities: frozenset[str]
    ) -> None:
        self._dialogue = dialogue
        self._stream = stream
        self._faults = faults
        self._limits = limits
        self._is_offered = "COMPRESS=DEFLATE" in capabilities

    def start_if_worth(self) -> None:
        """Raises what concerns the whole session; a refusal leaves it as it is."""
        if not self._is_offered or not (self._limits.compress_always or is_worth_compressing(self.line)):
            return
        self._is_offered = False
        answer = self._dialogue.run(b"COMPRESS DEFLATE")
        if answer.is_ok:
            self._stream.start_compression()
            return
        error = self._faults.whole_session(answer)
        if error is not None:
            raise error

    @property
    def line(self) -> Line:
        """What is known of it now."""
        stream = self._stream
        return Line(
            is_loopback=_is_loopback(stream.socket),
            round_trip_s=_round_trip_s(stream.socket),
            received_bytes=stream.received,
            waited_s=stream.waited_s,
        )


def _is_loopback(sock: socket.socket) -> bool:
    try:
        return ip_address(str(sock.getpeername()[0]).partition("%")[0]).is_loopback
    except (OSError, ValueError):
        return False


def _round_trip_s(sock: socket.socket) -> float:
    """As the kernel knows it; 0 where it does not tell."""
    with suppress(OSError, struct.error):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        microseconds: int = struct.unpack_from("=I", info, _RTT_AT)[0]
        return microseconds / 1e6
    return 0.0
