"""Not twice over the wire: a server with immutable ids and labels, through the whole engine."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from archivmail.model.outcome import Result
from tests.quirks.engine import Engine
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer

GMAIL = "IMAP4rev1 X-GM-EXT-1"
OBJECTID = "IMAP4rev1 OBJECTID"
FOLDERS = (b"INBOX", b"Projects", b"[Gmail]/All Mail")
LABELS = rb'"\\Inbox" [Mailbox] "M&APw-ller, B&APY-ll" {7}' + b"\r\na (b) c Plain"


def mailbox(order: tuple[bytes, ...], count: int = 12) -> dict[bytes, Folder]:
    """Every message is in all folders, under other UIDs."""
    folders = {}
    for number, name in enumerate(order):
        first = 100 * number + 1
        folders[name] = Folder(
            {
                first + at: Message(b"Subject: %d\r\n\r\nbody\r\n" % at, email_id=f"17000{at}", labels=LABELS)
                for at in range(count)
            }
        )
    return folders


def downloads(server: ScriptedServer) -> int:
    """Messages whose octets were asked for."""
    asked = [command for command in server.commands if b"BODY.PEEK[]" in command]
    name = b""
    total = 0
    for command in server.commands:
        if command.startswith(b"EXAMINE"):
            name = command.partition(b" ")[2].strip(b'"')
        if command in asked:
            total += len(server.folders[name].uids_in(command.split()[2]))
    return total


@pytest.mark.parametrize("capabilities", [GMAIL, OBJECTID])
@pytest.mark.parametrize("order", list(itertools.permutations(FOLDERS)), ids=lambda order: order[0].decode())
def test_a_message_with_three_labels_is_downloaded_once(
    order: tuple[bytes, ...], capabilities: str, tmp_path: Path
) -> None:
    """trap 60; in whatever order the folders come, and within one run."""
    with ScriptedServer(mailbox(order), capabilities=capabilities) as server, Engine(tmp_path, server) as engine:
        assert engine.sync().result is Result.SUCCEEDED
        engine.require_all()
        assert downloads(server) == 12
        assert len(engine.held()) == 36


def test_facts_are_asked_for_within_the_limit_of_a_command(tmp_path: Path) -> None:
    """trap 31: Yahoo looks at 1,000 messages in a command (RFC 9738) and passes over the others with OK."""

    def limited(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        wanted, _, items = arguments.partition(b" ")
        folder = server.folders[talk.opened or b""]
        for uid in folder.uids_in(wanted)[:5]:
            server.send_message(talk, uid, folder.messages[uid], items)
        return b"OK [MESSAGELIMIT 5] done"

    capabilities = f"{OBJECTID} MESSAGELIMIT=5"
    with ScriptedServer(mailbox(FOLDERS), capabilities=capabilities) as server, Engine(tmp_path, server) as engine:
        server.on(b"UID FETCH", limited)
        assert engine.sync().result is Result.SUCCEEDED
        engine.require_all()
        assert downloads(server) == 12
        assert not any(row.assembled for row in engine.archive.placements())


def test_an_id_that_stands_for_another_size_is_downloaded(tmp_path: Path) -> None:
    """Ids are believed, but not against the server's own word: two messages under one id are both kept."""
    folders = mailbox(FOLDERS, count=3)
    folders[b"Projects"].messages[101] = Message(b"Subject: 0\r\n\r\nanother body\r\n", email_id="170000")
    with ScriptedServer(folders, capabilities=GMAIL) as server, Engine(tmp_path, server) as engine:
        assert engine.sync().result is Result.SUCCEEDED
        engine.require_all()
        assert downloads(server) == 5  # 3, the other one, and the first once more: its id proves nothing now


def test_labels_are_kept_with_every_sighting_and_by_a_rebuild(tmp_path: Path) -> None:
    """X-GM-LABELS: unquoted brackets, quotes, literals and modified UTF-7 are read."""
    expected = ("\\Inbox", "[Mailbox]", "Müller, Böll", "a (b) c", "Plain")
    with ScriptedServer(mailbox(FOLDERS, count=2), capabilities=GMAIL) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        before = sorted((row.folder, row.uid, row.labels) for row in engine.archive.placements())
        assert {labels for _, _, labels in before} == {expected}
        engine.archive.rebuild()
        assert sorted((row.folder, row.uid, row.labels) for row in engine.archive.placements()) == before


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(b"", (), id="none"),
        pytest.param(b'"" NIL-like', ("NIL-like",), id="empty-label"),
        pytest.param(b'"a" "a"', ("a",), id="twice"),
        pytest.param(b'"line\tbreak"', ("line%09break",), id="control-character"),
        pytest.param(b'"not &valid"', ("not %26valid",), id="invalid-modified-utf-7"),
        pytest.param(b"\\Sent \\Important", ("\\Sent", "\\Important"), id="system-labels-as-atoms"),
    ],
)
def test_odd_labels_do_no_harm(labels: bytes, expected: tuple[str, ...], tmp_path: Path) -> None:
    """The message is archived whatever stands there."""
    folders = {b"INBOX": Folder({1: Message(b"Subject: a\r\n\r\n", email_id="1", labels=labels)})}
    with ScriptedServer(folders, capabilities=GMAIL) as server, Engine(tmp_path, server) as engine:
        assert engine.sync().result is Result.SUCCEEDED
        engine.require_all()
        assert [row.labels for row in engine.archive.placements()] == [expected]
