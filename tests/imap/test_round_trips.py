"""A pass without news costs a few round trips, whatever the number of folders (traps 1, 30; issue: 5 for 200)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from archivmail.imap.session import connect
from archivmail.imap.stream import Stream
from archivmail.model.account import Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.folder import FolderName
from tests.imap.sessions import QUICK
from tests.servers.scripted import Conversation, ScriptedServer, sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from archivmail.imap.session import Session
    from tests.servers.fixtures import Mailbox

MODERN = "IMAP4rev1 NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE ESEARCH"


class Turns:
    """How often the client waited for the server after it had said something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._has_spoken = False
        send, some = Stream.send, Stream.some

        def counted_send(stream: Stream, octets: bytes) -> None:
            self._has_spoken = True
            send(stream, octets)

        def counted_some(stream: Stream, view: memoryview) -> int:
            self.count += self._has_spoken
            self._has_spoken = False
            return some(stream, view)

        monkeypatch.setattr(Stream, "send", counted_send)
        monkeypatch.setattr(Stream, "some", counted_some)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Iterator[Turns]:
    return Turns(monkeypatch)


def look(session: Session, turns: Turns, since: int) -> tuple[int, int]:
    """What a run without news does after the login: folders with STATUS known, and round trips, LOGOUT included."""
    folders = session.folders()
    known = session.status(folders)
    session.close()
    return len(known), turns.count - since


def login_tells(words: str) -> object:
    """A server that tells with the login what it can do, as Dovecot, Cyrus, Gmail and Stalwart do."""

    def hook(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        server.correct(b"LOGIN", talk, arguments)
        return b"OK [CAPABILITY " + words.encode() + b"] Logged in"

    return hook


def after_login(server: ScriptedServer, turns: Turns) -> tuple[int, int]:
    """Folders known and round trips from the end of the login on."""
    marks: list[int] = []
    login = server._answers[b"LOGIN"]

    def marked(scripted: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        marks.append(turns.count + 1)  # the answer that is read now
        return login(scripted, talk, arguments)

    server.on(b"LOGIN", marked)
    session = connect(server.endpoint, server.credentials, should_stop=lambda: False, limits=QUICK)
    return look(session, turns, marks[0])


@pytest.mark.parametrize("count", [3, 50, 200])
def test_a_pass_without_news_takes_three_round_trips(turns: Turns, count: int) -> None:
    """NAMESPACE, LIST with STATUS, LOGOUT: for any number of folders."""
    folders = {b"folder %d" % number: sample(1) for number in range(count)}
    with ScriptedServer(folders, capabilities=MODERN) as server:
        server.on(b"LOGIN", login_tells(MODERN))
        known, trips = after_login(server, turns)

    assert known == count
    assert trips <= 3
    assert b"CAPABILITY" not in [each for each in server.commands if not each.startswith(b"LOGIN")][1:]


@pytest.mark.parametrize("count", [3, 50, 200])
def test_without_list_status_the_questions_go_out_together(turns: Turns, count: int) -> None:
    """STATUS for each folder, up to fifty on the way at once."""
    folders = {b"folder %d" % number: sample(1) for number in range(count)}
    with ScriptedServer(folders, capabilities="IMAP4rev1") as server:
        server.on(b"LOGIN", login_tells("IMAP4rev1"))
        known, _ = after_login(server, turns)

    assert known == count
    assert sum(each.startswith(b"STATUS") for each in server.commands) == count


def test_capabilities_are_asked_for_when_the_login_does_not_tell(turns: Turns) -> None:
    """trap 78: what was said before the login does not count."""
    with ScriptedServer({b"INBOX": sample(1)}, capabilities=MODERN) as server:
        _, trips = after_login(server, turns)

    assert server.commands.count(b"CAPABILITY") == 2
    assert trips <= 4


def test_capabilities_are_asked_for_all_the_same_of_icloud(turns: Turns) -> None:
    """trap 77: its proxy edits what follows them, so they are asked for where nothing else can follow."""
    words = "IMAP4rev1 XAPPLEPUSHSERVICE"
    with ScriptedServer({b"INBOX": sample(1)}, capabilities=words) as server:
        server.on(b"LOGIN", login_tells(words))
        after_login(server, turns)

    assert server.commands.count(b"CAPABILITY") == 2


def test_nobody_looks_into_the_folders_of_others() -> None:
    """trap 61: LIST tells of them too, so STATUS is asked for one's own."""
    folders = {b"INBOX": sample(1), b"Shared/a": sample(1)}
    with ScriptedServer(folders, capabilities=MODERN) as server:
        server.script(b"NAMESPACE", b'* NAMESPACE (("" "/")) NIL (("Shared/" "/"))\r\n')
        session = connect(server.endpoint, server.credentials, should_stop=lambda: False, limits=QUICK)
        known = session.status(session.folders())
        session.close()

    assert set(known) == {b"INBOX"}
    assert not any(b"Shared" in each for each in server.commands)
    assert not any(each.startswith(b"LIST") and b"STATUS" in each for each in server.commands)


def test_what_list_told_is_used_once() -> None:
    """The second question in a session is asked anew: the first answer is old by then."""
    with ScriptedServer({b"INBOX": sample(1)}, capabilities=MODERN) as server:
        session = connect(server.endpoint, server.credentials, should_stop=lambda: False, limits=QUICK)
        folders = session.folders()
        session.status(folders)
        server.folders[b"INBOX"] = sample(2)
        known = session.status(folders)
        session.close()

    assert known[FolderName(b"INBOX")].messages == 2


@pytest.mark.servers
def test_a_pass_without_news_over_200_folders_of_dovecot(turns: Turns, mailbox: Mailbox) -> None:
    """issue: at most 5 round trips after the login."""
    for number in range(200):
        mailbox.server.create_folder(mailbox.user, f"folder-{number:03}")
    endpoint = Endpoint(mailbox.server.host, mailbox.server.port, TlsMode.DISABLED)
    credentials = Credentials(Mechanism.PASSWORD, mailbox.user, Secret(mailbox.password))
    session = connect(endpoint, credentials, should_stop=lambda: False, limits=QUICK)
    known, trips = look(session, turns, turns.count)

    assert known >= 200
    assert trips <= 5


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        pytest.param("IMAP4rev1 AUTH=PLAIN", 0, id="enough"),
        pytest.param("IMAP4rev1", 1, id="no-way-in-told"),
        pytest.param("AUTH=PLAIN", 1, id="no-version-told"),
        pytest.param("IMAP4rev1 AUTH=PLAIN XAPPLEPUSHSERVICE", 1, id="trap-77-icloud"),
        pytest.param("", 1, id="nothing-told"),
    ],
)
def test_capabilities_are_asked_for_where_the_greeting_is_not_enough(told: str, asked: int) -> None:
    """A round trip less for Dovecot, Cyrus and Gmail."""
    greeting = f"* OK [CAPABILITY {told}] ready\r\n".encode() if told else b"* OK ready\r\n"
    words = "IMAP4rev1 AUTH=PLAIN"
    before: list[int] = []

    def login(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        before.append(server.commands.count(b"CAPABILITY"))
        return server.correct(b"AUTHENTICATE", talk, arguments)

    with ScriptedServer({b"INBOX": sample(1)}, capabilities=words, greeting=greeting) as server:
        server.on(b"AUTHENTICATE", login)
        connect(server.endpoint, server.credentials, should_stop=lambda: False, limits=QUICK).close()

    assert before == [asked]
