"""tar: the eml tree in one file or through a pipe, opened by anything."""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from archivmail.archive.export.manifest import NAME as MANIFEST
from archivmail.archive.export.report import Format
from archivmail.archive.export.run import export
from archivmail.model.errors import SpecInvalid
from tests.archive.export.sightings import NASTY, NOON, Mailbox, files


def members(octets: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(octets)) as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert found.pop(MANIFEST).startswith(b"# export of archivmail ")
    return found


def test_members_are_those_of_the_eml_tree(mailbox: Mailbox, tmp_path: Path) -> None:
    """Names, octets and times."""
    for octets in NASTY:
        mailbox.add(octets)
    second = mailbox.add(b"other octets", uid=1, epoch=2)
    mailbox.export("tar", tmp_path / "a.tar")
    found = members((tmp_path / "a.tar").read_bytes())
    expected = {f"team/alice/INBOX/7-{uid}.eml": octets for uid, octets in enumerate(NASTY, 1)}
    assert found == expected | {f"team/alice/INBOX/7-1~{second.content_id.hex()[:8]}.eml": b"other octets"}
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {member.mtime for member in tar if member.name != MANIFEST} == {NOON.timestamp()}


def test_gnu_tar_unpacks_it(mailbox: Mailbox, tmp_path: Path) -> None:
    """Long names too, without a word of complaint."""
    mailbox.add(b"deep\n", folder=b"/".join([b"a level of a name"] * 20))
    mailbox.export("tar", tmp_path / "a.tar")
    out = tmp_path / "out"
    out.mkdir()
    ran = subprocess.run(["tar", "-xf", tmp_path / "a.tar", "-C", out], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    assert list(files(out).values()) == [b"deep\n"]


def test_it_goes_through_a_pipe(mailbox: Mailbox) -> None:
    """Standard output cannot be read, asked where it stands or moved."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError("a pipe")

        def seek(self, offset: int, whence: int = 0, /) -> int:
            raise OSError("a pipe")

    for octets in NASTY:
        mailbox.add(octets)
    pipe = Pipe()
    report = export(mailbox, mailbox.rows, format=Format.TAR, output=pipe)
    assert report.written == len(NASTY)
    assert list(members(pipe.getvalue()).values()) == list(NASTY)


def test_damage_leaves_no_half_member(mailbox: Mailbox, tmp_path: Path) -> None:
    """A member is written when its octets proved good."""
    mailbox.damaged.add(mailbox.add(b"damaged").content_id)
    mailbox.add(b"good")
    report = mailbox.export("tar", tmp_path / "a.tar")
    assert (report.written, report.failed) == (1, 1)
    assert members((tmp_path / "a.tar").read_bytes()) == {"team/alice/INBOX/7-2.eml": b"good"}


def test_a_broken_off_export_leaves_the_earlier_file(mailbox: Mailbox, tmp_path: Path) -> None:
    """The name changes hands when everything is in."""
    mailbox.add(b"first")
    mailbox.export("tar", tmp_path / "a.tar")
    before = files(tmp_path)
    mailbox.add(b"second")
    del mailbox.contents[mailbox.rows[1].content_id]
    with pytest.raises(KeyError):
        mailbox.export("tar", tmp_path / "a.tar")
    assert files(tmp_path) == before


def test_an_empty_export_is_an_empty_tar(mailbox: Mailbox, tmp_path: Path) -> None:
    """Nothing found is not an error."""
    assert mailbox.export("tar", tmp_path / "a.tar").written == 0
    assert members((tmp_path / "a.tar").read_bytes()) == {}


@pytest.mark.parametrize("kind", [Format.EML, Format.MAILDIR, Format.MBOX])
def test_only_tar_goes_to_standard_output(mailbox: Mailbox, kind: Format) -> None:
    """The others are many files."""
    with pytest.raises(SpecInvalid, match="needs a directory"):
        export(mailbox, mailbox.rows, format=kind, output=io.BytesIO())
