"""`archivmail export` from the outside: every format, part of an archive, again, and with damage."""

import hashlib
import mailbox
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT
from tests.cli.program import archivmail, process

MAIL = ROOT / "examples" / "mail"
SENT = Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in MAIL.rglob("*.eml"))


def contents(*paths: Path) -> Counter[str]:
    return Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)


def test_eml_files_are_the_mailbox_octet_for_octet(filled: Path, tmp_path: Path) -> None:
    """One file per placement, `OUT/NAMESPACE/ACCOUNT/FOLDER/UIDVALIDITY-UID.eml`."""
    ended = archivmail("export", "--format", "eml", "--output", tmp_path / "out", "--archive", filled)

    files = [*(tmp_path / "out").rglob("*.eml")]
    assert (ended.code, ended.out) == (0, b"")
    assert contents(*files) == SENT
    assert any(path.match("team-a/alice/Lists/Tomatoes/*-102.eml") for path in files)


def test_an_export_goes_on_where_it_was(filled: Path, tmp_path: Path) -> None:
    """What is there already is not written again; what was lost is."""
    out = ["--output", tmp_path / "out", "--archive", filled]
    archivmail("export", *out)
    next((tmp_path / "out").rglob("*.eml")).unlink()
    ended = archivmail("export", *out)

    assert ended.code == 0
    assert ended.err.startswith("1 message (")
    assert "16 there already" in ended.err


def test_unique_writes_each_content_once(filled: Path, tmp_path: Path) -> None:
    """A message in two folders is one file."""
    archivmail("export", "--unique", "--output", tmp_path / "out", "--archive", filled)

    assert contents(*(tmp_path / "out").rglob("*.eml")) == Counter(set(SENT))


def test_a_query_chooses_what_is_written(filled: Path, tmp_path: Path) -> None:
    """The same grammar as `search`."""
    ended = archivmail("export", "folder:Sent", "--output", tmp_path / "out", "--archive", filled)

    assert ended.code == 0
    assert contents(*(tmp_path / "out").rglob("*.eml")) == contents(*(MAIL / "Sent").glob("*.eml"))


def test_an_mbox_is_read_by_others(filled: Path, tmp_path: Path) -> None:
    """A file per folder; the standard library counts the same messages."""
    archivmail("export", "--format", "mbox", "--output", tmp_path / "out", "--archive", filled)

    boxes = [mailbox.mbox(path) for path in (tmp_path / "out").rglob("*.mbox")]
    count = sum(len(box) for box in boxes)
    for box in boxes:
        box.close()

    assert count == SENT.total()


def test_a_tar_passes_a_pipe(filled: Path, tmp_path: Path) -> None:
    """`--output -`: standard output is the tar and nothing else."""
    ended = process("export", "--format", "tar", "--output", "-", "--archive", filled)
    (tmp_path / "out.tar").write_bytes(ended.out)

    with tarfile.open(tmp_path / "out.tar") as tar:
        found = Counter(
            hashlib.sha256(file.read()).hexdigest()
            for each in tar
            if each.name != "MANIFEST.sha256" and (file := tar.extractfile(each)) is not None
        )
    assert ended.code == 0
    assert found == SENT


def test_a_damaged_message_is_named_and_the_others_are_written(archive: Path, tmp_path: Path) -> None:
    """Exit code 1; what is written is whole."""
    [pack] = archive.rglob("*.tar.zst")
    octets = bytearray(pack.read_bytes())
    octets[len(octets) // 3] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(octets)
    ended = archivmail("export", "--output", tmp_path / "out", "--archive", archive)

    written = contents(*(tmp_path / "out").rglob("*.eml"))
    assert ended.code == 1
    assert "not exported: " in ended.err
    assert written
    assert written < SENT


@pytest.mark.parametrize(
    "arguments",
    [[], ["--format", "pst", "--output", "x"], ["--format", "eml", "--output", "-"], ["-a", "bob", "--output", "x"]],
    ids=["no-output", "unknown-format", "eml-to-a-pipe", "unknown-account"],
)
def test_what_cannot_be_meant_is_a_usage_error(arguments: list[str], filled: Path) -> None:
    """Exit code 2, nothing on standard output."""
    ended = archivmail("export", *arguments, "--archive", filled)

    assert (ended.code, ended.out) == (2, b"")
    assert "Traceback" not in ended.err


def test_an_output_that_cannot_be_written_is_said(filled: Path, tmp_path: Path) -> None:
    """Exit code 3: a file stands where the directory should be."""
    (tmp_path / "out").write_text("in the way")
    ended = archivmail("export", "--output", tmp_path / "out", "--archive", filled)

    assert ended.code == 3
    assert "is no directory" in ended.err


def test_the_manifest_tells_the_query_and_its_accounts(filled: Path, tmp_path: Path) -> None:
    """What was asked for stands beside what was written."""
    archivmail("export", "-a", "alice", "folder:Sent", "--output", tmp_path / "out", "--archive", filled)

    lines = (tmp_path / "out" / "MANIFEST.sha256").read_text().splitlines()
    assert {"# query: folder:Sent", "# accounts: team-a/alice", "# complete: yes"} <= set(lines)
    assert {line.split()[0] for line in lines if not line.startswith("#")} == set(
        contents(*(MAIL / "Sent").glob("*.eml"))
    )


@pytest.mark.parametrize(
    ("kind", "code", "says"), [("tar", 3, "is a directory"), ("eml", 2, "is empty")], ids=["tar", "no-name"]
)
def test_an_output_that_cannot_be_meant_is_said_before_anything_is_read(
    filled: Path, tmp_path: Path, kind: str, code: int, says: str
) -> None:
    """A tar in the place of a directory failed after the last message; a variable that is not set meant here."""
    output = str(tmp_path) if kind == "tar" else ""
    ended = archivmail("export", "--format", kind, "--output", output, "--archive", filled)
    assert ended.code == code
    assert says in ended.err
    assert list(tmp_path.iterdir()) == []
