"""The commands of a documentation page, run as they stand there.

A fenced block marked `sh` is run by a test; what cannot be run here is marked `console` or `text`. All blocks of a page
run in one shell, in order, in the folder that the test gives.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = Path(__file__).parents[2] / "docs"
TIMEOUT_S = 240
_BLOCK = re.compile(r"^([ ]*)```(\w+)[^\n]*\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


def blocks(page: str, language: str, section: str | None = None) -> list[str]:
    """The fenced blocks of a page, or of what stands below one `## ` heading of it, in one language, without the
    indentation they stand in."""
    found = []
    page_text = (DOCS / page).read_text()
    if section is not None:
        page_text = next(each for each in re.split("^## ", page_text, flags=re.MULTILINE) if each.startswith(section))
    for indent, marked, text in _BLOCK.findall(page_text):
        if marked == language:
            found.append("".join(line.removeprefix(indent) for line in text.splitlines(keepends=True)))
    return found


def run_page(page: str, folder: Path, env: Mapping[str, str] | None = None, section: str | None = None) -> str:
    """Run the `sh` blocks of the page or of one section, and give what they printed; the first command that fails is
    an AssertionError."""
    commands = blocks(page, "sh", section)
    assert commands, f"docs/{page} has no block marked sh"
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", **(env or {})},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, f"docs/{page} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout
