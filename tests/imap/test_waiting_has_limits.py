"""Every wait ends: by a limit, or at once when the run is told to stop (imap-traps §1.7)."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest

from archivmail.imap.dialing import dial
from archivmail.imap.limits import Limits
from archivmail.imap.session import connect
from archivmail.model.account import Endpoint, TlsMode
from archivmail.model.errors import Aborted, ConnectionLost
from tests.imap.sessions import QUICK, fetch, opened, uid_set
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, sample

SHORT = replace(QUICK, connect_s=0.6, read_s=0.6)


class Stop:
    """Told to stop some time after it was asked for the first time."""

    def __init__(self, after_s: float = 0.3) -> None:
        self._after_s = after_s
        self._told_at: float | None = None
        self.is_armed = True

    def __call__(self) -> bool:
        if not self.is_armed:
            return False
        self._told_at = self._told_at or time.monotonic()
        return time.monotonic() - self._told_at > self._after_s


def seconds(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


@pytest.mark.parametrize("mode", [TlsMode.DISABLED, TlsMode.IMPLICIT])
def test_a_silent_server_is_left_when_told_to_stop(mode: TlsMode) -> None:
    """Invariant: an abort takes effect within 2 s, with the limits of production."""
    with ScriptedServer(tls=mode, stall_after=0) as server:

        def attempt() -> None:
            with pytest.raises(Aborted):
                connect(server.endpoint, server.credentials, should_stop=Stop())

        assert seconds(attempt) < 2


def test_a_handshake_that_does_not_go_on_is_left_when_told_to_stop() -> None:
    """A peer that accepts and says nothing, not even in TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ScriptedServer() as server:
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1])

        def attempt() -> None:
            with pytest.raises(Aborted):
                connect(endpoint, server.credentials, should_stop=Stop())

        assert seconds(attempt) < 2


def test_a_fetch_that_stalls_is_left_when_told_to_stop() -> None:
    """In the middle of a literal."""
    stop = Stop()
    stop.is_armed = False

    def stall(_server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        talk.send(b"* 1 FETCH (UID 1 BODY[] {100}\r\nabc")
        talk.stall()

    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=Limits(), should_stop=stop) as session:
        server.on(b"UID FETCH", stall)
        stop.is_armed = True

        def attempt() -> None:
            with pytest.raises(Aborted):
                fetch(session, uid_set(1))

        assert seconds(attempt) < 2


def test_a_stream_that_never_pauses_is_left_when_told_to_stop() -> None:
    """The stop is asked for while octets flow, too."""
    stop = Stop()
    stop.is_armed = False

    def flood(_server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        talk.send(b"* 1 FETCH (UID 1 BODY[] {2000000000}\r\n")
        while True:
            talk.send(b"x" * 65536)

    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=Limits(), should_stop=stop) as session:
        server.on(b"UID FETCH", flood)
        stop.is_armed = True

        def attempt() -> None:
            with pytest.raises(Aborted):
                session.fetch(uid_set(1), lambda _: None)

        assert seconds(attempt) < 5


def test_silence_has_a_limit() -> None:
    """trap 82: 60 s in production."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=SHORT) as session:
        server.on(b"UID FETCH", lambda _server, talk, _arguments: talk.stall())
        with pytest.raises(ConnectionLost, match="silent"):
            fetch(session, uid_set(1))


def test_dripping_has_a_limit() -> None:
    """trap 82: an octet now and then is no progress."""
    ending = threading.Event()

    def drip(_server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        talk.send(b"* 1 FETCH (UID 1 BODY[] {100000}\r\n")
        while not ending.wait(0.05):
            talk.send(b"x")

    limits = replace(QUICK, pace_window_s=0.8, pace_bytes=500)
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=limits) as session:
        server.on(b"UID FETCH", drip)
        try:
            with pytest.raises(ConnectionLost, match="less than 500 octets"):
                fetch(session, uid_set(1))
        finally:
            ending.set()


def test_time_in_the_archive_is_not_the_servers() -> None:
    """The pace counts waiting only: a slow disk does not make a server slow."""
    folder = Folder({uid: Message(b"x" * 10) for uid in range(1, 6)})
    limits = replace(QUICK, pace_window_s=0.2, pace_bytes=100_000)
    got: list[int] = []
    slow = threading.Event()

    def deliver(message: object) -> None:
        slow.wait(0.1)
        got.append(1)

    with ScriptedServer({b"INBOX": folder}) as server, opened(server, limits=limits) as session:
        session.fetch(uid_set(1, 2, 3, 4, 5), deliver)

    assert len(got) == 5


@contextmanager
def taking_nobody() -> Iterator[tuple[str, int]]:
    """The address of a peer that takes no connections: its queue is full."""
    with socket.socket() as listener, ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()


def test_connecting_has_a_limit() -> None:
    """For a peer that answers nothing at all."""
    with taking_nobody() as (host, port), ScriptedServer() as server:

        def attempt() -> None:
            with pytest.raises(ConnectionLost, match="did not answer in time"):
                connect(
                    Endpoint(host, port, TlsMode.DISABLED),
                    server.credentials,
                    should_stop=lambda: False,
                    limits=SHORT,
                )

        assert seconds(attempt) < 5


def test_any_number_of_addresses_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """trap 82: a name may have thousands; none that is left when the time is up is tried."""
    with taking_nobody() as address:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 500
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

        def attempt() -> None:
            with pytest.raises(ConnectionLost, match="did not answer in time"):
                dial("a.example", 993, limits=SHORT, should_stop=lambda: False)

        assert seconds(attempt) < 5


def test_nobody_there_is_told() -> None:
    """The sentence names what to check."""
    with ScriptedServer() as server:
        endpoint = replace(server.endpoint)
        credentials = server.credentials
    with pytest.raises(ConnectionLost, match=r"nothing listens at 127\.0\.0\.1"):
        connect(endpoint, credentials, should_stop=lambda: False, limits=QUICK)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300])
def test_an_unknown_host_is_told(host: str) -> None:
    """RFC 6761 §6.4: .invalid never resolves; and names that are none."""
    with ScriptedServer() as server, pytest.raises(ConnectionLost, match=r"resolved|not found within"):
        connect(replace(server.endpoint, host=host), server.credentials, should_stop=lambda: False, limits=QUICK)


def test_closing_takes_no_longer_than_its_limit() -> None:
    """A server that does not answer LOGOUT keeps nobody."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=Limits()) as session:
        server.on(b"LOGOUT", lambda _server, talk, _arguments: talk.stall())
        assert seconds(session.close) < 2


@pytest.mark.parametrize("octets", [b"*", b"* OK wait\r\n", b"* OK wait\r\n" * 5000], ids=["octets", "lines", "flood"])
def test_closing_takes_no_longer_for_a_server_that_talks(octets: bytes) -> None:
    """trap 82: whoever is told of the end and goes on and on keeps nobody either."""
    ending = threading.Event()

    def talk_on(_server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        while not ending.wait(0.02):
            talk.send(octets)

    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=Limits()) as session:
        server.on(b"LOGOUT", talk_on)
        closing = threading.Thread(target=session.close, daemon=True)
        closing.start()
        closing.join(10)
        is_closed = not closing.is_alive()
        ending.set()
    assert is_closed


def test_closing_works_after_a_stop() -> None:
    """A run that was told to stop still says good-bye."""
    stop = Stop(0)
    stop.is_armed = False
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, should_stop=stop) as session:
        stop.is_armed = True
        session.close()
        assert server.commands[-1] == b"LOGOUT"
