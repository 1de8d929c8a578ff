"""The password check that Cyrus asks over a Unix socket, as saslauthd would give it, with the test's own passwords.

A request is four strings (login, password, service, realm), the answer one, each after its length in two octets. So a
user or a password counts at once, and every log-in is seen.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 10.0


class PasswordCheck:
    """Answers from `passwords` until it is closed; `attempts` is who tried, and whether it was right."""

    def __init__(self, path: Path) -> None:
        self.passwords: dict[str, str] = {}
        self.attempts: list[tuple[str, bool]] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o666)  # the folder is what keeps strangers out
        self._listener.listen(32)
        self._thread = threading.Thread(target=self._serve, name="password check", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Refuse from now on; may be called twice."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(TIMEOUT_S)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            with connection, suppress(OSError, struct.error), connection.makefile("rb") as request:
                connection.settimeout(TIMEOUT_S)
                login, password, _service, _realm = (_string(request) for _ in range(4))
                is_right = self.passwords.get(login.decode()) == password.decode()
                self.attempts.append((login.decode(), is_right))
                answer = b"OK" if is_right else b"NO wrong user or password"
                connection.sendall(struct.pack(">H", len(answer)) + answer)


def _string(request: BinaryIO) -> bytes:
    (length,) = struct.unpack(">H", request.read(2))
    return request.read(length)
