"""One connection of the scripted server: lines in, octets out, cut or stalled where the test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

TIMEOUT_S = 30.0


class CutError(Exception):
    """The conversation is over: the test wanted it so, or the client is gone."""


class Conversation:
    """Handed to the hooks of a test. Sending and reading raise CutError at the end."""

    def __init__(
        self, sock: socket.socket, *, cut_after: int | None, stall_after: int | None, ending: threading.Event
    ) -> None:
        sock.settimeout(TIMEOUT_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # 40 ms a command otherwise
        self.socket = sock
        self.opened: bytes | None = None
        self.is_authenticated = False
        self.sent = 0
        self._cut_after = cut_after
        self._stall_after = stall_after
        self._ending = ending
        self._buffer = b""

    def send(self, octets: bytes) -> None:
        """Send as it is, up to the octet at which the connection is to be cut or to fall silent."""
        limit = min((each for each in (self._cut_after, self._stall_after) if each is not None), default=None)
        left = octets if limit is None else octets[: max(0, limit - self.sent)]
        try:
            self.socket.sendall(left)
        except OSError:
            raise CutError from None
        self.sent += len(left)
        if len(left) < len(octets):
            if limit == self._stall_after:
                self.stall()
            self.cut()

    def line(self) -> bytes:
        """The next line without its CRLF."""
        while b"\r\n" not in self._buffer:
            self._buffer += self._received()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def octets(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += self._received()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def stall(self) -> None:
        """Say nothing more, but keep the connection open, until the server or the client ends."""
        with contextlib.suppress(OSError):
            self.socket.settimeout(0.05)
            while not self._ending.is_set():
                try:
                    if not self.socket.recv(65536):
                        break
                except TimeoutError:
                    continue
        raise CutError

    def cut(self) -> None:
        """Close the connection."""
        self.close()
        raise CutError

    def start_tls(self, context: ssl.SSLContext) -> None:
        try:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        except OSError:
            raise CutError from None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _received(self) -> bytes:
        try:
            piece = self.socket.recv(65536)
        except OSError:
            raise CutError from None
        if not piece:
            raise CutError
        return piece
