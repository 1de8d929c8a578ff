"""docs/retention.md and docs/upkeep.md: their commands do what the pages say."""

from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from tests.archive.builders import ALICE, NoFsync
from tests.archive.keeping.mailboxes import YEAR, days_ago, files_with, run, runs
from tests.docs.pages import run_page

MALLORY = b"From: mallory@example.org\r\nSubject: zxqsecret\r\n\r\nzxqsecret\r\n"


def _filled(folder: Path) -> Path:
    """Where the commands look by default."""
    directory = folder / "archivmail-data"
    with open_archive(str(directory), create=True, durability=NoFsync()) as archive:
        runs(archive, 9)
        run(archive, {90: (MALLORY, days_ago(5)), 91: (b"Subject: old\r\n\r\nzxqexpired\r\n", days_ago(400))})
        while archive.drain_index():
            pass
        archive.set_policy(ALICE, YEAR, by="tests")
    return directory


@pytest.mark.slow
def test_the_commands_on_retention_and_erasure_take_the_octets_out(tmp_path: Path) -> None:
    """And the trail is proven at the end."""
    directory = _filled(tmp_path)
    printed = run_page("retention.md", tmp_path)

    assert "1 message" in printed
    assert "would be erased" in printed
    assert files_with(directory, b"zxqsecret") == []
    assert files_with(directory / "packs", b"zxqexpired") == []
    assert printed.count("sound: ") == 2
    assert "why=erased" in printed or "message_removed" in printed


@pytest.mark.slow
def test_the_commands_on_upkeep_merge_packs(tmp_path: Path) -> None:
    """And show the figures."""
    directory = _filled(tmp_path)
    printed = run_page("upkeep.md", tmp_path)

    assert "would be written anew" in printed
    assert "ACCOUNT" in printed
    assert '"total": {"messages": 10' in printed
    assert len(list((directory / "packs").rglob("*.tar.zst"))) > 10
