"""The manifest: written last and whole, true of what stands beside it, readable without archivmail."""

import hashlib
import re
import subprocess
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archivmail import __version__
from archivmail.archive.export.manifest import NAME
from tests.archive.export.sightings import NASTY, Mailbox, files, unfinished

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def head_of(path: Path) -> dict[str, str]:
    pairs = [line[2:].partition(": ") for line in path.read_text().splitlines() if line.startswith("# ")]
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("kind", ["eml", "maildir", "mbox", "tar"])
def test_sha256sum_checks_every_line(mailbox: Mailbox, tmp_path: Path, kind: str) -> None:
    """A proof that needs nothing of ours; of a tar when it is unpacked, whose last member is the manifest."""
    for number, octets in enumerate(NASTY):
        mailbox.add(octets, folder=b"Sent" if number % 2 else b"INBOX")
    mailbox.export(kind, tmp_path / "a.tar" if kind == "tar" else tmp_path)
    if kind == "tar":
        with tarfile.open(tmp_path / "a.tar") as tar:
            assert tar.getnames()[-1] == NAME
            tar.extractall(tmp_path, filter="data")
        assert (tmp_path / f"a.tar.{NAME}").read_bytes() == (tmp_path / NAME).read_bytes()
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", NAME], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert checked.stderr == ""
    assert checked.stdout.count(": OK") == (2 if kind == "mbox" else len(NASTY))


def test_it_tells_what_the_export_was(mailbox: Mailbox, tmp_path: Path) -> None:
    """Whoever finds it in ten years knows what was asked for, by which program, and when."""
    mailbox.add(b"one")
    mailbox.add(b"three", uid=9)
    mailbox.export("eml", tmp_path, query='from:bob "a b"\n# messages: 9', accounts=("team/alice",), clock=lambda: NOON)
    assert head_of(tmp_path / NAME) == {
        f"export of archivmail {__version__}": "",
        "ended": "2026-11-28T12:00:00Z",
        "format": "eml",
        "accounts": "team/alice",
        "query": 'from:bob "a b" # messages: 9',
        "messages": "2",
        "octets": "8",
        "complete": "yes",
    }


def test_what_could_not_be_read_is_in_it(mailbox: Mailbox, tmp_path: Path) -> None:
    """It does not sign for what is not there."""
    bad = mailbox.add(b"damaged octets")
    mailbox.add(b"good")
    mailbox.damaged.add(bad.content_id)
    mailbox.export("eml", tmp_path)
    head = head_of(tmp_path / NAME)
    assert (head["messages"], head["complete"]) == ("1", "no, 1 could not be read")
    assert head["not exported"].startswith(f"{bad.content_id.hex()} team/alice/INBOX/7-1.eml: ")


def test_a_file_that_was_altered_is_not_signed_for(mailbox: Mailbox, tmp_path: Path) -> None:
    """A later export writes it again: an equal size proves nothing."""
    mailbox.add(b"octets")
    mailbox.export("eml", tmp_path)
    path = tmp_path / "team/alice/INBOX/7-1.eml"
    path.write_bytes(b"stecto")
    assert mailbox.export("eml", tmp_path).written == 1
    assert path.read_bytes() == b"octets"


def test_messages_of_an_mbox_are_found_by_its_manifest(mailbox: Mailbox, tmp_path: Path) -> None:
    """`#message SHA-256 START LENGTH NAME`: cut it out, take the quoting back, hash it."""
    for number, octets in enumerate(NASTY):
        mailbox.add(octets, folder=b"Sent" if number % 2 else b"INBOX")
    mailbox.export("mbox", tmp_path)
    seen = []
    for line in (tmp_path / NAME).read_text().splitlines():
        if not line.startswith("#message "):
            continue
        _, digest, start, length, name = line.split(" ", 4)
        cut = (tmp_path / name).read_bytes()[int(start) :][: int(length)]
        first, _, rest = cut.partition(b"\n")
        octets = re.sub(
            rb"^>(>*From )", rb"\1", rest[:-2] if b" NO-FINAL-LINE " in first else rest[:-1], flags=re.MULTILINE
        )
        assert hashlib.sha256(octets).hexdigest() == digest
        seen.append(octets)
    assert sorted(seen) == sorted(NASTY)


def test_names_that_a_mail_program_gave_are_followed(mailbox: Mailbox, tmp_path: Path) -> None:
    """Maildir: flags are part of a name, and the manifest tells the name that the file has."""
    mailbox.add(b"octets")
    mailbox.export("maildir", tmp_path)
    [path] = (tmp_path / "team/alice/cur").iterdir()
    path.rename(path.with_name(path.name + "RS"))
    assert mailbox.export("maildir", tmp_path).present == 1
    assert (tmp_path / NAME).read_text().splitlines()[-1].endswith(":2,RS")


@pytest.mark.parametrize("kind", ["eml", "maildir", "mbox", "tar"])
def test_nothing_is_left_but_the_export(mailbox: Mailbox, tmp_path: Path, kind: str) -> None:
    """No journal, no temporary name."""
    mailbox.add(b"octets")
    mailbox.export(kind, tmp_path / "a.tar" if kind == "tar" else tmp_path)
    assert unfinished(tmp_path) == []
    assert len(files(tmp_path)) == 1
