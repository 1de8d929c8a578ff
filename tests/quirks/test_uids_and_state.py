"""UIDs, UIDVALIDITY and what is remembered of them (imap-traps §1.1), through the whole engine."""

from dataclasses import replace
from pathlib import Path

import pytest

from archivmail.model.outcome import AccountOutcome, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import ConditionType
from tests.imap.sessions import QUICK
from tests.quirks.cases import Quirk, quirk, survive
from tests.quirks.engine import Engine
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, Transcript, sample

IMPATIENT = replace(QUICK, read_s=0.3, slice_s=0.02)


def fetched_uids(server: ScriptedServer) -> list[bytes]:
    """The sets whose octets were asked for."""
    return [command.split()[2] for command in server.commands if b"BODY.PEEK[]" in command]


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer({b"INBOX": sample(3)})


FLAWED = [
    quirk("trap-5-uidnext-beyond-the-last", """
        > STATUS "INBOX"
        < * STATUS "INBOX" (MESSAGES 3 UIDNEXT 4000000 UIDVALIDITY 1700000000)
        > EXAMINE
        < * 3 EXISTS
        < * OK [UIDVALIDITY 1700000000] valid
        < * OK [UIDNEXT 4000000] next
        """, runs=3),
    quirk("trap-6-uidnext-falls", """
        > EXAMINE
        ...
        < * OK [UIDNEXT 900] next
        > EXAMINE
        ...
        < * OK [UIDNEXT 2] next
        """, runs=3),
    quirk("trap-16-uids-out-of-order", """
        > UID SEARCH
        < * SEARCH 3 1 2 2 0 1
        """),
]  # fmt: skip


@pytest.mark.parametrize("case", FLAWED)
def test_marks_that_are_wrong_hide_no_message(case: Quirk, tmp_path: Path) -> None:
    """traps 5, 6, 16: marks only save work."""
    survive(case, tmp_path)


def test_a_run_without_news_fetches_nothing(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 1: `n:*` always finds the last message; no such set is asked for, and nothing is written."""
    with server, Engine(tmp_path, server) as engine:
        engine.sync()
        server.commands.clear()
        engine.later(days=2)  # the daily comparison looks at every UID
        outcome = engine.sync()
        commands = [command for command in server.commands if b"UID" in command]

    assert outcome.added == 0
    assert outcome.result is Result.SUCCEEDED
    assert fetched_uids(server) == []
    assert commands
    assert not any(b":*" in command for command in commands)


GIVES_ALL_BUT_2 = """
    > UID FETCH 1:3
    < * 1 FETCH (UID 1 FLAGS () %date BODY[] %lit1)
    < * 3 FETCH (UID 3 FLAGS () %date BODY[] %lit3)
"""


@pytest.mark.parametrize(
    "failing",
    [
        pytest.param("< %tag NO [SERVERBUG] no\n> UID FETCH 2\n< %tag NO [SERVERBUG] no\n", id="no"),
        pytest.param("> UID FETCH 2\n< * 2 FETCH (UID 2 BODY[] NIL)\n", id="nil"),
        pytest.param("< %cut\n", id="cut"),
        pytest.param("< what?\n", id="nonsense"),
    ],
)
def test_only_what_failed_is_fetched_by_the_next_run(server: ScriptedServer, tmp_path: Path, failing: str) -> None:
    """trap 2: no mark moves past a message that is not archived."""
    with server, Engine(tmp_path, server) as engine:
        Transcript(GIVES_ALL_BUT_2 + failing).play(server)
        engine.sync()
        assert not engine.is_complete
        server.mend()
        server.commands.clear()
        engine.sync(forced=True)

        assert fetched_uids(server) == [b"2"]
        engine.require_all()
        assert engine.is_complete


@pytest.mark.parametrize("how", ["no", "stalls", "cuts", "nonsense"])
def test_one_poison_message_blocks_nothing(tmp_path: Path, how: str) -> None:
    """trap 4: whatever happens at UID 4 each time, the other eight are archived, and UID 4 is named."""

    def poisoned(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        wanted, _, items = arguments.partition(b" ")
        folder = server.folders[b"INBOX"]
        for uid in folder.uids_in(wanted):
            if uid != 4 or b"BODY" not in items:
                server.send_message(talk, uid, folder.messages[uid], items)
            elif how == "no":
                return b"NO [SERVERBUG] cannot read that message"
            elif how == "stalls":
                talk.stall()
            elif how == "cuts":
                talk.send(b"* 4 FETCH (UID 4 BODY[] {100}\r\nSubj")
                talk.cut()
            else:
                talk.send(b"Traceback (most recent call last):\r\n")
        return b"OK done"

    with (
        ScriptedServer({b"INBOX": sample(9), b"Sent": sample(2)}) as server,
        Engine(tmp_path, server, limits=IMPATIENT) as engine,
    ):
        server.on(b"UID FETCH", poisoned)
        for _ in range(5):
            outcome = engine.sync(forced=True)
        missing = engine.truth().keys() - engine.held().keys()

        assert {(folder, uid) for folder, _, uid in missing} <= {(b"INBOX", 4)} | {(b"Sent", uid) for uid in (1, 2)}
        assert (b"INBOX", 1700000000, 4) in missing
        assert not engine.is_complete
        [named] = [each for folder in outcome.folders for each in folder.quarantined]
        assert (named.folder, named.uid) == ("INBOX", 4)
        assert how in {"stalls", "cuts", "nonsense"} or len(missing) == 1
        server.mend()
        engine.sync(forced=True)
        engine.require_all()
        assert engine.is_complete


def numbered_anew(server: ScriptedServer, validity: int | None, *, by: int = 0) -> None:
    folder = server.folders[b"INBOX"]
    server.folders[b"INBOX"] = Folder({uid + by: message for uid, message in folder.messages.items()}, validity)


def test_a_changed_uidvalidity_starts_over_and_stores_nothing_twice(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 7: the old sightings stay, the new ones are all there, the octets are kept once, and it is told."""
    with server, Engine(tmp_path, server) as engine:
        engine.sync()
        numbered_anew(server, 7, by=40)
        outcome = engine.sync()

        assert outcome.deduplicated == 3
        assert len(engine.held()) == 6
        assert engine.status.condition(ConditionType.UID_VALIDITY_CHANGED) is not None
        engine.require_all()


def test_a_uidvalidity_that_comes_back_with_other_mail_hides_none(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 8: 1 -> 2 -> 1, and the UIDs mean other messages by then."""
    other = Folder({uid: Message(b"Subject: other %d\r\n\r\n" % uid) for uid in (1, 2, 3, 4)}, uid_validity=1)
    with server, Engine(tmp_path, server) as engine:
        server.folders[b"INBOX"].uid_validity = 1
        engine.sync()
        first = server.folders[b"INBOX"]
        numbered_anew(server, 2)
        engine.sync()
        server.folders[b"INBOX"] = other
        engine.sync()
        archived = {b"".join(engine.archive.octets(row.content_id)) for row in engine.archive.placements()}

    assert archived == {message.octets for folder in (first, other) for message in folder.messages.values()}


def test_a_folder_without_uidvalidity_is_compared_by_content(tmp_path: Path) -> None:
    """trap 9: each run reads it anew, keeps what is new once, and says that it cannot be sure."""
    with (
        ScriptedServer({b"INBOX": replace(sample(3), uid_validity=None)}) as server,
        Engine(tmp_path, server) as engine,
    ):
        engine.sync()
        server.folders[b"INBOX"].messages[4] = Message(b"Subject: new\r\n\r\n")
        outcome = engine.sync()

        assert "no UIDVALIDITY" in (outcome.folders[0].note or "")
        assert set(engine.truth().values()) == set(engine.held().values())
        assert engine.archive.verify(full=True).messages == 4


def test_a_uidvalidity_for_each_examine_stores_nothing_twice(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 10: Courier's maildirs without SELECT: read anew each time, stored once, and told each time."""
    numbers = iter(range(100, 200))

    def examine(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        engine.note()
        server.folders[b"INBOX"].uid_validity = next(numbers)
        return server.correct(b"EXAMINE", talk, arguments)

    with server, Engine(tmp_path, server) as engine:
        server.script(b"STATUS", tagged=b"NO open it first")
        server.on(b"EXAMINE", examine)
        outcomes = [engine.sync() for _ in range(3)]

        assert [outcome.added for outcome in outcomes] == [3, 3, 3]
        assert [outcome.deduplicated for outcome in outcomes] == [0, 3, 3]
        assert engine.status.condition(ConditionType.UID_VALIDITY_CHANGED) is not None
        engine.require_all()


def renumbering(server: ScriptedServer, engine: Engine, command: bytes, *, before: bool) -> None:
    """At the next such command every UID comes to mean another message."""

    def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        server.mend()
        engine.note()
        tagged = None if before else server.correct(command, talk, arguments)
        folder = server.folders[b"INBOX"]
        shifted = {uid + 1: message for uid, message in folder.messages.items()}
        server.folders[b"INBOX"] = Folder(shifted, uid_validity=7)
        engine.note()
        return server.correct(command, talk, arguments) if before else tagged

    server.on(command, answer)


def told(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
    """FETCH of a server that says so when it has renumbered the folder."""
    folder = server.folders[b"INBOX"]
    talk.send(b"* OK [UIDVALIDITY %d] renumbered\r\n" % (folder.uid_validity or 0))
    return server.correct(b"UID FETCH", talk, arguments)


def test_a_folder_renumbered_between_status_and_examine_is_started_over(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 11: what EXAMINE says counts."""
    with server, Engine(tmp_path, server) as engine:
        engine.sync()
        server.folders[b"INBOX"].messages[4] = Message(b"Subject: new\r\n\r\n")
        renumbering(server, engine, b"STATUS", before=False)
        engine.sync()
        engine.require_all()
        assert engine.is_complete


def test_a_folder_renumbered_between_two_looks_is_started_over(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 11: a short list leads to a second EXAMINE, and that one tells another UIDVALIDITY."""

    def short(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        return b"NO not now"

    def nothing(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        renumbering(server, engine, b"EXAMINE", before=True)
        return b"OK but nothing to show"

    with server, Engine(tmp_path, server) as engine:
        server.on(b"UID SEARCH", short)
        server.on(b"UID FETCH", nothing)
        outcome = engine.sync()
        assert outcome.failure is not None
        assert outcome.failure.reason is Reason.CONNECTION_FAILED
        assert engine.held() == {}
        engine.sync()
        engine.require_all()
        assert engine.is_complete


def test_a_folder_renumbered_while_it_is_read_is_started_over(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 11: nothing is filed under a UID that means something else by now."""
    with server, Engine(tmp_path, server) as engine:
        renumbering(server, engine, b"UID SEARCH", before=False)
        hook = server._answers[b"UID SEARCH"]

        def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
            tagged = hook(server, talk, arguments)
            server.on(b"UID FETCH", told)
            return tagged

        server.on(b"UID SEARCH", answer)
        outcome = engine.sync()
        assert outcome.failure is not None
        assert engine.held() == {}
        server.mend()
        engine.sync()
        engine.require_all()


def test_uids_that_vanish_between_search_and_fetch_are_no_failure(server: ScriptedServer, tmp_path: Path) -> None:
    """trap 12: gone is gone; neither archived nor missing."""

    def expunge(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        server.folders[b"INBOX"].messages.pop(2, None)
        return server.correct(b"UID FETCH", talk, arguments)

    with server, Engine(tmp_path, server) as engine:
        server.on(b"UID FETCH", expunge)
        outcome = engine.sync()

        assert outcome.result is Result.SUCCEEDED
        assert outcome.folders[0].counts.server == 2
        engine.require_all()


def test_a_uid_that_becomes_visible_late_is_found(tmp_path: Path) -> None:
    """trap 13: 10 and 12 first, 11 later: the count tells, and where even the count stays, the daily comparison."""
    messages = {uid: Message(b"Subject: %d\r\n\r\n" % uid) for uid in (10, 11, 12)}
    hidden = Folder({uid: messages[uid] for uid in (10, 12)}, uid_next=13)
    with ScriptedServer({b"INBOX": hidden}) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        server.folders[b"INBOX"] = Folder(messages, uid_next=13)
        engine.sync()
        engine.require_all()
        server.folders[b"INBOX"] = Folder({uid: messages[uid] for uid in (11, 12)} | {9: Message(b"late")}, uid_next=13)
        engine.later(days=1)
        engine.sync()
        engine.require_all()


def test_expunges_between_pages_hide_no_message(tmp_path: Path) -> None:
    """trap 14: sequence numbers only say where to cut; they may be wrong by then."""

    def expunge(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        tagged = server.correct(b"FETCH", talk, arguments)
        for uid in (1, 2, 3):
            if server.folders[b"INBOX"].messages.pop(uid, None):
                talk.send(b"* 1 EXPUNGE\r\n")
        return tagged

    limits = replace(QUICK, search_window=4)
    with ScriptedServer({b"INBOX": sample(20)}) as server, Engine(tmp_path, server, limits=limits) as engine:
        server.on(b"FETCH", expunge)
        outcome = engine.sync()
        server.mend()

        assert outcome.folders[0].counts.server == 17
        assert len([command for command in server.commands if command.startswith(b"UID SEARCH")]) > 3
        engine.require_all()


def test_numbers_of_32_bits_are_kept(tmp_path: Path) -> None:
    """trap 15: UID 4294967294 and UIDVALIDITY 4294967295."""
    folder = Folder(
        {uid: Message(b"Subject: %d\r\n\r\n" % uid) for uid in (1, 2147483648, 4294967294)}, uid_validity=4294967295
    )
    with ScriptedServer({b"INBOX": folder}) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        engine.require_all()
        assert engine.status.folders[0].uid_validity == 4294967295
        assert engine.status.folders[0].last_uid == 4294967294


def test_another_replica_with_other_uids_is_another_epoch(tmp_path: Path) -> None:
    """trap 94: the session breaks, the next one meets a server that numbers otherwise."""

    def fail_over(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        server.send_message(talk, 1, server.folders[b"INBOX"].messages[1], arguments.partition(b" ")[2])
        engine.note()
        server.mend()
        numbered_anew(server, 99, by=500)
        talk.cut()
        return None

    with ScriptedServer({b"INBOX": sample(5)}) as server, Engine(tmp_path, server) as engine:
        server.on(b"UID FETCH", fail_over)
        outcome: AccountOutcome = engine.sync()
        assert outcome.result is Result.PARTIAL
        engine.sync()
        engine.require_all()
        assert engine.archive.verify(full=True).messages == 5
