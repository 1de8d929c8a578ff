"""Octets from and to the server: one receive buffer, counted, with limits on every wait.

Knows sockets and TLS; knows nothing of IMAP but that lines end in LF. Any error leaves it unusable: drop it.
"""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress

from archivmail.imap import tls
from archivmail.imap.deflate import Deflate
from archivmail.imap.dialing import STOPPED
from archivmail.imap.faults import broken, violation
from archivmail.imap.limits import Limits
from archivmail.model.errors import Aborted, ConnectionLost

_DIRECT_FROM = 64 * 1024  # what is left of a literal is received in place from this size on
_ASK_EVERY_S = 0.2
_COMPRESSED_AT_ONCE = 32 * 1024


class Stream:
    """A connected socket with a receive buffer. Raises ConnectionLost, ServerViolation and Aborted."""

    def __init__(self, sock: socket.socket, limits: Limits, should_stop: Callable[[], bool]) -> None:
        self.received = 0
        self.sent = 0
        self.waited_s = 0.0
        """For what was received."""
        self._deflate: Deflate | None = None
        self._compressed = memoryview(b"")
        self._sock = sock
        self._limits = limits
        self._should_stop = should_stop
        self._buffer = bytearray(limits.receive_bytes)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._asked_at = 0.0
        self._window_waited = 0.0
        self._window_received = 0
        sock.settimeout(limits.slice_s)

    @property
    def socket(self) -> socket.socket:
        return self._sock

    @property
    def is_encrypted(self) -> bool:
        return isinstance(self._sock, ssl.SSLSocket)

    @property
    def has_unread(self) -> bool:
        """Octets were received that nobody has read yet."""
        return self._start < self._end

    # --- reading -----------------------------------------------------------------------------------------------------

    def line(self, max_bytes: int) -> bytes:
        """The next line with its LF."""
        parts: list[bytes] = []
        length = 0
        while True:
            at = self._buffer.find(b"\n", self._start, self._end)
            stop = self._end if at < 0 else at + 1
            part = self._view[self._start : stop].tobytes()
            self._start = stop
            length += len(part)
            if length > max_bytes:
                raise violation(f"sent a line of more than {max_bytes} octets")
            if at >= 0:
                return b"".join((*parts, part)) if parts else part
            if part:
                parts.append(part)
            self._refill()

    def exactly(self, count: int) -> bytes | bytearray:
        """The next `count` octets; the caller bounds `count`."""
        if self._end - self._start >= count:
            return self._taken(count).tobytes()
        target = bytearray(count)
        view = memoryview(target)
        at = 0
        while at < count:
            left = count - at
            if self._start == self._end and left >= _DIRECT_FROM:
                at += self._receive(view[at:])
                continue
            if self._start == self._end:
                self._refill()
            piece = self._taken(min(left, self._end - self._start))
            view[at : at + len(piece)] = piece
            at += len(piece)
        return target

    def pour(self, count: int, sink: Callable[[memoryview], object]) -> None:
        """Give the next `count` octets to `sink`, in pieces that are valid during its call only."""
        while count:
            if self._start == self._end:
                self._refill()
            piece = self._taken(min(count, self._end - self._start))
            count -= len(piece)
            sink(piece)

    def _taken(self, count: int) -> memoryview:
        piece = self._view[self._start : self._start + count]
        self._start += count
        return piece

    def _refill(self) -> None:
        """Replace the buffer's content, all of which has been read."""
        self._start = self._end = 0
        self._end = self._receive(self._view)

    def some(self, view: memoryview) -> int:
        """Receive into `view` what comes next; 0 at the end. Not for use beside the methods that buffer."""
        waiting_since = time.monotonic()
        if waiting_since - self._asked_at > _ASK_EVERY_S:
            self._ask(waiting_since)
        while True:
            try:
                count = self._sock.recv_into(view)
                break
            except TimeoutError as error:
                if error.errno is not None:  # not ours: TCP_USER_TIMEOUT
                    raise broken(error) from error
            except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except OSError as error:
                raise broken(error) from error
            now = time.monotonic()
            self._ask(now)
            if now - waiting_since >= self._limits.read_s:
                raise ConnectionLost(
                    f"the server was silent for {self._limits.read_s:g} s; it is tried again by itself"
                )
        self.received += count
        self._keep_pace(count, time.monotonic() - waiting_since)
        return count

    def _receive(self, view: memoryview) -> int:
        """Octets for the reader: at least one, at most as many as there is room for."""
        if self._deflate is None:
            return self._receive_raw(view)
        while not (octets := self._deflate.inflated(len(view))):
            count = self._receive_raw(self._compressed)
            self._deflate.feed(self._compressed[:count].tobytes())
        view[: len(octets)] = octets
        return len(octets)

    def _receive_raw(self, view: memoryview) -> int:
        count = self.some(view)
        if not count:
            raise ConnectionLost("the server closed the connection; it is tried again by itself")
        return count

    def _ask(self, now: float) -> None:
        self._asked_at = now
        if self._should_stop():
            raise Aborted(STOPPED)

    def _keep_pace(self, count: int, waited: float) -> None:
        # Each octet in time is not enough: one in 30 s would keep a worker busy for ever (trap 82).
        self._window_received += count
        self._window_waited += waited
        self.waited_s += waited
        if self._window_waited < self._limits.pace_window_s:
            return
        if self._window_received < self._limits.pace_bytes:
            raise ConnectionLost(
                f"the server sent less than {self._limits.pace_bytes} octets in {self._limits.pace_window_s:g} s; "
                "it is tried again by itself"
            )
        self.begin()

    def begin(self) -> None:
        """A command begins: count its pace from here."""
        self._window_waited = 0.0
        self._window_received = 0

    # --- writing, TLS, the end ---------------------------------------------------------------------------------------

    def start_compression(self) -> None:
        """From the next octet on, in both directions (RFC 4978 §3). What is unread is compressed already."""
        self._deflate = Deflate(self._taken(self._end - self._start).tobytes())
        self._compressed = memoryview(bytearray(_COMPRESSED_AT_ONCE))

    def send(self, octets: bytes) -> None:
        """Send all of it."""
        left = memoryview(octets if self._deflate is None else self._deflate.deflated(octets))
        deadline = time.monotonic() + self._limits.read_s
        while left:
            try:
                count = self._sock.send(left)
            except TimeoutError as error:
                if error.errno is not None:
                    raise broken(error) from error
                self._ask(time.monotonic())
                if time.monotonic() >= deadline:
                    raise ConnectionLost(
                        f"the server took nothing for {self._limits.read_s:g} s; it is tried again by itself"
                    ) from error
                continue
            except OSError as error:
                raise broken(self._last_words(error)) from error
            self.sent += count
            left = left[count:]

    def _last_words(self, error: OSError) -> OSError:
        """Why the peer closed, where it said so before: an alert of TLS is heard by reading only."""
        if self.is_encrypted:
            try:
                self._sock.recv(1)
            except ssl.SSLError as said:
                return said if tls.asks_for_a_certificate(said) else error
            except OSError:
                pass
        return error

    def start_tls(self, context: ssl.SSLContext, server_name: str) -> None:
        """Shake hands. Raises ssl.SSLError and ssl.CertificateError besides; the caller knows how to word them.

        Nothing may be unread: it came in the clear, from whomever (trap 96).
        """
        if self.has_unread:
            raise violation("sent more than it should before encryption began")
        deadline = time.monotonic() + self._limits.connect_s
        wrapped = context.wrap_socket(self._sock, server_hostname=server_name, do_handshake_on_connect=False)
        self._sock = wrapped
        while True:
            try:
                return wrapped.do_handshake()
            except TimeoutError as error:
                if error.errno is not None:
                    raise broken(error) from error
                self._ask(time.monotonic())
                if time.monotonic() >= deadline:
                    raise ConnectionLost(
                        f"the TLS handshake took more than {self._limits.connect_s:g} s; it is tried again by itself"
                    ) from error
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
                raise ConnectionLost(
                    "the server closed the connection during the TLS handshake; it is tried again by itself"
                ) from error
            except ssl.SSLError:
                raise
            except OSError as error:
                raise broken(error) from error

    def hurry(self, seconds: float) -> None:
        """From now on all waits together end after about that time, whatever the run is told."""
        ends_at = time.monotonic() + seconds
        self._should_stop = lambda: time.monotonic() >= ends_at
        self._sock.settimeout(seconds)
        self._limits = Limits(read_s=0, receive_bytes=self._limits.receive_bytes)

    def close(self) -> None:
        """Drop the connection. Never raises; harmless when repeated."""
        with suppress(OSError):
            self._sock.close()
