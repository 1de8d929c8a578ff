"""What a server says of too much, from the wire to the status (imap-traps §1.8, traps 87 to 89)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.model.status import ConditionStatus, ConditionType
from tests.quirks.engine import Engine
from tests.servers.scripted import Conversation, ScriptedServer, sample

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
AT = ["LOGIN", "LIST", "EXAMINE", "UID SEARCH", "UID FETCH"]

QUOTA = "[OVERQUOTA] Account exceeded command or bandwidth limits."
HINT = "Request is throttled. Suggested Backoff Time: 7200000 milliseconds"
CONNECTIONS = "[ALERT] Too many simultaneous connections. (Failure)"
WAITS = [
    pytest.param(f"NO {QUOTA}", Reason.QUOTA_EXCEEDED, HOUR, id="quota"),
    pytest.param("NO [THROTTLED] slow down", Reason.SERVER_BUSY, 15 * MINUTE, id="throttled"),
    pytest.param("NO Lookup failed [THROTTLED]", Reason.SERVER_BUSY, 15 * MINUTE, id="throttled-at-the-end"),
    pytest.param("NO [LIMIT] Rate limit hit", Reason.SERVER_BUSY, 15 * MINUTE, id="limit"),
    pytest.param(f"NO {HINT}", Reason.SERVER_BUSY, 2 * HOUR, id="hint-no"),
    pytest.param(f"BAD {HINT}", Reason.SERVER_BUSY, 2 * HOUR, id="hint-bad"),
    pytest.param(f"NO {CONNECTIONS}", Reason.TOO_MANY_CONNECTIONS, MINUTE, id="connections"),
]


@pytest.mark.parametrize("where", AT)
@pytest.mark.parametrize(("answer", "reason", "pause"), WAITS)
def test_a_wait_that_the_server_asks_for_is_kept_and_told(
    answer: str, reason: Reason, pause: timedelta, where: str, tmp_path: Path
) -> None:
    """trap 88: at whatever command; never a refused password, never a folder that is gone, never a lost message."""
    with ScriptedServer({b"INBOX": sample(3)}) as server, Engine(tmp_path, server) as engine:
        server.script(where.encode(), tagged=answer.encode())
        outcome = engine.sync()

        assert outcome.failure is not None
        assert (outcome.failure.reason, outcome.failure.needs_user) == (reason, False)
        assert engine.status.next_sync_time == engine.now + pause
        for kind in (ConditionType.STALLED, ConditionType.FOLDERS_DEGRADED):
            assert engine.status.condition(kind) is None
        server.mend()
        assert engine.sync(forced=True).result is Result.SUCCEEDED
        engine.require_all()


def test_a_quota_that_ends_in_mid_run_keeps_what_came(tmp_path: Path) -> None:
    """§1.8 [OVERQUOTA]: progress is kept, the time of the next try stands in Ready, and it grows."""

    def two_and_no_more(server: ScriptedServer, talk: Conversation, _arguments: bytes) -> bytes:
        folder = server.folders[b"INBOX"]
        for uid in (1, 2):
            server.send_message(talk, uid, folder.messages[uid], b"(UID FLAGS INTERNALDATE BODY.PEEK[])")
        return f"NO {QUOTA}".encode()

    with ScriptedServer({b"INBOX": sample(5)}) as server, Engine(tmp_path, server) as engine:
        server.on(b"UID FETCH", two_and_no_more)
        assert engine.sync().result is Result.PARTIAL
        assert len(engine.held()) == 2
        ready = engine.status.condition(ConditionType.READY)
        assert ready is not None
        assert (ready.status, ready.reason) == (ConditionStatus.FALSE, Reason.QUOTA_EXCEEDED)
        assert f"{engine.now + HOUR:The next try is at %Y-%m-%dT%H:%M:%SZ}" in ready.message

        server.script(b"UID FETCH", tagged=f"NO {QUOTA}".encode())
        engine.sync()
        assert engine.status.next_sync_time == engine.now + 2 * HOUR

        server.mend()
        assert engine.sync().result is Result.SUCCEEDED
        engine.require_all()


def test_an_alert_is_shown_with_its_run(tmp_path: Path) -> None:
    """§1.8 [ALERT]: with whatever it comes."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, Engine(tmp_path, server) as engine:
        server.greeting = b"* OK [ALERT] Maintenance tonight\r\n"
        engine.sync()
        ready = engine.status.condition(ConditionType.READY)
        assert ready is not None
        assert "The server asks to show this: Maintenance tonight" in ready.message


def test_exchange_that_cannot_convert_a_message_is_seen_through(tmp_path: Path) -> None:
    """trap 45: on the wire, with octets of the notice in the place of the mail."""
    notice = (
        b"From: Microsoft Exchange Server 2010\r\n"
        b"Subject: Retrieval using the IMAP4 protocol failed for the following\r\n message: 2\r\n\r\nNo.\r\n"
    )
    with ScriptedServer({b"INBOX": sample(3)}) as server, Engine(tmp_path, server) as engine:

        def hook(scripted: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
            wanted = scripted.folders[b"INBOX"].uids_in(arguments.partition(b" ")[0])
            for uid in wanted:
                octets = notice if uid == 2 else scripted.folders[b"INBOX"].messages[uid].octets
                talk.send(b"* %d FETCH (UID %d FLAGS () BODY[] {%d}\r\n%b)\r\n" % (uid, uid, len(octets), octets))
            return b"OK done"

        server.on(b"UID FETCH", hook)
        for _ in range(4):
            outcome = engine.sync(forced=True)
        assert [(2, Reason.MESSAGE_REPLACED)] == [(each.uid, each.reason) for each in outcome.folders[0].quarantined]
        assert {1, 3} == {uid for _, _, uid in engine.held()}
        complete = engine.status.condition(ConditionType.COMPLETE)
        assert complete is not None
        assert "INBOX UID 2 (MessageReplaced)" in complete.message
        server.mend()
        assert engine.sync(forced=True).result is Result.SUCCEEDED
        engine.require_all()
