"""Folders as servers list them (imap-traps §1.4), and their STATUS."""

import pytest

from archivmail.model.errors import CredentialsRefused, FolderRefused, ServerBusy, ServerUnsuitable, ServerViolation
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.uidset import Uid, UidValidity
from tests.imap.sessions import INBOX, fetch, opened, uid_set
from tests.servers.scripted import Conversation, Message, ScriptedServer, sample
from tests.servers.scripted import Folder as Served


def folder(name: bytes, delimiter: bytes | None = b"/", *attributes: str) -> Folder:
    return Folder(FolderName(name), delimiter, frozenset(attributes))


LINES = [
    pytest.param(b'* LIST () "/" INBOX', folder(b"INBOX"), id="atom"),
    pytest.param(
        b'* LIST (\\HasNoChildren \\Sent) "." "a b"', folder(b"a b", b".", "\\hasnochildren", "\\sent"), id="quoted"
    ),
    pytest.param(b'* LIST (\\NOSELECT) "/" x', folder(b"x", b"/", "\\noselect"), id="trap-50-attribute-in-capitals"),
    pytest.param(b'* LIST (\\NonExistent) "/" x', folder(b"x", b"/", "\\nonexistent"), id="trap-50-nonexistent"),
    pytest.param(b'* LIST () "/" "R&D-x"', folder(b"R&D-x"), id="trap-51-no-utf-7"),
    pytest.param(b'* LIST () "/" "a&b"', folder(b"a&b"), id="trap-51-shift-without-end"),
    pytest.param(b'* LIST () "/" "Entw\xfcrfe"', folder(b"Entw\xfcrfe"), id="trap-52-8-bit"),
    pytest.param(b'* LIST () "/" Entw\xc3\xbcrfe', folder(b"Entw\xc3\xbcrfe"), id="trap-52-utf-8-atom"),
    pytest.param(b'* LIST () "/" a[b', folder(b"a[b"), id="trap-53-bracket"),
    pytest.param(b'* LIST () "/" My Folder (1', folder(b"My Folder (1"), id="trap-54-blanks-without-quotes"),
    pytest.param(b'* LIST () "/" "x" ("CHILDINFO" ("SUBSCRIBED"))', folder(b"x"), id="trap-54-fourth-element"),
    pytest.param(b'* LIST () "/" x ("OLDNAME" ("y"))', folder(b"x"), id="trap-54-fourth-element-after-an-atom"),
    pytest.param(b'* LIST () "/" NIL', folder(b"NIL"), id="trap-55-nil"),
    pytest.param(b'* LIST () "/" 123', folder(b"123"), id="trap-55-digits"),
    pytest.param(b'* LIST () "/" iNbOx', folder(b"INBOX"), id="trap-55-inbox-in-any-case"),
    pytest.param(b"* LIST () NIL x", folder(b"x", None), id="trap-55-no-delimiter"),
    pytest.param(b'* LIST () nil "x"', folder(b"x", None), id="no-delimiter-lower-case"),
    pytest.param(b'* LIST () "\\\\" "a\\\\b"', folder(b"a\\b", b"\\"), id="trap-55-backslash"),
    pytest.param(b'* LIST () "\\" x', folder(b"x", b"\\"), id="trap-55-backslash-not-escaped"),
    pytest.param(b'* LIST () "/" {5}\r\na "b\xff', folder(b'a "b\xff'), id="trap-55-literal"),
    pytest.param(b'* LIST () "/" {3}\r\na\r\n', folder(b"a\r\n"), id="trap-56-line-break-in-a-literal"),
    pytest.param(b'* LIST () "/" "a\\"b\\\\c"', folder(b'a"b\\c'), id="trap-56-quotes"),
    pytest.param(b'* LIST () "/" "a"b"', folder(b'a"b'), id="trap-76-quote-not-escaped"),
    pytest.param(b'* LIST () "/" "../../etc/passwd"', folder(b"../../etc/passwd"), id="trap-57-raw-all-the-same"),
    pytest.param(b'*  list  ()  "/"  x', folder(b"x"), id="blanks-and-lower-case"),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_a_folder_is_listed_however_it_is_written(line: bytes, expected: Folder) -> None:
    """trap 50 to 57: raw names are kept, and one odd line spoils nothing."""
    with ScriptedServer() as server, opened(server, folder=None) as session:
        server.script(b"LIST", line + b'\r\n* LIST () "/" other\r\n')
        assert session.folders() == [expected, folder(b"other")]


@pytest.mark.parametrize("name", [b"a b", b'q"uo\\te', b"R&D-x", b"Entw\xfcrfe", b"a[b", b"a*b%c", b"", b"NIL", b"{3}"])
def test_a_listed_name_can_be_opened(name: bytes) -> None:
    """trap 52, trap 56: what was listed is sent back octet for octet."""
    with ScriptedServer({b"x" + name: sample(2)}) as server, opened(server, folder=None) as session:
        (listed,) = session.folders()
        assert session.examine(listed).messages == 2
        assert server.commands[-1].startswith(b"EXAMINE ")


def test_a_name_with_a_line_break_goes_as_a_literal() -> None:
    """trap 56: never as words of a command."""
    got: list[bytes] = []

    def examine(_server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        talk.send(b"+ go on\r\n")
        got.append(arguments + b"|" + talk.octets(int(arguments[1:-1])))
        assert talk.line() == b""
        return b"OK done"

    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        server.on(b"EXAMINE", examine)
        session.examine(folder(b"a\r\nb LOGOUT"))
        server.script(b"EXAMINE", b"", b"NO no such folder")
        with pytest.raises(FolderRefused):
            session.examine(folder(b"c\r\nd"))
        assert session.folders() == [INBOX]

    assert got == [b"{11}|a\r\nb LOGOUT"]


def test_a_name_with_a_nul_is_refused_here() -> None:
    """trap 56: no command can carry it, and the session goes on."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        with pytest.raises(FolderRefused):
            session.examine(folder(b"a\0b"))
        assert session.examine(INBOX).messages == 1


def test_each_folder_is_listed_once_in_the_servers_order() -> None:
    """trap 55: INBOX in two spellings is one folder."""
    with ScriptedServer() as server, opened(server, folder=None) as session:
        server.script(b"LIST", b'* LIST () "/" b\r\n* LIST () "/" Inbox\r\n* LIST () "/" INBOX\r\n* LIST () "/" b\r\n')
        assert [each.name for each in session.folders()] == [b"b", b"INBOX"]


def test_folders_of_others_are_left_out() -> None:
    """trap 61: only the personal namespace is archived."""
    with ScriptedServer({name: sample(0) for name in (b"INBOX", b"a", b"user/bob", b"#shared/x")}) as server:
        server.capabilities = "IMAP4rev1 NAMESPACE"
        server.script(b"NAMESPACE", b'* NAMESPACE (("" "/")) (("user/" "/")) (("#shared/" "/"))\r\n')
        with opened(server, folder=None) as session:
            assert [each.name for each in session.folders()] == [b"INBOX", b"a"]


def test_a_prefix_of_ones_own_keeps_the_inbox() -> None:
    """Courier and Cyrus: INBOX stands outside of the prefix `INBOX.`."""
    with ScriptedServer({name: sample(0) for name in (b"INBOX", b"INBOX.a", b"shared.x")}) as server:
        server.capabilities = "IMAP4rev1 NAMESPACE"
        server.script(b"NAMESPACE", b'* NAMESPACE (("INBOX." ".")) NIL (("shared." "."))\r\n')
        with opened(server, folder=None) as session:
            assert [each.name for each in session.folders()] == [b"INBOX", b"INBOX.a"]


@pytest.mark.parametrize("answer", [b"* NAMESPACE NIL NIL NIL\r\n", b"* NAMESPACE odd\r\n", b""])
def test_everything_is_listed_when_the_namespace_is_not_told(answer: bytes) -> None:
    """Rather too much than nothing."""
    with ScriptedServer({b"INBOX": sample(0), b"a": sample(0)}, capabilities="IMAP4rev1 NAMESPACE") as server:
        server.script(b"NAMESPACE", answer)
        with opened(server, folder=None) as session:
            assert len(session.folders()) == 2


def test_special_uses_are_asked_for() -> None:
    """RFC 6154: without RETURN a server may keep them to itself."""
    served = {b"Sent": Served(attributes="\\Sent")}
    with (
        ScriptedServer(served, capabilities="IMAP4rev1 SPECIAL-USE LIST-EXTENDED") as server,
        opened(server, folder=None) as session,
    ):
        assert session.folders() == [folder(b"Sent", b"/", "\\sent")]
        assert b'LIST "" "*" RETURN (SPECIAL-USE)' in server.commands


@pytest.mark.parametrize("capabilities", ["SPECIAL-USE LIST-EXTENDED", "LIST-STATUS", "LIST-STATUS SPECIAL-USE"])
def test_a_server_that_lists_nothing_that_way_is_asked_plainly(capabilities: str) -> None:
    """trap 59: it takes the options and answers with OK and nothing; there is always an INBOX (RFC 9051 §5.1)."""

    def listing(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        return b"OK done" if b"RETURN" in arguments else server.correct(b"LIST", talk, arguments)

    with ScriptedServer({b"INBOX": sample(1)}, capabilities=f"IMAP4rev1 {capabilities}") as server:
        server.on(b"LIST", listing)
        with opened(server, folder=None) as session:
            assert [each.name for each in session.folders()] == [b"INBOX"]
            assert session.status([INBOX]).keys() == {b"INBOX"}


def test_a_server_that_only_says_it_can_list_more_is_asked_plainly() -> None:
    """imap-traps §1.8: BAD degrades the feature."""

    def listing(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        return b"BAD syntax" if b"RETURN" in arguments else server.correct(b"LIST", talk, arguments)

    with ScriptedServer({b"a": sample(0)}, capabilities="IMAP4rev1 SPECIAL-USE LIST-EXTENDED") as server:
        server.on(b"LIST", listing)
        with opened(server, folder=None) as session:
            assert [each.name for each in session.folders()] == [b"a"]


@pytest.mark.parametrize(
    ("untagged", "tagged", "kind"),
    [
        (b"", b"OK done", ServerViolation),
        (b"", b"NO what?", ServerUnsuitable),
        (b"", b"NO [UNAVAILABLE] later", ServerBusy),
        (b"* LIST garbage\r\n", b"OK done", ServerViolation),
        (b'* LIST () "/" ' + b"x" * 10_000 + b"\r\n", b"OK done", ServerViolation),
        (b'* LIST () "/" {3}\r\nabcd\r\n', b"OK done", ServerViolation),
        (b'* LIST () "/" {99999999}\r\n', b"OK done", ServerViolation),
    ],
    ids=["empty", "refused", "unavailable", "garbage", "endless-name", "literal-too-short", "huge-literal"],
)
def test_a_list_that_is_none_ends_the_session(untagged: bytes, tagged: bytes, kind: type[Exception]) -> None:
    """trap 79, trap 81: half a list would be taken for the whole."""
    with ScriptedServer() as server, opened(server, folder=None) as session:
        server.script(b"LIST", untagged, tagged)
        with pytest.raises(kind):
            session.folders()


@pytest.mark.slow
def test_the_number_of_folders_is_bounded() -> None:
    """trap 61: an endless list."""
    with ScriptedServer() as server, opened(server, folder=None) as session:
        server.script(b"LIST", b"".join(b'* LIST () "/" f%d\r\n' % number for number in range(100_001)))
        with pytest.raises(ServerViolation):
            session.folders()


# --- STATUS ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 LIST-STATUS"])
def test_status_tells_what_a_skip_needs(capabilities: str) -> None:
    """One LIST for all, or a STATUS for each with some on the way at once."""
    served = {b"f%d" % number: sample(number) for number in range(20)}
    with ScriptedServer(served, capabilities=capabilities) as server, opened(server, folder=None) as session:
        told = session.status(session.folders())

    assert told == {
        FolderName(b"f%d" % number): Snapshot(UidValidity(1700000000), Uid(number + 1), number) for number in range(20)
    }


@pytest.mark.parametrize(
    "items",
    [b"", b"MESSAGES 3", b"MESSAGES 3 UIDNEXT 0 UIDVALIDITY 1", b"MESSAGES 3 UIDNEXT 4 UIDVALIDITY 0", b"MESSAGES x"],
)
def test_an_incomplete_status_is_no_answer(items: bytes) -> None:
    """trap 26: mail.163.com sends `()`; the folder is opened instead."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        server.script(b"STATUS", b'* STATUS "INBOX" (' + items + b")\r\n")
        assert session.status([INBOX]) == {}


@pytest.mark.parametrize("name", [b'"INBOX"', b"inbox", b"{5}\r\nINBOX"])
def test_the_name_in_status_may_be_written_in_any_form(name: bytes) -> None:
    """Quoted, atom, literal."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        server.script(b"STATUS", b"* STATUS " + name + b" (UIDVALIDITY 5 MESSAGES 3 UIDNEXT 4)\r\n")
        assert session.status([INBOX]) == {b"INBOX": Snapshot(UidValidity(5), Uid(4), 3)}


def test_a_folder_whose_status_is_refused_is_left_out() -> None:
    """The others are told."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        assert session.status([folder(b"gone"), INBOX]).keys() == {b"INBOX"}


def test_the_opened_folder_is_not_asked_for() -> None:
    """trap 26: its STATUS may be stale."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        assert session.status([INBOX]) == {}


def test_a_throttled_status_ends_the_session() -> None:
    """A hint is honoured, not lost among refusals."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        server.script(b"STATUS", b"", b"NO [LIMIT] slow down")
        with pytest.raises(ServerBusy):
            session.status([INBOX])


# --- EXAMINE ---------------------------------------------------------------------------------------------------------

SNAPSHOTS = [
    pytest.param(
        b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] y\r\n",
        Snapshot(UidValidity(7), Uid(9), 3),
        id="usual",
    ),
    pytest.param(
        b"* 3 EXISTS\r\n* OK [uidvalidity 7]\r\n* ok [UIDNEXT 9]\r\n", Snapshot(UidValidity(7), Uid(9), 3), id="trap-72"
    ),
    pytest.param(b"* 3 EXISTS\r\n", Snapshot(None, None, 3), id="trap-9-27-nothing-told"),
    pytest.param(
        b"* 3 EXISTS\r\n* OK [UIDVALIDITY 0]\r\n* OK [UIDNEXT 0]\r\n", Snapshot(None, None, 3), id="trap-9-zero"
    ),
    pytest.param(b"* OK [UIDVALIDITY 7] x\r\n", Snapshot(UidValidity(7), None, 0), id="trap-28-no-exists"),
    pytest.param(
        b"* 500 EXISTS\r\n* 1623 EXISTS\r\n* 1500 EXISTS\r\n", Snapshot(None, None, 1623), id="trap-28-several"
    ),
    pytest.param(b"*  1843 EXISTS\r\n", Snapshot(None, None, 1843), id="trap-28-two-spaces"),
    pytest.param(
        b"* OK [UIDVALIDITY 4294967295] x\r\n* OK [UIDNEXT 4294967290]\r\n",
        Snapshot(UidValidity(4294967295), Uid(4294967290), 0),
        id="trap-15-32-bits",
    ),
    pytest.param(
        b"* OK [UIDVALIDITY 4294967296] x\r\n* OK [UIDNEXT -1]\r\n", Snapshot(None, None, 0), id="trap-15-beyond"
    ),
    pytest.param(
        b"* 5 EXISTS\r\n* OK [UIDVALIDITY 1]\r\n* OK [CLOSED] old\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n",
        Snapshot(UidValidity(7), None, 3),
        id="trap-80-words-about-the-folder-before",
    ),
    pytest.param(
        b"* 3 EXISTS\r\n* OK [MESSAGELIMIT 3] more\r\n", Snapshot(None, None, 3, limited=True), id="trap-31-code"
    ),
]


@pytest.mark.parametrize(("untagged", "expected"), SNAPSHOTS)
def test_examine_tells_what_the_server_told(untagged: bytes, expected: Snapshot) -> None:
    """trap 9, 15, 27, 28, 31, 72, 80."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        server.script(b"EXAMINE", untagged, b"OK [READ-ONLY]")
        assert session.examine(INBOX) == expected


def test_a_view_that_ends_at_the_servers_limit_is_told() -> None:
    """trap 31: RFC 9738, Yahoo."""
    served = {b"INBOX": sample(5), b"x": sample(4)}
    with ScriptedServer(served, capabilities="IMAP4rev1 MESSAGELIMIT=5") as server, opened(server) as session:
        assert session.examine(INBOX).limited
        assert not session.examine(folder(b"x")).limited


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (b"NO [NONEXISTENT] gone", FolderRefused, "NONEXISTENT"),
        (b"NO [NOPERM] no", FolderRefused, "NOPERM"),
        (b"NO", FolderRefused, "no reason given"),
        (b"BAD what?", FolderRefused, "what?"),
        (b"NO [INUSE] locked", FolderRefused, "at the moment"),
        (b"NO [UNAVAILABLE] later", FolderRefused, "at the moment"),
        (b"NO [OVERQUOTA] bandwidth limits", ServerBusy, "used up what the server allows"),
        (b"BAD User is authenticated but not connected.", CredentialsRefused, "Secret"),
    ],
)
def test_a_refused_folder_is_told_from_a_refused_session(answer: bytes, kind: type[Exception], text: str) -> None:
    """trap 58, trap 59, trap 91."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        server.script(b"EXAMINE", b"", answer)
        with pytest.raises(kind, match=r".*".join(map(str, [text]))):
            session.examine(INBOX)


ECHOED = [
    b"Rate limit alerts",
    b"Login failed",
    b"Too many connections",
    b"Wrong password",
    b"Server busy/a",
    b"No &quota exceeded",
]


@pytest.mark.parametrize("name", ECHOED)
@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 ESEARCH"])
def test_the_name_of_a_folder_says_nothing_of_the_session(name: bytes, capabilities: str) -> None:
    """S11, trap 59: Dovecot repeats the name, and whoever names a folder must not stop the others."""
    served = {b"INBOX": sample(1), name: sample(1)}
    with ScriptedServer(served, capabilities=capabilities) as server, opened(server, folder=None) as session:
        refused = b"NO Mailbox doesn't exist: " + name
        server.script(b"STATUS", b"", refused)
        assert session.status([folder(name)]) == {}
        server.script(b"EXAMINE", b"", refused)
        with pytest.raises(FolderRefused):
            session.examine(folder(name))
        server.mend()
        session.examine(folder(name))
        for command in (b"UID SEARCH", b"UID FETCH"):
            server.script(command, b"", refused)
        with pytest.raises(FolderRefused):
            session.uids()
        assert fetch(session, uid_set(1)).refused is not None
        server.mend()
        assert session.examine(INBOX).messages == 1


def test_a_busy_server_is_heard_whatever_the_folder_is_called() -> None:
    """trap 88: only whole words of the name count for nothing."""
    served = {b"INBOX": sample(1), b"a": sample(1), b"rate": sample(1)}
    for name, said in ((b"a", b"NO rate limit hit"), (b"rate", b"NO [LIMIT] rate limit hit")):
        with ScriptedServer(served) as server, opened(server, folder=None) as session:
            server.script(b"EXAMINE", b"", said)
            with pytest.raises(ServerBusy):
                session.examine(folder(name))


def test_the_session_goes_on_after_a_refused_folder() -> None:
    """S11, and nothing of the folder opened before is taken for the next."""
    with ScriptedServer({b"INBOX": Served({5: Message(b"x")}, uid_validity=9)}) as server, opened(server) as session:
        with pytest.raises(FolderRefused):
            session.examine(folder(b"gone"))
        assert session.examine(INBOX) == Snapshot(UidValidity(9), Uid(6), 1)
        assert fetch(session, uid_set(5)).octets == {5: b"x"}
