"""Messages larger than memory should hold: spooled, bounded, and nothing of them left behind (trap 46, trap 103)."""

import errno
import os
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from archivmail.imap.limits import Limits
from archivmail.model.errors import ArchiveUnavailable, ServerViolation
from archivmail.model.reasons import Reason
from tests.imap.sessions import QUICK, fetch, opened, uid_set
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, sample

MIB = 1024 * 1024


def endless(size: int) -> Message:
    return Message(b"Subject: a\r\n\r\n" + b"x" * size)


def test_memory_does_not_grow_with_the_message() -> None:
    """Invariant 9: 48 MiB of mail in a few MiB of memory."""

    def stream(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
        talk.send(b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "x" BODY[] {%d}\r\n' % (48 * MIB))
        for _piece in range(48):
            talk.send(b"x" * MIB)
        talk.send(b")\r\n")
        return b"OK done"

    sizes: list[int] = []
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=Limits()) as session:
        server.on(b"UID FETCH", stream)
        tracemalloc.start()
        try:
            session.fetch(uid_set(1), lambda message: sizes.extend(len(chunk) for chunk in message.body.chunks()))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert sum(sizes) == 48 * MIB
    assert peak < 8 * MIB


def test_the_spool_leaves_no_file(tmp_path: Path) -> None:
    """Not even while the message is being read: a crash leaves nothing."""
    seen: list[list[Path]] = []
    limits = replace(QUICK, memory_bytes=100, spool_folder=str(tmp_path))
    with ScriptedServer({b"INBOX": Folder({1: endless(5000)})}) as server, opened(server, limits=limits) as session:
        session.fetch(uid_set(1), lambda _: seen.append(list(tmp_path.iterdir())))

    assert seen == [[]]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_ends_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """trap 103: the archive's side is to blame, not the server."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    limits = replace(QUICK, memory_bytes=100)
    with ScriptedServer({b"INBOX": Folder({1: endless(5000)})}) as server, opened(server, limits=limits) as session:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(ArchiveUnavailable, match="free space"):
                fetch(session, uid_set(1))
        with pytest.raises(ServerViolation):
            session.uids()


def test_a_spool_folder_that_is_not_there_is_told() -> None:
    """A wrong setting is no fault of the server."""
    limits = replace(QUICK, memory_bytes=100, spool_folder="/no/such/folder")
    with (
        ScriptedServer({b"INBOX": Folder({1: endless(5000)})}) as server,
        opened(server, limits=limits) as session,
        pytest.raises(ArchiveUnavailable, match="temporary folder"),
    ):
        fetch(session, uid_set(1))


@pytest.mark.parametrize("size", [2 * 1024**3 + 1, 4294967295])
def test_a_message_beyond_any_use_is_told_before_it_is_read(size: int) -> None:
    """trap 46: the declared size is bounded, and the reason says which message it is about."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=Limits()) as session:
        server.script(b"UID FETCH", b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % size, None)
        with pytest.raises(ServerViolation, match="2048 MiB") as caught:
            fetch(session, uid_set(1))

    assert caught.value.reason is Reason.MESSAGE_TOO_LARGE


def test_octets_that_nobody_asked_for_are_not_kept() -> None:
    """trap 38: they are read past, whatever their number."""
    response = b'* 1 FETCH (UID 9 FLAGS () INTERNALDATE "x" BODY[] {%d}\r\n' % (32 * MIB) + b"x" * (32 * MIB) + b")\r\n"
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.script(b"UID FETCH", response)
        tracemalloc.start()
        try:
            assert fetch(session, uid_set(1)).octets == {}
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < 50 * MIB  # the script's own copies of what it sends


def test_messages_that_wait_for_their_facts_are_bounded() -> None:
    """trap 39: octets whose flags never come are handed over without them before they fill the memory."""
    count, size = 40, 1000
    responses = b"".join(
        b"* %d FETCH (UID %d BODY[] {%d}\r\n%b)\r\n" % (uid, uid, size, b"x" * size) for uid in range(1, count + 1)
    )
    order: list[int] = []
    limits = replace(QUICK, waiting_bytes=5 * size)
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=limits) as session:

        def refuse(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
            talk.send(responses)
            return b"NO the rest"

        server.on(b"UID FETCH", refuse)
        session.fetch(uid_set(*range(1, count + 1)), lambda message: order.append(message.sighting.uid))

    assert sorted(order) == list(range(1, count + 1))
