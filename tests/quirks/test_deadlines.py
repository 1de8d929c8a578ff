"""A run ends within its timeout, wherever the server holds it up; what it archived is kept (trap 82)."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from archivmail.archive.opening import open_archive
from archivmail.imap.connector import Connector
from archivmail.imap.limits import Limits
from archivmail.imap.permits import Permits
from archivmail.model.account import AccountRef, Origin, TlsMode
from archivmail.model.errors import ConnectionLost
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.sync.account import Job, run
from tests.imap.sessions import QUICK, opened
from tests.quirks.engine import SPEC, Watched
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from archivmail.model.outcome import AccountOutcome

PRODUCTION = Limits()
TIMEOUT = timedelta(seconds=1)
"""Of a run; everything that holds it up goes on for ever."""
GRACE_S = 20.0
"""Of a machine with other work: what has no limit at all takes longer than that."""


def dripping(octets: bytes = b"x", every_s: float = 0.02) -> Callable[..., None]:
    """Octets one by one, without an end and without a pause that anybody would call silence."""

    def hook(_server: ScriptedServer, talk: Conversation, _arguments: bytes) -> None:
        pause = threading.Event()
        while True:
            talk.send(octets)
            pause.wait(every_s)

    return hook


def after(first: bytes, hook: Callable[..., None]) -> Callable[..., None]:
    """Something that begins well."""

    def begun(server: ScriptedServer, talk: Conversation, arguments: bytes) -> None:
        talk.send(first)
        hook(server, talk, arguments)

    return begun


class Timed:
    """One run with the limits of production and a timeout of a second."""

    def __init__(self, folder: Path, server: ScriptedServer, permits: Permits | None = None) -> None:
        self.server = server
        self.connector = Connector(permits or Permits(), limits=PRODUCTION)
        self.archive = open_archive(str(folder / "archive"), create=True)
        self.took_s = 0.0

    def sync(self) -> AccountOutcome:
        job = Job(
            ref=AccountRef("team-a", "alice"),
            spec=replace(SPEC, timeout=TIMEOUT),
            endpoint=self.server.endpoint,
            credentials=self.server.credentials,
        )
        began = time.monotonic()
        outcome = run(
            job,
            connect=self.connector,
            open_account=self.archive.take,
            watcher=Watched(),
            clock=lambda: datetime.now(UTC),
            should_stop=lambda: False,
        )
        self.took_s = time.monotonic() - began
        return outcome

    def held(self) -> set[int]:
        return {int(row.uid) for row in self.archive.placements()}


def require_timeout(outcome: AccountOutcome, timed: Timed) -> None:
    assert outcome.result is Result.INTERRUPTED
    assert outcome.failure is not None
    assert outcome.failure.reason is Reason.TIMED_OUT
    assert TIMEOUT.total_seconds() <= timed.took_s < GRACE_S


def test_a_server_that_drips_within_a_large_message_is_cut(tmp_path: Path) -> None:
    """trap 82: fast enough for any floor of pace; the messages before it are kept."""
    folder = Folder({1: Message(b"Subject: a\r\n\r\none"), 2: Message(b"Subject: b\r\n\r\ntwo")})

    def hook(server: ScriptedServer, talk: Conversation, _arguments: bytes) -> None:
        server.send_message(talk, 1, folder.messages[1], b"(UID FLAGS INTERNALDATE BODY.PEEK[])")
        talk.send(b"* 2 FETCH (UID 2 FLAGS () BODY[] {2000000000}\r\n")
        dripping(b"x" * 100)(server, talk, b"")

    with ScriptedServer({b"INBOX": folder}) as server:
        timed = Timed(tmp_path, server)
        server.on(b"UID FETCH", hook)
        require_timeout(timed.sync(), timed)
        assert timed.held() == {1}
        timed.archive.close()


@pytest.mark.parametrize(
    ("command", "hook"),
    [
        pytest.param(b"LOGIN", dripping(), id="login-without-a-line-end"),
        pytest.param(b"LOGIN", dripping(b"* OK wait\r\n"), id="login-with-lines"),
        pytest.param(b"CAPABILITY", dripping(b"* OK wait\r\n"), id="capability"),
        pytest.param(b"LIST", dripping(b'* LIST () "/" a\r\n'), id="list-of-one-folder-for-ever"),
        pytest.param(b"STATUS", dripping(b"* OK wait\r\n"), id="status"),
        pytest.param(b"EXAMINE", dripping(b"* OK wait\r\n"), id="examine"),
        pytest.param(b"UID SEARCH", after(b"* SEARCH", dripping(b" 1")), id="search-without-a-line-end"),
        pytest.param(b"UID FETCH", dripping(b"* 1 FETCH (UID 1 FLAGS ())\r\n"), id="fetch-of-flags-for-ever"),
    ],
)
def test_a_server_that_drips_is_cut_at_every_command(command: bytes, hook: Callable[..., None], tmp_path: Path) -> None:
    """trap 82: each octet comes in time, and there is no end to them."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        timed = Timed(tmp_path, server)
        server.on(command, hook)
        require_timeout(timed.sync(), timed)
        timed.archive.close()


def test_a_greeting_that_does_not_come_is_cut(tmp_path: Path) -> None:
    """trap 82: before a word of the login; the limit of production on silence is 60 s."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        timed = Timed(tmp_path, server)
        server.greeting = b""
        require_timeout(timed.sync(), timed)
        timed.archive.close()


def test_a_handshake_without_an_end_is_cut(tmp_path: Path) -> None:
    """trap 82: TLS that never comes to be."""
    with ScriptedServer({b"INBOX": sample(1)}, tls=TlsMode.IMPLICIT, stall_after=0) as server:
        server.start_tls = lambda talk: talk.stall()  # type: ignore[method-assign]
        timed = Timed(tmp_path, server)
        require_timeout(timed.sync(), timed)
        timed.archive.close()


def test_waiting_for_a_connection_counts(tmp_path: Path) -> None:
    """trap 89: all connections to the server are in use; the run's own timeout ends the wait."""
    permits = Permits(1)
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        origin = Origin(server.endpoint.host, server.endpoint.port, "bob")
        with permits.take(origin, should_stop=lambda: False):
            timed = Timed(tmp_path, server, permits)
            require_timeout(timed.sync(), timed)
        assert server.connections == 0
        timed.archive.close()


def test_each_command_has_a_floor_of_pace() -> None:
    """trap 82: a server that only drips is left before the timeout of the run, at any command."""
    limits = replace(QUICK, pace_window_s=0.5, pace_bytes=1000)
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, limits=limits) as session:
        server.on(b"UID SEARCH", after(b"* SEARCH", dripping(b" ")))
        with pytest.raises(ConnectionLost, match="less than 1000 octets"):
            session.uids()


def test_the_login_has_a_floor_of_pace() -> None:
    """trap 82: there too, and it is no refused password."""
    limits = replace(QUICK, pace_window_s=0.5, pace_bytes=1000)
    with ScriptedServer() as server:
        server.on(b"LOGIN", dripping(b"*"))
        with pytest.raises(ConnectionLost, match="less than 1000 octets"), opened(server, limits=limits, folder=None):
            pass
