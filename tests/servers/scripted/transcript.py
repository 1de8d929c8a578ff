r"""What a server says, written down as it stands on the wire.

    > UID SEARCH
    < * SEARCH 1
    < * SEARCH 2 3
    < %tag OK done

A line with `>` names a command (with arguments if it matters: `*` stands for anything), the lines with `<` are the
answer; `...` among them stands for what a correct server would say (without the tagged line). Without a tagged line the
correct one follows. A command that is written several times is answered so in turn, and the last time ever after.

In an answer `%tag` is the tag of the command, `%lit5` the octets of UID 5 as a literal, `%date` its INTERNALDATE item,
`\0`, `\r`, `\n`, `\xff` and `\\` are octets, and a line that ends in `\` goes on in the next without a CRLF between.
`%cut` closes the connection, `%stall` says nothing more.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from . import commands

if TYPE_CHECKING:
    from .conversation import Conversation
    from .server import ScriptedServer

DATE = b'INTERNALDATE "17-Jul-1996 02:44:25 -0700"'
_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|([0rn\\]))")
_ESCAPES = {b"0": b"\0", b"r": b"\r", b"n": b"\n", b"\\": b"\\"}
_MARK = re.compile(rb"%(tag|date|lit(\d+)|cut|stall)")


class Transcript:
    """Answers for some commands; the others, and other arguments, are answered as a correct server does."""

    def __init__(self, text: str) -> None:
        self._turns: dict[str, list[list[str]]] = {}
        lines: list[str] | None = None
        for raw in text.strip("\n").splitlines():
            line = raw.strip()
            if line.startswith(">"):
                lines = []
                self._turns.setdefault(line[1:].strip(), []).append(lines)
            elif line:
                assert lines is not None, "a transcript begins with a command"
                assert line == "..." or line.startswith("<"), line
                lines.append(line)

    def play(self, server: ScriptedServer) -> None:
        """Answer so from now on."""
        for verb in {_verb(pattern) for pattern in self._turns}:
            server.on(verb, self._hook(verb))

    def _hook(self, verb: bytes):
        def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
            command = (verb + b" " + arguments).decode("latin-1").strip()
            for pattern, turns in self._turns.items():
                if command == pattern or fnmatchcase(command, pattern + " *") or fnmatchcase(command, pattern):
                    lines = turns.pop(0) if len(turns) > 1 else turns[0]
                    return _say(server, talk, verb, arguments, lines)
            return server.correct(verb, talk, arguments)

        return answer


def _octet(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode()) if escape[1] else _ESCAPES[escape[2]]


def _verb(pattern: str) -> bytes:
    words = pattern.encode("latin-1").split()
    return b" ".join(words[:2]) if words[0] == b"UID" else words[0]


def _say(server: ScriptedServer, talk: Conversation, verb: bytes, arguments: bytes, lines: list[str]) -> bytes | None:
    tagged: bytes | None = b"OK done"
    for line in lines:
        if line == "...":
            tagged = server.correct(verb, talk, arguments)
            continue
        text = _ESCAPE.sub(_octet, line[1:].strip().encode("latin-1"))
        if text.startswith(b"%tag "):
            tagged = text.removeprefix(b"%tag ")
            break
        ending = b"" if text.endswith(b"\\") else b"\r\n"
        text = text.removesuffix(b"\\")
        for piece in _pieces(server, talk, text + ending):
            talk.send(piece)
    if verb == b"EXAMINE" and tagged is not None:
        talk.opened = commands.unquoted(arguments) if tagged.upper().startswith(b"OK") else None
    return tagged


def _pieces(server: ScriptedServer, talk: Conversation, text: bytes) -> list[bytes]:
    pieces = []
    at = 0
    for mark in _MARK.finditer(text):
        pieces.append(text[at : mark.start()])
        at = mark.end()
        if mark[2]:
            octets = commands.opened(server, talk).messages[int(mark[2])].octets
            pieces.append(b"{%d}\r\n%b" % (len(octets), octets))
        elif mark[1] == b"date":
            pieces.append(DATE)
        elif mark[1] == b"tag":
            pieces.append(server.tag)
        else:
            talk.send(b"".join(pieces))
            talk.cut() if mark[1] == b"cut" else talk.stall()
    return [*pieces, text[at:]]
