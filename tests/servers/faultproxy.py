"""A TCP proxy before a real server that fails as the test says: cut, stalled, with its answer lost, or with HTTP 503.

Our own instead of toxiproxy, because it must lose exactly the answer to a request that arrived, and speak HTTP errors.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal, Self

from .ports import release_port, reserve_port

PIECE = 64 * 1024
ERROR = b"<Error><Code>ServiceUnavailable</Code></Error>"
UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(ERROR), ERROR)
)

Mode = Literal["pass", "refuse", "stall", "unavailable", "lose answers", "cut requests"]


class FaultProxy:
    """A context manager. `mode` may be set at any time and holds for whatever arrives from then on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = reserve_port()
        self.mode: Mode = "pass"
        self.cut_after = 0
        """Octets of a connection's requests that still pass in mode "cut requests"."""
        self.faults = 0
        """Times that something was refused, cut, lost or held."""
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        self._sockets: set[socket.socket] = set()
        self._mutex = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(10)
        release_port(self.port)

    def cut(self) -> None:
        """Break every connection that is open now."""
        with self._mutex:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "refuse":
                self.faults += 1
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            with self._mutex:
                self._sockets |= {client, server}
            pair = (client, server)
            for pump in (self._requests, self._answers):
                thread = threading.Thread(target=self._pumped, args=(pump, *pair), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pumped(self, pump, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            pump(client, server)
        for each in (client, server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if pump == self._answers:
            with self._mutex:
                self._sockets -= {client, server}
            client.close()
            server.close()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        while piece := client.recv(PIECE):
            if self.mode == "refuse":
                self.faults += 1
                return
            if self.mode == "unavailable":
                self.faults += 1
                client.sendall(UNAVAILABLE)
                return
            if self.mode == "stall":
                self.faults += 1
                continue
            if self.mode == "cut requests" and passed + len(piece) > self.cut_after:
                self.faults += 1
                server.sendall(piece[: max(0, self.cut_after - passed)])
                return
            passed += len(piece)
            server.sendall(piece)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        while piece := server.recv(PIECE):
            if self.mode == "lose answers":
                self.faults += 1
                return
            client.sendall(piece)
