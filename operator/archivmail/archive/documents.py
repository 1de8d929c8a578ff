"""Text of attached documents, by a process of its own with limits of memory and time. See reading_worker.py.

Needs the extra `documents` (pypdf); without it attachments are found by their names alone.
"""

import os
import selectors
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec

from archivmail.archive import reading_worker

TIMEOUT_S = 15.0
"""For one document; then its process is ended."""
MAX_ANSWER = 4 * reading_worker.MAX_TEXT + 100


class Documents:
    """Starts its process with the first document. Not thread-safe. Never raises for what a document is."""

    def __init__(self) -> None:
        self.is_available = find_spec("pypdf") is not None
        self._process: subprocess.Popen[bytes] | None = None

    def text_of(self, kind: str, octets: bytes, *, timeout_s: float = TIMEOUT_S) -> str:
        """Nothing for what cannot be read within the bounds."""
        try:
            return self._ask(kind, octets, time.monotonic() + timeout_s)
        except (OSError, ValueError, EOFError, TimeoutError):
            self.close()
            return ""

    def close(self) -> None:
        """End the process. Never raises."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        process.wait()

    def _ask(self, kind: str, octets: bytes, end: float) -> str:
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        request = memoryview(f"{kind} {len(octets)}\n".encode("ascii") + octets)
        answer = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            while not (text := _whole(answer)):
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    raise TimeoutError
                for key, _ in ready:
                    if key.fileobj is process.stdin:
                        request = request[os.write(process.stdin.fileno(), request[:65_536]) :]
                        if not request:
                            selector.unregister(process.stdin)
                    elif not (piece := os.read(process.stdout.fileno(), 65_536)) or len(answer) > MAX_ANSWER:
                        raise EOFError
                    else:
                        answer += piece
        return text[0]

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", reading_worker.__name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env={name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "LANG"}},
            )
            assert self._process.stdin is not None
            os.set_blocking(self._process.stdin.fileno(), False)
        return self._process


def _whole(answer: bytearray) -> tuple[str] | None:
    """The text, when all of it is there."""
    head, line, text = answer.partition(b"\n")
    if not line or len(text) < int(head):
        return None
    return (text.decode("utf-8", "replace"),)
