"""A tiny IMAP client for the test's own hand on a mailbox; it shares no code with what is tested.

Over any connected socket, or (PreauthSession) with a program of its own, already authenticated, so that no log-in is
counted and no connection limit used up. Knows RFC 3501, MULTIAPPEND (RFC 3502), UIDPLUS (RFC 4315) and LITERAL+
(RFC 7888).
"""

from __future__ import annotations

import base64
import re
import select
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from .process import Identity

TIMEOUT_S = 60.0
MULTIAPPEND_MESSAGES = 200
MULTIAPPEND_OCTETS = 8 << 20
RANGES_IN_A_SET = 1000  # Dovecot takes lines of 64 KiB
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # whatever the locale

_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n$")
_APPENDUID = re.compile(rb"\[APPENDUID \d+ ([\d:,]+)\]")


class ImapRefusedError(RuntimeError):
    """The server answered NO, BAD or BYE; the text is its answer."""


@dataclass(frozen=True, slots=True)
class Response:
    """One untagged response: its text without the literals, and the literals in their order."""

    text: bytes
    literals: tuple[bytes, ...] = ()


class ImapSession:
    """One session. Not for two threads at once."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT_S)
        self._socket = connection
        self._reader = connection.makefile("rb", buffering=1 << 20)
        self.greeting = self._reader.readline()

    @property
    def is_alive(self) -> bool:
        """False when the server has closed it, or has said something that nobody asked for (BYE)."""
        readable, _, _ = select.select([self._socket], [], [], 0)
        return not readable

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def command(self, *parts: bytes) -> tuple[bytes, list[Response]]:
        """Send one command; its tagged answer and the untagged ones. Raises ImapRefusedError."""
        self._socket.sendall(b"a " + b" ".join(parts) + b"\r\n")
        return self._answers()

    def append(
        self, folder: bytes, messages: Iterable[bytes], flags: Sequence[str] = (), internal_date: datetime | None = None
    ) -> list[int]:
        """Append all, some hundreds at a time; their UIDs."""
        options = b"(" + " ".join(flags).encode() + b") "
        if internal_date is not None:
            options += b'"' + date_time(internal_date).encode() + b'" '
        uids: list[int] = []
        batch: list[bytes] = []
        octets = 0
        for message in messages:
            batch.append(message)
            octets += len(message)
            if len(batch) >= MULTIAPPEND_MESSAGES or octets >= MULTIAPPEND_OCTETS:
                uids += self._append(folder, options, batch)
                batch, octets = [], 0
        if batch:
            uids += self._append(folder, options, batch)
        return uids

    def _append(self, folder: bytes, options: bytes, batch: Sequence[bytes]) -> list[int]:
        pieces = [b"a APPEND ", quoted(folder)]
        for message in batch:
            pieces += [b" ", options, b"{%d+}\r\n" % len(message), message]
        pieces.append(b"\r\n")
        self._socket.sendall(b"".join(pieces))
        tagged, _ = self._answers()
        found = _APPENDUID.search(tagged)
        assert found, tagged
        return expanded(found[1])

    def _answers(self) -> tuple[bytes, list[Response]]:
        untagged: list[Response] = []
        while True:
            response = self._response()
            if response.text.startswith(b"a "):
                if not response.text.startswith(b"a OK"):
                    raise ImapRefusedError(response.text.decode(errors="replace"))
                return response.text, untagged
            if not response.text.startswith(b"* ") or response.text.startswith(b"* BYE"):
                raise ImapRefusedError(f"unexpected: {response.text!r}")
            untagged.append(response)

    def _response(self) -> Response:
        text = b""
        literals: list[bytes] = []
        while True:
            line = self._reader.readline()
            if not line.endswith(b"\n"):
                raise ImapRefusedError(f"the server closed the session after {text + line!r}")
            literal = _LITERAL.search(line)
            if literal is None:
                return Response(text + line.rstrip(b"\r\n"), tuple(literals))
            text += line[: literal.start()]
            literals.append(self._reader.read(int(literal[1])))


class PreauthSession(ImapSession):
    """A session with a server program that is started for it alone."""

    def __init__(self, argv: Sequence[str | Path], *, env: Mapping[str, str], log: Path, identity: Identity) -> None:
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=output,
                env=env,
                cwd="/",
                user=identity.uid,
                group=identity.gid,
                extra_groups=identity.extra_groups,
            )
        super().__init__(ours)
        if not self.greeting.startswith(b"* PREAUTH"):
            self.close()
            raise ImapRefusedError(f"no session: {self.greeting!r}; log: {log.read_text(errors='replace')[-2000:]}")

    def close(self) -> None:
        super().close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def quoted(name: bytes) -> bytes:
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def unquoted(text: bytes) -> bytes:
    if text.startswith(b'"'):
        return re.sub(rb"\\(.)", rb"\1", text[1:-1])
    return text


def expanded(uid_set: bytes) -> list[int]:
    """`1:3,7` as [1, 2, 3, 7]."""
    uids: list[int] = []
    for part in uid_set.split(b","):
        first, _, last = part.partition(b":")
        uids += range(int(first), int(last or first) + 1)
    return uids


def uid_sets(uids: Iterable[int]) -> Iterator[bytes]:
    """The UIDs as sequence sets with ranges, each short enough for a command line."""
    ranges: list[list[int]] = []
    for uid in sorted(uids):
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    for start in range(0, len(ranges), RANGES_IN_A_SET):
        yield b",".join(b"%d:%d" % (first, last) for first, last in ranges[start : start + RANGES_IN_A_SET])


def date_time(moment: datetime) -> str:
    """RFC 3501 §9 date-time; a naive `moment` is taken as local."""
    moment = moment.astimezone() if moment.tzinfo is None else moment
    return f"{moment.day:2d}-{MONTHS[moment.month - 1]}-{moment:%Y %H:%M:%S %z}"


def encoded_name(name: str | bytes) -> bytes:
    """Modified UTF-7 (RFC 3501 §5.1.3); octets are left as they are, so that a test can use a name that is none."""
    if isinstance(name, bytes):
        return name
    pieces = re.split(r"([^\x20-\x7e]+)", name)
    return b"".join(
        _shifted(piece) if index % 2 else piece.replace("&", "&-").encode() for index, piece in enumerate(pieces)
    )


def decoded_name(name: bytes) -> str:
    """The Unicode of a name in modified UTF-7."""

    def unshifted(match: re.Match[bytes]) -> bytes:
        if not match[1]:
            return b"&"
        body = match[1].replace(b",", b"/")
        return base64.b64decode(body + b"=" * (-len(body) % 4)).decode("utf-16-be").encode()

    return re.sub(rb"&([^-]*)-", unshifted, name).decode()


def _shifted(text: str) -> bytes:
    return b"&" + base64.b64encode(text.encode("utf-16-be")).rstrip(b"=").replace(b"/", b",") + b"-"
