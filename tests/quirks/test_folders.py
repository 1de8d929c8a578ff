"""Folders with odd names, attributes and answers (imap-traps §1.4), through the whole engine."""

from pathlib import Path

import pytest

from archivmail.archive.export.report import Format
from archivmail.archive.export.run import export
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.model.status import ConditionType
from tests.quirks.cases import Quirk, quirk, survive
from tests.quirks.engine import Engine
from tests.servers.scripted import Folder, ScriptedServer, Transcript, sample

ODD_NAMES = [
    pytest.param(b"R&D-x", id="trap-51-modified-utf-7-that-is-none"),
    pytest.param(b"a&b", id="trap-51-shift-without-end"),
    pytest.param("Entwürfe".encode("latin-1"), id="trap-52-latin-1"),
    pytest.param("Entwürfe".encode(), id="trap-52-utf-8"),
    pytest.param(b"a[b", id="trap-53-bracket"),
    pytest.param(b"[Gmail]/All Mail", id="trap-53-brackets"),
    pytest.param(b"NIL", id="trap-55-nil"),
    pytest.param(b"123", id="trap-55-digits"),
    pytest.param(b'say "hi" \\o/', id="trap-56-quotes-and-backslash"),
    pytest.param(b"tab\there", id="trap-56-control-character"),
    pytest.param(b"../../../etc/passwd", id="trap-57-dots"),
    pytest.param(b"/absolute", id="trap-57-absolute"),
    pytest.param(b"x" * 300, id="trap-57-long"),
    pytest.param(b" blank ", id="blanks-around"),
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_folder_is_archived_whatever_its_name(name: bytes, tmp_path: Path) -> None:
    """traps 51 to 53, 55 to 57: the raw octets are the name; its mail is archived, and the INBOX's beside it."""
    with ScriptedServer({b"INBOX": sample(1), name: sample(2)}) as server, Engine(tmp_path, server) as engine:
        assert engine.sync().result is Result.SUCCEEDED
        assert {folder for folder, _, _ in engine.held()} == {b"INBOX", name}
        engine.require_all()


def test_names_that_differ_only_for_a_server_stay_apart(tmp_path: Path) -> None:
    """trap 57: case, NFC and NFD, dots: no two folders become one, in the packs and in an export."""
    names = [b"Caf&AOk-", b"Cafe&AwE-", b"CAFE", b"cafe", b"a/b", b"a&AC8-b", b"..", b".", b"a", b"A"]
    folders = {name: sample(1, first_uid=number) for number, name in enumerate(names, 1)}
    out = tmp_path / "out"
    with ScriptedServer(folders) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        engine.require_all()
        assert {folder for folder, _, _ in engine.held()} == set(names)
        export(engine.archive, engine.archive.placements(), format=Format.EML, output=out)

    files = list(out.rglob("*.eml"))
    assert len(files) == len(names)
    assert all(path.resolve().is_relative_to(out.resolve()) for path in files)
    assert len({str(path).lower() for path in files}) == len(names)


LISTS = [
    quirk("trap-50-noselect-parents", """
        > LIST
        < * LIST (\\NoSelect \\HasChildren) "/" "Parent"
        < * LIST (\\NONEXISTENT) "/" "Ghost"
        ...
        """),
    quirk("trap-51-a-name-that-cannot-be-decoded", """
        > LIST
        < * LIST (\\Noselect) "/" "R&D-x"
        ...
        """),
    quirk("trap-54-a-fourth-element", """
        > LIST
        < * LIST () "/" "INBOX" ("CHILDINFO" ("SUBSCRIBED"))
        < * LIST () "/" "Old" ("OLDNAME" ("Older"))
        """, others={b"Old": sample(1)}),
    quirk("trap-54-blanks-without-quotes", """
        > LIST
        < * LIST () "/" INBOX
        < * LIST (\\HasNoChildren) "/" Sent Items of 2024
        """, others={b"Sent Items of 2024": sample(2)}),
    quirk("trap-55-inbox-in-another-case-and-twice", """
        > LIST
        < * LIST () "/" "Inbox"
        < * LIST () "/" INBOX
        < * LIST () "/" "inbox"
        """),
    quirk("trap-55-no-delimiter", """
        > LIST
        < * LIST () NIL INBOX
        < * LIST () NIL NIL
        """, others={b"NIL": sample(1)}),
    quirk("trap-55-delimiter-is-a-backslash", """
        > LIST
        < * LIST () "\\\\" "INBOX"
        < * LIST () "\\" "a\\\\b"
        """, others={b"a\\b": sample(1)}),
    quirk("trap-55-name-as-a-literal", """
        > LIST
        < * LIST () "/" {5}
        < INBOX
        < * LIST () "/" {4}
        < Sent
        """, others={b"Sent": sample(1)}),
    quirk("trap-59-in-use", """
        > EXAMINE "INBOX"
        < %tag NO [INUSE] locked by another session
        """, missing=(1, 2, 3), says=Reason.PARTIAL_FAILURE, others={b"Sent": sample(2)}),
    quirk("trap-59-refused-without-a-code", """
        > EXAMINE "INBOX"
        < %tag NO Mailbox doesn't exist or is in an odd mood
        """, missing=(1, 2, 3), says=Reason.PARTIAL_FAILURE, others={b"Sent": sample(2)}),
    quirk("trap-80-words-about-the-folder-before", """
        > EXAMINE "Sent"
        < * 2 FETCH (UID 2 FLAGS (\\Seen))
        < * 9 EXISTS
        < * OK [UIDVALIDITY 12345] of the folder before
        < * OK [CLOSED] that one is closed
        ...
        """, others={b"Sent": sample(2)}),
    quirk("trap-80-octets-of-the-folder-before", """
        > EXAMINE "Sent"
        < * 2 FETCH (UID 2 FLAGS () %date BODY[] {12}\\r\\nfrom another)
        ...
        """, others={b"Sent": sample(2)}),
]  # fmt: skip


@pytest.mark.parametrize("case", LISTS)
def test_every_folder_is_archived_however_it_is_listed(case: Quirk, tmp_path: Path) -> None:
    """traps 50, 51, 54, 55, 59, 80: all others are archived; a folder that cannot be opened is named."""
    survive(case, tmp_path)


def test_folders_of_others_are_not_archived(tmp_path: Path) -> None:
    """trap 61: what NAMESPACE gives to others or to all is left out, and so is nothing of one's own."""
    folders = {name: sample(1) for name in (b"INBOX", b"Sent", b"user/bob", b"shared/all")}
    with (
        ScriptedServer(folders, capabilities="IMAP4rev1 NAMESPACE") as server,
        Engine(tmp_path, server) as engine,
    ):
        server.script(b"NAMESPACE", b'* NAMESPACE (("" "/")) (("user/" "/")) (("shared/" "/"))\r\n')
        engine.note()
        outcome = engine.sync(sees_all=False)

        assert outcome.selected == 2
        assert {folder for folder, _, _ in engine.held()} == {b"INBOX", b"Sent"}


def test_a_folder_that_is_deleted_keeps_its_archive(tmp_path: Path) -> None:
    """trap 58: deleted, then made again under another UIDVALIDITY: no error, nothing removed, the new mail there."""
    with ScriptedServer({b"INBOX": sample(1), b"Work": sample(3)}) as server, Engine(tmp_path, server) as engine:
        engine.sync()
        old = server.folders.pop(b"Work")
        assert engine.sync().result is Result.SUCCEEDED
        assert len([key for key in engine.held() if key[0] == b"Work"]) == 3
        server.folders[b"Work"] = Folder(sample(1, first_uid=9).messages, uid_validity=77)
        engine.sync()
        engine.require_all()
        assert set(engine.held().values()) >= {message.octets for message in old.messages.values()}


def test_a_folder_that_vanishes_in_mid_run_does_not_stop_the_others(tmp_path: Path) -> None:
    """trap 58: listed, and gone when it is opened: named, and the next run does not miss it."""
    with ScriptedServer({b"A": sample(2), b"INBOX": sample(2)}) as server, Engine(tmp_path, server) as engine:
        Transcript('> EXAMINE "A"\n< %tag NO [NONEXISTENT] gone').play(server)
        outcome = engine.sync()
        assert outcome.result is Result.PARTIAL
        assert engine.status.condition(ConditionType.FOLDERS_DEGRADED) is not None
        assert len([key for key in engine.held() if key[0] == b"INBOX"]) == 2
        del server.folders[b"A"]
        assert engine.sync().result is Result.SUCCEEDED


def test_one_message_in_many_folders_is_stored_once(tmp_path: Path) -> None:
    """trap 60: All Mail, Important and a label show the same octets: stored once, seen everywhere."""
    folders = {name: sample(3) for name in (b"INBOX", b"[Gmail]/All Mail", b"[Gmail]/Important")}
    with ScriptedServer(folders) as server, Engine(tmp_path, server) as engine:
        outcome = engine.sync()
        engine.require_all()

        assert (outcome.added, outcome.deduplicated) == (9, 6)
        assert engine.archive.verify(full=True).messages == 3
