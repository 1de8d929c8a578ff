"""What a hostile server may make us keep: bounded, whatever it lists (trap 79)."""

from dataclasses import replace

import pytest

from archivmail.imap import opened as of_folder
from archivmail.model.errors import ServerViolation
from tests.imap.sessions import QUICK, fetch, opened, uid_set
from tests.servers.scripted import Conversation, ScriptedServer, sample

FLAGS = b" ".join(b"f%d" % number for number in range(200))


def test_facts_without_octets_are_bounded() -> None:
    """trap 79: flags of messages that never come, again and again."""
    lines = b"".join(b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (uid, uid, FLAGS) for uid in range(1, 21))
    with (
        ScriptedServer({b"INBOX": sample(20)}) as server,
        opened(server, limits=replace(QUICK, facts_bytes=100_000)) as session,
    ):
        server.script(b"UID FETCH", lines)
        with pytest.raises(ServerViolation, match="than it gave octets of"):
            fetch(session, uid_set(*range(1, 21)))


def test_facts_that_come_before_the_octets_are_no_harm() -> None:
    """trap 39: the same flags within the limit, then the messages."""
    lines = b"".join(b"* %d FETCH (UID %d FLAGS (%b))\r\n" % (uid, uid, FLAGS) for uid in range(1, 21))

    def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        talk.send(lines)
        return server.correct(b"UID FETCH", talk, arguments)

    folder = sample(20)
    with ScriptedServer({b"INBOX": folder}) as server, opened(server) as session:
        server.on(b"UID FETCH", answer)
        assert fetch(session, uid_set(*range(1, 21))).octets == {
            uid: message.octets for uid, message in folder.messages.items()
        }


def test_search_lines_are_bounded_by_what_the_folder_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """trap 23, trap 79: one line of many times the folder, and line after line without end."""
    long = b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, 100_000, 2)) + b"\r\n"
    with ScriptedServer({b"INBOX": sample(3)}) as server, opened(server) as session:
        server.script(b"UID SEARCH", long)
        with pytest.raises(ServerViolation, match="a line of more than"):
            session.uids()

    monkeypatch.setattr(of_folder, "_MORE_THAN_COUNTED", 100_000)

    def endless(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        first = 1
        while True:
            talk.send(b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(first, first + 50_000, 2)) + b"\r\n")
            first += 50_000

    with ScriptedServer({b"INBOX": sample(3)}) as server, opened(server) as session:
        server.on(b"UID SEARCH", endless)
        with pytest.raises(ServerViolation, match="far more messages"):
            session.uids()
