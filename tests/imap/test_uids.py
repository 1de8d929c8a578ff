"""Every UID of a folder, however a server lists them (imap-traps §1.2)."""

import re
from dataclasses import replace

import pytest

from archivmail.model.errors import FolderRefused, ServerBusy, ServerViolation
from archivmail.model.uidset import UidSet
from tests.imap.sessions import INBOX, QUICK, opened, uid_set
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, sample

SEARCHES = [
    pytest.param(b"* SEARCH 1 2 3\r\n", id="usual"),
    pytest.param(b"* SEARCH 1 2 3 \r\n", id="yahoo-blank-at-the-end"),
    pytest.param(b"* SEARCH 1\r\n* SEARCH 2 3\r\n* SEARCH\r\n", id="trap-19-several-lines"),
    pytest.param(b"* search 3 2 1 1\r\n", id="trap-16-out-of-order-and-twice"),
    pytest.param(b"* SEARCH 0 1 2 3\r\n", id="trap-16-zero"),
    pytest.param(b"* SEARCH 1 2 3 (MODSEQ 917162500)\r\n", id="modseq"),
    pytest.param(b'* ESEARCH (TAG "%tag") UID ALL 1:3\r\n', id="trap-21-esearch"),
    pytest.param(b"* ESEARCH UID COUNT 3 ALL 3,1:2\r\n", id="trap-21-esearch-without-tag"),
    pytest.param(b"", id="trap-20-no-answer"),
    pytest.param(b"* SEARCH 1\r\n", id="trap-22-cut-short"),
    pytest.param(b'* ESEARCH (TAG "other") UID ALL 1:3\r\n', id="esearch-of-another-command"),
    pytest.param(b'* ESEARCH (TAG "%tag") ALL 1:3\r\n', id="esearch-of-sequence-numbers"),
]


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 ESEARCH"])
@pytest.mark.parametrize("answer", SEARCHES)
def test_every_uid_is_found_however_it_is_listed(answer: bytes, capabilities: str) -> None:
    """trap 16, 19 to 22: what the search lacks is listed by FETCH."""
    with ScriptedServer({b"INBOX": sample(3)}, capabilities=capabilities) as server, opened(server) as session:
        server.script(b"UID SEARCH", answer)
        assert session.uids() == uid_set(1, 2, 3)


@pytest.mark.parametrize("answer", [b"NO search is off", b"BAD wrong arguments"])
def test_a_refused_search_is_no_obstacle(answer: bytes) -> None:
    """trap 22: Exchange, Mail2World."""
    with ScriptedServer({b"INBOX": sample(3)}, capabilities="IMAP4rev1 ESEARCH") as server, opened(server) as session:
        server.script(b"UID SEARCH", b"", answer)
        assert session.uids() == uid_set(1, 2, 3)


def test_a_server_that_refuses_every_list_refuses_the_folder() -> None:
    """The others go on."""
    with ScriptedServer({b"INBOX": sample(3)}) as server, opened(server) as session:
        server.script(b"UID SEARCH", b"", b"NO")
        server.script(b"UID FETCH", b"", b"NO")
        with pytest.raises(FolderRefused):
            session.uids()
        assert session.folders()


def test_a_throttled_search_ends_the_session() -> None:
    """And is not asked again in another way."""
    with ScriptedServer({b"INBOX": sample(3)}) as server, opened(server) as session:
        server.script(b"UID SEARCH", b"", b"NO [LIMIT] slow down")
        with pytest.raises(ServerBusy):
            session.uids()


@pytest.mark.parametrize("answer", [b"", b"* SEARCH\r\n", b"* ESEARCH UID\r\n"])
def test_an_empty_folder_has_no_uids(answer: bytes) -> None:
    """trap 20: iCloud answers nothing at all."""
    with ScriptedServer({b"INBOX": sample(0)}) as server, opened(server) as session:
        server.script(b"UID SEARCH", answer)
        assert session.uids() == UidSet()


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 ESEARCH"])
def test_a_large_folder_is_listed_in_windows(capabilities: str) -> None:
    """trap 23: no line grows with the folder, whatever gaps there are."""
    uids = [*range(1, 40), *range(1000, 1040), 4_000_000_000, 4_294_967_295]
    folder = Folder({uid: Message(b"x") for uid in uids})
    limits = replace(QUICK, search_window=10)
    with (
        ScriptedServer({b"INBOX": folder}, capabilities=capabilities) as server,
        opened(server, limits=limits) as session,
    ):
        assert session.uids() == UidSet.of(uids)
        searches = [command for command in server.commands if command.startswith(b"UID SEARCH")]
        assert len(searches) == 9


def test_windows_leave_nothing_out_when_their_bounds_are_nonsense() -> None:
    """Sequence numbers are only a hint where to cut."""
    folder = sample(30)
    with ScriptedServer({b"INBOX": folder}) as server:
        server.script(b"FETCH", b"* 10 FETCH (UID 7)\r\n* 1 FETCH (UID 4294967295)\r\n* 2 FETCH (UID 3)\r\n")
        with opened(server, limits=replace(QUICK, search_window=10)) as session:
            assert session.uids() == UidSet.of(folder.messages)


@pytest.mark.slow
def test_200000_uids_in_one_line_are_read() -> None:
    """trap 23, trap 24: imaplib stops at a million octets, and its limit cannot be set for one connection."""
    uids = range(1_000_000, 1_400_000, 2)

    def examine(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
        talk.send(b"* 200000 EXISTS\r\n")
        return b"OK done"

    with ScriptedServer({b"INBOX": sample(0)}) as server:
        server.on(b"EXAMINE", examine)
        server.script(b"FETCH", b"", b"NO")
        server.script(b"UID SEARCH", b"* SEARCH " + b" ".join(b"%d" % uid for uid in uids) + b"\r\n")
        with opened(server) as session:
            assert session.uids() == UidSet.of(uids)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"* SEARCH 1 x 3\r\n", id="no-number"),
        pytest.param(b"* SEARCH 4294967296\r\n", id="trap-15-beyond-32-bits"),
        pytest.param(b"* SEARCH -1\r\n", id="negative"),
        pytest.param(b'* ESEARCH (TAG "%tag") UID ALL 1:*\r\n', id="star"),
        pytest.param(b'* ESEARCH (TAG "%tag") UID ALL 1:4294967295\r\n', id="far-more-than-there-are"),
        pytest.param(b"* SEARCH " + b"1 " * 10_000_000 + b"\r\n", id="trap-79-endless-line"),
    ],
)
def test_nonsense_is_a_violation(answer: bytes) -> None:
    """trap 15, trap 79: nothing is expanded, nothing is believed."""
    with ScriptedServer({b"INBOX": sample(3)}) as server, opened(server) as session:
        server.script(b"UID SEARCH", answer)
        with pytest.raises(ServerViolation):
            session.uids()


def test_a_message_removed_meanwhile_is_not_missed() -> None:
    """trap 12, trap 40: EXPUNGE and VANISHED lower the number that the search is held against."""
    with ScriptedServer({b"INBOX": sample(3)}) as server, opened(server) as session:
        server.script(b"UID SEARCH", b"* 2 EXPUNGE\r\n* VANISHED 3\r\n* SEARCH 1\r\n")
        assert session.uids() == uid_set(1)
        assert not any(command.startswith(b"UID FETCH") for command in server.commands)


def test_a_server_that_looks_at_few_messages_at_once_is_asked_in_pages() -> None:
    """RFC 9738: MESSAGELIMIT is about one command; what is asked for within it is answered whole."""
    folder = sample(9)

    def search(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        wanted = re.search(rb"UID ([\d:*]+)", arguments)
        uids = folder.uids_in(wanted[1] if wanted else b"1:*")
        talk.send(b"* SEARCH" + b"".join(b" %d" % uid for uid in uids[:4]) + b"\r\n")
        return b"OK done" if len(uids) <= 4 else b"OK [MESSAGELIMIT 4 4] not all"

    capabilities = "IMAP4rev1 MESSAGELIMIT=4"
    with ScriptedServer({b"INBOX": folder}, capabilities=capabilities) as server, opened(server) as session:
        server.on(b"UID SEARCH", search)
        server.script(b"UID FETCH", tagged=b"NO [MESSAGELIMIT 4] no")
        assert session.uids() == UidSet([(1, 9)])
        assert not session.examine(INBOX).limited
