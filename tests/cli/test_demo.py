"""`make demo`: the way from a manifest to an export, on sample mail."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT
from tests.cli.program import environment


@pytest.mark.slow
def test_the_demo_shows_the_whole_way(tmp_path: Path) -> None:
    """Every step succeeds, its command is shown, and the export holds every message, octet for octet."""
    for name in ("examples", "hack"):
        shutil.copytree(ROOT / name, tmp_path / name)
    done = subprocess.run(
        ["bash", "hack/demo.sh", sys.executable],
        cwd=tmp_path, env=environment(), capture_output=True, timeout=120, check=False, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.findall(r"^\$ archivmail (\w+)", done.stdout, re.MULTILINE)
    assert shown == ["sync", "sync", "status", "search", "search", "show", "export", "verify"]
    assert "nothing new" in done.stdout
    [maildir] = tmp_path.glob("demo-data/*/maildir")
    files = [path for path in maildir.rglob("*") if path.is_file() and path.parent.name in {"cur", "new"}]
    assert _contents(files) == _contents([*(ROOT / "examples" / "mail").rglob("*.eml")])


def _contents(paths: list[Path]) -> Counter[str]:
    return Counter(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
