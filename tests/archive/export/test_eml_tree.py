"""eml: one file per placement, octet for octet, resumable, nothing overwritten."""

import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from archivmail.archive.export.manifest import NAME as SUMS
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveUnavailable
from tests.archive.export.sightings import NASTY, NOON, Mailbox, files


def lines_of(directory: Path) -> list[str]:
    """Of the manifest, without what it tells of the export."""
    return [line for line in (directory / SUMS).read_text().splitlines() if not line.startswith("#")]


def test_every_placement_is_a_file_with_the_exact_octets(mailbox: Mailbox, tmp_path: Path) -> None:
    """`OUT/NAMESPACE/ACCOUNT/FOLDER/UIDVALIDITY-UID.eml`, with the time of INTERNALDATE."""
    for octets in NASTY:
        mailbox.add(octets)
    report = mailbox.export("eml", tmp_path / "out")
    assert (report.written, report.present, report.failed) == (len(NASTY), 0, 0)
    assert report.written_bytes == sum(map(len, NASTY))
    assert files(tmp_path / "out") == {f"team/alice/INBOX/7-{uid}.eml": octets for uid, octets in enumerate(NASTY, 1)}
    assert (tmp_path / "out/team/alice/INBOX/7-1.eml").stat().st_mtime == NOON.timestamp()
    assert (tmp_path / "out/team/alice/INBOX/7-1.eml").stat().st_mode & 0o077 == 0


def test_sums_are_those_that_sha256sum_checks(mailbox: Mailbox, tmp_path: Path) -> None:
    """A proof that needs nothing of ours."""
    for octets in NASTY:
        mailbox.add(octets)
    mailbox.export("eml", tmp_path)
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert checked.stdout.count(": OK") == len(NASTY)


def test_a_second_call_writes_only_what_is_missing(mailbox: Mailbox, tmp_path: Path) -> None:
    """The archive is not read again; what somebody removed comes back."""
    for octets in NASTY:
        mailbox.add(octets)
    mailbox.export("eml", tmp_path)
    (tmp_path / "team/alice/INBOX/7-2.eml").unlink()
    mailbox.add(b"new")
    report = mailbox.export("eml", tmp_path)
    assert (report.written, report.present) == (2, len(NASTY) - 1)
    assert len(mailbox.read) == 2
    assert (tmp_path / "team/alice/INBOX/7-2.eml").read_bytes() == NASTY[1]
    report = mailbox.export("eml", tmp_path)
    assert (report.written, mailbox.read) == (0, [])
    assert len(lines_of(tmp_path)) == len(set(lines_of(tmp_path))) == len(NASTY) + 1


@pytest.mark.parametrize("kept", [0, 100, 250], ids=["no-sums", "torn-line", "some-lines"])
def test_an_interrupted_export_goes_on(mailbox: Mailbox, tmp_path: Path, kept: int) -> None:
    """The manifest is written last: files that it does not list yet are hashed, not written twice."""
    for octets in NASTY:
        mailbox.add(octets)
    mailbox.export("eml", tmp_path)
    whole = (tmp_path / SUMS).read_text()
    (tmp_path / SUMS).write_text(whole[:kept])
    (tmp_path / "team/alice/INBOX/.0123.partial").write_bytes(b"left by a crash")
    report = mailbox.export("eml", tmp_path)
    assert (report.written, report.present) == (0, len(NASTY))
    assert lines_of(tmp_path) == [line for line in whole.splitlines() if not line.startswith("#")]


def test_a_torn_file_is_written_again(mailbox: Mailbox, tmp_path: Path) -> None:
    """After a power failure a file that is listed may have lost its octets."""
    mailbox.add(b"Subject: x\r\n\r\nbody")
    mailbox.export("eml", tmp_path)
    path = tmp_path / "team/alice/INBOX/7-1.eml"
    path.write_bytes(b"")
    assert mailbox.export("eml", tmp_path).written == 1
    assert path.read_bytes() == b"Subject: x\r\n\r\nbody"


def test_a_uidvalidity_that_came_back_overwrites_nothing(mailbox: Mailbox, tmp_path: Path) -> None:
    """The same UIDVALIDITY and UID with other octets: the later one has 8 digits of its id in the name."""
    first = mailbox.add(b"first", uid=1, epoch=1)
    second = mailbox.add(b"second", uid=1, epoch=3)
    mailbox.add(b"first", uid=1, epoch=5)
    for written in (2, 0):
        report = mailbox.export("eml", tmp_path)
        assert (report.written, report.present) == (written, 3 - written)
    found = files(tmp_path / "team/alice/INBOX")
    assert found == {"7-1.eml": b"first", f"7-1~{second.content_id.hex()[:8]}.eml": b"second"}
    assert first.content_id.hex() in (tmp_path / SUMS).read_text()


def test_a_file_of_somebody_else_is_not_overwritten(mailbox: Mailbox, tmp_path: Path) -> None:
    """Exporting into a directory in use must not destroy anything."""
    row = mailbox.add(b"ours")
    path = tmp_path / "team/alice/INBOX/7-1.eml"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"theirs")
    for written in (1, 0):
        assert mailbox.export("eml", tmp_path).written == written
    assert path.read_bytes() == b"theirs"
    assert path.with_name(f"7-1~{row.content_id.hex()[:8]}.eml").read_bytes() == b"ours"


def test_unique_writes_each_content_of_an_account_once(mailbox: Mailbox, tmp_path: Path) -> None:
    """At its first place; in another account it is another message. Later calls find it by any place."""
    mailbox.add(b"same")
    mailbox.add(b"same", folder=b"Sent")
    mailbox.add(b"same", account=AccountRef("team", "bob"))
    assert mailbox.export("eml", tmp_path, unique=True).written == 2
    assert set(files(tmp_path)) == {"team/alice/INBOX/7-1.eml", "team/bob/INBOX/7-3.eml"}
    mailbox.rows = [mailbox.rows[1], mailbox.rows[0], mailbox.rows[2]]
    report = mailbox.export("eml", tmp_path, unique=True)
    assert (report.written, report.present) == (0, 2)


def test_what_cannot_be_read_is_named_and_the_rest_is_written(mailbox: Mailbox, tmp_path: Path) -> None:
    """Half a message is left nowhere; repaired, it is written by the next call."""
    bad = mailbox.add(b"damaged octets")
    mailbox.add(b"good")
    mailbox.damaged.add(bad.content_id)
    seen: list[int] = []
    report = mailbox.export("eml", tmp_path, progress=lambda so_far: seen.append(so_far.written + so_far.failed))
    assert (report.written, report.failed, report.is_complete) == (1, 1, False)
    (failure,) = report.failures
    assert (failure.name, failure.content_id) == ("team/alice/INBOX/7-1.eml", bad.content_id.hex())
    assert failure.error.endswith(".")
    assert seen == [1, 2]
    assert set(files(tmp_path)) == {"team/alice/INBOX/7-2.eml"}
    mailbox.damaged.clear()
    assert mailbox.export("eml", tmp_path).written == 1
    assert len(lines_of(tmp_path)) == 2


def test_an_output_that_cannot_be_written_is_one_sentence(mailbox: Mailbox, tmp_path: Path) -> None:
    """The output is a file."""
    mailbox.add(b"x")
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(ArchiveUnavailable, match="choose another --output") as caught:
        mailbox.export("eml", tmp_path / "out")
    assert caught.value.text.endswith(".")


def test_a_message_without_a_date_has_the_time_of_the_export(mailbox: Mailbox, tmp_path: Path) -> None:
    """No date is no reason to fail."""
    mailbox.add(b"x", received_at=None, internal_date="")
    before = datetime.now().timestamp()  # noqa: DTZ005 - compared with a file time
    mailbox.export("eml", tmp_path)
    assert (tmp_path / "team/alice/INBOX/7-1.eml").stat().st_mtime >= before - 2
