"""maildir: Maildir++ that Python's `mailbox` and mail servers read, flags and dates with it."""

import mailbox as standard
from pathlib import Path

import pytest

from archivmail.archive.export.maildir import flag_letters
from tests.archive.export.sightings import NASTY, NOON, Mailbox


def test_an_independent_reader_finds_folders_messages_flags_and_dates(mailbox: Mailbox, tmp_path: Path) -> None:
    """Python's mailbox.Maildir."""
    mailbox.add(b"Subject: a\n\nx\n", flags=("\\Seen", "\\Flagged", "$Label1"))
    mailbox.add(
        b"Subject: b\n\nx\n", folder=b"Archive/2024", flags=("\\Answered", "\\Draft", "$Forwarded", "\\Deleted")
    )
    assert mailbox.export("maildir", tmp_path).written == 2
    inbox = standard.Maildir(tmp_path / "team/alice", create=False)
    assert inbox.list_folders() == ["Archive.2024"]
    (first,) = inbox
    assert (first["Subject"], first.get_flags(), first.get_date()) == ("a", "FS", NOON.timestamp())
    (second,) = inbox.get_folder("Archive.2024")
    assert (second["Subject"], second.get_flags(), second.get_subdir()) == ("b", "DPRT", "cur")
    assert (tmp_path / "team/alice/.Archive.2024/maildirfolder").exists()


def test_octets_are_exact(mailbox: Mailbox, tmp_path: Path) -> None:
    """Line ends, NUL and 8-bit as they came."""
    for octets in NASTY:
        mailbox.add(octets)
    mailbox.export("maildir", tmp_path)
    found = sorted(path.read_bytes() for path in (tmp_path / "team/alice/cur").iterdir())
    assert found == sorted(NASTY)
    assert list((tmp_path / "team/alice/tmp").iterdir()) == []


def test_folders_are_named_as_servers_name_them(mailbox: Mailbox, tmp_path: Path) -> None:
    """Modified UTF-7 stays; a full stop within a level is not taken for a new level; INBOX in any case is the root."""
    for folder, delimiter in ((b"Entw&APw-rfe", b"/"), (b"v1.2/Sent Items", b"/"), (b"A.B", b"."), (b"inbox", b"/")):
        mailbox.add(b"x" + folder, folder=folder, delimiter=delimiter)
    mailbox.export("maildir", tmp_path)
    names = {path.name for path in (tmp_path / "team/alice").iterdir()}
    assert names == {"cur", "new", "tmp", ".Entw&APw-rfe", ".v1%2E2.Sent Items", ".A.B"}


def test_a_second_call_finds_what_a_mail_program_moved(mailbox: Mailbox, tmp_path: Path) -> None:
    """Reading mail changes its name behind the ":" and its directory; it is the same message."""
    for uid in (1, 2, 3):
        mailbox.add(b"message %d" % uid)
    mailbox.export("maildir", tmp_path)
    root = tmp_path / "team/alice"
    first, second, third = sorted((root / "cur").iterdir())
    first.rename(first.with_name(first.name + "RS"))
    second.rename(root / "new" / second.name.partition(":")[0])
    third.unlink()
    report = mailbox.export("maildir", tmp_path)
    assert (report.written, report.present) == (1, 2)
    assert len(list((root / "cur").iterdir())) == 2


def test_a_uidvalidity_that_came_back_overwrites_nothing(mailbox: Mailbox, tmp_path: Path) -> None:
    """Names hold a part of the content's id."""
    mailbox.add(b"first", uid=1, epoch=1)
    mailbox.add(b"second", uid=1, epoch=3)
    assert mailbox.export("maildir", tmp_path).written == 2
    assert len(list((tmp_path / "team/alice/cur").iterdir())) == 2


def test_damage_leaves_no_half_message(mailbox: Mailbox, tmp_path: Path) -> None:
    """Neither in cur nor in tmp."""
    mailbox.damaged.add(mailbox.add(b"damaged").content_id)
    mailbox.add(b"good")
    report = mailbox.export("maildir", tmp_path)
    assert (report.written, report.failed) == (1, 1)
    assert [path.name for path in (tmp_path / "team/alice/tmp").iterdir()] == []
    assert len(list((tmp_path / "team/alice/cur").iterdir())) == 1


@pytest.mark.parametrize(
    ("flags", "letters"),
    [
        pytest.param((), "", id="none"),
        pytest.param(("\\SEEN", "\\seen"), "S", id="case-and-twice"),
        pytest.param(("\\Seen", "\\Draft", "\\Flagged"), "DFS", id="in-order"),
        pytest.param(("\\Recent", "keyword", "S"), "", id="no-letter"),
    ],
)
def test_flags_are_letters(flags: tuple[str, ...], letters: str) -> None:
    """Sorted, each once."""
    assert flag_letters(flags) == letters
