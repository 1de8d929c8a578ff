"""A second connection helps and is never needed: nothing is lost, told twice or left behind by it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Lock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archivmail.decide.compressing import Line
from archivmail.imap.connector import Connector
from archivmail.imap.limits import Limits
from archivmail.imap.pair import Pair, Pairing
from archivmail.imap.permits import Permit, Permits
from archivmail.imap.session import Session
from archivmail.imap.sharing import Shared, Taker
from archivmail.model.account import Origin
from archivmail.model.errors import Aborted, ArchiveUnavailable, ConnectionLost
from archivmail.model.message import FetchedMessage, Refused, Sighting
from archivmail.model.uidset import Uid, UidSet
from tests.imap.sessions import INBOX, QUICK
from tests.quirks.engine import Engine
from tests.servers.scripted import Folder, Message, ScriptedServer, sample
from tests.servers.scripted.commands import CORRECT
from tests.servers.scripted.conversation import Conversation
from tests.sync.mailserver import Octets

ALWAYS = replace(QUICK, pair_always=True, read_s=60.0)  # longer than a test waits: no time-out helps
NAME = "imap-second-connection"
LIMIT_S = 20.0
Hook = Callable[[ScriptedServer, Conversation, bytes], bytes | None]


@dataclass
class World:
    """A server on which the second connection meets `faults`; the first waits with its answers until it has."""

    folders: dict[bytes, Folder]
    faults: dict[bytes, Hook] = field(default_factory=dict)
    per_server: int = 3
    met: Event = field(default_factory=Event)
    stop: Event = field(default_factory=Event)
    octets: dict[int, bytes] = field(default_factory=dict)
    answers: list[UidSet] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    is_held: bool = True
    limits: Limits = ALWAYS
    greeting: bytes = b"* OK ready\r\n"

    def __post_init__(self) -> None:
        self.permits = Permits(self.per_server)

    @contextmanager
    def running(self) -> Iterator[ScriptedServer]:
        with ScriptedServer(self.folders, greeting=self.greeting) as server:
            for command in (b"LOGIN", b"EXAMINE", b"UID FETCH"):
                server.on(command, self._bent(command))
            yield server
            assert not [thread for thread in threading.enumerate() if thread.name == NAME]
        assert self.free() == self.per_server

    def _bent(self, command: bytes) -> Hook:
        def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
            if talk is server.talks[0]:
                if command == b"UID FETCH" and self.is_held:
                    assert self.met.wait(LIMIT_S), "the second connection was never used"
                return CORRECT[command](server, talk, arguments)
            if command == b"UID FETCH" or command in self.faults:
                self.met.set()
            return self.faults.get(command, CORRECT[command])(server, talk, arguments)

        return answer

    def free(self) -> int:
        taken: list[Permit] = []
        while (permit := self.permits.try_take(Origin("127.0.0.1", self.port, f"user{len(taken)}"))) is not None:
            taken.append(permit)
        for permit in taken:
            permit.release()
        return len(taken)

    def connect(self, server: ScriptedServer) -> Pair:
        self.port = server.port
        pairing = Pairing(Connector(self.permits, limits=self.limits))
        return pairing(server.endpoint, server.credentials, should_stop=self.stop.is_set)

    def fetch(self, pair: Pair, folder: bytes = b"INBOX") -> None:
        pair.examine(replace(INBOX, name=folder))
        uids = sorted(self.folders[folder].messages)
        batches = [UidSet.of(uids[at : at + 5]) for at in range(0, len(uids), 5)]
        pair.fetch_batches(iter(batches), self.deliver, self.answered)
        assert sorted(self.answers, key=lambda batch: batch.highest) == batches

    def deliver(self, message: FetchedMessage) -> None:
        uid = message.sighting.uid
        assert uid not in self.octets, f"UID {uid} was delivered twice"
        self.octets[uid] = b"".join(bytes(chunk) for chunk in message.body.chunks())
        self.threads.add(threading.current_thread().name)

    def answered(self, batch: UidSet, refusal: Refused | None) -> None:
        assert refusal is None
        self.answers.append(batch)

    def require_all(self, folder: bytes = b"INBOX") -> None:
        assert self.octets == {uid: each.octets for uid, each in self.folders[folder].messages.items()}


def inbox() -> dict[bytes, Folder]:
    return {b"INBOX": sample(40)}


def cut(_: ScriptedServer, talk: Conversation, __: bytes) -> None:
    talk.cut()


def cut_after(messages: int, octets_of_next: int = 0) -> Hook:
    """Give so many messages of the command and cut the line, perhaps within the next one."""

    def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        uids = server.folders[b"INBOX"].uids_in(arguments.partition(b" ")[0])
        for uid in uids[:messages]:
            server.send_message(talk, uid, server.folders[b"INBOX"].messages[uid], arguments)
        if octets_of_next:
            talk.send(b"* 1 FETCH (UID %d FLAGS () BODY[] {100}\r\n" % uids[messages] + b"x" * octets_of_next)
        talk.cut()
        return None

    return answer


def says(tagged: bytes, untagged: bytes = b"") -> Hook:
    def answer(_: ScriptedServer, talk: Conversation, __: bytes) -> bytes:
        talk.send(untagged)
        return tagged

    return answer


def renumbered(_: ScriptedServer, talk: Conversation, __: bytes) -> bytes:
    talk.opened = b"INBOX"
    talk.send(b"* 40 EXISTS\r\n* OK [UIDVALIDITY 99] new\r\n* OK [UIDNEXT 41] next\r\n")
    return b"OK done"


def lagging(_: ScriptedServer, talk: Conversation, __: bytes) -> bytes:
    talk.opened = b"INBOX"
    talk.send(b"* 20 EXISTS\r\n* OK [UIDVALIDITY 1700000000] same\r\n* OK [UIDNEXT 21] next\r\n")
    return b"OK done"


def other_mail(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
    """What another replica has under these UIDs."""
    wanted, _, items = arguments.partition(b" ")
    for uid in server.folders[b"INBOX"].uids_in(wanted):
        server.send_message(talk, uid, Message(b"Subject: of somebody else\r\n\r\n"), items)
    return b"OK done"


def test_both_connections_fetch_and_every_message_comes_once() -> None:
    """Invariant 1: each batch is answered once, whoever asked for it."""
    world = World(inbox())
    with world.running() as server:
        pair = world.connect(server)
        world.fetch(pair)
        pair.close()

    world.require_all()
    assert NAME in world.threads
    assert server.connections == 2


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param({b"LOGIN": cut}, id="cut-at-login"),
        pytest.param({b"LOGIN": says(b"NO [AUTHENTICATIONFAILED] who are you")}, id="refused-at-login"),
        pytest.param({b"EXAMINE": cut}, id="cut-at-examine"),
        pytest.param({b"EXAMINE": says(b"NO [INUSE] locked")}, id="folder-refused"),
        pytest.param({b"EXAMINE": renumbered, b"UID FETCH": other_mail}, id="another-uidvalidity"),
        pytest.param({b"EXAMINE": lagging, b"UID FETCH": other_mail}, id="a-replica-that-lags"),
        pytest.param({b"UID FETCH": cut}, id="cut-before-a-message"),
        pytest.param({b"UID FETCH": cut_after(2)}, id="cut-between-messages"),
        pytest.param({b"UID FETCH": cut_after(2, 30)}, id="cut-in-a-message"),
        pytest.param({b"UID FETCH": cut_after(5)}, id="cut-before-the-tagged-line"),
        pytest.param({b"UID FETCH": says(b"NO [LIMIT] too much")}, id="refused"),
        pytest.param({b"UID FETCH": says(b"BAD what")}, id="not-understood"),
        pytest.param({b"UID FETCH": says(b"OK done")}, id="nothing-comes"),
        pytest.param({b"UID FETCH": says(b"OK done", b"* BYE [UNAVAILABLE] going down\r\n")}, id="bye"),
        pytest.param({b"UID FETCH": says(b"OK done", b"* 1 FETCH (UID (\r\n")}, id="nonsense"),
    ],
)
def test_whatever_happens_to_the_second_connection_the_first_gets_the_rest(faults: dict[bytes, Hook]) -> None:
    """Traps 11, 81, 86, 94: no message is lost, comes twice, or counts as refused or absent."""
    world = World(inbox(), faults)
    with world.running() as server:
        pair = world.connect(server)
        world.fetch(pair)
        pair.close()

    world.require_all()


def test_a_server_that_finds_two_too_many_is_not_asked_again() -> None:
    """trap 89: the complaint is kept for the account, and this session tries no more."""
    world = World(
        {b"INBOX": sample(40), b"Sent": sample(40, 101)},
        {b"LOGIN": says(b"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded")},
    )
    with world.running() as server:
        pair = world.connect(server)
        for folder in world.folders:
            world.octets.clear()
            world.answers.clear()
            world.fetch(pair, folder)
            world.require_all(folder)
        assert world.permits.try_take(pair.origin) is None
        pair.close()

    assert server.connections == 2


def test_the_second_connection_is_kept_for_the_folders_that_follow() -> None:
    """One login, and EXAMINE of each folder."""
    world = World({b"INBOX": sample(40), b"Sent": sample(40, 101)})
    with world.running() as server:
        pair = world.connect(server)
        for folder in world.folders:
            world.octets.clear()
            world.answers.clear()
            world.met.clear()
            world.fetch(pair, folder)
            world.require_all(folder)
        pair.close()

    assert server.connections == 2
    assert Counter(each for each in server.commands if each.startswith(b"EXAMINE")) == {
        b'EXAMINE "INBOX"': 2,
        b'EXAMINE "Sent"': 2,
    }


def test_the_second_connection_ends_when_another_account_waits_for_it() -> None:
    """trap 89: one that can be done without costs nobody a run."""
    world = World(inbox(), per_server=2)
    got: list[Permit] = []
    served: list[bool] = []

    def wait() -> None:
        got.append(world.permits.take(Origin("127.0.0.1", world.port, "bob"), should_stop=lambda: False))

    waiting = threading.Thread(target=wait, daemon=True)

    def stall(_: ScriptedServer, talk: Conversation, __: bytes) -> None:
        waiting.start()
        waiting.join(LIMIT_S)
        served.append(bool(got))
        talk.cut()

    world.faults[b"UID FETCH"] = stall
    with world.running() as server:
        pair = world.connect(server)
        world.fetch(pair)
        assert served == [True]
        got[0].release()
        pair.close()

    world.require_all()


def test_the_end_of_the_first_connection_ends_the_second_and_names_the_batch() -> None:
    """trap 86: the run goes on later; what is suspected is what the first one was asked for."""
    world = World(inbox())
    second_is_busy = Event()

    def slow(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        second_is_busy.set()
        talk.stall()
        return CORRECT[b"UID FETCH"](server, talk, arguments)

    world.faults[b"UID FETCH"] = slow
    with world.running() as server:
        bent = world._bent(b"UID FETCH")

        def first_ends(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
            if talk is server.talks[0]:
                assert second_is_busy.wait(LIMIT_S)
                talk.send(b"* BYE overloaded\r\n")
                talk.cut()
            return bent(server, talk, arguments)

        server.on(b"UID FETCH", first_ends)
        pair = world.connect(server)
        with pytest.raises(ConnectionLost) as caught:
            world.fetch(pair)
        pair.close()

    assert caught.value.broke_at == UidSet.of(range(1, 6))
    assert not world.answers


def test_what_the_archive_raises_in_the_other_thread_ends_the_run() -> None:
    """trap 103: the same error, at once although the first connection is silent, and nothing is delivered after it."""
    world = World(inbox())
    raised = ArchiveUnavailable("the disk is full")
    is_over = Event()

    def deliver(message: FetchedMessage) -> None:
        assert not is_over.is_set()
        world.deliver(message)
        if threading.current_thread().name == NAME:
            is_over.set()
            raise raised

    with world.running() as server:
        bent = world._bent(b"UID FETCH")

        def first_is_silent(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
            if talk is server.talks[0]:
                talk.stall()
            return bent(server, talk, arguments)

        server.on(b"UID FETCH", first_is_silent)
        pair = world.connect(server)
        pair.examine(INBOX)
        batches = [UidSet.of(range(at, at + 5)) for at in range(1, 40, 5)]
        with pytest.raises(ArchiveUnavailable) as caught:
            pair.fetch_batches(iter(batches), deliver, world.answered)
        pair.close()

    assert caught.value is raised


def test_a_bug_in_the_other_thread_is_as_loud_as_in_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no lost connection, and not passed over."""
    world = World(inbox(), is_held=False)
    monkeypatch.setattr(Pair, "_is_same_folder", lambda *_: 1 / 0)
    with world.running() as server:
        pair = world.connect(server)
        with pytest.raises(ZeroDivisionError):
            world.fetch(pair)
        pair.close()


@pytest.mark.parametrize("is_failure", [True, False])
def test_nobody_calls_the_archive_after_a_failure_or_the_end(is_failure: bool) -> None:
    """Invariant 5: a thread that comes late finds the door closed."""
    delivered: list[FetchedMessage] = []
    answers: list[UidSet] = []
    shared = Shared(
        iter([UidSet.of([1])]), delivered.append, lambda batch, _: answers.append(batch), lock=Lock(), failed=Event()
    )
    late = Taker(shared, is_first=False)
    next(late.batches())
    if is_failure:
        shared.fail(ZeroDivisionError())
    else:
        shared.end()

    with pytest.raises(Aborted):
        late.deliver(FetchedMessage(Sighting(Uid(1)), Octets(b"x")))
    with pytest.raises(Aborted):
        next(late.batches())
    late.give_back()
    assert not delivered
    assert not answers


def test_a_run_that_is_told_to_stop_ends_both() -> None:
    """trap 104: both wait for a silent server, and neither for its time-out."""
    world = World(inbox())

    def silent(_: ScriptedServer, talk: Conversation, __: bytes) -> None:
        if talk is not server.talks[0]:
            world.stop.set()
        talk.stall()

    with world.running() as server:
        server.on(b"UID FETCH", silent)
        pair = world.connect(server)
        with pytest.raises(Aborted):
            world.fetch(pair)
        pair.close()


@pytest.mark.parametrize(
    ("line", "greeting", "connections"),
    [
        pytest.param(Line(is_loopback=False, round_trip_s=0.1), b"* OK ready\r\n", 2, id="far"),
        pytest.param(Line(is_loopback=False, round_trip_s=0.001), b"* OK ready\r\n", 1, id="near"),
        pytest.param(Line(is_loopback=True, round_trip_s=0.1), b"* OK ready\r\n", 1, id="loopback"),
        pytest.param(Line(is_loopback=False, round_trip_s=0.1), b"* OK Microsoft Exchange\r\n", 1, id="exchange"),
    ],
)
def test_the_line_and_the_server_decide(
    line: Line, greeting: bytes, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """trap 89: no connection more than helps."""
    monkeypatch.setattr(Session, "line", property(lambda _: line))
    world = World(inbox(), is_held=connections == 2, limits=QUICK, greeting=greeting)
    with world.running() as server:
        pair = world.connect(server)
        world.fetch(pair)
        pair.close()

    world.require_all()
    assert server.connections == connections


def test_a_folder_without_uidvalidity_is_left_to_one_connection() -> None:
    """S13: nobody knows whether two sessions mean the same by a UID."""
    world = World({b"INBOX": replace(sample(40), uid_validity=None)}, is_held=False)
    with world.running() as server:
        pair = world.connect(server)
        world.fetch(pair)
        pair.close()

    world.require_all()
    assert server.connections == 1


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_every_batch_is_answered_once_and_every_message_delivered_once(data: st.DataObject) -> None:
    """Whatever the two do in whatever order, and wherever the second one is lost."""
    sizes = data.draw(st.lists(st.integers(1, 4), max_size=8))
    batches, start = [], 1
    for size in sizes:
        batches.append(UidSet.of(range(start, start + size)))
        start += size
    delivered: list[Uid] = []
    answers: list[UidSet] = []
    shared = Shared(
        iter(batches),
        lambda message: delivered.append(message.sighting.uid),
        lambda batch, _: answers.append(batch),
        lock=Lock(),
        failed=Event(),
    )
    takers = {True: Taker(shared, is_first=True), False: Taker(shared, is_first=False)}
    sources = {is_first: taker.batches() for is_first, taker in takers.items()}
    is_lost = False

    def step(is_first: bool, act: str) -> None:
        taker = takers[is_first]
        left = [lot for lot in taker.lots if lot.left]
        if act == "take":
            next(sources[is_first], None)
        elif act == "deliver" and left:
            uid = min(left[-1].left)
            taker.deliver(FetchedMessage(Sighting(uid), Octets(b"x")))
        elif act == "answer" and taker.lots and (not is_first or not taker.lots[0].left):
            refusal = None if is_first else data.draw(st.sampled_from([None, Refused(None, "no")]))
            taker.answered(taker.lots[0].asked, refusal)

    for is_first, act in data.draw(
        st.lists(st.tuples(st.booleans(), st.sampled_from(["take", "deliver", "answer", "lose"])), max_size=40)
    ):
        if act == "lose" or (is_lost and not is_first):
            is_lost = True
            takers[False].give_back()
        else:
            step(is_first, act)
    takers[False].give_back()
    for lot in list(takers[True].lots):  # the first one goes on until nothing is left
        for uid in lot.left:
            takers[True].deliver(FetchedMessage(Sighting(uid), Octets(b"x")))
        takers[True].answered(lot.asked, None)
    for asked in takers[True].batches():
        for uid in asked:
            takers[True].deliver(FetchedMessage(Sighting(uid), Octets(b"x")))
        takers[True].answered(asked, None)

    assert sorted(delivered) == list(range(1, start))
    assert Counter(answers) == Counter(batches)


def test_a_message_that_breaks_every_connection_is_found_beside_two(tmp_path: Path) -> None:
    """trap 86: its batch comes back from the second, breaks the first, and only that message is suspected."""
    folder = sample(400)
    with ScriptedServer({b"INBOX": folder}) as server, Engine(tmp_path, server) as engine:
        engine.connector = Pairing(Connector(Permits(), limits=ALWAYS))

        def poisoned(bent: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
            wanted, _, items = arguments.partition(b" ")
            for uid in folder.uids_in(wanted):
                if uid == 300:
                    talk.cut()
                bent.send_message(talk, uid, folder.messages[uid], items)
            return b"OK done"

        server.on(b"UID FETCH", poisoned)
        engine.sync()
        engine.later(days=1)
        outcome = engine.sync()
        held = {uid for _, _, uid in engine.held()}
        assert set(folder.messages) - held == {300}
        assert "UID 300" in (outcome.folders[0].note or str(engine.status))
        server.mend()
        engine.later(days=1)
        engine.sync()
        engine.require_all()
