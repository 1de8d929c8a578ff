"""Loopback ports that two test runs never take from each other, nor a client's outgoing connection from them.

Binding port 0 and closing it again gives a port of the range that the kernel also uses for outgoing connections: a
server that is stopped for a while then finds it taken. So ports are chosen below that range and reserved by a record
lock on one file, at the offset of the port's number. The kernel drops the locks when the process ends.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import threading
from functools import cache

from .binaries import cache_folder

FIRST_PORT = 12000
LAST_PORT = 32000  # Linux gives outgoing connections 32768 and up, unless told otherwise
ATTEMPTS = 1000

_mutex = threading.Lock()
_mine: set[int] = set()


def reserve_port() -> int:
    """A free port on 127.0.0.1, ours until `release_port` or this process ends. Raises OSError when there is none."""
    with _mutex:
        for _ in range(ATTEMPTS):
            port = random.randint(FIRST_PORT, LAST_PORT)
            if port in _mine or not _lock(port):
                continue
            _mine.add(port)
            if _is_free(port):
                return port
            _unlock(port)
    raise OSError(f"no free port between {FIRST_PORT} and {LAST_PORT}: end what listens there")


def release_port(port: int) -> None:
    """Let others have it; nothing happens when it is not ours."""
    with _mutex:
        if port in _mine:
            _unlock(port)


def is_open(port: int) -> bool:
    """True when something accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@cache
def _lock_file(_pid: int) -> int:
    # Record locks do not pass a fork, so each process asks for its own (fcntl(2)); the file stays, empty.
    path = cache_folder() / "ports.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(port: int) -> bool:
    try:
        fcntl.lockf(_lock_file(os.getpid()), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _unlock(port: int) -> None:
    _mine.discard(port)
    fcntl.lockf(_lock_file(os.getpid()), fcntl.LOCK_UN, 1, port)
