"""Atheris finds nothing in a short run from a fixed seed; `make fuzz` gives it longer."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CORPUS = Path(__file__).parent / "corpus"
RUNS = 20_000


@pytest.mark.slow
def test_no_input_gets_the_reader_into_trouble(tmp_path: Path) -> None:
    """trap 79: no hang (10 s an input), no memory without bound, no error but ours, no foreign UID."""
    shutil.copytree(CORPUS, tmp_path / "corpus")
    command = [sys.executable, "-m", "tests.fuzz.reader", str(tmp_path / "corpus"), f"-runs={RUNS}", "-seed=1"]
    limits = ["-max_len=400", "-timeout=10", "-rss_limit_mb=1024", f"-artifact_prefix={tmp_path}/"]

    ran = subprocess.run([*command, *limits], capture_output=True, text=True, check=False, timeout=280)

    assert ran.returncode == 0, ran.stderr[-4000:]
    assert f"Done {RUNS} runs" in ran.stderr
