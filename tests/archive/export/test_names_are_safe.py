"""Whatever a server calls its folders, an export stays in its directory and no two files meet."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.export.manifest import NAME as MANIFEST
from archivmail.archive.export.names import maildir_folder, mbox_path, message_path
from tests.archive.export.sightings import Mailbox, files

HOSTILE = (
    b"../../etc", b"..", b".", b"", b"/", b"//", b"/etc/passwd", b"a/../b", b"a\x00b", b"a\nb", b"\xff\xfe", b"~root",
    b"%2E%2E", b"con", b"a" * 300, b"/".join([b"deep"] * 300), b"7-1.eml", b"INBOX/7-1.eml", b"INBOX/7-1~01234567.eml",
    b"A", b"A.mbox", b"A.mbox/B", b"A/B.mbox/C", b"INBOX", b"cur", b"new", b"tmp", b"a.b", b"a", b"a/b", b"a%2Fb",
    b"MANIFEST.sha256", b"-rf", b" ", b"a" * 240 + b"x", b"a" * 240 + b"y", b"a" * 255, b"a" * 256,
)  # fmt: skip


@pytest.mark.parametrize("kind", ["eml", "maildir", "mbox", "tar"])
def test_every_message_of_hostile_folders_comes_out(mailbox: Mailbox, tmp_path: Path, kind: str) -> None:
    """Each folder holds one message; all are there, below the output, and nothing beside it."""
    for number, folder in enumerate(HOSTILE):
        mailbox.add(b"Subject: %d\n\nx\n" % number, folder=folder, uid=1)
    output = tmp_path / "out" / ("mail.tar" if kind == "tar" else "mail")
    report = mailbox.export(kind, output)
    assert (report.written, report.failed) == (len(HOSTILE), 0)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {output.name, f"{output.name}.{MANIFEST}"}
    contents = output.read_bytes() if kind == "tar" else b"".join(files(output).values())
    for number in range(len(HOSTILE)):
        assert contents.count(b"Subject: %d\n" % number) == 1
    if kind == "eml":
        assert len(files(output)) == len(HOSTILE)


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=8, unique=True), st.sampled_from([b"/", b".", None]))
def test_different_folders_have_different_names(folders: list[bytes], delimiter: bytes | None) -> None:
    """No two folders share a file, a directory or a Maildir; none leaves the account. INBOX is one in any case."""
    mailbox = Mailbox()
    rows = [mailbox.add(b"x", folder=folder, delimiter=delimiter, uid=1) for folder in folders]
    for name_of in (message_path, mbox_path):
        names = [name_of(row) for row in rows]
        assert len(set(names)) == len(names)
        for name in names:
            levels = name.split("/")
            assert levels[:2] == ["team", "alice"]
            assert not {"", ".", ".."} & set(levels)
            assert all(len(level) <= 255 and level.isascii() and level.isprintable() for level in levels)
        # No file is where another's directory is.
        assert not [name for name in names for other in names if other.startswith(name + "/")]
    maildirs = {maildir_folder(row): row.folder for row in rows}
    assert all(name == "" or (name[0] == "." and "/" not in name and name.strip(".")) for name in maildirs)
    assert len(maildirs) == len({b"INBOX" if folder.upper() == b"INBOX" else folder for folder in folders})
