"""The next batch is asked for while the present one is answered, and nothing is lost or mixed up by that."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from archivmail.decide.pipelining import depth_for
from archivmail.imap.limits import Limits
from archivmail.imap.manners import Manners
from archivmail.imap.session import Session, connect
from archivmail.model.errors import ConnectionLost, ServerBusy
from archivmail.model.message import FetchedMessage, Refused
from archivmail.model.outcome import Result
from archivmail.model.uidset import UidSet
from tests.imap.sessions import INBOX, opened, uid_set
from tests.quirks.engine import Engine
from tests.servers.scripted import Folder, Message, ScriptedServer, sample
from tests.servers.scripted.conversation import Conversation

IMPATIENT = Limits(connect_s=5, read_s=0.3, slice_s=0.05, close_s=0.3)


class Got:
    """What a conversation delivered and how each batch was answered."""

    def __init__(self) -> None:
        self.octets: dict[int, bytes] = {}
        self.flags: dict[int, tuple[str, ...]] = {}
        self.answers: list[tuple[str, bool]] = []

    def deliver(self, message: FetchedMessage) -> None:
        uid = message.sighting.uid
        assert uid not in self.octets, f"UID {uid} was delivered twice"
        self.octets[uid] = b"".join(bytes(chunk) for chunk in message.body.chunks())
        self.flags[uid] = message.sighting.flags

    def answered(self, batch: UidSet, refusal: Refused | None) -> None:
        self.answers.append((str(batch), refusal is None))


def fetch_all(session: Session, *batches: UidSet, got: Got | None = None) -> Got:
    got = got or Got()
    session.fetch_batches(iter(batches), got.deliver, got.answered)
    return got


def octets(folder: Folder) -> dict[int, bytes]:
    return {uid: message.octets for uid, message in folder.messages.items()}


def patient(server: ScriptedServer, hold: Callable[[int], bool]) -> list[int]:
    """Let the server answer a UID FETCH only once the next command is there, where `hold` says so; gives the counts."""
    seen: list[int] = []

    def answer(bent: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        number = len(seen)
        tag = bent.tag
        if hold(number):
            while b"\r\n" not in talk._buffer:
                talk._buffer += talk._received()
        seen.append(talk._buffer.count(b"UID FETCH"))
        bent.tag = tag
        return bent.correct(b"UID FETCH", talk, arguments)

    server.on(b"UID FETCH", answer)
    return seen


def test_the_next_batch_is_asked_for_before_the_present_one_is_answered() -> None:
    """Depth 2: a server that waits for the second command before it answers the first is no deadlock."""
    folder = sample(9)
    with ScriptedServer({b"INBOX": folder}) as server, opened(server) as session:
        seen = patient(server, lambda number: number < 2)
        got = fetch_all(session, uid_set(1, 2, 3), uid_set(4, 5, 6), uid_set(7, 8, 9))

    assert got.octets == octets(folder)
    assert got.answers == [("1:3", True), ("4:6", True), ("7:9", True)]
    assert seen == [1, 1, 0]


@pytest.mark.parametrize(
    ("greeting", "depth"),
    [
        pytest.param("Dovecot (Debian) ready.", 2, id="dovecot"),
        pytest.param("Gimap ready for requests from 192.0.2.1", 2, id="gmail"),
        pytest.param("The Microsoft Exchange IMAP4 service is ready. [TABPADY=]", 1, id="exchange"),
        pytest.param("", 2, id="nothing-said"),
    ],
)
def test_depth_follows_what_the_server_says_of_itself(greeting: str, depth: int) -> None:
    """Exchange is asked one by one."""
    assert depth_for(greeting) == depth


def test_exchange_gets_one_command_at_a_time() -> None:
    """The second stands in no buffer while the first is answered."""
    folder = sample(4)
    greeting = b"* OK The Microsoft Exchange IMAP4 service is ready.\r\n"
    with ScriptedServer({b"INBOX": folder}, greeting=greeting) as server, opened(server) as session:
        seen = patient(server, lambda _: False)
        got = fetch_all(session, uid_set(1, 2), uid_set(3, 4))

    assert got.octets == octets(folder)
    assert seen == [0, 0]


def test_a_server_that_answers_bad_to_what_came_early_is_asked_again_one_by_one() -> None:
    """The batch counts as not refused: nothing of it was at fault."""
    folder = sample(6)
    busy: list[bool] = []

    def answer(bent: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if len(busy) == 1:
            busy.append(True)
            return b"BAD one command at a time"
        busy.append(False)
        return bent.correct(b"UID FETCH", talk, arguments)

    with ScriptedServer({b"INBOX": folder}) as server, opened(server) as session:
        server.on(b"UID FETCH", answer)
        got = fetch_all(session, uid_set(1, 2), uid_set(3, 4), uid_set(5, 6))

    assert got.octets == octets(folder)
    assert sorted(got.answers) == [("1:2", True), ("3:4", True), ("5:6", True)]


def test_a_back_off_hint_is_heard_although_the_command_came_early() -> None:
    """trap 88: Exchange puts it under BAD; asking again at once would be the wrong answer."""
    answered: list[bool] = []

    def answer(bent: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        answered.append(True)
        if len(answered) == 2:
            return b"BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds"
        return bent.correct(b"UID FETCH", talk, arguments)

    with ScriptedServer({b"INBOX": sample(6)}) as server, opened(server) as session:
        server.on(b"UID FETCH", answer)
        with pytest.raises(ServerBusy) as caught:
            fetch_all(session, uid_set(1, 2), uid_set(3, 4), uid_set(5, 6))

    assert caught.value.retry_after == timedelta(milliseconds=299961)


def test_bad_to_a_command_that_came_alone_is_a_refusal() -> None:
    """And is not asked for ever."""
    with ScriptedServer({b"INBOX": sample(2)}) as server, opened(server) as session:
        server.script(b"UID FETCH", tagged=b"BAD no")
        got = fetch_all(session, uid_set(1, 2))

    assert got.answers == [("1:2", False)]
    assert got.octets == {}


def test_a_server_that_never_reads_what_came_early_is_asked_one_by_one_from_then_on() -> None:
    """It looks like a lost connection once; the process remembers."""
    folder = sample(6)
    manners = Manners()

    def answer(bent: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        result = bent.correct(b"UID FETCH", talk, arguments)
        with contextlib.suppress(TimeoutError):
            talk.socket.settimeout(0.1)
            talk._buffer += talk.socket.recv(65536)
        talk.socket.settimeout(30)
        talk._buffer = b""
        return result

    with ScriptedServer({b"INBOX": folder}) as server:
        server.on(b"UID FETCH", answer)
        connected = partial(connect, should_stop=lambda: False, limits=IMPATIENT, manners=manners)
        session = connected(server.endpoint, server.credentials)
        session.examine(INBOX)
        lost = Got()
        with pytest.raises(ConnectionLost):
            fetch_all(session, uid_set(1, 2), uid_set(3, 4), uid_set(5, 6), got=lost)
        session = connected(server.endpoint, server.credentials)
        session.examine(INBOX)
        got = fetch_all(session, uid_set(1, 2), uid_set(3, 4), uid_set(5, 6))
        session.close()

    assert lost.answers[0] == ("1:2", True)
    assert not lost.octets.keys() & {3, 4}
    assert got.octets == octets(folder)


@pytest.mark.parametrize("way", ["both-at-once", "second-first", "mixed"])
def test_responses_are_told_apart_by_uid_in_whatever_order_they_come(way: str) -> None:
    """RFC 9051 §5.5 lets a server answer two commands at the same time (trap 38)."""
    folder = sample(4)
    tags: list[bytes] = []

    def answer(bent: ScriptedServer, talk: Conversation, _: bytes) -> bytes | None:
        tags.append(bent.tag)
        if len(tags) < 2:
            return None
        items = b"(UID FLAGS INTERNALDATE BODY.PEEK[])"
        for uid in {"both-at-once": (1, 2, 3, 4), "second-first": (3, 4, 1, 2), "mixed": (3, 1, 4, 2)}[way]:
            bent.send_message(talk, uid, folder.messages[uid], items)
        for tag in tags if way == "both-at-once" else reversed(tags):
            talk.send(tag + b" OK done\r\n")
        return None

    with ScriptedServer({b"INBOX": folder}) as server, opened(server) as session:
        server.on(b"UID FETCH", answer)
        got = fetch_all(session, uid_set(1, 2), uid_set(3, 4))

    assert got.octets == octets(folder)
    assert sorted(got.answers) == [("1:2", True), ("3:4", True)]


def test_an_empty_message_is_confirmed_before_its_batch_counts_as_answered() -> None:
    """trap 34, beside a command that is on the way."""
    folder = sample(3)
    folder.messages[2] = Message(b"")
    with ScriptedServer({b"INBOX": folder}) as server, opened(server) as session:
        got = fetch_all(session, uid_set(1, 2), uid_set(3))

    assert got.octets == octets(folder)
    assert sorted(got.answers) == [("1:2", True), ("3", True)]


USUAL = b'* 1 FETCH (UID 1 FLAGS (\\Seen $Label1) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {3}\r\nabc%b\r\n'


@pytest.mark.parametrize(
    ("response", "flags"),
    [
        pytest.param(USUAL % b")", ("\\Seen", "$Label1"), id="usual"),
        pytest.param(USUAL % b" )", ("\\Seen", "$Label1"), id="trap-76-blank-before-the-parenthesis"),
        pytest.param(USUAL % b"", ("\\Seen", "$Label1"), id="trap-76-no-parenthesis"),
        pytest.param(USUAL % b"\r\n)", ("\\Seen", "$Label1"), id="trap-73-blank-line"),
        pytest.param(USUAL % b" MODSEQ (12))", ("\\Seen", "$Label1"), id="trap-39-more-items-after-the-octets"),
        pytest.param(b"* 1 FETCH (FLAGS (\\Deleted))\r\n" + USUAL % b")", ("\\Seen", "$Label1"), id="trap-38-no-uid"),
        pytest.param(
            b"* 1 FETCH (UID 1 FLAGS (\\Deleted))\r\n" + USUAL % b")", ("\\Seen", "$Label1"), id="trap-39-told-before"
        ),
        pytest.param(
            b'* 1 fetch (INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {3}\r\nabc UID 1 FLAGS ())\r\n',
            (),
            id="trap-74-other-order-and-case",
        ),
        pytest.param(
            b'* 1 FETCH (FLAGS () INTERNALDATE "17-Jul-1996 02:44:25 -0700" UID 1 BODY[] {3}\r\nabc)\r\n',
            (),
            id="uid-last",
        ),
        pytest.param(
            b'* 9 FETCH (UID 7 FLAGS () INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] {3}\r\nxyz)\r\n'
            + USUAL % b")",
            ("\\Seen", "$Label1"),
            id="trap-38-nobody-asked",
        ),
    ],
)
def test_every_form_of_a_response_gives_the_same_message(response: bytes, flags: tuple[str, ...]) -> None:
    """The quick way of reading and the thorough one agree, and meet in the middle of a response."""
    with ScriptedServer({b"INBOX": sample(2)}) as server, opened(server) as session:
        server.script(b"UID FETCH", response)
        got = fetch_all(session, uid_set(1))

    assert got.octets == {1: b"abc"}
    assert got.flags == {1: flags}
    assert got.answers == [("1", True)]


def cuts() -> Iterator[int]:
    """Through three batches of a session: within every part of a response."""
    yield from range(500, 4200, 148)


@pytest.mark.slow
def test_a_cut_anywhere_between_batches_loses_nothing(tmp_path: Path) -> None:
    """traps 42, 48, 86: what was on the way is asked for again, and nothing stands twice."""
    for number, cut in enumerate(cuts()):
        with (
            ScriptedServer({b"INBOX": sample(30)}, cut_after=cut) as server,
            Engine(tmp_path / str(number), server) as engine,
        ):
            engine.sync()
            server.mend()
            engine.later(hours=1)
            assert engine.sync(forced=True).result is Result.SUCCEEDED
            engine.require_all()


def test_a_refused_message_is_found_while_other_batches_go_on(tmp_path: Path) -> None:
    """trap 36: halves of the refused batch are asked for between the others."""

    def answer(bent: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        folder = bent.folders[b"INBOX"]
        wanted = folder.uids_in(arguments.partition(b" ")[0])
        if 250 not in wanted:
            return bent.correct(b"UID FETCH", talk, arguments)
        for uid in wanted[: wanted.index(250)]:
            bent.send_message(talk, uid, folder.messages[uid], arguments)
        return b"NO Some messages could not be FETCHed (Failure)"

    with ScriptedServer({b"INBOX": sample(900)}) as server, Engine(tmp_path, server) as engine:
        server.on(b"UID FETCH", answer)
        outcome = engine.sync()
        assert outcome.result is Result.PARTIAL
        assert [key[2] for key in engine.truth().keys() - engine.held().keys()] == [250]
        server.mend()
        assert engine.sync(forced=True).result is Result.SUCCEEDED
        engine.require_all()
