"""One whole session, cut or stalled at each place that may matter; the next one makes archive and server equal.

The session is recorded first: login, list, status, folders with literals, a refused folder, a refused UID, a renumbered
folder, logout. Then the same server cuts it after so many octets, for a new account each time; what came until then
must be whole, and a run against a server without faults must bring the rest.
"""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.imap.limits import Limits
from archivmail.model.outcome import Result
from tests.imap.sessions import QUICK
from tests.quirks.engine import Engine
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer

CUTS = 300
STALLS = 30
IMPATIENT = replace(QUICK, read_s=0.15, slice_s=0.02, close_s=0.1)
REFUSED_UID = 12


def folders() -> dict[bytes, Folder]:
    """Small enough to be sent whole in one segment, so that cutting it costs little."""
    odd = [
        b"\x00\xff8-bit\r\n",
        b"no end",
        b"* 1 FETCH (UID 3 BODY[] {3}\r\nabc)\r\n",
        b")\r\n",
        b"v1 OK done\r\n",
        b"{9}",
    ]
    return {
        b"INBOX": Folder({uid: Message(b"Subject: %d\r\n\r\n%b" % (uid, odd[uid % 6])) for uid in range(1, 7)}),
        b"Refused": Folder({1: Message(b"never seen")}),
        b"Sent": Folder({uid: Message(b"Subject: sent %d\r\n\r\n" % uid) for uid in (11, REFUSED_UID, 13)}),
        "Entwürfe".encode("latin-1"): Folder({9: Message(b"draft")}, uid_validity=7),
        b"Empty": Folder(),
    }


def fetch(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
    """One UID is refused; FLAGS of others are told in between; one message comes in two responses."""
    assert talk.opened is not None
    folder = server.folders[talk.opened]
    wanted, _, items = arguments.partition(b" ")
    for uid in folder.uids_in(wanted):
        if talk.opened == b"Sent" and uid == REFUSED_UID and b"BODY" in items:
            return b"NO [SERVERBUG] cannot read that one {7}"
        if uid == 3:
            talk.send(b"* 1 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (UID 3 FLAGS ())\r\n")
        server.send_message(talk, uid, folder.messages[uid], items)
    return b"OK"


def examine(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
    return b"NO [INUSE] not now" if b"Refused" in arguments else server.correct(b"EXAMINE", talk, arguments)


class Recorded(Conversation):
    """Keeps what is sent."""

    def send(self, octets: bytes) -> None:
        self.octets_sent = getattr(self, "octets_sent", b"") + octets
        super().send(octets)


class Reset(Conversation):
    """Cuts with RST, as a firewall or a dying host does: what the client has not read yet may be lost to it."""

    def close(self) -> None:
        linger = struct.pack("ii", 1, 0)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.socket.close()
        except OSError:
            pass


class Faulty(ScriptedServer):
    """The server of this session, on connections of a kind."""

    def __init__(self, kind: type[Conversation] = Conversation) -> None:
        super().__init__(folders(), capabilities="IMAP4rev1 AUTH=PLAIN", conversation=kind)
        self.on(b"UID FETCH", fetch)
        self.on(b"EXAMINE", examine)


def session_of(folder: Path) -> bytes:
    """All octets of a session that is not cut."""
    with Faulty(Recorded) as server, Engine(folder, server) as engine:
        engine.sync()
        assert server.connections == 1
        [talk] = server.talks
        return talk.octets_sent


def places(octets: bytes, count: int) -> list[int]:
    """Ends of lines, beginnings and ends of literals, and an even spread over the rest."""
    borders = {0, 1, len(octets) - 1, len(octets)}
    for found in re.finditer(rb"\{(\d+)\}\r\n", octets):
        start, end = found.end(), found.end() + int(found[1])
        borders |= {found.start(), start - 2, start - 1, start, start + 1, end - 1, end, end + 1}
    for found in re.finditer(rb"\r\n", octets):
        borders |= {found.start(), found.start() + 1, found.end()}
    borders = {place for place in borders if place <= len(octets)}
    spread = max(1, count - len(borders))
    borders |= {round(number * len(octets) / spread) for number in range(spread)}
    rest = iter(range(len(octets)))
    while len(borders) < count:
        borders.add(next(rest))
    return sorted(borders)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return session_of(tmp_path_factory.mktemp("recorded"))


def resume(archive: Archive, account: str, server: ScriptedServer, limits: Limits = QUICK) -> set[bytes]:
    """One run that breaks, one that does not; what the account has in the archive then."""
    with Engine(archive, server, limits=limits, account=account) as engine:
        broken = engine.sync()
        assert broken.result is not Result.SUCCEEDED
        assert not engine.is_complete
        server.mend()
        outcome = engine.sync(forced=True)
        assert outcome.result is Result.SUCCEEDED, outcome
        engine.require_all()
        return set(engine.held().values())


def require_sound(archive: Archive, contents: list[set[bytes]]) -> None:
    """Every octet of every account, and nothing twice."""
    report = archive.verify(full=True)
    assert report.is_clean, report
    assert report.messages == sum(map(len, contents))


def test_the_recorded_session_holds_what_is_to_be_cut(recorded: bytes) -> None:
    """A sweep over less would prove less."""
    assert recorded.count(b"BODY[] {") >= 9
    assert b"UIDVALIDITY 7" in recorded
    assert b"[SERVERBUG]" in recorded
    assert b"[INUSE]" in recorded
    assert recorded.count(b"[READ-ONLY]") == 4
    assert recorded.endswith(b"OK done\r\n")
    assert b"* BYE" in recorded
    assert len(places(recorded, CUTS)) >= CUTS


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_session_cut_anywhere_is_made_good_by_the_next(recorded: bytes, tmp_path: Path, part: int) -> None:
    """trap 42, trap 81, trap 85, trap 86: at each of 300 and more octets; every third cut is a RST."""
    contents = []
    with open_archive(str(tmp_path), create=True) as archive:
        for number, place in enumerate(places(recorded, CUTS)[part::4]):
            kind = Reset if number % 3 == 2 else Conversation
            with Faulty(kind) as server:
                server.cut_after = place
                contents.append(resume(archive, f"cut-{place}", server))
        require_sound(archive, contents)


@pytest.mark.slow
def test_a_session_that_stalls_anywhere_is_made_good_by_the_next(recorded: bytes, tmp_path: Path) -> None:
    """trap 82, trap 84: silent for ever after so many octets; given up in time, and never used again."""
    spread = places(recorded, CUTS)
    contents = []
    with open_archive(str(tmp_path), create=True) as archive:
        for place in spread[:: len(spread) // STALLS]:
            with Faulty() as server:
                server.stall_after = place
                contents.append(resume(archive, f"stall-{place}", server, IMPATIENT))
        require_sound(archive, contents)
