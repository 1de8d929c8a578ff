"""Connections that die, hang or drip, and what a status may say of it (imap-traps §1.7, §1.10)."""

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from archivmail.imap.dialing import dial
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.model.wireform import to_wire
from tests.imap.sessions import QUICK
from tests.quirks.engine import Engine
from tests.servers.scripted import Conversation, Folder, ScriptedServer, Transcript, sample


def test_a_line_that_is_dead_is_noticed() -> None:
    """trap 83: keepalive on every connection, and a limit on what is sent and not acknowledged."""
    with ScriptedServer() as server:
        sock = dial("127.0.0.1", server.port, limits=QUICK, should_stop=lambda: False)
        with sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            idle, interval, probes = (
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle + interval * probes <= 150
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == QUICK.read_s * 1000


@pytest.mark.parametrize("where", ["CAPABILITY", "LIST", "STATUS", "EXAMINE", "UID SEARCH", "UID FETCH"])
def test_a_server_that_falls_silent_is_left_and_met_anew(where: str, tmp_path: Path) -> None:
    """trap 82, trap 84: at each command; the run ends in time, the next one has a new connection."""
    limits = replace(QUICK, read_s=0.2, slice_s=0.02, close_s=0.1)
    with (
        ScriptedServer({b"INBOX": sample(3)}, capabilities="IMAP4rev1 AUTH=PLAIN") as server,
        Engine(tmp_path, server, limits=limits) as engine,
    ):
        Transcript(f"> {where}\n< * OK one moment\n< %stall").play(server)
        outcome = engine.sync()
        assert outcome.failure is not None
        assert outcome.failure.reason is Reason.CONNECTION_FAILED
        server.mend()
        assert engine.sync(forced=True).result is Result.SUCCEEDED
        engine.require_all()


def test_no_answer_of_one_command_reaches_the_next(tmp_path: Path) -> None:
    """trap 37: octets of a FETCH that was refused are not taken for those of another folder or another run."""

    def refuse(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        assert talk.opened is not None
        if talk.opened == b"A":
            talk.send(b"* 1 FETCH (UID 1 FLAGS () BODY[] {7}\r\nfrom A\n)\r\n")
            return b"NO refused"
        return server.correct(b"UID FETCH", talk, arguments)

    with ScriptedServer({b"A": sample(1), b"INBOX": sample(2)}) as server, Engine(tmp_path, server) as engine:
        engine.history[b"A", 1700000000, 1] = {b"from A\n"}
        server.on(b"UID FETCH", refuse)
        engine.sync()
        assert {uid: octets for (name, _, uid), octets in engine.held().items() if name == b"INBOX"} == {
            uid: message.octets for uid, message in server.folders[b"INBOX"].messages.items()
        }


@pytest.mark.slow
def test_a_status_stays_small(tmp_path: Path) -> None:
    """trap 105: 400 folders with long names and gaps between all UIDs: numbers only, and never all of them."""
    folders = {b"x" * 200 + b"%d" % number: Folder(sample(1, first_uid=7).messages) for number in range(400)}
    with ScriptedServer(folders) as server, Engine(tmp_path, server) as engine:
        Transcript("> UID FETCH\n< %tag NO no").play(server)
        engine.sync()
        document = json.dumps(to_wire(engine.status))

    assert len(document) < 100_000
    assert engine.status.folders_truncated


def test_counts_never_hide_a_gap(tmp_path: Path) -> None:
    """trap 106: what the server lists is archived, pending or quarantined; each run of these tests is held to it."""
    with ScriptedServer({b"INBOX": sample(5), b"Sent": sample(2)}) as server, Engine(tmp_path, server) as engine:
        Transcript("> UID FETCH 1:5\n< * 2 FETCH (UID 2 FLAGS () %date BODY[] %lit2)\n< %tag NO no").play(server)
        engine.sync()
        counts = engine.status.messages
        assert counts is not None
        assert counts.server == 7
        assert counts.server == counts.archived + counts.pending + counts.quarantined
        assert counts.archived == len(engine.held())
        assert engine.status.last_sync_time is not None
