"""Messages are hashed on another thread while the next ones are read, and nobody can tell by what is delivered."""

from __future__ import annotations

import hashlib
import threading

import pytest

from archivmail.imap.ahead import GROUP_BYTES, MOST_GROUPS, Ahead
from archivmail.imap.bodies import MemoryBody, Spool
from archivmail.imap.limits import Limits
from archivmail.model.errors import ArchiveUnavailable, ConnectionLost
from archivmail.model.message import FetchedMessage, Sighting
from archivmail.model.uidset import Uid, UidSet
from tests.imap.sessions import opened
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer

SIZE = GROUP_BYTES // 4


def message(uid: int) -> FetchedMessage:
    return FetchedMessage(Sighting(Uid(uid)), MemoryBody(b"%d" % uid * SIZE))


class Taken:
    """What was delivered, and in which thread."""

    def __init__(self, fails_at: int = 0) -> None:
        self.uids: list[int] = []
        self.threads: set[int] = set()
        self._fails_at = fails_at

    def __call__(self, message: FetchedMessage) -> None:
        uid = message.sighting.uid
        if uid == self._fails_at:
            raise ArchiveUnavailable("the disk is full")
        octets = b"".join(bytes(chunk) for chunk in message.body.chunks())
        assert message.body.content_id == hashlib.sha256(octets).digest()
        self.uids.append(uid)
        self.threads.add(threading.get_ident())


def test_messages_keep_their_order_and_the_callers_thread() -> None:
    """Only the hashing is somewhere else."""
    taken = Taken()
    ahead = Ahead(taken)
    for uid in range(1, 24):
        ahead.take(message(uid))
    ahead.settle()
    ahead.close()

    assert taken.uids == list(range(1, 24))
    assert taken.threads == {threading.get_ident()}


def test_few_messages_wait() -> None:
    """S9: memory is bounded by groups, not by what the server sends."""
    taken = Taken()
    ahead = Ahead(taken)
    for uid in range(1, 100):
        ahead.take(message(uid))
        assert (uid - len(taken.uids)) * SIZE <= (MOST_GROUPS + 1) * GROUP_BYTES
    ahead.close()


def test_no_large_message_waits() -> None:
    """S9: it lies in a file and is hashed already; the temporary folder has room for one in each run (tmpSizeLimit)."""
    taken = Taken()
    ahead = Ahead(taken)
    ahead.take(message(1))
    for uid in range(2, 5):
        spool = Spool(None)
        spool.keep(b"%d" % uid * SIZE)
        body = spool.body()
        ahead.take(FetchedMessage(Sighting(Uid(uid)), body))
        assert taken.uids == list(range(1, uid + 1))
        with pytest.raises(ValueError, match="closed"):
            list(body.chunks())
    ahead.close()


def test_nothing_is_delivered_after_a_failure() -> None:
    """What the archive could not take is the end; the bodies behind it are given back."""
    taken = Taken(fails_at=2)
    ahead = Ahead(taken)
    messages = [message(uid) for uid in range(1, 4)]
    for each in messages:
        ahead.take(each)
    with pytest.raises(ArchiveUnavailable):
        ahead.settle()
    ahead.settle()

    assert taken.uids == [1]
    assert [b"".join(each.body.chunks()) for each in messages] == [b"", b"", b""]


@pytest.mark.parametrize("whole", [1, 7, 13])
def test_what_came_whole_before_a_cut_is_delivered(whole: int) -> None:
    """traps 42, 48: a cut costs one message, however many were waiting."""
    folder = Folder({uid: Message(b"%d" % (uid % 10) * SIZE) for uid in range(1, 15)})

    def answer(bent: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        for uid in range(1, whole + 1):
            bent.send_message(talk, uid, folder.messages[uid], arguments)
        talk.send(b'* 14 FETCH (UID 14 FLAGS () INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {9}\r\nhal')
        talk.cut()
        return None

    taken = Taken()
    with ScriptedServer({b"INBOX": folder}) as server, opened(server, limits=Limits(read_s=5)) as session:
        server.on(b"UID FETCH", answer)
        with pytest.raises(ConnectionLost):
            session.fetch_batches(iter([UidSet([(1, 14)])]), taken, lambda *_: None)

    assert taken.uids == list(range(1, whole + 1))
