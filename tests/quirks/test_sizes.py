"""Mailboxes as large as they come: messages, octets, folders; in bounded memory and few round trips."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from archivmail.imap.limits import Limits
from archivmail.model.outcome import Result
from tests.cli.program import COMMAND, environment
from tests.cli.test_difficult_servers import written
from tests.quirks.engine import Engine
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, sample
from tests.servers.scripted.vast import Vast

MIB = 1024 * 1024
MESSAGES = 200_000
LARGE = 1024 * MIB
FOLDERS = 5_000

pytestmark = pytest.mark.slow


@dataclass
class Grown:
    """A process that ended, and the most memory that it held at once."""

    code: int
    out: bytes
    most_octets: int


def sync(folder: Path, server: ScriptedServer) -> Grown:
    """`archivmail sync` as a process of its own, its memory watched from outside."""
    arguments = ["sync", "-f", str(written(folder, server)), "--archive", str(folder / "archive")]
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(TMPDIR=str(folder))
    )
    most = 0
    while True:
        # Not the kernel's count for children: that one begins with what this process held when it forked.
        most = max(most, _high_water_mark(process.pid))
        try:
            out, _ = process.communicate(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        return Grown(process.returncode, out, most)


def _high_water_mark(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def test_200_000_messages_with_gaps_are_archived_in_bounded_memory(tmp_path: Path) -> None:
    """trap 15, trap 23: seven digits each and a gap after each, listed in windows; archived one by one."""
    vast = Vast(MESSAGES, first=1_000_001, step=3)
    with ScriptedServer() as server:
        vast.serve(server)
        grown = sync(tmp_path, server)
        searches = [command for command in server.commands if command.startswith(b"UID SEARCH")]

    assert grown.code == 0, grown.out
    assert vast.given == MESSAGES
    assert len(searches) >= 4
    assert grown.most_octets < 200 * MIB
    with open_archive(str(tmp_path / "archive"), create=False) as archive:
        held = {int(row.uid): row.content_id for row in archive.placements()}
        report = archive.verify()
    assert report.is_clean
    assert held.keys() == set(range(vast.first, vast.last + 1, vast.step))
    assert all(held[uid] == hashlib.sha256(vast.octets(uid)).digest() for uid in held)


def test_a_message_of_a_gibibyte_takes_no_memory(tmp_path: Path) -> None:
    """trap 46: streamed, hashed, stored and given back, octet for octet, in less than 200 MB."""
    piece = hashlib.shake_256(b"archivmail").digest(MIB)
    whole = hashlib.sha256()

    def stream(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if b"BODY.PEEK[]" not in arguments:
            return server.correct(b"UID FETCH", talk, arguments)
        talk.send(b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {%d}\r\n' % LARGE)
        for number in range(LARGE // MIB):
            octets = b"%08d" % number + piece[8:]
            whole.update(octets)
            talk.send(octets)
        talk.send(b")\r\n")
        return b"OK done"

    with ScriptedServer({b"INBOX": Folder({1: Message(b"stands for a large one")})}) as server:
        server.on(b"UID FETCH", stream)
        grown = sync(tmp_path, server)

    assert grown.code == 0, grown.out
    assert grown.most_octets < 200 * 1000 * 1000
    with open_archive(str(tmp_path / "archive"), create=False) as archive:
        [row] = archive.placements()
        read = hashlib.sha256()
        size = 0
        for chunk in archive.octets(row.content_id):
            read.update(chunk)
            size += len(chunk)
    assert size == LARGE
    assert read.digest() == whole.digest()


@dataclass
class InGroups:
    """Answers STATUS only when eight of them have arrived: who waits for each answer would wait for ever."""

    waiting: list[tuple[bytes, bytes]] = field(default_factory=list)
    groups: int = 0

    def __call__(self, server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        self.waiting.append((server.tag, arguments))
        if len(self.waiting) == 8:
            self.groups += 1
            for tag, each in self.waiting:
                answer = server.correct(b"STATUS", talk, each)
                talk.send(tag + b" " + (answer or b"") + b"\r\n")
            self.waiting.clear()
        return None


def many_folders() -> dict[bytes, Folder]:
    """Every hundredth holds a message."""
    names = [b"INBOX", *(b"team/%d/archive" % number for number in range(1, FOLDERS))]
    return {name: sample(1) if number % 100 == 0 else Folder() for number, name in enumerate(names)}


def test_5000_folders_without_news_cost_few_round_trips(tmp_path: Path) -> None:
    """One LIST with STATUS, or STATUS eight at a time; no folder is opened, no pack is written."""
    groups = InGroups()
    with (
        ScriptedServer(many_folders(), capabilities="IMAP4rev1 LIST-STATUS") as server,
        Engine(tmp_path, server, limits=Limits()) as engine,
    ):
        first = engine.sync()
        assert first.result is Result.SUCCEEDED
        assert (first.selected, first.added) == (FOLDERS, FOLDERS // 100)

        server.commands.clear()
        assert without_news(engine)
        assert b"STATUS" not in verbs(server)
        assert len(verbs(server)) <= 5

        server.commands.clear()
        server.capabilities = "IMAP4rev1"
        server.on(b"STATUS", groups)
        assert without_news(engine)
        assert groups.groups == FOLDERS // 8
        assert len([verb for verb in verbs(server) if verb != b"STATUS"]) <= 5
        assert len(list((tmp_path / "archive" / "packs").rglob("*.tar.zst"))) == 1


def without_news(engine: Engine) -> bool:
    outcome = engine.sync()
    return (outcome.result, outcome.selected, outcome.added) == (Result.SUCCEEDED, FOLDERS, 0)


def verbs(server: ScriptedServer) -> list[bytes]:
    found = [command.split()[0] for command in server.commands]
    assert b"EXAMINE" not in found
    return found
