"""A folder is searched in the round trip that opens it, and nothing is mistaken for the folder's because of that."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from archivmail.imap.limits import Limits
from archivmail.imap.manners import Manners
from archivmail.imap.session import Session, connect
from archivmail.model.errors import ConnectionLost, FolderRefused, ServerBusy, ServerViolation
from archivmail.model.folder import Folder, FolderName
from archivmail.model.uidset import UidSet
from tests.imap.sessions import QUICK, uid_set
from tests.servers.scripted import Conversation, ScriptedServer, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CAPABILITIES = ["IMAP4rev1", "IMAP4rev1 ESEARCH"]
OTHER = Folder(FolderName(b"Other"))


@contextlib.contextmanager
def known(server: ScriptedServer, limits: Limits = QUICK, manners: Manners | None = None) -> Iterator[Session]:
    """A session that was told the STATUS of every folder."""
    session = connect(server.endpoint, server.credentials, should_stop=lambda: False, limits=limits, manners=manners)
    try:
        session.status(session.folders())
        yield session
    finally:
        session.close()


def listed(session: Session, folder: bytes) -> UidSet:
    session.examine(replace(OTHER, name=FolderName(folder)))
    return session.uids()


def of_folder(server: ScriptedServer) -> list[bytes]:
    """The commands about one folder."""
    return [each.partition(b" RETURN")[0] for each in server.commands if each.startswith((b"EXAMINE", b"UID SEARCH"))]


def waits_for_the_search(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
    """Answers EXAMINE only once the next command is there."""
    tag = server.tag
    while b"UID SEARCH" not in talk._buffer:
        talk._buffer += talk._received()
    server.tag = tag
    return server.correct(b"EXAMINE", talk, arguments)


@pytest.mark.parametrize("capabilities", CAPABILITIES)
def test_one_round_trip_opens_and_lists_a_folder(capabilities: str) -> None:
    """A server that waits for the second command before it answers the first is no deadlock."""
    with ScriptedServer({b"INBOX": sample(3), b"Other": sample(0)}, capabilities=capabilities) as server:
        server.on(b"EXAMINE", waits_for_the_search)
        with known(server) as session:
            assert listed(session, b"INBOX") == uid_set(1, 2, 3)
            assert listed(session, b"Other") == UidSet()
            assert session.uids() == UidSet()

    assert [each.split()[0] for each in of_folder(server)] == [b"EXAMINE", b"UID", b"EXAMINE", b"UID", b"UID"]


def test_nothing_is_searched_early_where_nobody_told_how_much_there_is() -> None:
    """trap 23: a large folder is listed in windows."""
    with (
        ScriptedServer({b"INBOX": sample(30)}) as server,
        known(server, replace(QUICK, search_window=10)) as session,
    ):
        assert listed(session, b"INBOX") == UidSet([(1, 30)])

    assert b"UID SEARCH ALL" not in of_folder(server)


@pytest.mark.parametrize("capabilities", CAPABILITIES)
def test_messages_that_came_after_status_are_listed(capabilities: str) -> None:
    """And a search that falls short of EXISTS counts for nothing (trap 22)."""
    with ScriptedServer({b"INBOX": sample(2)}, capabilities=capabilities) as server, known(server) as session:
        server.folders[b"INBOX"] = sample(9)
        assert listed(session, b"INBOX") == UidSet([(1, 9)])
        server.script(b"UID SEARCH", b"* SEARCH 1 2\r\n")
        assert listed(session, b"INBOX") == UidSet([(1, 9)])


@pytest.mark.parametrize("capabilities", CAPABILITIES)
def test_a_refused_folder_is_never_taken_for_the_one_opened_before(capabilities: str) -> None:
    """trap 80: a server that keeps the old folder open searches that; it happens once in a session at most."""

    def refused(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        return b"NO [NOPERM] no" if b"Other" in arguments else server.correct(b"EXAMINE", talk, arguments)

    folders = {b"INBOX": sample(3), b"Other": sample(5)}
    with ScriptedServer(folders, capabilities=capabilities) as server, known(server) as session:
        server.on(b"EXAMINE", refused)
        assert listed(session, b"INBOX") == uid_set(1, 2, 3)
        for _ in range(3):
            with pytest.raises(FolderRefused):
                session.examine(OTHER)
        before = len(of_folder(server))
        assert listed(session, b"INBOX") == uid_set(1, 2, 3)

    assert [each.split()[0] for each in of_folder(server)[2:before]] == [b"EXAMINE", b"UID", b"EXAMINE", b"EXAMINE"]


def once(answer: bytes) -> Callable[[ScriptedServer, Conversation, bytes], bytes | None]:
    """The first search is answered so, the others correctly."""
    said: list[bytes] = []

    def hook(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if said:
            return server.correct(b"UID SEARCH", talk, arguments)
        said.append(answer)
        return answer

    return hook


@pytest.mark.parametrize("answer", [b"BAD one command at a time", b"NO not now", b"BAD no mailbox selected"])
def test_a_server_that_refuses_the_early_search_is_asked_again_alone(answer: bytes) -> None:
    """Nothing is missing, and the rest of the session is as careful as it always was."""
    with ScriptedServer({b"INBOX": sample(3), b"Other": sample(5)}) as server, known(server) as session:
        server.on(b"UID SEARCH", once(answer))
        assert listed(session, b"INBOX") == uid_set(1, 2, 3)
        server.on(b"EXAMINE", alone)
        assert listed(session, b"Other") == UidSet([(1, 5)])


def alone(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
    """EXAMINE, with nothing behind it."""
    assert not talk._buffer
    return server.correct(b"EXAMINE", talk, arguments)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        pytest.param(b"* SEARCH 1 2 3\r\n", b"", id="before-it-was-open"),
        pytest.param(b"", b"* SEARCH 7 8 9\r\n", id="beyond-uidnext"),
        pytest.param(b"", b"* SEARCH 1 2 3 4\r\n", id="too-many"),
    ],
)
def test_a_list_of_the_folder_opened_before_is_not_believed(before: bytes, behind: bytes) -> None:
    """Invariant 7: a server that does two commands at once searches the wrong folder; nothing would ever be missed."""
    said: list[bytes] = []

    def early(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        talk.send(before)
        return server.correct(b"EXAMINE", talk, arguments)

    def late(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if said:
            return server.correct(b"UID SEARCH", talk, arguments)
        said.append(behind)
        talk.send(behind)
        return b"OK done"

    folders = {b"INBOX": sample(3), b"Other": sample(3, first_uid=4)}
    with ScriptedServer(folders) as server, known(server) as session:
        assert listed(session, b"INBOX") == uid_set(1, 2, 3)
        server.on(b"EXAMINE", early)
        server.on(b"UID SEARCH", late)
        assert listed(session, b"Other") == uid_set(4, 5, 6)
        assert said


def test_a_back_off_hint_under_the_early_search_is_heard() -> None:
    """trap 88."""
    with ScriptedServer({b"INBOX": sample(3)}) as server, known(server) as session:
        server.on(b"UID SEARCH", once(b"NO Request is throttled. Suggested Backoff Time: 299961 milliseconds"))
        with pytest.raises(ServerBusy):
            session.examine(replace(OTHER, name=FolderName(b"INBOX")))


def test_exchange_is_asked_one_by_one() -> None:
    """Its second command might stand unread."""
    greeting = b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n"
    with ScriptedServer({b"INBOX": sample(3)}, greeting=greeting) as server, known(server) as session:
        server.on(b"EXAMINE", alone)
        assert listed(session, b"INBOX") == uid_set(1, 2, 3)


def test_a_server_that_never_reads_the_early_search_is_asked_one_by_one_from_then_on() -> None:
    """It looks like a lost connection once; the process remembers."""
    manners = Manners()

    def drops(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        with contextlib.suppress(TimeoutError):
            talk.socket.settimeout(0.1)
            talk.socket.recv(65536)
        talk.socket.settimeout(30)
        talk._buffer = b""
        return server.correct(b"EXAMINE", talk, arguments)

    limits = replace(QUICK, read_s=0.3)
    with ScriptedServer({b"INBOX": sample(3)}) as server:
        server.on(b"EXAMINE", drops)
        again = partial(known, server, limits, manners)
        with again() as session, pytest.raises(ConnectionLost):
            listed(session, b"INBOX")
        with again() as session:
            assert listed(session, b"INBOX") == uid_set(1, 2, 3)


def test_a_status_that_is_far_too_low_costs_one_session() -> None:
    """trap 26: the early list may be longer than the folder seemed to have room for; the next time EXISTS tells."""
    manners = Manners()
    limits = replace(QUICK, line_bytes=1000)
    with ScriptedServer({b"INBOX": sample(400)}) as server:
        server.script(b"STATUS", b"* STATUS INBOX (MESSAGES 0 UIDNEXT 401 UIDVALIDITY 1700000000)\r\n")
        again = partial(known, server, limits, manners)
        with again() as session, pytest.raises(ServerViolation):
            listed(session, b"INBOX")
        with again() as session:
            assert listed(session, b"INBOX") == UidSet([(1, 400)])
