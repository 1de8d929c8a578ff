"""What a server does not understand, or bears, is learnt once (imap-traps §1.8: BAD, [LIMIT], [THROTTLED])."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archivmail.imap.connector import Connector
from archivmail.imap.manners import Manners
from archivmail.imap.permits import Permits
from archivmail.model.account import Origin
from archivmail.model.errors import ArchivmailError, FolderRefused, ServerBusy, ServerViolation
from tests.imap.sessions import INBOX, QUICK, fetch, opened, uid_set
from tests.servers.scripted import Conversation, ScriptedServer, sample

if TYPE_CHECKING:
    from archivmail.imap.session import Session

MODERN = "IMAP4rev1 LIST-EXTENDED LIST-STATUS SPECIAL-USE ESEARCH"


def never() -> bool:
    return False


def answering_bad(command: bytes, word: bytes) -> object:
    """The command as it should be, but for one word that the server offers and does not understand."""

    def hook(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        return b"BAD what?" if word in arguments else server.correct(command, talk, arguments)

    return hook


def connector() -> Connector:
    return Connector(Permits(), limits=QUICK)


def session_of(server: ScriptedServer, process: Connector) -> Session:
    return process(server.endpoint, server.credentials, should_stop=never)


@pytest.mark.parametrize(
    ("command", "word", "count"),
    [
        pytest.param(b"UID SEARCH", b"RETURN (ALL)", 1, id="esearch"),
        pytest.param(b"LIST", b"STATUS (MESSAGES", 1, id="list-status"),
        pytest.param(b"LIST", b"SPECIAL-USE", 2, id="special-use"),
    ],
)
def test_what_was_answered_with_bad_is_not_said_again(command: bytes, word: bytes, count: int) -> None:
    """§1.8 BAD: the feature goes, for this session and for later ones; nothing else does."""
    with ScriptedServer({b"INBOX": sample(3)}, capabilities=MODERN) as server:
        server.on(command, answering_bad(command, word))
        process = connector()
        for _ in range(3):
            session = session_of(server, process)
            (folder,) = session.folders()
            session.examine(folder)
            assert session.uids() == uid_set(1, 2, 3)
            session.examine(folder)
            assert session.uids() == uid_set(1, 2, 3)
            session.close()

    assert sum(word in each for each in server.commands) == count


def test_no_is_no_reason_to_do_without() -> None:
    """A passing refusal: the plain way serves now, the better one is tried again in the next session."""
    with ScriptedServer({b"INBOX": sample(3)}, capabilities=MODERN) as server:
        process = connector()
        for expected in (1, 2):
            server.on(
                b"UID SEARCH",
                lambda scripted, talk, arguments: (
                    b"NO busy" if b"RETURN" in arguments else scripted.correct(b"UID SEARCH", talk, arguments)
                ),
            )
            session = session_of(server, process)
            session.examine(INBOX)
            assert session.uids() == uid_set(1, 2, 3)
            session.close()
            assert sum(b"RETURN (ALL)" in each for each in server.commands) == expected


def test_bad_to_everything_ends_the_session() -> None:
    """§1.8 BAD: no loop; the connection is dropped."""
    limits = replace(QUICK, bads=5)
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=limits, folder=None) as session:
        server.script(b"EXAMINE", tagged=b"BAD what?")
        for _ in range(5):
            with pytest.raises(FolderRefused):
                session.examine(INBOX)
        with pytest.raises(ServerViolation, match="more than 5 commands with BAD"):
            session.examine(INBOX)


@pytest.mark.parametrize(
    "answer",
    [
        b"NO [LIMIT] UID FETCH Rate limit hit",
        b"NO Lookup failed [THROTTLED]",
        b"BAD Request is throttled. Suggested Backoff Time: 60000 milliseconds",
        b"NO Request is throttled. Suggested Backoff Time: 60000 milliseconds",
    ],
)
def test_a_complaint_makes_the_next_session_ask_for_less(answer: bytes) -> None:
    """trap 88: reconnect later, with smaller batches; another account of the server is not slowed down."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        process = connector()
        session = session_of(server, process)
        assert session.most_messages == 200
        session.examine(INBOX)
        server.script(b"UID FETCH", tagged=answer)
        with pytest.raises(ServerBusy):
            fetch(session, uid_set(1))
        session.close()

        again = session_of(server, process)
        assert again.most_messages == 100
        again.close()
        assert process.manners.most_messages(replace(again.origin, user="bob")) == 200


@pytest.mark.parametrize("answer", [b"NO [UNAVAILABLE] later", b"NO [OVERQUOTA] quota", b"* BYE going down"])
def test_other_trouble_slows_nobody_down(answer: bytes) -> None:
    """A fault or a quota has nothing to do with how much is asked at once."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        process = connector()
        session = session_of(server, process)
        if answer.startswith(b"*"):
            server.script(b"LIST", answer + b"\r\n")
        else:
            server.script(b"LIST", tagged=answer)
        with pytest.raises(ArchivmailError):
            session.folders()
        session.close()
        again = session_of(server, process)
        assert again.most_messages == 200
        again.close()


def test_a_server_is_one_however_its_name_is_written() -> None:
    """What was learnt of it holds for all its accounts."""
    manners = Manners()
    manners.avoid(Origin("IMAP.example.org", 993, "alice"), frozenset({"ESEARCH"}))
    offered = frozenset({"ESEARCH", "IDLE"})
    assert manners.useful(Origin("imap.example.org.", 993, "bob"), offered) == {"IDLE"}
    assert manners.useful(Origin("imap.example.org", 143, "bob"), offered) == offered
