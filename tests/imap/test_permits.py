"""Connections to one server are limited for all accounts together (trap 89)."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archivmail.imap.connector import Connector
from archivmail.imap.oauth import unheard
from archivmail.imap.permits import Permits
from archivmail.model.account import Origin
from archivmail.model.errors import Aborted, ConnectionLost, CredentialsRefused, ServerBusy
from archivmail.model.reasons import Reason
from tests.imap.sessions import QUICK, uid_set
from tests.servers.scripted import ScriptedServer, sample

if TYPE_CHECKING:
    from archivmail.imap.permits import Permit
    from archivmail.imap.session import Session

ALICE = Origin("imap.example.org", 993, "alice")
BOB = replace(ALICE, user="bob")
CAROL = replace(ALICE, user="carol")
OTHER_HOST = replace(ALICE, host="imap.example.net")


def never() -> bool:
    return False


class Waiting:
    """Somebody who waits for a permit in a thread of his own."""

    def __init__(self, permits: Permits, origin: Origin, turns: list[str]) -> None:
        self.is_waiting = threading.Event()
        self.permit: Permit | None = None

        def should_stop() -> bool:
            self.is_waiting.set()  # asked after the first look
            return False

        def wait() -> None:
            self.permit = permits.take(origin, should_stop=should_stop)
            turns.append(origin.user)

        self.thread = threading.Thread(target=wait, daemon=True)
        self.thread.start()

    def served(self) -> Permit:
        self.thread.join(10)
        assert self.permit is not None
        return self.permit


def test_who_waits_is_served_in_turn() -> None:
    """trap 89: first come, first served; what comes free is taken at once."""
    permits, turns = Permits(1), list[str]()
    first = permits.take(ALICE, should_stop=never)
    bob = Waiting(permits, BOB, turns)
    assert bob.is_waiting.wait(10)
    carol = Waiting(permits, CAROL, turns)
    assert carol.is_waiting.wait(10)
    assert turns == []

    first.release()
    bob.served().release()
    carol.served().release()

    assert turns == ["bob", "carol"]


def test_nobody_overtakes_who_waits() -> None:
    """trap 89: a permit comes free while the first in the queue is busy with something else for a moment."""
    permits = Permits(1)
    first = permits.take(ALICE, should_stop=never)
    is_busy, may_go_on = threading.Event(), threading.Event()
    asked = threading.Semaphore(0)
    served: list[Permit] = []

    def busy() -> bool:
        is_busy.set()
        may_go_on.wait(10)
        return False

    def looking() -> bool:
        asked.release()
        return False

    bob = threading.Thread(target=lambda: served.append(permits.take(BOB, should_stop=busy)), daemon=True)
    bob.start()
    assert is_busy.wait(10)
    carol = threading.Thread(target=lambda: served.append(permits.take(CAROL, should_stop=looking)), daemon=True)
    carol.start()
    assert asked.acquire(timeout=10)
    first.release()

    assert asked.acquire(timeout=10), "carol looks again"
    assert asked.acquire(timeout=10), "and again"
    assert served == []
    assert permits.try_take(ALICE) is None, "nor does a connection that one can do without"

    may_go_on.set()
    bob.join(10)
    served[0].release()
    carol.join(10)
    assert len(served) == 2


def test_a_wait_ends_when_the_run_should() -> None:
    """A run that waits for its turn keeps its timeout, and leaves the queue to others."""
    permits = Permits(1)
    first = permits.take(ALICE, should_stop=never)
    with pytest.raises(Aborted):
        permits.take(BOB, should_stop=lambda: True)
    first.release()
    assert permits.try_take(CAROL) is not None


def test_a_wait_has_an_end_of_its_own() -> None:
    """The slot is given to accounts of other servers, and the sentence names the setting."""
    permits = Permits(1, longest_wait_s=0)
    with permits.take(ALICE, should_stop=never), pytest.raises(ServerBusy, match="ARCHIVMAIL_HOST_CONNECTIONS") as told:
        permits.take(BOB, should_stop=never)
    assert told.value.reason is Reason.TOO_MANY_CONNECTIONS


@pytest.mark.parametrize("same", [replace(ALICE, host="IMAP.Example.ORG"), replace(ALICE, host="imap.example.org.")])
def test_a_server_is_one_however_its_name_is_written(same: Origin) -> None:
    """Host names have no case, and a final dot changes nothing."""
    permits = Permits(1)
    with permits.take(ALICE, should_stop=never):
        assert permits.try_take(replace(same, user="bob")) is None
        assert permits.try_take(OTHER_HOST) is not None
        assert permits.try_take(replace(ALICE, port=143)) is not None


def test_an_optional_connection_takes_nobodys_place() -> None:
    """A second connection is had only while a permit is free, and is asked back when somebody waits."""
    permits, turns = Permits(2), list[str]()
    first = permits.take(ALICE, should_stop=never)
    second = permits.try_take(ALICE)
    assert second is not None
    assert not second.is_wanted
    assert permits.try_take(ALICE) is None
    bob = Waiting(permits, BOB, turns)
    assert bob.is_waiting.wait(10)
    assert second.is_wanted

    second.release()

    with bob.served(), first:
        assert permits.try_take(ALICE) is None


def test_one_account_has_no_more_than_three() -> None:
    """However many are free."""
    permits = Permits(10)
    kept = [permits.take(ALICE, should_stop=never), permits.try_take(ALICE), permits.try_take(ALICE)]
    assert None not in kept
    assert permits.try_take(ALICE) is None


def test_a_permit_is_given_back_once() -> None:
    """Releasing twice frees one place only."""
    permits = Permits(1)
    first = permits.take(ALICE, should_stop=never)
    first.release()
    second = permits.take(ALICE, should_stop=never)
    first.release()
    assert permits.try_take(BOB) is None
    second.release()


class World:
    """A server and the connections of one process to it."""

    def __init__(self, server: ScriptedServer, per_server: int = 3) -> None:
        self.server = server
        self.permits = Permits(per_server)
        self.connector = Connector(self.permits, limits=QUICK)
        self.origin = Origin(server.endpoint.host, server.endpoint.port, server.username)

    def connect(self) -> Session:
        return self.connector(self.server.endpoint, self.server.credentials, should_stop=never)

    def another(self) -> Session | None:
        return self.connector.another(self.server.endpoint, self.server.credentials, should_stop=never, rotated=unheard)

    def free(self) -> int:
        """Permits that are left for others."""
        taken = []
        while (permit := self.permits.try_take(replace(self.origin, user=f"user{len(taken)}"))) is not None:
            taken.append(permit)
        for permit in taken:
            permit.release()
        return len(taken)


def test_a_session_keeps_its_permit_until_it_is_closed() -> None:
    """trap 89: as long as the connection is open."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        world = World(server)
        session = world.connect()
        assert world.free() == 2
        session.close()
        session.close()
        assert world.free() == 3


def test_a_session_that_breaks_gives_its_permit_back() -> None:
    """trap 86: the next try needs it."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        world = World(server)
        session = world.connect()
        server.script(b"UID SEARCH", b"* BYE going down\r\n")
        with pytest.raises(ConnectionLost):
            session.uids()
        assert world.free() == 3
        session.close()
        assert world.free() == 3


def test_a_login_that_fails_gives_its_permit_back() -> None:
    """A wrong password must not use up the connections of others."""
    with ScriptedServer() as server:
        world = World(server)
        server.script(b"LOGIN", tagged=b"NO [AUTHENTICATIONFAILED] no")
        with pytest.raises(CredentialsRefused):
            world.connect()
        assert world.free() == 3


@pytest.mark.parametrize("at_greeting", [True, False])
def test_a_server_that_finds_them_too_many_gets_fewer(*, at_greeting: bool) -> None:
    """trap 89: lowered to what it had let in, and not taken for a wrong password."""
    words = b"Too many open connections (3 of 2 from host)"
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        world = World(server)
        kept = [world.connect(), world.connect()]
        if at_greeting:
            server.greeting = b"* BYE " + words + b"\r\n"
        else:
            server.script(b"LOGIN", tagged=b"NO " + words)
        with pytest.raises(ServerBusy) as told:
            world.connect()
        assert told.value.reason is Reason.TOO_MANY_CONNECTIONS
        assert world.permits.allowed(world.origin) == 2
        for session in kept:
            session.close()


def test_a_limit_of_one_user_takes_nothing_from_the_others() -> None:
    """trap 89: Dovecot counts the connections of a user; he does with one from then on."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        world = World(server)
        session = world.connect()
        server.script(b"LOGIN", tagged=b"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded")
        with pytest.raises(ServerBusy):
            world.another()
        assert world.permits.allowed(world.origin) == 3
        assert world.another() is None
        assert world.free() == 2
        session.close()


def test_a_second_session_reads_beside_the_first() -> None:
    """Both are sessions of their own."""
    with ScriptedServer({b"INBOX": sample(2)}) as server:
        world = World(server)
        first, second = world.connect(), world.another()
        assert second is not None
        for session in (first, second):
            session.examine(session.folders()[0])
            assert session.uids() == uid_set(1, 2)
            session.close()


def test_accounts_wait_for_each_other_on_a_full_server() -> None:
    """trap 89: five runs at once, never more than two connections."""
    most, lock, done = [0], threading.Lock(), list[int]()
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        world = World(server, per_server=2)
        open_now: set[int] = set()

        def run(number: int) -> None:
            session = world.connect()
            with lock:
                open_now.add(number)
                most[0] = max(most[0], len(open_now))
            session.folders()
            with lock:
                open_now.discard(number)
                done.append(number)
            session.close()

        threads = [threading.Thread(target=run, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    assert sorted(done) == [0, 1, 2, 3, 4]
    assert most[0] <= 2
