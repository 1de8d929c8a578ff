"""docs/search.md and docs/export.md: every command and every program in them does what the page says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import blocks, run_page

pytestmark = pytest.mark.slow


def test_every_search_of_the_page_finds_something(filled: Path, tmp_path: Path) -> None:
    """An example that finds nothing teaches nothing."""
    searches = [line for block in blocks("search.md", "sh") for line in block.splitlines()]
    printed = ""
    for line in searches:
        ended = subprocess.run(
            ["bash", "-c", line],
            env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "ARCHIVMAIL_ARCHIVE": str(filled)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert "no message matches" not in ended.stderr, line
        printed += ended.stdout
    assert printed.count("ID ") == len(searches) - 1
    assert printed.count('"uidValidity"') == 2


def test_every_export_of_the_page_is_written_and_checked(filled: Path, tmp_path: Path) -> None:
    """The mbox reader of the page takes the quoting back, by its own means."""
    run_page("export.md", tmp_path, {"ARCHIVMAIL_ARCHIVE": str(filled)})

    assert {path.name for path in tmp_path.iterdir()} == {
        "mail", "sent", "maildir", "mbox", "once", "mail.tar", "mail.tar.MANIFEST.sha256",
    }  # fmt: skip
    [reader] = blocks("export.md", "python")
    subprocess.run([sys.executable, "-c", reader], cwd=tmp_path, check=True, timeout=60)
    shown = next(block for block in blocks("export.md", "text") if block.startswith("# export"))
    real = (tmp_path / "sent" / "MANIFEST.sha256").read_text()
    assert [line.partition(":")[0] for line in shown.splitlines()[:8]] == [
        line.partition(":")[0] for line in real.splitlines()[:8]
    ]
    [message, *_] = (tmp_path / "mbox").rglob("*.mbox")
    message.write_bytes(message.read_bytes().replace(b"e", b"f"))
    refused = subprocess.run([sys.executable, "-c", reader], cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert refused.returncode != 0
