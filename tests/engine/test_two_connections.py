"""A slow line to a real server, with two connections: both are used, and the archive is complete."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archivmail.archive.opening import open_archive
from archivmail.imap.connector import Connector
from archivmail.imap.limits import Limits
from archivmail.imap.pair import Pairing
from archivmail.imap.permits import Permits
from archivmail.model.account import TlsMode
from archivmail.model.outcome import Result
from tests.engine.world import World
from tests.quirks.engine import Engine
from tests.servers.fixtures import Mailbox
from tests.servers.scripted import ScriptedServer, sample
from tests.servers.scripted.conversation import Conversation
from tests.servers.toxiproxy import line_to

LIMIT_S = 20.0

if TYPE_CHECKING:
    from pathlib import Path

    from archivmail.imap.session import Session
    from tests.servers.dovecot import Dovecot
    from tests.servers.postgresql import PostgreSqlDatabase


@pytest.mark.servers
def test_two_connections_over_a_slow_line_archive_everything(
    dovecot: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 1; traps 11, 89: 60 ms and 2 MB/s for each connection, some batches of messages."""
    user = "pair"
    mailbox = Mailbox(dovecot, user, dovecot.add_user(user))
    dovecot.bulk_append(user, "INBOX", [b"Subject: %d\r\n\r\n" % at + b"x%d\r\n" % at * 800 for at in range(900)])
    connector = Connector(Permits(), limits=Limits(pair_always=True))
    fetched: list[int] = []
    another = Connector.another

    def watched(self: Connector, *arguments, **options) -> Session | None:
        session = another(self, *arguments, **options)
        assert session is not None
        fetch = session.fetch_batches

        def counted(batches, deliver, answered) -> None:
            fetch(batches, lambda message: (fetched.append(message.sighting.uid), deliver(message)), answered)

        monkeypatch.setattr(session, "fetch_batches", counted)
        return session

    monkeypatch.setattr(Connector, "another", watched)
    world = World(mailbox, tmp_path / "archive")
    with line_to(dovecot.host, dovecot.tls_port, round_trip_ms=60, kilobytes_per_s=2000) as port:
        world.endpoint = replace(world.endpoint, port=port, tls=TlsMode.IMPLICIT)
        world.connect = Pairing(connector)
        world.assert_complete(world.sync())
    world.close()

    assert 0 < len(fetched) < 900
    assert len(world.watcher.stored) == 900


@pytest.mark.servers
def test_a_catalog_on_postgresql_takes_what_both_threads_bring(
    postgresql_catalog: PostgreSqlDatabase, tmp_path: Path
) -> None:
    """Invariant 5: its connections are used by one thread after the other, checkpoints by either."""
    folder = sample(2500)
    second_came = threading.Event()

    def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if talk is server.talks[0]:
            assert second_came.wait(LIMIT_S)
        else:
            second_came.set()
        return server.correct(b"UID FETCH", talk, arguments)

    with (
        ScriptedServer({b"INBOX": folder}) as server,
        open_archive(str(tmp_path / "archive"), postgresql_catalog.url, create=True) as archive,
    ):
        server.on(b"UID FETCH", answer)
        engine = Engine(archive, server)
        engine.connector = Pairing(Connector(Permits(), limits=Limits(pair_always=True)))
        assert engine.sync().result is Result.SUCCEEDED
        engine.require_all()
