"""A folder too large to hold: its messages are made while they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import commands
from .served import Folder
from .transcript import DATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conversation import Conversation
    from .server import ScriptedServer

_PIECE = 256 * 1024


class Vast:
    """`count` messages with UIDs `first`, `first + step`, …; every command on them costs what it touches."""

    def __init__(self, count: int, *, first: int, step: int) -> None:
        self.count = count
        self.first = first
        self.step = step
        self.validity = Folder().uid_validity
        self.given = 0
        """Messages sent so far."""

    @property
    def last(self) -> int:
        return self.first + self.step * (self.count - 1)

    def octets(self, uid: int) -> bytes:
        return b"Subject: %d\r\n\r\n%d\r\n" % (uid, uid)

    def uids_in(self, wanted: bytes) -> Iterator[int]:
        for part in wanted.split(b","):
            low, _, high = part.partition(b":")
            start = max(self.first, int(low))
            end = self.last if high == b"*" else min(self.last, int(high or low))
            yield from range(start + (self.first - start) % self.step, end + 1, self.step)

    def serve(self, server: ScriptedServer) -> None:
        """Stand in for the INBOX of this server."""
        server.folders[b"INBOX"] = Folder()
        server.on(b"STATUS", self._status)
        server.on(b"EXAMINE", self._examine)
        server.on(b"UID SEARCH", self._search)
        server.on(b"FETCH", self._numbers)
        server.on(b"UID FETCH", self._fetch)

    def _status(self, _server: ScriptedServer, talk: Conversation, _arguments: bytes) -> bytes:
        facts = (self.count, self.last + 1, self.validity)
        talk.send(b'* STATUS "INBOX" (MESSAGES %d UIDNEXT %d UIDVALIDITY %d)\r\n' % facts)
        return b"OK done"

    def _examine(self, _server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        talk.opened = commands.unquoted(arguments)
        talk.send(b"* %d EXISTS\r\n* OK [UIDVALIDITY %d] x\r\n" % (self.count, self.validity or 0))
        talk.send(b"* OK [UIDNEXT %d] x\r\n" % (self.last + 1))
        return b"OK [READ-ONLY] done"

    def _search(self, server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        wanted = arguments.removeprefix(b"RETURN (ALL) ").removeprefix(b"UID ")
        uids = self.uids_in(b"1:*" if wanted == b"ALL" else wanted)
        if arguments.startswith(b"RETURN"):
            talk.send(b'* ESEARCH (TAG "%b") UID ALL %b\r\n' % (server.tag, b",".join(b"%d" % uid for uid in uids)))
        else:
            talk.send(b"* SEARCH " + b" ".join(b"%d" % uid for uid in uids) + b"\r\n")
        return b"OK done"

    def _numbers(self, _server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        for number in map(int, arguments.partition(b" ")[0].split(b",")):
            talk.send(b"* %d FETCH (UID %d)\r\n" % (number, self.first + self.step * (number - 1)))
        return b"OK done"

    def _fetch(self, _server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        wanted, _, _items = arguments.partition(b" ")
        piece: list[bytes] = []
        size = 0
        for uid in self.uids_in(wanted):
            octets = self.octets(uid)
            number = (uid - self.first) // self.step + 1
            head = b"* %d FETCH (UID %d FLAGS (\\Seen) %b BODY[] {%d}\r\n" % (number, uid, DATE, len(octets))
            piece += (head, octets, b")\r\n")
            size += len(octets)
            self.given += 1
            if size > _PIECE:
                talk.send(b"".join(piece))
                piece, size = [], 0
        talk.send(b"".join(piece))
        return b"OK done"
