"""What makes two messages one: their octets and nothing else (imap-traps §1.5), through the whole engine."""

from pathlib import Path

import pytest

from archivmail.model.outcome import Result
from tests.quirks.engine import Engine
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer

SAME_ID = b"Message-ID: <1@example.org>\r\nSubject: s\r\n\r\n"
SAME_HEAD = b"From: a@example.org\r\nSubject: s\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n"

LOOKALIKES = [
    pytest.param(
        [b"Subject: a\r\n\r\nx", b"Subject: a\r\n\r\ny", b"\r\n", b"no head at all"], id="trap-63-no-message-id"
    ),
    pytest.param([SAME_ID + b"text", SAME_ID + b"text\r\n-- \r\nlist footer", SAME_ID], id="trap-64-one-message-id"),
    pytest.param([SAME_HEAD + b"1", SAME_HEAD + b"2"], id="trap-65-one-sender-subject-and-date"),
    pytest.param(
        [
            b"a: b\r\n\r\nx\r\n",
            b"a: b\r\n\r\nx\n",
            b"a: b\r\n\r\nx",
            b"a: b\r\n\r\nx\r",
            b"a: b\n\nx\r\n",
            b"a: b\r\n\r\nx\0",
        ],
        id="trap-66-line-ends-and-nul",
    ),
    pytest.param(
        [b"a: \xe4\r\n\r\n", "a: ä\r\n\r\n".encode(), b"a: =?latin-1?q?=e4?=\r\n\r\n"], id="trap-66-beyond-ascii"
    ),
    pytest.param(
        [
            b'Content-Type: multipart/mixed; boundary="x\r\n\r\n--x\r\n\r\nopen',
            b"Content-Type: multipart/mixed\r\n\r\n--x--\r\n",
        ],
        id="trap-66-bad-boundary",
    ),
    pytest.param(
        [
            b'Message-ID: <"quoted"@\r\n example.org> (folded)\r\n\r\n',
            b"Subject: " + b"long " * 2000 + b"\r\n\r\n",
            b"Subject: \xff\xfe\r\n\r\n" + b"x" * 100_000,
        ],
        id="trap-69-odd-heads",
    ),
    pytest.param([b"From me\r\n\r\nFrom you\r\n", b"From me\r\n\r\n>From you\r\n"], id="trap-67-from-lines"),
]


@pytest.mark.parametrize("octets", LOOKALIKES)
def test_messages_that_look_alike_are_all_kept(octets: list[bytes], tmp_path: Path) -> None:
    """traps 63 to 67, 69: each octet counts, nothing else does; and each is searched and shown without harm."""
    folder = Folder({uid: Message(each) for uid, each in enumerate(octets, 1)})
    with ScriptedServer({b"INBOX": folder}) as server, Engine(tmp_path, server) as engine:
        outcome = engine.sync()
        engine.require_all()
        assert outcome.deduplicated == 0
        assert engine.archive.verify(full=True).messages == len(octets)
        while engine.archive.drain_index():
            pass
        assert engine.archive.index_backlog() == 0
        commands = b"\n".join(server.commands)

    assert b"ENVELOPE" not in commands
    assert b"BODYSTRUCTURE" not in commands


def test_only_the_octets_are_asked_for(tmp_path: Path) -> None:
    """trap 33: BODY.PEEK[] and no RFC822, which iCloud answers with nothing. trap 15: no MODSEQ is used at all."""
    with (
        ScriptedServer({b"INBOX": Folder({1: Message(b"x")})}, capabilities="IMAP4rev1 CONDSTORE QRESYNC") as server,
        Engine(tmp_path, server) as engine,
    ):
        engine.sync()
        commands = b"\n".join(server.commands).upper()

    assert b"BODY.PEEK[]" in commands
    assert not any(word in commands for word in (b"RFC822", b"BODY[", b"MODSEQ", b"CONDSTORE", b"SINCE", b"SELECT"))


@pytest.mark.parametrize("mark", [b"X-Message-Flag: follow up\r\n", b"X-Virus-Scanned: yes\r\n"])
def test_content_that_changes_between_reads_is_another_version(mark: bytes, tmp_path: Path) -> None:
    """trap 44: read again under a new UIDVALIDITY with another head: both are kept, neither overwrites the other."""
    folder = Folder({1: Message(b"Subject: a\r\n\r\nx")})
    with ScriptedServer({b"INBOX": folder}) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        server.folders[b"INBOX"] = Folder({1: Message(mark + b"Subject: a\r\n\r\nx")}, uid_validity=5)
        engine.sync()
        engine.require_all()
        assert sorted(engine.held().values()) == sorted({b"Subject: a\r\n\r\nx", mark + b"Subject: a\r\n\r\nx"})


def test_a_message_replaced_in_place_does_not_rewrite_the_archive(tmp_path: Path) -> None:
    """trap 44, trap 70: the same UID with other octets: what was archived first is the record."""
    with ScriptedServer({b"INBOX": Folder({1: Message(b"first")})}) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        server.folders[b"INBOX"].messages[1] = Message(b"second")
        engine.later(days=2)
        assert engine.sync().result is Result.SUCCEEDED
        assert [b"".join(engine.archive.octets(row.content_id)) for row in engine.archive.placements()] == [b"first"]


def test_a_draft_saved_again_is_a_new_message(tmp_path: Path) -> None:
    """trap 70: new UID, new version; the old one stays in the archive though the server has dropped it."""
    with ScriptedServer({b"INBOX": Folder({1: Message(b"draft 1")})}) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        server.folders[b"INBOX"] = Folder({2: Message(b"draft 2")})
        outcome = engine.sync()
        engine.require_all()
        assert sorted(engine.held().values()) == [b"draft 1", b"draft 2"]
        assert outcome.folders[0].counts.server == 1


def test_dates_are_no_measure_of_progress(tmp_path: Path) -> None:
    """trap 25: a message that is appended with a date of long ago is new all the same."""
    with ScriptedServer({b"INBOX": Folder({1: Message(b"new")})}) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        server.folders[b"INBOX"].messages[2] = Message(b"old", internal_date="01-Jan-1970 00:00:00 +0000")
        engine.sync()
        engine.require_all()


def test_messages_are_durable_as_they_arrive(tmp_path: Path) -> None:
    """trap 48: a server that dies after each third message: every run brings three more, none starts over."""

    def impatient(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        wanted, _, items = arguments.partition(b" ")
        folder = server.folders[b"INBOX"]
        for uid in folder.uids_in(wanted)[:3]:
            server.send_message(talk, uid, folder.messages[uid], items)
        talk.cut()
        return None

    folder = Folder({uid: Message(b"message %d" % uid) for uid in range(1, 11)})
    with ScriptedServer({b"INBOX": folder}) as server, Engine(tmp_path, server) as engine:
        server.on(b"UID FETCH", impatient)
        held = []
        for _ in range(3):
            engine.sync(forced=True)
            held.append(len(engine.held()))
        assert held == sorted(held)
        assert held[0] == 3
        assert held[-1] >= 7
        server.mend()
        engine.sync(forced=True)
        engine.require_all()
