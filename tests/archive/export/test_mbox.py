"""mbox: mboxrd, from which every message comes back octet for octet."""

import mailbox as standard
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.export import mbox
from archivmail.archive.export.mbox import quoted
from tests.archive.export.sightings import NASTY, Mailbox, files


def unquoted(octets: bytes) -> bytes:
    return re.sub(rb"^>(>*From )", rb"\1", octets, flags=re.MULTILINE)


def messages_of(file: bytes) -> list[bytes]:
    """Read as mbox.py says, by other means than it writes."""
    begins = [match.start() for match in re.finditer(rb"^From ", file, flags=re.MULTILINE)]
    found = []
    for start, end in pairwise([*begins, len(file)]):
        first, _, rest = file[start:end].partition(b"\n")
        found.append(unquoted(rest[:-2] if b" NO-FINAL-LINE " in first else rest[:-1]))
    return found


def test_every_message_comes_back_octet_for_octet(mailbox: Mailbox, tmp_path: Path) -> None:
    """trap 67: From-lines, missing and doubled line ends, empty messages, NUL."""
    for octets in NASTY:
        mailbox.add(octets)
    assert mailbox.export("mbox", tmp_path).written == len(NASTY)
    (file,) = files(tmp_path).values()
    assert messages_of(file) == list(NASTY)


@given(st.lists(st.lists(st.sampled_from([b"From ", b"From", b">", b"\n", b"\r\n", b"F", b"x", b"\0"]), max_size=9)))
def test_quoting_does_not_depend_on_how_octets_come(messages: list[list[bytes]]) -> None:
    """In one piece or in many, the quoted text is that of the definition, and can be taken back."""
    for pieces in messages:
        octets = b"".join(pieces)
        expected = re.sub(rb"^(>*From )", rb">\1", octets, flags=re.MULTILINE)
        assert b"".join(quoted([octets])) == expected
        assert b"".join(quoted(pieces)) == expected
        assert b"".join(quoted(octets[at : at + 1] for at in range(len(octets)))) == expected
        assert unquoted(expected) == octets


def test_an_independent_reader_finds_messages_and_dates(mailbox: Mailbox, tmp_path: Path) -> None:
    """Python's mailbox.mbox."""
    mailbox.add(b"Subject: a\n\nx\nFrom y\n")
    mailbox.add(b"Subject: b\n\nx")
    mailbox.export("mbox", tmp_path)
    with_messages = standard.mbox(tmp_path / "team/alice/INBOX.mbox", create=False)
    assert [message["Subject"] for message in with_messages] == ["a", "b"]
    assert with_messages[0].get_from() == "MAILER-DAEMON Wed May  1 12:00:07 2024"
    with_messages.close()


def test_folders_that_alternate_have_a_file_each(mailbox: Mailbox, tmp_path: Path) -> None:
    """Placements come as they were archived, folder after folder in each run; few files are open at once."""
    names = [b"folder%d" % number for number in range(mbox.MAX_OPEN + 5)]
    for run in range(3):
        for name in names:
            mailbox.add(b"run %d\n" % run, folder=name)
    assert mailbox.export("mbox", tmp_path).written == 3 * len(names)
    found = files(tmp_path)
    assert set(found) == {f"team/alice/{name.decode()}.mbox" for name in names}
    assert all(messages_of(file) == [b"run 0\n", b"run 1\n", b"run 2\n"] for file in found.values())


def test_damage_leaves_the_messages_around_it_whole(mailbox: Mailbox, tmp_path: Path) -> None:
    """What was written of it is taken back."""
    mailbox.add(b"first\n")
    mailbox.damaged.add(mailbox.add(b"damaged").content_id)
    mailbox.add(b"last")
    report = mailbox.export("mbox", tmp_path)
    assert (report.written, report.failed) == (2, 1)
    assert report.failures[0].name == "team/alice/INBOX.mbox: UID 2 of UIDVALIDITY 7"
    assert messages_of((tmp_path / "team/alice/INBOX.mbox").read_bytes()) == [b"first\n", b"last"]


def test_a_broken_off_export_leaves_the_files_of_an_earlier_one(mailbox: Mailbox, tmp_path: Path) -> None:
    """Files change only when everything is in."""
    mailbox.add(b"first\n")
    mailbox.export("mbox", tmp_path)
    before = files(tmp_path)
    mailbox.add(b"second\n")
    mailbox.contents.clear()  # the archive fails in a way nobody foresaw
    with pytest.raises(KeyError):
        mailbox.export("mbox", tmp_path)
    assert files(tmp_path) == before
    mailbox.contents = dict(zip([row.content_id for row in mailbox.rows], [b"first\n", b"second\n"], strict=True))
    mailbox.export("mbox", tmp_path)
    assert messages_of((tmp_path / "team/alice/INBOX.mbox").read_bytes()) == [b"first\n", b"second\n"]
