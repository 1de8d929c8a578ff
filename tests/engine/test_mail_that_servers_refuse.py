"""Octets that no real server stores, or not as they came: from the wire to the archive and out again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from archivmail.model.account import TlsMode
from archivmail.model.outcome import Result
from tests.cli.program import archivmail
from tests.corpus.torture import torture_mails, unservable_mails
from tests.engine.world import World
from tests.servers.fixtures import Mailbox
from tests.servers.scripted import Folder, Message, ScriptedServer


def test_octets_of_any_kind_are_archived_and_exported_as_they_came(tmp_path: Path) -> None:
    """Trap 66: NUL, bare LF, no header, nothing at all, beside all kinds of torture."""
    mails = [*torture_mails().values(), *unservable_mails().values()]
    inbox = Folder({uid: Message(octets) for uid, octets in enumerate(mails, 1)})
    with ScriptedServer({b"INBOX": inbox}, tls=TlsMode.IMPLICIT) as server:
        there = SimpleNamespace(host=server.endpoint.host, tls_port=server.port, ca_pem=server.endpoint.ca_pem)
        world = World(Mailbox(there, server.username, server.password), tmp_path / "archive")
        outcome = world.sync()
        world.close()
    ended = archivmail("export", "--format", "eml", "--output", tmp_path / "out", "--archive", tmp_path / "archive")

    assert (Result.SUCCEEDED, len(mails)) == (outcome.result, outcome.added)
    assert 0 == ended.code, ended.err
    exported = {int(path.stem.rpartition("-")[2]): path.read_bytes() for path in (tmp_path / "out").rglob("*.eml")}
    assert dict(enumerate(mails, 1)) == exported
